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

from conceptset.io.parallel import ordered_map

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals and process groups")

VICTIM = """
import sys, time
from functools import partial
from conceptset.io.parallel import ordered_map
from tests_parallel import leave_a_trace
if __name__ == "__main__":
    list(ordered_map(partial(leave_a_trace, sys.argv[1]), range(16), jobs=2))
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


@pytest.fixture
def victim(tmp_path):
    """A process group of its own with two workers that have begun."""
    (tmp_path / "tests_parallel.py").write_text(MODULE)
    (tmp_path / "victim.py").write_text(VICTIM)
    (tmp_path / "pids").mkdir()
    path = os.pathsep.join([str(tmp_path), *sys.path])
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "victim.py"), str(tmp_path / "pids")],
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
    assert all_gone(workers)
