"""A run on a cluster: the same bytes as one process, whatever ends on the way."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cluster_work as tasks
import numpy as np
import pytest
from watched_runs import IMAGES, LAYERS, Watched, build_scenes, files_of

import dissect.merging
import dissect.parts
from conceptset.errors import ClusterError, IncompleteError, UsageError
from conceptset.io.parallel import LocalEngine, Need
from dissect.errors import ActivationError, RunExistsError
from dissect.shards import locked
from dissect.state import RunLayout

ANNOTATORS = ("ada", "ben")


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """The set."""
    return build_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def expected(scenes, tmp_path_factory):
    """What one process makes of the layers and options."""
    made = {}

    def whole(**options):
        key = repr(options)
        if key not in made:
            folder = tmp_path_factory.mktemp("whole")
            Watched(folder).run(scenes, folder / "run", **options)
            made[key] = files_of(folder / "run")
        return made[key]

    return whole


@pytest.fixture
def watched(tmp_path):
    """Runs of the test's own."""
    return Watched(tmp_path)


def same(out, expected):
    """Whether two runs are equal; names what is not."""
    found = files_of(out)
    names = sorted(found.keys() | expected.keys())
    assert [name for name in names if found.get(name) != expected.get(name)] == []
    return True


def stop_at(stage, done=1):
    """Ctrl-C when so much of a stage is done."""

    def progress(name, number, _total):
        if (name, number) == (stage, done):
            raise KeyboardInterrupt

    return progress


@pytest.mark.slow
@pytest.mark.ray
def test_a_node_that_is_killed_while_it_scans(
    two_nodes, joined, watched, scenes, expected, tmp_path
):
    """Also a second pass, annotators, and that a killed scan goes on from its checkpoint."""
    watched.hold.touch()

    def kill():
        try:
            tasks.wait_for(watched.are_held(2))
            two_nodes.ask("kill")
        finally:
            watched.hold.unlink()

    killer = threading.Thread(target=kill)
    killer.start()
    with joined() as engine:
        watched.run(scenes, tmp_path / "run", engine=engine, annotators=ANNOTATORS)
        assert engine.retried >= 1
        tasks.wait_for(lambda: engine.size()[0] == 1)
    killer.join()
    assert same(tmp_path / "run", expected(annotators=ANNOTATORS))
    passes = 2
    assert sum(watched.calls().values()) == passes * IMAGES + 1  # the one that was under way


@pytest.mark.ray
def test_what_a_worker_finds_is_said_as_by_one_process(joined, watched, tmp_path):
    scenes = build_scenes(tmp_path, white=13)
    said = []
    with joined() as engine:
        for where in ({}, {"engine": engine, "shards": 3}):
            with pytest.raises(ActivationError) as caught:
                watched.run(scenes, tmp_path / "run", **where)
            said.append(str(caught.value))
    assert said[0] == said[1]
    assert caught.value.exit_code == 3
    assert (caught.value.layer, caught.value.unit) == ("wide", 0)
    assert caught.value.image.endswith(".png")
    assert "layer wide unit 0 on " in said[1]
    assert not RunLayout(tmp_path / "run").manifest.exists()


@pytest.mark.ray
def test_more_cores_than_any_node_has(joined, watched, scenes, tmp_path):
    with joined() as engine, pytest.raises(ClusterError, match=r"has 3 cores\. --threads says"):
        watched.run(scenes, tmp_path / "run", engine=engine, threads=3)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.ray
