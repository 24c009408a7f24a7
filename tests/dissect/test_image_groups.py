"""Many images: groups of them are drawn, counts are read by blocks, units are taken in parts."""

from __future__ import annotations

from importlib.resources import files

import made_runs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptset.consistency.intervals import draw_resamples
from dissect import intervals as intervals_module
from dissect import rows as rows_module
from dissect.analysis import Vocabulary, expect_intersection, sum_counts
from dissect.counts import Counts, open_counts, write_counts
from dissect.intervals import (
    GROUPS,
    MAX_IMAGES,
    LayerSampler,
    Resamples,
    bound_ious,
    carrying,
    draw_groups,
)
from dissect.percentiles import percentile_rows

UNITS = 5
WORDS = Vocabulary(
    {1: "one", 2: "two", 3: "three", 9: "nine"},
    ("object", "part"),
    {1: "object", 2: "object", 3: "part", 9: "part"},
)
PLACE = WORDS.places()


def random_counts(seed, images, *, units=UNITS - 1):
    return made_runs.random_counts(
        seed,
        labels=sorted(WORDS.names),
        units=units,
        chance=0.5,
        rows=2 * np.arange(images) + 5,
        sizes=np.where(np.arange(images) % 3, 100, 64),
    )


def sample(counts, samples, union="annotated", *, units=UNITS):
    carried = carrying(counts, PLACE, 2, samples.rows)
    return LayerSampler(counts, PLACE, carried, samples, units=units, union=union)


def equal(a, b):
    for x, y in zip(a, b, strict=True):
        assert x.unit == y.unit
        assert np.array_equal(x.labels, y.labels)
        assert np.array_equal(x.iou, y.iou, equal_nan=True)


@given(st.integers(1, 500), st.integers(1, 200))
def test_groups_are_as_large_as_one_another(images, groups):
    found = draw_groups(images, groups=groups)
    sizes = np.bincount(found, minlength=groups)
    assert len(found) == images
    assert sizes.max() - sizes.min() <= 1
    assert np.array_equal(found, draw_groups(images, groups=groups))


def test_groups_are_drawn_beyond_the_limit_only():
    few = Resamples.draw(np.arange(MAX_IMAGES), resamples=3)
    assert few.groups is None
    assert np.array_equal(few.weights.T, draw_resamples(MAX_IMAGES, resamples=3))
    many = Resamples.draw(7 * np.arange(MAX_IMAGES + 1), resamples=3)
    assert many.weights.shape == (GROUPS, 3)
    assert many.groups is not None
    assert len(many.groups) == MAX_IMAGES + 1
    assert np.ptp(many.groups[:50]) > GROUPS / 2  # neighbours are not in one group
    other = Resamples.draw(np.arange(MAX_IMAGES + 1), resamples=3)
    assert np.array_equal(many.groups, other.groups)  # by place, whatever the rows


@pytest.mark.parametrize("union", ["annotated", "lite"])
def test_a_group_is_drawn_as_its_images_together(union):
    counts = random_counts(3, 40)
    rows = counts.pixels[:, 0]
    weights = np.ascontiguousarray(draw_resamples(6, resamples=50).T)
    groups = draw_groups(40, groups=6)
    found = sample(counts, Resamples(rows, weights, groups), union)
    plain = sample(counts, Resamples(rows, weights[groups]), union)
    equal(found, plain)


def test_the_report_tells_of_groups():
    page = (files("dissect.report") / "templates" / "report.html").read_text(encoding="utf-8")
    assert f"Images (of more than {MAX_IMAGES}: {GROUPS} random groups of them) were drawn" in page


def test_intervals_from_groups_agree_with_those_from_images():
    """Deviations within 12 %, ends within 15 % of the width: four times what seeds differ by."""
    images = MAX_IMAGES + 2000
    rng = np.random.default_rng(7)
    rows, units = np.arange(images), 3
    there = rng.random((images, 4)) < [0.5, 0.3, 0.5, 0.02]  # the last label is rare
    truth = np.where(there, rng.gamma(2, 100, (images, 4)).astype(int) + 1, 0)
    area = rng.gamma(1, 80, (images, units)).astype(int)
    share = rng.random((images, units, 4)) * (there[:, None] * (1 + np.arange(units)[:, None]) / 4)
    shared = np.minimum(share * area[:, :, None], truth[:, None]).astype(int)

    def table(values):
        keys = np.nonzero(values)
        return np.column_stack([*keys, values[keys]])

    names = np.array([1, 2, 3, 9])
    counts = Counts(*map(table, (shared, area, truth)), np.column_stack([rows, 0 * rows + 9999]))
    counts.intersection[:, 2] = names[counts.intersection[:, 2]]
    counts.truth[:, 1] = names[counts.truth[:, 1]]
    plain = Resamples(rows, np.ascontiguousarray(draw_resamples(images, resamples=1000, seed=1).T))
    grouped = Resamples.draw(rows)
    assert grouped.groups is not None
    found, expected = [], []
    for samples, into in ((grouped, found), (plain, expected)):
        for one in sample(counts, samples, units=units):
            ends = np.array(percentile_rows(one.iou, np.full(len(one.iou), images)))
            into.append((one.iou.std(axis=1), *ends))
    deviation, low, high = np.concatenate(found, axis=1)
    deviation_by_images, low_by_images, high_by_images = np.concatenate(expected, axis=1)
    assert deviation == pytest.approx(deviation_by_images, rel=0.12)
    width = high_by_images - low_by_images
    assert (np.abs(low - low_by_images) < 0.15 * width).all()
    assert (np.abs(high - high_by_images) < 0.15 * width).all()


