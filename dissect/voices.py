"""Whose labels a run is tallied against: the index, every annotator's own, and who is left out.

A voice is one source of labels for the images of a run. Voice 0 is the index asked for; then
come the annotators that take part, in the order of annotators.csv; then, for each of them, the
consensus of the others; last, where the root index is no consensus of a kind that can be formed
again from label maps, the consensus of everybody that these are compared with.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from conceptset.errors import LayoutError, UsageError, printable
from conceptset.layout import names
from conceptset.layout.models import AnnotatorRow
from conceptset.layout.reading import ConceptSet, IndexEntry, read_index
from dissect.leaving_out import Method, choose_method
from dissect.selecting import check_files

EVERYBODY, NOBODY = "all", "none"


@dataclass(frozen=True, slots=True)
class Annotator:
    """One session of one person, or a model.

    Attributes:
        row: Of annotators.csv.
        entries: By row of the index asked for, the annotator's own entry for that image; only
            images of the run that the annotator worked on.
        silences: The masks of what was left out of the vote, relative to images/.
    """

    row: AnnotatorRow
    entries: Mapping[int, IndexEntry]
    silences: frozenset[str]

    @property
    def title(self) -> str:
        """`NAME`, or `NAME#2` for a later session."""
        return title_of(self.row)


@dataclass(frozen=True, slots=True)
class Panel:
    """Everybody who is heard in a run.

    Attributes:
        annotators: Those that are tallied.
        voters: By row of the index, everybody who has a vote on the image, tallied or not: each
            person once, by the first session that saw it, and no model.
        leaves: For each of `annotators`, whether the consensus without them is tallied.
        method: How it is formed; None if it is for nobody.
    """

    annotators: tuple[Annotator, ...] = ()
    voters: Mapping[int, tuple[Annotator, ...]] | None = None
    leaves: tuple[bool, ...] = ()
    method: Method | None = None

    @property
    def base(self) -> Literal["root", "consensus"]:
        """What a consensus without somebody is compared with."""
        return "root" if self.method is None or not self.method.reason else "consensus"

    @property
    def voices(self) -> int:
        """How many there are."""
        return 2 * len(self.annotators) + 2

    def without(self, annotator: int) -> int:
        """The voice of the others."""
        return 1 + len(self.annotators) + annotator

    @property
    def everybody(self) -> int:
        """The voice of everybody together, heard if `base` is `consensus`."""
        return 1 + 2 * len(self.annotators)

    def voted(self, annotator: int) -> list[int]:
        """The rows where a person that is left out has a vote, by this or another session."""
        name = self.annotators[annotator].row.annotator
        return [
            row
            for row, voters in sorted((self.voters or {}).items())
            if any(voter.row.annotator == name for voter in voters)
        ]


def title_of(row: AnnotatorRow) -> str:
    """`NAME`, or `NAME#2` for a later session."""
    return row.annotator if row.session == 1 else f"{row.annotator}#{row.session}"


def choose_annotators(
    rows: Sequence[AnnotatorRow], wanted: Sequence[str] | None
) -> tuple[AnnotatorRow, ...]:
    """The annotators that take part, in the order of `rows`.

    Args:
        rows: Those of the set.
        wanted: Names (`NAME`, `NAME#2`, or a directory); `all` alone: everybody's first session
            if there are two annotators or more; `none` alone; None: as `all` if there are two
            persons or more, else nobody.

    Raises:
        UsageError: The set has no such annotator.
    """
    first: dict[tuple[str, str], AnnotatorRow] = {}
    for row in sorted(rows, key=lambda row: row.session):
        first.setdefault((row.kind, row.annotator), row)
    if wanted is None:
        people = sum(row.kind == "person" for row in first.values())
        wanted = (EVERYBODY,) if people > 1 else (NOBODY,)
    if tuple(wanted) == (NOBODY,) or not wanted:
        return ()
    if tuple(wanted) == (EVERYBODY,):
        chosen = list(first.values()) if len(first) > 1 else []
    else:
        chosen = [_find(rows, name) for name in wanted]
    return tuple(row for row in rows if row in chosen)


def _find(rows: Sequence[AnnotatorRow], name: str) -> AnnotatorRow:
    spellings = (title_of, lambda row: row.directory, lambda row: f"{row.annotator}#{row.session}")
    for spell in spellings:
        for row in rows:
            if spell(row) == name:
                return row
    known = ", ".join(printable(title_of(row), 40) or f"'' ({row.directory})" for row in rows[:20])
    more = f" and {len(rows) - 20} more" if len(rows) > 20 else ""
    raise UsageError(
        f"--annotators names '{printable(name, 60)}', whom the set does not know",
        hint=f"It has: {known}{more}." if rows else "It has no annotators.csv: give none.",
    )


def open_panel(
    concept_set: ConceptSet,
    entries: Sequence[IndexEntry],
    categories: Sequence[str],
    *,
    wanted: Sequence[str] | None,
    index: str,
) -> Panel:
    """Everybody who is to be heard, with what they worked on; every file needed is there.

    Args:
        concept_set: The set, opened with the index asked for.
        entries: The images of the run.
        categories: Those enabled.
        wanted: As `choose_annotators` takes it.
        index: The index asked for, relative to the set.

    Raises:
        UsageError: The set has no such annotator, or annotators were asked for beside an index
            of somebody's own.
        SourceError: An annotator's index is broken, or does not fit that of the set.
    """
    if index != names.INDEX:
        if wanted and tuple(wanted) != (NOBODY,):
            raise UsageError(
                f"--annotators goes with the set's own {names.INDEX}, not with --index {index}",
                hint="Leave one of the two out.",
            )
        return Panel()
    chosen = choose_annotators(concept_set.annotators, wanted)
    if not chosen:
        return Panel()
    rows = {entry.image: entry for entry in entries}
    leaves = _leaves(chosen)
    needed = concept_set.annotators if any(leaves) else chosen
    heard = {
        row: _open(concept_set, row, rows, categories)
        for row in needed
        if row in chosen or row.kind == "person"
    }
    return Panel(
        tuple(heard[row] for row in chosen),
        _voters(heard.values()) if any(leaves) else None,
        leaves,
        choose_method(_method_of(concept_set)) if any(leaves) else None,
    )


def _leaves(chosen: Sequence[AnnotatorRow]) -> tuple[bool, ...]:
    """Persons are left out, by the first of their sessions that takes part."""
    earliest: dict[str, int] = {}
    for row in chosen:
        earliest[row.annotator] = min(row.session, earliest.get(row.annotator, row.session))
    return tuple(row.kind == "person" and row.session == earliest[row.annotator] for row in chosen)


def _method_of(concept_set: ConceptSet) -> str:
    manifest = concept_set.manifest
    return "majority" if manifest is None else str(manifest.settings.get("consensus", "majority"))


def _open(
    concept_set: ConceptSet,
    row: AnnotatorRow,
    rows: Mapping[str, IndexEntry],
    categories: Sequence[str],
) -> Annotator:
    index = names.annotator_file(row.directory, names.INDEX)
    own = [
        entry
        for entry in read_index(concept_set.root, index, concept_set.categories)
        if entry.image in rows
    ]
    for entry in own:
        if entry.map_size != rows[entry.image].map_size:
            raise LayoutError(
                f"gives {entry.image} label maps of another size than {names.INDEX} does",
                path=concept_set.root / index,
                hint="Run 'conceptset validate' on the set.",
            )
    check_files(concept_set, own, categories, index=index)
    own_rows = {rows[entry.image].row: entry for entry in own}
    return Annotator(row, own_rows, _silences(concept_set, row.directory))


def _silences(concept_set: ConceptSet, directory: str) -> frozenset[str]:
    """Every mask of pixels without a vote: one look at a folder instead of one for each image."""
    images = concept_set.root / names.IMAGE_FOLDER
    folder = concept_set.file(f"{names.ANNOTATOR_FOLDER}/{directory}")
    found = (path.relative_to(images).as_posix() for path in folder.rglob("*_ignore.png"))
    return frozenset(name for name in found if concept_set.file(name).is_file())


def _voters(annotators: Iterable[Annotator]) -> dict[int, tuple[Annotator, ...]]:
    """Who decides on each image, in order of name."""
    people = [one for one in annotators if one.row.kind == "person"]
    people.sort(key=lambda one: (one.row.annotator, one.row.session))
    result: dict[int, tuple[Annotator, ...]] = {}
    for _, sessions in itertools.groupby(people, key=lambda one: one.row.annotator):
        seen: dict[int, Annotator] = {}
        for session in sessions:
            for row in session.entries:
                seen.setdefault(row, session)
        for row, session in seen.items():
            result[row] = (*result.get(row, ()), session)
    return result


def index_files(concept_set: ConceptSet, panel: Panel) -> list[str]:
    """The tables that say who is heard, relative to the set."""
    if not panel.annotators:
        return []
    rows = concept_set.annotators
    return [
        names.ANNOTATORS,
        *(names.annotator_file(row.directory, names.INDEX) for row in rows),
    ]
