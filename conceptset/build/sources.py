"""From the SOURCE arguments to annotation files, each with its format and its photographs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conceptset.build.people import NAMELESS, Called
from conceptset.build.roots import Place, Roots
from conceptset.build.survey import Survey, survey
from conceptset.errors import SourceError, UsageError
from conceptset.formats import format_named, formats
from conceptset.formats.base import Detection, Format
from conceptset.io.archives import archive_stem, is_archive
from conceptset.io.catalogue import ImageCatalogue
from conceptset.io.paths import plain_size
from conceptset.io.workspace import Workspace, open_workspace
from conceptset.parsing.values import quoted

Progress = Callable[[int, int], None]

_REASONS = 3  # formats whose reasons a message gives


@dataclass(frozen=True, slots=True)
class Source:
    """One annotation file or directory that will be read.

    Attributes:
        path: Where it lies; out of an archive, a place that is gone after the build.
        label: What messages and origins call it: relative to what the user named.
        format: Its reader.
        catalogue: Its photographs.
        beside: Its folder below the root of these, see `ReadContext`.
        called: Its names, as far as they can say who drew it.
        given: The SOURCE argument it belongs to.
    """

    path: Path
    label: str
    format: Format
    catalogue: ImageCatalogue
    beside: str = ""
    called: Called = NAMELESS
    given: Path = Path()


@dataclass(frozen=True, slots=True)
class Opened:
    """What the SOURCE arguments came to.

    Attributes:
        sources: What is read, in the order of the arguments, then by path.
        left_out: Files that are not read, by reason.
    """

    sources: tuple[Source, ...]
    left_out: dict[str, int]


@dataclass(frozen=True, slots=True)
class Group:
    """One SOURCE argument, looked at.

    Attributes:
        given: The argument.
        title: What messages call it.
        path: What is read: the argument itself, or what an archive was unpacked to.
        survey: What the formats say.
    """

    given: Path
    title: str
    path: Path
    survey: Survey


@contextmanager
def open_sources(
    given: Sequence[Path],
    *,
    format_name: str | None = None,
    images: Path | None = None,
    near: Path | None = None,
    takes_absent: bool = False,
    progress: Progress = lambda _done, _total: None,
) -> Iterator[Opened]:
    """The annotation files that the arguments name, as long as the block lasts.

    Archives are unpacked into a directory that is removed when the block ends, however it ends;
    errors that leave the block name the archive and never that directory.

    Args:
        given: Files, directories, archives.
        format_name: `--format`.
        images: `--images`, the image root of all.
        near: Where the directory is made; the system's own for temporary files if None.
        takes_absent: Whether photographs may be missing; what annotations state of them then
            stands for them.
        progress: Told (done, total) members of an archive that is unpacked.

    Raises:
        SourceError: One does not exist, cannot be unpacked, or no format takes it; every format's
            reason is given. Or its photographs cannot be found.
        UsageError: Several formats take one, or something is named twice.
        OutputError: There is no room to unpack.
    """
    with open_workspace(near) as workspace:
        groups = list(look_at(given, workspace, format_name=format_name, progress=progress))
        for group in groups:
            if not group.survey.found:
                raise _unreadable(group, format_name)
        roots = Roots(images, workspace, takes_absent=takes_absent)
        sources = _assigned(groups, roots)
        if len(groups) > 1:
            _refuse_twice(sources)
        yield Opened(tuple(sources), _left_out(groups))


def look_at(
    given: Sequence[Path],
    workspace: Workspace,
    *,
    format_name: str | None = None,
    progress: Progress = lambda _done, _total: None,
) -> Iterator[Group]:
    """Each SOURCE argument, unpacked if it is an archive, and what the formats say.

    Raises:
        SourceError: One does not exist, is a pipe, or cannot be unpacked.
        UsageError: Something is named twice, or no format has the name.
    """
    readers = list(formats().values()) if format_name is None else [format_named(format_name)]
    for path in given:
        if not path.exists():
            raise SourceError("does not exist", path=path)
        if not path.is_dir():
            plain_size(path)
    resolved = [path.resolve() for path in given]
    for place, path in enumerate(resolved):
        if path in resolved[:place]:
            raise UsageError("is named twice among the sources", path=given[place])
    for path, title in zip(given, _titles(given), strict=True):
        inside = workspace.unpack(path, progress) if is_archive(path) else path
        found = survey(inside, readers, forced=format_name is not None)
        yield Group(path, title, inside, found)


def _titles(given: Sequence[Path]) -> list[str]:
    """What messages call each argument: its last name, with as many folders as tell it apart."""
    parts = [Path(os.path.abspath(path)).parts for path in given]  # noqa: PTH100 - keeps links
    titles = []
    for own in parts:
        others = [other for other in parts if other != own]
        length = 1
        while length < len(own) - 1 and any(other[-length:] == own[-length:] for other in others):
            length += 1
        titles.append("/".join(own[-length:]).lstrip("/") or "root")
    return titles


def _assigned(groups: Sequence[Group], roots: Roots) -> list[Source]:
    """The sources of all groups, each with its photographs."""
    chosen = [roots.choose(_place(group), _files(group)) for group in groups]
    known = dict.fromkeys(root for own in chosen if own is not None for root in own)
    sources: list[Source] = []
    for group, own in zip(groups, chosen, strict=True):
        place, files = _place(group), _files(group)
        final = roots.rescue(place, files, known) if own is None else own
        for (path, reader), root in zip(files, final, strict=True):
            label = _label(group, path)
            sources.append(
                Source(
                    path=path,
                    label=label,
                    format=reader,
                    catalogue=roots.catalogue(root),
                    beside=place.beside(path, root),
                    called=_called(group, path, label),
                    given=group.given,
                )
            )
    return sources


def _label(group: Group, path: Path) -> str:
    inside = "" if path == group.path else path.relative_to(group.path).as_posix()
    return f"{group.title}/{inside}" if inside else group.title


def _files(group: Group) -> list[tuple[Path, Format]]:
    return [(found.path, format_named(found.format)) for found in group.survey.found]


def _place(group: Group) -> Place:
    return Place(group.path, group.given.parent)


def _called(group: Group, path: Path, label: str) -> Called:
    absolute = Path(os.path.abspath(path))  # noqa: PTH100 - keeps links
    is_folder, name, archive = path.is_dir(), absolute.name, archive_stem(group.given)
    if group.path != group.given and len(group.survey.found) == 1:
        stem = archive
    else:
        stem = name if is_folder else path.stem
    folder = name if is_folder else absolute.parent.name
    inside = label[len(group.title) + 1 :]
    around = [folder for one in (label, inside) for folder in _folders_of(one)]
    keys = (label, inside, name, stem, path.stem, *around, archive)
    return Called(stem, folder, tuple(dict.fromkeys(key for key in keys if key)))


def _folders_of(path: str) -> list[str]:
    """The folders around something, the nearest first."""
    parts = path.split("/")
    return ["/".join(parts[:depth]) for depth in range(len(parts) - 1, 0, -1)]


def _refuse_twice(sources: Sequence[Source]) -> None:
    seen: set[Path] = set()
    for source in sources:
        key = source.path.resolve()
        if key in seen:
            raise UsageError("is named twice among the sources", path=source.path)
        seen.add(key)


def _left_out(groups: Sequence[Group]) -> dict[str, int]:
    """What lies in the named directories and looks as if it wanted to be read.

    A file cut short, say, would otherwise cost an annotator without a word.
    """
    others = sum(group.survey.others for group in groups)
    archives = sum(len(group.survey.archives) for group in groups)
    reasons = {
        "files of no known format ('conceptset detect FILE' says why)": others,
        "archives inside other sources (name them as sources)": archives,
    }
    return {reason: number for reason, number in reasons.items() if number}


def _unreadable(group: Group, format_name: str | None) -> SourceError:
    """Why nothing of a SOURCE is read."""
    found = group.survey
    if not group.path.is_dir():
        return SourceError(
            f"is of no known annotation format ({_reasons(found.whole)})",
            path=group.path,
            hint="'conceptset detect' says more; --format NAME chooses a reader.",
        )
    title = "" if format_name is None else f"{format_named(format_name).title} "
    reasons = _reasons(found.whole)
    if found.examples:
        file, said = found.examples[0]
        reasons = f"{file.relative_to(group.path).as_posix()}: {_reasons(said)}"
    hint = "'conceptset detect' says more."
    if found.archives:
        inner = quoted(found.archives[0].name)
        hint = f"It holds archives, such as {inner}, which are not opened: name them as sources."
    return SourceError(
        f"holds no {title}annotations in a known format ({reasons})", path=group.path, hint=hint
    )


def _reasons(said: Sequence[Detection]) -> str:
    """What the formats missed, of those that looked deepest."""
    kinds = ("is a file", "is a directory", "is not called")
    deepest = sorted(said, key=lambda one: (one.reasons[0].startswith(kinds), -len(one.reasons)))
    formats_by_text: dict[str, list[str]] = {}
    for one in deepest:
        formats_by_text.setdefault(", ".join(one.reasons), []).append(one.format)
    texts = [f"{', '.join(who)}: {text}" for text, who in formats_by_text.items()]
    return "; ".join(texts[:_REASONS]) + ("; ..." if len(texts) > _REASONS else "")