@pytest.mark.parametrize("union", ["annotated", "lite"])
def test_neither_blocks_nor_parts_nor_threads_can_be_seen(tmp_path, monkeypatch, union):
    counts = random_counts(4, 60)
    samples = Resamples.draw(counts.pixels[:, 0], resamples=80)
    whole = sample(counts, samples, union)
    bounds = bound_ious(whole, iou_threshold=0.1)
    totals = sum_counts(counts, WORDS, units=UNITS, union=union)
    expected = expect_intersection(counts, units=UNITS, labels=10)
    write_counts(tmp_path / "counts", counts, {})
    monkeypatch.setattr(rows_module, "BLOCK", 13)
    monkeypatch.setattr(intervals_module, "_ENTRIES", 70)
    monkeypatch.setattr("dissect.analysis._TABLES", 1)  # one size of label maps at a time
    for source in (counts, open_counts(tmp_path / "counts")):
        cut = sample(source, samples, union)
        assert len(cut.ranges()) > 2
        equal(cut, whole)
        again = bound_ious(cut, iou_threshold=0.1, workers=3)
        for name in ("unit", "label", "low", "high", "probability"):
            assert np.array_equal(getattr(again, name), getattr(bounds, name), equal_nan=True)
        found = sum_counts(source, WORDS, units=UNITS, union=union)
        for name in ("intersection", "activation", "truth"):
            assert np.array_equal(getattr(found, name), getattr(totals, name))
        assert np.array_equal(expect_intersection(source, units=UNITS, labels=10), expected)


@pytest.mark.parametrize("union", ["annotated", "lite"])
@pytest.mark.parametrize(("size", "most"), [(1, 1), (2**40, 1), (1, 30_000), (2**20, 9000)])
def test_large_images_and_images_drawn_often_are_exact(union, size, most):
    """Sums beyond 32 bits, by either cause."""
    counts = random_counts(5, 12)
    scaled = [
        table * ([1] * (table.shape[1] - 1) + [size])
        for table in (counts.intersection, counts.area, counts.truth, counts.pixels)
    ]
    rng = np.random.default_rng(0)
    weights = (most * rng.integers(0, 3, (12, 4))).astype(np.float32)
    carried = carrying(counts, PLACE, 2, counts.pixels[:, 0])
    for one in sample(Counts(*scaled), Resamples(counts.pixels[:, 0], weights), union):
        for label, found in zip(one.labels.tolist(), one.iou, strict=True):
            for draw in range(4):
                times = dict(zip(counts.pixels[:, 0].tolist(), weights[:, draw], strict=True))
                shared = [r for r in scaled[0].tolist() if r[1] == one.unit]
                both = sum(int(times[i]) * n for i, _, k, n in shared if k == label)
                truth = sum(int(times[i]) * n for i, k, n in scaled[2].tolist() if k == label)
                if union == "lite":
                    on = {i for i, _, k, _ in shared if PLACE[k] == PLACE[label]}
                else:
                    on = set(counts.pixels[carried[PLACE[label]], 0].tolist())
                active = sum(
                    int(times[i]) * n for i, u, n in scaled[1].tolist() if u == one.unit and i in on
                )
                either = active + truth - both
                assert found[draw] == (both / either) if either else np.isnan(found[draw])


def test_nobody_is_drawn_less_than_never():
    counts = random_counts(5, 12)
    for weight in (-1, 2**16):
        weights = np.full((12, 4), weight, np.float32)
        with pytest.raises(ValueError, match="65,535"):
            sample(counts, Resamples(counts.pixels[:, 0], weights))


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("intersection", [0, UNITS, 1, 4]),
        ("intersection", [0, -1, 1, 4]),
        ("intersection", [0, 0, 10, 4]),
        ("intersection", [0, 0, -1, 4]),
        ("area", [0, UNITS, 4]),
        ("area", [0, -1, 4]),
        ("truth", [0, 10, 4]),
    ],
)
def test_counts_of_what_is_not_known_are_refused(name, row):
    tables = {"intersection": [0, 0, 1, 4], "area": [0, 0, 4], "truth": [0, 1, 4], name: row}
    counts = Counts(**{k: np.array([v]) for k, v in tables.items()}, pixels=np.array([[0, 9]]))
    with pytest.raises(IndexError):
        sum_counts(counts, WORDS, units=UNITS, union="annotated")
    if name != "intersection":
        with pytest.raises(IndexError):
            expect_intersection(counts, units=UNITS, labels=10)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 3, 20, 90, 1000]), st.floats(0.2, 12))
def test_intervals_are_those_of_sorted_values(seed, resamples, tail):
    """Whatever the values look like: in heaps, far out, nearly equal, denormal."""
    rng = np.random.default_rng(seed)
    table = np.stack(
        [
            rng.random(resamples),
            rng.standard_normal(resamples) ** 3 * 10**tail,
            rng.choice([0.0, 0.1, 0.25], resamples),
            np.where(rng.random(resamples) < 0.97, 0.25, rng.random(resamples)),
            1 + rng.random(resamples) * 1e-15,
            rng.random(resamples) * 1e-310,
            np.concatenate([np.zeros(resamples // 2), rng.random(resamples - resamples // 2)]),
        ]
    )
    low, high = percentile_rows(table, np.full(len(table), 10))
    for found, share in ((low, (1 - 0.95) / 2), (high, (1 + 0.95) / 2)):
        place = share * (resamples - 1)
        ordered = np.sort(table, axis=1)
        below = ordered[:, int(place)]
        above = ordered[:, min(int(place) + 1, resamples - 1)]
        assert np.array_equal(found, below + (above - below) * (place - int(place)))
