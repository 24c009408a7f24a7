"""From the provisional identifiers of one image to the numbers of the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conceptset.build.members import EVERYBODY, Labels, Painted
from conceptset.build.vocabulary import Vocabulary
from conceptset.geometry import BoolArray

Planes = dict[tuple[str, int], Labels]  # by category and plane


@dataclass(frozen=True, slots=True)
class Numbered:
    """The maps of one image with label numbers, in categories that the set has.

    Attributes:
        size: (height, width) of the maps.
        maps: By person.
        shared: Those that no person drew.
        segments: By person, the segment of each pixel; None if they are not known.
        ignores: By (person, category), where the person abstains.
    """

    size: tuple[int, int]
    maps: dict[int, Planes]
    shared: Planes
    segments: dict[int, Planes] | None
    ignores: dict[tuple[int, str], BoolArray]


def number_maps(painted: Painted, vocabulary: Vocabulary) -> Numbered:
    """The maps of an image with label numbers."""
    people = (*painted.people, EVERYBODY)
    maps: dict[int, Planes] = {person: {} for person in people}
    segments: dict[int, Planes] = {person: {} for person in people}
    stack: NDArray[np.int32] = vocabulary.numbers[painted.open_maps()]
    apart = painted.open_segments()
    for place, (person, category, plane) in enumerate(painted.keys):
        if category in vocabulary.categories:
            maps[person][category, plane] = stack[place]
            if apart is not None:
                segments[person][category, plane] = apart[place]
    once = {person: without_copies(planes, {}, vocabulary) for person, planes in maps.items()}
    shared = once.pop(EVERYBODY)
    ignores = {
        key: flags
        for key, flags in zip(painted.ignore_keys, painted.open_ignores(), strict=True)
        if key[1] in vocabulary.categories
    }
    return Numbered(painted.size, once, shared, None if apart is None else segments, ignores)


def number_tags(painted: Painted, vocabulary: Vocabulary, person: int) -> dict[str, list[int]]:
    """A person's whole-image labels, by category."""
    tags: dict[str, list[int]] = {}
    for owner, category, identifier in painted.tags:
        number = int(vocabulary.numbers[identifier])
        if owner == person and number:
            tags.setdefault(category, []).append(number)
    return tags


def without_copies(
    planes: Planes, tags: Mapping[str, Sequence[int]], vocabulary: Vocabulary
) -> Planes:
    """The maps without second copies: a label in two maps at one pixel counts twice for a peer.

    It stays in its primary category, there in the first map; where it holds for the whole image it
    needs no map.
    """
    if len(planes) < 2 and not tags:
        return planes
    whole = {number for numbers in tags.values() for number in numbers}
    places = Counter(n for labels in planes.values() for n in np.unique(labels).tolist() if n)
    result = dict(planes)
    for number in sorted(n for n, count in places.items() if count > 1 or n in whole):
        home = vocabulary.primary.get(number)
        taken: BoolArray | bool = number in whole
        for key in sorted(planes, key=lambda key: (key[0] != home, *key)):
            here = result[key] == number
            result[key] = np.where(here & taken, 0, result[key]).astype(np.int32)
            taken = here | taken
    return result
