"""Photographs and masks: headers, decoding and encoding, with limits on what is trusted."""

from __future__ import annotations

import io
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from conceptset.errors import ImageError, SourceError, UnsafeError
from conceptset.geometry import MAX_PIXELS, BoolArray, IntArray
from conceptset.io.paths import plain_size
from conceptset.io.tables import read_bytes
from conceptset.records import Frame

FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP", "PPM", "GIF")
SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif",
)  # fmt: skip
MAX_BYTES = 1 << 30  # of one image file
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What a file says of itself before it is decoded.

    Attributes:
        format: Pillow's name: JPEG, PNG, ...
        mode: Pillow's mode: RGB, L, P, ...
        size: (height, width) as stored.
        orientation: EXIF orientation 1..8; 1 where absent.
    """

    format: str
    mode: str
    size: tuple[int, int]
    orientation: int

    @property
    def upright_size(self) -> tuple[int, int]:
        """(height, width) after EXIF rotation."""
        return self.size if self.orientation < 5 else (self.size[1], self.size[0])


@contextmanager
def _opened(
    source: str | Path | bytes, *, name: str | Path, formats: tuple[str, ...] = FORMATS
) -> Iterator[Image.Image]:
    """An image whose header passed the limits; every failure becomes one of our errors."""
    stream = io.BytesIO(source) if isinstance(source, bytes) else source
    try:
        if not isinstance(source, bytes):
            plain_size(Path(source))
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
            with Image.open(stream, formats=formats) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise Image.DecompressionBombError
                yield image
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnsafeError(
            f"the header announces more than {MAX_PIXELS} pixels",
            path=name,
            hint="Refused as a decompression bomb; reduce the image first.",
        ) from error
    except UnidentifiedImageError as error:
        raise ImageError(
            f"is not an image of a known format ({', '.join(formats)})", path=name
        ) from error
    except FileNotFoundError as error:
        raise ImageError("the image does not exist", path=name) from error
    except (OSError, ValueError, SyntaxError, IndexError, OverflowError, struct.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise ImageError(f"cannot be read ({error.strerror})", path=name) from error
        raise ImageError(
            f"cannot be decoded ({type(error).__name__}: {error})",
            path=name,
            hint="The file is broken or cut short; copy it again from its origin.",
        ) from error


def image_bytes(path: Path) -> bytes:
    """The bytes of an image file.

    Raises:
        ImageError: It cannot be read, is no plain file, or too large.
    """
    try:
        return read_bytes(path, MAX_BYTES)
    except SourceError as error:
        raise ImageError(error.message, path=path, hint=error.hint) from error


def read_header(path: Path, *, data: bytes | None = None) -> ImageHeader:
    """Format, mode, size and orientation, without decoding pixels.

    Args:
        path: The file; named in errors.
        data: The bytes, where they were read already.
    """
    with _opened(path if data is None else data, name=path) as image:
        return _header(image)


def _header(image: Image.Image) -> ImageHeader:
    return ImageHeader(
        format=image.format or "",
        mode=image.mode,
        size=(image.height, image.width),
        orientation=_orientation(image),
    )


def _orientation(image: Image.Image) -> int:
    """EXIF orientation without decoding: of a PNG only the chunks before the pixels are asked.

    Pillow turns a TIFF upright by itself and gives the turned size: there is nothing left to do.
    Broken EXIF says nothing; the pixels are none the worse for it.
    """
    if image.format == "TIFF":
        return 1
    try:
        if image.format != "PNG":
            exif = image.getexif()
        else:
            exif = Image.Exif()
            exif.load(image.info.get("exif", b""))
        value = exif.get(_ORIENTATION)
    except (OSError, ValueError, SyntaxError, IndexError, OverflowError, struct.error):
        return 1
    return value if isinstance(value, int) and value in _UPRIGHT else 1


def decode_rgb(path: Path, *, frame: Frame, data: bytes | None = None) -> Image.Image:
    """The photograph as an RGB image, as stored or turned upright.

    Transparent pixels are laid over black, 16-bit grey is brought to 8 bit. Colour profile and
    comments stay behind: they describe the file, not these pixels.

    Raises:
        ImageError: It is broken, or its pixels are numbers without a stated range.
    """
    with _opened(path if data is None else data, name=path) as image:
        orientation = _orientation(image) if frame == "upright" else 1
        image.load()
        picture: Image.Image = image
        if picture.mode.startswith("I;16") or (picture.mode, picture.format) == ("I", "PPM"):
            picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        elif picture.mode in ("I", "F"):
            raise ImageError(
                f"has pixels of mode {picture.mode} (32 bit), 8 or 16 bit were expected: nothing "
                "says which number is white",
                path=path,
            )
        if "transparency" in picture.info or picture.mode in ("RGBA", "LA", "PA"):
            rgba = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", rgba.size, (0, 0, 0, 255)), rgba)
        picture = picture.convert("RGB")
        if orientation in _UPRIGHT:
            picture = picture.transpose(_UPRIGHT[orientation])
        picture.info = {}
        return picture


def decode_stored(
    path: Path, *, data: bytes | None = None
) -> tuple[ImageHeader, NDArray[np.generic]]:
    """Header and pixels exactly as stored: no turning, no change of mode.

    Args:
        path: The file; named in errors.
        data: The bytes, where they were read already.

    Returns:
        The header, and (height, width) or (height, width, channels) pixels in the file's own mode.
    """
    with _opened(path if data is None else data, name=path) as image:
        image.load()
        return _header(image), np.asarray(image)


def check_decodes(path: Path, *, data: bytes | None = None) -> ImageHeader:
    """The header of an image of which every byte of pixel data was read.

    A JPEG is decoded at an eighth of its size: that finds a file cut short just as surely, in half
    the time.

    Args:
        path: The file; named in errors.
        data: The bytes, where they were read already.

    Raises:
        ImageError: It is missing, broken or cut short.
        UnsafeError: Its header announces too many pixels.
    """
    with _opened(path if data is None else data, name=path) as image:
        header = _header(image)
        image.draft(None, (1, 1))
        image.load()
        return header


def read_codes(path: str | Path, *, data: bytes | None = None) -> IntArray:
    """The codes of a mask image, (height, width) int64: R + 256 G + 65536 B, or the palette index.

    Raises:
        ImageError: Not a PNG, broken, or a mode that holds no codes.
    """
    with _opened(path if data is None else data, name=path, formats=("PNG",)) as image:
        image.load()
        if image.mode in ("P", "L", "1"):
            return np.asarray(image).astype(np.int64)
        if image.mode in ("RGB", "RGBA"):
            pixels = np.asarray(image)
            codes = pixels[..., 0].astype(np.int64)
            for channel, weight in ((1, 256), (2, 65536)):
                if pixels[..., channel].any():  # label maps seldom use the third
                    codes += pixels[..., channel].astype(np.int64) * weight
            return codes
        raise ImageError(f"has mode {image.mode}; RGB, grey or palette was expected", path=path)


def read_palette(path: Path) -> IntArray:
    """The colours of a PNG's palette, (n, 3) int64 of R, G, B; (0, 3) where it has none.

    Raises:
        ImageError: Not a PNG, or broken.
    """
    with _opened(path, name=path, formats=("PNG",)) as image:
        palette = image.getpalette() if image.mode == "P" else None
        return np.array(palette or [], dtype=np.int64).reshape(-1, 3)


def read_grey(path: Path, *, alpha: bool, size: tuple[int, int]) -> NDArray[np.uint8]:
    """The grey values of a mask image, or its opacity, (height, width) uint8.

    Black and white of one bit are 0 and 255; a palette or colours are brought to grey (Rec. 601).

    Args:
        path: PNG or JPEG file.
        alpha: Its opacity is wanted; a file without transparency is opaque everywhere.
        size: (height, width) it must have.

    Raises:
        ImageError: It is broken, of another kind or size.
    """
    with _opened(path, name=path, formats=("PNG", "JPEG")) as image:
        if (image.height, image.width) != size:
            raise ImageError(
                f"has {image.height} x {image.width} pixels (height x width), "
                f"{size[0]} x {size[1]} were expected",
                path=path,
                hint="The mask must have the size of its image.",
            )
        image.load()
        picture: Image.Image = image
        if alpha:
            return np.asarray(picture.convert("RGBA").getchannel("A"))
        if picture.mode.startswith("I;16"):
            picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
        elif picture.mode in ("I", "F"):
            raise ImageError(
                f"has pixels of mode {picture.mode} (32 bit), 8 or 16 bit were expected", path=path
            )
        return np.asarray(picture.convert("L"))


def encode_photograph(image: Image.Image, kind: Literal["jpg", "png"]) -> bytes:
    """The bytes of a stored photograph: JPEG of quality 95 without chroma subsampling, or PNG."""
    stream = io.BytesIO()
    if kind == "jpg":
        image.save(stream, "JPEG", quality=95, subsampling=0)
    else:
        image.save(stream, "PNG")
    return stream.getvalue()


def encode_label_map(labels: NDArray[np.integer]) -> bytes:
    """The PNG of a label map: RGB with label = R + 256 G and B = 0.

    Args:
        labels: (height, width), 0..32767; 0 is unlabelled.
    """
    pixels = np.zeros((*labels.shape, 3), dtype=np.uint8)
    pixels[..., 0] = labels & 255
    pixels[..., 1] = labels >> 8
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", compress_level=6)
    return stream.getvalue()


def encode_flags(flags: BoolArray) -> bytes:
    """The PNG of a mask of flags: mode L, 255 = yes."""
    stream = io.BytesIO()
    Image.fromarray(np.where(flags, np.uint8(255), np.uint8(0))).save(stream, "PNG")
    return stream.getvalue()
