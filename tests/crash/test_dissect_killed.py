"""`dissect run`, killed or failed at every write: a run is whole, or it can be continued."""

from __future__ import annotations

import importlib.util
import itertools
import json
import shutil

import pytest

pytestmark = [pytest.mark.crash, pytest.mark.slow]

MODEL = """
from torch import nn

class Net(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 2, 3, stride=2, padding=1), nn.ReLU())
"""
RUN = ["run", "set", "--model", "net.py:Net", "--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"]
RUN += ["--layers", "0", "--out", "out", "--device", "cpu", "--threads", "1", "--workers", "1"]
RUN += ["--batch-size", "2", "--top-images", "1", "--quiet"]
NEW = [*RUN, "--quantile", "0.2"]
OLD = [*RUN, "--quantile", "0.1"]
OVER = [*NEW, "--overwrite"]
HALVES = [[*NEW, "--shard", f"{number}/2"] for number in (1, 2)]
MERGE = ["merge", "out", "--workers", "1", "--quiet"]


@pytest.fixture(scope="module")
def read(tree):
    """A run as `tree` reads it, without what may vary between equal runs."""

    def without_what_varies(root):
        found = tree(root)
        if "run.json" in found:
            document = json.loads(found["run.json"])
            del document["environment"], document["timings"]
            found["run.json"] = json.dumps(document).encode()
        return found

    return without_what_varies


@pytest.fixture(scope="module")
def prepared(crashes, read, repository, tmp_path_factory):
    """The program, ready to be killed; what stands before, and what a whole run gives.

    Returns: the processes; a function that makes a directory to work in (`with_old`: another run
    stands where the new one goes); the old run and the new one as `read` gives them.
    """
    base = tmp_path_factory.mktemp("killed")
    spec = importlib.util.spec_from_file_location("warm", repository / "tools/warm.py")
    warm = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(warm)
    warm.write_set(base / "set", images=3)
    numbers = itertools.count()

    def make(*, with_old=False):
        folder = base / f"run{next(numbers)}"
        folder.mkdir()
        shutil.copytree(base / "set", folder / "set")
        (folder / "net.py").write_text(MODEL)
        if with_old:
            shutil.copytree(base / "old", folder / "out")
        return folder

    crash = crashes("checkpointing", "dissect")
    crash.warm(NEW, make)
    wholes = []
    for name, argv in (("old", OLD), ("new", NEW)):
        folder = make()
        outcome = crash.run(argv, folder)
        assert outcome.code == 0, outcome.output
        (folder / "out").rename(base / name)
        wholes.append(read(base / name))
    old, new = wholes
    assert old != new
    assert {"run.json", "report/index.html", "0/counts.safetensors"} <= set(new)
    return crash, make, old, new


# What changes the names on disk.
MOVES = ("mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir")

# What is deleted or given rights after the work is done may fail without harm.
MAY_FAIL = ("unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat")


def is_new(found, new):
    """Whether it is the new run: whole, or whole but for its report."""
    missing = set(new) - set(found)
    extra = [name for name in set(found) - set(new) if "partial-" not in name]
    return (
        all(name.startswith("report/") for name in missing)
        and all(name.startswith("shards/") for name in extra)
        and all(found[name] == data for name, data in new.items() if name in found)
    )


def test_killed(prepared, read):
    """Only a whole run has a run.json; the same command finishes what was begun.

    Not killed at flushes and changes of rights: they leave the same tree as the call after them.
    """
    crash, make, _, new = prepared

    def check(point):
        folder = make()
        crash.kill(NEW, folder, point)
        left = read(folder / "out")
        assert "run.json" not in left or is_new(left, new)
        outcome = crash.run(NEW, folder)
        assert outcome.code == 0, outcome.output
        assert read(folder / "out") == new
        shutil.rmtree(folder)

    points = crash.points(NEW, make())
    crash.everywhere([point for point in points if point.call in ("write", *MOVES)], check)


def test_killed_while_replacing(prepared, read):
    """The old run stands, here or moved aside, until the new one is complete.

    Only where names change: in between, the new run is written as in `test_killed`.
    """
    crash, make, old, new = prepared

    def check(point):
        folder = make(with_old=True)
        crash.kill(OVER, folder, point)
        left = read(folder / "out")
        aside = [read(path) for path in folder.glob("out.partial-old-*/out")]
        assert left == old or old in aside or is_new(left, new)
        outcome = crash.run(OVER, folder)
        assert outcome.code == 0, outcome.output
        assert read(folder / "out") == new
        shutil.rmtree(folder)

    points = crash.points(OVER, make(with_old=True))
    moves = [
        point for point in points if point.call in MOVES and "report.partial" not in point.text
    ]
    deleted = [point for point in moves if point.call.startswith("unlink")]
    crash.everywhere([*(p for p in moves if p not in deleted), *deleted[::4]], check)


def test_full_disk(prepared, read):
    """Exit code 3 and one message; the old run stands unless the new one is complete."""
    crash, make, old, new = prepared

    def check(point):
        folder = make(with_old=True)
        outcome = crash.fail(OVER, folder, point, "ENOSPC")
        left = read(folder / "out")
        if left != new:
            assert outcome.code == 3, outcome
            assert outcome.output.count("error:") == 1, outcome
            assert "No space left" in outcome.output
            assert "Traceback" not in outcome.output
            assert left == old or is_new(left, new)
            assert sorted(path.name for path in folder.iterdir()) == ["net.py", "out", "set"]
        shutil.rmtree(folder)

    points = crash.points(OVER, make(with_old=True))
    crash.everywhere([point for point in points if point.call not in MAY_FAIL], check)


def test_killed_in_pieces(prepared, read):
    """A shard that was killed is scanned again by the same command, and the merge is whole.

    At every second place where names change; a merge that is killed writes as `test_killed` does.
    """
    crash, make, _, new = prepared

    def check(point):
        folder = make()
        crash.kill(HALVES[0], folder, point)
        for argv in (*HALVES, MERGE):
            outcome = crash.run(argv, folder)
            assert outcome.code == 0, outcome.output
        assert read(folder / "out") == new
        shutil.rmtree(folder)

    points = crash.points(HALVES[0], make())
    crash.everywhere([point for point in points if point.call in MOVES][::2], check)
