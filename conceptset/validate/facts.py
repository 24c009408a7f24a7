"""What one pass over the image files found, as small values that travel between processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

Pixel = tuple[int, int]
Size = tuple[int, int]


class Fault(NamedTuple):
    """Why a file could not be used.

    Attributes:
        kind: `missing`: there is no such file. `outside`: a link leads out of the set.
            `broken`: it is there and cannot be read.
        text: What went wrong, as the end of a sentence.
    """

    kind: Literal["missing", "outside", "broken"]
    text: str


class Spot(NamedTuple):
    """Pixels that share a defect: the value they hold, the first of them, how many there are."""

    value: int
    pixel: Pixel
    pixels: int


def size_text(size: Size) -> str:
    """A size in words.

    >>> size_text((2, 3))
    '2 x 3'
    """
    return f"{size[0]} x {size[1]}"


@dataclass(frozen=True, slots=True)
class PhotoFacts:
    """One photograph; size and digest are None where it could not be read."""

    path: str
    fault: Fault | None
    size: Size | None = None
    orientation: int = 1
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class MapFacts:
    """One label map.

    Attributes:
        path: Relative to images/.
        fault: Why it could not be decoded.
        size: (height, width) of the file.
        format: Pillow's name: PNG, JPEG, ...
        mode: Pillow's name: RGB, P, ...
        deep: More than eight bits a channel.
        coded: The pixels hold R + 256 G, so the fields below mean something.
        labels: Label numbers that occur, rising, without 0.
        counts: Pixels of each of them.
        unknown: Label numbers that no label table lists.
        blue: Pixels whose blue channel is not 0.
        digest: SHA-256 of the file.
    """

    path: str
    fault: Fault | None
    size: Size | None = None
    format: str = ""
    mode: str = ""
    deep: bool = False
    coded: bool = False
    labels: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    unknown: tuple[Spot, ...] = ()
    blue: Spot | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class MaskFacts:
    """One mask of ignored or undecided pixels; `stray` holds a value that is neither 0 nor 255."""

    path: str
    fault: Fault | None
    size: Size | None = None
    format: str = ""
    mode: str = ""
    stray: Spot | None = None
    digest: str | None = None


@dataclass(frozen=True, slots=True)
class Double:
    """One label that an image carries twice at one pixel.

    Attributes:
        first: Map it occurs in; empty if it is a whole-image label twice.
        second: The other map; empty if the other is a whole-image label.
        spot: The label, the first such pixel, and their number.
    """

    first: str
    second: str
    spot: Spot


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Everything about one photograph and what lies beside it."""

    photo: PhotoFacts | None
    maps: tuple[MapFacts, ...]
    masks: tuple[MaskFacts, ...]
    doubles: tuple[Double, ...]
