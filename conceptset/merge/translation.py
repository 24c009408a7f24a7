"""From the label numbers of one set to the concepts of all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conceptset.merge.inputs import Input
from conceptset.merge.meanings import Meanings
from conceptset.taxonomy import Form, concept_name

_STRIDE = 1000  # planes of a category; where a taxonomy makes one of two, the second's come after


@dataclass(frozen=True, slots=True)
class Translation:
    """What the numbers of one set mean.

    Attributes:
        maps: By category, where its drawn labels go: (category, offset of its planes, identifier by
            number; -1 for a number without a name, 0 for one that goes elsewhere or nowhere).
        tags: (category, number) to the category and identifier of a whole-image label; None for one
            that is left out.
        colors: Whether its category color was computed, not drawn.
    """

    maps: Mapping[str, Sequence[tuple[str, int, NDArray[np.int32]]]]
    tags: Mapping[tuple[str, int], tuple[str, int] | None]
    colors: bool


def translate(one: Input, meanings: Meanings, identifiers: Mapping[str, int]) -> Translation:
    """What the numbers of a set mean.

    Args:
        one: The set.
        meanings: What its names mean.
        identifiers: The provisional identifier of each concept.
    """

    def target(name: str, category: str, form: Form) -> tuple[str, int] | None:
        meant = meanings.meaning(name, category, form) if name else None
        return None if meant is None else (meant.category, identifiers.get(meant.concept, -1))

    last = max(one.concepts.names, default=0)
    maps: dict[str, dict[str, NDArray[np.int32]]] = {}
    tags: dict[tuple[str, int], tuple[str, int] | None] = {}
    named = {n: concept_name(name) for n, name in one.concepts.names.items() if n > 0}
    unknown = np.ones(last + 1, dtype=bool)
    unknown[[0, *(number for number, name in named.items() if name)]] = False
    for category in one.concepts.categories:
        targets = maps.setdefault(category, {})
        for number, name in named.items():
            drawn = target(name, category, "region")
            if drawn is not None:
                blank = np.where(unknown, -1, 0).astype(np.int32)
                targets.setdefault(drawn[0], blank)[number] = drawn[1]
            tags[category, number] = target(name, category, "tag")
    return Translation(_with_offsets(maps), tags, one.color_method is not None)


def names_in_categories(one: Input) -> Iterator[tuple[str, str]]:
    """(name, category) of every label: where a table lists it, else in every category."""
    listed: dict[int, list[str]] = {}
    for category, labels in one.concepts.tables.items():
        for label in labels:
            listed.setdefault(label.number, []).append(category)
    for number, text in one.concepts.names.items():
        name = concept_name(text)
        if number > 0 and name:
            for category in listed.get(number, one.concepts.categories):
                yield name, category


def _with_offsets(
    maps: Mapping[str, Mapping[str, NDArray[np.int32]]],
) -> dict[str, list[tuple[str, int, NDArray[np.int32]]]]:
    """Where labels of each category go, with planes apart where two categories become one."""
    result: dict[str, list[tuple[str, int, NDArray[np.int32]]]] = {name: [] for name in maps}
    for target in sorted({target for targets in maps.values() for target in targets}):
        homes = sorted(
            (name for name in maps if target in maps[name]), key=lambda n: (n != target, n)
        )
        for rank, name in enumerate(homes):
            result[name].append((target, rank * _STRIDE, maps[name][target]))
    return result
