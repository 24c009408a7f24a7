"""From the files of one image to its record."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from conceptset.errors import ConceptsetError, UnsafeError
from conceptset.formats.ade20k.description import Description, Thing, read_description
from conceptset.formats.ade20k.listing import Listed, listed, scene_of_folder
from conceptset.formats.ade20k.masks import LevelMask, below, class_of, read_level
from conceptset.formats.ade20k.matching import match_numbers, match_outlines
from conceptset.formats.base import ReadContext
from conceptset.io.images import read_header
from conceptset.io.paths import resolve_inside
from conceptset.parsing.defects import Spot
from conceptset.parsing.photographs import place_photograph
from conceptset.parsing.values import quoted
from conceptset.records import ImageRecord, Origin, Region

_SHOWN = 5  # names in one message


def read_images(root: Path, context: ReadContext) -> Iterator[ImageRecord]:
    """One record per image below `root`, sorted by path.

    Raises:
        AnnotationError: A bad annotation, under the policy `raise`.
    """
    reader = _Reader(root, context)
    for image in listed(root):
        record = reader.record(image)
        if record is not None:
            yield record
            context.progress(1)


@dataclass(slots=True)
class _Reader:
    """What all images of a directory share.

    Attributes:
        root: The directory.
        context: What the reader was handed.
        classes: Name to class of what was matched by number (2017), and where that was.
    """

    root: Path
    context: ReadContext
    classes: dict[str, tuple[int, str]] = field(default_factory=dict)

    def record(self, image: Listed) -> ImageRecord | None:
        """The record of one image; None after a report."""
        file = Spot(self.context.problems, self._label(image.description or image.photograph))
        description = self._description(image, file)
        if description is None:
            return None
        placed = place_photograph(
            self.context.catalogue,
            image.photograph,
            description.size,
            file,
            beside=self.context.beside,
        )
        if placed is None:
            return None
        drawing = _Drawing(self, image, file, placed.size)
        for level in sorted({0, *(thing.level for thing in description.things)}):
            drawing.add_level(level, [one for one in description.things if one.level == level])
        origin = Origin(file.file, file.pointer)
        regions = drawing.regions
        if description.scene is not None:
            regions.append(Region(description.scene, "tag", None, None, origin))
        return ImageRecord(placed.key, placed.size, placed.frame, (), tuple(regions), origin)

    def _label(self, name: str) -> str:
        return f"{self.context.label}/{name}" if self.context.label else name

    def _description(self, image: Listed, file: Spot) -> Description | None:
        if image.description is None:
            file.report(
                "SRC080",
                "the image has a mask, but neither NAME.json nor NAME_atr.txt says what its "
                "classes are called.",
            )
            return None
        try:
            path = resolve_inside(self.root, image.description)
        except UnsafeError as error:
            file.report("SRC006", f"the description is refused: {error.message}.")
            return None
        description = read_description(path, file)
        if description is None:
            return None
        scene = description.scene
        if path.suffix != ".json":
            scene = scene_of_folder((self.root / image.photograph).absolute())
        return replace(description, scene=scene, size=description.size or self._mask_size(image))

    def _mask_size(self, image: Listed) -> tuple[int, int] | None:
        """(height, width) of the mask, which stands for the image's where that is not stated."""
        try:
            return read_header(resolve_inside(self.root, image.mask(0))).size
        except ConceptsetError:
            return None  # reported when the mask is read

    def agrees(self, thing: Thing, code: int) -> bool:
        """Whether a name has one class in all images; False after a report."""
        number, first = self.classes.setdefault(thing.name, (class_of(code), thing.spot.file))
        if number == class_of(code):
            return True
        thing.spot.report(
            "SRC083",
            f"the pixels of instance {thing.number}, {quoted(thing.name)}, are of class "
            f"{class_of(code)}; in {first} that name has class {number}.",
        )
        return False


