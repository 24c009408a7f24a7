"""Resamples, percentile intervals, medians in resamples, the jackknife."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from conceptset.consistency.figures.estimates import Estimate, ratio, to_figures
from conceptset.consistency.figures.resampling import Resamples, Values
from conceptset.consistency.intervals import (
    Interval,
    draw_resamples,
    jackknife,
    percentile_interval,
    percentile_intervals,
)


def test_resamples_are_the_same_whoever_asks():
    drawn = draw_resamples(17, resamples=50)
    assert drawn.dtype == np.float32
    np.testing.assert_array_equal(drawn.sum(axis=1), 17)
    np.testing.assert_array_equal(drawn, draw_resamples(17, resamples=50))
    assert not np.array_equal(drawn, draw_resamples(17, resamples=50, seed=1))
    ours = Resamples(17, resamples=50).totals(np.arange(17), np.eye(17))
    np.testing.assert_array_equal(ours[:, 1:], drawn.T)
    np.testing.assert_array_equal(ours[:, 0], 1)


def test_many_intervals_are_the_single_ones():
    rng = np.random.default_rng(3)
    estimates = rng.normal(size=(6, 400))
    estimates[1, :10] = np.nan  # 2.5 %: an interval of the rest
    estimates[2, :40] = np.nan  # 10 %: none
    estimates[3] = np.nan
    images = [50, 50, 50, 50, 9, 10]
    found = percentile_intervals(estimates, images=images)
    for interval, row, count in zip(found, estimates, images, strict=True):
        expected = percentile_interval(row, images=count)
        assert str(interval) == str(expected)
    assert [bool(interval.reason) for interval in found] == [False, False, True, True, True, False]
    assert found[2].reason == "undefined in 10% of the resamples"
    assert found[4].reason == "fewer than 10 images (9)"


def test_no_resamples():
    found = percentile_intervals(np.zeros((2, 0)), images=[50, 3])
    assert [interval.reason for interval in found] == [
        "no resamples were drawn",
        "fewer than 10 images (3)",
    ]
    assert percentile_intervals(np.zeros((0, 5)), images=[]) == []


def test_excluded_values():
    assert Interval(0.1, 0.2).excludes(0)
    assert not Interval(-0.1, 0.2).excludes(0)
    assert not Interval(np.nan, np.nan, "none").excludes(0)


def test_coverage_of_a_known_proportion():
    """95 % intervals of a share that is known hold it about 95 times in 100.

    600 sets of 80 images, whose pixels agree with probability 0.7; the standard deviation of the
    coverage is 0.009.
    """
    rng = np.random.default_rng(11)
    resamples = Resamples(80, resamples=400)
    sets = 600
    images = np.arange(80)
    pixels = rng.integers(20, 200, (80, sets))
    level = rng.beta(7, 3, (80, sets))  # images differ: mean 0.7
    agreeing = rng.binomial(pixels, level)
    shares = ratio(
        resamples.totals(images, agreeing.astype(float)),
        resamples.totals(images, pixels.astype(float)),
    )
    found = percentile_intervals(shares[:, 1:], images=[80] * sets)
    held = np.mean([not interval.excludes(0.7) for interval in found])
    assert 0.91 < held < 0.98


counted = st.lists(
    st.tuples(st.integers(0, 7), st.sampled_from([-1.5, 0.0, 0.0, 0.25, 2.0, 3.0])),
    min_size=0,
    max_size=60,
)


@settings(max_examples=60)
@given(counted, st.integers(0, 5))
def test_medians_are_numpys(pairs, seed):
    """Against numpy over the values written out, each as often as its image was drawn."""
    images = np.array([image for image, _ in pairs], dtype=np.int64)
    values = np.array([value for _, value in pairs], dtype=np.float64)
    ours = Resamples(8, resamples=30, seed=seed).medians([Values(images, values)])[0]
    drawn = draw_resamples(8, resamples=30, seed=seed).astype(int)
    for row, weights in zip(ours, np.vstack([np.ones((1, 8), int), drawn]), strict=True):
        written_out = np.repeat(values, weights[images])
        if len(written_out):
            assert row == np.median(written_out)
        else:
            assert np.isnan(row)


def test_medians_of_many_values():
    """Windows matter here: 20,000 values of 3,000 images, clustered, and one list of constants."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 3000, 20000)
    values = rng.normal(size=3000)[images] + 0.3 * rng.normal(size=20000)
    resamples = Resamples(3000, resamples=60)
    ours = resamples.medians(
        [Values(images, values), Values(images, np.ones(20000)), Values(images[:1], values[:1])]
    )
    for row, weights in enumerate(draw_resamples(3000, resamples=60).astype(int), start=1):
        assert ours[0, row] == np.median(np.repeat(values, weights[images]))
    assert (ours[1] == 1).all()
    assert np.isnan(ours[2]).any()


