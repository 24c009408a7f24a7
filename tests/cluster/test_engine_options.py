"""--engine and --address: what is refused, what is said, what is left behind."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from conceptset.errors import ClusterError, UsageError
from conceptset.io import connecting, sight
from conceptset.io.parallel import LocalEngine, Need
from conceptset.present.engines import open_engine


def opened(name="ray", address=None, **options):
    with open_engine(name, address, **options) as engine:
        return engine


@pytest.fixture
def listener():
    """A port where something answers each caller with the same bytes, or keeps silent."""
    server = socket.create_server(("127.0.0.1", 0))
    kept = []

    def answer(data):
        def serve():
            peer, _ = server.accept()
            kept.append(peer)
            if data:
                peer.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        return f"127.0.0.1:{server.getsockname()[1]}"

    yield answer
    for peer in [server, *kept]:
        peer.close()


def test_the_local_engine():
    engine = opened("local", jobs=3)
    assert engine.slots(Need(gpus=7)) == engine.jobs == 3
    engine.require(Need(gpus=7))
    assert list(LocalEngine(1).as_completed(abs, [-1, 2], need=Need())) == [(0, 1), (1, 2)]
    found = LocalEngine(2).as_completed(abs, range(-20, 0), need=Need())
    assert sorted(found) == [(place, 20 - place) for place in range(20)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "dask"}, "--engine is 'dask', local or ray was expected"),
        ({"name": "local", "address": "auto"}, "--address names a Ray cluster. Give --engine ray"),
        ({"name": "ray", "jobs": 0}, "--jobs is 0, at least 1"),
    ],
)
def test_options_that_cannot_be_used(options, message):
    with pytest.raises(UsageError, match=message):
        opened(**options)


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(UsageError, match=r"not installed. pip install 'conceptset\[cluster\]'"):
        opened()


@pytest.mark.ray
@pytest.mark.parametrize("address", ["nonsense", "host:port", "ray://", "host:99999"])
def test_what_is_no_address(ray_home, address):
    with pytest.raises(UsageError, match="HOST:PORT, ray://HOST:PORT, auto or local was expected"):
        opened(address=address)


@pytest.mark.ray
def test_a_cluster_that_is_not_there(ray_home, listener, monkeypatch):
    """Ray itself tries for two minutes."""
    begin = time.monotonic()
    monkeypatch.setattr(connecting, "_LISTEN_SECONDS", 0.5)
    with pytest.raises(ClusterError, match=r"no Ray cluster to join at 127.0.0.1:1 \(127.*refused"):
        opened(address="127.0.0.1:1")
    with pytest.raises(ClusterError, match="no answer"):
        opened(address=listener(b""))
    with pytest.raises(ClusterError, match="the dashboard has its own port"):
        opened(address=listener(b"HTTP/1.0 400 Bad Request"))
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:2")
    with pytest.raises(ClusterError, match=r"at 127.0.0.1:2 "):
        opened()
    assert time.monotonic() - begin < 20


def test_what_another_machine_must_see(tmp_path, monkeypatch):
    """The same path can be another folder there."""
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here / "set" / "images", there / "set", there / "empty"):
        folder.mkdir(parents=True)
    (here / "empty").mkdir()
    (here / "a.json").write_text("{}")
    (there / "a.json").write_text("{ }")

    def asked(*names):
        monkeypatch.chdir(here)
        questions = sight.questions_of(map(Path, names))
        return lambda place: sight.answer(str(place), questions, None, "node")

    for name in ("set", "a.json"):
        ask = asked(name)
        assert ask(here) is None
        assert ask(there) == f"does not see {there / name} as this machine does"
    assert asked("empty")(there) is None
    assert asked("set")(tmp_path) == f"does not see {tmp_path / 'set'} as this machine does"
    monkeypatch.setattr(sight, "__version__", "0.0.1")
    assert sight.answer(str(here), sight.questions_of([]), None, "node") is None


def test_another_version_is_told(tmp_path):
    question = sight.Question(tmp_path, None, None, "0.0.1")
    assert "this machine 0.0.1" in sight.answer(str(tmp_path), [question], None, "node")


def test_a_mark_must_be_seen_by_both(tmp_path):
    with sight.probe(tmp_path) as probe:
        assert not probe.was_written_by("node")
        assert sight.answer(str(tmp_path), probe.questions, probe.folder, "node") is None
        assert probe.was_written_by("node")
        gone = sight.answer(str(tmp_path), [], tmp_path / "none" / "x", "node")
        assert gone == f"cannot write to {tmp_path / 'none'} (No such file or directory)"
    assert list(tmp_path.iterdir()) == []
    with sight.probe(None) as probe:
        assert probe.was_written_by("anybody")


def family(pid):
    """The processes that descend from one."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *family(child)]
    return found


def lives(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.slow
@pytest.mark.ray
def test_ctrl_c_ends_the_private_ray_and_leaves_nothing(ray_home, ctrl_c, drawn_world, tmp_path):
    """Ctrl-C reaches every process of the terminal."""
    scratch = Path("/tmp", f"cc-{os.getpid()}")
    scratch.mkdir()
    command = ["build", "drawn.json", "--images", "images", "--annotator", "ada", "--colors"]
    command += ["--out", str(tmp_path / "set"), "--engine", "ray", "--jobs", "2"]
    process = subprocess.Popen(
        [sys.executable, "-m", "conceptset", *command],
        cwd=drawn_world,
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        end = time.monotonic() + 60
        while not list(tmp_path.glob("*/.scratch/*.photograph")) and time.monotonic() < end:
            time.sleep(0.02)
        below = family(process.pid)
        assert len(below) > 3
        os.killpg(process.pid, signal.SIGINT)
        out, said = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 130, said
    assert said.splitlines() == ["runs on a private Ray on this machine (2 cores)", "interrupted"]
    assert out == ""
    while any(map(lives, below)) and time.monotonic() < end + 30:
        time.sleep(0.05)
    assert [pid for pid in below if lives(pid)] == []
    assert list(tmp_path.iterdir()) == []
    assert list(scratch.iterdir()) == []
    scratch.rmdir()
    assert not (Path.home() / ".ray").exists()
