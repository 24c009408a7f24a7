"""What every voice says of one image: its label maps read once, joined once, put to the vote."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

import numpy as np

from conceptset.consensus import majority_tags
from conceptset.layout import names
from conceptset.layout.reading import ConceptSet, IndexEntry
from dissect.labels import LabelArray, check_labels, read_abstention, read_map
from dissect.leaving_out import Method, Polled, decide_together, decide_without
from dissect.regions import ImageLabels, Regions, Statement, Weights, join_maps, weigh_labels
from dissect.upsample import FloatArray, IntArray
from dissect.voices import Annotator, Panel

_OWN = f"{names.ANNOTATOR_FOLDER}/"  # maps outside are nobody's or everybody's: put to no vote
_BLOCK = 256  # labels of annotators that are compared at once


@dataclass(frozen=True, slots=True)
class Heard:
    """One image in every voice.

    Attributes:
        labels: What they say; columns of voice `voices[k]` are `labels.of(k)`.
        voices: Those heard, rising; an image that an annotator does not have is not among theirs.
        shared: (n, 4) int64 rows (label, a, b, pixels): what two annotators agree on, or, a = b,
            what one says; sorted.
    """

    labels: ImageLabels
    voices: tuple[int, ...]
    shared: IntArray


@dataclass(slots=True)
class _Sheets:
    """The maps of an image that were read so far, each once."""

    concept_set: ConceptSet
    size: tuple[int, int]
    maps: list[LabelArray] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    flags: set[int] = field(default_factory=set)  # the places of what holds no labels

    def of_cells(self, entry: IndexEntry, categories: Sequence[str]) -> list[int]:
        """The places of all maps that an entry names; one that is named twice stands twice."""
        cells = [entry.cells[name] for name in categories if name in entry.cells]
        return [self.place(name) for cell in cells for name in cell.maps]

    def place(self, name: str) -> int:
        """Where a label map is."""
        if name not in self.places:
            self._keep(name, read_map(self.concept_set, name, self.size))
        return self.places[name]

    def abstention(self, image: PurePosixPath, category: str, voter: Annotator) -> int | None:
        """Where the mask of what a voter left out is; None if there is none."""
        if not voter.silences:
            return None
        name = names.ignore_mask(str(image.parent), image.stem, category, voter.row.directory)
        if name not in voter.silences:
            return None
        if name not in self.places:
            self.flags.add(len(self.maps))
            self._keep(name, read_abstention(self.concept_set, name, self.size))
        return self.places[name]

    def _keep(self, name: str, labels: LabelArray) -> None:
        self.places[name] = len(self.maps)
        self.maps.append(labels)

    def joined(self) -> Regions:
        """All maps read so far, joined.

        Raises:
            LayoutError: One holds a label that the set does not list.
        """
        regions = join_maps(self.maps, self.size)
        for name, place in self.places.items():
            if place not in self.flags:
                found = set(regions.labels[:, place].tolist())
                check_labels(self.concept_set, sorted(found), name)
        return regions


def hear_image(
    concept_set: ConceptSet, panel: Panel, entry: IndexEntry, categories: Sequence[str]
) -> Heard:
    """Read one image as everybody labelled it.

    Args:
        concept_set: The set.
        panel: Who is heard.
        entry: The image, in the index asked for.
        categories: Those enabled.

    Raises:
        ImageError: A map cannot be decoded or has another size than the index says.
        LayoutError: A label that the set does not list.
    """
    sheets = _Sheets(concept_set, entry.map_size)
    said = [(0, entry)] + [
        (voice, one.entries[entry.row])
        for voice, one in enumerate(panel.annotators, start=1)
        if entry.row in one.entries
    ]
    places = [sheets.of_cells(own, categories) for _, own in said]
    poll = None if panel.method is None else _Poll(panel, entry, categories, sheets)
    regions = sheets.joined()
    statements = []
    for (_, own), columns in zip(said, places, strict=True):
        whole = [label for name in categories for label in _whole(own, name)]
        if whole:
            check_labels(concept_set, whole, entry.image)
        statements.append(Statement(regions.labels[:, columns], whole))
    voices = [voice for voice, _ in said]
    if poll is not None and panel.method is not None:
        for voice, statement in poll.decide(panel.method, regions):
            voices.append(voice)
            statements.append(statement)
    labels = weigh_labels(regions, statements)
    return Heard(labels, tuple(voices), _share_pixels(labels, voices, len(panel.annotators)))


def _whole(entry: IndexEntry, category: str) -> tuple[int, ...]:
    return entry.cells[category].labels if category in entry.cells else ()


class _Poll:
    """The vote on one image, prepared before its maps are joined."""

    def __init__(
        self, panel: Panel, entry: IndexEntry, categories: Sequence[str], sheets: _Sheets
    ) -> None:
        self.panel = panel
        self.categories = categories
        self.voters = (panel.voters or {}).get(entry.row, ())
        self.entries = [voter.entries[entry.row] for voter in self.voters]
        self.sheets = sheets
        keys: dict[tuple[str, int], list[int | None]] = {}
        self.common: set[int] = set()
        for voter, own in enumerate(self.entries):
            for category in categories:
                for name in own.cells[category].maps if category in own.cells else ():
                    if not name.startswith(_OWN):
                        self.common.add(sheets.place(name))
                        continue
                    row = keys.setdefault(
                        (category, _plane(name, category)), [None] * len(self.voters)
                    )
                    row[voter] = sheets.place(name)
        self.keys = sorted(keys)
        self.places = [keys[key] for key in self.keys]
        image = PurePosixPath(entry.image)
        self.silent = [
            [sheets.abstention(image, category, voter) for voter in self.voters]
            for category, _ in self.keys
        ]

    def decide(self, method: Method, regions: Regions) -> list[tuple[int, Statement]]:
        """The voices of the others, and of everybody if that is wanted."""
        if not self.voters:
            return []
        people = [voter.row.annotator for voter in self.voters]
        left = [
            (self.panel.without(place), people.index(one.row.annotator))
            for place, (one, leaves) in enumerate(
                zip(self.panel.annotators, self.panel.leaves, strict=True)
            )
            if leaves and one.row.annotator in people and len(people) > 1
        ]
        polled = self._polled(regions)
        result = []
        if left:
            decided = decide_without(method.name, polled, regions, [voter for _, voter in left])
            result += [
                (voice, self._statement(regions, labels, {voter}))
                for (voice, voter), labels in zip(left, decided, strict=True)
            ]
        if self.panel.base == "consensus":
            decided = decide_together(method.name, polled, regions)
            result.append((self.panel.everybody, self._statement(regions, decided, set())))
        return result

    def _polled(self, regions: Regions) -> Polled:
        shape = (len(self.voters), len(self.keys), len(regions.areas))
        labels, abstained = np.zeros(shape, dtype=np.int32), np.zeros(shape, dtype=bool)
        for key, (places, silent) in enumerate(zip(self.places, self.silent, strict=True)):
            for voter, (place, flags) in enumerate(zip(places, silent, strict=True)):
                if place is not None:
                    labels[voter, key] = regions.labels[:, place]
                if flags is not None:
                    abstained[voter, key] = regions.labels[:, flags] != 0
        return Polled(labels, abstained)

    def _statement(self, regions: Regions, decided: IntArray, left: set[int]) -> Statement:
        """What is decided, as a build writes it: nothing counts twice at one pixel."""
        entries = [own for voter, own in enumerate(self.entries) if voter not in left]
        whole = {
            label
            for category in self.categories
            for label in majority_tags([_whole(own, category) for own in entries])
        }
        labels = decided.copy()
        for label in whole:  # a few: quicker than numpy's look-up in many
            labels[decided == label] = 0
        for later in range(1, len(labels)):
            for earlier in range(later):
                labels[later, labels[later] == labels[earlier]] = 0
        common = regions.labels[:, sorted(self.common)]
        return Statement(np.concatenate([labels.T, common], axis=1), sorted(whole))


def _plane(name: str, category: str) -> int:
    """Which of the maps of a category a file is, from 1.

    >>> _plane("annotators/ada/s/a_1_part_2.png", "part"), _plane("annotators/ada/s/a.png", "part")
    (2, 1)
    """
    stem = name.rpartition("/")[2].rpartition(".")[0]
    number = stem.rpartition(f"_{category}_")[2]
    return int(number) if number.isdecimal() else 1


def _share_pixels(labels: ImageLabels, voices: Sequence[int], annotators: int) -> IntArray:
    """(n, 4) int64 rows (label, a, b, pixels > 0), sorted: see `Heard.shared`."""
    last = sum(voice <= annotators for voice in voices)
    if last < 2:
        return np.empty((0, 4), dtype=np.int64)
    columns = np.arange(labels.starts[1], labels.starts[last])
    owner = np.repeat(voices[1:last], np.diff(labels.starts[1 : last + 1])) - 1
    order = np.lexsort((owner, labels.labels[columns]))
    columns, owner = columns[order], owner[order]
    number = labels.labels[columns]
    parts = [np.empty((0, 4), dtype=np.int64)]
    for block in _blocks(number):
        given = _carried(labels.weights[:, columns[block]])
        pixels = (given * labels.areas[:, np.newaxis]).T @ given
        pixels[number[block][:, np.newaxis] != number[block]] = 0.0
        a, b = np.nonzero(np.triu(pixels))
        shared = pixels[a, b].astype(np.int64)
        parts.append(np.column_stack([number[block][a], owner[block][a], owner[block][b], shared]))
    rows = np.concatenate(parts)
    return rows[np.lexsort((rows[:, 2], rows[:, 1], rows[:, 0]))]


def _blocks(number: IntArray) -> list[slice]:
    """Parts of a rising sequence that do not divide equal values, short unless one is long."""
    cuts = (np.flatnonzero(np.diff(number)) + 1).tolist()
    blocks, start = [], 0
    for end, after in itertools.pairwise([*cuts, len(number), len(number) + _BLOCK + 1]):
        if after - start > _BLOCK:
            blocks.append(slice(start, end))
            start = end
    return blocks if len(number) else []


def _carried(weights: Weights) -> FloatArray:
    """1.0 where a region carries a label, however often, else 0.0."""
    dense = weights if isinstance(weights, np.ndarray) else weights.toarray()
    return np.asarray(dense > 0, dtype=np.float64)
