"""A Ray cluster of two machines, one of which is killed: nothing is lost, nothing is different."""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial

import cluster_work as tasks
import pytest

from conceptset.build import BuildOptions, build_set
from conceptset.errors import ClusterError
from conceptset.io import cluster as ray_cluster
from conceptset.io.parallel import Need
from conceptset.validate import validate

pytestmark = pytest.mark.ray


def same_trees(one, other):
    found = filecmp.dircmp(one, other)
    assert not found.left_only + found.right_only + found.funny_files
    _, different, broken = filecmp.cmpfiles(one, other, found.common_files, shallow=False)
    assert different + broken == []
    for name in found.common_dirs:
        same_trees(one / name, other / name)


@pytest.fixture(scope="module")
def local_set(drawn_world, tmp_path_factory):
    """What processes of this machine make of the annotations."""
    out = tmp_path_factory.mktemp("local") / "set"
    build_set([drawn_world / "drawn.json"], out, options(drawn_world))
    return out


def options(world):
    return BuildOptions(images=world / "images", annotator="ada", colors=True, jobs=2)


def test_a_set_built_while_a_node_dies_is_the_same_set(
    two_nodes, joined, drawn_world, local_set, tmp_path, monkeypatch
):
    """Also its findings, on what is left of the cluster."""
    begun = tmp_path / "begun"
    work = ray_cluster.work

    def held(folder, function, items):
        """Each node waits with its first painting until both have one, and one is killed."""
        if begun.exists():
            (begun / str(os.getpid())).touch()
            tasks.wait_for((tmp_path / "go on").exists)
        return work(folder, function, items)

    def kill():
        tasks.wait_for(lambda: len(list(begun.glob("*"))) > 1)
        two_nodes.ask("kill")
        (tmp_path / "go on").touch()

    killer = threading.Thread(target=kill)

    @contextlib.contextmanager
    def step(label):
        if label == "painting":
            begun.mkdir()
            killer.start()
        yield lambda _done, _total: None

    monkeypatch.setattr(ray_cluster, "work", held)
    with joined() as engine:
        out = tmp_path / "set"
        build_set([drawn_world / "drawn.json"], out, options(drawn_world), engine=engine, step=step)
        killer.join()
        assert engine.retried, engine.size()
        tasks.wait_for(lambda: engine.size()[0] == 1)
        same_trees(out, local_set)
        image = next((out / "images").rglob("*.jpg"))
        image.write_bytes(image.read_bytes()[:200])
        assert validate(out, engine=engine) == validate(out)
        assert validate(out).findings


def test_long_tasks_outlive_a_node(two_nodes, joined, tmp_path):
    def kill():
        tasks.wait_for(lambda: len(list(tmp_path.glob("begun-*"))) > 1)  # one on each node
        two_nodes.ask("kill")
        (tmp_path / "go on").touch()

    killer = threading.Thread(target=kill)
    killer.start()
    with joined() as engine:
        done = engine.as_completed(partial(tasks.meet, tmp_path), range(6), need=Need(cores=1))
        with contextlib.closing(done):
            assert dict(done) == {item: item * item for item in range(6)}
        assert engine.retried == 1
    killer.join()
    assert len(list(tmp_path.glob("begun-*"))) == 7


def test_an_item_whose_worker_died_is_done_again(joined, tmp_path):
    with joined() as engine:
        work = partial(tasks.die_once, str(tmp_path))
        assert list(engine.ordered_map(work, iter(range(100)))) == [2 * i for i in range(100)]
        assert engine.retried >= 2


def test_an_item_that_kills_every_worker_is_named(joined):
    with joined() as engine:
        found = engine.ordered_map(partial(tasks.die_at, 11), range(40), name="photo {}.jpg".format)
        with pytest.raises(ClusterError, match=r"^item 12 \(photo 11.jpg\) was begun 4 times"):
            list(found)


def test_errors_are_those_of_the_function(joined):
    with joined() as engine:
        with pytest.raises(tasks.PickyError) as caught:
            list(engine.ordered_map(tasks.complain, range(40)))
        assert (str(caught.value), caught.value.unit) == ("unit 3: no number", 3)
        with pytest.raises(FileNotFoundError) as missing:
            list(engine.ordered_map(tasks.read, range(40)))
        assert missing.value.filename.startswith("/nowhere/")


def test_workers_see_relative_paths_from_the_same_folder(joined, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with joined() as engine:
        assert list(engine.ordered_map(tasks.where, [0])) == [os.fspath(tmp_path)]


def test_a_closed_map_has_stopped(joined, tmp_path):
    """Whoever cleans a folder up must not race with a worker that still writes there."""
    beat = tmp_path / "beat"
    with joined() as engine:
        work = partial(tasks.note_every_beat, str(tmp_path))
        with contextlib.closing(engine.as_completed(work, [0, 1], need=Need())) as done:
            assert next(done) == (0, None)
            while not beat.exists():
                time.sleep(0.02)
        last = beat.read_text()
        time.sleep(0.4)
        assert beat.read_text() == last


def test_what_no_machine_has_is_said_at_once(joined):
    with joined() as engine:
        with pytest.raises(ClusterError, match="no machine of the cluster has 2 cores and 1 GPU"):
            engine.require(Need(cores=2, gpus=1))
        with pytest.raises(ClusterError, match=r"1 GPU\. Do without\. A cluster that grows"):
            engine.require(Need(gpus=1), hint="Do without.")
        engine.require(Need(memory=1 << 20))
        assert engine.slots(Need()) == engine.slots(Need(cores=0.5)) / 2 == engine.size()[0]
        assert engine.slots(Need(cores=2)) == 0


def test_a_cluster_without_machines_for_the_work_is_given_up(joined, monkeypatch):
    monkeypatch.setattr(ray_cluster, "_LISTEN_SECONDS", 0.1)
    monkeypatch.setattr(ray_cluster, "_PATIENCE_SECONDS", 0.2)
    with joined() as engine:
        found = engine.as_completed(tasks.double, [1], need=Need(gpus=1))
        with pytest.raises(ClusterError, match="lost every machine with 1 core and 1 GPU"):
            list(found)


def test_files_that_a_node_does_not_see_are_said_before_anything_is_done(
    joined, drawn_world, tmp_path, monkeypatch
):
    """Here all nodes see the same; so this machine is made to see more."""
    see = ray_cluster.questions_of

    def more(paths):
        return [replace(question, witness="elsewhere") for question in see(paths)]

    monkeypatch.setattr(ray_cluster, "questions_of", more)
    with (
        joined() as engine,
        pytest.raises(ClusterError, match=r"^node 127.0.0.1 \(.*see /") as said,
    ):
        build_set(
            [drawn_world / "drawn.json"], tmp_path / "set", options(drawn_world), engine=engine
        )
    assert "under the same paths" in str(said.value)
    assert list(tmp_path.iterdir()) == []


def test_the_command_line_joins_it(cluster, local_set, ray_home):
    """And says so on stderr; stdout is the result."""
    result = subprocess.run(
        [sys.executable, "-m", "conceptset", "validate", local_set, "--engine", "ray", "--json"],
        env={**os.environ, "RAY_ADDRESS": cluster.address},
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stderr.startswith(f"runs on the Ray cluster at {cluster.address} (")
    assert result.stderr.endswith(", which RAY_ADDRESS names\n")
    assert json.loads(result.stdout)["findings"] == []
