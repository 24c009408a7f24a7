"""What flows from readers to label maps: one record per image, with who drew what and where.

Every reader yields `ImageRecord`; nothing behind the readers knows a file format.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from conceptset.geometry import Geometry

_SESSION = re.compile(r"[2-9]|[1-9][0-9]")


class Person(NamedTuple):
    """Who drew: a name, and which of this person's sessions (from 1)."""

    name: str
    session: int = 1

    @classmethod
    def parse(cls, text: str) -> Person:
        """Whom a text names: `NAME`, or `NAME#2` to `NAME#99` for a later session.

        >>> Person.parse("ada#2"), Person.parse(" ada "), Person.parse("ada#1").session
        (Person(name='ada', session=2), Person(name='ada', session=1), 1)
        """
        name, _, session = text.rpartition("#")
        if not name.strip() or not _SESSION.fullmatch(session.rstrip()):
            return cls(text.strip())
        return cls(name.strip(), int(session))

    def __str__(self) -> str:
        return self.name if self.session == 1 else f"{self.name}#{self.session}"


def first_sessions(sessions: Iterable[tuple[Hashable, int]]) -> list[int]:
    """Which of some sessions count where every person counts once: the lowest of each.

    Args:
        sessions: Who, and which session; of equal ones the one in front counts.

    Returns:
        Their places, lower sessions first.

    >>> first_sessions([Person("ada", 3), Person("ada", 2), Person("ben")])
    [2, 1]
    """
    listed = list(sessions)
    first: dict[Hashable, int] = {}
    for place in sorted(range(len(listed)), key=lambda place: listed[place][1]):
        first.setdefault(listed[place][0], place)
    return list(first.values())


@dataclass(frozen=True, slots=True)
class Origin:
    """Where something stood in the annotations.

    Attributes:
        file: The file, relative to what the user named.
        pointer: Place inside it: a JSON pointer, an XPath, a row.
    """

    file: str
    pointer: str


RegionKind = Literal["region", "ignore", "box", "tag", "mark", "deleted"]


@dataclass(frozen=True, slots=True)
class Region:
    """One drawn or stated thing.

    Attributes:
        name: What it was called, verbatim but stripped.
        kind: `region` has area. `ignore` has area and a name but is no single object (a crowd):
            painted in maps, left out of counts. `box` is a frame without an outline, painted only
            if asked for. `tag` holds for the whole image. `mark` is a point or a line: no area.
            `deleted` was drawn and taken back in the tool: it says that its person was there.
        geometry: Its shape in source pixels; None for tags, marks and what was deleted.
        person: Who drew it; None if the file does not say.
        origin: Where it stood.
        z_order: The tool's own painting order; later on top.
        part_of: Index into the record's `regions` of the whole this is a part of.
        category: The category the file itself puts it in, if the format has such a thing; a
            taxonomy's row for the name is stronger.
        interpolated: Computed by the tool between two frames somebody drew: painted, not counted.
    """

    name: str
    kind: RegionKind
    geometry: Geometry | None
    person: Person | None
    origin: Origin
    z_order: int = 0
    part_of: int | None = None
    category: str | None = None
    interpolated: bool = False


Frame = Literal["stored", "upright"]


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image as one file lists it.

    Attributes:
        image: Key of the image in the catalogue that the reader was given.
        size: (height, width) the coordinates refer to, source pixels.
        frame: Whether coordinates refer to the raster as stored or as turned upright by EXIF.
        workers: Who the file says worked on it, with or without drawing anything.
        regions: What was drawn, in document order.
        origin: Where the image is listed.
        file_person: Who the file as a whole names; the weakest statement of all.
    """

    image: str
    size: tuple[int, int]
    frame: Frame
    workers: tuple[Person, ...]
    regions: tuple[Region, ...]
    origin: Origin
    file_person: Person | None = None
