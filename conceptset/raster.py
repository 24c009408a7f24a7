"""From shapes to pixels, by one rule for every format.

A pixel is in when its centre (column + .5, row + .5) is inside the outline. A centre exactly on a
left or top edge is in, on a right or bottom edge out, so two shapes that share an edge never
share a pixel and never leave one between them. Shapes are filled before they are clipped.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from conceptset.errors import ImageError
from conceptset.geometry import (
    BinaryMask,
    BoolArray,
    CodedMask,
    Ellipse,
    FloatArray,
    Geometry,
    IntArray,
    Pierced,
    Rings,
    United,
    rle_to_mask,
)
from conceptset.io.images import read_codes, read_grey

_ROWS_AT_ONCE = 4_000_000  # bounds the memory of one hostile ring with very many tall edges


def fill_ring(
    ring: FloatArray, size: tuple[int, int], origin: tuple[int, int] = (0, 0)
) -> BoolArray:
    """The pixels inside one ring, even-odd.

    Every row's centre line is crossed by some edges; each crossing toggles all pixels whose centre
    is at or to the right of it. Edges are half-open in y, so a vertex counts once. An edge is
    evaluated from its upper end whichever way it is drawn, and in the coordinates of the whole
    image whatever the window: neighbours agree to the last bit.

    Args:
        ring: (n, 2) float64 of x, y, finite.
        size: (height, width) of the window to fill.
        origin: (row, column) of the window's first pixel.

    Returns:
        (height, width) bool.

    >>> fill_ring(np.array([[0.0, 0], [2, 0], [2, 1], [0, 1]]), (2, 3)).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    height, width = size
    top, left = origin
    toggles = np.zeros(height * (width + 1), dtype=np.uint8)  # parity survives the overflow
    begin, end = ring, np.roll(ring, -1, axis=0)
    down = (begin[:, 1] <= end[:, 1])[:, None]
    upper, lower = np.where(down, begin, end), np.where(down, end, begin)
    first = np.clip(np.ceil(upper[:, 1] - 0.5), top, top + height).astype(np.int64)
    stop = np.clip(np.ceil(lower[:, 1] - 0.5), top, top + height).astype(np.int64)
    spans = stop - first
    for part in _parts(spans):
        edge = np.repeat(part, spans[part])
        if edge.size == 0:
            continue
        offsets = np.cumsum(spans[part]) - spans[part]
        row = np.arange(edge.size) - np.repeat(offsets, spans[part]) + first[edge]
        (x0, y0), (x1, y1) = upper[edge].T, lower[edge].T
        crossing = x0 + (row + 0.5 - y0) * ((x1 - x0) / (y1 - y0))
        column = np.clip(np.ceil(crossing - 0.5), left, left + width).astype(np.int64) - left
        crossed = (row - top) * (width + 1) + column
        toggles += np.bincount(crossed, minlength=toggles.size).astype(np.uint8)
    rows = toggles.reshape(height, width + 1)[:, :width]
    inside: BoolArray = (np.cumsum(rows, axis=1, dtype=np.uint8) & 1).view(bool)
    return inside


def _parts(spans: IntArray) -> list[IntArray]:
    """Groups of edges that together cross at most about `_ROWS_AT_ONCE` rows."""
    group = np.cumsum(spans) // _ROWS_AT_ONCE
    return [np.flatnonzero(group == number) for number in np.unique(group)]


def fill_rings(shape: Rings, size: tuple[int, int]) -> BoolArray:
    """The pixels inside a list of rings, (height, width) bool.

    >>> outer = np.array([[0.0, 0], [3, 0], [3, 3], [0, 3]])
    >>> inner = np.array([[1.0, 1], [2, 1], [2, 2], [1, 2]])
    >>> int(fill_rings(Rings((outer, inner)), (3, 3)).sum())
    9
    >>> int(fill_rings(Rings((outer, inner), "even-odd"), (3, 3)).sum())
    8
    """
    height, width = size
    mask = np.zeros(size, dtype=bool)
    for ring in shape.rings:
        low = np.floor(ring.min(axis=0)).clip(0, (width, height)).astype(int)
        high = np.ceil(ring.max(axis=0)).clip(0, (width, height)).astype(int)
        window = (slice(low[1], high[1]), slice(low[0], high[0]))
        part = fill_ring(ring, (high[1] - low[1], high[0] - low[0]), (low[1], low[0]))
        if shape.rule == "union":
            mask[window] |= part
        else:
            mask[window] ^= part
    return mask


