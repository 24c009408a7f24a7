"""Kappa, AC1, alpha against published examples, other people's programs and their limits."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conceptset.consistency.figures.chance import (
    cohen_kappa,
    coincidences,
    coincidences_of_two,
    fleiss_kappa,
    gwet_ac1,
    krippendorff_alpha,
    margins,
    margins_of_table,
    reason_undefined,
)

# Computed once: kappa by scikit-learn 1.9.1, AC1 by irrCAC 0.4.4, alpha by krippendorff 0.9.0.
TABLE = [[22, 3, 1, 0], [4, 31, 2, 5], [0, 6, 14, 2], [1, 0, 3, 9]]
KAPPA, AC1, ALPHA = 0.6330650481593878, 0.655994227399, 0.6346293484718464


def units_to_coincidences(units):
    """Krippendorff's o_cc and n_c as defined: each unit's ordered pairs weigh 1 / (m - 1)."""
    labels = sorted({value for unit in units for value in unit})
    same = dict.fromkeys(labels, 0.0)
    total = dict.fromkeys(labels, 0.0)
    for unit in units:
        for place, first in enumerate(unit):
            for other, second in enumerate(unit):
                if place != other:
                    total[first] += 1 / (len(unit) - 1)
                    same[first] += (first == second) / (len(unit) - 1)
    return coincidences(list(same.values()), list(total.values()))


def transposed(rows):
    """Values of each unit from the annotators' lines, `.` is a gap."""
    lines = [row.split() for row in rows]
    return [[value for value in unit if value != "."] for unit in zip(*lines, strict=True)]


def test_programs_of_others():
    table = margins_of_table(TABLE)
    assert cohen_kappa(table) == pytest.approx(KAPPA, abs=1e-12)
    assert gwet_ac1(table) == pytest.approx(AC1, abs=1e-11)
    assert krippendorff_alpha(coincidences_of_two(table)) == pytest.approx(ALPHA, abs=1e-12)


def test_gwets_paradox():
    """Gwet 2008: raters agree on 94 %, kappa says less than chance."""
    table = margins_of_table([[118, 5], [2, 0]])
    assert cohen_kappa(table) == pytest.approx(-0.0234, abs=5e-5)
    assert gwet_ac1(table) == pytest.approx(0.9408, abs=5e-5)


@pytest.mark.parametrize(
    ("rows", "alpha"),
    [
        # Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), examples A, B and C.
        (("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0"), 0.095),
        (("a a b b d c c c e d d a", "b a b b b c c c e d d d"), 0.692),
        (
            (
                "1 2 3 3 2 1 4 1 2 . . .",
                "1 2 3 3 2 2 4 1 2 5 . 3",
                ". 3 3 3 2 3 4 2 2 5 1 .",
                "1 2 3 3 2 4 4 1 2 5 1 .",
            ),
            0.743,
        ),
    ],
)
def test_krippendorffs_examples(rows, alpha):
    units = [unit for unit in transposed(rows) if len(unit) > 1]
    assert krippendorff_alpha(units_to_coincidences(units)) == pytest.approx(alpha, abs=6e-4)


def test_fleiss_example():
    """The table of ten subjects and fourteen raters of the textbooks; statsmodels: 0.209930704."""
    table = np.array(
        [
            [0, 0, 0, 0, 14],
            [0, 2, 6, 4, 2],
            [0, 0, 3, 5, 6],
            [0, 3, 9, 2, 0],
            [2, 2, 8, 1, 1],
            [7, 7, 0, 0, 0],
            [3, 2, 6, 3, 0],
            [2, 5, 3, 2, 2],
            [6, 5, 2, 1, 0],
            [0, 2, 2, 3, 7],
        ]
    )
    pairs = coincidences((table * (table - 1)).sum(axis=0) / 13, table.sum(axis=0))
    assert fleiss_kappa(pairs) == pytest.approx(0.20993070442195522, abs=1e-12)


two_raters = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=40)


