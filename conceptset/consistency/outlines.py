"""How far apart the outlines of two segments lie: their inner bands, and their distance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.spatial import KDTree

from conceptset.consistency.flattening import Flat
from conceptset.consistency.overlay import FloatArray
from conceptset.geometry import BoolArray, IntArray

BAND = 0.02  # of the diagonal of the image
_TABLE = 300_000  # up to so many distances a whole table is quicker than a tree


def band_width(size: tuple[int, int]) -> int:
    """Pixels of the inner band in an image of (height, width); Cheng et al. 2021, section 5.

    >>> band_width((512, 512))
    14
    """
    return max(1, round(BAND * float(np.hypot(*size))))


def inner_band(mask: BoolArray, width: int) -> BoolArray:
    """The pixels of a mask that `width` erosions by a 3 x 3 square would take away.

    What is beyond the mask's own rim counts as outside. Eroding so often by a small square is
    eroding once by a large one, which is done by rows, then columns, in steps that double.

    >>> inner_band(np.ones((3, 4), dtype=bool), 1).astype(int).tolist()
    [[1, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 1]]
    """
    kept = np.pad(mask, width)
    done = 1
    while done < 2 * width + 1:
        step = min(done, 2 * width + 1 - done)
        kept = kept[:-step] & kept[step:]
        done += step
    done = 1
    while done < 2 * width + 1:
        step = min(done, 2 * width + 1 - done)
        kept = kept[:, :-step] & kept[:, step:]
        done += step
    band: BoolArray = mask & ~kept
    return band


def outline_pixels(mask: BoolArray) -> IntArray:
    """(row, column) of the pixels with one of their four neighbours outside, (n, 2) int64.

    >>> len(outline_pixels(np.ones((3, 3), dtype=bool)))
    8
    """
    kept = mask.copy()
    kept[1:] &= mask[:-1]
    kept[:-1] &= mask[1:]
    kept[:, 1:] &= mask[:, :-1]
    kept[:, :-1] &= mask[:, 1:]
    kept[[0, -1]] = False
    kept[:, [0, -1]] = False
    return np.argwhere(mask & ~kept)


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """One visible segment's.

    Attributes:
        corner: (row, column) of the first pixel of its box.
        band: (h, w) bool inside the box.
        points: (n, 2) int64 row and column in the image.
    """

    corner: tuple[int, int]
    band: BoolArray
    points: IntArray


class Apart(NamedTuple):
    """How two outlines differ."""

    band_shared: int
    band_union: int
    distance: float  # pixels; NaN where one has no valid pixel


class Outlines:
    """The outlines of one annotator's layer, each found when it is first asked for."""

    def __init__(self, flat: Flat) -> None:
        self._map = flat.segment_map()
        self._boxes = region_boxes(flat)
        self._width = band_width(flat.size)
        self._found: dict[int, Outline] = {}
        self.valid: BoolArray | None = None
        if (flat.regions > flat.count).any():
            self.valid = self._map >= 0

    def outline(self, region: int) -> Outline:
        """Of one region, from 1 on."""
        if region not in self._found:
            top, left, bottom, right = self._boxes[region].tolist()
            mask = self._map[top:bottom, left:right] == region
            points = outline_pixels(mask) + np.array([top, left])
            self._found[region] = Outline((top, left), inner_band(mask, self._width), points)
        return self._found[region]


def region_boxes(flat: Flat) -> IntArray:
    """The boxes of all regions as top, left, bottom, right (the last two beyond), (n, 4) int64."""
    height = flat.size[0]
    first, last = np.append(0, flat.ends[:-1]), flat.ends - 1
    left, right = first // height, last // height
    is_one = left == right  # a piece over several columns reaches from top to bottom
    top = np.where(is_one, first % height, 0)
    bottom = np.where(is_one, last % height, height - 1)
    boxes = np.zeros((flat.count + 2, 4), dtype=np.int64)
    boxes[:, :2] = max(flat.size)
    np.minimum.at(boxes[:, 0], flat.regions, top)
    np.minimum.at(boxes[:, 1], flat.regions, left)
    np.maximum.at(boxes[:, 2], flat.regions, bottom + 1)
    np.maximum.at(boxes[:, 3], flat.regions, right + 1)
    return boxes


def measure_apart(a: Outlines, b: Outlines, regions: tuple[int, int]) -> Apart:
    """How the outlines of two segments that overlap differ, over the pixels neither ignores.

    Args:
        a: Outlines of the first annotator.
        b: Of the second.
        regions: The segment of each.
    """
    one, other = a.outline(regions[0]), b.outline(regions[1])
    ignoring = [outlines.valid for outlines in (a, b) if outlines.valid is not None]
    for valid in ignoring:
        one, other = _restricted(one, valid), _restricted(other, valid)
    shared = _overlap(one, other)
    union = int(np.count_nonzero(one.band)) + int(np.count_nonzero(other.band)) - shared
    return Apart(shared, union, surface_distance(one.points, other.points))


def _restricted(outline: Outline, valid: BoolArray) -> Outline:
    (top, left), (height, width) = outline.corner, outline.band.shape
    band = outline.band & valid[top : top + height, left : left + width]
    points = outline.points[valid[outline.points[:, 0], outline.points[:, 1]]]
    return Outline(outline.corner, band, points)


def _overlap(one: Outline, other: Outline) -> int:
    """Pixels in both bands."""
    cut = []
    for mine, theirs in ((one, other), (other, one)):
        low = [max(0, t - m) for m, t in zip(mine.corner, theirs.corner, strict=True)]
        high = [
            max(0, t + n - m)
            for m, t, n in zip(mine.corner, theirs.corner, theirs.band.shape, strict=True)
        ]
        cut.append(mine.band[low[0] : high[0], low[1] : high[1]])
    return int(np.count_nonzero(cut[0] & cut[1]))


def surface_distance(p: IntArray, q: IntArray) -> float:
    """Mean distance of the pixels of two outlines, each to the nearest of the other, both ways.

    Args:
        p: (n, 2) int64.
        q: (m, 2) int64.

    Returns:
        The sum of all n + m distances over n + m; NaN if one of them is empty.

    >>> surface_distance(np.array([[0, 0]]), np.array([[3, 4], [0, 0]]))
    1.6666666666666667
    """
    if len(p) == 0 or len(q) == 0:
        return float("nan")
    to_q, to_p = _nearest(p, q)
    return float(to_q.sum() + to_p.sum()) / (len(p) + len(q))


def _nearest(p: IntArray, q: IntArray) -> tuple[FloatArray, FloatArray]:
    if len(p) * len(q) > _TABLE:
        return np.asarray(KDTree(q).query(p)[0]), np.asarray(KDTree(p).query(q)[0])
    rows = np.subtract.outer(p[:, 0], q[:, 0])
    columns = np.subtract.outer(p[:, 1], q[:, 1])
    squares = rows * rows + columns * columns
    return np.sqrt(squares.min(axis=1)), np.sqrt(squares.min(axis=0))
