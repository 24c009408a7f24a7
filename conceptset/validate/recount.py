"""The figures of a set, counted again from its maps and cells."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from conceptset.validate.facts import MapFacts
from conceptset.validate.views import IndexRow, View


@dataclass(frozen=True, slots=True)
class Figures:
    """How often labels occur, by label number.

    Attributes:
        frequency: Images that carry the label.
        coverage: Sum over images of the fraction of their pixels; a whole-image label counts 1.
    """

    frequency: Mapping[int, int]
    coverage: Mapping[int, float]


NOTHING = Figures({}, {})


@dataclass(frozen=True, slots=True)
class Recount:
    """All figures of one view.

    Attributes:
        labels: Over all categories: each image counts once for a label.
        categories: By category.
        broken: Categories with rows or maps that could not be counted; they have no figures to
            compare.
        pixels: Labels that occur in maps.
        wholes: Labels that hold for whole images.
    """

    labels: Figures
    categories: Mapping[str, Figures]
    broken: frozenset[str]
    pixels: frozenset[int]
    wholes: frozenset[int]

    def of(self, category: str) -> Figures:
        """The figures of a category; nothing where it occurs nowhere."""
        return self.categories.get(category, NOTHING)


@dataclass(slots=True)
class _Heap:
    """Occurrences as flat columns: which row, which label, how many pixels of how many."""

    rows: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)

    def add(self, row: int, labels: tuple[int, ...], counts: tuple[int, ...], area: int) -> None:
        self.rows.extend([row] * len(labels))
        self.labels.extend(labels)
        self.counts.extend(counts)
        self.areas.extend([area] * len(labels))


def recount(
    view: View, maps: Mapping[str, MapFacts], usable: Callable[[IndexRow, MapFacts], bool]
) -> Recount:
    """Frequency and coverage of every label of a view; a photograph counts by its first row.

    Args:
        view: Index and tables.
        maps: What the scan found, by name.
        usable: Whether a map counts on a row: decoded, R + 256 G, of the stated size.
    """
    heaps = {column: _Heap() for column in view.columns}
    broken = {name for name in view.concepts if not view.index.usable or name not in heaps}
    pixels: set[int] = set()
    wholes: set[int] = set()
    for place, row in enumerate(view.by_image.values()):
        stated = tuple(dict.fromkeys(row.numbers()))
        for category, name in dict.fromkeys(row.maps()):
            facts = maps.get(name)
            if facts is None or facts.size is None or not usable(row, facts):
                broken.add(category)
                continue
            pixels.update(facts.labels)
            area = facts.size[0] * facts.size[1]
            heaps[category].add(
                place, *_drawn(facts, {n for c, n in stated if c == category}), area
            )
        for category, number in stated:
            wholes.add(number)
            heaps[category].add(place, (number,), (1,), 1)
    return Recount(
        _figures(list(heaps.values())),
        {column: _figures([heap]) for column, heap in heaps.items()},
        frozenset(broken),
        frozenset(pixels),
        frozenset(wholes),
    )


def _drawn(facts: MapFacts, stated: set[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The labels of a map and their pixels, without labels that the cell gives the whole image."""
    if stated.isdisjoint(facts.labels):
        return facts.labels, facts.counts
    pairs = [pair for pair in zip(facts.labels, facts.counts, strict=True) if pair[0] not in stated]
    return tuple(label for label, _ in pairs), tuple(count for _, count in pairs)


def _figures(heaps: list[_Heap]) -> Figures:
    """Pixels are added as integers, per size of map, and divided once."""
    labels = np.array([value for heap in heaps for value in heap.labels], dtype=np.int64)
    if not labels.size:
        return NOTHING
    rows = np.array([value for heap in heaps for value in heap.rows], dtype=np.int64)
    counts = np.array([value for heap in heaps for value in heap.counts], dtype=np.int64)
    areas = np.array([value for heap in heaps for value in heap.areas], dtype=np.int64)
    numbers, place = np.unique(labels, return_inverse=True)
    carried = np.unique(rows * len(numbers) + place) % len(numbers)
    frequency = np.bincount(carried, minlength=len(numbers))
    coverage = np.zeros(len(numbers))
    for area in np.unique(areas):
        chosen = areas == area
        coverage += np.bincount(place[chosen], counts[chosen], len(numbers)) / area
    names = numbers.tolist()
    return Figures(
        dict(zip(names, frequency.tolist(), strict=True)),
        dict(zip(names, coverage.tolist(), strict=True)),
    )
