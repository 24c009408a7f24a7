"""The parts of the engine: regions, votes on regions, who takes part, rows on disk."""

from __future__ import annotations

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from conceptset.consensus import Votes, decide
from conceptset.errors import UsageError
from conceptset.layout.models import AnnotatorRow
from dissect import regions as regions_module
from dissect.hearing import _plane, _share_pixels
from dissect.leaving_out import Polled, choose_method, decide_together, decide_without
from dissect.regions import Statement, join_maps, weigh_labels
from dissect.row_spool import RowSpool
from dissect.rows import as_array
from dissect.voices import choose_annotators

SEEDS = st.integers(0, 2**32 - 1)


def random_maps(seed, count, size=(6, 7), labels=4):
    rng = np.random.default_rng(seed)
    shape = (count, *size)
    maps = rng.integers(0, labels, shape) * rng.integers(0, 2, shape)
    return [own.astype(np.uint16) for own in maps]


@settings(max_examples=20)
@given(SEEDS, st.integers(0, 5), st.sampled_from([3, 40_000]))
def test_regions_hold_every_map(seed, count, labels):
    maps = random_maps(seed, count, labels=labels)
    joined = join_maps(maps, (6, 7))
    for place, own in enumerate(maps):
        assert np.array_equal(joined.labels[:, place][joined.region], own)
    assert len({tuple(row) for row in joined.labels.tolist()}) == len(joined.labels)
    assert joined.areas.tolist() == np.bincount(joined.region.ravel()).tolist()


