"""Shapes as XML elements."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

import numpy as np

from conceptset.formats.cvat.drawing import NOTHING, Drawing, Kind
from conceptset.geometry import FloatArray
from conceptset.parsing.defects import Spot
from conceptset.parsing.outlines import MAX_COORDINATE, numbers_from
from conceptset.parsing.values import described

BOX = ("xtl", "ytl", "xbr", "ybr")
ELLIPSE = ("cx", "cy", "rx", "ry")
CUBOID = tuple(
    f"{axis}{corner}{face}" for face in "12" for corner in ("tl", "bl", "tr", "br") for axis in "xy"
)
WINDOW = ("left", "top", "width", "height")
KINDS: dict[str, Kind] = {
    "box": "box",
    "polygon": "polygon",
    "ellipse": "ellipse",
    "cuboid": "cuboid",
    "mask": "mask",
    "polyline": "mark",
    "points": "mark",
    "skeleton": "mark",
    "tag": "tag",
}
_BY_NAME = {"box": BOX, "ellipse": ELLIPSE, "cuboid": CUBOID}
_WHOLE = re.compile(r"\s*[+-]?[0-9]{1,9}\s*")
_NUMERALS = str.maketrans("", "", "0123456789.-+eE \t\r\n")


def drawing_from(tag: str, attributes: Mapping[str, str], spot: Spot, owner: str) -> Drawing | None:
    """The shape of an element; None after a report.

    Args:
        tag: One of `KINDS`.
        attributes: Of the element.
        spot: Where it stands.
        owner: What messages call it.
    """
    kind = KINDS[tag]
    if kind in ("mark", "tag"):
        return Drawing(kind, NOTHING)
    if kind == "mask":
        return _mask(attributes, spot, owner)
    if kind == "polygon":
        numbers = _points(attributes.get("points"), spot, owner)
        return None if numbers is None else Drawing(kind, numbers)
    numbers = _named_numbers(attributes, _BY_NAME[tag], spot, owner)
    if numbers is None or kind == "cuboid" or "rotation" not in attributes:
        return None if numbers is None else Drawing(kind, numbers)
    turn = _named_numbers(attributes, ("rotation",), spot, owner)
    return None if turn is None else Drawing(kind, numbers, float(turn[0]))


def _named_numbers(
    attributes: Mapping[str, str], keys: Sequence[str], spot: Spot, owner: str
) -> FloatArray | None:
    """The numbers of some attributes, finite; None after a report."""
    values = []
    for key in keys:
        if key not in attributes:
            spot.report("SRC018", f"{owner} has no {key}, a number was expected.")
            return None
        value = number_from(attributes[key])
        if not isinstance(value, float) or not math.isfinite(value):
            spot.report(
                "SRC018", f"{key} of {owner} is {described(value)}, a finite number was expected."
            )
            return None
        if abs(value) > MAX_COORDINATE:
            spot.report(
                "SRC019",
                f"{key} of {owner} is {value:g}, at most {MAX_COORDINATE:.0f} was expected.",
            )
            return None
        values.append(value)
    return np.array(values)


def number_from(text: str) -> float | str:
    """The number a text is; the text itself where it is none.

    >>> number_from("1.50"), number_from("1_0"), number_from("\\u0661")
    (1.5, '1_0', '١')
    """
    try:
        return float(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return text


def _points(text: str | None, spot: Spot, owner: str) -> FloatArray | None:
    """The numbers of `x,y;x,y;...`, (n,) float64; None after a report."""
    if text is None:
        spot.report("SRC016", f"{owner} has no points.")
        return None
    pairs = text.count(";") + 1
    if text.translate(_NUMERALS) != (",;" * pairs)[:-1]:
        _report_points(text, spot, owner)
        return None
    parts = text.replace(";", ",").split(",")
    try:
        numbers = np.array(list(map(float, parts)))
    except ValueError:
        return numbers_from(list(map(number_from, parts)), spot, owner)
    if np.abs(numbers).max() <= MAX_COORDINATE:
        return numbers
    return numbers_from(numbers.tolist(), spot, owner)


def _report_points(text: str, spot: Spot, owner: str) -> None:
    """Say which point is no pair of numbers."""
    for place, pair in enumerate(text.split(";")):
        both = [number_from(number) for number in pair.split(",", 3)]
        if len(both) != 2:
            spot.report(
                "SRC020", f"point {place} of {owner} is {described(pair)}, x,y was expected."
            )
            return
        if numbers_from(both, spot, f"point {place} of {owner}") is None:
            return
    spot.report("SRC018", f"the points of {owner} are no numbers x,y with semicolons between.")


def _mask(attributes: Mapping[str, str], spot: Spot, owner: str) -> Drawing | None:
    window = []
    for key in WINDOW:
        value = attributes.get(key)
        if value is None or not _WHOLE.fullmatch(value):
            spot.report(
                "SRC023", f"{key} of {owner} is {described(value)}, a whole number was expected."
            )
            return None
        window.append(int(value))
    text = attributes.get("rle", "")
    if text.translate(_NUMERALS).strip(","):
        spot.report("SRC023", f"the runs of {owner} are no numbers with commas between.")
        return None
    try:
        runs = np.array(list(map(float, text.split(","))))
    except ValueError:
        place = next(i for i, run in enumerate(text.split(",")) if not _is_number(run))
        spot.report(
            "SRC023",
            f"run {place} of {owner} is {described(text.split(',')[place])}, a whole number was "
            "expected.",
        )
        return None
    return Drawing("mask", runs, window=(window[0], window[1], window[2], window[3]))


def _is_number(text: str) -> bool:
    return not isinstance(number_from(text), str)


def needed_attributes(tag: str, attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes that say what a shape covers, and its painting order."""
    own = ("points",) if tag == "polygon" else ("rle", *WINDOW) if tag == "mask" else ()
    keys = (*_BY_NAME.get(tag, own), "rotation", "z_order")
    return {key: attributes[key] for key in keys if key in attributes}


def order_from(value: object, spot: Spot, owner: str) -> int:
    """The painting order; 0 where none is stated, or after a report."""
    if value is None or value == "0":
        return 0
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    if _WHOLE.fullmatch(text):
        return int(text)
    spot.report("SRC040", f"z_order of {owner} is {described(value)}, a whole number was expected.")
    return 0


def flag_from(attributes: Mapping[str, str], key: str, spot: Spot, owner: str) -> bool | None:
    """Whether a flag is set; None where it is not stated, or after a report.

    >>> flag_from({"outside": "1"}, "outside", Spot(None, ""), "")
    True
    """
    value = attributes.get(key)
    if value is None or value == "0":
        return None if value is None else False
    if value == "1":
        return True
    if value in ("True", "true", "False", "false"):
        return value in ("True", "true")
    spot.report("SRC040", f"{key} of {owner} is {described(value)}, 0 or 1 was expected.")
    return None
