"""Images written as base64 text: what is decoded, what is refused, in how much memory."""

from __future__ import annotations

import base64
import io
import struct
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import ImageError, UnsafeError
from conceptset.io.png import check_rows
from conceptset.parsing import embedded
from conceptset.parsing.embedded import bytes_from, flags_from, suffix_of


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def bare_png(width, height, rows, depth=8):
    """A grey PNG whose header can say what it likes."""
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 9))
        + chunk(b"IEND", b"")
    )


@given(st.binary(min_size=1, max_size=200), st.sampled_from(["", "data:image/png;base64,"]))
def test_what_was_encoded_comes_back(data, head):
    text = base64.b64encode(data).decode()
    assert bytes_from(head + text) == data
    assert bytes_from(head + base64.encodebytes(data).decode()) == data


@pytest.mark.parametrize(
    ("value", "excerpt"),
    [
        (None, "is null, base64 text was expected"),
        (["YWI="], "is a list"),
        (3.5, "is 3.5"),
        ("", "is empty"),
        (" \n", "is empty"),
        ("YWI", "is no base64 (Incorrect padding)"),
        ("YWJ", "is no base64"),
        ("YW=I", "is no base64"),
        ("YWI=YWI=", "is no base64"),
        ("!!!!", "is no base64 (Only base64 data is allowed)"),
        ("ÄÖÜß", "is no base64"),
        ("\ud800", "is no base64"),
        ("data:image/png,YWI=", "is an address of data that is not base64"),
        ("data:;base64", "is an address of data that is not base64"),
    ],
)
def test_what_is_no_base64_is_refused(value, excerpt):
    with pytest.raises(ValueError, match=r"^is ") as caught:
        bytes_from(value)
    assert excerpt in str(caught.value)
    assert str(caught.value).isprintable()


def test_too_much_text_is_refused_unread(monkeypatch):
    monkeypatch.setattr(embedded, "MAX_ENCODED", 100)
    with pytest.raises(ValueError, match="has 101 characters, at most 100"):
        bytes_from("!" * 101)


@given(st.text(max_size=60))
def test_any_text_is_decoded_or_refused(text):
    try:
        assert isinstance(bytes_from(text), bytes)
    except ValueError as error:
        assert str(error).startswith("is ")  # noqa: PT017


@pytest.mark.parametrize(
    ("kind", "suffix"),
    [
        ("PNG", ".png"), ("JPEG", ".jpg"), ("TIFF", ".tif"), ("BMP", ".bmp"), ("WEBP", ".webp"),
        ("GIF", ".gif"), ("PPM", ".ppm"),
    ],
)  # fmt: skip
def test_suffixes(kind, suffix):
    assert suffix_of(saved(Image.new("L", (3, 2)), kind)) == suffix


def test_suffix_of_what_is_no_image():
    with pytest.raises(ImageError):
        suffix_of(b"no image")
    with pytest.raises(UnsafeError):
        suffix_of(bare_png(60_000, 60_000, b""))


@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 2**32 - 1))
def test_flags_are_the_values_that_are_not_zero(height, width, seed):
    values = np.random.default_rng(seed).integers(0, 3, (height, width)).astype(np.uint8)
    assert np.array_equal(flags_from(saved(Image.fromarray(values)), (9, 9)), values != 0)
    deep = Image.fromarray(values.astype(np.uint16) * 256)
    assert np.array_equal(flags_from(saved(deep), (9, 9)), values != 0)
    palette = Image.new("P", (width, height))
    palette.putpalette([9, 9, 9, 0, 0, 0, 255, 0, 0])  # the colours say nothing, the index does
    palette.putdata(values.ravel().tolist())
    assert np.array_equal(flags_from(saved(palette), (9, 9)), values != 0)


@pytest.mark.parametrize(
    ("data", "excerpt"),
    [
        (b"no image", "is not an image"),
        (b"", "is not an image"),
        (saved(Image.new("L", (3, 2)), "JPEG"), "is JPEG of mode L, a PNG of grey values"),
        (saved(Image.new("RGB", (3, 2))), "is PNG of mode RGB"),
        (saved(Image.new("RGBA", (3, 2))), "is PNG of mode RGBA"),
        (saved(Image.new("L", (3, 7))), "has 7 x 3 pixels (height x width), its image 6 x 8"),
        (saved(Image.new("L", (9, 2))), "has 2 x 9 pixels"),
        (saved(Image.effect_noise((8, 6), 50))[:-30], "bytes of pixels that its header"),
        (bare_png(8, 6, b"\0" * 9), "holds 9 of the 54 bytes of pixels"),
        (bare_png(8, 0, b""), "not an image"),
        (bare_png(60_000, 60_000, b""), "the header announces more than"),
    ],
)
def test_masks_that_are_refused(data, excerpt):
    with pytest.raises(ValueError, match=r"is|has|holds|header") as caught:
        flags_from(data, (6, 8))
    assert excerpt in str(caught.value)


def test_a_mask_larger_than_its_image_is_not_decoded():
    """8,000 x 8,000 pixels of nothing in 8 KB."""
    bomb = bare_png(8_000, 8_000, b"\0" * (1_001 * 8_000), depth=1)
    assert len(bomb) < 10_000
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="its image 6 x 8"):
            flags_from(bomb, (6, 8))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
    # what is refused is whole otherwise
    check_rows(bomb, name="bomb")
