"""Intervals of IoUs: every resample is the same as scoring the images that were drawn."""

from __future__ import annotations

import time

import made_runs
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptset.consistency.intervals import percentile_interval
from dissect.analysis import (
    INTERVAL_COLUMNS,
    SCORE_COLUMNS,
    Vocabulary,
    add_intervals,
    expect_intersection,
    score_units,
    sum_counts,
)
from dissect.counts import Counts
from dissect.intervals import LayerSampler, Resamples, bound_ious, carrying
from dissect.percentiles import percentile_rows

UNITS = 5
WORDS = Vocabulary(
    {1: "one", 2: "two", 3: "three", 9: "nine"},
    ("object", "part"),
    {1: "object", 2: "object", 3: "part", 9: "part"},
)
LABELS = sorted(WORDS.names)


def random_counts(seed, images, *, dead=True):
    rows = 3 * np.arange(images) + 1  # a record may leave rows of the index out
    return made_runs.random_counts(
        seed, labels=LABELS, units=UNITS - dead, chance=0.5, rows=rows, sizes=np.full(images, 100)
    )


def draw_again(counts, times):
    """The counts of a set in which image i occurs times[i] times, each time under a new number."""
    parts, pixels = ([], [], []), []
    new = 0
    for (row, size), n in zip(counts.pixels.tolist(), times, strict=True):
        for _ in range(int(n)):
            for part, table in zip(
                parts, (counts.intersection, counts.area, counts.truth), strict=True
            ):
                own = table[table[:, 0] == row].copy()
                own[:, 0] = new
                part.append(own)
            pixels.append([new, size])
            new += 1
    return Counts(*(np.concatenate(part) for part in parts), np.array(pixels, np.int64))


def bound(counts, union, samples, threshold=0.04):
    carried = carrying(counts, WORDS.places(), 2, samples.rows)
    sampler = LayerSampler(counts, WORDS.places(), carried, samples, units=UNITS, union=union)
    return sampler, bound_ious(sampler, iou_threshold=threshold)


@pytest.mark.parametrize("union", ["annotated", "lite"])
@pytest.mark.parametrize("seed", range(3))
def test_a_resample_is_the_set_drawn_anew(seed, union):
    counts = random_counts(seed, 14)
    samples = Resamples.draw(counts.pixels[:, 0], resamples=60)
    sampler, bounds = bound(counts, union, samples, threshold=0.2)
    found = {one.unit: one for one in sampler}
    expected = np.full((UNITS, 10, 60), np.nan)
    winners = np.zeros((UNITS, 10))
    for draw in range(60):
        totals = sum_counts(
            draw_again(counts, samples.weights[:, draw]), WORDS, units=UNITS, union=union
        )
        with np.errstate(invalid="ignore"):
            iou = totals.intersection / totals.union
        for label in LABELS:
            expected[:, label, draw] = iou[:, label]
        for unit in range(UNITS):
            best = max(LABELS, key=lambda label: (np.nan_to_num(iou[unit, label]), -label))
            if iou[unit, best] > 0.2:
                winners[unit, best] += 1
    for unit, one in found.items():
        assert np.array_equal(one.iou, expected[unit, one.labels], equal_nan=True)
    carriers = {
        category: len(
            {i for i, label, _ in counts.truth.tolist() if WORDS.primary[label] == category}
        )
        for category in WORDS.categories
    }
    for unit, label, low, high, probability in zip(
        bounds.unit, bounds.label, bounds.low, bounds.high, bounds.probability, strict=True
    ):
        plain = percentile_interval(
            expected[unit, label], images=carriers[WORDS.primary[int(label)]]
        )
        assert [low, high] == pytest.approx([plain.low, plain.high], nan_ok=True, rel=1e-12)
        assert probability == winners[unit, label] / 60
    assert winners.sum() / 60 == pytest.approx(bounds.probability.sum())


def test_once_is_the_figure_itself():
    counts = random_counts(5, 12)
    sampler, _ = bound(counts, "annotated", Resamples.once(counts.pixels[:, 0]))
    totals = sum_counts(counts, WORDS, units=UNITS, union="annotated")
    for one in sampler:
        plain = totals.intersection[one.unit, one.labels] / totals.union[one.unit, one.labels]
        assert np.array_equal(one.iou[:, 0], plain)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([20, 100, 1000]), st.integers(5, 15))
def test_rows_have_the_intervals_of_single_figures(seed, resamples, images):
    rng = np.random.default_rng(seed)
    table = rng.choice([0.0, 0.1, 0.25, rng.random()], (6, resamples))
    table[rng.random(table.shape) < 0.03] = np.nan
    low, high = percentile_rows(table, np.full(6, images))
    for row in range(6):
        plain = percentile_interval(table[row], images=images)
        assert [low[row], high[row]] == pytest.approx([plain.low, plain.high], nan_ok=True)


