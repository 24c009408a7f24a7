"""Whether a PNG holds the pixels that its header announces.

Decoders leave rows that are missing black and say nothing, as long as the compressed data ends
properly: a file that lies about its size would pass for an image that is empty below some row.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from conceptset.errors import ImageError
from conceptset.geometry import MAX_PIXELS

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_PASSES = (  # of an interlaced file: first column, first row, step across, step down
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
    (0, 1, 1, 2),
)  # fmt: skip
_PIECE = 1 << 20


def check_rows(data: bytes, *, name: str) -> None:
    """Refuse a PNG with less pixel data than its header announces.

    What is no PNG, and what announces more pixels than any image may have, is left to those who
    decode it.

    Args:
        data: The bytes of the file.
        name: What messages call it.

    Raises:
        ImageError: Rows are missing, or their data is broken.
    """
    chunks = _chunks(data)
    header = next(chunks, None)
    if header is None or header[0] != b"IHDR" or len(header[1]) != 13:
        return
    width, height, depth, kind, _, _, interlaced = struct.unpack(">IIBBBBB", header[1])
    if width * height > MAX_PIXELS or kind not in _CHANNELS:
        return
    bits = depth * _CHANNELS[kind]
    passes = _PASSES if interlaced else ((0, 0, 1, 1),)
    expected = sum(_bytes_of(width - x, height - y, dx, dy, bits) for x, y, dx, dy in passes)
    found = _inflated(chunks, expected, name)
    if found < expected:
        raise ImageError(
            f"holds {found:,} of the {expected:,} bytes of pixels that its header announces "
            f"({height} x {width}, height x width)",
            path=name,
        )


def _bytes_of(width: int, height: int, across: int, down: int, bits: int) -> int:
    """Bytes of the rows of one pass, each with the byte that names its filter."""
    columns, rows = max(0, -(-width // across)), max(0, -(-height // down))
    return rows * (1 + -(-columns * bits // 8)) if columns else 0


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Name and content of each chunk; what breaks off is given as far as it goes."""
    if not data.startswith(_SIGNATURE):
        return
    view, place = memoryview(data), len(_SIGNATURE)
    while place + 8 <= len(data):
        length, chunk = struct.unpack(">I4s", view[place : place + 8])
        yield chunk, view[place + 8 : place + 8 + length]
        place += 12 + length


def _inflated(chunks: Iterator[tuple[bytes, memoryview]], enough: int, name: str) -> int:
    """How many bytes of pixels there are, counted up to about `enough`."""
    inflate, found = zlib.decompressobj(), 0
    try:
        for chunk, content in chunks:
            waiting: bytes | memoryview = content if chunk == b"IDAT" else b""
            while waiting and found < enough and not inflate.eof:
                found += len(inflate.decompress(waiting, _PIECE))
                waiting = inflate.unconsumed_tail
    except zlib.error as error:
        raise ImageError(f"holds broken pixel data ({error})", path=name) from error
    return found
