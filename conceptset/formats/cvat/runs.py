"""CVAT's run-length code, row by row in a window, turned into columns of the whole image.

A bitmap is never made: from a few bytes, runs describe as many pixels as they like. What is worked
out is where a pixel differs from the one above it. In a row-major code that is where an odd number
of runs begin within one width before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from conceptset.geometry import FloatArray, IntArray, Rle, check_size

MAX_CHANGES = 4_000_000  # of one mask; 8 bytes each
MAX_CHANGES_OF_IMAGE = 16_000_000


@dataclass(slots=True)
class Budget:
    """How many runs the masks of one image may still have, counted in columns."""

    left: int = MAX_CHANGES_OF_IMAGE

    def take(self, number: int) -> None:
        """Use up some.

        Raises:
            ValueError: There are not as many left.
        """
        if number > MAX_CHANGES:
            raise ValueError(f"it has {number:,} runs by columns, at most {MAX_CHANGES:,} are read")
        self.left -= number
        if self.left < 0:
            raise ValueError(
                f"the masks of the image have more than {MAX_CHANGES_OF_IMAGE:,} runs by columns"
            )


def rle_from_runs(
    runs: FloatArray, window: tuple[int, int, int, int], size: tuple[int, int], budget: Budget
) -> Rle:
    """The run-length code over a whole image, clipped at its border.

    Args:
        runs: (n,) run lengths in row-major order, background first.
        window: left, top, width and height of what they cover; it may lie partly outside.
        size: (height, width) of the image.
        budget: Of the image.

    Raises:
        ValueError: The runs do not describe the window, or too much.

    >>> rle_from_runs(np.array([1.0, 3]), (0, 1, 2, 2), (3, 2), Budget()).counts.tolist()
    [2, 1, 1, 2]
    """
    left, top, width, height = window
    check_size((height, width))
    edges = _edges(runs, width * height)
    flips = np.sort(np.concatenate([edges, edges + width]))
    starts, lengths = flips[::2], np.diff(flips)[::2]
    number = int(lengths.sum())
    budget.take(number)
    places = np.arange(number) + np.repeat(starts - np.cumsum(lengths) + lengths, lengths)
    row, column = np.divmod(places, width)
    inside = (column >= -left) & (column < size[1] - left)
    row, column = (row[inside] + top).clip(0, size[0]), column[inside] + left
    return Rle(size, _counts(np.sort(column * size[0] + row), size[0] * size[1]))


def _edges(runs: FloatArray, total: int) -> IntArray:
    """Where the value changes along the rows, the last time at the end at the latest.

    Raises:
        ValueError: A run is negative or no whole number, or they do not add up.
    """
    broken = runs != np.floor(runs)
    if broken.any():
        raise ValueError(f"run {int(np.argmax(broken))} is no whole number")
    if runs.size and runs.min() < 0:
        raise ValueError(f"run {int(np.argmin(runs))} is negative ({runs.min():.0f})")
    if runs.size and runs.max() > total:
        raise ValueError(f"run {int(np.argmax(runs))} is longer than the {total} pixels covered")
    if runs.sum() != total:
        raise ValueError(f"the runs add up to {runs.sum():.0f}, {total} was expected")
    ends = np.cumsum(runs.astype(np.int64))
    return ends if len(ends) % 2 == 0 else ends[:-1]


def _counts(changes: IntArray, total: int) -> IntArray:
    """Run lengths from the sorted places where the value changes; twice at one place is never."""
    if changes.size and (changes[1:] == changes[:-1]).any():
        changes, times = np.unique(changes, return_counts=True)
        changes = changes[times % 2 == 1]
    bounds = np.zeros(len(changes) + 2, dtype=np.int64)
    bounds[1:-1] = changes
    bounds[-1] = total
    counts: IntArray = np.diff(bounds)
    return counts if counts[-1] else counts[:-1]
