"""From one image, as everybody annotated it, to its rows of the core record."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from conceptset.consistency.counting.boundaries import Boundaries
from conceptset.consistency.counting.coincidences import NO_VALUE, Together
from conceptset.consistency.counting.comparing import Layer, PairRows
from conceptset.consistency.counting.flattening import Flat, flatten
from conceptset.consistency.counting.matching import meet
from conceptset.consistency.counting.objects import count_objects
from conceptset.consistency.counting.overlay import overlay, overlay_parts
from conceptset.consistency.counting.rows import Rows
from conceptset.consistency.counts import (
    COINCIDENCES,
    DRAWN,
    OTHERS,
    Counts,
    Table,
    concatenate,
)
from conceptset.consistency.figures.roster import Roster
from conceptset.consistency.material import AnnotatedImage, Annotator, Material
from conceptset.errors import SourceError
from conceptset.geometry import IntArray

MAX_WITH_BOUNDARIES = 32  # people in an image; of more, the pairs would take minutes
_TOGETHER = 16  # people whose layers are laid over one another at once
_BLOCK = 8  # of more people, two such groups at a time


@dataclass(frozen=True, slots=True)
class CountSettings:
    """What counting needs to know besides the image; small, and can be sent to a worker.

    Attributes:
        annotators: Everybody; images name them by place.
        categories: Label layers; segments name them by place.
        overlap: How overlaps within a layer are resolved.
        boundary: Whether outlines are measured: bands and distances of matches. They are not where
            more than `MAX_WITH_BOUNDARIES` people worked on an image.
    """

    annotators: tuple[Annotator, ...]
    categories: tuple[str, ...]
    overlap: Literal["area", "order"] = "area"
    boundary: bool = True

    @classmethod
    def of(cls, material: Material, *, boundary: bool = True) -> CountSettings:
        """The settings that fit some material."""
        return cls(material.annotators, material.categories, material.overlap, boundary)


def count_image(image: AnnotatedImage, setting: CountSettings) -> Counts:
    """Everything that is counted in one image.

    Rows lie by category, then by annotator or pair, in the order of `Material`.

    Raises:
        SourceError: A mask that does not fill the image.
    """
    persons = Roster.of(setting.annotators).persons
    return concatenate(
        _count_layer(image, category, setting, persons)
        for category in range(len(setting.categories))
    )


def _count_layer(
    image: AnnotatedImage, category: int, setting: CountSettings, persons: Collection[int]
) -> Counts:
    layers = _layers(image, category, setting)
    concepts = np.unique(np.concatenate([[0], *(flat.concepts for flat in layers.values())]))
    named = {
        annotator: Layer(flat, np.searchsorted(concepts, flat.concepts))
        for annotator, flat in layers.items()
    }
    key = (image.image, category)
    measured = setting.boundary and len(named) <= MAX_WITH_BOUNDARIES
    pairs = PairRows(concepts)
    for firsts, seconds in _blocks(list(named)):
        members = {annotator: named[annotator] for annotator in sorted({*firsts, *seconds})}
        chosen = [(*key, a, b) for a in firsts for b in seconds if a < b]
        _compare_block(pairs, chosen, members, boundary=measured)
    people = [a for a in named if a in persons]
    coincidences, others = _count_together(key, {a: named[a] for a in people}, concepts)
    tables = pairs.tables()
    return Counts(
        drawn=_count_drawn(key, layers),
        coincidences=coincidences,
        others=others,
        objects=count_objects(key, {a: layers[a] for a in people}, tables.matches),
        **tables._asdict(),
    )


def _layers(image: AnnotatedImage, category: int, setting: CountSettings) -> dict[int, Flat]:
    """What each annotator who worked on the image shows in a layer, in the annotators' order."""
    layers = {}
    for annotator, segments in sorted(image.drawn.items()):
        chosen = [segment for segment in segments if segment.category == category]
        try:
            layers[annotator] = flatten(chosen, image.size, setting.overlap)
        except SourceError as error:
            who = str(setting.annotators[annotator])
            raise SourceError(
                error.message, path=image.name, pointer=f'annotator "{who}"', hint=error.hint
            ) from error
    return layers


def _count_drawn(key: tuple[int, int], layers: Mapping[int, Flat]) -> Table:
    rows = Rows(DRAWN, keys=3)
    for annotator, flat in layers.items():
        areas = flat.areas()
        rows.add(
            (*key, annotator),
            [flat.count],
            [len(np.unique(flat.concepts[1:]))],
            [flat.hidden],
            [areas[1:-1].sum()],
            [areas[-1]],
            [areas.sum()],
        )
    return rows.table()


def _blocks(annotators: Sequence[int]) -> Iterator[tuple[Sequence[int], Sequence[int]]]:
    """Groups of people that hold both of every pair.

    A few people are laid over one another all at once; of many, the combinations would be as many
    as the pixels, and their outlines fill the memory.
    """
    width = len(annotators) if len(annotators) <= _TOGETHER else _BLOCK
    blocks = [annotators[n : n + width] for n in range(0, len(annotators), max(1, width))]
    return itertools.combinations_with_replacement(blocks, 2)


def _compare_block(
    rows: PairRows,
    pairs: Sequence[tuple[int, int, int, int]],
    layers: Mapping[int, Layer],
    *,
    boundary: bool,
) -> None:
    """Add the rows of pairs (image, category, a, b) of a few people."""
    if not pairs:
        return
    flats = {annotator: layer.flat for annotator, layer in layers.items()}
    places = {annotator: place for place, annotator in enumerate(layers)}
    over = overlay(list(flats.values()))
    boundaries = Boundaries(flats) if boundary else None
    for pair in pairs:
        a, b = layers[pair[2]], layers[pair[3]]
        meeting = meet(over, (places[pair[2]], places[pair[3]]), a.names, b.names)
        rows.add(pair, meeting, (a, b), boundaries)


def _count_together(
    key: tuple[int, int], people: Mapping[int, Layer], concepts: IntArray
) -> tuple[Table, Table]:
    """Coincidences of everybody's labels, and each person against the others."""
    coincidences, others = Rows(COINCIDENCES, keys=3), Rows(OTHERS, keys=3)
    if len(people) < 2:
        return coincidences.table(), others.table()
    together = Together(len(people), len(concepts))
    labels = [np.append(layer.names, NO_VALUE) for layer in people.values()]
    for part in overlay_parts([layer.flat for layer in people.values()]):
        rows = zip(labels, part.regions, strict=True)
        together.add(np.stack([label[row] for label, row in rows]), part.pixels)
    for place, without in enumerate((-1, *people)):
        tables = (together.same, together.values, together.labelled_same, together.labelled_values)
        coincidences.add((*key, without), concepts, *(table[place] for table in tables))
    for annotator, counted in zip(people, together.others, strict=True):
        others.add((*key, annotator), *counted[:, None])
    return coincidences.table(), others.table()
