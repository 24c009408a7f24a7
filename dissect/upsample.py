"""Where the cells of an activation map lie in a label map, and what lies between their centres.

Positions along an axis are real numbers: pixel `j` covers `[j, j + 1)`, its centre is `j + 0.5`;
cell `i` of a map has its centre at `offset + stride * (i + 0.5)` label-map pixels. `half-pixel`
means offset 0 and stride `pixels / cells` (torch with `align_corners=False`, NetDissect-Lite);
`receptive-field` takes both from the layers (the paper). Outside the outermost centres the map
goes on unchanged.

A map whose cells are wider than pixels is interpolated linearly. One whose cells are narrower is
reduced with the triangle filter that Pillow's BILINEAR uses, as wide as the reduction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where the cells of a layer lie in the photograph, along (vertical, horizontal).

    Attributes:
        offset: Photograph pixels from the photograph's edge to the first cell's edge.
        stride: Photograph pixels from one cell to the next.
    """

    offset: tuple[float, float]
    stride: tuple[float, float]


@dataclass(frozen=True, slots=True)
class AxisTable:
    """How the pixels of one axis of a label map are made from the cells of a map.

    Attributes:
        starts: (cells + 1,) int64; pixels `starts[i]:starts[i + 1]` lie between the centres of
            cell i and cell i + 1 (the last cell and those before the first: clamped).
        weights: (pixels,) float64, share of cell i + 1; 0 where clamped.
        matrix: (pixels, cells) float64 rows of the triangle filter, if the axis is reduced.
        first: (pixels,) int64, the first cell that a pixel depends on.
        taps: (pixels, k) float64, the shares of that cell and those after it; 0 at the end.
    """

    starts: IntArray
    weights: FloatArray
    matrix: FloatArray | None
    first: IntArray
    taps: FloatArray

    def rows(self) -> FloatArray:
        """(pixels, cells) float64, the same as a matrix whichever way the axis goes."""
        if self.matrix is not None:
            return self.matrix
        return _lines(len(self.starts) - 1, self.starts, self.weights)


def _lines(cells: int, starts: IntArray, weights: FloatArray) -> FloatArray:
    """(pixels, cells) rows of linear interpolation."""
    lower = np.repeat(np.arange(cells), np.diff(starts))
    matrix = np.zeros((len(weights), cells))
    places = np.arange(len(weights))
    matrix[places, lower] = 1.0 - weights
    matrix[places, np.minimum(lower + 1, cells - 1)] += weights
    return matrix


def _taps(matrix: FloatArray) -> tuple[IntArray, FloatArray]:
    """The part of each row that is not 0: where it begins, and its values."""
    used = matrix != 0
    first = used.argmax(axis=1)
    most = int((matrix.shape[1] - used[:, ::-1].argmax(axis=1) - first).max())
    first = np.minimum(first, matrix.shape[1] - most)
    columns = first[:, np.newaxis] + np.arange(most)
    return first, np.ascontiguousarray(np.take_along_axis(matrix, columns, axis=1))


def axis_table(cells: int, pixels: int, *, offset: float, stride: float) -> AxisTable:
    """The table of one axis.

    Args:
        cells: Side of the map.
        pixels: Side of the label map.
        offset: Label-map pixels from the edge of the label map to the edge of cell 0.
        stride: Label-map pixels from one cell to the next, > 0.

    >>> table = axis_table(2, 4, offset=0.0, stride=2.0)
    >>> table.starts.tolist(), table.weights.tolist()
    ([0, 3, 4], [0.0, 0.25, 0.75, 0.0])
    """
    centres = (np.arange(pixels) + 0.5 - offset) / stride - 0.5  # in cells; cell i at i
    centres = np.clip(centres, 0.0, cells - 1.0)
    lower = np.floor(centres).astype(np.int64)
    starts = np.searchsorted(lower, np.arange(cells + 1)).astype(np.int64)
    matrix = None if stride >= 1 else _triangles(centres + 0.5, cells, 1.0 / stride)
    weights = centres - lower
    first, taps = _taps(_lines(cells, starts, weights) if matrix is None else matrix)
    return AxisTable(starts, weights, matrix, first, taps)


def _triangles(centres: FloatArray, cells: int, reach: float) -> FloatArray:
    """(pixels, cells) rows that sum to 1: triangles of half-width `reach` around each centre."""
    matrix = np.zeros((len(centres), cells))
    for pixel, centre in enumerate(centres.tolist()):
        first = max(math.floor(centre - reach + 0.5), 0)
        last = min(math.floor(centre + reach + 0.5), cells)
        distance = np.abs(np.arange(first, last) + 0.5 - centre) / reach
        weights = np.maximum(1.0 - distance, 0.0)
        matrix[pixel, first:last] = weights / weights.sum()
    return matrix


@dataclass(frozen=True, slots=True)
class Grid:
    """A map laid over a label map.

    Attributes:
        vertical: Table of the rows.
        horizontal: Table of the columns.
    """

    vertical: AxisTable
    horizontal: AxisTable

    @property
    def reduces(self) -> bool:
        """Whether an axis is reduced, so that a pixel may depend on more than four cells."""
        return self.vertical.matrix is not None or self.horizontal.matrix is not None

    def spread(self, maps: NDArray[np.float32]) -> FloatArray:
        """Maps at the size of the label map.

        Args:
            maps: (n, h, w) float32.

        Returns:
            (n, sh, sw) float64.
        """
        across = maps.astype(np.float64) @ self.horizontal.rows().T
        return np.asarray(self.vertical.rows() @ across)


def lay_grid(
    cells: tuple[int, int],
    pixels: tuple[int, int],
    *,
    placement: Placement | None = None,
    photograph: tuple[int, int] | None = None,
) -> Grid:
    """The grid of a map over a label map, all sizes (height, width).

    Args:
        cells: Size of the map.
        pixels: Size of the label map.
        placement: From the layers, for `receptive-field`; None for `half-pixel`.
        photograph: Size of the photograph as the network sees it; needed with a placement.
    """
    tables = []
    for axis in (0, 1):
        if placement is None or photograph is None:
            offset, stride = 0.0, pixels[axis] / cells[axis]
        else:
            scale = pixels[axis] / photograph[axis]
            offset, stride = placement.offset[axis] * scale, placement.stride[axis] * scale
        tables.append(axis_table(cells[axis], pixels[axis], offset=offset, stride=stride))
    return Grid(*tables)
