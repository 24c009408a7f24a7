"""Outlines and boxes as files write them, checked number by number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from conceptset.geometry import FloatArray, box_ring, ring_from
from conceptset.parsing.defects import Spot
from conceptset.parsing.values import described

MAX_COORDINATE = 1e7  # pixels; no image is near that, and fills stay exact below


def numbers_from(values: Sequence[Any], spot: Spot, owner: str) -> FloatArray | None:
    """The numbers of a list, (n,) float64, finite; None after a report.

    Args:
        values: What the file has.
        spot: Where it stands.
        owner: What it belongs to, for messages: `the outline of "door"`.
    """
    bad = set(map(type, values)) - {int, float}
    numbers = None if bad else np.array(values, dtype=np.float64)
    if numbers is not None and np.abs(numbers).max(initial=0.0) <= MAX_COORDINATE:  # not so for NaN
        return numbers
    if numbers is None or not np.isfinite(numbers).all():
        place = next(i for i, value in enumerate(values) if not _is_number(value))
        spot.report(
            "SRC018",
            f"coordinate {place} of {owner} is {described(values[place])}, a finite number was "
            "expected.",
        )
        return None
    if numbers.size and float(np.abs(numbers).max()) > MAX_COORDINATE:
        place = int(np.argmax(np.abs(numbers) > MAX_COORDINATE))
        spot.report(
            "SRC019",
            f"coordinate {place} of {owner} is {numbers[place]:g}, at most {MAX_COORDINATE:.0f} "
            "pixels were expected.",
        )
        return None
    return numbers


def _is_number(value: object) -> bool:
    return type(value) in (int, float) and bool(np.isfinite(float(value)))  # type: ignore[arg-type]


def ring_from_flat(values: Sequence[Any], spot: Spot, owner: str) -> FloatArray | None:
    """The ring of a flat list x1, y1, x2, y2, ...; None after a report.

    Returns:
        (n, 2) float64 with at least 3 distinct points.
    """
    numbers = numbers_from(values, spot, owner)
    return None if numbers is None else ring_from_numbers(numbers, spot, owner)


def ring_from_numbers(numbers: FloatArray, spot: Spot, owner: str) -> FloatArray | None:
    """The same where the numbers were looked at by `numbers_from`."""
    if numbers.size % 2:
        spot.report(
            "SRC020",
            f"{owner} has {numbers.size} coordinates, an even number was expected.",
        )
        return None
    points = numbers.reshape(-1, 2)
    ring = ring_from(points)
    if ring is None:
        distinct = len(np.unique(points, axis=0))
        repeated = "" if distinct == len(points) else f" of which {distinct} differ"
        noun = "point" if len(points) == 1 else "points"
        spot.report("SRC017", f"{owner} has {len(points)} {noun}{repeated}, 3 are needed.")
    return ring


def ring_from_box(value: object, spot: Spot, owner: str) -> FloatArray | None:
    """The outline of a box [x, y, width, height], (4, 2) float64; None after a report."""
    if not isinstance(value, list) or len(value) != 4:
        shown = f"{len(value)} values" if isinstance(value, list) else described(value)
        spot.report("SRC022", f"{owner} is {shown}, [x, y, width, height] was expected.")
        return None
    numbers = numbers_from(value, spot, owner)
    if numbers is None:
        return None
    x, y, width, height = numbers.tolist()
    if width <= 0 or height <= 0:
        spot.report(
            "SRC022", f"{owner} is {width:g} wide and {height:g} high, more than 0 was expected."
        )
        return None
    return box_ring(x, y, width, height)
