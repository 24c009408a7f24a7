"""A run in pieces: the same bytes however it is divided, and what does not belong together."""

from __future__ import annotations

import random
import shutil

import numpy as np
import pytest
import torch
from made_shards import HEAD, SECOND, STEM, TOKENS, WIDE, Sharded, write_network
from test_annotators_engine import build_scenes

import dissect.merging
import dissect.parts
import dissect.pilot
import dissect.scan
from conceptset.errors import (
    IncompleteError,
    LayoutError,
    SourceError,
    UsageError,
)
from dissect.errors import RunExistsError
from dissect.merging import merge_run
from dissect.rundir import claim
from dissect.shards import Shard, locked, parse_shard
from dissect.state import RunLayout, open_run

EVERY = (WIDE, STEM, SECOND, TOKENS, HEAD)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    """Nobody cuts the power; one thread."""
    monkeypatch.setattr("os.fsync", lambda _file: None)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """The network."""
    return write_network(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def mixed_set(tmp_path_factory, write_pictures, make_pictures, picture_type):
    """Eleven images whose label maps are of three sizes, smaller and larger than maps."""
    pictures = make_pictures(11, map_size=(16, 16))
    for place, size in ((1, (8, 12)), (2, (8, 12)), (6, (9, 16)), (9, (8, 12))):
        picture = pictures[place]
        maps = {
            name: [plane[: size[0], : size[1]] for plane in planes]
            for name, planes in picture.maps.items()
        }
        pictures[place] = picture_type(maps, picture.whole, (32, 32), size)
    return write_pictures(tmp_path_factory.mktemp("mixed") / "set", pictures)


@pytest.fixture(scope="module")
def benches(spec, small_set, mixed_set, tmp_path_factory):
    """Runs of several kinds by name."""
    given = {
        SECOND: np.linspace(0.01, 0.2, 9),
        WIDE: np.linspace(0.1, 0.5, 5, dtype=np.float32),
    }
    people = build_scenes(tmp_path_factory.mktemp("people"))
    annotators = {"annotators": ("ada", "ben", "ben#2", "net"), "batch_size": 3}
    return {
        "half-pixel": Sharded(mixed_set, spec, EVERY),
        "receptive-field": Sharded(
            mixed_set, spec, (WIDE, SECOND), options={"upsample": "receptive-field"}
        ),
        "given": Sharded(small_set, spec, (SECOND, WIDE), thresholds=given),
        "annotators": Sharded(people, spec, (WIDE, TOKENS), options=annotators),
    }


@pytest.fixture(scope="module")
def wholes(benches, files_of, tmp_path_factory):
    """What one process writes, by kind; each is made once."""
    made = {}

    def whole(kind):
        if kind not in made:
            out = tmp_path_factory.mktemp("whole") / "run"
            made[kind] = files_of(benches[kind].whole(out).root)
        return made[kind]

    return whole


@pytest.fixture
def bench(small_set, spec):
    """A run of one layer."""
    return Sharded(small_set, spec, (SECOND,))


def same(found, expected):
    """Whether two runs are equal; names what is not."""
    names = sorted(found.keys() | expected.keys())
    assert [name for name in names if found.get(name) != expected.get(name)] == []
    return True


@pytest.mark.parametrize(
    ("kind", "of"),
    [
        ("half-pixel", 2),
        ("half-pixel", 5),
        ("half-pixel", 9),
        ("receptive-field", 3),
        ("given", 3),
        ("annotators", 1),
        ("annotators", 3),
    ],
)
def test_shards_in_any_order(benches, wholes, files_of, tmp_path, kind, of):
    order = random.Random(of).sample(range(1, of + 1), of)
    outcome = benches[kind].merged(tmp_path / "run", of, order=order)
    assert same(files_of(outcome.root), wholes(kind))


@pytest.mark.parametrize("kind", ["half-pixel", "annotators"])
def test_passes_memory_threads_and_checkpoints(
    benches, wholes, files_of, tmp_path, monkeypatch, kind
):
    bench = benches[kind]
    monkeypatch.setattr(dissect.scan, "CHECKPOINT_SECONDS", 0)
    one = bench.whole(tmp_path / "one", max_memory=1, workers=3)
    two = bench.whole(tmp_path / "two", max_memory=1, passes=2)
    many = bench.merged(tmp_path / "many", 3, max_memory=1, passes=2, workers=1)
    for outcome in (one, two, many):
        assert same(files_of(outcome.root), wholes(kind))


def test_a_bound_that_all_shards_begin_with(benches, wholes, files_of, tmp_path, monkeypatch):
    bench, out = benches["half-pixel"], tmp_path / "run"
    monkeypatch.setattr(dissect.pilot, "PILOT_IMAGES", 6)
    monkeypatch.setattr(dissect.pilot, "_WORTHWHILE", 0.5)
    for number in (2, 1, 3):
        bench.shard(out, f"{number}/3")
        assert RunLayout(out).floors.is_file()
    assert same(files_of(merge_run(out).root), wholes("half-pixel"))


@pytest.mark.parametrize("passes", [1, 2])
def test_a_bound_that_is_too_high_is_found_out(
    benches, wholes, files_of, tmp_path, monkeypatch, passes
):
    bench, out = benches["half-pixel"], tmp_path / "run"
    monkeypatch.setattr(dissect.parts, "wants_pilot", lambda *_: True)
    seen = []

    def guess(_module, plan, *, distrusted, timings):
        seen.append(distrusted)
        floors = {}
        for layer in plan.layers:
            floor = np.full(layer.shape.units, -np.inf, dtype=np.float32)
            floor[[0, 2]] = 1e6  # nothing is above
            floor[list(distrusted.get(layer.shape.name, ()))] = -np.inf
            floors[layer.shape.name] = floor
        return floors

    monkeypatch.setattr(dissect.parts, "pilot_floors", guess)
    for number in (1, 2):
        bench.shard(out, f"{number}/2", passes=passes)
    with pytest.raises(IncompleteError, match="too high") as caught:
        merge_run(out)
    assert caught.value.exit_code == 4
    assert "each shard again" in str(caught.value)
    with pytest.raises(IncompleteError, match="2 of 2 shards are missing: 1/2, 2/2"):
        merge_run(out)
    for number in (2, 1):
        bench.shard(out, f"{number}/2", passes=passes)
    assert same(files_of(merge_run(out).root), wholes("half-pixel"))
    assert seen == [{}, {name: [0, 2] for name in EVERY}]


def test_what_merge_finds(bench, tmp_path, small_set):
    out = tmp_path / "run"
    for place in (out, small_set):
        with pytest.raises(SourceError, match="is no run with shards"):
            merge_run(place)
    bench.shard(out, "3/3")
    with pytest.raises(IncompleteError, match="2 of 3 shards are missing: 1/3, 2/3") as caught:
        merge_run(out)
    assert "--shard 1/3" in str(caught.value.hint)
    with pytest.raises(IncompleteError):
        open_run(out)
    bench.shard(out, "1/2")
    bench.shard(out, "1/3")
    with pytest.raises(IncompleteError, match="1 of 3 shards are missing: 2/3"):
        merge_run(out)
    bench.shard(out, "2/3")
    before = merge_run(out)
    assert not before.unchanged
    assert not RunLayout(out).shards.exists()
    assert merge_run(out).unchanged
    bench.shard(out, "1/3")  # of a complete run: nothing is begun
    assert not RunLayout(out).shards.exists()
    assert bench.whole(out).unchanged


def test_a_run_in_progress_of_one_process_has_no_shards(bench, tmp_path):
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        bench.whole(out, progress=stop_at("tally"))
    with pytest.raises(IncompleteError, match="no shard of it was scanned") as caught:
        merge_run(out)
    assert caught.value.exit_code == 4


def stop_at(stage, done=1):
    """Ctrl-C when so much of a stage is done."""

    def progress(name, number, _total):
        if (name, number) >= (stage, done) and name == stage:
            raise KeyboardInterrupt

    return progress


def test_a_set_that_was_moved_or_changed(bench, tmp_path, small_set):
    moved, out = tmp_path / "moved", tmp_path / "run"
    shutil.copytree(small_set, tmp_path / "set")
    bench.shard(out, "1/2", concept_set=tmp_path / "set")
    bench.shard(out, "2/2", concept_set=tmp_path / "set")
    (tmp_path / "set").rename(moved)
    with pytest.raises(SourceError, match="not where it was when the run was begun") as caught:
        merge_run(out)
    assert caught.value.exit_code == 3
    assert "--set SET" in str(caught.value)
    (moved / "images" / "src" / "p000_object_1.png").write_bytes(b"")
    with pytest.raises(SourceError, match="another set than the run was begun with"):
        merge_run(out, set_path=moved)
    shutil.rmtree(moved)
    shutil.copytree(small_set, moved)
    assert not merge_run(out, set_path=moved).unchanged


def other_weights(bench, folder, change):
    """A checkpoint of the network, with one weight changed or not."""
    from dissect.models import load_model

    folder.mkdir(exist_ok=True)
    state = load_model(bench.spec, mean=(0.5,) * 3, std=(0.2,) * 3).module.state_dict()
    state["head.bias"][0] += change
    torch.save(state, folder / f"{change}.pth")
    return str(folder / f"{change}.pth")


def test_shards_of_one_run_only(bench, tmp_path, build_set, make_pictures, files_of):
    out = tmp_path / "run"
    first = other_weights(bench, tmp_path / "a", 0)
    bench.shard(out, "1/2", weights=first)
    before = files_of(out)
    changes = [
        {"batch_size": 3},
        {"layers": (SECOND, HEAD)},
        {"quantile": "0.1"},
        {"weights": other_weights(bench, tmp_path / "b", 1)},
        {"concept_set": build_set(make_pictures(12))},
    ]
    for change in changes:
        with pytest.raises(RunExistsError, match="other options, another set") as caught:
            bench.shard(out, "2/2", **{"weights": first, **change})
        assert "remove the directory to start anew" in str(caught.value)
    with pytest.raises(UsageError, match="begun with --passes 1, this is --passes 2"):
        bench.shard(out, "2/2", weights=first, passes=2)
    assert files_of(out) == before
    # equal weights in another file are the same model, and what is loaded later
    other = other_weights(bench, tmp_path / "c", 0)
    shutil.rmtree(tmp_path / "a")
    bench.shard(out, "2/2", weights=other)
    assert not merge_run(out).unchanged


def test_the_weights_changed_before_the_second_pass(spec, small_set, tmp_path):
    bench = Sharded(small_set, spec, (WIDE,))
    file = other_weights(bench, tmp_path / "a", 0)
    for number in (1, 2):
        bench.shard(tmp_path / "run", f"{number}/2", weights=file)
    shutil.move(other_weights(bench, tmp_path / "a", 1), file)
    with pytest.raises(SourceError, match="other weights than when the run was begun"):
        merge_run(tmp_path / "run")


def test_two_at_once(bench, tmp_path, files_of):
    """Locks are held here as another process would: a second holder is told, and harms nothing."""
    out = tmp_path / "run"
    bench.shard(out, "1/2")
    layout = RunLayout(out)
    before = files_of(out)
    with locked(layout.lock, shared=True):  # a process scans a shard: others may, too
        with locked(layout.shards / "1-of-2" / "lock"):
            with pytest.raises(RunExistsError, match="at work on this shard"):
                bench.shard(out, "1/2")
            bench.shard(out, "2/2")
        for attempt in (lambda: merge_run(out), lambda: bench.whole(out)):
            with pytest.raises(RunExistsError, match="at work on this run"):
                attempt()
    with locked(layout.lock):  # a process works on the whole
        for attempt in (
            lambda: bench.shard(out, "1/2"),
            lambda: merge_run(out),
            lambda: bench.whole(out),
            lambda: bench.whole(out, overwrite=True),
            lambda: bench.whole(out, quantile="0.2", overwrite=True),
        ):
            with pytest.raises(RunExistsError, match="at work on this run"):
                attempt()
    assert before.items() <= files_of(out).items()
    assert not merge_run(out).unchanged


def test_a_run_that_another_process_has_just_finished(bench, tmp_path, files_of):
    out = tmp_path / "run"
    fingerprint = bench.whole(out).run.fingerprint
    before = files_of(out)
    with (
        pytest.raises(RunExistsError, match="has just written"),
        claim(out, fingerprint, overwrite=False),
    ):
        pytest.fail("a complete run is not claimed again")
    assert files_of(out) == before


def test_a_broken_shard_says_what_to_do(bench, tmp_path):
    out = tmp_path / "run"
    bench.shard(out, "1/2")
    bench.shard(out, "2/2")
    folder = RunLayout(out).shards / "1-of-2"
    file = min(folder.glob("layer-000/tiles-*.bin"))  # a slow machine checkpoints on the way
    file.write_bytes(file.read_bytes()[: -112 * 2])  # whole tiles are missing
    with pytest.raises(LayoutError, match="should have") as caught:
        merge_run(out)
    assert f"Remove the directory {folder}" in str(caught.value)
    (folder / "state.safetensors").write_bytes(b"x" * 100)
    with pytest.raises(LayoutError, match="cannot be read"):
        merge_run(out)
    shutil.rmtree(folder)
    bench.shard(out, "1/2")
    assert not merge_run(out).unchanged


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "1/0", "a/b", "1/9999999", "-1/2"])
def test_what_is_no_shard(text):
    with pytest.raises(UsageError, match="K/N with K from 1 to N"):
        parse_shard(text)


def test_shards_cover_every_batch_once():
    for total in range(12):
        for of in range(1, 15):
            ranges = [shard.batches(total) for shard in Shard.all(of)]
            assert [batch for one in ranges for batch in one] == list(range(total))
            assert max(map(len, ranges)) - min(map(len, ranges)) <= 1
