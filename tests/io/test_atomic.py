"""New directories and files: whole, or not there. Killing is in tests/crash."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from conceptset.errors import OutputError, UsageError
from conceptset.io import atomic
from conceptset.io.atomic import check_target, new_directory, sync_tree, write_file


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_file_is_written_and_replaced(tmp_path):
    path = tmp_path / "a.json"
    write_file(path, b"one")
    write_file(path, b"two")
    assert path.read_bytes() == b"two"
    assert names(tmp_path) == ["a.json"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_file_that_cannot_take_its_place_leaves_nothing(tmp_path):
    (tmp_path / "taken" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="taken"):
        write_file(tmp_path / "taken", b"data")
    assert names(tmp_path) == ["taken"]


def test_new_directory(tmp_path):
    target = tmp_path / "deep" / "er" / "out"
    with new_directory(target) as folder:
        assert not target.exists()
        assert folder.parent == target.parent
        assert folder.name.startswith("out.partial-")
        (folder / "below").mkdir()
        (folder / "below" / "a").write_bytes(b"a")
    assert (target / "below" / "a").read_bytes() == b"a"
    assert names(target.parent) == ["out"]
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_relative_target(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with new_directory(Path("out")) as folder:
        (folder / "a").write_bytes(b"a")
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_exception_inside_leaves_nothing(tmp_path, overwrite):
    class StoppedError(Exception):
        pass

    def stop():
        with new_directory(tmp_path / "out", overwrite=overwrite) as folder:
            (folder / "a").write_bytes(b"a")
            raise StoppedError

    with pytest.raises(StoppedError):
        stop()
    assert names(tmp_path) == []


@pytest.mark.parametrize("stopper", [ValueError, KeyboardInterrupt, OSError])
def test_exception_inside_leaves_the_old_one(tmp_path, stopper):
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_bytes(b"old")

    def stop():
        with new_directory(target, overwrite=True) as folder:
            (folder / "a").write_bytes(b"a")
            raise stopper("stop")

    with pytest.raises(OutputError if stopper is OSError else stopper):
        stop()
    assert names(tmp_path) == ["out"]
    assert names(target) == ["old"]


@pytest.mark.parametrize("kind", ["directory", "file", "broken link"])
def test_existing_target_is_refused_before_any_work(tmp_path, kind):
    target = tmp_path / "out"
    if kind == "directory":
        target.mkdir()
    elif kind == "file":
        target.write_bytes(b"")
    else:
        target.symlink_to(tmp_path / "nowhere")
    with pytest.raises(UsageError, match=r"exists already.*--overwrite") as caught:
        new_directory(target).__enter__()
    assert caught.value.exit_code == 2
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("kind", ["directory", "file", "link"])
def test_overwrite_replaces(tmp_path, kind):
    target, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "kept").write_bytes(b"kept")
    if kind == "directory":
        target.mkdir()
        (target / "old").write_bytes(b"old")
    elif kind == "file":
        target.write_bytes(b"old")
    else:
        target.symlink_to(elsewhere)
    with new_directory(target, overwrite=True) as folder:
        (folder / "new").write_bytes(b"new")
    assert names(target) == ["new"]
    assert not target.is_symlink()
    assert names(tmp_path) == ["elsewhere", "out"]
    assert (elsewhere / "kept").read_bytes() == b"kept"


def test_target_that_appears_meanwhile_is_not_replaced(tmp_path):
    """Without --overwrite somebody else's directory of that name is left alone."""
    target = tmp_path / "out"

    def race():
        with new_directory(target) as folder:
            (folder / "ours").write_bytes(b"")
            target.mkdir()
            (target / "theirs").write_bytes(b"")

    with pytest.raises((OutputError, UsageError)):
        race()
    assert names(target) == ["theirs"]
    assert names(tmp_path) == ["out"]


def test_parent_is_a_file(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match="is a file, a directory was expected"):
        check_target(tmp_path / "file" / "deep" / "out", overwrite=False)


def test_name_that_no_file_system_takes(tmp_path):
    with pytest.raises(OutputError, match="cannot be written") as caught:
        new_directory(tmp_path / ("n" * 300)).__enter__()
    assert caught.value.exit_code == 3
    assert names(tmp_path) == []


def test_parent_without_rights(tmp_path):
    tmp_path.chmod(0o555)
    try:
        if os.access(tmp_path, os.W_OK):
            pytest.skip("this user may write everywhere")
        with pytest.raises(OutputError, match="cannot be written"):
            new_directory(tmp_path / "out").__enter__()
    finally:
        tmp_path.chmod(0o755)


def test_parent_that_refuses(tmp_path, monkeypatch):
    """As above, for a user whom rights do not stop."""

    def refuse(**_):
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(OutputError, match="Permission denied"):
        new_directory(tmp_path / "out").__enter__()


def test_rename_that_fails_brings_the_old_one_back(tmp_path, monkeypatch):
    target = tmp_path / "out"
    target.mkdir()
    (target / "old").write_bytes(b"old")
    rename = Path.rename

    def refuse(self, to):
        if ".partial-" in self.name and "old" not in self.name:
            raise OSError(28, "No space left on device", str(self))
        return rename(self, to)

    def attempt():
        with new_directory(target, overwrite=True) as folder:
            (folder / "new").write_bytes(b"new")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(
        OutputError, match=r"No space left on device.*Nothing was changed"
    ) as caught:
        attempt()
    assert caught.value.exit_code == 3
    assert names(target) == ["old"]
    assert names(tmp_path) == ["out"]


def test_sync_tree_reads_everything(tmp_path, monkeypatch):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"c")
    synced = []
    fsync = os.fsync

    def record(handle):
        synced.append(str(Path(f"/proc/self/fd/{handle}").readlink()))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(atomic, "_sync_file_system", lambda _root: False)
    sync_tree(tmp_path)
    expected = [tmp_path, tmp_path / "a", tmp_path / "a" / "b", tmp_path / "a" / "b" / "c"]
    assert sorted(synced) == sorted(map(str, expected))
