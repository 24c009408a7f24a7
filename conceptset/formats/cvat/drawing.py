"""One shape as CVAT keeps it, whichever file it came from, and what it covers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from conceptset.formats.cvat.runs import Budget, rle_from_runs
from conceptset.geometry import (
    Ellipse,
    FloatArray,
    Geometry,
    Rings,
)
from conceptset.parsing.defects import Spot
from conceptset.parsing.outlines import ring_from_numbers
from conceptset.records import RegionKind

Kind = Literal["box", "polygon", "ellipse", "cuboid", "mask", "mark", "tag"]
Shape = tuple[RegionKind, Geometry | None]

_MOVED_LINEARLY = ("box", "ellipse", "cuboid")
_BOX_HINT = "Correct the corners, of which the second is right of and below the first."


@dataclass(frozen=True, slots=True, eq=False)
class Drawing:
    """A shape by its numbers.

    Attributes:
        kind: `mark` is a polyline, points or a skeleton, of which no numbers are kept.
        numbers: (n,) float64. box: left, top, right, bottom. ellipse: centre x, y, radii along x
            and y. cuboid: x and y of its eight corners. polygon: x and y in turn. mask: runs in
            row-major order, background first.
        rotation: Degrees, clockwise as seen, about the middle; box and ellipse only.
        window: left, top, width and height of what the runs of a mask cover.
    """

    kind: Kind
    numbers: FloatArray
    rotation: float = 0.0
    window: tuple[int, int, int, int] = (0, 0, 0, 0)


NOTHING = np.zeros(0)


@dataclass(frozen=True, slots=True)
class Canvas:
    """An image that shapes lie on.

    Attributes:
        size: (height, width).
        budget: How much its masks may still hold.
    """

    size: tuple[int, int]
    budget: Budget = field(default_factory=Budget)


def shape_of(drawing: Drawing, canvas: Canvas, spot: Spot, owner: str) -> Shape | None:
    """Kind and geometry of a drawing; None after a report.

    Args:
        drawing: Its numbers are finite and no larger than any image.
        canvas: The image it lies on.
        spot: Where it stands.
        owner: What messages call it: `the polygon of "door"`.
    """
    if drawing.kind == "mask":
        return _mask(drawing, canvas, spot, owner)
    if drawing.kind in _MAKERS:
        return _MAKERS[drawing.kind](drawing, spot, owner)
    return ("tag" if drawing.kind == "tag" else "mark"), None


def _polygon(drawing: Drawing, spot: Spot, owner: str) -> Shape | None:
    ring = ring_from_numbers(drawing.numbers, spot, owner)
    return None if ring is None else ("region", Rings((ring,)))


def _ellipse(drawing: Drawing, spot: Spot, owner: str) -> Shape | None:
    x, y, across, down = drawing.numbers.tolist()
    if across <= 0 or down <= 0:
        spot.report("SRC042", f"{owner} has the radii {across:g} and {down:g}.")
        return None
    return "region", Ellipse((x, y), (across, down), drawing.rotation)


def _cuboid(drawing: Drawing, spot: Spot, owner: str) -> Shape | None:
    """A frame around an object in space, as a box is one in the plane: it holds what is behind."""
    hull = convex_hull(drawing.numbers.reshape(-1, 2))
    if len(hull) < 3:
        spot.report("SRC017", f"the corners of {owner} lie on one line.")
        return None
    return "box", Rings((hull,))


def _box(drawing: Drawing, spot: Spot, owner: str) -> Shape | None:
    left, top, right, bottom = drawing.numbers.tolist()
    if right <= left or bottom <= top:
        spot.report(
            "SRC022",
            f"{owner} is {right - left:g} wide and {bottom - top:g} high, more than 0 was "
            "expected.",
            hint=_BOX_HINT,
        )
        return None
    corners = np.array([left, top, right, top, right, bottom, left, bottom]).reshape(4, 2)
    if drawing.rotation % 360 != 0:
        corners = turned(corners, drawing.rotation)
    return "box", Rings((corners,))


_MAKERS: dict[Kind, Callable[[Drawing, Spot, str], Shape | None]] = {
    "polygon": _polygon,
    "ellipse": _ellipse,
    "cuboid": _cuboid,
    "box": _box,
}


def turned(corners: FloatArray, degrees: float) -> FloatArray:
    """Points turned about their middle, clockwise as seen, (n, 2) float64.

    >>> turned(np.array([[0.0, 0], [4, 0], [4, 2], [0, 2]]), 90).round(9).tolist()
    [[3.0, -1.0], [3.0, 3.0], [1.0, 3.0], [1.0, -1.0]]
    """
    middle = corners.mean(axis=0)
    angle = math.radians(degrees)
    cosine, sine = math.cos(angle), math.sin(angle)
    across, down = (corners - middle).T
    moved = np.stack([cosine * across - sine * down, sine * across + cosine * down], axis=1)
    result: FloatArray = moved + middle
    return result


def convex_hull(points: FloatArray) -> FloatArray:
    """The corners of the hull in order, (m, 2) float64; fewer than 3 if it has no area.

    >>> convex_hull(np.array([[0.0, 0], [2, 0], [1, 0], [2, 2], [1, 1], [0, 2]])).tolist()
    [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]]
    """
    ordered = sorted({(x, y) for x, y in points.tolist()})
    halves = []
    for sequence in (ordered, ordered[::-1]):
        half: list[tuple[float, float]] = []
        for point in sequence:
            while len(half) > 1 and _turn(half[-2], half[-1], point) <= 0:
                half.pop()
            half.append(point)
        halves.append(half[:-1])
    return np.array(halves[0] + halves[1]).reshape(-1, 2)


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Above 0 if the way from a over b to c turns clockwise as seen."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])


def _mask(drawing: Drawing, canvas: Canvas, spot: Spot, owner: str) -> Shape | None:
    _, _, width, height = drawing.window
    size = canvas.size
    if width > size[1] or height > size[0]:
        spot.report(
            "SRC024",
            f"{owner} has {height} x {width} pixels (height x width), its image only {size[0]} x "
            f"{size[1]}.",
        )
        return None
    try:
        return "region", rle_from_runs(drawing.numbers, drawing.window, size, canvas.budget)
    except ValueError as error:
        spot.report("SRC023", f"{owner} is broken: {error}.")
        return None


def between(left: Drawing, right: Drawing | None, share: float) -> Drawing:
    """What is shown between two drawings of one object.

    Boxes, ellipses and cuboids move linearly and turn the short way round, as in CVAT; of anything
    else the earlier drawing holds on.

    Args:
        left: The earlier drawing.
        right: The later one; None if there is none that can be used.
        share: Of the time between them that is over, 0..1.

    >>> one = Drawing("box", np.array([0.0, 0, 2, 2]), 350)
    >>> two = Drawing("box", np.array([4.0, 0, 6, 2]), 10)
    >>> between(one, two, 0.5).numbers.tolist(), between(one, two, 0.5).rotation
    ([2.0, 0.0, 4.0, 2.0], 0.0)
    """
    if right is None or right.kind != left.kind or left.kind not in _MOVED_LINEARLY:
        return left
    turn = (right.rotation - left.rotation + 180) % 360 - 180
    return replace(
        left,
        numbers=left.numbers + (right.numbers - left.numbers) * share,
        rotation=(left.rotation + turn * share) % 360,
    )
