"""Second pass over the images: provisional maps become numbered label maps, cells and counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from conceptset.build.members import Painted
from conceptset.build.numbering import (
    Numbered,
    Planes,
    number_maps,
    number_tags,
    without_copies,
)
from conceptset.build.vocabulary import Vocabulary
from conceptset.build.voting import Electorate, votes_of
from conceptset.consensus import majority_tags
from conceptset.geometry import BoolArray
from conceptset.io.images import encode_flags, encode_label_map
from conceptset.io.tables import digest
from conceptset.layout import names

ROOT = -1  # the scope of the root index; people are scopes 0, 1, ...


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
        electorate: Everybody, and who decides on the root's labels.
        directories: Everybody's directories, by index.
    """

    folder: Path
    vocabulary: Vocabulary
    electorate: Electorate
    directories: tuple[str, ...]


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
        undecided: Pixels without consensus, by category.
        decided: Pixels that were put to the vote, by category.
    """

    scopes: dict[int, Scope] = field(default_factory=dict)
    map_digests: list[tuple[str, str]] = field(default_factory=list)
    undecided: dict[str, int] = field(default_factory=dict)
    decided: dict[str, int] = field(default_factory=dict)


def encode_image(settings: EncodeSettings, task: EncodeTask) -> Encoded:
    """Write all maps of one image."""
    result = Encoded()
    painted = task.painted
    alone = len(settings.directories) == 1
    numbered = number_maps(painted, settings.vocabulary)
    for person in painted.people:
        planes = numbered.maps[person]
        tags = number_tags(painted, settings.vocabulary, person)
        directory = None if alone else settings.directories[person]
        scope = _write_scope(result, settings, task, planes, tags, directory)
        result.scopes[person] = scope
        if alone:
            result.scopes[ROOT] = scope
    for (person, category), flags in numbered.ignores.items():
        name = names.ignore_mask(task.source, task.stem, category, settings.directories[person])
        _write(result, settings.folder, name, encode_flags(flags))
    if not alone:
        _write_consensus(result, settings, task, numbered)
    _write_shared(result, settings, task, numbered.shared)
    return result


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
    planes = without_copies(planes, tags, settings.vocabulary)
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
    result: Encoded, settings: EncodeSettings, task: EncodeTask, numbered: Numbered
) -> None:
    """The root's maps: what the voters agree on; without a voter the image is not in the root."""
    painted, electorate = task.painted, settings.electorate
    voters = electorate.voters(painted.people)
    if not voters:
        return
    planes: Planes = {}
    unclear: dict[str, BoolArray] = {}
    for key, votes in votes_of(numbered, voters):
        category, _ = key
        decision = electorate.decide(category, voters, votes)
        planes[key] = decision.labels
        unclear[category] = unclear.get(category, np.False_) | decision.undecided
    for category, undecided in sorted(unclear.items()):
        result.undecided[category] = int(undecided.sum())
        result.decided[category] = undecided.size
        if undecided.any():
            name = names.undecided_mask(task.source, task.stem, category)
            _write(result, settings.folder, name, encode_flags(undecided))
    own = [number_tags(painted, settings.vocabulary, voter) for voter in voters]
    tags = {
        category: majority_tags([given.get(category, []) for given in own])
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


def _write(result: Encoded, folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    result.map_digests.append((name, digest(data)))
