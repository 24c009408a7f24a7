"""Output that is either whole or not there.

A new directory is written under a name beside its target and renamed when everything is on disk;
the manifest, written last, is the commit. Killed at any moment, the worst that stays behind is a
`NAME.partial-XXXX` directory, which no reader of ours opens.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from conceptset.errors import OutputError, SourceError, UsageError

_POSIX = os.name == "posix"


def write_file(path: Path, data: bytes) -> None:
    """Write a file that is complete or absent: beside the target, flushed, then renamed."""
    write_blocks(path, [data])


def write_blocks(path: Path, blocks: Iterable[bytes | memoryview]) -> None:
    """As `write_file`, from blocks that are never held at once."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.partial-", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            for block in blocks:
                stream.write(block)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Flush a directory's own entries to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_tree(root: Path) -> None:
    """Flush every file and directory below `root` to disk.

    One `syncfs` flushes the whole file system and reports write errors (since Linux 5.8); flushing
    a hundred thousand small files one by one costs a disk barrier each. Where there is no such
    call every file is flushed by itself.
    """
    if _sync_file_system(root):
        return
    for directory, _, names in os.walk(root):
        for name in names:
            handle = os.open(Path(directory, name), os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_directory(Path(directory))


def _sync_file_system(root: Path) -> bool:
    """Flush the file system that holds `root`; False where the system has no call for it."""
    syncfs = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if _POSIX else None
    if syncfs is None:
        return False
    handle = os.open(root, os.O_RDONLY)
    try:
        if syncfs(handle) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(root))
    finally:
        os.close(handle)
    return True


def check_target(target: Path, *, overwrite: bool) -> None:
    """Refuse a target that exists, before any work is done.

    Raises:
        UsageError: It exists and `overwrite` is not set, or its parent is a file.
    """
    if os.path.lexists(target) and not overwrite:
        raise UsageError(
            "the output exists already",
            path=target,
            hint="Choose another --out, or give --overwrite to replace it.",
        )
    for parent in target.absolute().parents:
        if parent.exists():
            if not parent.is_dir():
                raise UsageError("is a file, a directory was expected", path=parent)
            break


@contextmanager
def new_directory(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """A directory to fill, which becomes `target` when the block ends without an exception.

    An old target (with `overwrite`) is renamed aside before the new one takes its place and
    removed after that; an exception leaves it untouched.

    Raises:
        UsageError: The target exists and `overwrite` is not set.
        OutputError: It cannot be written (rights, a full disk).
        SourceError: A file elsewhere could not be read while it was filled.
    """
    check_target(target, overwrite=overwrite)
    if target.name in ("", ".."):  # `.` and `..` have no name to put a partial one beside
        target = target.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=f"{target.name}.partial-", dir=target.parent))
    except OSError as error:
        raise OutputError(f"cannot be written ({error.strerror})", path=target) from error
    try:
        partial.chmod(0o755)
        yield partial
        sync_tree(partial)
        check_target(target, overwrite=overwrite)  # somebody may have made it meanwhile
        aside = _take_place(partial, target)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        if not _is_ours(error.filename, target):
            raise SourceError(
                f"cannot be read ({error.strerror or error})", path=error.filename
            ) from error
        raise OutputError(
            f"cannot be written ({error.strerror or error})",
            path=error.filename or target,
            hint="Nothing was changed; free space or choose another --out, and run again.",
        ) from error
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    try:
        sync_directory(target.parent)
    except OSError as error:
        raise OutputError(
            f"is written, but its folder cannot be flushed to disk ({error.strerror})", path=target
        ) from error
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def _is_ours(name: object, target: Path) -> bool:
    """Whether an error is about what is written; one that names no file is."""
    if not isinstance(name, str):
        return True
    try:
        first = Path(name).absolute().relative_to(target.parent.absolute()).parts[:1]
    except ValueError:
        return False
    return first in ((), (target.name,)) or first[0].startswith(f"{target.name}.partial-")


def _take_place(partial: Path, target: Path) -> Path | None:
    """Rename `partial` to `target`; the directory in which an old target now lies."""
    if not os.path.lexists(target):
        partial.rename(target)
        return None
    aside = Path(tempfile.mkdtemp(prefix=f"{target.name}.partial-old-", dir=target.parent))
    old = aside / target.name
    try:
        target.rename(old)
        partial.rename(target)
    except BaseException:  # Ctrl-C too: the old target goes back under its name
        if not os.path.lexists(target):
            old.rename(target)
        if not os.path.lexists(old):
            aside.rmdir()
        raise
    return aside
