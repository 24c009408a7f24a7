"""Shapes as JSON objects of a backup or of the REST interface."""

from __future__ import annotations

from typing import Any

import numpy as np

from conceptset.formats.cvat.drawing import NOTHING, Drawing, Kind
from conceptset.parsing.defects import Spot
from conceptset.parsing.outlines import numbers_from
from conceptset.parsing.values import described

KINDS: dict[str, Kind] = {
    "rectangle": "box",
    "polygon": "polygon",
    "ellipse": "ellipse",
    "cuboid": "cuboid",
    "mask": "mask",
    "polyline": "mark",
    "points": "mark",
    "skeleton": "mark",
}
_COUNTS: dict[Kind, int] = {"box": 4, "ellipse": 4, "cuboid": 16}
_WINDOW = 4  # numbers behind the runs of a mask


def drawing_from(entry: dict[str, Any], spot: Spot, owner: str) -> Drawing | None:
    """The shape of an entry whose type is one of `KINDS`; None after a report."""
    kind = KINDS[entry["type"]]
    if kind == "mark":
        return Drawing(kind, NOTHING)
    points = entry.get("points")
    if not isinstance(points, list):
        spot.report("SRC016", f"the points of {owner} are {described(points)}, not a list.")
        return None
    if kind == "mask":
        return _mask(points, spot, owner)
    numbers = numbers_from(points, spot, owner)
    if numbers is None:
        return None
    if numbers.size != _COUNTS.get(kind, numbers.size):
        spot.report("SRC020", f"{owner} has {numbers.size} numbers, not {_COUNTS[kind]}.")
        return None
    if kind == "ellipse":  # the rightmost and the topmost point stand for the radii
        x, y, right, top = numbers.tolist()
        numbers = np.array([x, y, right - x, y - top])
    turn = numbers_from([entry.get("rotation") or 0.0], spot, f"the rotation of {owner}")
    return None if turn is None else Drawing(kind, numbers, float(turn[0]))


def _mask(points: list[Any], spot: Spot, owner: str) -> Drawing | None:
    """Runs, then left, top, right and bottom; the last two are inside."""
    if set(map(type, points)) - {int, float} or len(points) < _WINDOW:
        spot.report("SRC023", f"{owner} has no runs with left, top, right and bottom behind them.")
        return None
    try:
        numbers = np.array(points, dtype=np.float64)
    except OverflowError:
        spot.report("SRC023", f"a run of {owner} exceeds every image.")
        return None
    corners = numbers[-_WINDOW:]
    if not (np.abs(corners) < 1e9).all() or (corners != np.floor(corners)).any():
        spot.report(
            "SRC023", f"left, top, right and bottom of {owner} are no whole numbers of pixels."
        )
        return None
    left, top, right, bottom = corners.astype(int).tolist()
    window = (left, top, right - left + 1, bottom - top + 1)
    return Drawing("mask", numbers[:-_WINDOW], window=window)
