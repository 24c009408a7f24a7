"""Work spread over processes: in order, and nothing runs on when the main process has gone."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from conceptset.errors import ConceptsetError, ImageError
from conceptset.io.parallel import can_fork, forked_map, ordered_map

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups")

VICTIM = """
import sys, time
from functools import partial
from conceptset.io.parallel import forked_map, ordered_map
from tests_parallel import leave_a_trace
if __name__ == "__main__":
    chosen = {"ordered_map": ordered_map, "forked_map": forked_map}[sys.argv[2]]
    list(chosen(partial(leave_a_trace, sys.argv[1]), range(16), jobs=2))
"""
MODULE = """
import os, pathlib, time
def leave_a_trace(folder, item):
    pathlib.Path(folder, str(os.getpid())).touch()
    time.sleep(0.25 if item < 8 else 0)  # one worker is busy, the other waits
"""


def double(item):
    return 2 * item


def slowly_touch(folder, item):
    time.sleep(0.02)
    (folder / str(item)).touch()


def test_results_come_in_order():
    assert list(ordered_map(double, range(100), jobs=2)) == [2 * item for item in range(100)]


def test_a_closed_map_has_stopped(tmp_path):
    """Whoever cleans a folder up must not race with a worker that still writes there."""
    results = ordered_map(partial(slowly_touch, tmp_path), range(400), jobs=2)
    with contextlib.closing(results):
        next(results)
    count = len(list(tmp_path.iterdir()))
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == count < 400


needs_copies = pytest.mark.skipif(not can_fork(), reason="copies of a process: Linux only")


@needs_copies
def test_copies_know_what_this_process_knows():
    known = {item: object() for item in range(100)}  # neither these nor the function are pickled
    found = forked_map(lambda item: (item, id(known[item]), os.getpid()), range(100), jobs=3)
    rows = list(found)
    assert [row[:2] for row in rows] == [(item, id(own)) for item, own in known.items()]
    assert os.getpid() not in {row[2] for row in rows}


@needs_copies
def test_copies_take_items_as_they_are_needed():
    taken = []

    def items():
        for item in range(10_000):
            taken.append(item)
            yield item

    results = forked_map(double, items(), jobs=2)
    with contextlib.closing(results):
        next(results)
    assert len(taken) < 200


@needs_copies
def test_an_error_in_a_copy_is_the_error_of_the_map():
    def read(item):
        if item == 5:
            raise ImageError("is no PNG", path="a/b.png", hint="Run it again.")
        return item

    results = forked_map(read, range(64), jobs=2)
    with pytest.raises(ImageError, match=r"a/b\.png: is no PNG\. Run it again\."):
        list(results)


@needs_copies
def test_a_killed_copy_is_said_and_not_waited_for():
    def die(item):
        if item == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    with pytest.raises(ConceptsetError, match=r"was killed.*memory.*--workers"):
        list(forked_map(die, range(64), jobs=2))


MAPS = ["ordered_map", pytest.param("forked_map", marks=needs_copies)]


@pytest.fixture(params=MAPS)
def victim(tmp_path, request):
    """A process group of its own with two workers that have begun."""
    (tmp_path / "tests_parallel.py").write_text(MODULE)
    (tmp_path / "victim.py").write_text(VICTIM)
    (tmp_path / "pids").mkdir()
    path = os.pathsep.join([str(tmp_path), *sys.path])
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "victim.py"), str(tmp_path / "pids"), request.param],
        env={**os.environ, "PYTHONPATH": path},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + 60
    while len(list((tmp_path / "pids").iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = [int(path.name) for path in (tmp_path / "pids").iterdir()]
    yield process, workers
    for pid in [process.pid, *workers]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.stderr.close()
    process.wait()


def all_gone(pids):
    def lives(pid):
        with contextlib.suppress(ProcessLookupError, FileNotFoundError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False

    deadline = time.monotonic() + 20
    while any(map(lives, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(lives, pids))


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_the_main_process(victim, number):
    process, workers = victim
    assert len(workers) == 2
    process.send_signal(number)
    process.wait()
    assert all_gone(workers)


def test_workers_leave_the_interrupt_to_the_main_process(victim):
    process, workers = victim
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert said.count("Traceback") <= 1  # the main process's own: this one does not catch it
    assert "ForkServerProcess" not in said
    assert "ForkProcess" not in said
    assert all_gone(workers)
