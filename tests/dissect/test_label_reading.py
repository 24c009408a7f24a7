"""Label maps read without Pillow are what Pillow reads, and whatever is odd is left to it."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import ImageError
from conceptset.io.images import encode_flags, encode_label_map, read_codes
from conceptset.layout.reading import open_concept_set
from dissect.ahead import map_ahead
from dissect.hearing import hear_image
from dissect.labels import read_abstention, read_map
from dissect.scanlines import read_plain
from dissect.voices import Panel

SIZE = (6, 5)


def chunk(kind, content):
    return (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )


def write_png(scanlines, size=SIZE, *, depth=8, colour=2, interlaced=0, cuts=()):
    """A PNG whose compressed data is given and cut into several chunks."""
    header = struct.pack(">IIBBBBB", size[1], size[0], depth, colour, 0, 0, interlaced)
    data, cuts = zlib.compress(scanlines), sorted({0, *cuts})
    parts = [data[a:b] for a, b in zip(cuts, [*cuts[1:], None], strict=True)]
    body = b"".join(chunk(b"IDAT", part) for part in parts)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b"")


@settings(max_examples=200)
@given(st.data(), st.sampled_from([1, 3]))
def test_every_filter_as_pillow_undoes_it(data, channels):
    """Any bytes behind any filter are a valid image: most of them use all 16 bits."""
    height, width = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 9)))
    narrow = st.sampled_from([0, 0, 0, 1, 255])
    values = data.draw(st.sampled_from([st.integers(0, 255), narrow]))
    rows = [
        bytes([data.draw(st.integers(0, 4)), *data.draw(st.lists(
            values, min_size=width * channels, max_size=width * channels))])
        for _ in range(height)
    ]  # fmt: skip
    png = write_png(b"".join(rows), (height, width), colour=2 if channels == 3 else 0, cuts=(3, 9))
    found = read_plain(png, (height, width), grey=channels == 1)
    assert found is not None
    assert np.array_equal(found, read_codes("a.png", data=png) & 0xFFFF)


def test_maps_as_they_are_written():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.repeat(rng.integers(0, 1 << 15, (14, 28)), 8, axis=0), 4, axis=1)
    for values in (labels, labels & 255, np.zeros_like(labels), rng.permutation(labels)):
        found = read_plain(encode_label_map(values), (112, 112), grey=False)
        assert found.dtype == np.uint16
        assert np.array_equal(found, values)
    flags = labels > 1 << 14
    assert np.array_equal(read_plain(encode_flags(flags), (112, 112), grey=True), 255 * flags)


ROWS = b"".join(bytes([0, *range(15)]) for _ in range(6))
PLAIN = write_png(ROWS)
ODD = {
    "another size": write_png(ROWS[:-16], (5, 5)),
    "grey": write_png(b"\0" * 36, colour=0),
    "with opacity": write_png(b"\0" * 126, colour=6),
    "16 bits": write_png(b"\0" * 186, depth=16),
    "interlaced": write_png(b"\0" * 200, interlaced=1),
    "an unknown filter": write_png(b"\5" + ROWS[1:]),
    "a row too few": write_png(ROWS[:-16]),
    "a byte too many": write_png(ROWS + b"\0"),
    "a flipped bit": PLAIN[:50] + bytes([PLAIN[50] ^ 1]) + PLAIN[51:],
    "another chunk": PLAIN[:33] + chunk(b"gAMA", b"\0\0\xb1\x8f") + PLAIN[33:],
    "no end": PLAIN[:-12],
    "cut short": PLAIN[:60],
    "no header": PLAIN[:8] + PLAIN[33:],
    "two headers": PLAIN[:33] + PLAIN[8:],
    "a length beyond the end": PLAIN[:33] + b"\xff\xff\xff\xff" + PLAIN[37:],
    "no PNG": b"GIF89a" + PLAIN[6:],
    "nothing": b"",
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_left_to_the_general_decoder(name):
    assert read_plain(PLAIN, SIZE, grey=False) is not None
    assert read_plain(ODD[name], SIZE, grey=False) is None


def test_every_kind_of_map_ends_the_same(build_set, make_pictures):
    """Grey and palette files hold the same labels; defects are named as ever."""
    concept_set = open_concept_set(build_set(make_pictures(1)))
    entry = concept_set.entries[0]
    name = entry.cells["object"].maps[0]
    path = concept_set.file(name)
    expected = read_map(concept_set, name, (16, 16))
    assert 0 < expected.max() < 256
    grey = Image.fromarray(expected.astype(np.uint8))
    for image in (grey, grey.copy()):
        if image is not grey:
            image.putpalette([0, 0, 0] * 256)
        image.save(path)
        assert np.array_equal(read_map(concept_set, name, (16, 16)), expected)
    for mode in ("L", "RGB"):
        grey.convert(mode).save(path)
        found = read_abstention(concept_set, name, (16, 16))
        assert np.array_equal(found, expected != 0)
    Image.new("RGB", (16, 16), (0, 0, 7)).save(path)
    assert read_abstention(concept_set, name, (16, 16)).all()
    with pytest.raises(ImageError, match=r"is 16x16, the index says 16x17"):
        read_map(concept_set, name, (16, 17))
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(ImageError, match=r"set/images/src/p000_object_1\.png: cannot be decoded"):
        read_map(concept_set, name, (16, 16))
    path.unlink()
    with pytest.raises(ImageError, match=r"p000_object_1\.png: cannot be read \(No such file"):
        read_map(concept_set, name, (16, 16))


def test_images_heard_ahead_come_in_order(small_set):
    concept_set = open_concept_set(small_set)
    for workers in (1, 3):
        ahead = map_ahead(
            lambda entry: hear_image(concept_set, Panel(), entry, concept_set.categories),
            concept_set.entries,
            workers=workers,
        )
        for entry, heard in zip(concept_set.entries, ahead, strict=True):
            alone = hear_image(concept_set, Panel(), entry, concept_set.categories)
            assert np.array_equal(heard.labels.region, alone.labels.region)
            assert heard.labels.truth.tolist() == alone.labels.truth.tolist()
