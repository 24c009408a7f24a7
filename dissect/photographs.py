"""Photographs as the network wants them: decoded, brought to one size, normalised.

JPEG files of the common kind are decoded by torchvision, whose pixels are those of Pillow (both
are libjpeg-turbo at its defaults; a test compares them) for two thirds of the work: Pillow keeps
four bytes a pixel and copies them twice. Which of the two decodes a file depends on the file
alone, as long as torchvision was installed with its decoders.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from conceptset.errors import ImageError
from conceptset.geometry import MAX_PIXELS
from conceptset.io.images import decode_rgb
from conceptset.layout.reading import ConceptSet, IndexEntry
from dissect.compiling import compiled
from dissect.selecting import path_of, read_used, size_text

ByteArray = NDArray[np.uint8]
PixelArray = NDArray[np.float32]

_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, all of Huffman codes
_RGB = 3  # as torchvision numbers what it decodes to
_TABLES = (0xC4, 0xDB, 0xDD, 0xFE, *range(0xE0, 0xF0))  # what may stand before the frame


def read_photograph(concept_set: ConceptSet, entry: IndexEntry, size: tuple[int, int]) -> ByteArray:
    """(height, width, 3) uint8 RGB, squashed to `size` with Pillow's BILINEAR if it differs.

    Args:
        concept_set: The set.
        entry: The image; `check_files` found its file.
        size: (height, width) wanted.

    Raises:
        ImageError: It cannot be decoded, or has another size than the index says.
    """
    data = read_used(concept_set, entry.image)
    pixels = decode_plain(data) if jpeg_size(data) == entry.image_size else None
    if pixels is None:
        path = path_of(concept_set, entry.image)
        pixels = np.asarray(decode_rgb(path, frame="stored", data=data))
        if pixels.shape[:2] != entry.image_size:
            raise ImageError(
                f"is {size_text(pixels.shape[:2])}, the index says {size_text(entry.image_size)} "
                "(height x width)",
                path=path,
                hint="Run 'conceptset validate' on the set.",
            )
    if entry.image_size != size:
        squashed = Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR)
        pixels = np.asarray(squashed)
    return pixels


def jpeg_size(data: bytes) -> tuple[int, int] | None:
    """(height, width) of a JPEG of the common kind: 8 bit, grey or three channels, Huffman codes.

    Returns:
        None for every other file, also for one that announces more pixels than any image may have.
    """
    if data[:2] != b"\xff\xd8":
        return None
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _FRAMES:
            height = int.from_bytes(data[place + 5 : place + 7])
            width = int.from_bytes(data[place + 7 : place + 9])
            common = data[place + 4] == 8 and data[place + 9] in (1, 3)
            return (height, width) if common and 0 < height * width <= MAX_PIXELS else None
        if marker not in _TABLES:
            return None
        place += 2 + int.from_bytes(data[place + 2 : place + 4])
    return None


def decode_plain(data: bytes) -> ByteArray | None:
    """(height, width, 3) uint8 of a JPEG, as stored; None if it is broken."""
    decode = _torchvision_decoder()
    if decode is None:
        return None
    try:
        return decode(data)
    except RuntimeError:
        return None  # the general decoder has the words for it


@cache
def _torchvision_decoder() -> Callable[[bytes], ByteArray] | None:
    """None where torchvision has no decoders: built without, or of a time that has done with them.

    The operator itself is called. The function around it warns with every photograph that the
    decoders will go one day; until then they are what is fastest.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import torchvision.io  # noqa: F401, PLC0415 - slow; it makes the operators known
    operator = getattr(torch.ops.image, "decode_jpeg", None)
    if operator is None:
        return None

    def decode(data: bytes) -> ByteArray:
        source = torch.frombuffer(bytearray(data), dtype=torch.uint8)
        pixels: ByteArray = operator(source, _RGB).permute(1, 2, 0).numpy()
        return pixels

    return decode


def normalising_table(mean: Sequence[float], std: Sequence[float]) -> PixelArray:
    """(3, 256) float32, what each value of each channel becomes: `(value / 255 - mean) / std`.

    Every step is rounded to float32, as it is when whole photographs go through it.

    Args:
        mean: Per channel, in [0, 1].
        std: Per channel.
    """
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    shift = np.asarray(mean, dtype=np.float32)[:, np.newaxis]
    scale = np.asarray(std, dtype=np.float32)[:, np.newaxis]
    return (values - shift) / scale


@compiled
def normalise(pixels: ByteArray, table: PixelArray, target: PixelArray) -> None:
    """Look every value up.

    Args:
        pixels: (height, width, 3) uint8.
        table: (3, 256) float32, see `normalising_table`.
        target: (height, width, 3) float32, overwritten.
    """
    for y in range(pixels.shape[0]):
        for x in range(pixels.shape[1]):
            for channel in range(3):
                target[y, x, channel] = table[channel, pixels[y, x, channel]]


def look_up(pixels: Tensor, table: Tensor) -> Tensor:
    """The same on any device, bit for bit.

    Args:
        pixels: (n, height, width, 3) uint8.
        table: (3, 256) float32 on the same device.

    Returns:
        (n, 3, height, width) float32 in channels_last memory.
    """
    rows = 256 * torch.arange(3, dtype=torch.int32, device=pixels.device)
    places = (pixels.to(torch.int32) + rows).reshape(-1)
    return table.reshape(-1).index_select(0, places).reshape(pixels.shape).permute(0, 3, 1, 2)
