"""LabelMe JSON: the one record of a file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from conceptset.formats.base import ReadContext
from conceptset.formats.labelme.document import Document
from conceptset.formats.labelme.objects import IGNORE, NO_CONCEPT, Objects
from conceptset.formats.labelme.photograph import place_image
from conceptset.formats.labelme.shapes import outline_of, runs_of
from conceptset.parsing.defects import Spot
from conceptset.parsing.photographs import Placed
from conceptset.parsing.values import canonical_id, clean_name, described, person_from, quoted
from conceptset.records import ImageRecord, Origin, Person, Region

MAX_RUNS = 50_000_000  # of all masks of one file: 400 MB


def read_document(document: Document, context: ReadContext) -> Iterator[ImageRecord]:
    """The record of a file, or none after a report."""
    spot = Spot(context.problems, context.label)
    person, known = _annotator(document.data, spot)
    placed = place_image(document, context, spot) if known else None
    if placed is None:
        return
    reader = _Reader(placed, person, spot)
    regions = reader.regions(document.shapes)
    regions += reader.tags(document.data.get("flags"))
    yield ImageRecord(
        image=placed.key,
        size=placed.size,
        frame=placed.frame,
        workers=tuple(reader.present),
        regions=tuple(regions),
        origin=Origin(spot.file, spot.pointer),
    )
    context.progress(1)


def _annotator(entry: dict[str, Any], spot: Spot) -> tuple[Person | None, bool]:
    """Whom an object names, and whether that can be relied on (False after a report)."""
    try:
        return person_from(entry.get("annotator")), True
    except ValueError as error:
        spot.at("annotator").report("SRC029", f"{error}.")
        return None, False


@dataclass(slots=True)
class _Reader:
    """The drawings of one image.

    Attributes:
        placed: The photograph.
        person: Whom the file names.
        spot: The file.
        present: Everybody whom the file or a shape names.
    """

    placed: Placed
    person: Person | None
    spot: Spot
    present: dict[Person, None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.person is not None:
            self.present[self.person] = None

    def regions(self, shapes: list[Any]) -> list[Region]:
        """The objects drawn, in the order of their first pieces."""
        objects = Objects(self.spot)
        runs = 0
        for place, shape in enumerate(shapes):
            here = self.spot.at("shapes", place)
            if not isinstance(shape, dict):
                here.report("SRC015", f"the shape is {described(shape)}, an object was expected.")
                continue
            own, known = _annotator(shape, here)
            if not known:
                continue
            if own is not None:
                self.present[own] = None
            name = self._name(shape, here)
            outline = None if name is None else outline_of(shape, name, self.placed.size, here)
            if name is None or outline is None:
                continue
            runs += runs_of(outline)
            if runs > MAX_RUNS:
                here.report(
                    "SRC059",
                    f"the masks up to {quoted(name)} have more than {MAX_RUNS:,} runs of pixels.",
                )
                return objects.regions()
            group = self._group(shape, here)
            objects.add(name, outline, group=group, person=own or self.person, origin=here)
        return objects.regions()

    def _name(self, shape: dict[str, Any], spot: Spot) -> str | None:
        """What a shape is called; None after a report."""
        name = clean_name(shape.get("label"))
        if name is None:
            spot.at("label").report(
                "SRC057", f"the label is {described(shape.get('label'))}, a name was expected."
            )
        return name

    def _group(self, shape: dict[str, Any], spot: Spot) -> str | None:
        """The group of a shape; None where it stands by itself."""
        value = shape.get("group_id")
        group = canonical_id(value)
        if group is None and value not in (None, ""):
            spot.at("group_id").report(
                "SRC058", f"group_id is {described(value)}, a whole number or null was expected."
            )
        return group

    def tags(self, flags: object) -> list[Region]:
        """The flags of the image that are true, as tags of the whole image."""
        here = self.spot.at("flags")
        if flags is None:
            return []
        if not isinstance(flags, dict):
            here.report("SRC015", f"flags are {described(flags)}, an object was expected.")
            return []
        found = []
        for key, value in flags.items():
            name = clean_name(key)
            if name is None or not (value is None or isinstance(value, bool)):
                here.report(
                    "SRC015",
                    f"the flag {quoted(key)} is {described(value)}, a name with true or false was "
                    "expected.",
                )
            elif value and name == IGNORE:
                here.report("SRC056", f"the flag {quoted(name)} names no concept and is no tag.")
            elif value and name not in NO_CONCEPT:
                pointer = here.at(key.replace("~", "~0").replace("/", "~1")).pointer
                found.append(Region(name, "tag", None, self.person, Origin(here.file, pointer)))
        return found
