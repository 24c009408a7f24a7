"""Partition figures, against other people's programs and what is known of simple partitions."""

from __future__ import annotations

import numpy as np
import pytest
from pixel_reference import partition, segment

from conceptset.consistency.counting.flattening import flatten
from conceptset.consistency.counting.matching import meet
from conceptset.consistency.counting.overlay import overlay
from conceptset.consistency.counting.partition import partition_figures


def figures(a, b):
    """Of two segment maps; 0 is unlabelled."""
    flats = [
        flatten(
            [segment(n, m == value) for n, value in enumerate(np.unique(m[m > 0]))], m.shape, "area"
        )
        for m in (a, b)
    ]
    return partition_figures(meet(overlay(flats), (0, 1), flats[0].concepts, flats[1].concepts))


def tiles():
    rows, columns = np.mgrid[:40, :50]
    return (rows // 7 + 3 * (columns // 9)) % 5, ((rows + 2) // 8 + 2 * (columns // 7)) % 6


def test_against_scikit():
    """Computed once: scikit-image 0.26.0 variation_of_information (its two parts added, in bits),
    scikit-learn 1.9.1 rand_score (all pairs of pixels)."""
    found = figures(*tiles())
    assert found.vi == pytest.approx(4.631896476297131, abs=1e-12)
    assert found.rand == pytest.approx(0.7104042021010505, abs=1e-12)


def test_against_single_pixels():
    a, b = (m[:12, :15] for m in tiles())
    np.testing.assert_allclose(figures(a, b), partition(a, b), atol=1e-12)


def test_equal_partitions():
    a, _ = tiles()
    assert figures(a, a) == (1, 1, 1, 0, 0, 0)
    assert figures(a, np.choose(a, [3, 0, 2, 4, 1])) == (1, 1, 1, 0, 0, 0)


def test_a_refinement_is_consistent():
    """Halves cut in halves again: one bit more, no consistency error, halves half covered."""
    halves = np.repeat([[1, 2]], 4, axis=0).repeat(4, axis=1)
    quarters = halves + 2 * (np.arange(4) > 1)[:, None]
    found = figures(halves, quarters)
    assert (found.gce, found.lce) == (0, 0)
    assert found.vi == pytest.approx(1)
    assert (found.covering_a, found.covering_b) == (0.5, 0.5)
    # of 32 * 31 / 2 pairs those between the two quarters of a half differ: 2 * 8 * 8
    assert found.rand == pytest.approx(1 - 128 / 496)


def test_local_error_is_below_the_global_one_where_each_refines_the_other_in_places():
    a = np.array([[1, 1, 2, 3]])
    b = np.array([[1, 2, 3, 3]])
    found = figures(a, b)
    assert found.lce == 0
    assert found.gce == pytest.approx(0.25)


def test_one_pixel_has_no_pairs():
    found = figures(np.array([[1]]), np.array([[0]]))
    assert np.isnan(found.rand)
    assert found[:2] == (1, 1)
