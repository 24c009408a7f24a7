"""Second pass over the images: provisional maps become numbered label maps, cells and counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conceptset.build.consensus import majority, majority_tags
from conceptset.build.members import EVERYBODY, Painted
from conceptset.build.vocabulary import Vocabulary
from conceptset.geometry import BoolArray
from conceptset.io.images import encode_flags, encode_label_map
from conceptset.io.tables import digest
from conceptset.layout import names
from conceptset.records import Person

ROOT = -1  # the scope of the root index; people are scopes 0, 1, ...

Planes = dict[tuple[str, int], NDArray[np.int32]]


@dataclass(frozen=True, slots=True)
class EncodeTask:
    """One image to encode.

    Attributes:
        painted: Its provisional maps.
        source: Slug of its image root.
        stem: Its stem in the set.
    """

    painted: Painted
    source: str
    stem: str


@dataclass(frozen=True, slots=True)
class EncodeSettings:
    """What all images share; sent to the workers.

    Attributes:
        folder: images/ of the set being written.
        vocabulary: The numbers.
        people: Everybody, by index.
        directories: Their directories, by index.
        consensus: `majority`, or the name of the annotator whose labels are the root's.
    """

    folder: Path
    vocabulary: Vocabulary
    people: tuple[Person, ...]
    directories: tuple[str, ...]
    consensus: str


@dataclass(slots=True)
class Scope:
    """One image as one index sees it: the root's or one person's.

    Attributes:
        cells: Text of the cell by category.
        pixels: Pixels by (number, category); a whole-image label counts all of them.
    """

    cells: dict[str, str] = field(default_factory=dict)
    pixels: dict[tuple[int, str], int] = field(default_factory=dict)


@dataclass(slots=True)
class Encoded:
    """What the second pass knows of one image.

    Attributes:
        scopes: By person, and `ROOT`.
        map_digests: (path relative to images/, SHA-256) of every map and mask written.
        undecided: Pixels without consensus, summed over categories.
        decided: Pixels that were put to the vote, summed over categories.
    """

    scopes: dict[int, Scope] = field(default_factory=dict)
    map_digests: list[tuple[str, str]] = field(default_factory=list)
    undecided: int = 0
    decided: int = 0


def encode_image(settings: EncodeSettings, task: EncodeTask) -> Encoded:
    """Write all maps of one image."""
    result = Encoded()
    painted = task.painted
    alone = len(settings.people) == 1
    numbered = _numbered(painted, settings.vocabulary)
    shared = numbered.pop(EVERYBODY)
    ignores = {
        key: flags
        for key, flags in zip(painted.ignore_keys, painted.open_ignores(), strict=True)
        if key[1] in settings.vocabulary.categories
    }
    for person in painted.people:
        planes = numbered[person]
        tags = _tags(painted, settings.vocabulary, person)
        directory = None if alone else settings.directories[person]
        scope = _write_scope(result, settings, task, planes, tags, directory)
        result.scopes[person] = scope
        if alone:
            result.scopes[ROOT] = scope
    for (person, category), flags in ignores.items():
        name = names.ignore_mask(task.source, task.stem, category, settings.directories[person])
        _write(result, settings.folder, name, encode_flags(flags))
    if not alone:
        _write_consensus(result, settings, task, numbered, ignores)
    _write_shared(result, settings, task, shared)
    return result


def _numbered(painted: Painted, vocabulary: Vocabulary) -> dict[int, Planes]:
    """Every person's maps with label numbers, in categories that the set has."""
    result: dict[int, Planes] = {person: {} for person in (*painted.people, EVERYBODY)}
    stack: NDArray[np.int32] = vocabulary.numbers[painted.open_maps()]
    for (person, category, plane), labels in zip(painted.keys, stack, strict=True):
        if category in vocabulary.categories:
            result[person][category, plane] = labels
    return {person: _once(planes, {}, vocabulary) for person, planes in result.items()}


def _once(planes: Planes, tags: Mapping[str, Sequence[int]], vocabulary: Vocabulary) -> Planes:
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


def _tags(painted: Painted, vocabulary: Vocabulary, person: int) -> dict[str, list[int]]:
    tags: dict[str, list[int]] = {}
    for owner, category, identifier in painted.tags:
        number = int(vocabulary.numbers[identifier])
        if owner == person and number:
            tags.setdefault(category, []).append(number)
    return tags


