"""What the objects of one image are called: `NAME.json` of 2021, `NAME_atr.txt` of 2017."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conceptset.errors import ConceptsetError
from conceptset.geometry import FloatArray
from conceptset.io.tables import parse_json, read_bytes
from conceptset.parsing.defects import Spot
from conceptset.parsing.outlines import MAX_COORDINATE
from conceptset.parsing.values import canonical_id, clean_name, described, quoted, whole_number

MAX_BYTES = 64 << 20
MAX_LEVEL = 9
MAX_CLASS = 25 * 256 + 255
_COLUMNS = 6


@dataclass(frozen=True, slots=True)
class Thing:
    """An object or a part, as its description has it.

    Attributes:
        name: The first of its synonyms.
        level: 0 for an object, 1 for its part, 2 for a part of that, ...
        spot: Where it stands.
        key: Its id; None where it has none that can be used.
        class_number: What its pixels have in R and G; None where that is not stated (2017).
        number: Which value of B its pixels have, counted from 1; None where that is not stated
            (2021).
        wholes: Ids of what it is a part of.
        outline: (n, 2) float64 of x, y; None where there is none that can be used.
    """

    name: str
    level: int
    spot: Spot
    key: str | None = None
    class_number: int | None = None
    number: int | None = None
    wholes: tuple[str, ...] = ()
    outline: FloatArray | None = None


@dataclass(frozen=True, slots=True)
class Description:
    """What is said about one image.

    Attributes:
        things: Objects and parts, in document order.
        scene: What the picture shows as a whole; None where that is not stated.
        size: (height, width) of the image; None where it is not stated.
    """

    things: tuple[Thing, ...]
    scene: str | None = None
    size: tuple[int, int] | None = None


def read_text(path: Path) -> str:
    """The text of a description: UTF-8 if it is that, else Latin-1, as the release is written.

    Raises:
        SourceError: It cannot be read.
        UnsafeError: It is larger than 64 MiB.
    """
    data = read_bytes(path, MAX_BYTES)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def read_description(path: Path, spot: Spot) -> Description | None:
    """What a file says about its image; None after a report."""
    try:
        text = read_text(path)
        if path.suffix != ".json":
            return Description(tuple(_rows(text, spot)))
        document = parse_json(text.encode(), path=path, allow_nan=True)
    except ConceptsetError as error:
        spot.report("SRC080", f"the description {error.message}.")
        return None
    annotation = document.get("annotation") if isinstance(document, dict) else None
    if not isinstance(annotation, dict):
        what = described(annotation if isinstance(document, dict) else document)
        spot.at("annotation").report("SRC080", f"the annotation is {what}, an object was expected.")
        return None
    entries = _list(annotation.get("object"))
    here = spot.at("annotation", "object")
    things = [_thing(entry, here.at(place)) for place, entry in enumerate(entries)]
    return Description(
        tuple(thing for thing in things if thing is not None),
        _scene(annotation),
        _size(annotation.get("imsize")),
    )


def _list(value: object) -> list[Any]:
    """A list; MATLAB writes one of a single element as the element itself."""
    if isinstance(value, list):
        return value
    return [] if value is None else [value]


def first_synonym(value: object) -> str | None:
    """The first of the synonyms that a name lists; None if there is none.

    >>> first_synonym("car, auto, automobile"), first_synonym(" , x"), first_synonym(3)
    ('car', 'x', None)
    """
    if not isinstance(value, str):
        return None
    return next((name for part in value.split(",") if (name := clean_name(part))), None)


def _scene(annotation: dict[str, Any]) -> str | None:
    """The last entry of the list from the general to the particular; "~" marks what is none."""
    scenes = _list(annotation.get("scene"))
    scene = clean_name(scenes[-1]) if scenes else None
    return None if scene is None or scene.startswith("~") else scene


def _size(value: object) -> tuple[int, int] | None:
    sides = [whole_number(side) for side in _list(value)[:2]]
    return (sides[0], sides[1]) if len(sides) == 2 and sides[0] and sides[1] else None


def _thing(entry: object, spot: Spot) -> Thing | None:
    """One entry of the list of objects; None after a report."""
    if not isinstance(entry, dict):
        spot.report("SRC015", f"the object is {described(entry)}, an object was expected.")
        return None
    name = first_synonym(entry.get("name"))
    if name is None:
        shown = described(entry.get("name"))
        spot.at("name").report("SRC010", f"the name is {shown}, a text was expected.")
        return None
    number = whole_number(entry.get("name_ndx"))
    if number is None or not 1 <= number <= MAX_CLASS:
        spot.at("name_ndx").report(
            "SRC010",
            f"the class of {quoted(name)} is {described(entry.get('name_ndx'))}, 1 to {MAX_CLASS} "
            "was expected.",
        )
        return None
    parts = entry.get("parts")
    parts = parts if isinstance(parts, dict) else {}
    level = _level(parts.get("part_level", 0), name, spot.at("parts", "part_level"))
    if level is None:
        return None
    wholes = (canonical_id(whole) for whole in _list(parts.get("ispartof")))
    return Thing(
        name,
        level,
        spot,
        key=canonical_id(entry.get("id")),
        class_number=number,
        wholes=tuple(whole for whole in wholes if whole is not None),
        outline=_outline(entry.get("polygon")),
    )


def _level(value: object, name: str, spot: Spot) -> int | None:
    level = whole_number(value)
    if level is not None and level <= MAX_LEVEL:
        return level
    spot.report(
        "SRC015", f"the part level of {quoted(name)} is {described(value)}, 0 to {MAX_LEVEL} was "
        "expected.",
    )  # fmt: skip
    return None


def _outline(polygon: object) -> FloatArray | None:
    """The corners, if they are such; they only tell objects of one class apart."""
    if not isinstance(polygon, dict):
        return None
    x, y = _list(polygon.get("x")), _list(polygon.get("y"))
    if len(x) != len(y) or set(map(type, [*x, *y])) - {int, float}:
        return None
    ring = np.array([x, y], dtype=np.float64).T
    if len(ring) < 3 or not (np.abs(ring) <= MAX_COORDINATE).all():
        return None
    return ring


def _rows(text: str, spot: Spot) -> Iterator[Thing]:
    """The lines of a text: number # level # occluded # name # raw name # attributes."""
    for line, row in enumerate(text.split("\n"), start=1):
        if not row.strip():
            continue
        here = spot.on_line(line)
        cells = [cell.strip() for cell in row.split("#", _COLUMNS - 1)]
        if len(cells) != _COLUMNS:
            here.report("SRC015", f"{len(cells)} columns between #, {_COLUMNS} were expected.")
            continue
        number, name = whole_number(cells[0]), first_synonym(cells[3]) or clean_name(cells[4])
        if name is None:
            here.report("SRC010", "the columns of the name are empty.")
            continue
        if number is None or not 1 <= number <= 255:
            here.report(
                "SRC015",
                f"the instance number of {quoted(name)} is {described(cells[0])}, 1 to 255 was "
                "expected.",
            )
            continue
        level = _level(cells[1], name, here)
        if level is not None:
            yield Thing(name, level, here, number=number)
