"""PNG files whose header announces more pixels than there are, which decoders do not mind."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import ImageError
from conceptset.io.png import check_rows

MODES = {"1": (0, 1), "L": (0, 8), "P": (3, 8), "LA": (4, 8), "RGB": (2, 8), "RGBA": (6, 8)}


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bare(width, height, rows, *, kind=0, depth=8, interlaced=0, pieces=1):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced)
    packed = zlib.compress(rows)
    step = -(-len(packed) // pieces)
    parts = [packed[place : place + step] for place in range(0, len(packed), step)]
    body = b"".join(chunk(b"IDAT", part) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@given(
    st.sampled_from([*MODES, "I;16"]),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 2**32 - 1),
)
def test_what_pillow_writes_is_whole(mode, height, width, seed):
    values = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    if mode == "I;16":
        image = Image.fromarray(values.astype(np.uint16))
    else:
        image = Image.fromarray(values).convert(mode)
    stream = io.BytesIO()
    image.save(stream, "PNG")
    check_rows(stream.getvalue(), name="a.png")


@given(
    st.sampled_from([(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 4), (6, 8)]),
    st.integers(1, 20),
    st.integers(1, 20),
    st.booleans(),
    st.integers(1, 4),
)
def test_one_byte_short_is_refused(form, width, height, interlaced, pieces):
    """The number of bytes counted pixel by pixel, pass by pass."""
    kind, depth = form
    bits = depth * {0: 1, 2: 3, 3: 1, 6: 4}[kind]
    passes = {}  # pass and row: its pixels
    grid = ["16462646", "77777777", "56565656", "77777777"] * 2
    grid[4] = "36463646"
    for row in range(height):
        for column in range(width):
            which = grid[row % 8][column % 8] if interlaced else "1"
            passes[which, row] = passes.get((which, row), 0) + 1
    size = sum(1 + -(-pixels * bits // 8) for pixels in passes.values())
    options = {"kind": kind, "depth": depth, "interlaced": int(interlaced), "pieces": pieces}
    check_rows(bare(width, height, bytes(size), **options), name="a.png")
    check_rows(bare(width, height, bytes(size + 5), **options), name="a.png")
    with pytest.raises(ImageError, match=f"of the {size:,} bytes of pixels"):
        check_rows(bare(width, height, bytes(size - 1), **options), name="a.png")


def test_pillow_reads_interlaced_files_of_that_size():
    """That the count above is the format's own: a decoder takes the file and finds its pixels."""
    data = bare(1, 1, b"\0\xff", interlaced=1)
    with Image.open(io.BytesIO(data)) as image:
        assert np.asarray(image).tolist() == [[255]]
    check_rows(data, name="a.png")


def test_a_header_that_lies_is_seen_where_pillow_sees_nothing():
    data = bare(8, 6, b"\0" + b"\xff" * 8)
    with Image.open(io.BytesIO(data)) as image:
        assert np.asarray(image)[1:].max() == 0
    with pytest.raises(ImageError, match=r"holds 9 of the 54 bytes of pixels .* \(6 x 8"):
        check_rows(data, name="a.png")


def test_broken_data_is_refused():
    data = bytearray(bare(8, 6, bytes(54)))
    place = data.index(b"IDAT") + 4
    data[place : place + 4] = b"\xff\xff\xff\xff"
    with pytest.raises(ImageError, match="broken pixel data"):
        check_rows(bytes(data), name="a.png")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no image",
        b"\x89PNG\r\n\x1a\n",
        b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", b"x"),
        b"\xff\xd8",
    ],
)
def test_what_is_no_png_is_left_to_others(data):
    check_rows(data, name="a.png")


def test_a_bomb_is_left_to_others_without_inflating_it():
    check_rows(bare(60_000, 60_000, b""), name="a.png")
    large = bare(8, 6, bytes(30 << 20))  # 30 MB behind the 54 bytes that are needed
    check_rows(large, name="a.png")


@given(st.binary(max_size=300), st.integers(0, 200))
def test_any_bytes(junk, cut):
    data = bare(8, 6, bytes(54))
    for text in (junk, data[:cut] + junk, data[:cut] + junk + data[cut + len(junk) :]):
        try:
            check_rows(text, name="a.png")
        except ImageError as error:
            assert str(error).isprintable()  # noqa: PT017
