"""Stopped at any moment, a run goes on where it was: equal bytes, and nothing is done twice."""

from __future__ import annotations

import functools
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from made_shards import HEAD, SECOND, WIDE, Sharded, environment, run_options, write_network

import dissect.scan
from conceptset.errors import LayoutError
from dissect.activations import Recorder
from dissect.errors import ActivationError, LayerError
from dissect.merging import merge_run
from dissect.shards import ShardFolder
from dissect.state import RunLayout

BATCHES = 6
ONE = ["--workers", "1", "--quiet"]


class Killable:
    """The process that runs `dissect` and is killed."""

    def __init__(self, folder: Path) -> None:
        program = Path(__file__).with_name("killed_runs.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def ask(self, argv, *, kill_at=0, warm=False):
        """Run it once."""
        request = {"argv": list(map(str, argv)), "kill_at": kill_at, "warm": warm}
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, "the process that runs the program died"
        return json.loads(line)

    def close(self) -> None:
        """End it."""
        self._process.kill()  # it only waits for the next request
        self._process.communicate()


@pytest.fixture(scope="module")
def spec(tmp_path_factory):
    """The network."""
    return write_network(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def killable(spec, small_set, tmp_path_factory):
    """The process, with everything loaded that a run needs."""
    process = Killable(tmp_path_factory.mktemp("logs"))
    out = tmp_path_factory.mktemp("warm")
    for part in ("1/2", "2/2"):
        argv = run_options(spec, [SECOND], out / "parts", "--shard", part)
        assert process.ask(["run", small_set, *argv], warm=True)["code"] == 0
    assert process.ask(["merge", out / "parts", *ONE], warm=True)["code"] == 0
    yield process
    process.close()


@pytest.fixture(scope="module")
def whole(killable, spec, small_set, files_of, tmp_path_factory):
    """What an undisturbed run writes, and how many files it opens on the way."""
    out = tmp_path_factory.mktemp("whole") / "run"
    answer = killable.ask(["run", small_set, *run_options(spec, [SECOND, HEAD], out)])
    assert answer["code"] == 0, answer
    assert answer["passes"] == BATCHES
    return files_of(out), answer["opened"]


def checkpointed(out, folder):
    """The batch that is begun next, as the state on disk says; None if there is no run yet."""
    if not RunLayout(out).pending.is_file():
        return None
    fingerprint = json.loads(RunLayout(out).pending.read_text())["fingerprint"]
    state = ShardFolder(RunLayout(out).shards / folder, fingerprint).read()
    return None if state is None else state.batch


@pytest.mark.parametrize("seed", range(3))
def test_a_run_that_was_killed(killable, whole, spec, small_set, files_of, tmp_path, seed):
    expected, opened = whole
    out = tmp_path / "run"
    argv = ["run", small_set, *run_options(spec, [SECOND, HEAD], out)]
    place = random.Random(seed).randrange(opened * seed // 3, opened * (seed + 1) // 3)
    assert killable.ask(argv, kill_at=place + 1)["code"] == -9
    complete = RunLayout(out).manifest.is_file()
    left = checkpointed(out, "1-of-1")
    again = killable.ask(argv)
    assert again["code"] == 0, again
    assert files_of(out) == expected
    assert again["passes"] == (0 if complete else BATCHES - (left or 0))


@pytest.fixture(scope="module")
def parts(killable, spec, small_set, tmp_path_factory):
    """Two shards that were scanned."""
    out = tmp_path_factory.mktemp("parts") / "run"
    for part in ("1/2", "2/2"):
        argv = run_options(spec, [SECOND, HEAD], out, "--shard", part)
        answer = killable.ask(["run", small_set, *argv])
        assert answer["code"] == 0, answer
        assert answer["passes"] == BATCHES // 2
    return out, answer["opened"]


@pytest.mark.parametrize("seed", range(2))
def test_a_shard_that_was_killed(killable, whole, parts, spec, small_set, files_of, tmp_path, seed):
    out = tmp_path / "run"
    shutil.copytree(parts[0], out)
    shutil.rmtree(out / "shards" / "2-of-2")
    argv = ["run", small_set, *run_options(spec, [SECOND, HEAD], out, "--shard", "2/2")]
    place = random.Random(seed).randrange(parts[1] * seed // 2, parts[1] * (seed + 1) // 2)
    assert killable.ask(argv, kill_at=place + 1)["code"] == -9
    left = checkpointed(out, "2-of-2") or BATCHES // 2
    again = killable.ask(argv)
    assert again["code"] == 0, again
    assert again["passes"] == BATCHES - left
    merged = killable.ask(["merge", out, *ONE])
    assert (merged["code"], merged["passes"]) == (0, 0), merged
    assert files_of(out) == whole[0]


@pytest.mark.parametrize("seed", range(2))
def test_a_merge_that_was_killed(killable, whole, parts, files_of, tmp_path, seed):
    trial, out = tmp_path / "trial", tmp_path / "run"
    for copy in (trial, out):
        shutil.copytree(parts[0], copy)
    opened = killable.ask(["merge", trial, *ONE])["opened"]
    place = random.Random(seed).randrange(opened * seed // 2, opened * (seed + 1) // 2)
    assert killable.ask(["merge", out, *ONE], kill_at=place + 1)["code"] == -9
    again = killable.ask(["merge", out, *ONE])
    assert (again["code"], again["passes"]) == (0, 0), again
    assert files_of(out) == files_of(trial) == whole[0]


@pytest.fixture
def bench(small_set, spec):
    """A run of a layer that keeps tiles, and one that is scanned twice."""
    return Sharded(small_set, spec, (SECOND, WIDE))


@pytest.fixture
def stopped(bench, tmp_path, monkeypatch):
    """Stops runs at a batch, after the checkpoint of the one before."""
    monkeypatch.setattr(dissect.scan, "CHECKPOINT_SECONDS", 0)

    def stop(out, batch, **changes):
        passes, run = [], Recorder.run

        def counted(self, pixels):
            if len(passes) == batch:
                raise KeyboardInterrupt
            passes.append(1)
            return run(self, pixels)

        with monkeypatch.context() as patch:
            patch.setattr(Recorder, "run", counted)
            with pytest.raises(KeyboardInterrupt):
                bench.whole(tmp_path / out, **changes)
        return tmp_path / out

    return stop


@pytest.mark.parametrize(("first", "then"), [(1, 1), (2, 2), (1, 2), (2, 1)])
def test_another_number_of_passes_begins_anew(bench, stopped, files_of, tmp_path, first, then):
    """Tiles are no largest values: neither is taken for the other."""
    expected = files_of(bench.whole(tmp_path / "whole").root)
    out = stopped("run", 4, passes=first)
    seen = []
    outcome = bench.whole(
        out, passes=then, max_memory=1, progress=lambda stage, done, _: seen.append((stage, done))
    )
    assert files_of(outcome.root) == expected
    scanned = [done for stage, done in seen if stage == "forward pass"]
    assert scanned[0] == (10 if first == then else 2)


def test_checkpoints_are_of_this_run(bench, stopped, tmp_path):
    """What --overwrite starts anew does not begin with another run's checkpoints."""
    out = stopped("run", 4)
    seen = []
    bench.whole(out, overwrite=True, progress=lambda *step: seen.append(step))
    assert seen[0] == ("forward pass", 2, 11)


def test_a_file_that_a_checkpoint_names_is_cut_short(bench, stopped):
    """As after a power failure: told, not computed with."""
    out = stopped("run", 4)
    folder = out / "shards" / "1-of-1"
    file = max(folder.glob("layer-000/tiles-*.bin"))
    file.write_bytes(file.read_bytes()[: -file.stat().st_size // 2])
    with pytest.raises(LayoutError, match="should have") as caught:
        bench.whole(out)
    assert caught.value.exit_code == 3
    assert f"Remove the directory {folder}" in str(caught.value)
    shutil.rmtree(folder)
    assert not bench.whole(out).unchanged


def change_batch(number, change):
    """A hook that changes what a layer puts out for one batch, and nothing else."""
    calls = []

    def hook(module, _inputs, output):
        calls.extend([1] * torch.is_inference_mode_enabled())
        return change(output) if len(calls) == number + 1 else output

    return hook


def poisoned(value):
    """In one image: unit 3 at row 5, column 6, and unit 4 as well, which comes later."""

    def change(output):
        output = output.clone()
        output[1, 3, 5, 6] = output[1, 4, 0, 0] = value
        return output

    return change


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize(
    ("layer", "way"),
    [(SECOND, "tiles"), (SECOND, "values"), (WIDE, "again"), (SECOND, "shard"), (WIDE, "given")],
)
def test_an_activation_that_is_not_finite(spec, small_set, tmp_path, layer, way, value):
    bench = Sharded(small_set, spec, (layer,), thresholds=None)
    if way == "given":  # of a layer that is only looked at in the second pass
        bench.thresholds = {WIDE: np.full(5, 0.1)}
    bench.hooks = {layer: change_batch(0 if way == "shard" else 3, poisoned(value))}
    start = functools.partial(bench.whole, passes=2 if way == "values" else 1)
    if way == "shard":
        start = functools.partial(bench.shard, which="2/2")
    with pytest.raises(ActivationError) as caught:
        start(tmp_path / "run")
    assert caught.value.exit_code == 3
    text = str(caught.value)
    assert f"layer {layer} unit 3 on src/p007.png" in text
    assert f"row 5, column 6 is {value}, a finite number was expected" in text
    assert "Check the weights and the preprocessing" in text
    assert not RunLayout(tmp_path / "run").manifest.is_file()


def test_an_output_that_changes_its_shape(bench, tmp_path):
    bench.layers = (SECOND,)
    bench.hooks = {SECOND: change_batch(2, lambda output: output[..., :-1])}
    with pytest.raises(LayerError, match="not shaped as it was") as caught:
        bench.whole(tmp_path / "run")
    assert "layer second" in str(caught.value)
    assert caught.value.exit_code == 2


def test_where_time_went(bench, tmp_path):
    """Parts that are known, none negative, and together about the time of the whole."""
    bench.whole(tmp_path / "first")
    begin = time.perf_counter()
    timings = dict(bench.whole(tmp_path / "run").run.timings)
    wall = time.perf_counter() - begin
    assert timings.pop("peak_memory") > 1 << 20
    assert set(timings) == {
        "prepare", "load", "scan", "forward", "store", "thresholds", "tally", "write",
    }  # fmt: skip
    assert min(timings.values()) >= 0
    assert 0.5 * wall < sum(timings.values()) < wall
    for number in (1, 2):
        bench.shard(tmp_path / "parts", f"{number}/2")
    merged = merge_run(tmp_path / "parts").run.timings
    assert {"prepare", "model", "thresholds", "tally", "write"} <= set(merged)
