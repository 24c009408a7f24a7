"""Outlines as a person draws them who follows a region's border with a few clicks."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

BoolArray = npt.NDArray[np.bool_]
# Right, down, left, up: walked in this order the border keeps the region on its right.
STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))


def border(region: BoolArray) -> npt.NDArray[np.float64]:
    """The (corners, 2) x and y of the outer border of a connected region, clockwise."""
    height, width = region.shape
    filled = np.pad(region, 1)
    # Whether a side of a pixel begins at a corner and goes one of the four ways.
    leaving = np.zeros((4, height + 1, width + 1), dtype=np.bool_)
    for way, (dx, dy) in enumerate(STEPS):
        # The side of a pixel that is walked in direction (dx, dy) faces (dy, -dx).
        beyond = filled[1 - dx : 1 - dx + height, 1 + dy : 1 + dy + width]
        below, right = int(way in (2, 3)), int(way in (1, 2))
        leaving[way, below : below + height, right : right + width] = region & ~beyond
    row = int(np.flatnonzero(region.any(axis=1))[0])
    start = row * (width + 1) + int(np.flatnonzero(region[row])[0])
    sides = [flat.tobytes() for flat in leaving]  # corners are numbered row by row
    strides = [dx + dy * (width + 1) for dx, dy in STEPS]
    corner, way, walked = start, 0, [start]
    while True:
        corner += strides[way]
        if corner == start:
            rows, columns = np.divmod(np.array(walked), width + 1)
            return np.stack([columns, rows], axis=1).astype(np.float64)
        walked.append(corner)
        # A right turn first: where two pixels touch at a corner only, stay with this one.
        way = next(w for w in ((way + 1) % 4, way, (way + 3) % 4) if sides[w][corner])


def draw_by_hand(
    rng: np.random.Generator, mask: BoolArray, *, stride: int = 4, shake: float = 0.35
) -> list[list[float]]:
    """COCO polygons around a mask, holes filled: a click every few pixels, each a little off.

    Args:
        rng: The hand.
        mask: (H, W), True inside.
        stride: Pixels of border from one click to the next; small regions get more clicks.
        shake: Standard deviation of a click, in pixels.
    """
    height, width = mask.shape
    labels, _ = ndimage.label(mask)
    sizes = np.bincount(labels.ravel())
    rings = []
    for number, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        if sizes[number] < min(12, sizes[1:].max()):
            continue
        corner = np.array([columns.start, rows.start])
        walked = border(labels[rows, columns] == number) + corner
        middles = (walked + np.roll(walked, -1, axis=0)) / 2
        clicks = middles[:: max(1, min(stride, len(middles) // 8))]
        clicks = np.clip(clicks + rng.normal(0, shake, clicks.shape), 0, (width, height))
        rings.append([round(x, 1) for x in clicks.ravel().tolist()])
    return rings