def _write_scope(
    result: Encoded,
    settings: EncodeSettings,
    task: EncodeTask,
    planes: Planes,
    tags: Mapping[str, Sequence[int]],
    directory: str | None,
) -> Scope:
    """Write the maps of one scope; cells name the dominant map first."""
    scope = Scope()
    size = task.painted.size
    planes = _once(planes, tags, settings.vocabulary)
    for category in settings.vocabulary.categories:
        maps = [
            labels for key, labels in sorted(planes.items()) if key[0] == category and labels.any()
        ]
        entries: list[tuple[int, str]] = []
        for place, labels in enumerate(maps, start=1):
            plane = None if len(maps) == 1 else place
            name = names.label_map(
                task.source, task.stem, category, plane=plane, directory=directory
            )
            _write(result, settings.folder, name, encode_label_map(labels))
            entries.append((-int(np.count_nonzero(labels)), name))
            counts = np.bincount(labels.ravel())
            for number in np.flatnonzero(counts).tolist():
                if number == 0:
                    continue
                key = (number, category)
                scope.pixels[key] = scope.pixels.get(key, 0) + int(counts[number])
        whole = sorted(tags.get(category, ()))
        for number in whole:
            scope.pixels[(number, category)] = size[0] * size[1]
        cell = [name for _, name in sorted(entries)] + [str(number) for number in whole]
        if cell:
            scope.cells[category] = ";".join(cell)
    return scope


def _write_consensus(
    result: Encoded,
    settings: EncodeSettings,
    task: EncodeTask,
    numbered: Mapping[int, Planes],
    ignores: Mapping[tuple[int, str], BoolArray],
) -> None:
    """The root's maps: what the voters agree on; without a voter the image is not in the root."""
    painted = task.painted
    voters = _voters(painted.people, settings)
    if not voters:
        return
    empty = np.zeros(painted.size, dtype=np.int32)
    silent = np.zeros(painted.size, dtype=bool)
    planes: Planes = {}
    unclear: dict[str, BoolArray] = {}
    for key in sorted({key for own in numbered.values() for key in own}):
        category, _ = key
        votes = np.stack([numbered[voter].get(key, empty) for voter in voters])
        abstained = np.stack([ignores.get((voter, category), silent) for voter in voters])
        planes[key], undecided = majority(votes, abstained)
        unclear[category] = unclear.get(category, silent) | undecided
    for category, undecided in sorted(unclear.items()):
        result.undecided += int(undecided.sum())
        result.decided += undecided.size
        if undecided.any():
            name = names.undecided_mask(task.source, task.stem, category)
            _write(result, settings.folder, name, encode_flags(undecided))
    own = {voter: _tags(painted, settings.vocabulary, voter) for voter in voters}
    tags = {
        category: majority_tags([own[voter].get(category, []) for voter in voters])
        for category in settings.vocabulary.categories
    }
    result.scopes[ROOT] = _write_scope(result, settings, task, planes, tags, None)


def _write_shared(
    result: Encoded, settings: EncodeSettings, task: EncodeTask, planes: Planes
) -> None:
    """The maps that no person drew: written once, named by every index, put to no vote."""
    for (category, _), labels in sorted(planes.items()):
        counts = np.bincount(labels.ravel())
        pixels = {(n, category): int(counts[n]) for n in np.flatnonzero(counts).tolist() if n}
        if not pixels:
            continue
        name = names.label_map(task.source, task.stem, category)
        _write(result, settings.folder, name, encode_label_map(labels))
        for scope in result.scopes.values():
            scope.cells[category] = name
            scope.pixels |= pixels


def _voters(people: Sequence[int], settings: EncodeSettings) -> list[int]:
    """Who decides on an image: every person once, by the first session that saw it."""
    if settings.consensus != "majority":
        people = [p for p in people if settings.people[p].name == settings.consensus]
    first: dict[str, int] = {}
    for person in sorted(people, key=lambda index: settings.people[index].session):
        first.setdefault(settings.people[person].name, person)
    return sorted(first.values())


def _write(result: Encoded, folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    result.map_digests.append((name, digest(data)))
