"""Exact thresholds from a stream, whatever the order of work, memory, disk or shards."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_scans import cut_tiles, fill_store, paste, units_last

import dissect.store
from conceptset.errors import LayoutError
from dissect.mask_kernels import find_pairs
from dissect.scanning import Scanner, scan_maps
from dissect.store import StoredTiles, TileStore
from dissect.tails import TailStore
from dissect.team import Team
from dissect.thresholds import rank_of_threshold, select_thresholds
from dissect.tile_kernels import find_largest
from dissect.tiles import Tiling, as_float32

KINDS = [TileStore, TailStore]


def run_store(values, quantile="0.005", *, kind=TileStore, **options):
    """The store and the thresholds of (images, units, h, w)."""
    tiling = Tiling.single(values.shape[2:]) if kind is TailStore else None
    store = fill_store(values, Fraction(quantile), kind=kind, tiling=tiling, **options)
    store.compact()
    thresholds, known = select_thresholds([store.tail()], store.rank)
    assert known.all()
    return store, thresholds


def exact(values, quantile="0.005"):
    """numpy's answer; 1 - q is exact, because it is read from the decimal."""
    by_unit = values.transpose(1, 0, 2, 3).reshape(values.shape[1], -1)
    upper = float(1 - Fraction(quantile))
    return np.quantile(by_unit, upper, axis=1, method="inverted_cdf")


def check_store(store, values, thresholds):
    """Every cell that a pixel above the threshold can depend on is there, unchanged, in order."""
    rows = []
    tiles = StoredTiles([store])
    assert tiles.of(len(values)) is None
    for row in range(len(values)):
        chunk = tiles.of(row)
        if chunk is None:
            continue
        rows.append(row)
        assert np.all(chunk.rows == row)
        order = chunk.units.astype(np.int64) * store.tiling.tiles + chunk.tiles
        assert np.all(np.diff(order) > 0)
        starts = find_pairs(chunk.units)[:-1]
        maxima = np.maximum.reduceat(chunk.patches.max(axis=(1, 2)), starts)
        maps = paste(chunk, store.tiling)
        for unit, largest in zip(chunk.units[starts], maxima, strict=True):
            one, source = maps[row, int(unit)], values[row, unit]
            assert np.all(np.isnan(one) | (one == source))
            if source.max() > thresholds[unit]:
                assert largest == source.max()
    assert rows == sorted(rows)
    kept = {
        pair: one for chunk in store.chunks() for pair, one in paste(chunk, store.tiling).items()
    }
    height, width = values.shape[2:]
    for row, unit, y, x in np.argwhere(values > thresholds[:, None, None]).tolist():
        around = np.s_[max(y - 1, 0) : min(y + 2, height), max(x - 1, 0) : min(x + 2, width)]
        assert not np.isnan(kept[row, unit][around]).any()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("quantile", ["0.005", "0.01", "0.2", "0.5", "0.999"])
@pytest.mark.parametrize(("seed", "cells"), [(0, (5, 4)), (1, (9, 13)), (2, (1, 1)), (3, (6, 2))])
def test_equals_numpy(seed, cells, quantile, kind):
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.normal(size=(40, 6, *cells)), 0).astype(np.float32)
    values[:, 1] = 0.0
    values[:, 2] = 2.5
    values[:, 3] = rng.integers(0, 3, values[:, 3].shape)
    store, thresholds = run_store(values, quantile, kind=kind)
    assert thresholds.dtype == np.float32
    assert np.array_equal(thresholds, exact(values, quantile))
    if kind is TileStore:
        check_store(store, values, thresholds)


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=60),
    st.sampled_from(["0.005", "0.1", "0.25", "0.5", "0.9"]),
    st.integers(1, 5),
    st.sampled_from(KINDS),
)
def test_is_the_value_at_its_rank(numbers, quantile, batch, kind):
    values = np.array(numbers, np.float32).reshape(-1, 1, 1, 1)
    _, (threshold,) = run_store(values, quantile, batch=batch, kind=kind)
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
    assert list(store.chunks()) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("budget", [1, 2000])
