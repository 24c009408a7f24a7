"""Whether another machine sees the same files as this one.

A path that exists everywhere may still be another folder on each machine (`/tmp`, a mount point
without its mount), so a file is compared by its size, a directory by something that lies in it,
and a directory that is written to by a file that each side writes and the other looks for.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from conceptset import __version__

_TOKEN = "asked"


@dataclass(frozen=True, slots=True)
class Question:
    """What another machine should find.

    Attributes:
        path: As the user gave it.
        witness: The name of something in it, if it is a directory that is not empty.
        size: Bytes of a file; None for a directory.
        version: Of this package.
    """

    path: Path
    witness: str | None
    size: int | None
    version: str = __version__


@dataclass(frozen=True, slots=True)
class Probe:
    """A folder in which others leave a mark.

    Attributes:
        folder: None if nothing is to be written.
    """

    folder: Path | None

    @property
    def questions(self) -> list[Question]:
        """What others should find in it."""
        return questions_of([self.folder]) if self.folder is not None else []

    def was_written_by(self, who: str) -> bool:
        """Whether somebody's mark is seen here."""
        return self.folder is None or (self.folder / who).exists()


@contextmanager
def probe(writes: Path | None) -> Iterator[Probe]:
    """A folder for marks in `writes`, gone after the block."""
    if writes is None:
        yield Probe(None)
        return
    folder = writes / f".sight-{secrets.token_hex(8)}"
    folder.mkdir()
    try:
        (folder / _TOKEN).write_text(folder.name)
        yield Probe(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def questions_of(paths: Iterable[Path]) -> list[Question]:
    """What this machine sees at each path."""
    found = []
    for path in paths:
        if path.is_dir():
            with os.scandir(path) as entries:
                first = next(entries, None)
            found.append(Question(path, first.name if first is not None else None, None))
        else:
            found.append(Question(path, None, path.stat().st_size))
    return found


def answer(folder: str, questions: list[Question], writes: Path | None, who: str) -> str | None:
    """On the other machine: what is wrong, None if nothing is; leaves a mark.

    Args:
        folder: Where relative paths are seen from.
        questions: What should be found.
        writes: Where to leave a mark.
        who: What to call it.
    """
    with suppress(OSError):
        os.chdir(folder)
    for question in questions:
        if question.version != __version__:
            return f"has conceptset {__version__}, this machine {question.version}"
        if not _is_seen(question):
            return f"does not see {Path(folder, question.path)} as this machine does"
    if writes is not None:
        try:
            (writes / who).touch()
        except OSError as error:
            return f"cannot write to {Path(folder, writes).parent} ({error.strerror})"
    return None


def _is_seen(question: Question) -> bool:
    try:
        if question.size is not None:
            return question.path.stat().st_size == question.size
        return question.path.is_dir() and (
            question.witness is None or os.path.lexists(question.path / question.witness)
        )
    except OSError:
        return False
