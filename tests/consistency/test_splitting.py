"""Planted disagreements: each kind alone, then mixed, with numbers that were worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from pixel_reference import image as annotated
from pixel_reference import segment

from conceptset.consistency.counting.flattening import flatten
from conceptset.consistency.counting.image import CountSettings, count_image
from conceptset.consistency.counting.splitting import Kind, classify_pixels
from conceptset.consistency.material import Annotator

SETTING = CountSettings(tuple(map(Annotator, "ab")), ("object",), boundary=False)
SIZE = (10, 20)
CAR, TRUCK, TREE, LEAF = 1, 2, 3, 4


def box(top, left, height, width):
    mask = np.zeros(SIZE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def drew(*things):
    return tuple(segment(n, mask, concept) for n, (mask, concept) in enumerate(things))


def split(a, b, place=0):
    """(both unlabelled, same, naming, quantity, quality) and the row they come from."""
    row = count_image(annotated(SIZE, {0: drew(*a), 1: drew(*b)}), SETTING).compared[0]
    kinds = [int(row[kind][place]) for kind in ("naming", "quantity", "quality")]
    return (int(row["unlabelled"]), int(row["same"]), *kinds), row


def test_only_quality():
    """A car of 4 x 5, drawn one column further right: 16 shared, a column of 4 on either side."""
    figures, row = split([(box(2, 2, 4, 5), CAR)], [(box(2, 3, 4, 5), CAR)])
    assert figures == (200 - 24, 16, 0, 0, 8)
    assert (row["matches"][0], row["equal"][0], row["not_found_a"][0]) == (1, 1, 0)
    assert row["iou"][0] == 16 / 24


def test_only_naming():
    figures, row = split([(box(2, 2, 4, 5), CAR)], [(box(2, 2, 4, 5), TRUCK)])
    assert figures == (180, 0, 20, 0, 0)
    assert (row["matches"][0], row["equal"][0]) == (1, 0)


def test_only_quantity():
    """B has no tree; and of nothing that A has anything is missing elsewhere."""
    car = (box(2, 2, 4, 5), CAR)
    figures, row = split([car, (box(0, 10, 3, 3), TREE)], [car])
    assert figures == (200 - 29, 20, 0, 9, 0)
    assert (row["not_found_a"][0], row["not_found_b"][0]) == (1, 0)


def test_all_kinds_at_once():
    """A car drawn wider (8 pixels), a truck called a car (12), a tree left out (9)."""
    a = [(box(0, 0, 4, 5), CAR), (box(6, 0, 3, 4), TRUCK), (box(0, 10, 3, 3), TREE)]
    b = [(box(0, 0, 4, 7), CAR), (box(6, 0, 3, 4), CAR)]
    figures, row = split(a, b)
    assert figures == (200 - 20 - 8 - 12 - 9, 20, 12, 9, 8)
    assert (row["segments_a"], row["segments_b"], row["matches"][0]) == (3, 2, 2)
    assert (row["concepts_a"], row["concepts_b"], row["concepts_shared"]) == (3, 1, 1)


def test_naming_comes_before_quantity_and_only_where_both_labelled():
    """Matched and called differently: the ring that only A drew is quality, not naming."""
    figures, _ = split([(box(0, 0, 6, 6), CAR)], [(box(0, 0, 6, 5), TRUCK)])
    assert figures == (164, 0, 30, 0, 6)


def test_one_segment_drawn_as_two_is_found():
    """F2: each half lies within the whole, no IoU is above a half for both."""
    whole = [(box(0, 0, 4, 10), TREE)]
    halves = [(box(0, 0, 4, 5), TREE), (box(0, 5, 4, 5), TREE)]
    figures, row = split(whole, halves)
    assert figures == (160, 40, 0, 0, 0)
    assert (row["matches"][0], row["not_found_a"][0], row["not_found_b"][0]) == (0, 0, 0)
    # one half is left unpainted: the other is still the tree, what is missing is its extent
    assert split(whole, halves[:1])[0] == (160, 20, 0, 0, 20)


def test_a_region_called_otherwise_and_cut_differently_is_naming():
    """F3: A draws one bush of leaves, B five trees in the same place; no segment matches."""
    whole = [(box(0, 0, 4, 10), LEAF)]
    slices = [(box(0, 2 * n, 4, 2), TREE) for n in range(5)]
    figures, row = split(whole, slices)
    assert figures == (160, 0, 40, 0, 0)
    assert (row["matches"][0], row["not_found_a"][0], row["not_found_b"][0]) == (0, 0, 0)
    # beyond what both cover it is not left out, for it was found
    figures, _ = split(whole, slices[:4])
    assert figures == (160, 0, 32, 0, 8)


def test_comparisons_are_strict():
    """An IoU of exactly a half is no match, and half of a segment does not find it."""
    figures, row = split([(box(0, 0, 2, 4), CAR)], [(box(0, 0, 2, 2), TRUCK)])
    assert row["iou"][0] == 0
    assert figures == (192, 0, 0, 8, 0)
    half = split([(box(0, 0, 2, 4), CAR)], [(box(0, 2, 2, 4), CAR)])
    assert half[0] == (188, 4, 0, 8, 0)
    more = split([(box(0, 0, 2, 5), CAR)], [(box(0, 2, 2, 5), CAR)])
    assert more[0] == (186, 6, 0, 0, 8)


def test_the_threshold_decides_what_was_left_out():
    """IoU 8/20 = 0.4, overlap 8/14: at 0.25 a match, at 0.5 found by overlap, at 0.75 neither."""
    a, b = [(box(0, 0, 2, 7), CAR)], [(box(0, 3, 2, 7), CAR)]
    assert split(a, b, 0)[0] == (180, 8, 0, 0, 12)
    assert split(a, b, 1)[0] == (180, 8, 0, 0, 12)
    assert split(a, b, 2)[0] == (180, 8, 0, 12, 0)
    _, row = split(a, b)
    assert row["matches"].tolist() == [0, 1, 0]


def test_below_a_half_the_largest_total_is_taken():
    """The best pair, 6/14, would leave nobody for the other two, which are at 4/10 each."""
    long, short = (box(0, 0, 2, 10), CAR), (box(0, 10, 2, 4), CAR)
    first, second = (box(0, 0, 2, 4), CAR), (box(0, 4, 2, 10), CAR)
    _, row = split([long, short], [first, second])
    assert row["matches"].tolist() == [0, 2, 0]
    assert row["iou"].tolist() == [0, 0.8, 0]


def test_ignored_pixels_leave_every_count():
    """B ignores the right half of the car that only A drew: 10 pixels are left to disagree on."""
    ignore = segment(0, box(2, 4, 4, 16), CAR, kind="ignore")
    image = annotated(SIZE, {0: drew((box(2, 2, 4, 5), CAR)), 1: (ignore,)})
    row = count_image(image, SETTING).compared[0]
    assert (row["valid"], row["unlabelled"]) == (200 - 64, 200 - 64 - 8)
    assert row["quantity"][0] == 8
    layers = [flatten(segments, SIZE, "area") for segments in image.drawn.values()]
    kinds = classify_pixels(*layers)
    assert kinds.dtype == np.uint8
    assert np.count_nonzero(kinds == Kind.IGNORED) == 64
    np.testing.assert_array_equal(kinds == Kind.QUANTITY, box(2, 2, 4, 2))


@pytest.mark.parametrize("kind", ["region", "ignore"])
def test_what_is_painted_over_is_hidden(kind):
    """A small one under a later larger one only shows when overlaps go by order."""
    small, large = segment(0, box(2, 2, 2, 2)), segment(1, box(0, 0, 8, 8), TREE, kind=kind)
    by_area = flatten([small, large], SIZE, "area")
    by_order = flatten([small, large], SIZE, "order")
    assert (by_area.hidden, by_order.hidden) == (0, 1)
    assert by_area.orders.tolist()[:2] == [-1, 0]
    assert by_order.count == (1 if kind == "region" else 0)
    row = count_image(annotated(SIZE, {0: (small, large)}), SETTING).drawn[0]
    assert (row["hidden"], row["ignored"]) == (0, 0 if kind == "region" else 60)
