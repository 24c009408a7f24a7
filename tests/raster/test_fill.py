"""The one filling rule, against exact arithmetic and against properties."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from conceptset.errors import ImageError
from conceptset.geometry import (
    Rings,
    Rle,
    bounding_box,
    decode_counts,
    encode_counts,
    mask_to_counts,
    ring_from,
    rle_from_counts,
    rle_to_mask,
)
from conceptset.raster import fill_rings, rasterize

SIZE = (9, 11)


def inside(ring, row, column):
    """Even-odd by exact fractions, one pixel at a time."""
    x, y = Fraction(2 * column + 1, 2), Fraction(2 * row + 1, 2)
    points = [(Fraction(a), Fraction(b)) for a, b in ring.tolist()]
    crossings = 0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        if min(y0, y1) <= y < max(y0, y1) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
            crossings += 1
    return crossings % 2 == 1


coordinates = st.one_of(
    st.integers(-6, 34).map(lambda value: value / 2),  # on pixel edges and centres
    st.floats(-20, 30, allow_nan=False).map(lambda value: round(value, 2)),
)
rings = st.lists(st.tuples(coordinates, coordinates), min_size=3, max_size=9).map(np.array)


@given(rings)
def test_fill_agrees_with_exact_arithmetic(ring):
    expected = [[inside(ring, row, column) for column in range(11)] for row in range(9)]
    actual = fill_rings(Rings((ring,)), SIZE)
    # a centre that lies on a slanted edge, to the last bit, may be rounded to either side
    differs = np.argwhere(actual != np.array(expected))
    for row, column in differs:
        assert on_an_edge(ring, row, column)


def on_an_edge(ring, row, column):
    x, y = column + 0.5, row + 0.5
    begin, end = ring, np.roll(ring, -1, axis=0)
    cross = (end[:, 0] - begin[:, 0]) * (y - begin[:, 1]) - (end[:, 1] - begin[:, 1]) * (
        x - begin[:, 0]
    )
    return np.abs(cross).min() < 1e-9


@given(rings, st.integers(0, 5), st.integers(0, 5))
def test_a_drawing_that_moves_by_whole_pixels_keeps_its_pixels(ring, down, right):
    halves = np.round(ring * 2) / 2  # exact in binary, so that moving does not round
    here = fill_rings(Rings((halves,)), (40, 40))
    there = fill_rings(Rings((halves + np.array([right, down]),)), (45, 45))
    assert (there[down : down + 40, right : right + 40] == here).all()


@given(rings, st.floats(0.1, 8))
def test_neighbours_share_no_pixel_and_leave_none_between(ring, cut):
    """A box cut by a slanted line: two polygons, one edge drawn in both directions."""
    left = np.array([[0, 0], [cut, 0], [cut + 2.3, 9], [0, 9]], dtype=float)
    right = np.array([[cut, 0], [11, 0], [11, 9], [cut + 2.3, 9]], dtype=float)
    a, b = fill_rings(Rings((left,)), SIZE), fill_rings(Rings((right,)), SIZE)
    assert not (a & b).any()
    assert (a | b).all()


@given(rings)
def test_direction_and_start_do_not_matter(ring):
    forward = fill_rings(Rings((ring,)), SIZE)
    backward = fill_rings(Rings((np.roll(ring[::-1], 2, axis=0),)), SIZE)
    assert (forward == backward).all()


def test_rules_for_several_rings():
    outer = np.array([[0, 0], [8, 0], [8, 8], [0, 8]], dtype=float)
    inner = outer / 2 + 2
    assert fill_rings(Rings((outer, inner)), (8, 8)).sum() == 64
    assert fill_rings(Rings((outer, inner), "even-odd"), (8, 8)).sum() == 64 - 16


@pytest.mark.parametrize("ring", [[[0, 0], [0, 0], [1, 1]], [[0, 0], [1, 1], [0, 0]], []])
def test_a_ring_needs_three_distinct_points(ring):
    assert ring_from(np.array(ring, dtype=float).reshape(-1, 2)) is None


def test_far_away_and_huge_rings_cost_nothing_and_fill_right():
    away = np.array([[1e6, 1e6], [2e6, 1e6], [2e6, 2e6]])
    around = np.array([[-1e7, -1e7], [1e7, -1e7], [1e7, 1e7], [-1e7, 1e7]])
    assert not fill_rings(Rings((away,)), SIZE).any()
    assert fill_rings(Rings((around,)), SIZE).all()


masks = st.tuples(st.integers(1, 20), st.integers(1, 20), st.integers(0, 2**32 - 1)).map(
    lambda t: np.random.default_rng(t[2]).random(t[:2]) < (t[2] % 10) / 9
)


@given(masks)
def test_run_lengths_agree_with_pycocotools(mask):
    theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))["counts"]
    counts = mask_to_counts(mask)
    assert encode_counts(counts) == theirs.decode()
    assert decode_counts(theirs).tolist() == counts.tolist()
    assert (rle_to_mask(rle_from_counts(mask.shape, counts)) == mask).all()


@given(st.binary(max_size=60))
def test_hostile_codes_are_refused_or_decoded(code):
    try:
        counts = decode_counts(code)
    except ValueError:
        return
    with pytest.raises(ValueError, match=r"run|add up"):
        rle_from_counts((3, 5000), np.append(counts, -1))


def test_a_mask_of_another_size_is_refused():
    with pytest.raises(ImageError, match="2 x 2 pixels"):
        rasterize(Rle((2, 2), np.array([4])), (2, 3))


@given(st.integers(0, 6), st.integers(0, 6), st.randoms(use_true_random=False))
def test_runs_of_a_bounding_box_are_those_of_the_whole(top, left, random):
    """Also where a full column runs on into the next one, and at every border."""
    mask = np.zeros((7, 8), dtype=bool)
    rows, columns = slice(top, top + random.randint(0, 7)), slice(left, left + random.randint(0, 8))
    mask[rows, columns] = random.random() < 0.5 or np.random.default_rng(left).random() < 0.7
    counts = mask_to_counts(mask)
    assert np.array_equal(mask_to_counts(mask, bounding_box(mask)), counts)
    assert np.array_equal(rle_to_mask(Rle((7, 8), counts)), mask)
    theirs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert encode_counts(counts) == theirs["counts"].decode()


def test_an_outline_that_crosses_a_pixel_row_very_often_keeps_its_parity():
    """Crossings are counted modulo 256."""
    turns = np.array([[0.25, 0.0], [0.3, 5.0]] * 257 + [[8.0, 5.0], [8.0, 0.0]])
    expected = [[inside(turns, row, column) for column in range(9)] for row in range(5)]
    assert fill_rings(Rings((turns,)), (5, 9)).tolist() == expected
