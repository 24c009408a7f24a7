"""Everything a rule may look at, gathered once; no rule opens a file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from conceptset.consensus import METHODS
from conceptset.layout import names
from conceptset.layout.models import Manifest
from conceptset.validate.facts import Double, ImageFacts, MapFacts, MaskFacts, PhotoFacts
from conceptset.validate.people import AnnotatorLine, SegmentFacts
from conceptset.validate.recount import Recount, recount
from conceptset.validate.sheets import Line, Sheet
from conceptset.validate.views import IndexRow, View, safe_name

# What nearly every name looks like; looking at it so spares the closer look.
_PLAIN = re.compile(r"\w[\w.-]{0,99}(/\w[\w.-]{0,99}){0,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ManifestFacts:
    """What stands in conceptset.json.

    Attributes:
        present: Whether the file is there.
        problem: Why it cannot be used.
        pointer: Where in it.
        newer: A schema version that this program does not know.
        model: The manifest, if it can be used.
    """

    present: bool
    problem: str | None = None
    pointer: str | None = None
    newer: str | None = None
    model: Manifest | None = None


@dataclass(frozen=True)
class Context:
    """A set as facts.

    Attributes:
        ours: It follows our contract; else it is a foreign Broden layout.
        manifest: Its manifest.
        sealed: Of every file in the manifest's digests, the digest it has now; None if it is gone.
        files: Files below images/, relative to it.
        outside: Links that lead out of the set, relative to it.
        leftovers: Remains of an interrupted write, relative to the set.
        folders: Directories below annotators/.
        root: The root's index and tables.
        people: Each annotator's, by directory.
        annotators: The rows of annotators.csv.
        singles: images.csv, annotators.csv; none in a foreign layout.
        segments: What stands in each segments.jsonl, by directory.
        images: What the scan found, by photograph as the indexes write it.
        masks: (row, what the scan found) of each mask.
    """

    ours: bool
    manifest: ManifestFacts
    sealed: Mapping[str, str | None]
    files: tuple[str, ...]
    outside: tuple[str, ...]
    leftovers: tuple[str, ...]
    folders: tuple[str, ...]
    root: View
    people: Mapping[str, View]
    annotators: tuple[AnnotatorLine, ...]
    singles: Mapping[str, Sheet]
    segments: Mapping[str, SegmentFacts]
    images: Mapping[str, ImageFacts]
    masks: tuple[tuple[IndexRow, MaskFacts], ...]

    @property
    def views(self) -> tuple[View, ...]:
        """The root and every annotator."""
        return (self.root, *self.people.values())

    @property
    def sheets(self) -> Iterator[Sheet]:
        """Every table of the set."""
        for view in self.views:
            yield from view.sheets
        yield from self.singles.values()

    @cached_property
    def maps(self) -> dict[str, MapFacts]:
        """Every label map by name."""
        return {facts.path: facts for image in self.images.values() for facts in image.maps}

    @cached_property
    def photographs(self) -> tuple[tuple[View, IndexRow, PhotoFacts], ...]:
        """Every readable or unreadable photograph, at the first row that names it."""
        result = []
        seen: set[str] = set()
        for view in self.views:
            for row in view.rows:
                facts = self.images.get(row.image)
                if row.image not in seen and facts is not None and facts.photo is not None:
                    result.append((view, row, facts.photo))
                seen.add(row.image)
        return tuple(result)

    @cached_property
    def named_maps(self) -> tuple[tuple[View, IndexRow, str, MapFacts], ...]:
        """Every label map with its category, at the first row that names it."""
        result = []
        seen: set[str] = set()
        for view in self.views:
            for row in view.rows:
                for category, name in row.maps():
                    if name not in seen and name in self.maps:
                        result.append((view, row, category, self.maps[name]))
                    seen.add(name)
        return tuple(result)

    @cached_property
    def doubles(self) -> tuple[tuple[IndexRow, Double], ...]:
        """Labels that lie twice on a pixel, with a row of the photograph."""
        rows = {row.image: row for view in reversed(self.views) for row in view.rows}
        return tuple(
            (rows[name], double) for name, facts in self.images.items() for double in facts.doubles
        )

    @cached_property
    def counted(self) -> dict[str, Recount]:
        """The figures counted again, by the folder of each view."""
        return {view.folder: recount(view, self.maps, is_countable) for view in self.views}

    @cached_property
    def used_labels(self) -> frozenset[int]:
        """Label numbers that anybody uses anywhere."""
        return frozenset(
            number for count in self.counted.values() for number in count.labels.frequency
        )

    @cached_property
    def all_images(self) -> frozenset[str]:
        """Every photograph that any index names."""
        return frozenset(row.image for view in self.views for row in view.rows)

    @property
    def of_everybody(self) -> bool:
        """Whether the root index speaks for all annotators, not for one that was asked for."""
        model = self.manifest.model
        chosen = "majority" if model is None else model.settings.get("consensus", "majority")
        return chosen in METHODS or chosen not in {line.name for line in self.annotators}

    @property
    def without_voice(self) -> frozenset[str]:
        """Directories of models among persons: the root index does not speak for them."""
        models = frozenset(line.directory for line in self.annotators if line.kind == "model")
        return models if len(models) < len(self.annotators) else frozenset()

    @property
    def several(self) -> bool:
        """Whether more than one annotator, or one in several sessions, worked on the set."""
        return max(len(self.annotators), len(self.folders)) > 1

    @property
    def complete(self) -> bool:
        """Whether every index is there to its last row, the annotators' too."""
        listed = {line.directory for line in self.annotators}
        return (
            all(view.index.usable for view in self.views)
            and all(sheet.usable for sheet in self.singles.values())
            and set(self.folders) == listed == set(self.people)
        )

    def zero_rows(self, view: View, category: str) -> frozenset[int]:
        """Labels a category's table lists although nothing in this view carries them.

        Ours have them where only somebody else used the concept.
        """
        sheet = view.concepts.get(category)
        carried = self.counted[view.folder].of(category).frequency
        return frozenset(
            line.number
            for line in (sheet.lines if sheet is not None else ())
            if line.number in view.label_names and line.number not in carried
        )


def is_countable(row: IndexRow, facts: MapFacts) -> bool:
    """Whether a map holds label numbers at the size its row states."""
    return facts.coded and (row.map_size is None or facts.size == row.map_size)


def is_mask(name: str) -> bool:
    """Whether a name below images/ is one of a mask of ignored or undecided pixels.

    >>> is_mask("annotators/ada/street/a_object_ignore.png"), is_mask("street/a_object.png")
    (True, False)
    """
    head = name.split("/", 1)[0]
    return (head == names.ANNOTATOR_FOLDER and name.endswith("_ignore.png")) or (
        head == names.CONSENSUS_FOLDER and name.endswith("_undecided.png")
    )


def is_usable(name: str) -> bool:
    """Whether a name below images/ is written in its plain form and stays inside.

    >>> is_usable("a/b.png"), is_usable("../b.png"), is_usable("a//b.png")
    (True, False, False)
    """
    return _PLAIN.fullmatch(name) is not None or safe_name(name) == name


def lines_by_number(sheet: Sheet) -> dict[int, Line]:
    """The first row of each label number."""
    result: dict[int, Line] = {}
    for line in sheet.lines:
        if line.number is not None:
            result.setdefault(line.number, line)
    return result
