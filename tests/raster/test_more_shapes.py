"""Ellipses, pieces, mask files and pasted patches, pixel by pixel against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from conceptset.errors import ImageError
from conceptset.geometry import (
    BinaryMask,
    CodedMask,
    Ellipse,
    Pierced,
    Rings,
    Rle,
    United,
    box_ring,
    mask_to_counts,
    rle_from_window,
    rle_to_mask,
)
from conceptset.raster import rasterize


def ellipse_by_hand(shape, size):
    """Turn every pixel centre back and ask the equation."""
    mask = np.zeros(size, dtype=bool)
    turn = math.radians(-shape.angle)
    for row in range(size[0]):
        for column in range(size[1]):
            dx, dy = column + 0.5 - shape.center[0], row + 0.5 - shape.center[1]
            x = dx * math.cos(turn) - dy * math.sin(turn)
            y = dx * math.sin(turn) + dy * math.cos(turn)
            mask[row, column] = (x / shape.radii[0]) ** 2 + (y / shape.radii[1]) ** 2 < 1
    return mask


@given(
    st.tuples(st.floats(-5, 25), st.floats(-5, 25)),
    st.tuples(st.floats(0.3, 15), st.floats(0.3, 15)),
    st.floats(-400, 400),
)
def test_an_ellipse_holds_the_centres_that_its_equation_says(center, radii, angle):
    shape = Ellipse(center, radii, angle)
    ours, theirs = rasterize(shape, (18, 22)), ellipse_by_hand(shape, (18, 22))
    assert np.count_nonzero(ours != theirs) <= 1  # a centre on the rim, to the last bit


def test_a_disc_has_the_area_of_a_disc():
    area = int(rasterize(Ellipse((100.0, 100.0), (80.0, 80.0)), (200, 200)).sum())
    assert area == pytest.approx(math.pi * 80**2, rel=0.001)


def test_a_quarter_turn_swaps_the_radii():
    turned = rasterize(Ellipse((10.0, 8.0), (6.0, 2.0), 90.0), (20, 20))
    assert np.array_equal(turned, rasterize(Ellipse((10.0, 8.0), (2.0, 6.0)), (20, 20)))


def test_a_turn_is_clockwise_as_seen():
    mask = rasterize(Ellipse((10.0, 10.0), (9.0, 1.5), 45.0), (20, 20))
    assert mask[14, 14]
    assert mask[5, 5]
    assert not mask[14, 5]


def test_pieces_are_united():
    left, right = Rings((box_ring(0, 0, 3, 4),)), Rings((box_ring(2, 0, 3, 4),))
    both = rasterize(United((left, right)), (4, 8))
    assert np.array_equal(both, rasterize(left, (4, 8)) | rasterize(right, (4, 8)))
    assert int(both.sum()) == 20


def test_what_was_taken_away_is_out(tmp_path):
    """A mask file, an ellipse and outlines as holes, against plain loops."""
    whole, corner = Rings((box_ring(1, 1, 8, 5),)), Rings((box_ring(0, 0, 3, 3),))
    disc = Ellipse((6.0, 4.0), (2.0, 2.0))
    Image.fromarray(np.eye(7, 10, dtype=np.uint8)).save(tmp_path / "eye.png")
    eye = CodedMask(tmp_path / "eye.png", 1, (7, 10))
    left = rasterize(Pierced(whole, (corner, disc, eye)), (7, 10))
    for row in range(7):
        for column in range(10):
            inside = 1 <= column < 9 and 1 <= row < 6
            gone = (row < 3 and column < 3) or row == column
            gone = gone or (column - 5.5) ** 2 + (row - 3.5) ** 2 < 4
            assert left[row, column] == (inside and not gone)
    back = rasterize(United((Pierced(whole, (disc,)), disc)), (7, 10))
    assert np.array_equal(back, rasterize(whole, (7, 10)) | rasterize(disc, (7, 10)))


@given(
    st.tuples(st.integers(1, 6), st.integers(1, 6)),
    st.tuples(st.integers(-8, 8), st.integers(-8, 8)),
    st.randoms(use_true_random=False),
)
def test_a_patch_lies_where_it_was_pasted(patch_size, corner, random):
    patch = np.array(
        [[random.random() < 0.5 for _ in range(patch_size[1])] for _ in range(patch_size[0])]
    )
    size = (5, 7)
    expected = np.zeros(size, dtype=bool)
    for row in range(patch_size[0]):
        for column in range(patch_size[1]):
            if 0 <= row + corner[0] < 5 and 0 <= column + corner[1] < 7:
                expected[row + corner[0], column + corner[1]] = patch[row, column]
    code = rle_from_window(patch, corner, size)
    assert code.size == size
    assert np.array_equal(rle_to_mask(code), expected)
    assert int(code.counts.sum()) == 35


def test_a_binary_mask_is_light_or_opaque(tmp_path):
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    light = rasterize(BinaryMask(tmp_path / "grey.png", "light", (16, 16)), (16, 16))
    assert np.array_equal(light, grey >= 128)
    image = Image.new("RGBA", (6, 4), (0, 0, 0, 0))
    ImageDraw.Draw(image).rectangle((1, 1, 2, 2), fill=(0, 0, 0, 1))
    image.save(tmp_path / "alpha.png")
    opaque = rasterize(BinaryMask(tmp_path / "alpha.png", "alpha", (4, 6)), (4, 6))
    assert np.argwhere(opaque).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "I;16"])
def test_black_and_white_is_read_in_every_mode(tmp_path, mode):
    flags = np.zeros((5, 5), dtype=bool)
    flags[1:4, 2] = True
    if mode == "I;16":
        image = Image.fromarray(np.where(flags, np.uint16(65535), np.uint16(0)))
    else:
        image = Image.fromarray(np.where(flags, np.uint8(255), np.uint8(0))).convert(mode)
    image.save(tmp_path / "mask.png")
    assert np.array_equal(
        rasterize(BinaryMask(tmp_path / "mask.png", "light", (5, 5)), (5, 5)), flags
    )


def test_a_mask_of_another_size_is_refused_unless_stretched(tmp_path):
    codes = np.array([[1, 2], [3, 4]], dtype=np.uint8)
    Image.fromarray(codes).save(tmp_path / "map.png")
    for shape in (
        CodedMask(tmp_path / "map.png", 3, (2, 2)),
        BinaryMask(tmp_path / "map.png", "light", (4, 6)),
    ):
        with pytest.raises(ImageError, match=r"2 x 2 pixels|4 x 6"):
            rasterize(shape, (4, 6))
    stretched = rasterize(CodedMask(tmp_path / "map.png", 3, (2, 2), is_stretched=True), (4, 6))
    expected = np.zeros((4, 6), dtype=bool)
    expected[2:, :3] = True
    assert np.array_equal(stretched, expected)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 30), st.integers(1, 30))
def test_stretching_takes_the_mask_pixel_below_each_centre(tmp_path_factory, mh, mw, h, w):
    codes = np.arange(1, mh * mw + 1, dtype=np.uint8).reshape(mh, mw)
    path = tmp_path_factory.mktemp("stretch") / "map.png"
    Image.fromarray(codes).save(path)
    for code in {1, mh * mw}:
        mask = rasterize(CodedMask(path, code, (mh, mw), is_stretched=True), (h, w))
        for row in range(h):
            for column in range(w):
                below = codes[(2 * row + 1) * mh // (2 * h), (2 * column + 1) * mw // (2 * w)]
                assert mask[row, column] == (below == code)


def test_runs_of_a_patch_are_those_of_the_whole():
    mask = np.zeros((6, 9), dtype=bool)
    mask[2:4, 3:8] = True
    code = rle_from_window(np.ones((2, 5), dtype=bool), (2, 3), (6, 9))
    assert np.array_equal(code.counts, mask_to_counts(mask))
    assert isinstance(code, Rle)
