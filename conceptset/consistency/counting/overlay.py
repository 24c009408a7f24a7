"""Flattened layers of one image laid over one another: which regions meet, in how many pixels.

Five people leave a few hundred combinations in a photograph. Everything that is counted over its
pixels is a sum over these instead.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counting.flattening import Flat
from conceptset.geometry import IntArray

FloatArray = NDArray[np.float64]

_AT_ONCE = 8_000_000  # entries of a part, so that neither people nor noisy masks fill the memory


@dataclass(frozen=True, slots=True)
class Overlay:
    """What meets.

    Attributes:
        regions: (annotators, n) int64, one column for each combination of regions.
        pixels: (n,) float64, whole numbers: how many pixels show it.
    """

    regions: IntArray
    pixels: FloatArray


def sum_by(codes: IntArray, weights: FloatArray, size: int) -> FloatArray:
    """The weights of each code added up, (size,) float64, also where there is nothing to add.

    >>> sum_by(np.array([2, 0, 2]), np.array([1.0, 2, 3]), 3).tolist()
    [2.0, 0.0, 4.0]
    """
    return np.bincount(codes, weights, size).astype(np.float64, copy=False)


def overlay(flats: Sequence[Flat]) -> Overlay:
    """The combinations of regions in an image, each once.

    Args:
        flats: Layers of one size.
    """
    parts = list(overlay_parts(flats))
    if len(parts) == 1:
        return parts[0]
    regions = np.concatenate([part.regions for part in parts], axis=1)
    return _reduced(flats, regions, np.concatenate([part.pixels for part in parts]))


def overlay_parts(flats: Sequence[Flat]) -> Iterator[Overlay]:
    """The same stretch by stretch of the line of pixels; a combination can come up in several."""
    height, width = flats[0].size
    entries = len(flats) * sum(len(flat.ends) for flat in flats)
    stretches = 1 + entries // _AT_ONCE
    bounds = [height * width * n // stretches for n in range(stretches + 1)]
    for begin, end in itertools.pairwise(bounds):
        if begin < end:
            yield _overlay_stretch(flats, begin, end)


def _overlay_stretch(flats: Sequence[Flat], begin: int, end: int) -> Overlay:
    pieces = [_stretch(flat, begin, end) for flat in flats]
    points, places = np.unique(np.concatenate([ends for ends, _ in pieces]), return_inverse=True)
    stops = np.cumsum([len(ends) for ends, _ in pieces])[:-1]
    regions = np.empty((len(flats), len(points)), dtype=np.int64)
    for row, place, (_, seen) in zip(regions, np.split(places, stops), pieces, strict=True):
        row[:] = np.repeat(seen, np.diff(place, prepend=-1))
    return _reduced(flats, regions, np.diff(points, prepend=begin).astype(np.float64))


def _stretch(flat: Flat, begin: int, end: int) -> tuple[IntArray, IntArray]:
    """Ends and regions of the pieces between two pixels of the line."""
    first = int(np.searchsorted(flat.ends, begin, side="right"))
    last = int(np.searchsorted(flat.ends, end)) + 1
    return np.minimum(flat.ends[first:last], end), flat.regions[first:last]


def _reduced(flats: Sequence[Flat], regions: IntArray, pixels: FloatArray) -> Overlay:
    """Equal columns as one."""
    code = np.zeros(len(pixels), dtype=np.int64)
    codes = 1
    for flat, row in zip(flats, regions, strict=True):
        choices = flat.count + 2
        if codes > 2**62 // choices:
            distinct, code = np.unique(code, return_inverse=True)
            codes = len(distinct)
        code = code * choices + row
        codes *= choices
    distinct, code = np.unique(code, return_inverse=True)
    example = np.empty(len(distinct), dtype=np.int64)
    example[code] = np.arange(len(code))  # whichever stays, they are equal
    return Overlay(regions[:, example], sum_by(code, pixels, len(distinct)))