def fill_ellipse(shape: Ellipse, size: tuple[int, int]) -> BoolArray:
    """The pixels whose centre is inside an ellipse, (height, width) bool; its rim is outside.

    >>> int(fill_ellipse(Ellipse((2.0, 2.0), (1.0, 1.0)), (4, 4)).sum())
    4
    """
    height, width = size
    mask = np.zeros(size, dtype=bool)
    turn = np.deg2rad(shape.angle)
    cosine, sine = np.cos(turn), np.sin(turn)
    reach_x = np.hypot(shape.radii[0] * cosine, shape.radii[1] * sine)
    reach_y = np.hypot(shape.radii[0] * sine, shape.radii[1] * cosine)
    x, y = shape.center
    left, right = np.clip([np.floor(x - reach_x), np.ceil(x + reach_x)], 0, width).astype(int)
    top, bottom = np.clip([np.floor(y - reach_y), np.ceil(y + reach_y)], 0, height).astype(int)
    across = np.arange(left, right) + 0.5 - x
    down = (np.arange(top, bottom) + 0.5 - y)[:, None]
    along = (across * cosine + down * sine) / shape.radii[0]
    beside = (down * cosine - across * sine) / shape.radii[1]
    mask[top:bottom, left:right] = along**2 + beside**2 < 1
    return mask


@lru_cache(maxsize=2)
def _codes(path: str, mtime: int) -> IntArray:  # a rewritten file is another
    return read_codes(path)


def rasterize(geometry: Geometry, size: tuple[int, int]) -> BoolArray:
    """The pixels of any shape.

    Args:
        geometry: The shape, in source pixels.
        size: (height, width) of the source image.

    Returns:
        (height, width) bool.

    Raises:
        ImageError: A run-length code or mask file of another size, or a file that is broken.
    """
    if isinstance(geometry, Rings):
        return fill_rings(geometry, size)
    if isinstance(geometry, Ellipse):
        return fill_ellipse(geometry, size)
    if isinstance(geometry, United | Pierced):
        return _fill_composed(geometry, size)
    if isinstance(geometry, CodedMask):
        chosen: BoolArray = _mask_of(geometry, size) == geometry.code
        return chosen
    if geometry.size != size:
        raise ImageError(
            f"a mask of {geometry.size[0]} x {geometry.size[1]} pixels (height x width) lies on an "
            f"image of {size[0]} x {size[1]}"
        )
    if isinstance(geometry, BinaryMask):
        return read_grey(geometry.path, alpha=geometry.rule == "alpha", size=size) >= (
            1 if geometry.rule == "alpha" else 128
        )
    return rle_to_mask(geometry)


def _fill_composed(geometry: United | Pierced, size: tuple[int, int]) -> BoolArray:
    if isinstance(geometry, Pierced):
        mask = rasterize(geometry.shape, size)
        for hole in geometry.holes:
            mask &= ~rasterize(hole, size)
        return mask
    mask = np.zeros(size, dtype=bool)
    for piece in geometry.pieces:
        mask |= rasterize(piece, size)
    return mask


def _mask_of(geometry: CodedMask, size: tuple[int, int]) -> IntArray:
    """The codes of a mask file over the image, (height, width) int64."""
    codes = _codes(str(geometry.path), geometry.path.stat().st_mtime_ns)
    if codes.shape != geometry.size or (geometry.size != size and not geometry.is_stretched):
        raise ImageError(
            f"has {codes.shape[0]} x {codes.shape[1]} pixels (height x width), "
            f"{size[0]} x {size[1]} were expected",
            path=geometry.path,
            hint="The mask must have the size of its image.",
        )
    if codes.shape == size:
        return codes
    rows = (np.arange(size[0]) * 2 + 1) * codes.shape[0] // (2 * size[0])
    columns = (np.arange(size[1]) * 2 + 1) * codes.shape[1] // (2 * size[1])
    return codes[rows][:, columns]
