"""A run's directory: what stands in the way, what is continued, what is swept away or put back."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch

import dissect.finishing
import dissect.rundir
from conceptset.errors import IncompleteError, OutputError, UsageError
from dissect.errors import RunExistsError
from dissect.state import open_run
from dissect.store import Stored


def test_a_complete_run_is_left_alone(run):
    first = run()
    before = {path: path.stat().st_mtime_ns for path in first.root.rglob("*")}
    again = run()
    assert (first.unchanged, again.unchanged) == (False, True)
    assert again.run == first.run
    assert before == {path: path.stat().st_mtime_ns for path in first.root.rglob("*")}


@pytest.mark.parametrize(
    "change", [{"quantile": "0.1"}, {"layers": ["stem"]}, {"batch_size": 5}, {"union": "lite"}]
)
def test_another_run_is_refused_or_replaced(run, change, files_of):
    before = files_of(run().root)
    with pytest.raises(RunExistsError, match="--overwrite") as caught:
        run(**change)
    assert caught.value.exit_code == 2
    root = caught.value.path
    assert files_of(root) == before
    outcome = run(**change, overwrite=True)
    assert files_of(root) != before
    assert not outcome.unchanged
    assert [path.name for path in root.parent.iterdir() if "partial" in path.name] == []


def test_other_weights_are_another_run(run, small_model):
    run()
    with torch.no_grad():
        small_model.stem[0].weight[0, 0, 0, 0] += 1
    with pytest.raises(RunExistsError):
        run()


def test_what_is_no_run_is_never_touched(run, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.tex").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(RunExistsError, match="is no run"):
            run(overwrite=overwrite)
    (tmp_path / "run" / "run.json").write_text("{}")
    with pytest.raises(RunExistsError, match="is no run"):
        run(overwrite=True)
    assert (tmp_path / "run" / "thesis.tex").read_text() == "years of work"
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        run("file/run")


def test_an_unfinished_run_is_continued_by_the_same_command_only(
    run, monkeypatch, tmp_path, files_of
):
    def fail(*_args, **_kwargs):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(dissect.finishing, "write_photographs", fail)
        with pytest.raises(KeyboardInterrupt):
            run()
    with pytest.raises(IncompleteError, match="not complete"):
        open_run(tmp_path / "run")
    with pytest.raises(RunExistsError):
        run(quantile="0.2")
    outcome = run()
    assert files_of(outcome.root) == files_of(run("clean").root)


def test_what_killed_attempts_leave_is_swept_away(run, tmp_path, files_of):
    clean = files_of(run("clean").root)
    shards = tmp_path / "run" / "shards"
    shards.mkdir(parents=True)
    (shards / ".fingerprint.json.partial-abc").write_text("{")  # before it could say whose it is
    assert files_of(run().root) == clean
    shards.mkdir()  # after run.json
    (tmp_path / "run" / "stem" / ".scores.csv.partial-abc").write_text("layer,un")
    (tmp_path / "run" / "report.partial-abc" / "units").mkdir(parents=True)
    again = run()
    assert again.unchanged
    assert files_of(again.root) == clean
    assert not shards.exists()
    (tmp_path / "other" / "shards").mkdir(parents=True)
    (tmp_path / "other" / "shards" / "notes.txt").write_text("mine")
    with pytest.raises(RunExistsError, match="is no run"):
        run("other")


def test_a_run_that_cannot_be_moved_aside_stands(run, monkeypatch, tmp_path, files_of):
    before = files_of(run().root)

    def busy(*_args):
        raise OSError(errno.EBUSY, "Device or resource busy")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", busy)
        with pytest.raises(OutputError, match="busy"):
            run(quantile="0.3", overwrite=True)
    assert files_of(tmp_path / "run") == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_failing_replacement_puts_the_old_run_back(run, monkeypatch, tmp_path, files_of):
    before = files_of(run().root)

    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(dissect.finishing, "write_layer", full)
        with pytest.raises(OutputError, match="No space left on device") as caught:
            run(quantile="0.3", overwrite=True)
    assert caught.value.exit_code == 3
    assert files_of(tmp_path / "run") == before
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_full_disk_leaves_a_run_to_continue(run, monkeypatch, tmp_path):
    def full(*_args, **_kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(dissect.rundir, "write_file", full)
        with pytest.raises(OutputError, match="No space left"):
            run("first")
    with monkeypatch.context() as patch:
        patch.setattr(Stored, "write", full)
        with pytest.raises(OutputError, match="No space left"):
            run(max_memory=1)
    assert not (tmp_path / "run" / "run.json").exists()
    assert not run().unchanged
