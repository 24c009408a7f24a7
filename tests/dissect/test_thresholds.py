"""Exact thresholds from a stream, whatever the order of work, memory or disk."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dissect.thresholds
from conceptset.errors import ConceptsetError
from dissect.thresholds import MapStore, rank_of_threshold


def run_store(values, quantile="0.005", *, batch=3, spill=None, budget=1 << 30, given=None):
    """Feed (images, units, h, w) through a store."""
    store = MapStore(
        units=values.shape[1],
        map_size=values.shape[2:],
        images=len(values),
        quantile=Fraction(quantile),
        spill=spill,
        budget=budget,
        given=given,
    )
    for start in range(0, len(values), batch):
        part = np.ascontiguousarray(values[start : start + batch])
        store.add(range(start, start + len(part)), torch.from_numpy(part))
    return store, store.finish()


def exact(values, quantile="0.005"):
    """numpy's answer; 1 - q is exact, because it is read from the decimal."""
    by_unit = values.transpose(1, 0, 2, 3).reshape(values.shape[1], -1)
    upper = float(1 - Fraction(quantile))
    return np.quantile(by_unit, upper, axis=1, method="inverted_cdf")


def check_store(store, values, thresholds):
    """Exactly the maps above the threshold can matter; they are there, unchanged and in order."""
    found = {}
    rows = []
    for chunk in store.images():
        row = int(chunk.rows[0])
        rows.append(row)
        assert np.all(chunk.rows == row)
        assert np.all(np.diff(chunk.units) > 0)
        for unit, one, largest in zip(chunk.units, chunk.maps, chunk.maxima, strict=True):
            assert largest == one.max()
            found[row, int(unit)] = one
    assert rows == sorted(rows)
    for row, unit in np.argwhere(values.max(axis=(2, 3)) > thresholds).tolist():
        assert np.array_equal(found[row, unit], values[row, unit])


@pytest.mark.parametrize("quantile", ["0.005", "0.01", "0.2", "0.5", "0.999"])
@pytest.mark.parametrize("seed", range(3))
def test_equals_numpy(seed, quantile):
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.normal(size=(40, 6, 5, 4)), 0).astype(np.float32)
    values[:, 1] = 0.0
    values[:, 2] = 2.5
    values[:, 3] = rng.integers(0, 3, values[:, 3].shape)
    store, thresholds = run_store(values, quantile)
    assert thresholds.dtype == np.float32
    assert np.array_equal(thresholds, exact(values, quantile))
    check_store(store, values, thresholds)


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=60),
    st.sampled_from(["0.005", "0.1", "0.25", "0.5", "0.9"]),
    st.integers(1, 5),
)
def test_is_the_value_at_its_rank(numbers, quantile, batch):
    values = np.array(numbers, np.float32).reshape(-1, 1, 1, 1)
    _, (threshold,) = run_store(values, quantile, batch=batch)
    rank = int(Fraction(quantile) * len(numbers)) + 1
    assert threshold == sorted(np.float32(numbers), reverse=True)[rank - 1]


def test_the_share_is_a_fraction_and_no_float():
    """0.1 * 30 is 3.0000000000000004 in floats of some ways to compute it; here it is 3."""
    assert rank_of_threshold(Fraction("0.1"), 30) == 4
    assert rank_of_threshold(Fraction("0.29"), 100) == 30  # int(0.29 * 100) is 28
    assert [rank_of_threshold(Fraction("0.005"), n) for n in (1, 199, 200, 400)] == [1, 1, 2, 3]


def test_zeros_of_both_signs_are_one_value():
    values = np.zeros((4, 1, 2, 2), np.float32)
    values[::2] = -0.0
    store, thresholds = run_store(values, "0.5")
    assert thresholds.tobytes() == np.zeros(1, np.float32).tobytes()
    assert list(store.images()) == []


@pytest.mark.parametrize("budget", [1, 2000, 20_000])
def test_what_does_not_fit_goes_to_disk(tmp_path, budget):
    rng = np.random.default_rng(5)
    values = rng.normal(size=(60, 5, 6, 6)).astype(np.float32)
    store, thresholds = run_store(values, "0.1", spill=tmp_path, budget=budget)
    assert np.array_equal(thresholds, exact(values, "0.1"))
    assert list(tmp_path.iterdir())
    check_store(store, values, thresholds)
    store.release()
    assert list(tmp_path.iterdir()) == []


def test_selection_in_small_parts(monkeypatch):
    monkeypatch.setattr(dissect.thresholds, "_SELECTION", 400)
    values = np.random.default_rng(1).normal(size=(20, 7, 4, 4)).astype(np.float32)
    _, thresholds = run_store(values, "0.05")
    assert np.array_equal(thresholds, exact(values, "0.05"))


def test_little_is_kept():
    values = np.random.default_rng(2).normal(size=(600, 4, 3, 3)).astype(np.float32)
    store, _ = run_store(values, "0.005", batch=8)
    assert store.peak < values.nbytes / 4
    assert store.stored < values.nbytes / 10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_given_thresholds_stay_as_they_are(dtype):
    values = np.random.default_rng(3).normal(size=(10, 3, 2, 2)).astype(np.float32)
    given_ = np.array([0.1, 5.0, -9.0], dtype)
    store, thresholds = run_store(values, given=given_)
    assert thresholds is given_
    check_store(store, values, thresholds)
    assert {unit for chunk in store.images() for unit in chunk.units.tolist()} == {0, 2}


def test_missing_images_are_noticed():
    store = MapStore(units=1, map_size=(1, 1), images=2, quantile=Fraction("0.5"))
    store.add([0], torch.zeros(1, 1, 1, 1))
    with pytest.raises(ConceptsetError, match="1 images too few"):
        store.finish()
