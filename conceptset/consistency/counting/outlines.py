"""How far apart the outlines of segments lie.

All segments of a layer are treated at once, and so are all matches of a pair of annotators.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import KDTree

from conceptset.consistency.counting.flattening import Flat
from conceptset.consistency.counting.overlay import FloatArray, sum_by
from conceptset.geometry import IntArray

_REACH = 8  # pixels within which the other outline is looked for pixel by pixel
_AT_ONCE = 50_000  # outline pixels that search at a time
_TABLE = 300_000  # up to so many distances a whole table is quicker than a tree


def region_lines(flat: Flat) -> IntArray:
    """The region of every pixel, (width, height) in the smallest type; ignored: `count` + 1."""
    kind = np.int16 if flat.count < 2**15 - 2 else np.int32
    line = np.repeat(flat.regions.astype(kind), np.diff(flat.ends, prepend=0))
    return line.reshape(flat.size[1], flat.size[0])


class Outlines:
    """The outlines of all segments of one layer: pixels with one of their four neighbours outside.

    Maps have a margin, so that whoever searches around a pixel stays inside, and lie column after
    column.
    """

    def __init__(self, flat: Flat) -> None:
        lines = np.pad(region_lines(flat), _REACH)
        inner = np.ones(lines.shape, dtype=bool)
        for axis in (0, 1):
            same = np.diff(lines, axis=axis) == 0
            before = (slice(1, None), slice(None))[:: 1 - 2 * axis]
            after = (slice(None, -1), slice(None))[:: 1 - 2 * axis]
            inner[before] &= same
            inner[after] &= same
        ignored = lines == flat.count + 1
        lines[inner | ignored] = 0
        self.across = lines.shape[1]
        self.numbers = lines.ravel()
        self.ignored = ignored.ravel() if ignored.any() else None
        places = np.flatnonzero(self.numbers)
        order = np.argsort(self.numbers[places], kind="stable")
        self._places = places[order]
        self._stops = np.searchsorted(self.numbers[self._places], np.arange(flat.count + 2))

    def valid_numbers(self, other: Outlines) -> IntArray:
        """The line of the map without what another annotator of the image ignores."""
        return self.numbers if other.ignored is None else np.where(other.ignored, 0, self.numbers)

    def places(self, region: int) -> IntArray:
        """Where in the line of its map the outline of a region runs, (n,) int64."""
        chosen: IntArray = self._places[self._stops[region] : self._stops[region + 1]]
        return chosen


def surface_distances(a: Outlines, b: Outlines, regions: tuple[IntArray, IntArray]) -> FloatArray:
    """Mean distance of the pixels of two outlines, each to the nearest of the other, both ways.

    The sum over the pixels of both outlines over their number; what either annotator ignores is
    left out.

    Args:
        a: Outlines of the first annotator.
        b: Of the second, in an image of the same size.
        regions: (n,) region of the first, and (n,) region of the second.

    Returns:
        (n,) float64 in pixels; NaN where one has no valid outline.
    """
    n = len(regions[0])
    total, pixels = np.zeros(n), np.zeros(n)
    for one, other, mine, theirs in ((a, b, *regions), (b, a, *regions[::-1])):
        match, places = _outlines_of(one, other, mine)
        target = other.valid_numbers(one)
        distances = _search(places, theirs[match], target, one.across)
        far = np.flatnonzero(np.isnan(distances))
        for number in np.unique(match[far]).tolist():
            chosen = far[match[far] == number]
            goal = other.places(int(theirs[number]))
            goal = goal[target[goal] > 0]
            distances[chosen] = _nearest(places[chosen], goal, one.across)
        total += sum_by(match, distances, n)
        pixels += sum_by(match, np.ones(len(match)), n)
    mean: FloatArray = total / np.maximum(pixels, 1)  # a missing outline makes the total NaN
    return mean


def _outlines_of(one: Outlines, other: Outlines, regions: IntArray) -> tuple[IntArray, IntArray]:
    """The outline pixels of some regions: which of the regions, and where."""
    runs = [one.places(region) for region in regions.tolist()]
    match = np.repeat(np.arange(len(runs)), [len(run) for run in runs])
    places = np.concatenate([np.zeros(0, dtype=np.int64), *runs])
    if other.ignored is None:
        return match, places
    valid = ~other.ignored[places]
    return match[valid], places[valid]


def _rings() -> list[tuple[IntArray, IntArray, FloatArray]]:
    """Steps to the pixels around, by whole pixels of distance, the nearest first in each ring."""
    reach = np.arange(-_REACH, _REACH + 1)
    down, right = (grid.ravel() for grid in np.meshgrid(reach, reach))
    distance = np.hypot(down, right)
    order = np.argsort(distance, kind="stable")
    order = order[distance[order] <= _REACH]
    ring = np.ceil(distance[order])
    parts = np.split(order, np.flatnonzero(np.diff(ring)) + 1)
    return [(right[part], down[part], distance[part]) for part in parts]


def _search(places: IntArray, wanted: IntArray, target: IntArray, across: int) -> FloatArray:
    """The distance of each place to the nearest pixel of a map with its wanted number.

    Returns:
        (n,) float64; NaN where there is none within reach.
    """
    found = np.full(len(places), np.nan)
    steps = [(right * across + down, distance) for right, down, distance in _rings()]
    for begin in range(0, len(places), _AT_ONCE):
        rest = np.arange(begin, min(begin + _AT_ONCE, len(places)))
        for step, distance in steps:
            hit = target[places[rest, None] + step] == wanted[rest, None]
            first = hit.argmax(axis=1)
            has = hit[np.arange(len(rest)), first]
            found[rest[has]] = distance[first[has]]
            rest = rest[~has]
            if len(rest) == 0:
                break
    return found


def _nearest(places: IntArray, goal: IntArray, across: int) -> FloatArray:
    """The distance of each place to the nearest of some others; NaN if there are none."""
    if len(goal) == 0:
        return np.full(len(places), np.nan)
    p, q = (np.stack(np.divmod(line, across), axis=1) for line in (places, goal))
    if len(p) * len(q) > _TABLE:
        return np.asarray(KDTree(q).query(p)[0])
    columns = np.subtract.outer(p[:, 0], q[:, 0])
    rows = np.subtract.outer(p[:, 1], q[:, 1])
    nearest: FloatArray = np.sqrt((rows * rows + columns * columns).min(axis=1))
    return nearest
