"""From one LabelMe XML file to the record of its photograph."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from conceptset.errors import SourceError, UnsafeError
from conceptset.formats.base import ReadContext
from conceptset.formats.labelme_xml.document import Document, Drawing, load
from conceptset.formats.labelme_xml.parts import wholes
from conceptset.formats.labelme_xml.shapes import mask_folders, shape_of
from conceptset.parsing.defects import Spot
from conceptset.parsing.photographs import first_found, place_photograph
from conceptset.parsing.values import clean_name, described, person_from, quoted
from conceptset.records import ImageRecord, Origin, Person, Region

_STATED = {"0": False, "": False, "1": True}


def names_of(filename: str, folder: str) -> list[str]:
    """The names by which a photograph can be found, the tool's own first.

    >>> names_of("a.jpg", "street"), names_of("a.jpg", ""), names_of("", "street")
    (['street/a.jpg', 'a.jpg'], ['a.jpg'], [])
    """
    if not filename:
        return []
    return [f"{folder}/{filename}", filename] if folder else [filename]


def read_document(path: Path, context: ReadContext) -> Iterator[ImageRecord]:
    """The record of a file's photograph, or none after a report.

    Raises:
        UnsafeError: The file is refused.
        AnnotationError: A bad annotation, or a broken file, under the policy `raise`.
    """
    file = Spot(context.problems, context.label)
    try:
        document = load(path)
    except UnsafeError:
        raise
    except SourceError as error:  # one image of many: the others are read
        Spot(file.problems, file.file, error.pointer or "").report("SRC060", f"{error.message}.")
        return
    for repair in document.repairs:
        file.report("SRC061", repair)
    record = _Reader(document, path, context, file).record()
    if record is not None:
        yield record
        context.progress(1)


@dataclass(frozen=True, slots=True)
class _Reader:
    """What all objects of one file need."""

    document: Document
    path: Path
    context: ReadContext
    file: Spot

    def record(self) -> ImageRecord | None:
        """The record; None after a report."""
        document, listed = self.document, self.file.at("annotation", "filename")
        names = names_of(document.filename, document.folder)
        if not names:
            listed.report("SRC007", "the file does not say of which photograph it is.")
            return None
        catalogue, beside = self.context.catalogue, self.context.beside
        placed = place_photograph(
            catalogue,
            first_found(catalogue, names, beside),
            document.size,
            listed,
            beside=beside,
            habit="upright",
        )
        if placed is None:
            return None
        people: dict[Person, None] = {}
        regions = self._regions(placed.size, people)
        return ImageRecord(
            image=placed.key,
            size=placed.size,
            frame=placed.frame,
            workers=tuple(people),
            regions=tuple(regions),
            origin=Origin(listed.file, listed.pointer),
        )

    def _regions(self, size: tuple[int, int], people: dict[Person, None]) -> list[Region]:
        """The objects that can be read, parts linked to their wholes; adds who drew them."""
        drawings = self.document.drawings
        spots = [self.file.at("annotation", f"object[{one.number}]") for one in drawings]
        folders = mask_folders(self.path, self.document.folder) if _has_masks(drawings) else []
        places: dict[int, int] = {}
        regions: list[Region] = []
        for place, (drawing, spot) in enumerate(zip(drawings, spots, strict=True)):
            try:
                person = person_from(drawing.username)
            except ValueError as error:
                spot.report("SRC029", f"{error}.")
                continue
            if person is not None:
                people[person] = None
            region = self._region(drawing, person, size, folders, spot)
            if region is not None:
                places[place] = len(regions)
                regions.append(region)
        is_live = [
            place in places and regions[places[place]].kind != "deleted"
            for place in range(len(drawings))
        ]
        for part, whole in wholes(drawings, is_live, spots).items():
            regions[places[part]] = replace(regions[places[part]], part_of=places[whole])
        return regions

    def _region(
        self,
        drawing: Drawing,
        person: Person | None,
        size: tuple[int, int],
        folders: list[Path],
        spot: Spot,
    ) -> Region | None:
        """The region of one object; None after a report."""
        name, origin = clean_name(drawing.name), Origin(spot.file, spot.pointer)
        if _STATED.get(drawing.deleted, False):
            return Region(name or "", "deleted", None, person, origin)
        if drawing.deleted not in _STATED:
            spot.at("deleted").report(
                "SRC063", f"deleted is {described(drawing.deleted)}, 0 or 1 was expected."
            )
        if name is None:
            spot.at("name").report(
                "SRC010",
                f"the name of the object is {described(drawing.name)}.",
                hint="Name the object, or take it out.",
            )
            return None
        shape = shape_of(drawing, size, folders, spot)
        return None if shape is None else Region(name, *shape, person, origin)


def _has_masks(drawings: tuple[Drawing, ...]) -> bool:
    return any(drawing.masks for drawing in drawings)


def described_people(names: list[str]) -> str:
    """How `detect` says who drew, from the usernames it saw.

    >>> described_people(["ann", "anonymous"])
    'username of each object: "ann", "anonymous" (the tool\\'s name for whoever gave none)'
    """
    unnamed = " (the tool's name for whoever gave none)" if "anonymous" in names else ""
    shown = [f"{quoted(n)}{unnamed if n == 'anonymous' else ''}" for n in names[:5]]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"username of each object: {', '.join(shown)}{more}"