def score(counts, samples, union="annotated", threshold=0.04):
    totals = sum_counts(counts, WORDS, units=UNITS, union=union)
    scores = score_units(
        totals,
        WORDS,
        expect_intersection(counts, units=UNITS, labels=10),
        layer="l",
        iou_threshold=threshold,
    )
    return add_intervals(
        scores, counts, WORDS, samples, units=UNITS, union=union, iou_threshold=threshold
    )


def test_columns_of_the_scores():
    counts = random_counts(3, 30)
    samples = Resamples.draw(counts.pixels[:, 0])
    scores = score(counts, samples, threshold=0.25)
    assert tuple(scores.columns) == SCORE_COLUMNS + INTERVAL_COLUMNS
    _, bounds = bound(counts, "annotated", samples, threshold=0.25)
    for row in scores.to_dict("records"):
        place = (bounds.unit == row["unit"]) & (bounds.label == row["label_number"])
        assert row["iou_low"] == bounds.low[place][0]
        assert row["iou_low"] <= row["iou"] <= row["iou_high"]
        assert row["detector_probability"] == bounds.probability[place][0]
    chances = scores.groupby("unit")["detector_probability"].sum()
    assert ((chances >= 0) & (chances <= 1 + 1e-12)).all()
    assert 0 < chances.min() < 1  # the threshold lies in the middle of things


def test_few_images_have_no_interval():
    counts = random_counts(3, 9)
    scores = score(counts, Resamples.draw(counts.pixels[:, 0]))
    assert scores[list(INTERVAL_COLUMNS)].isna().all(axis=None)
    counts = random_counts(3, 40)
    rare = np.isin(counts.truth[:, 1], [3, 9]) & (counts.truth[:, 0] > 20)
    few = counts.intersection[:, 0] <= 20
    shared = counts.intersection[few | ~np.isin(counts.intersection[:, 2], [3, 9])]
    counts = Counts(shared, counts.area, counts.truth[~rare], counts.pixels)
    scores = score(counts, Resamples.draw(counts.pixels[:, 0]))
    parts = scores["category"] == "part"  # on seven images
    assert scores.loc[parts, "iou_low"].isna().all()
    assert scores.loc[~parts, "iou_low"].notna().all()
    assert scores["detector_probability"].notna().all()


def test_another_index_is_drawn_with_the_same_resamples():
    counts = random_counts(3, 30)
    samples = Resamples.draw(counts.pixels[:, 0])
    some = counts.pixels[::2, 0]
    kept = [
        table[np.isin(table[:, 0], some)]
        for table in (counts.intersection, counts.area, counts.truth, counts.pixels)
    ]
    _, bounds = bound(Counts(*kept), "annotated", samples)
    _, own = bound(Counts(*kept), "annotated", Resamples(some, samples.weights[::2]))
    assert np.array_equal(bounds.low, own.low, equal_nan=True)
    with pytest.raises(ValueError, match="were not drawn from"):
        bound(counts, "annotated", Resamples(some, samples.weights[::2]))


def test_nothing_at_all():
    empty = Counts(*(np.empty((0, width), np.int64) for width in (4, 3, 3, 2)))
    _, bounds = bound(empty, "lite", Resamples.draw(np.empty(0, np.int64)))
    assert len(bounds.unit) == 0
    dead = Counts(*(np.empty((0, w), np.int64) for w in (4, 3, 3)), np.array([[0, 100]]))
    _, bounds = bound(dead, "annotated", Resamples.draw(np.array([0])))
    assert len(bounds.low) == 0


def test_a_thousand_resamples_of_a_layer_take_seconds():
    """A tenth of 512 units with 60 labels each on 1000 images; generous, for a busy machine."""
    rng = np.random.default_rng(0)
    images, units, labels = 1000, 50, 60
    cells = rng.random((images, units, labels)) < 0.02
    image, unit, label = np.nonzero(cells)
    shared = np.column_stack([image, unit, label + 1, rng.integers(1, 50, len(image))])
    image, unit = np.nonzero(cells.any(axis=2))
    area = np.column_stack([image, unit, rng.integers(100, 400, len(image))])
    image, label = np.nonzero(cells.any(axis=1))
    truth = np.column_stack([image, label + 1, rng.integers(100, 900, len(image))])
    counts = Counts(shared, area, truth, np.column_stack([np.arange(images), np.full(images, 1)]))
    place = np.zeros(labels + 1, np.int64)
    start = time.process_time()
    samples = Resamples.draw(np.arange(images))
    carried = carrying(counts, place, 1, samples.rows)
    sampler = LayerSampler(counts, place, carried, samples, units=units, union="annotated")
    bounds = bound_ious(sampler, iou_threshold=0.04)
    assert len(bounds.low) == units * labels
    assert time.process_time() - start < 4
