"""Answers about a set that need its labels only: which images carry a concept, what it holds."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from conceptset.errors import UsageError
from conceptset.io.images import read_codes
from conceptset.layout.reading import ConceptSet, IndexEntry


@dataclass(frozen=True, slots=True)
class Occurrence:
    """A concept in one image.

    Attributes:
        image: Photograph, relative to images/.
        split: Its part of the set.
        pixels: Pixels of the label maps that bear the label; all of them for a whole-image label.
        share: The same as a fraction of the map.
        categories: Where it occurs.
    """

    image: str
    split: str
    pixels: int
    share: float
    categories: tuple[str, ...]


def number_of(concepts: ConceptSet, name: str) -> int:
    """The label number of a concept, by its name or number.

    Raises:
        UsageError: There is none; near names are offered.
    """
    numbers = {concept: number for number, concept in concepts.names.items()}
    if name in numbers:
        return numbers[name]
    if name.isdecimal() and int(name) in concepts.names:
        return int(name)
    near = difflib.get_close_matches(name, numbers, n=3)
    raise UsageError(
        f"the set has no concept {name!r}",
        hint=f"Did you mean {' or '.join(near)}?" if near else "'conceptset info' lists them.",
    )


def find_concept(concepts: ConceptSet, number: int) -> list[Occurrence]:
    """The images that carry a label, most pixels first, then by path.

    Only maps of categories that list the label are decoded.
    """
    homes = [
        category
        for category in concepts.categories
        if any(label.number == number for label in concepts.tables[category])
    ]
    found = [
        occurrence
        for entry in concepts.entries
        for occurrence in _occurrence(concepts, entry, number, homes)
    ]
    return sorted(found, key=lambda occurrence: (-occurrence.pixels, occurrence.image))


def _occurrence(
    concepts: ConceptSet, entry: IndexEntry, number: int, homes: Iterable[str]
) -> Iterator[Occurrence]:
    area = entry.map_size[0] * entry.map_size[1]
    pixels, categories = 0, []
    for category in homes:
        cell = entry.cells.get(category)
        if cell is None:
            continue
        here = area if number in cell.labels else 0
        for name in cell.maps:
            here += int(np.count_nonzero(read_codes(concepts.file(name)) == number))
        if here:
            categories.append(category)
            pixels += here
    if pixels:
        yield Occurrence(entry.image, entry.split, pixels, pixels / area, tuple(categories))
