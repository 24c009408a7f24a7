"""Shapes in source pixels, and run-length codes.

x runs to the right, y down, the origin is the corner of the image; pixel (row i, column j) covers
[j, j+1) x [i, i+1). Sizes are (height, width). Shapes are plain data; `conceptset.raster` fills
them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]

MAX_SIDE = 65_535
MAX_PIXELS = 89_478_485  # Pillow's own limit against decompression bombs


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """Closed outlines.

    Attributes:
        rings: Each (n, 2) float64 of x, y; closing is implicit; n >= 3.
        rule: `union`: every ring is filled by itself (even-odd) and the rings are united.
            `even-odd`: a pixel is in if an odd number of rings hold it, so inner rings are holes.
    """

    rings: tuple[FloatArray, ...]
    rule: Literal["union", "even-odd"] = "union"


@dataclass(frozen=True, slots=True, eq=False)
class Rle:
    """A bitmap of the whole image as runs.

    Attributes:
        size: (height, width).
        counts: (n,) int64 run lengths in column-major order, background first.
    """

    size: tuple[int, int]
    counts: IntArray


@dataclass(frozen=True, slots=True, eq=False)
class CodedMask:
    """The pixels of one code in a mask image on disk, decoded only when painted.

    Attributes:
        path: PNG file.
        code: R + 256 G + 65536 B of the pixels that belong to the shape; the index of a palette.
        size: (height, width) the file must have.
        is_stretched: The file covers the image at another size; each image pixel takes the mask
            pixel that holds its centre.
    """

    path: Path
    code: int
    size: tuple[int, int]
    is_stretched: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class BinaryMask:
    """A mask image of one shape on disk, decoded only when painted.

    Attributes:
        path: PNG or JPEG file.
        rule: Which pixels belong to the shape. `light`: grey value 128 or more of 255. `alpha`:
            not wholly transparent.
        size: (height, width) the file must have.
    """

    path: Path
    rule: Literal["light", "alpha"]
    size: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Ellipse:
    """An ellipse; a circle where both radii are equal.

    Attributes:
        center: x, y.
        radii: Along its own axes, which lie along x and y before it is turned; both above 0.
        angle: How far it is turned about its centre, degrees, clockwise as seen (y runs down).
    """

    center: tuple[float, float]
    radii: tuple[float, float]
    angle: float = 0.0


Simple = Rings | Rle | CodedMask | BinaryMask | Ellipse


@dataclass(frozen=True, slots=True, eq=False)
class Pierced:
    """A shape of which something was taken away afterwards.

    Attributes:
        shape: What was drawn.
        holes: What was taken away; a pixel in any of them is out.
    """

    shape: Simple
    holes: tuple[Simple, ...]


@dataclass(frozen=True, slots=True, eq=False)
class United:
    """One object drawn in several pieces.

    Attributes:
        pieces: Its shapes; a pixel is in if it is in any.
    """

    pieces: tuple[Simple | Pierced, ...]


Geometry = Simple | Pierced | United


def ring_from(points: FloatArray) -> FloatArray | None:
    """The ring without repeated neighbours and without an explicit closing point.

    Args:
        points: (n, 2) float64, finite.

    Returns:
        (m, 2) float64 with at least 3 distinct points, or None where there are fewer.

    >>> ring_from(np.array([[0.0, 0], [2, 0], [2, 2], [0, 0]]))
    array([[0., 0.],
           [2., 0.],
           [2., 2.]])
    """
    if len(points) == 0:
        return None
    differs = points[1:] != points[:-1]
    moved = np.ones(len(points), dtype=bool)
    np.logical_or(differs[:, 0], differs[:, 1], out=moved[1:])
    ring = points if moved.all() else points[moved]
    if len(ring) > 1 and ring[0].tolist() == ring[-1].tolist():
        ring = ring[:-1]
    if len(ring) < 3:
        return None
    if ring[0].tolist() == ring[2].tolist() and len(np.unique(ring, axis=0)) < 3:
        return None  # neighbours differ, so three points are distinct if the first and third are
    return np.ascontiguousarray(ring, dtype=np.float64)


def box_ring(x: float, y: float, width: float, height: float) -> FloatArray:
    """The outline of a box as a ring, (4, 2) float64.

    >>> box_ring(1, 2, 3, 4).tolist()
    [[1.0, 2.0], [4.0, 2.0], [4.0, 6.0], [1.0, 6.0]]
    """
    return np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]], dtype=float)


def check_size(size: tuple[int, int]) -> None:
    """Refuse sizes that no image has.

    Raises:
        ValueError: A side is below 1 or above 65,535, or there are too many pixels.
    """
    height, width = size
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise ValueError(f"a size of {height} x {width} is outside 1..{MAX_SIDE} per side")
    if height * width > MAX_PIXELS:
        raise ValueError(f"{height} x {width} pixels exceed the limit of {MAX_PIXELS}")


def rle_from_counts(size: tuple[int, int], counts: IntArray) -> Rle:
    """An `Rle` whose runs are known to add up.

    Raises:
        ValueError: The size is impossible, a run is negative, or the runs do not add up to it.
    """
    check_size(size)
    total = size[0] * size[1]
    if counts.size and int(counts.min()) < 0:
        raise ValueError(f"run {int(np.argmin(counts))} is negative ({int(counts.min())})")
    if counts.size and int(counts.max()) > total:
        raise ValueError(f"a run of {int(counts.max())} exceeds the {total} pixels of the image")
    if int(counts.sum()) != total:
        raise ValueError(f"the runs add up to {int(counts.sum())}, {size[0]} x {size[1]} = {total}")
    return Rle(size, counts)


def decode_counts(text: str | bytes) -> IntArray:
    """Run lengths from COCO's compressed string, (n,) int64.

    Each number is written in groups of five bits, lowest first, as characters from `0` on; the
    sixth bit says that more follow, the highest bit of the last group is the sign; from the
    fourth number on the difference to the number two places earlier is stored.

    Raises:
        ValueError: A character outside the code, an unfinished or an over-long number.

    >>> decode_counts("52203").tolist()
    [5, 2, 2, 2, 5]
    """
    raw = text.encode("utf-8", errors="surrogatepass") if isinstance(text, str) else text
    code = np.frombuffer(raw, dtype=np.uint8).astype(np.int64) - 48
    if code.size == 0:
        return np.zeros(0, dtype=np.int64)
    if code.min() < 0 or code.max() > 63:
        place = int(np.argmax((code < 0) | (code > 63)))
        raise ValueError(f"character {place} of the compressed runs is outside '0'..'o'")
    last = (code & 32) == 0
    if not last[-1]:
        raise ValueError("the compressed runs break off inside a number")
    ends = np.flatnonzero(last)
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if int(lengths.max()) > 7:
        raise ValueError(f"number {int(np.argmax(lengths > 7))} of the compressed runs is too long")
    shift = 5 * (np.arange(code.size) - np.repeat(starts, lengths))
    values = np.add.reduceat((code & 31) << shift, starts)
    values[(code[ends] & 16) != 0] -= np.int64(1) << (5 * lengths[(code[ends] & 16) != 0])
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def rle_to_mask(rle: Rle) -> BoolArray:
    """The bitmap of a run-length code, (height, width) bool.

    >>> rle_to_mask(Rle((2, 2), np.array([1, 2, 1]))).tolist()
    [[False, True], [True, False]]
    """
    values = np.zeros(len(rle.counts), dtype=bool)
    values[1::2] = True
    flat = np.repeat(values, rle.counts)
    return np.ascontiguousarray(flat.reshape(rle.size[1], rle.size[0]).T)


def bounding_box(mask: BoolArray) -> tuple[slice, slice]:
    """Rows and columns outside of which nothing is set; empty slices where nothing is.

    >>> bounding_box(np.array([[False, False], [False, True]]))
    (slice(1, 2, None), slice(1, 2, None))
    """
    rows = np.flatnonzero(mask.any(axis=1)).tolist()
    if not rows:
        return slice(0, 0), slice(0, 0)
    high = slice(rows[0], rows[-1] + 1)
    columns = np.flatnonzero(mask[high].any(axis=0)).tolist()
    return high, slice(columns[0], columns[-1] + 1)


def mask_to_counts(mask: BoolArray, box: tuple[slice, slice] | None = None) -> IntArray:
    """Column-major runs of a bitmap, background first, (n,) int64; the inverse of `rle_to_mask`.

    Args:
        mask: (height, width).
        box: Its `bounding_box`, where that is known.

    >>> mask_to_counts(np.array([[False, True], [True, False]])).tolist()
    [1, 2, 1]
    """
    _, columns = bounding_box(mask) if box is None else box  # runs lie in these columns only
    flat = np.zeros((columns.stop - columns.start) * mask.shape[0] + 2, dtype=bool)
    flat[1:-1] = mask[:, columns].T.ravel()
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + columns.start * mask.shape[0]
    counts: IntArray = np.diff(changes, prepend=0, append=mask.size)
    return counts if counts[-1] else counts[:-1]


def rle_from_window(mask: BoolArray, corner: tuple[int, int], size: tuple[int, int]) -> Rle:
    """The run-length code over a whole image of a bitmap pasted into it, clipped at its border.

    Args:
        mask: (h, w).
        corner: (row, column) of the image where the bitmap's first pixel lies; may be negative.
        size: (height, width) of the image.

    >>> rle_from_window(np.ones((2, 2), dtype=bool), (1, -1), (2, 2)).counts.tolist()
    [1, 1, 2]
    """
    check_size(size)
    (top, left), (height, width) = corner, mask.shape
    rows = slice(max(0, -top), max(0, min(height, size[0] - top)))
    columns = slice(max(0, -left), max(0, min(width, size[1] - left)))
    part, total = mask[rows, columns].T, size[0] * size[1]
    if part.size == 0:
        return Rle(size, np.array([total]))
    height = part.shape[1]
    gap = int(height < size[0])  # ends each run with its column, unless the window is as high
    flat = np.zeros(1 + part.shape[0] * (height + gap) + 1, dtype=bool)
    flat[1:-1].reshape(-1, height + gap)[:, :height] = part
    column, row = np.divmod(np.flatnonzero(flat[1:] != flat[:-1]), height + gap)
    changes = np.zeros(len(column) + 2, dtype=np.int64)
    changes[1:-1] = (max(0, left) + column) * size[0] + max(0, top) + row
    changes[-1] = total
    counts: IntArray = np.diff(changes)
    return Rle(size, counts if counts[-1] else counts[:-1])


def encode_counts(counts: IntArray) -> str:
    """COCO's compressed string of run lengths; the inverse of `decode_counts`.

    >>> encode_counts(np.array([5, 2, 2, 2, 5]))
    '52203'
    """
    values = counts.astype(np.int64)
    values[3:] -= counts[1:-2]
    columns, unfinished = [], np.ones(len(values), dtype=bool)
    while unfinished.any():
        group = values & 31
        values >>= 5
        more = np.where(group & 16, values != -1, values != 0)
        code = np.where(more, group | 32, group) + 48
        columns.append(np.where(unfinished, code, 0))
        unfinished &= more
    table = np.stack(columns, axis=1) if columns else np.zeros((0, 1), dtype=np.int64)
    return table[table > 0].astype(np.uint8).tobytes().decode("ascii")
