"""The plain kind of PNG that label maps are, decoded in one pass over its scanlines.

Most of an image's cost before its tally is the decoding of small PNGs, and most of that is not
the pixels. Files of one common kind (8 bit, grey or RGB, not interlaced, nothing but pixels
inside) are read here; whatever is of another kind, or is broken in any way, is left to the
general decoder, which also has the words for what is wrong.
"""

from __future__ import annotations

import struct
import zlib

import numpy as np
from numpy.typing import NDArray

from conceptset.geometry import MAX_PIXELS
from dissect.compiling import compiled

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")

ByteArray = NDArray[np.uint8]


def read_plain(data: bytes, size: tuple[int, int], *, grey: bool) -> NDArray[np.uint16] | None:
    """(height, width) uint16: R + 256 G of every pixel, or its grey.

    Args:
        data: The bytes of the file.
        size: (height, width) it should have.
        grey: The file should hold grey, else RGB.

    Returns:
        None if the file is not of the plain kind, of another size, or not whole.
    """
    compressed = _compressed(data, size, colour=0 if grey else 2)
    if compressed is None:
        return None
    channels = 1 if grey else 3
    expected = size[0] * (1 + size[1] * channels)
    inflate = zlib.decompressobj()
    try:
        rows = inflate.decompress(compressed, expected + 1)
    except zlib.error:
        return None
    if len(rows) != expected or not inflate.eof:
        return None
    codes = np.empty(size, dtype=np.uint16)
    scanlines = np.frombuffer(rows, dtype=np.uint8).reshape(size[0], -1)
    return codes if unfilter(scanlines, channels, codes) else None


def _compressed(data: bytes, size: tuple[int, int], *, colour: int) -> bytes | None:
    """The compressed scanlines; None unless every chunk is expected and whole."""
    if not data.startswith(_SIGNATURE):
        return None
    parts, place = [], len(_SIGNATURE)
    header = None
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4])
        end = place + 8 + length
        kind = data[place + 4 : place + 8]
        if zlib.crc32(data[place + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return None
        if kind == b"IHDR" and header is None and length == _HEADER.size:
            header = _HEADER.unpack(data[place + 8 : end])
        elif kind == b"IDAT" and header is not None:
            parts.append(data[place + 8 : end])
        elif kind == b"IEND":
            plain = header == (size[1], size[0], 8, colour, 0, 0, 0)
            return b"".join(parts) if plain and 0 < size[0] * size[1] <= MAX_PIXELS else None
        else:
            return None
        place = end + 4
    return None


@compiled
def unfilter(scanlines: ByteArray, channels: int, codes: NDArray[np.uint16]) -> bool:
    """Undo the filters of PNG (its specification, section 9) and join the channels.

    A channel is predicted from itself alone, so the third of RGB, which label maps leave empty,
    is not looked at. Zeros below zeros stay zeros under every filter: the second channel, which
    few sets need, costs one look at its bytes.

    Args:
        scanlines: (height, 1 + width * channels) uint8, each row led by the number of its filter.
        channels: 1 or 3 bytes a pixel.
        codes: (height, width) uint16, receives first + 256 second channel.

    Returns:
        Whether every filter is one that the specification knows.
    """
    height, width = codes.shape
    row = np.zeros((2, width), dtype=np.uint8)  # of each channel, the one above until it is done
    empty = np.ones(2, dtype=np.bool_)
    for y in range(height):
        kind = scanlines[y, 0]
        if kind > 4:
            return False
        for channel in range(min(channels, 2)):
            raw = scanlines[y, 1 + channel :: channels]
            if empty[channel]:
                seen = np.uint8(0)
                for x in range(width):
                    seen |= raw[x]
                empty[channel] = seen == 0
            if not empty[channel]:
                _unfilter_row(raw, kind, row[channel])
        for x in range(width):
            codes[y, x] = np.uint16(row[0, x]) | (np.uint16(row[1, x]) << 8)
    return True


@compiled
def _unfilter_row(raw: ByteArray, kind: int, row: ByteArray) -> None:
    """One channel of a row, in place of the same of the row above.

    Args:
        raw: (width,) uint8 as filtered; it may be longer.
        kind: The filter, 0 to 4.
        row: (width,) uint8, the row above; receives this one.
    """
    width = len(row)
    left = corner = np.int32(0)
    if kind == 0:
        for x in range(width):
            row[x] = raw[x]
    elif kind == 1:
        for x in range(width):
            left = (left + raw[x]) & 255
            row[x] = left
    elif kind == 2:
        for x in range(width):
            row[x] += raw[x]
    elif kind == 3:
        for x in range(width):
            left = (raw[x] + ((left + row[x]) >> 1)) & 255
            row[x] = left
    else:
        for x in range(width):
            above = np.int32(row[x])
            # of left, above and corner the one that is nearest to left + above - corner
            a, b, c = abs(above - corner), abs(left - corner), abs(left + above - 2 * corner)
            nearest = left if a <= b and a <= c else (above if b <= c else corner)
            left, corner = (nearest + raw[x]) & 255, above
            row[x] = left
