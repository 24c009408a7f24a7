"""Darwin JSON 1.0, the files of V7: one JSON file per photograph.

Outlines follow the corner convention; the rings of a complex polygon are even-odd, so inner rings
are holes. A box beside an outline says nothing more than the outline. The format has no place for
the annotator. Data sets drawn by several people name the file after person and photograph; then
that is read: `ann_042.json` about 042.jpg was drawn by `ann`. In the data set DermX the photograph
has the prefix, too, and `labeller12` of its second round is `labeller1` for the second time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from conceptset.errors import ConceptsetError, SourceError, UnsafeError
from conceptset.formats.base import Candidate, Detection, ReadContext
from conceptset.geometry import Ellipse, Geometry, Rings
from conceptset.io.tables import read_json
from conceptset.parsing.defects import Spot
from conceptset.parsing.outlines import numbers_from, ring_from_box, ring_from_flat
from conceptset.parsing.photographs import first_found, place_photograph
from conceptset.parsing.values import clean_name, described, quoted, whole_number
from conceptset.records import ImageRecord, Origin, Person, Region, RegionKind

__all__ = ["FORMAT", "DarwinFormat"]

MAX_BYTES = 32 << 20  # a file holds one image
MAX_ANNOTATIONS = 100_000  # each can cost a finding
_DERMX = {  # its two rounds by what the files state as their data set: session, spelling
    "Explainability dataset": (1, re.compile(r"(labeller[1-8])_(.+)", re.DOTALL)),
    "DermX v2": (2, re.compile(r"(labeller[1-8])2_(.+)", re.DOTALL)),
}
_VIDEO = ("frame_urls", "frame_count", "frames_manifests")
_MARKS = ("line", "keypoint", "skeleton")
_UNREAD = ("cuboid", "eye", "graph", "mask", "raster_layer", "simple_table", "string", "table")
_SHAPES = ("polygon", "complex_polygon", "ellipse", "tag", *_MARKS, *_UNREAD)

Shape = tuple[RegionKind, Geometry | None]


class DarwinFormat:
    """The Darwin format, see `conceptset.formats.base.Format`."""

    name = "darwin"
    title = "Darwin JSON (V7)"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether it is a Darwin JSON file, what was looked for, and whom its name names."""
        if candidate.is_directory or candidate.suffix != ".json":
            kind = "a directory" if candidate.is_directory else "not called .json"
            return self._no(f"is {kind}, a JSON file was expected")
        try:
            data = candidate.json
        except ConceptsetError as error:
            return self._no(error.message)
        if not isinstance(data, dict):
            return self._no(f"holds {described(data)}, an object was expected")
        if _is_version_2(data):
            reason = f"has version {described(data['version'])} and item; only Darwin 1.0 is read"
            return Detection(self.name, matches=True, reasons=(reason,))
        return self._detect_object(candidate.path, data)

    def _detect_object(self, path: Path, data: dict[str, Any]) -> Detection:
        image, annotations = data.get("image"), data.get("annotations")
        if not isinstance(image, dict) or "filename" not in image:
            return self._no("no image with a filename")
        if not isinstance(annotations, list):
            return self._no(f"annotations is {described(annotations)}, a list was expected")
        person = _person(path, data)
        return Detection(
            self.name,
            matches=True,
            reasons=(f"image has a filename, annotations: {len(annotations)} entries",),
            people=None if person is None else f"the name of the file ({quoted(str(person))})",
        )

    def _no(self, reason: str) -> Detection:
        return Detection(self.name, matches=False, reasons=(reason,))

    def image_names(self, path: Path) -> list[str]:
        """The names by which the photograph can be found.

        Raises:
            SourceError: The file cannot be read as Darwin 1.0.
        """
        return _names(_load(path))

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """The record of the file's photograph, annotations in document order.

        Raises:
            SourceError: The file as a whole cannot be read.
            AnnotationError: A bad annotation, under the policy `raise`.
        """
        record = _record(path, _load(path), context)
        if record is not None:
            yield record
            context.progress(1)


FORMAT = DarwinFormat()


def _is_version_2(data: dict[str, Any]) -> bool:
    return "version" in data and "item" in data and "image" not in data