@dataclass(slots=True)
class _Drawing:
    """The regions of one image, level by level: a whole stands before its parts.

    Attributes:
        reader: The reader.
        image: The files.
        file: The description.
        size: (height, width).
        regions: What was found so far.
        places: Id of a thing to the place of its region.
        masks: Mask by level.
        owners: (level, colour) to the place of its region.
    """

    reader: _Reader
    image: Listed
    file: Spot
    size: tuple[int, int]
    regions: list[Region] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    masks: dict[int, LevelMask] = field(default_factory=dict)
    owners: dict[tuple[int, int], int] = field(default_factory=dict)

    def add_level(self, level: int, things: list[Thing]) -> None:
        """Add the objects or parts of one level."""
        name = self.image.mask(level)
        mask = read_level(name, self.reader.root, self.size, self.file)
        if mask is None:
            return
        self.masks[level] = mask
        by_number = bool(things) and things[0].number is not None
        found = match_numbers(things, mask) if by_number else match_outlines(things, mask)
        names: dict[int, str] = {}
        for place, thing in enumerate(things):
            code = found.get(place)
            if code is not None and (thing.number is None or self.reader.agrees(thing, code)):
                names[class_of(code)] = thing.name
                self._add(thing.name, level, code, thing)
        hidden = [thing for place, thing in enumerate(things) if place not in found]
        self._report_hidden(hidden)
        self._add_rest(level, mask, {found[place] for place in found}, names)

    def _add(self, name: str, level: int, code: int, thing: Thing | None) -> None:
        place = len(self.regions)
        spot = self.file if thing is None else thing.spot
        pointer = spot.pointer or (f"line {spot.line}" if spot.line else self.image.mask(level))
        whole = self._whole(level, code, thing)
        self.regions.append(
            Region(
                name,
                "region",
                self.masks[level].shape(code),
                None,
                Origin(spot.file, pointer),
                part_of=whole,
                category="part" if level and whole is None else None,
            )
        )
        self.owners[level, code] = place
        if thing is not None and thing.key is not None:
            self.places.setdefault(thing.key, place)

    def _whole(self, level: int, code: int, thing: Thing | None) -> int | None:
        """The place of what a part belongs to: as stated, else what most of its pixels lie on."""
        if level == 0:
            return None
        stated = () if thing is None else thing.wholes
        known = next((self.places[key] for key in stated if key in self.places), None)
        if known is not None or level - 1 not in self.masks:
            return known
        among = [code for at, code in self.owners if at == level - 1]
        under = below(self.masks[level], code, self.masks[level - 1], among)
        return None if under is None else self.owners[level - 1, under]

    def _report_hidden(self, things: list[Thing]) -> None:
        """Say once per image and level which objects have no pixel to show."""
        if not things:
            return
        names = ", ".join(quoted(thing.name) for thing in things[:_SHOWN])
        more = f" and {len(things) - _SHOWN} more" if len(things) > _SHOWN else ""
        self.file.report(
            "SRC081",
            f"{names}{more}: no pixel of {self.image.mask(things[0].level)} is of "
            f"{'it' if len(things) == 1 else 'them'}.",
        )

    def _add_rest(self, level: int, mask: LevelMask, used: set[int], names: dict[int, str]) -> None:
        """Pixels of objects that are not described: of a class that others name, or unknown."""
        nameless = []
        for code in mask.colours:
            if code in used:
                continue
            name = names.get(class_of(code))
            if name is None:
                nameless.append(code)
            else:
                self._add(name, level, code, None)
        if nameless:
            classes = sorted({class_of(code) for code in nameless})
            self.file.report(
                "SRC082",
                f"{sum(mask.pixels[code] for code in nameless)} pixels of {self.image.mask(level)} "
                f"are of classes without an object: {', '.join(map(str, classes[:_SHOWN]))}"
                f"{' ...' if len(classes) > _SHOWN else ''}.",
            )
