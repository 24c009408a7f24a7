"""A run directory, from nothing to complete: who may write into it, and what a restart finds.

RUN is written in place. `shards/fingerprint.json` comes first and says whose the directory is;
`run.json` comes last and makes it complete; `shards/` goes after that. What an attempt that was
stopped has finished of a shard is gone on from; what it left half written is swept away.

One process at a time writes a run, or several that each scan a shard of it: `shards/lock`.

With `--overwrite` a run of ours that is in the way is moved aside and comes back if the new one
fails; it is removed once the new one is complete.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Literal

from conceptset.errors import ConceptsetError, OutputError, UsageError
from conceptset.io.atomic import write_file
from conceptset.io.tables import format_json, read_json
from dissect.errors import RunExistsError
from dissect.shards import locked
from dissect.state import Run, RunLayout, open_run

Status = Literal["new", "incomplete", "complete", "other", "foreign"]
_OTHERWISE = "Choose another --out, or give --overwrite to start anew."
_SHARDS_OTHERWISE = (
    "All shards of a run have the same options, set and weights. Choose another --out, or remove "
    "the directory to start anew."
)
# held for a moment by each process that scans a shard: only one says whose the directory is
_BEGINNING = "lock-of-beginning"
_BEGINNING_SECONDS = 60.0


def inspect(root: Path, fingerprint: str) -> tuple[Status, Run | None]:
    """What stands at `root`: nothing (or an empty directory), this run, another, no run at all.

    `complete` comes with the run itself.
    """
    layout = RunLayout(root)
    if layout.manifest.is_file():
        try:
            run = open_run(root)
        except ConceptsetError:
            return ("other" if layout.pending.is_file() else "foreign"), None
        return ("complete", run) if run.fingerprint == fingerprint else ("other", None)
    if layout.pending.is_file():
        pending = read_json(layout.pending)
        same = isinstance(pending, dict) and pending.get("fingerprint") == fingerprint
        return ("incomplete" if same else "other"), None
    return ("new" if _is_untouched(layout) else "foreign"), None


def _is_untouched(layout: RunLayout) -> bool:
    """Whether nothing stands there but what an attempt makes before it can say whose it is."""
    if not layout.root.exists():
        return True
    if not layout.root.is_dir() or any(path != layout.shards for path in layout.root.iterdir()):
        return False
    if not layout.shards.exists():
        return True
    unfinished = f".{layout.pending.name}.partial-"
    return layout.shards.is_dir() and all(
        path.name in (layout.lock.name, _BEGINNING) or path.name.startswith(unfinished)
        for path in layout.shards.iterdir()
    )


def sweep(layout: RunLayout) -> None:
    """Remove from a run what killed attempts left half written, and a complete run's shards."""
    if layout.manifest.is_file() and layout.shards.is_dir():
        shutil.rmtree(layout.shards, ignore_errors=True)
    for path in list(layout.root.rglob(".*.partial-*")):
        path.unlink(missing_ok=True)
    for folder in layout.root.glob(f"{layout.report.parent.name}.partial-*"):
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def claim(root: Path, fingerprint: str, *, overwrite: bool) -> Iterator[RunLayout]:
    """The directory to write a run into; the block must end by writing run.json.

    An unfinished equal run is gone on with in its place. An exception leaves the directory as an
    incomplete run, unless it replaced another: then that one is put back.

    Raises:
        RunExistsError: Something else is in the way, or another process is at work there; nothing
            was changed.
        OutputError: It cannot be written.
    """
    status = _check(root, fingerprint, overwrite=overwrite)
    if status == "complete" and not overwrite:
        raise _just_written(root)
    aside: Path | None = None
    with ExitStack() as stack:
        try:
            if status in ("other", "complete"):
                if RunLayout(root).shards.is_dir():
                    stack.enter_context(locked(RunLayout(root).lock))
                root.parent.mkdir(parents=True, exist_ok=True)
                prefix = f"{root.name}.partial-old-"
                aside = Path(tempfile.mkdtemp(prefix=prefix, dir=root.parent)) / root.name
                root.rename(aside)
            layout = RunLayout(root)
            layout.shards.mkdir(parents=True, exist_ok=True)
            stack.enter_context(locked(layout.lock))
            _check_unchanged(root, fingerprint, status if aside is None else "new")
            if overwrite:
                _empty_shards(layout)
            write_file(layout.pending, format_json({"fingerprint": fingerprint}))
            sweep(layout)
            yield layout
        except BaseException as error:
            if aside is not None:
                _put_back(root, aside)
            if isinstance(error, OSError):
                raise _unwritable(root, error) from error
            raise
        sweep(RunLayout(root))  # it is complete: nothing that fails from here on may take it back
        if aside is not None:
            shutil.rmtree(aside.parent, ignore_errors=True)


@contextmanager
def join(root: Path, fingerprint: str) -> Iterator[RunLayout]:
    """The directory of an unfinished run, to scan a shard of it beside other processes.

    Raises:
        RunExistsError: Something else is in the way, or a process is finishing the run.
        OutputError: It cannot be written.
    """
    _check(root, fingerprint, overwrite=False, hint=_SHARDS_OTHERWISE)
    layout = RunLayout(root)
    try:
        layout.shards.mkdir(parents=True, exist_ok=True)
        with locked(layout.lock, shared=True):
            with locked(layout.shards / _BEGINNING, wait=_BEGINNING_SECONDS):
                if not layout.pending.is_file():
                    write_file(layout.pending, format_json({"fingerprint": fingerprint}))
            _check_unchanged(root, fingerprint, "incomplete")
            yield layout
    except OSError as error:
        raise _unwritable(root, error) from error


def _check(root: Path, fingerprint: str, *, overwrite: bool, hint: str = _OTHERWISE) -> Status:
    """What stands at `root`, if that is nothing that is in the way."""
    status, _ = inspect(root, fingerprint)
    if status == "foreign":
        raise RunExistsError(
            "the output exists and is no run",
            path=root,
            hint="Choose another --out; nothing in it was touched.",
        )
    if status == "other" and not overwrite:
        raise RunExistsError(
            "the output holds a run with other options, another set or another model",
            path=root,
            hint=hint,
        )
    _check_parent(root)
    return status


def _check_unchanged(root: Path, fingerprint: str, expected: Status) -> None:
    """Nobody may have come first between the look at the directory and the lock."""
    now, _ = inspect(root, fingerprint)
    if now not in (expected, "incomplete"):
        raise _just_written(root)


def _just_written(root: Path) -> RunExistsError:
    return RunExistsError(
        "another process has just written there",
        path=root,
        hint="Give the same command again to see what stands there now.",
    )


def _unwritable(root: Path, error: OSError) -> OutputError:
    return OutputError(
        f"cannot be written ({error.strerror or error})",
        path=root,
        hint="Free space or mend the rights, and give the same command again.",
    )


def _put_back(root: Path, aside: Path) -> None:
    """The run that was to be replaced under its own name again, if it had left it at all."""
    if aside.exists():
        shutil.rmtree(root, ignore_errors=True)
        aside.rename(root)
    aside.parent.rmdir()


def _empty_shards(layout: RunLayout) -> None:
    """Remove what a stopped attempt kept on disk: this one begins anew."""
    for left in layout.shards.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        elif left not in (layout.pending, layout.lock):
            left.unlink(missing_ok=True)


def _check_parent(root: Path) -> None:
    for parent in root.absolute().parents:
        if parent.exists():
            if not parent.is_dir():
                raise UsageError("is a file, a directory was expected", path=parent)
            return
