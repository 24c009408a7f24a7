"""Looks into mask images: which codes occur and how often, how black and white they are.

These functions run in worker processes: what goes in and out is plain data, and what is wrong with
a file is a text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conceptset.errors import ConceptsetError, ImageError
from conceptset.geometry import CodedMask, IntArray, Rle, mask_to_counts
from conceptset.io.images import (
    ImageHeader,
    decode_stored,
    read_grey,
    read_header,
    read_palette,
)

INDEX_MODES = ("P", "L", "1")
COLOUR_MODES = ("RGB", "RGBA")
MAX_CODES = 4_096  # a mask with more is a photograph
DARK, LIGHT = 64, 192  # below: dark; from: light; between: unclear
TWO_LEVEL = 0.05  # share of unclear pixels up to which an image counts as black and white
COLOURED = 0.01  # share of coloured pixels up to which it counts as grey
_SPREAD = 32  # largest difference of the channels of a grey pixel; JPEG moves them a little
VOID_COLOUR = 224 + 256 * 224 + 65_536 * 192  # the edge of an object in VOC's colours
_GREY = 1 + 256 + 65_536
_BAND = 1 << 20  # pixels


@dataclass(frozen=True, slots=True)
class IndexTask:
    """One index mask to look into.

    Attributes:
        path: The file.
        objects: The mask of object numbers that goes with it.
        by_colour: Whether the class list names colours.
    """

    path: Path
    objects: Path | None
    by_colour: bool


@dataclass(frozen=True, slots=True)
class Found:
    """Pixels of one class, of one object where objects are known.

    Attributes:
        key: What the class list calls it: a code or a colour.
        pixels: Their number, above 0.
        geometry: Their shape.
        number: The number of the object; 0 where there is none.
    """

    key: int
    pixels: int
    geometry: CodedMask | Rle
    number: int = 0


@dataclass(frozen=True, slots=True)
class IndexScan:
    """What an index mask holds, by code and object.

    Attributes:
        found: Every class and object that occurs, sorted.
        failure: Why the mask cannot be read.
        objects_failure: Why the mask of objects cannot be used; classes are whole then.
    """

    found: tuple[Found, ...] = ()
    failure: str | None = None
    objects_failure: str | None = None


def scan_index(task: IndexTask) -> IndexScan:
    """Classes and objects of one index mask."""
    try:
        header, codes = read_index(task.path)
        values, counts = _histogram(codes[rows] for rows in _bands(codes.shape))
        keys = _keys(task.path, header, values, by_colour=task.by_colour)
    except ConceptsetError as error:
        return IndexScan(failure=error.message)
    if task.objects is not None:
        try:
            numbers = _object_numbers(task.objects, codes.shape)
            masks = (task.path, codes), (task.objects, numbers)
            return IndexScan(_by_object(*masks, dict(zip(values, keys, strict=True))))
        except ConceptsetError as error:
            failure = error.message
    else:
        failure = None
    found = tuple(
        Found(key, count, CodedMask(task.path, value, header.size))
        for value, count, key in zip(values, counts, keys, strict=True)
    )
    return IndexScan(found, objects_failure=failure)


def read_index(path: Path) -> tuple[ImageHeader, NDArray[np.integer]]:
    """Header and codes of an index mask, (height, width), equal to those of `read_codes`.

    Raises:
        ImageError: No PNG, or a mode that holds no codes.
        UnsafeError: Its header announces too many pixels.
    """
    header = read_header(path)
    if header.format != "PNG" or header.mode not in (*INDEX_MODES, *COLOUR_MODES):
        raise ImageError(
            f"is {header.format} of mode {header.mode}; a PNG with palette, 8-bit grey or RGB was "
            "expected",
            path=path,
        )
    _, pixels = decode_stored(path)
    if header.mode in INDEX_MODES:
        return header, pixels.astype(np.uint8)
    codes = np.zeros(header.size, dtype=np.int32)
    for rows in _bands(header.size):
        for channel in range(3):
            codes[rows] += pixels[rows, :, channel].astype(np.int32) << (8 * channel)
    return header, codes


def _bands(size: tuple[int, ...]) -> Iterator[slice]:
    """Rows that are looked at together, which bounds memory."""
    step = max(1, _BAND // size[1])
    return (slice(start, start + step) for start in range(0, size[0], step))


def _histogram(bands: Iterable[NDArray[np.integer]]) -> tuple[list[int], list[int]]:
    """The codes that occur, rising, and how often.

    Raises:
        ImageError: More than any class list has.
    """
    total: Counter[int] = Counter()
    for band in bands:
        if band.dtype == np.uint8:
            every = np.bincount(band.ravel(), minlength=256)
            values = np.flatnonzero(every)
            counts = every[values]
        else:
            values, counts = np.unique(band, return_counts=True)
        total.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
        if len(total) > MAX_CODES:
            raise ImageError(
                f"has more than {MAX_CODES} different codes or colours: it is no mask of classes"
            )
    return sorted(total), [total[value] for value in sorted(total)]


def _keys(path: Path, header: ImageHeader, values: list[int], *, by_colour: bool) -> list[int]:
    """What a class list calls each code of a mask.

    A list of colours: the palette's colour of an index, the grey of a grey level. A list of codes:
    the code; of an RGB mask that is grey throughout, its grey level.
    """
    is_colour = header.mode in COLOUR_MODES
    if by_colour and header.mode == "P":
        palette = read_palette(path)
        return [_palette_colour(palette, value) for value in values]
    if by_colour and not is_colour:
        return [value * _GREY * (255 if header.mode == "1" else 1) for value in values]
    if not by_colour and is_colour and all(value % _GREY == 0 for value in values):
        return [value // _GREY for value in values]
    return values


def _palette_colour(palette: IntArray, index: int) -> int:
    """The colour of an index; one that the palette lacks is shown black."""
    if index >= len(palette):
        return 0
    red, green, blue = palette[index].tolist()
    return int(red + 256 * green + 65_536 * blue)


def _object_numbers(path: Path, size: tuple[int, ...]) -> NDArray[np.integer]:
    """The number of the object at each pixel, 0 for none, (height, width).

    Raises:
        ConceptsetError: The file is no mask, or of another size.
    """
    header, numbers = read_index(path)
    if numbers.shape != size:
        raise ImageError(
            f"has {numbers.shape[0]} x {numbers.shape[1]} pixels (height x width), the mask of "
            f"classes {size[0]} x {size[1]}",
            path=path,
        )
    void = VOID_COLOUR if header.mode in COLOUR_MODES else 255
    numbers[numbers == void] = 0
    return numbers


_Mask = tuple[Path, NDArray[np.integer]]


def _by_object(classes: _Mask, objects: _Mask, key_of: dict[int, int]) -> tuple[Found, ...]:
    """Pixels by class and object, exactly as the mask of classes has them.

    The shape is a code of one of the two files where that is the same, which costs nothing to
    keep; else the runs.

    Args:
        classes: The file and its codes, (height, width).
        objects: The file and the number of the object at each pixel, (height, width).
        key_of: What the class list calls each code.
    """
    (path, codes), (object_path, numbers) = classes, objects
    size = (codes.shape[0], codes.shape[1])
    pairs, counts = _histogram(
        codes[rows].astype(np.int64) << 24 | numbers[rows] for rows in _bands(size)
    )
    listed = [(pair >> 24, pair & 0xFFFFFF) for pair in pairs]
    of_class: Counter[int] = Counter()
    of_object: Counter[int] = Counter()
    for (code, number), count in zip(listed, counts, strict=True):
        of_class[code] += count
        of_object[number] += count
    found = []
    for (code, number), count in zip(listed, counts, strict=True):
        geometry: CodedMask | Rle
        if count == of_class[code]:
            geometry = CodedMask(path, code, size)
        elif number and count == of_object[number]:
            geometry = CodedMask(object_path, number, size)
        else:
            geometry = Rle(size, mask_to_counts((codes == code) & (numbers == number)))
        found.append(Found(key_of[code], count, geometry, number))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class GreyScan:
    """How black and white an image is.

    Attributes:
        size: (height, width); (0, 0) after a failure.
        light: Pixels of grey 128 or more.
        unclear: Pixels that are neither dark nor light, 64 to 191.
        is_grey: Whether nearly all pixels are without colour.
        is_jpeg: Whether it is stored as JPEG.
        failure: Why it cannot be read.
    """

    size: tuple[int, int] = (0, 0)
    light: int = 0
    unclear: int = 0
    is_grey: bool = False
    is_jpeg: bool = False
    failure: str | None = None

    @property
    def pixels(self) -> int:
        """Number of pixels."""
        return self.size[0] * self.size[1]

    @property
    def is_two_level(self) -> bool:
        """Whether it is black and white but for a few pixels."""
        return self.failure is None and self.is_grey and self.unclear <= TWO_LEVEL * self.pixels


def scan_grey(path: Path) -> GreyScan:
    """How black and white one image is."""
    try:
        header = read_header(path)
        grey = read_grey(path, alpha=False, size=header.size)
        unclear = light = 0
        for rows in _bands(grey.shape):
            counts = np.bincount(grey[rows].ravel(), minlength=256)
            unclear += int(counts[DARK:LIGHT].sum())
            light += int(counts[128:].sum())
        is_grey = _is_grey(path, header)
    except ConceptsetError as error:
        return GreyScan(failure=error.message)
    return GreyScan(header.size, light, unclear, is_grey, header.format == "JPEG")


def _is_grey(path: Path, header: ImageHeader) -> bool:
    """Whether nearly all pixels of an image are without colour."""
    if header.mode in ("1", "L", "LA") or header.mode.startswith("I;16"):
        return True
    if header.mode not in (*COLOUR_MODES, "P"):
        return False
    _, pixels = decode_stored(path)
    if header.mode == "P":
        palette = np.zeros((256, 3), dtype=np.int64)
        given = read_palette(path)[:256]
        palette[: len(given)] = given
        is_coloured = np.ptp(palette, axis=1) > _SPREAD
        return bool(is_coloured[pixels].mean() <= COLOURED)
    coloured = 0
    for rows in _bands(header.size):
        red, green, blue = (pixels[rows, :, channel] for channel in range(3))
        brightest = np.maximum(np.maximum(red, green), blue)
        darkest = np.minimum(np.minimum(red, green), blue)
        coloured += int(np.count_nonzero(brightest - darkest > _SPREAD))
    return coloured <= COLOURED * header.size[0] * header.size[1]