@pytest.mark.parametrize("labels", [2, 300, 1 << 16])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_regions_are_numbered_as_their_pixels_come(labels, count):
    """Up to as many regions as pixels: every table in between is outgrown."""
    rng = np.random.default_rng(labels)
    maps = [rng.integers(0, labels, (70, 50)).astype(np.uint16) for _ in range(count)]
    joined = join_maps(maps, (70, 50))
    pixels = np.stack([own.ravel() for own in maps], axis=1)
    rows, first, inverse, areas = np.unique(
        pixels, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    order = np.argsort(first)
    rank = np.argsort(order)
    assert np.array_equal(joined.labels, rows[order])
    assert np.array_equal(joined.areas, areas[order])
    assert np.array_equal(joined.region.ravel(), rank[inverse.ravel()])


def test_sparse_weights_say_the_same(monkeypatch):
    joined = join_maps(random_maps(5, 6), (6, 7))
    said = [Statement(joined.labels[:, :3], [9, 9, 2]), Statement(joined.labels[:, 2:], [])]
    dense = weigh_labels(joined, said)
    monkeypatch.setattr(regions_module, "_DENSE", 0)
    loose = weigh_labels(joined, said)
    assert isinstance(loose.weights, sparse.csr_array)
    assert np.array_equal(loose.weights.toarray(), dense.weights)
    assert loose.truth.tolist() == dense.truth.tolist()
    assert loose.starts == dense.starts
    shared = [_share_pixels(labels, (0, 1), 1).tolist() for labels in (dense, loose)]
    assert shared[0] == shared[1] != []


@pytest.mark.parametrize("method", ["majority", "plurality", "ignore-unlabelled"])
@settings(max_examples=20)
@given(seed=SEEDS, voters=st.integers(2, 6), kinds=st.integers(1, 3))
def test_votes_on_regions_are_votes_on_pixels(method, seed, voters, kinds):
    check_votes(method, seed, voters, kinds)


def test_votes_by_staple_too():
    check_votes("staple", 0, 4, 2)


def check_votes(method, seed, voters, kinds):
    """Votes cast region by region against votes on the pixels of everybody that is left."""
    rng = np.random.default_rng(seed)
    maps = random_maps(seed, voters * kinds)
    silent = [(rng.random((6, 7)) < 0.2).astype(np.uint16) for _ in range(voters)]
    joined = join_maps([*maps, *silent], (6, 7))
    labels = joined.labels[:, : voters * kinds].T.reshape(voters, kinds, -1).astype(np.int32)
    abstained = joined.labels[:, voters * kinds :].T.astype(bool)
    polled = Polled(labels, np.repeat(abstained[:, np.newaxis], kinds, axis=1))
    leave = list(range(voters))[::-1]
    without = decide_without(method, polled, joined, leave)
    together = decide_together(method, polled, joined)
    full = np.stack(maps).reshape(voters, kinds, 6, 7).astype(np.int32)
    for kind in range(kinds):
        votes = Votes(full[:, kind], np.stack(silent) > 0)
        assert np.array_equal(together[kind][joined.region], decide(method, votes).labels)
        for place, one in enumerate(leave):
            others = Votes(
                *(np.delete(part, one, axis=0) for part in (votes.labels, votes.abstained))
            )
            expected = decide(method, others).labels
            assert np.array_equal(without[place, kind][joined.region], expected)


def test_two_hundred_voters():
    """Everybody with an outline of their own, on maps of an ordinary size."""
    rng = np.random.default_rng(0)
    grid = np.indices((112, 112)).sum(axis=0)
    maps = [((grid > rng.integers(60, 160)) * rng.integers(1, 4)).astype(np.uint16)
            for _ in range(200)]  # fmt: skip
    begin = time.process_time()
    joined = join_maps(maps, (112, 112))
    labels = joined.labels.T[:, np.newaxis].astype(np.int32)
    polled = Polled(labels, np.zeros(labels.shape, dtype=bool))
    without = decide_without("majority", polled, joined, range(200))
    said = [Statement(joined.labels[:, [place]], []) for place in range(200)]
    said += [Statement(own.T, []) for own in without]
    weighed = weigh_labels(joined, said)
    shared = _share_pixels(weighed, tuple(range(1, 401)), 200)
    assert time.process_time() - begin < 20
    expected = decide("majority", Votes(np.stack(maps[1:]).astype(np.int32),
                                        np.zeros((199, 112, 112), dtype=bool))).labels  # fmt: skip
    assert np.array_equal(without[0, 0][joined.region], expected)
    for label, a, b, pixels in shared[:: len(shared) // 50].tolist():
        assert pixels == np.count_nonzero((maps[a] == label) & (maps[b] == label))


def test_which_method_decides_without_somebody():
    assert choose_method("staple").reason == choose_method("plurality").reason == ""
    for name, reason in [("dawid-skene", "segments"), ("segment-vote", "segments"), ("ada", "one")]:
        method = choose_method(name)
        assert (method.name, method.of_root) == ("majority", name)
        assert reason in method.reason


def rows(*people):
    return [
        AnnotatorRow(
            annotator=name, session=session, kind=kind, directory=f"d{place}", images=1, segments=1
        )
        for place, (name, session, kind) in enumerate(people)
    ]


ADA, BEN = ("ada", 1, "person"), ("ben", 1, "person")
ADA2, NET = ("ada", 2, "person"), ("net", 1, "model")


@pytest.mark.parametrize(
    ("people", "wanted", "chosen"),
    [
        ([ADA, BEN], None, [ADA, BEN]),
        ([ADA, ADA2, BEN, NET], None, [ADA, BEN, NET]),
        ([ADA, ADA2], None, []),
        ([ADA, NET], None, []),
        ([ADA, NET], ["all"], [ADA, NET]),
        ([ADA], ["all"], []),
        ([ADA], ["ada"], [ADA]),
        ([ADA2, BEN], None, [ADA2, BEN]),
        ([ADA, BEN], ["none"], []),
        ([ADA, BEN], [], []),
        ([ADA, ADA2, BEN], ["ben", "ada#2", "ben"], [ADA2, BEN]),
        ([ADA, ADA2, BEN], ["d1"], [ADA2]),
        ([("all", 1, "person"), BEN], ["all#1"], [("all", 1, "person")]),
        ([("", 1, "person"), BEN], ["d0"], [("", 1, "person")]),
        ([], None, []),
    ],
)
def test_who_takes_part(people, wanted, chosen):
    found = choose_annotators(rows(*people), wanted)
    assert [(row.annotator, row.session, row.kind) for row in found] == chosen


@pytest.mark.parametrize("name", ["eve", "ada#3", "", "all,none", "\x1b[2J"])
def test_who_is_not_known(name):
    with pytest.raises(UsageError) as caught:
        choose_annotators(rows(ADA, ADA2), [name])
    assert "ada, ada#2" in caught.value.hint
    assert "\x1b" not in str(caught.value)


def test_many_names_are_not_all_listed():
    with pytest.raises(UsageError, match="eve") as caught:
        choose_annotators(rows(*((f"p{n}", 1, "person") for n in range(30))), ["eve"])
    assert caught.value.hint.endswith("p19 and 10 more.")


@pytest.mark.parametrize("budget", [0, 100, 1 << 20])
def test_rows_come_back_in_order(tmp_path, budget):
    spool = RowSpool(width=2, folder=tmp_path / "rows", budget=budget)
    plain = RowSpool(width=2, folder=None, budget=0)
    for step in range(20):
        for table in (7, 3):
            part = np.arange(step % 4 * 2, dtype=np.int64).reshape(-1, 2) + 100 * step + table
            spool.add(table, part)
            plain.add(table, part)
    for table in (3, 7, 5):
        found = as_array(spool.take(table))
        assert found.dtype == np.int64
        assert found.tolist() == plain.take(table).tolist()
        assert spool.take(table).shape == (0, 2)
    assert list(tmp_path.rglob("*.i64")) == []


def test_planes_are_told_from_names_of_files():
    assert _plane("annotators/a/s/x_2_part.png", "part") == 1
    assert _plane("annotators/a/s/x_part_part_3.png", "part") == 3
    assert _plane("annotators/a/s/x_layer_2.png", "layer_2") == 1
