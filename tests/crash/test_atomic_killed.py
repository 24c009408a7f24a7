"""Killed or failed at every single call, atomic output is whole or not there."""

from __future__ import annotations

import itertools
import shutil

import pytest

pytestmark = pytest.mark.crash

NEW = ["out", "new"]
OVER = ["out", "new", "--overwrite"]


@pytest.fixture(scope="module")
def crash(crashes, tmp_path_factory):
    started = crashes("toy_writer", "toy_writer")
    started.warm(NEW, lambda: tmp_path_factory.mktemp("warm"))
    return started


@pytest.fixture
def fresh(tmp_path):
    """Makes empty directories to work in."""
    numbers = itertools.count()

    def make():
        folder = tmp_path / f"run{next(numbers)}"
        folder.mkdir()
        return folder

    return make


@pytest.fixture
def clean(crash, fresh, tree):
    """What a whole output holds, by word."""
    found = {}
    for word in ("old", "new"):
        folder = fresh()
        assert crash.run(["out", word], folder).code == 0
        found[word] = tree(folder / "out")
    return found


def test_new_directory_killed(crash, fresh, tree, clean):
    def check(point):
        folder = fresh()
        crash.kill(NEW, folder, point)
        left = {path.name for path in folder.iterdir()}
        assert all(name == "out" or name.startswith("out.partial-") for name in left)
        if "out" not in left:
            assert crash.run(NEW, folder).code == 0
        assert tree(folder / "out") == clean["new"]

    points = crash.points(NEW, fresh())
    assert {point.call for point in points} >= {"write", "fsync"}
    crash.everywhere(points, check)


@pytest.fixture
def with_old(crash, fresh):
    """Makes directories in which an older output stands."""

    def make():
        folder = fresh()
        assert crash.run(["out", "old"], folder).code == 0
        return folder

    return make


def test_overwriting_killed(crash, with_old, tree, clean):
    def check(point):
        folder = with_old()
        crash.kill(OVER, folder, point)
        aside = list(folder.glob("out.partial-old-*/out"))
        if (folder / "out").exists():
            assert tree(folder / "out") in (clean["old"], clean["new"])
        else:
            assert [tree(path) for path in aside] == [clean["old"]]
        assert crash.run(OVER, folder).code == 0
        assert tree(folder / "out") == clean["new"]

    crash.everywhere(crash.points(OVER, with_old()), check)


@pytest.mark.parametrize("error", ["ENOSPC", "EIO"])
def test_overwriting_failed(crash, with_old, tree, clean, error):
    """A full disk, an I/O error: exit code 3, the old output stands, nothing else stays behind."""

    def check(point):
        folder = with_old()
        outcome = crash.fail(OVER, folder, point, error)
        if tree(folder / "out") == clean["new"]:
            assert "Nothing was changed" not in outcome.output, outcome
            return
        assert outcome.code == 3, outcome
        assert "cannot be written" in outcome.output
        assert tree(folder / "out") == clean["old"]
        assert [path.name for path in folder.iterdir()] == ["out"]

    points = [
        point
        for point in crash.points(OVER, with_old())
        if point.call not in ("unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat")
    ]
    crash.everywhere(points, check)


def test_overwriting_interrupted(crash, with_old, tree, clean):
    """Ctrl-C: the old output or the new one stands, whole and under its name."""

    def check(point):
        folder = with_old()
        outcome = crash.interrupt(OVER, folder, point)
        assert outcome.code != 0 or tree(folder / "out") == clean["new"]
        assert tree(folder / "out") in (clean["old"], clean["new"]), sorted(folder.iterdir())

    crash.everywhere(crash.points(OVER, with_old()), check)


def test_file_killed(crash, fresh):
    argv = ["--file", "out", "new"]

    def check(point):
        folder = fresh()
        (folder / "out").write_bytes(b"old" * 1000)
        crash.kill(argv, folder, point)
        assert (folder / "out").read_bytes() in (b"old" * 1000, b"new" * 1000)
        assert crash.run(argv, folder).code == 0
        assert (folder / "out").read_bytes() == b"new" * 1000
        shutil.rmtree(folder)

    crash.everywhere(crash.points(argv, fresh()), check)
