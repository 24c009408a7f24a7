"""What the formats say about a file or directory, and about the files in it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptset.errors import SourceError, UsageError
from conceptset.formats import ask
from conceptset.formats.base import Detection, Format
from conceptset.io.archives import has_archive_name
from conceptset.io.images import SUFFIXES
from conceptset.layout.names import MANIFEST

_USUAL = (".json", ".xml", ".jsonl", ".ndjson", ".manifest")  # a file called so wants to be read
_EXAMPLES = 3
_WRAPPINGS = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A file or directory, and the formats that take it with what they said; usually one."""

    path: Path
    taking: tuple[Detection, ...]

    @property
    def format(self) -> str:
        """Name of the one format that takes it.

        Raises:
            UsageError: There are several.
        """
        if len(self.taking) > 1:
            raise UsageError(
                f"could be {' or '.join(one.format for one in self.taking)}",
                path=self.path,
                hint="Choose with --format NAME.",
            )
        return self.taking[0].format


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found at one place.

    Attributes:
        path: The file or directory.
        whole: What each format says about it as a whole, those that take it first.
        found: What is to be read: the place itself, the one directory in it, or files below it.
        others: How many further files are called like annotations.
        examples: Some of these, with what the formats said.
        archives: Archives below it, which are not opened.
        first: The first file that was looked at, with what the formats said.
    """

    path: Path
    whole: tuple[Detection, ...]
    found: tuple[Found, ...]
    others: int = 0
    examples: tuple[tuple[Path, tuple[Detection, ...]], ...] = ()
    archives: tuple[Path, ...] = ()
    first: tuple[Path, tuple[Detection, ...]] | None = None


def survey(path: Path, readers: Sequence[Format], *, forced: bool = False) -> Survey:
    """Look at a file or directory.

    A directory is read as a whole if a format takes it so; else each file in it that a
    format takes. Photographs, hidden files and concept sets in it are passed over. A directory that
    holds nothing but another one is that other one, as archives often have it.

    Args:
        path: An existing file or directory, no archive.
        readers: The formats to ask.
        forced: Whether `--format` chose the reader: then it also takes what it takes on request
            only, and a file whatever it says.

    Raises:
        SourceError: The directory cannot be read.
    """
    whole = ask(path, readers)
    inner: Path | None = path
    for _ in range(_WRAPPINGS):
        if inner is None:
            break
        said = whole if inner == path else ask(inner, readers)
        taken = _taken(inner, said, forced=forced)
        if taken is not None:
            return Survey(path, said, (taken,))
        inner = _only_folder(inner)
    if not path.is_dir():
        return Survey(path, whole, (Found(path, whole),) if forced else ())
    return _survey_files(path, whole, readers, forced=forced)


def _survey_files(
    path: Path, whole: tuple[Detection, ...], readers: Sequence[Format], *, forced: bool
) -> Survey:
    found: list[Found] = []
    examples: list[tuple[Path, tuple[Detection, ...]]] = []
    archives: list[Path] = []
    first = None
    others = 0
    for file in _files(path):
        if has_archive_name(file.name):
            archives.append(file)
            continue
        said = ask(file, readers)
        taken = _taken(file, said, forced=forced)
        if first is None and (taken is not None or file.suffix.lower() in _USUAL):
            first = (file, said)
        if taken is not None:
            found.append(taken)
        elif file.suffix.lower() in _USUAL:
            others += 1
            if len(examples) < _EXAMPLES:
                examples.append((file, said))
    return Survey(path, whole, tuple(found), others, tuple(examples), tuple(archives), first)


def _taken(path: Path, said: Sequence[Detection], *, forced: bool) -> Found | None:
    taking = tuple(one for one in said if one.matches or (forced and one.on_request))
    return Found(path, taking) if taking else None


def _files(folder: Path) -> Iterator[Path]:
    """What could be annotations below a folder, sorted."""
    for directory, folders, names in os.walk(folder):
        if MANIFEST in names:  # a concept set: our own tables are no annotations
            folders.clear()
            continue
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in sorted(names):
            if not _is_hidden(name) and not name.lower().endswith(SUFFIXES):
                yield Path(directory, name)


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def _only_folder(path: Path) -> Path | None:
    """The one directory in a directory that holds nothing else."""
    if not path.is_dir():
        return None
    try:
        with os.scandir(path) as entries:
            visible = [entry for entry in entries if not _is_hidden(entry.name)]
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})", path=path) from error
    if len(visible) == 1 and visible[0].is_dir(follow_symlinks=False):
        return path / visible[0].name
    return None