def _load(path: Path) -> dict[str, Any]:
    """The parsed file.

    Raises:
        SourceError: It is no JSON, or not Darwin 1.0.
        UnsafeError: It is too large, or has too many annotations.
    """
    data = read_json(path, MAX_BYTES, allow_nan=True)
    if not isinstance(data, dict):
        raise SourceError(f"is no Darwin file: it holds {described(data)}", path=path)
    if _is_version_2(data):
        raise SourceError(
            f"is Darwin of version {described(data['version'])}, only 1.0 is read",
            path=path,
            hint="Export the data set from V7 as Darwin JSON 1.0, or as COCO.",
        )
    for key, kind in (("image", dict), ("annotations", list)):
        if not isinstance(data.get(key), kind):
            raise SourceError(
                f"is no Darwin file: {key} is {described(data.get(key))}",
                path=path,
                pointer=f"/{key}",
            )
    if len(data["annotations"]) > MAX_ANNOTATIONS:
        raise UnsafeError(f"has more than {MAX_ANNOTATIONS:,} annotations", path=path)
    return data


def _filename(data: dict[str, Any]) -> str:
    value = data["image"].get("filename")
    return value if isinstance(value, str) else ""


def _dermx(name: str, data: dict[str, Any]) -> tuple[Person, str] | None:
    """Person and remainder of a name as DermX spells it; None for any other data set or name."""
    dataset = data.get("dataset")
    if not isinstance(dataset, str) or dataset not in _DERMX:
        return None
    session, spelling = _DERMX[dataset]
    match = spelling.fullmatch(name)
    return None if match is None else (Person(match[1], session), match[2])


def _person(path: Path, data: dict[str, Any]) -> Person | None:
    """Whom the name of the file names, see the module's text; None if it does not."""
    photograph = PurePosixPath(_filename(data)).stem
    known = _dermx(path.stem, data)
    if known is not None and photograph in (path.stem, known[1]):
        return known[0]
    prefix = clean_name(path.stem.removesuffix(f"_{photograph}"))
    if not photograph or prefix is None or not path.stem.endswith(f"_{photograph}"):
        return None
    return Person(prefix)


def _names(data: dict[str, Any]) -> list[str]:
    """Folder and name, name alone, and for DermX the name without the person."""
    name, folder = _filename(data), data["image"].get("path")
    if not name:
        return []
    names = [name]
    if isinstance(folder, str) and folder.strip("/"):
        names.insert(0, f"{folder.strip('/')}/{name}")
    known = _dermx(name, data)
    return names if known is None else [*names, known[1]]


def _record(path: Path, data: dict[str, Any], context: ReadContext) -> ImageRecord | None:
    """The record; None after a report."""
    file = Spot(context.problems, context.label)
    image, listed = data["image"], file.at("image")
    names = _names(data)
    if not names:
        listed.at("filename").report(
            "SRC007", f"filename is {described(image.get('filename'))}, a name was expected."
        )
        return None
    video = [key for key in _VIDEO if image.get(key) is not None]
    if video:
        listed.report("SRC068", f"{quoted(names[0])} is a video: it has {', '.join(video)}.")
        return None
    height, width = whole_number(image.get("height")), whole_number(image.get("width"))
    everybody = names[-1] if _dermx(_filename(data), data) else names[0]
    placed = place_photograph(
        context.catalogue,
        first_found(context.catalogue, names, context.beside, missing=everybody),
        (height, width) if height and width else None,
        listed,
        beside=context.beside,
        habit="upright",
    )
    if placed is None:
        return None
    person = _person(path, data)
    return ImageRecord(
        image=placed.key,
        size=placed.size,
        frame=placed.frame,
        workers=() if person is None else (person,),
        regions=tuple(_regions(data["annotations"], person, file.at("annotations"))),
        origin=Origin(listed.file, listed.pointer),
    )


def _regions(annotations: list[Any], person: Person | None, spot: Spot) -> Iterator[Region]:
    for place, entry in enumerate(annotations):
        here = spot.at(place)
        if not isinstance(entry, dict):
            here.report("SRC015", f"the annotation is {described(entry)}, an object was expected.")
            continue
        name = clean_name(entry.get("name"))
        if name is None:
            here.at("name").report(
                "SRC010",
                f"the name of the annotation is {described(entry.get('name'))}.",
                hint="Name the annotation, or take it out.",
            )
            continue
        shape = _Drawn(entry, name, here).shape()
        if shape is not None:
            yield Region(name, *shape, person, Origin(here.file, here.pointer))


