"""Bands and distances of matches, against plain erosion and every pair of outline pixels."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_reference import erode, painted, segment
from pixel_reference import image as annotated

from conceptset.consistency.counting import outlines
from conceptset.consistency.counting.boundaries import Boundaries, band_width, inner_bands
from conceptset.consistency.counting.flattening import flatten
from conceptset.consistency.counting.image import CountSettings, count_image
from conceptset.consistency.material import Annotator

PEOPLE = tuple(Annotator(name) for name in "ab")
SETTING = CountSettings(PEOPLE, ("object",), boundary=True)


def disc(size, centre, radius):
    rows, columns = np.ogrid[: size[0], : size[1]]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < radius**2


def outline(mask):
    """Pixels with one of four neighbours outside, the rim of the image being outside."""
    kept = set()
    for row, column in zip(*np.nonzero(mask), strict=True):
        around = [(row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)]
        inside = [
            0 <= r < mask.shape[0] and 0 <= c < mask.shape[1] and mask[r, c] for r, c in around
        ]
        if not all(inside):
            kept.add((int(row), int(column)))
    return kept


def mean_distance(one, other):
    """Every pixel to every other."""
    if not one or not other:
        return math.nan
    nearest = [
        min(math.dist(p, q) for q in theirs)
        for mine, theirs in ((one, other), (other, one))
        for p in mine
    ]
    return sum(nearest) / len(nearest)


@st.composite
def pairs(draw):
    """Two people who drew the same few blobs, and ignored this and that."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = (draw(st.integers(1, 60)), draw(st.integers(1, 60)))
    blobs = [(rng.uniform(0, size), rng.uniform(2, 25)) for _ in range(draw(st.integers(1, 3)))]
    drawn = {}
    for annotator in range(2):
        segments = []
        for order, (centre, radius) in enumerate(blobs):
            mask = disc(size, centre + rng.normal(0, 1.5, 2), radius + rng.normal(0, 1))
            mask &= rng.random(size) < rng.choice([1, 1, 0.98])
            segments.append(segment(order, mask))
        if rng.random() < 0.3:
            mask = disc(size, rng.uniform(0, size), rng.uniform(0, 15))
            segments.append(segment(9, mask, kind="ignore"))
        drawn[annotator] = tuple(segments)
    return annotated(size, drawn)


@given(image=pairs())
@settings(max_examples=25)
def test_matches_are_measured_over_valid_pixels(image):
    maps = [painted(image.drawn[n], image.size) for n in (0, 1)]
    valid = (maps[0] >= 0) & (maps[1] >= 0)
    for row in count_image(image, SETTING).matches:
        one, other = maps[0] == row["order_a"] + 1, maps[1] == row["order_b"] + 1
        bands = []
        for mask in (one, other):
            inner = mask
            for _ in range(band_width(image.size)):
                inner = erode(inner)
            bands.append(mask & ~inner & valid)
        assert row["band_shared"] == (bands[0] & bands[1]).sum()
        assert row["band_union"] == (bands[0] | bands[1]).sum()
        lines = [{p for p in outline(mask) if valid[p]} for mask in (one, other)]
        assert row["distance"] == pytest.approx(mean_distance(*lines), nan_ok=True)


@given(image=pairs())
@settings(max_examples=20)
def test_exchanging_the_two_changes_no_boundary(image):
    turned = annotated(image.size, {0: image.drawn[1], 1: image.drawn[0]})
    one, other = count_image(image, SETTING).matches, count_image(turned, SETTING).matches
    other = np.sort(other, order="order_b")
    for name in ("band_shared", "band_union", "distance"):
        np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("reach", ["near", "far"])
def test_outlines_that_lie_far_apart(reach, monkeypatch):
    if reach == "far":
        monkeypatch.setattr(outlines, "_TABLE", 0)
    one, other = np.zeros((90, 200), dtype=bool), np.zeros((90, 200), dtype=bool)
    one[:, :] = True
    other[:80, 20:] = True
    image = annotated(one.shape, {0: (segment(0, one),), 1: (segment(0, other),)})
    (row,) = count_image(image, SETTING).matches
    assert row["distance"] == pytest.approx(mean_distance(outline(one), outline(other)))


def test_bands_of_a_square_by_hand():
    """A square of 20 in an image of 100 x 100: the band is 3 wide, 20^2 - 14^2 pixels."""
    masks = [np.zeros((100, 100), dtype=bool) for _ in range(2)]
    masks[0][40:60, 40:60] = True
    masks[1][40:60, 41:61] = True
    drawn = {n: (segment(0, mask),) for n, mask in enumerate(masks)}
    (row,) = count_image(annotated((100, 100), drawn), SETTING).matches
    # side by side: the horizontal strips share 19 of 20 columns, upright ones 2 of 3 twice
    shared = 2 * 3 * 19 + 2 * 2 * 14
    assert (row["band_shared"], row["band_union"]) == (shared, 2 * (400 - 196) - shared)
    # of each outline's 76 pixels 20 + 18 lie on the other's; the outer upright side of 20 is 1 off,
    # as is the inner one but for its two ends
    assert row["distance"] == pytest.approx((20 + 18) / 76)


def test_a_mask_that_fills_the_image_has_a_band_along_its_rim():
    flat = flatten([segment(0, np.ones((50, 50), dtype=bool))], (50, 50), "area")
    bands = inner_bands(flat).segment_map()
    expected = np.ones((50, 50), dtype=int)
    expected[1:-1, 1:-1] = 0
    np.testing.assert_array_equal(bands, expected)


@pytest.mark.parametrize(("size", "width"), [((1, 1), 1), ((480, 640), 16), ((375, 500), 12)])
def test_width_of_the_band(size, width):
    """2 % of the diagonal: 800 and 625 pixels in the larger two."""
    assert band_width(size) == width


def test_outlines_are_only_measured_where_wanted():
    mask = disc((20, 20), (9, 9), 6)
    image = annotated((20, 20), {0: (segment(0, mask),), 1: (segment(0, mask),)})
    (row,) = count_image(image, CountSettings(PEOPLE, ("object",), boundary=False)).matches
    assert (row["band_shared"], row["band_union"]) == (-1, -1)
    assert np.isnan(row["distance"])
    (row,) = count_image(image, SETTING).matches
    assert row["band_shared"] == row["band_union"] > 0
    assert row["distance"] == 0


def test_searching_in_small_portions_finds_the_same(monkeypatch):
    size = (60, 80)
    masks = [disc(size, (30, 40), 20), disc(size, (33, 38), 19)]
    flats = {n: flatten([segment(0, mask)], size, "area") for n, mask in enumerate(masks)}
    one = (np.array([1]), np.array([1]))
    whole = Boundaries(flats).measure((0, 1), one)
    monkeypatch.setattr(outlines, "_AT_ONCE", 7)
    np.testing.assert_array_equal(Boundaries(flats).measure((0, 1), one), whole)


def test_many_regions_do_not_overflow_the_small_type(monkeypatch):
    """From 2^15 segments on a map needs four bytes a pixel."""
    rows, columns = 190, 180
    numbers = np.arange(rows * columns) + 1
    flat = outlines.Flat(
        (rows, columns),
        numbers,
        numbers,
        np.append(0, np.ones_like(numbers)),
        np.append(-1, numbers),
    )
    assert outlines.region_lines(flat).dtype == np.int32
    assert int(outlines.region_lines(flat).max()) == rows * columns
    pairs = list(itertools.islice(outlines.Outlines(flat).places(34_000), 3))
    assert len(pairs) == 1
