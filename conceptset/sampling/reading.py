"""What is asked of a set before images are drawn: who has done what, and what is in each image."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from conceptset.build.people import Aliases
from conceptset.errors import LayoutError, UnsafeError, printable
from conceptset.io.images import read_codes
from conceptset.io.parallel import usable_cores
from conceptset.io.paths import plain_size, relative_name
from conceptset.layout import names
from conceptset.layout.models import ImageRow
from conceptset.layout.reading import ConceptSet
from conceptset.merge.inputs import HINT, Input, open_inputs

_MAX_LINE = 64 << 20

Concept: TypeAlias = tuple[str, str]  # category, name
NOTHING: Concept = ("", "")  # the stratum of images without any label


@dataclass(frozen=True, slots=True)
class Known:
    """One image as the set knows it.

    Attributes:
        origin: Where it came from.
        sessions: Sessions of each person that annotated it, by name.
        concepts: What anybody saw in it; `NOTHING` alone if nobody saw anything.
    """

    origin: ImageRow
    sessions: Mapping[str, frozenset[int]]
    concepts: frozenset[Concept]


@dataclass(frozen=True, slots=True)
class Annotated:
    """A set.

    Attributes:
        people: Names of persons, sorted.
        models: Names of annotators that are none.
        images: Sorted by name.
    """

    people: tuple[str, ...]
    models: frozenset[str]
    images: tuple[Known, ...]


def read_set(root: Path) -> Annotated:
    """Who annotated what in a set of ours, or in a foreign layout.

    Raises:
        LayoutError: A table cannot be used.
    """
    (one,) = open_inputs([root], Aliases({}), by_folder=False, jobs=usable_cores())
    origins = {image: _checked(row, root) for image, row in sorted(one.origins.items())}
    sessions: dict[str, dict[str, set[int]]] = {image: {} for image in origins}
    concepts: dict[str, set[Concept]] = {image: set() for image in origins}
    for session in one.sessions:
        for image in session.entries:
            if image not in origins:
                raise LayoutError(
                    f"has no row for {printable(image, 120)}", path=root / names.IMAGES, hint=HINT
                )
            if session.kind == "person":
                numbers = sessions[image].setdefault(session.person.name, set())
                numbers.add(session.person.session)
    for image, concept in _concepts(one):
        if image in concepts:
            concepts[image].add(concept)
    kinds = {session.person.name: session.kind for session in one.sessions}
    return Annotated(
        tuple(sorted(name for name, kind in kinds.items() if kind == "person")),
        frozenset(name for name, kind in kinds.items() if kind != "person"),
        tuple(
            Known(
                origin,
                {name: frozenset(numbers) for name, numbers in sorted(sessions[image].items())},
                frozenset(concepts[image]) or frozenset([NOTHING]),
            )
            for image, origin in origins.items()
        ),
    )


def _checked(row: ImageRow, root: Path) -> ImageRow:
    """The row, if its path can stand in a line of a list."""
    try:
        relative_name(row.original)
    except UnsafeError as error:
        raise LayoutError(
            f"original: {error.message}", path=root / names.IMAGES, hint=HINT
        ) from error
    return row


def _concepts(one: Input) -> Iterator[tuple[str, Concept]]:
    if one.manifest is None:
        yield from _labelled(one.concepts)
        return
    for session in one.sessions:
        if session.directory is not None:
            yield from _drawn(one.root / names.annotator_file(session.directory, names.SEGMENTS))


def _drawn(path: Path) -> Iterator[tuple[str, Concept]]:
    """(image, concept) of every segment; what is ignored is nobody's concept."""
    try:
        plain_size(path)
        with path.open("rb") as stream:
            pieces = iter(lambda: stream.readline(_MAX_LINE), b"")
            for number, text in enumerate(pieces, start=1):
                try:
                    row = json.loads(text)
                    image, kind, found = (
                        row["image"],
                        row["kind"],
                        (row["category"], row["concept"]),
                    )
                    texts = all(isinstance(one, str) for one in (image, *found))
                except (ValueError, TypeError, KeyError, RecursionError):
                    texts = False
                if not texts:
                    place = f"line {number}"
                    raise LayoutError("is no segment", path=path, pointer=place, hint=HINT)
                if kind != "ignore":
                    yield image, found
    except OSError as error:
        raise LayoutError(f"cannot be read ({error.strerror})", path=path, hint=HINT) from error


def _labelled(concepts: ConceptSet) -> Iterator[tuple[str, Concept]]:
    """(image, concept) of every label in the maps of a layout that keeps no segments."""
    for entry in concepts.entries:
        for category, cell in entry.cells.items():
            numbers = set(cell.labels)
            for name in cell.maps:
                numbers.update(np.unique(read_codes(concepts.file(name))).tolist())
            for number in sorted(numbers & concepts.names.keys()):
                yield entry.image, (category, concepts.names[number])