@given(two_raters)
def test_kappa_is_scikit_learns(pairs):
    metrics = pytest.importorskip("sklearn.metrics", reason="oracle: pip install .[oracles]")
    table = np.zeros((4, 4))
    np.add.at(table, tuple(np.array(pairs).T), 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = metrics.cohen_kappa_score(*zip(*pairs, strict=True))
    ours = float(cohen_kappa(margins_of_table(table)))
    if len({label for pair in pairs for label in pair}) == 1:
        assert np.isnan(ours)
    else:
        assert ours == pytest.approx(theirs, abs=1e-12)


@given(
    st.lists(
        st.lists(st.sampled_from([0, 1, 2, None]), min_size=4, max_size=4),
        min_size=1,
        max_size=25,
    )
)
def test_alpha_is_krippendorffs(rows):
    oracle = pytest.importorskip("krippendorff", reason="oracle: pip install .[oracles]")
    units = [[value for value in row if value is not None] for row in rows]
    units = [unit for unit in units if len(unit) > 1]
    ours = float(krippendorff_alpha(units_to_coincidences(units)))
    if len({value for unit in units for value in unit}) < 2:
        assert np.isnan(ours)
        return
    data = np.array(rows, dtype=float).T  # None becomes NaN
    theirs = oracle.alpha(data, level_of_measurement="nominal", value_domain=[0, 1, 2])
    assert ours == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("table", [np.zeros((2, 2)), [[7, 0], [0, 0]], np.zeros((0, 0))])
def test_nothing_to_tell_from_chance(table):
    sums = margins_of_table(table)
    for figure in (
        cohen_kappa(sums),
        gwet_ac1(sums),
        krippendorff_alpha(coincidences_of_two(sums)),
    ):
        assert np.isnan(figure)
    assert reason_undefined(0) != reason_undefined(7)


def test_opposite_labels_are_defined():
    """pe = 0: each rater has one label, another one; kappa is 0, alpha below."""
    sums = margins_of_table([[0, 9], [0, 0]])
    assert cohen_kappa(sums) == 0
    assert krippendorff_alpha(coincidences_of_two(sums)) < 0


def test_nothing_cancels_where_one_label_dominates():
    """4 * 10^12 pixels of background: 1 - pe is 1e-12, the textbook form loses four digits."""
    sums = margins_of_table([[4 * 10**12, 1], [1, 1]])
    assert cohen_kappa(sums) == pytest.approx(0.5, abs=1e-11)
    assert krippendorff_alpha(coincidences_of_two(sums)) == pytest.approx(0.5, abs=1e-11)


def test_resamples_and_parts_of_labels():
    tables = np.random.default_rng(1).integers(0, 9, (5, 3, 3))
    whole = margins_of_table(tables)
    for which, table in enumerate(tables):
        assert cohen_kappa(whole)[which] == cohen_kappa(margins_of_table(table))
    diagonal, rows, columns = (
        np.diagonal(tables, axis1=1, axis2=2),
        tables.sum(axis=2),
        tables.sum(axis=1),
    )
    total = tables.sum(axis=(1, 2))
    parts = [
        margins(total, diagonal[:, part], rows[:, part], columns[:, part])
        for part in (slice(0, 2), slice(2, 3))
    ]
    for mine, theirs in zip(parts[0].plus(parts[1]), whole, strict=True):
        np.testing.assert_array_equal(mine, theirs)


@given(two_raters)
def test_limits_and_symmetry(pairs):
    table = np.zeros((4, 4))
    np.add.at(table, tuple(np.array(pairs).T), 1)
    sums, turned = margins_of_table(table), margins_of_table(table.T)
    for figure in (cohen_kappa, gwet_ac1, lambda t: krippendorff_alpha(coincidences_of_two(t))):
        value = figure(sums)
        np.testing.assert_allclose(value, figure(turned), atol=1e-12)
        assert not value > 1
        if sums.labels > 1:
            assert (value == 1) == (sums.same == sums.total)
