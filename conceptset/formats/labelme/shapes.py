"""From the entries of `shapes` to geometry: outlines, frames, circles and pasted masks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from conceptset.geometry import (
    Ellipse,
    FloatArray,
    Rings,
    Rle,
    Simple,
    box_ring,
    rle_from_window,
)
from conceptset.parsing.defects import Spot
from conceptset.parsing.embedded import bytes_from, flags_from
from conceptset.parsing.outlines import numbers_from, ring_from_flat
from conceptset.parsing.values import described, quoted

ShapeKind = Literal["region", "box", "mark"]
Bounds = tuple[float, float, float, float]

_MARKS = ("point", "points", "line", "linestrip")
_SMALLEST_RADIUS = 1e-6  # pixels


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """What one shape encloses.

    Attributes:
        kind: `box` for a frame; `mark` for what has no area.
        geometry: Its pixels; None for a mark.
        bounds: Left, top, right and bottom, beyond which it has none.
    """

    kind: ShapeKind
    geometry: Simple | None
    bounds: Bounds


_MARK = Outline("mark", None, (0, 0, 0, 0))


def outline_of(
    shape: dict[str, Any], name: str, size: tuple[int, int], spot: Spot
) -> Outline | None:
    """What a shape encloses; None after a report.

    Args:
        shape: As it stands in the file.
        name: What it is called, for messages.
        size: (height, width) of the image.
        spot: Where it stands.
    """
    kind = shape.get("shape_type") or "polygon"  # absent before version 3.5
    if kind in _MARKS:
        return _MARK
    read = _READERS.get(kind) if isinstance(kind, str) else None
    if read is None:
        spot.at("shape_type").report(
            "SRC050",
            f"the type of {quoted(name)} is {described(kind)}; {', '.join([*_READERS, *_MARKS])} "
            "are known.",
        )
        return None
    flat = _flat(shape.get("points"), spot.at("points"), name)
    return None if flat is None else read(flat, shape, name, size, spot)


def _flat(points: object, spot: Spot, name: str) -> list[Any] | None:
    """The points as x1, y1, x2, y2, ... of whatever is in them; None after a report."""
    if not isinstance(points, list):
        spot.report(
            "SRC016",
            f"the points of {quoted(name)} are {described(points)}, a list was expected.",
        )
        return None
    for place, point in enumerate(points):
        if not isinstance(point, list) or len(point) != 2:
            shown = f"{len(point)} values" if isinstance(point, list) else described(point)
            spot.at(place).report(
                "SRC018", f"point {place} of {quoted(name)} is {shown}, [x, y] was expected."
            )
            return None
    return [coordinate for point in points for coordinate in point]


def _polygon(
    flat: list[Any], _shape: dict[str, Any], name: str, _size: tuple[int, int], spot: Spot
) -> Outline | None:
    ring = ring_from_flat(flat, spot.at("points"), f"the outline of {quoted(name)}")
    return None if ring is None else Outline("region", Rings((ring,)), _bounds(ring))


def _rectangle(
    flat: list[Any], shape: dict[str, Any], name: str, size: tuple[int, int], spot: Spot
) -> Outline | None:
    """Two opposite corners in any order; other programs write all four."""
    if len(flat) == 8:
        return _turned(flat, shape, name, size, spot)
    corners = _numbers(flat, 2, "rectangle", name, spot)
    if corners is None:
        return None
    left, top = corners.min(axis=0).tolist()
    right, bottom = corners.max(axis=0).tolist()
    if left == right or top == bottom:
        spot.at("points").report(
            "SRC051",
            f"the rectangle {quoted(name)} is {right - left:g} wide and {bottom - top:g} high, "
            "more than 0 was expected.",
        )
        return None
    ring = box_ring(left, top, right - left, bottom - top)
    return Outline("box", Rings((ring,)), (left, top, right, bottom))


def _turned(
    flat: list[Any], _shape: dict[str, Any], name: str, _size: tuple[int, int], spot: Spot
) -> Outline | None:
    """The four corners of a frame, in order around it."""
    if len(flat) != 8:
        _report_number(flat, 4, "oriented_rectangle", name, spot)
        return None
    ring = ring_from_flat(flat, spot.at("points"), f"the frame of {quoted(name)}")
    return None if ring is None else Outline("box", Rings((ring,)), _bounds(ring))


def _circle(
    flat: list[Any], _shape: dict[str, Any], name: str, _size: tuple[int, int], spot: Spot
) -> Outline | None:
    """The centre and a point of the rim."""
    points = _numbers(flat, 2, "circle", name, spot)
    if points is None:
        return None
    (x, y), (rim_x, rim_y) = points.tolist()
    radius = math.hypot(rim_x - x, rim_y - y)
    if radius < _SMALLEST_RADIUS:
        spot.at("points").report(
            "SRC051", f"the circle {quoted(name)} has a radius of 0, more was expected."
        )
        return None
    bounds = (x - radius, y - radius, x + radius, y + radius)
    return Outline("region", Ellipse((x, y), (radius, radius)), bounds)


def _mask(
    flat: list[Any], shape: dict[str, Any], name: str, size: tuple[int, int], spot: Spot
) -> Outline | None:
    """A patch laid into the image between two corners, both of which are pixels of it.

    Where the corners are no whole numbers (the mask was moved) they are rounded to the nearest
    pixel, and the patch keeps its size.
    """
    corners = _numbers(flat, 2, "mask", name, spot)
    if corners is None:
        return None
    here = spot.at("mask")
    try:
        patch = flags_from(bytes_from(shape.get("mask")), size)
    except ValueError as error:
        here.report("SRC054", f"the mask of {quoted(name)} {error}.")
        return None
    (left, top), (right, bottom) = np.round(corners).astype(int).tolist()
    window = (bottom - top + 1, right - left + 1)
    if np.array_equal(corners, np.round(corners)) and patch.shape != window:
        here.report(
            "SRC055",
            f"the mask of {quoted(name)} has {patch.shape[0]} x {patch.shape[1]} pixels (height x "
            f"width), its corners hold {window[0]} x {window[1]}.",
        )
        patch = patch[: max(0, window[0]), : max(0, window[1])]
    bounds = (left, top, left + patch.shape[1], top + patch.shape[0])
    return Outline("region", rle_from_window(patch, (top, left), size), bounds)


def _numbers(flat: list[Any], expected: int, kind: str, name: str, spot: Spot) -> FloatArray | None:
    """The points of a shape that has a fixed number, (n, 2) float64; None after a report."""
    if len(flat) != 2 * expected:
        _report_number(flat, expected, kind, name, spot)
        return None
    numbers = numbers_from(flat, spot.at("points"), f"the {kind} {quoted(name)}")
    return None if numbers is None else numbers.reshape(-1, 2)


def _report_number(flat: list[Any], expected: int, kind: str, name: str, spot: Spot) -> None:
    count = len(flat) // 2
    spot.at("points").report(
        "SRC051",
        f"the {kind} {quoted(name)} has {count} point{'' if count == 1 else 's'}, {expected} were "
        "expected.",
    )


def _bounds(ring: FloatArray) -> Bounds:
    (left, top), (right, bottom) = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
    return left, top, right, bottom


_Reader = Callable[[list[Any], dict[str, Any], str, tuple[int, int], Spot], Outline | None]
_READERS: dict[str, _Reader] = {
    "polygon": _polygon,
    "rectangle": _rectangle,
    "oriented_rectangle": _turned,
    "circle": _circle,
    "mask": _mask,
}


def runs_of(outline: Outline) -> int:
    """How many runs of a mask are held in memory; 0 for other shapes."""
    return len(outline.geometry.counts) if isinstance(outline.geometry, Rle) else 0
