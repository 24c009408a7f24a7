"""What an image is disputed for, in words: names that meet, and what somebody left out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_MOST = 3  # of each kind
_LEAST = 0.002  # of the image


@dataclass(frozen=True, slots=True)
class Seen:
    """Pixels of one pair of annotators that disagree in one way.

    Attributes:
        kind: naming or quantity.
        people: The two.
        names: What each calls these pixels; empty for unlabelled.
        share: Of the image.
    """

    kind: str
    people: tuple[str, str]
    names: tuple[str, str]
    share: float


@dataclass(frozen=True, slots=True)
class Remark:
    """One dispute.

    Attributes:
        kind: Of disagreement.
        sides: For `naming`, the two names, each with who uses it. For `quantity`, the name with
            who drew it, then an empty name with who did not.
    """

    kind: Literal["naming", "quantity"]
    sides: tuple[tuple[str, tuple[str, ...]], tuple[str, tuple[str, ...]]]


def make_remarks(seen: Sequence[Seen]) -> list[Remark]:
    """The largest disputes of an image, by area; tiny ones are passed over."""
    naming = _group(
        [entry for entry in seen if entry.kind == "naming" and all(entry.names)], is_sorted=True
    )
    left_out = _group(
        [entry for entry in seen if entry.kind == "quantity" and not all(entry.names)],
        is_sorted=False,
    )
    return [
        *(Remark("naming", sides) for sides in naming),
        *(Remark("quantity", sides) for sides in left_out),
    ]


Side = tuple[str, tuple[str, ...]]


def _group(seen: Sequence[Seen], *, is_sorted: bool) -> list[tuple[Side, Side]]:
    """Disputes over the same two names put together, the largest first.

    Somebody who used both names, or drew one thing and left out another, stands on the side of
    the larger area.
    """
    areas: dict[tuple[str, str], dict[str, list[float]]] = {}
    totals: dict[tuple[str, str], float] = {}
    for entry in seen:
        turned = entry.names[0] > entry.names[1] if is_sorted else not entry.names[0]
        first, second = (1, 0) if turned else (0, 1)
        key = (entry.names[first], entry.names[second])
        totals[key] = totals.get(key, 0.0) + entry.share
        who = areas.setdefault(key, {})
        who.setdefault(entry.people[first], [0.0, 0.0])[0] += entry.share
        who.setdefault(entry.people[second], [0.0, 0.0])[1] += entry.share
    order = sorted((key for key in totals if totals[key] >= _LEAST), key=lambda k: (-totals[k], k))
    return [
        ((key[0], _side(areas[key], 0)), (key[1], _side(areas[key], 1))) for key in order[:_MOST]
    ]


def _side(areas: dict[str, list[float]], side: int) -> tuple[str, ...]:
    return tuple(name for name, area in areas.items() if (area[0] >= area[1]) == (side == 0))