@dataclass(frozen=True, slots=True)
class _Drawn:
    """One annotation with a name."""

    entry: Mapping[str, Any]
    name: str
    spot: Spot

    def shape(self) -> Shape | None:
        """Kind and geometry; None after a report."""
        named = quoted(self.name)
        if self.entry.get("frames") is not None:
            self.spot.report("SRC068", f"{named} has a shape for each frame of a video.")
            return None
        given = [key for key in _SHAPES if self.entry.get(key) is not None]
        if len(given) > 1:
            self.spot.report("SRC015", f"{named} has {' and '.join(given)}, one was expected.")
            return None
        return self._of_kind(given[0]) if given else self._box()

    def _of_kind(self, kind: str) -> Shape | None:
        value, spot = self.entry[kind], self.spot.at(kind)
        if kind in _UNREAD:
            spot.report("SRC067", f"{quoted(self.name)} is of the kind {kind}, which is not read.")
        elif not isinstance(value, dict):
            spot.report("SRC015", f"{kind} is {described(value)}, an object was expected.")
        elif kind == "tag" or kind in _MARKS:
            return "tag" if kind == "tag" else "mark", None
        elif kind == "ellipse":
            return self._ellipse(value, spot)
        else:
            return self._rings(value, spot, is_complex=kind == "complex_polygon")
        return None

    def _rings(self, value: dict[str, Any], spot: Spot, *, is_complex: bool) -> Shape | None:
        """The outlines that can be filled; None if there is none."""
        path = value.get("path")
        if value.get("additional_paths"):
            spot.report(
                "SRC067", f"{quoted(self.name)} is a polygon with additional_paths, not read."
            )
            return None
        if not isinstance(path, list):
            spot.at("path").report("SRC016", f"path is {described(path)}, a list was expected.")
            return None
        if is_complex and not path:
            spot.at("path").report("SRC016", f"{quoted(self.name)} has no outline.")
        rings = []
        for place, points in enumerate(path if is_complex else [path]):
            here = spot.at("path", place) if is_complex else spot.at("path")
            outline = f"outline {place}" if is_complex else "the outline"
            owner = f"{outline} of {quoted(self.name)}"
            if not isinstance(points, list):
                here.report("SRC016", f"{owner} is {described(points)}, a list was expected.")
                return None
            numbers = numbers_from(_flat(points), here, owner)
            if numbers is None:
                return None  # not the other rings alone: what is missing may have been a hole
            ring = ring_from_flat(numbers.tolist(), here, owner)
            if ring is not None:
                rings.append(ring)
        return ("region", Rings(tuple(rings), "even-odd")) if rings else None

    def _box(self) -> Shape | None:
        box = self.entry.get("bounding_box")
        if not isinstance(box, dict):
            known = [key for key in self.entry if key not in ("name", "bounding_box", "attributes")]
            has = f"only {', '.join(quoted(key) for key in known[:5])}" if known else "nothing else"
            self.spot.report("SRC016", f"{quoted(self.name)} has no shape that is known, {has}.")
            return None
        values = [box.get(key) for key in ("x", "y", "w", "h")]
        spot = self.spot.at("bounding_box")
        ring = ring_from_box(values, spot, f"the box of {quoted(self.name)}")
        return None if ring is None else ("box", Rings((ring,)))

    def _ellipse(self, value: dict[str, Any], spot: Spot) -> Shape | None:
        """Only where the turn does not matter: whether it is in degrees is not documented."""
        owner = f"the ellipse of {quoted(self.name)}"
        turn = 0 if value.get("angle") is None else value["angle"]
        numbers = numbers_from(
            [*_flat([value.get("center"), value.get("radius")]), turn], spot, owner
        )
        if numbers is None:
            return None
        x, y, across, down, angle = numbers.tolist()
        if across <= 0 or down <= 0:
            spot.report("SRC016", f"{owner} has radii {across:g} and {down:g}, above 0 expected.")
            return None
        if angle != 0 and across != down:
            spot.report(
                "SRC067", f"{owner} is turned by {angle:g}; the unit of that is not documented."
            )
            return None
        return "region", Ellipse((x, y), (across, down))


def _flat(points: list[Any]) -> list[Any]:
    """x1, y1, x2, y2, ... of a list of points; None where one is missing."""
    return [
        point.get(axis) if isinstance(point, dict) else None for point in points for axis in "xy"
    ]
