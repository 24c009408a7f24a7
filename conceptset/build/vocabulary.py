"""Which concepts enter the set, and the number of each."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conceptset.build.members import Layers
from conceptset.errors import UsageError
from conceptset.layout.models import MAX_LABEL
from conceptset.layout.names import in_order


class Coverage:
    """A sum of fractions of images, kept as whole pixels per map size, so that it is exact."""

    def __init__(self) -> None:
        self._pixels: Counter[int] = Counter()

    def add(self, pixels: int, of: int) -> None:
        """Add `pixels` of an image with `of` pixels."""
        self._pixels[of] += pixels

    def __float__(self) -> float:
        return math.fsum(pixels / of for of, pixels in sorted(self._pixels.items()))


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The concepts of the set.

    Attributes:
        names: Concept by number - 1; empty where a foreign layout leaves a number out.
        numbers: (identifiers,) int32, the number of each provisional identifier; 0 if it is left
            out.
        categories: All categories that anyone uses, in Broden's order.
        union: (number, category) to its coverage over everyone.
        shared: Numbers that occur in more than one category.
        primary: The category, by number, in which such a label is painted.
        dropped: Concepts left out by the limits, sorted.
    """

    names: tuple[str, ...]
    numbers: NDArray[np.int32]
    categories: tuple[str, ...]
    union: Mapping[tuple[int, str], float]
    shared: frozenset[int]
    primary: Mapping[int, str]
    dropped: tuple[str, ...]


class Usage:
    """How much anyone used each concept, summed image by image; by provisional identifier."""

    def __init__(self) -> None:
        self.frequency: Counter[int] = Counter()
        self.coverage: defaultdict[int, Coverage] = defaultdict(Coverage)
        self.by_category: defaultdict[tuple[int, str], Coverage] = defaultdict(Coverage)

    def add(self, layers: Layers) -> None:
        """Count one image."""
        pixels = layers.painted.size[0] * layers.painted.size[1]
        for identifier, count in layers.union.items():
            self.frequency[identifier] += 1
            self.coverage[identifier].add(count, pixels)
        for key, count in layers.usage.items():
            self.by_category[key].add(count, pixels)


def number_concepts(
    usage: Usage,
    identifiers: Mapping[str, int],
    *,
    min_frequency: int,
    min_coverage: float,
) -> Vocabulary:
    """Numbers from 1 by falling count of images in which anyone uses the concept.

    Ties go by falling coverage, then by name. The limits look at the same union over everyone, so
    numbers do not depend on how a consensus is formed.

    Raises:
        UsageError: More labels than the layout can number.
    """
    frequency, coverage = usage.frequency, usage.coverage
    order = sorted(
        (-frequency[identifier], -float(coverage[identifier]), name, identifier)
        for name, identifier in identifiers.items()
        if frequency[identifier] >= min_frequency and float(coverage[identifier]) >= min_coverage
    )
    if len(order) > MAX_LABEL:
        raise UsageError(
            f"the annotations hold {len(order)} concepts, the layout can number {MAX_LABEL}",
            hint="Merge names with --taxonomy, or raise --min-frequency.",
        )
    numbers = np.zeros(len(identifiers) + 1, dtype=np.int32)
    for number, (_, _, _, identifier) in enumerate(order, start=1):
        numbers[identifier] = number
    union = {
        (int(numbers[identifier]), category): float(value)
        for (identifier, category), value in usage.by_category.items()
        if numbers[identifier]
    }
    places = Counter(number for number, _ in union)
    categories = tuple(in_order(category for _, category in union))
    shared = frozenset(number for number, count in places.items() if count > 1)
    kept = {identifier for _, _, _, identifier in order}
    return Vocabulary(
        names=tuple(name for _, _, name, _ in order),
        numbers=numbers,
        categories=categories,
        union=union,
        shared=shared,
        primary={number: _primary(number, categories, union) for number in shared},
        dropped=tuple(
            sorted(n for n, i in identifiers.items() if i not in kept and frequency[i] > 0)
        ),
    )


def _primary(
    number: int, categories: tuple[str, ...], union: Mapping[tuple[int, str], float]
) -> str:
    """The category with the largest coverage; ties go to the later one, as peers decide."""
    best = max(
        (union[number, category], place)
        for place, category in enumerate(categories)
        if (number, category) in union
    )
    return categories[best[1]]
