"""Figures from counts, against the definitions written as loops over images."""

from __future__ import annotations

import made_runs
import numpy as np
import pandas as pd
import pytest

from dissect.analysis import (
    SCORE_COLUMNS,
    Vocabulary,
    count_detectors,
    expect_intersection,
    format_frame,
    score_units,
    sum_counts,
    tally_table,
)
from dissect.counts import read_counts, write_counts

UNITS = 5
WORDS = Vocabulary(
    {1: "one", 2: "two", 3: "three", 4: "four", 9: "nine"},
    ("object", "part"),
    {1: "object", 2: "object", 3: "part", 4: "part", 9: "part"},
)
LABELS = [1, 2, 3, 4, 9]


def random_counts(seed, images=12):
    sizes = np.where(np.arange(images) % 3, 100, 64)
    rows = 2 * np.arange(images)  # a record may leave rows of the index out
    return made_runs.random_counts(  # the last unit is dead
        seed, labels=LABELS, units=UNITS - 1, chance=0.4, rows=rows, sizes=sizes
    )


def activation_plainly(counts, unit, category, union):
    total = 0
    for image, of_unit, size in counts.area.tolist():
        if of_unit != unit:
            continue
        if union == "annotated":
            labels = [label for i, label, _ in counts.truth.tolist() if i == image]
        else:
            labels = [n for i, u, n, _ in counts.intersection.tolist() if (i, u) == (image, unit)]
        if any(WORDS.primary[label] == category for label in labels):
            total += size
    return total


@pytest.mark.parametrize("union", ["annotated", "lite"])
@pytest.mark.parametrize("seed", range(4))
def test_scores_follow_the_definitions(seed, union):
    counts = random_counts(seed)
    pixels = dict(counts.pixels.tolist())
    totals = sum_counts(counts, WORDS, units=UNITS, union=union)
    expected = expect_intersection(counts, units=UNITS, labels=10)
    scores = score_units(totals, WORDS, expected, layer="l", iou_threshold=0.04)
    assert tuple(scores.columns) == SCORE_COLUMNS
    seen = set()
    for row in scores.to_dict("records"):
        unit, label = row["unit"], row["label_number"]
        seen.add((unit, label))
        shared = sum(n for _, u, k, n in counts.intersection.tolist() if (u, k) == (unit, label))
        truth = sum(n for _, k, n in counts.truth.tolist() if k == label)
        active = activation_plainly(counts, unit, WORDS.primary[label], union)
        chance = sum(
            size * n / pixels[image]
            for image, u, size in counts.area.tolist()
            for other, k, n in counts.truth.tolist()
            if u == unit and k == label and other == image
        )
        assert row["layer"] == "l"
        assert (row["concept"], row["category"]) == (WORDS.names[label], WORDS.primary[label])
        assert (row["intersection"], row["activation"], row["truth"]) == (shared, active, truth)
        assert row["iou"] == shared / (active + truth - shared)
        assert row["precision"] == shared / active
        assert row["recall"] == shared / truth
        assert row["f1"] == pytest.approx(2 * shared / (active + truth))
        assert row["size_ceiling"] == min(active, truth) / max(active, truth)
        assert row["lift"] == pytest.approx(shared / chance)
        assert row["detector"] == (row["rank"] == 1 and row["iou"] > 0.04)
    assert seen == {(u, k) for _, u, k, _ in counts.intersection.tolist()}
    for _, own in scores.groupby("unit"):
        order = [(-row.iou, row.label_number) for row in own.itertuples()]
        assert order == sorted(order)
        assert own["rank"].tolist() == list(range(1, len(own) + 1))


@pytest.mark.parametrize("threshold", [0.04, 0.2, 0.5])
def test_the_three_counts_of_unique_detectors(threshold):
    totals = sum_counts(random_counts(7), WORDS, units=UNITS, union="annotated")
    scores = score_units(totals, WORDS, np.ones((5, 10)), layer="l", iou_threshold=threshold)
    counts = count_detectors(scores, WORDS.categories, units=UNITS, iou_threshold=threshold)
    iou = totals.intersection / np.maximum(totals.union, 1)
    best = iou.argmax(axis=1)
    hits = [unit for unit in range(UNITS) if iou[unit, best[unit]] > threshold]
    assert counts.detectors == len(hits)
    assert counts.unique_concepts == len({best[unit] for unit in hits})
    total = 0
    for place, category in enumerate(WORDS.categories):
        own = np.where(totals.place == place, iou, 0)
        labels = {own[u].argmax() for u in range(UNITS) if own[u].max() > threshold}
        assert counts.categories[category].unique == len(labels)
        total += len(labels)
        mine = [u for u in hits if WORDS.primary[int(best[u])] == category]
        assert counts.categories[category].detectors == len(mine)
    assert counts.unique_by_category == total
    assert counts.detectors_share == len(hits) / UNITS


def test_the_peers_table_for_a_dead_unit():
    totals = sum_counts(random_counts(1), WORDS, units=UNITS, union="lite")
    table = tally_table(totals, WORDS)
    dead = table[table["unit"] == UNITS].iloc[0]
    assert (dead["category"], dead["label"], dead["score"]) == ("part", "", 0.0)
    assert (dead["object-label"], dead["object-truth"], dead["part-activation"]) == ("", 0.0, 0.0)
    assert table["score"].is_monotonic_decreasing
    assert list(table.columns)[:6] == [
        "unit",
        "category",
        "label",
        "score",
        "object-label",
        "object-truth",
    ]


def test_counts_come_back_and_equal_content_is_equal_bytes(tmp_path):
    counts = random_counts(3)
    for name in ("a", "b"):
        write_counts(tmp_path / name, counts, {"fingerprint": '{"a": 1}'})
    again = read_counts(tmp_path / "a")
    for field in ("intersection", "area", "truth", "pixels"):
        assert np.array_equal(getattr(again, field), getattr(counts, field))
        assert getattr(again, field).dtype == np.int64
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tables_are_written_with_shortest_floats():
    frame = pd.DataFrame(
        {"a": [0.1, 1e-7, 1 / 3], "b": ["x,y", "", 'q"'], "c": [True, False, True]}
    )
    assert format_frame(frame) == (
        b'a,b,c\n0.1,"x,y",True\n1e-07,,False\n0.3333333333333333,"q""",True\n'
    )