def test_ctrl_c_and_the_same_command_again(cluster, joined, watched, scenes, expected, tmp_path):
    """On the cluster again, while a scan that ended late still has its shard; or without it."""
    watched.hold.touch()
    out = tmp_path / "run"
    command = ["run", str(scenes), "--model", watched.model, "--layers", ",".join(LAYERS)]
    command += ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2", "--device", "cpu"]
    command += ["--threads", "1", "--batch-size", "1", "--quantile", "0.05", "--top-images", "2"]
    command += ["--out", str(out)]
    command += ["--engine", "ray", "--address", cluster.address]
    process = subprocess.Popen(
        [sys.executable, "-m", "dissect", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        tasks.wait_for(watched.are_held(1))
        os.killpg(process.pid, signal.SIGINT)
        told, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert told == ""
    assert said.splitlines()[-1] == "interrupted"
    tasks.wait_for(lambda: not any(map(lives, watched.calls())))
    assert [pid for pid in watched.calls() if lives(pid)] == []
    watched.hold.unlink()
    shutil.copytree(out, tmp_path / "copy" / "run")
    watched.run(scenes, tmp_path / "copy" / "run")
    assert same(tmp_path / "copy" / "run", expected())

    before = sum(watched.calls().values())
    state = next(RunLayout(out).shards.glob("*-of-*/state.safetensors"))
    with contextlib.ExitStack() as zombie:
        zombie.enter_context(locked(state.parent / "lock"))
        threading.Timer(1, zombie.close).start()
        with joined() as engine:
            watched.run(scenes, out, engine=engine)
    assert same(out, expected())
    assert sum(watched.calls().values()) - before <= 2 * IMAGES - 2  # two were kept


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Machines(LocalEngine):
    """This process, said to be several machines of two cores."""

    def __init__(self, machines):
        super().__init__(1)
        self.machines = machines
        self.needs = []

    def slots(self, need):
        return self.machines * int(2 // need.cores)

    def as_completed(self, function, items, *, need, name=None):
        self.needs.append(need)
        return super().as_completed(function, items, need=need, name=name)


def test_a_model_in_memory_cannot_be_handed_out(watched, scenes, tmp_path):
    with pytest.raises(UsageError, match="module in memory, which no other") as caught:
        watched.run(scenes, tmp_path / "run", spec=False, engine=LocalEngine(1))
    assert "Name it as MODEL (package.module:callable)" in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("options", "shards", "tally_cores"),
    [
        ({}, 8, 1),  # two for each core of two machines; the network runs again
        ({"layers": ("narrow",), "workers": 5}, 8, 2),
        ({"layers": ("narrow",), "workers": 1, "threads": 2}, 4, 1),
        ({"batch_size": 4}, 5, 1),  # no more than there are batches
    ],
)
def test_how_the_work_is_divided(watched, scenes, tmp_path, options, shards, tally_cores):
    """A tally without the network asks for no GPU, and for no more cores than a machine has."""
    told = []
    engine = Machines(2)
    progress = lambda *step: told.append(step)  # noqa: E731
    outcome = watched.run(scenes, tmp_path / "run", engine=engine, progress=progress, **options)
    assert not outcome.unchanged
    stages = [
        (f"{name} of shards", done + 1, shards)
        for name in ("scan", "tally")
        for done in range(shards)
    ]
    assert [step for step in told if "shards" in step[0]] == stages
    scan = Need(cores=options.get("threads", 1))
    assert engine.needs == [scan, Need(cores=tally_cores)]


def test_without_the_network_its_device_is_not_needed(
    watched, scenes, expected, tmp_path, monkeypatch
):
    """A machine that only tallies may have no GPU."""

    def progress(stage, done, total):
        if (stage, done) == ("scan of shards", total):
            monkeypatch.setattr("dissect.job.choose_device", pytest.fail)
            monkeypatch.setattr("dissect.parts._module_for", pytest.fail)

    options = {"layers": ("narrow",)}
    watched.run(
        scenes, tmp_path / "run", engine=LocalEngine(1), shards=2, progress=progress, **options
    )
    assert same(tmp_path / "run", expected(**options))


def test_what_was_scanned_is_kept_though_the_cluster_has_changed(
    watched, scenes, expected, tmp_path
):
    """But not if machines had nothing to do."""
    out, told = tmp_path / "run", []

    def progress(name, done, total):
        if "shards" in name:
            told.append((name, done, total))

    for machines in (2, 1):
        with pytest.raises(KeyboardInterrupt):
            watched.run(
                scenes, out, engine=Machines(machines), progress=stop_at("scan of shards", 3)
            )
    shards = RunLayout(out).shards
    assert {path.name for path in shards.glob("*-of-*")} == {f"{k}-of-8" for k in range(1, 4)}
    with pytest.raises(KeyboardInterrupt):
        watched.run(scenes, out, engine=Machines(5), progress=stop_at("scan of shards"))
    assert (shards / "1-of-20").exists()
    watched.run(scenes, out, engine=Machines(3), progress=progress)
    assert told[0] == ("scan of shards", 1, 8)
    assert same(out, expected())


def test_a_shard_that_another_process_does_not_let_go_of(
    watched, scenes, expected, tmp_path, monkeypatch
):
    """A node that is cut off, not dead: nothing is written beside it."""
    monkeypatch.setattr(dissect.parts, "_WAIT_SECONDS", 0.1)
    out = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        watched.run(
            scenes, out, engine=LocalEngine(1), shards=3, progress=stop_at("scan of shards", 2)
        )
    before = files_of(RunLayout(out).shards / "2-of-3")
    with locked(RunLayout(out).shards / "2-of-3" / "lock"):
        with pytest.raises(RunExistsError, match="another process is at work on this shard"):
            watched.run(scenes, out, engine=LocalEngine(1))
        assert files_of(RunLayout(out).shards / "2-of-3") == before
    watched.run(scenes, out, engine=LocalEngine(1))
    assert same(out, expected())


@pytest.mark.parametrize("passes", [1, 2])
def test_a_bound_that_is_too_high_has_all_scanned_again(
    watched, scenes, expected, tmp_path, monkeypatch, passes
):
    monkeypatch.setattr(dissect.parts, "wants_pilot", lambda *_: True)
    seen = []

    def guess(_module, plan, *, distrusted, timings):
        seen.append(distrusted)
        floors = {}
        for layer in plan.layers:
            floors[layer.shape.name] = np.full(layer.shape.units, -np.inf, dtype=np.float32)
            floors[layer.shape.name][[1, 3]] = 1e6
            floors[layer.shape.name][list(distrusted.get(layer.shape.name, ()))] = -np.inf
        return floors

    monkeypatch.setattr(dissect.parts, "pilot_floors", guess)
    folder = RunLayout(tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr(dissect.merging, "_MOST_ATTEMPTS", 1)
        with pytest.raises(IncompleteError, match="too high again and again") as caught:
            watched.run(scenes, folder.root, engine=LocalEngine(1), shards=2)
    assert "the same command again" in caught.value.hint
    shutil.rmtree(folder.root)
    watched.run(scenes, folder.root, engine=LocalEngine(1), shards=2, passes=passes)
    assert same(folder.root, expected())
    again = {name: [1, 3] for name in LAYERS}
    assert seen == [{}, {}, again]


def test_shards_in_which_no_unit_answers(watched, scenes, tmp_path):
    thresholds = {"wide": np.full(4, 1e6), "narrow": np.full(6, 1e6)}
    found = []
    for name, where in (("one", {}), ("two", {"engine": LocalEngine(1), "shards": 2})):
        watched.run(scenes, tmp_path / name, thresholds=thresholds, **where)
        found.append(files_of(tmp_path / name))
    assert found[0] == found[1]


@pytest.mark.slow
def test_a_bound_from_a_few_images_in_processes(scenes, expected, tmp_path):
    """One of them finds it, the others wait."""
    watched, out = Watched(tmp_path, pilot="(4, 0.5)"), tmp_path / "run"

    def progress(stage, done, total):
        assert RunLayout(out).floors.is_file() or "shards" not in stage

    watched.run(scenes, out, engine=LocalEngine(2), shards=4, progress=progress, layers=("narrow",))
    assert sum(watched.calls().values()) == 4 + IMAGES
    assert same(out, expected(layers=("narrow",)))