def test_what_does_not_fit_goes_to_disk(tmp_path, budget, kind):
    rng = np.random.default_rng(5)
    values = rng.normal(size=(60, 5, 6, 6)).astype(np.float32)
    store, thresholds = run_store(values, "0.1", kind=kind, folder=tmp_path, budget=budget)
    assert np.array_equal(thresholds, exact(values, "0.1"))
    assert list(tmp_path.iterdir())
    if kind is TileStore:
        check_store(store, values, thresholds)
    store.flush()
    store.drop_stale()
    named = {tmp_path / name for name in store.record["files"]}
    assert named == set(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_another_process_goes_on(tmp_path, kind):
    values = np.random.default_rng(6).normal(size=(60, 5, 6, 6)).astype(np.float32)
    tiling = Tiling.single((6, 6)) if kind is TailStore else None
    options = {"kind": kind, "tiling": tiling, "samples": 60 * 36, "folder": tmp_path}
    first = fill_store(values[:33], Fraction("0.05"), **options)
    first.flush()
    second = fill_store(values[:0], Fraction("0.05"), **options)
    second.restore(**first.record, bound=first.bound, ties=first.ties)
    for start in range(33, 60, 9):
        rows = range(start, start + 9)
        chunk = cut_tiles(values[start : start + 9], second.bound, tiling=tiling, rows=rows)
        second.add(chunk)
    second.compact()
    thresholds, _ = select_thresholds([second.tail()], second.rank)
    assert np.array_equal(thresholds, exact(values, "0.05"))
    if kind is TileStore:
        check_store(second, values, thresholds)
    file = tmp_path / first.record["files"][0]
    file.write_bytes(file.read_bytes()[:-1])
    third = fill_store(values[:0], Fraction("0.05"), **options)
    with pytest.raises(LayoutError, match=r"bytes, .* expected"):
        third.restore(**first.record, bound=first.bound, ties=first.ties)
    file.unlink()
    with pytest.raises(LayoutError, match="is missing"):
        fill_store(values[:0], Fraction("0.05"), **options).restore(
            **first.record, bound=first.bound, ties=first.ties
        )


def test_selection_in_small_parts(monkeypatch):
    monkeypatch.setattr(dissect.store, "_SELECTION", 400)
    monkeypatch.setattr(dissect.store, "_SLICE", 7)
    values = np.random.default_rng(1).normal(size=(20, 7, 4, 4)).astype(np.float32)
    store, thresholds = run_store(values, "0.05")
    assert np.array_equal(thresholds, exact(values, "0.05"))
    check_store(store, values, thresholds)


def test_little_is_kept():
    values = np.random.default_rng(2).normal(size=(600, 4, 3, 3)).astype(np.float32)
    store, _ = run_store(values, "0.005", batch=8)
    assert store.peak < values.nbytes / 4
    assert store.stored < values.nbytes / 5


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_given_thresholds_stay_as_they_are(dtype):
    values = np.random.default_rng(3).normal(size=(10, 3, 2, 2)).astype(np.float32)
    given_ = np.array([0.1, 5.0, -9.0], dtype)
    store = fill_store(values, Fraction("0.005"), given=given_)
    check_store(store, values, given_)
    assert {unit for chunk in store.chunks() for unit in chunk.units.tolist()} == {0, 2}


def test_a_bound_in_single_precision_decides_as_in_double():
    numbers = np.random.default_rng(4).normal(size=1000)
    bound = as_float32(numbers)
    for step in (-1, 0, 1):
        near = numbers.astype(np.float32)
        for _ in range(abs(step)):
            near = np.nextafter(near, np.float32(step * np.inf))
        assert np.array_equal(near > bound, near.astype(np.float64) > numbers)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shards", [1, 2, 3, 7])
@pytest.mark.parametrize("guessed", [None, 0.02, 0.2])
def test_shards_find_what_one_process_finds(shards, guessed, kind):
    """Whether each begins with no bound, or with a guess that is a little below the threshold."""
    rng = np.random.default_rng(shards)
    values = np.maximum(rng.normal(size=(63, 5, 5, 7)), 0).astype(np.float32)
    values[:, 1] = 0.0
    values[:, 2] = rng.integers(0, 3, values[:, 2].shape)
    tiling = Tiling.single((5, 7)) if kind is TailStore else None
    floor = None if guessed is None else exact(values[::4], str(guessed)).astype(np.float32)
    tails = [
        fill_store(part, Fraction("0.01"), kind=kind, tiling=tiling, samples=63 * 35, floor=floor)
        for part in np.array_split(values, shards)
    ]
    for store in tails:
        store.compact()
    thresholds, known = select_thresholds([store.tail() for store in tails], tails[0].rank)
    assert known.all()
    assert np.array_equal(thresholds, exact(values, "0.01"))


def test_a_guess_that_was_too_high_is_found_out():
    values = np.random.default_rng(8).normal(size=(40, 4, 5, 5)).astype(np.float32)
    floor = exact(values, "0.02").astype(np.float32)
    floor[1] = exact(values, "0.001")[1]
    floor[2] = exact(values, "0.01")[2]  # the threshold itself: high enough, and not too high
    tails = [
        fill_store(part, Fraction("0.01"), samples=1000, floor=floor).tail()
        for part in np.array_split(values, 3)
    ]
    thresholds, known = select_thresholds(tails, rank_of_threshold(Fraction("0.01"), 1000))
    assert known.tolist() == [True, False, True, True]
    assert np.array_equal(thresholds[known], exact(values, "0.01")[known])


@given(
    st.sampled_from([(1, 1), (3, 5), (6, 6), (9, 4), (8, 13)]),
    st.integers(0, 2**32 - 1),
    st.floats(-1, 3),
)
def test_kernels_and_torch_cut_the_same_tiles(cells, seed, height):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(5, 4, *cells)).astype(np.float32)
    bound = rng.normal(height, 0.5, 4).astype(np.float32)
    for tiling in (Tiling.of(cells), Tiling.whole(cells), Tiling.single(cells)):
        ours = cut_tiles(values, bound, tiling=tiling)
        rows = np.arange(5, dtype=np.int32)
        maps, limits = torch.from_numpy(values), torch.from_numpy(bound)
        theirs = scan_maps(maps, tiling, rows, limits).chunk
        for name in ("rows", "units", "tiles", "patches"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
        above = {
            (image, unit, y // tiling.side[0] * tiling.count[1] + x // tiling.side[1])
            for image, unit, y, x in np.argwhere(values > bound[:, None, None]).tolist()
        }
        kept = set(zip(ours.rows.tolist(), ours.units.tolist(), ours.tiles.tolist(), strict=True))
        assert above <= kept


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_seen(strange):
    values = np.zeros((6, 3, 7, 7), np.float32)
    values[4, 1, 6, 2] = strange
    bound = np.full(3, 1, np.float32)
    tiling = Tiling.of((7, 7))
    rows = np.arange(6, dtype=np.int32)
    scanner = Scanner(tiling, 3, Team(2))
    assert scanner.scan(units_last(values), 0, rows, bound).bad == 4
    assert scanner.scan(units_last(values), 0, rows[:4], bound).bad == -1
    assert scan_maps(torch.from_numpy(values), tiling, rows, torch.from_numpy(bound)).bad == 4


def test_what_comes_before_the_map_is_left_out():
    """A class token, for instance."""
    values = np.random.default_rng(9).normal(size=(2, 4, 5, 6)).astype(np.float32)
    memory = np.concatenate([np.full((2, 3, 4), 99, np.float32), units_last(values)], axis=1)
    bound = np.zeros(4, np.float32)
    tiling = Tiling.of((5, 6))
    found = Scanner(tiling, 4, Team(2)).scan(memory, 3, np.arange(2, dtype=np.int32), bound)
    assert np.array_equal(found.chunk.patches, cut_tiles(values, bound).patches)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.sampled_from(["any", "few", "relu"]))
def test_the_largest_are_found_as_by_sorting(seed, number, kind):
    rng = np.random.default_rng(seed)
    values = rng.integers(0, 2**32, number, dtype=np.uint32).view(np.float32)  # of every size
    if kind == "few":
        values = rng.integers(-2, 3, number).astype(np.float32)
    elif kind == "relu":
        values = np.maximum(rng.normal(size=number), 0).astype(np.float32)
    values = values[~np.isnan(values)]
    ranked = np.sort(values)[::-1]
    for rank in {1, len(ranked) // 2, len(ranked)} - {0}:
        assert find_largest(values, rank) == ranked[rank - 1]