def test_a_median_beyond_the_window(monkeypatch):
    monkeypatch.setattr("conceptset.consistency.figures.resampling._WINDOW", 0.0)
    rng = np.random.default_rng(5)
    images = np.sort(rng.integers(0, 40, 4000))
    values = images + rng.random(4000)  # images far apart: medians stray
    ours = Resamples(40, resamples=50).medians([Values(images, values)])[0]
    for row, weights in zip(ours[1:], draw_resamples(40, resamples=50).astype(int), strict=True):
        assert row == np.median(np.repeat(values, weights[images]))


@given(st.permutations(range(12)), st.integers(0, 3))
def test_sums_do_not_depend_on_the_order(order, seed):
    """To the last bit, so that threads and BLAS libraries cannot change what is printed."""
    columns = np.random.default_rng(seed).normal(size=(12, 3)) * [1.0, 1e9, 1e-9]
    resamples = Resamples(12, resamples=20)
    places = np.array(order)
    one, two = resamples.totals(np.arange(12), columns), resamples.totals(places, columns[places])
    assert one[:, 1:].tobytes() == two[:, 1:].tobytes()
    plain = draw_resamples(12, resamples=20).astype(float) @ columns
    np.testing.assert_allclose(one[:, 1:].T, plain, rtol=1e-11, atol=1e-21)


def test_label_sums_dense_and_sparse():
    """Rows with a label on many images and on few go two ways; both are plain products."""
    rng = np.random.default_rng(2)
    table = np.where(rng.random((40, 300)) < np.linspace(0, 1, 40)[:, None] ** 3, 1.0, 0.0)
    table *= rng.integers(1, 10**6, table.shape)
    resamples = Resamples(300, resamples=70)
    ours = resamples.label_totals(sparse.csr_array(table))
    weights = np.vstack([np.ones((1, 300)), draw_resamples(300, resamples=70)])
    np.testing.assert_array_equal(ours, table @ weights.T)


def test_jackknife_by_hand():
    low, high, error = jackknife(np.array([0.5, 0.6, 0.7, 0.6, 0.6]))
    assert (low, high) == (0.5, 0.7)
    assert error == pytest.approx(np.sqrt(4 / 5 * 0.02))
    assert np.isnan(jackknife(np.array([0.5, 0.6, 0.7]))[2])
    assert np.isnan(jackknife(np.array([0.5, np.nan, 0.7])))[0]


def test_figures_say_why():
    images = np.arange(12)
    rows = np.linspace(0, 1, 101)
    found = to_figures(
        {
            "fine": Estimate(rows, images, ""),
            "few": Estimate(rows, images[:3], ""),
            "none": Estimate(np.full(101, np.nan), images, "no matched segments"),
        }
    )
    assert found["fine"].low is not None
    assert found["fine"].reason is None
    assert (found["few"].value, found["few"].low) == (0, None)
    assert found["few"].reason == "fewer than 10 images (3)"
    assert found["none"].value is None
    assert found["none"].reason == "no matched segments"
