"""Which colour of a mask is which object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from conceptset.formats.ade20k.description import Thing
from conceptset.formats.ade20k.masks import LevelMask, class_of
from conceptset.geometry import FloatArray, IntArray

_POINTS = 64  # pixels of a colour that are looked up in the outlines of its class
_CORNERS = 2_000  # of an outline; further ones are thinned out
_RIVALS = 1_000  # objects of one class in one image; a mask can show 255


def match_numbers(things: Sequence[Thing], mask: LevelMask) -> dict[int, int]:
    """Place among `things` to colour, by instance number (2017).

    Instance k has the k-th value of B that occurs in the mask.
    """
    by_rank: dict[int, int] = {}
    values = sorted({code >> 16 for code in mask.colours} - {0})
    ranks = {value: rank for rank, value in enumerate(values, start=1)}
    for code in sorted(mask.colours, key=lambda code: -mask.pixels[code]):
        by_rank.setdefault(ranks.get(code >> 16, 0), code)
    found: dict[int, int] = {}
    for place, thing in enumerate(things):
        code = by_rank.pop(thing.number or 0, 0)
        if code:
            found[place] = code
    return found


def match_outlines(things: Sequence[Thing], mask: LevelMask) -> dict[int, int]:
    """Place among `things` to colour, by class and outline (2021).

    A colour goes to the object of its class in whose outline most of its pixels lie; of several
    outlines that hold them, to the one it fills best: the larger one has other pixels to show.
    Where outlines cannot tell, document order does: the class, and so the label, is the same.
    """
    rivals: defaultdict[int, list[int]] = defaultdict(list)
    for place, thing in enumerate(things):
        if thing.class_number is not None:
            rivals[thing.class_number].append(place)
    colours: defaultdict[int, list[int]] = defaultdict(list)
    for code in mask.colours:
        colours[class_of(code)].append(code)
    found: dict[int, int] = {}
    for number, places in rivals.items():
        codes = colours[number]
        if len(codes) == len(places) == 1:
            found[places[0]] = codes[0]
        elif codes:
            found.update(_assign(things, places[:_RIVALS], codes[:_RIVALS], mask))
    return found


def _assign(
    things: Sequence[Thing], places: Sequence[int], codes: Sequence[int], mask: LevelMask
) -> dict[int, int]:
    """The best pairs first, each object and each colour once."""
    samples = [mask.centres(mask.sample(code, _POINTS)) for code in codes]
    owner = np.repeat(np.arange(len(codes)), [len(sample) for sample in samples])
    points = np.concatenate(samples)
    sizes = np.array([mask.pixels[code] for code in codes])
    pairs = []
    for place in places:
        outline = things[place].outline
        scores = np.zeros(len(codes))
        if outline is not None:
            inside = np.bincount(owner[_inside(points, outline)], minlength=len(codes))
            filled = np.minimum(1, sizes / max(1.0, _area(outline)))
            scores = inside / np.bincount(owner) * (1 + filled)
        pairs += [(-score, place, code) for score, code in zip(scores.tolist(), codes, strict=True)]
    found: dict[int, int] = {}
    taken: set[int] = set()
    for _, place, code in sorted(pairs):
        if place not in found and code not in taken:
            found[place] = code
            taken.add(code)
    return found


def _inside(points: FloatArray, outline: FloatArray) -> IntArray:
    """Indices of the points that an outline encloses, even-odd.

    Args:
        points: (n, 2) float64.
        outline: (m, 2) float64.
    """
    ring = outline[:: -(-len(outline) // _CORNERS)]
    low, high = ring.min(axis=0), ring.max(axis=0)
    near = np.flatnonzero(((points >= low) & (points <= high)).all(axis=1))
    (x0, y0), (x1, y1) = ring.T, np.roll(ring, -1, axis=0).T
    slope = (x1 - x0) / np.where(y1 == y0, 1, y1 - y0)
    crossed = np.zeros(len(near), dtype=bool)
    for at, (x, y) in enumerate(points[near]):
        spans = (y0 > y) != (y1 > y)
        crossed[at] = np.count_nonzero(spans & (x < x0 + (y - y0) * slope)) % 2
    enclosed: IntArray = near[crossed]
    return enclosed


def _area(outline: FloatArray) -> float:
    x, y = outline.T
    return float(abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))) / 2
