"""Boundaries of matched segments: how far their inner bands overlap, and how far they lie apart."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from conceptset.consistency.counting.flattening import Flat
from conceptset.consistency.counting.matching import Meeting, meet
from conceptset.consistency.counting.outlines import Outlines, region_lines, surface_distances
from conceptset.consistency.counting.overlay import FloatArray, Overlay, overlay
from conceptset.geometry import IntArray

BAND = 0.02  # of the diagonal of the image


def band_width(size: tuple[int, int]) -> int:
    """Pixels of the inner band in an image of (height, width); Cheng et al. 2021, section 5.

    >>> band_width((512, 512))
    14
    """
    return max(1, round(BAND * float(np.hypot(*size))))


def inner_bands(flat: Flat) -> Flat:
    """The layer without what lies deep inside its segments.

    The band of a segment is what as many erosions by a 3 x 3 square as the band is wide would take
    away, the rim of the image being a border. Eroding so often is to keep the pixels whose square
    of 2 width + 1 shows one region only; that is found along one axis after the other, in steps
    that double. What is ignored stays so.

    Args:
        flat: One layer.

    Returns:
        The layer with its regions' numbers, 0 also where a pixel is in no band.
    """
    lines = region_lines(flat)
    span = 2 * band_width(flat.size) + 1
    kept = np.pad(lines, span // 2)
    done = 1
    while done < span:
        step = min(done, span - done)
        kept = kept[step:] * (kept[step:] == kept[:-step])
        done += step
    done = 1
    while done < span:
        step = min(done, span - done)
        kept = kept[:, step:] * (kept[:, step:] == kept[:, :-step])
        done += step
    kept[lines == flat.count + 1] = 0
    line = (lines * (kept == 0)).ravel()
    last = np.append(np.flatnonzero(line[1:] != line[:-1]), len(line) - 1)
    return Flat(flat.size, last + 1, line[last].astype(np.int64), flat.concepts, flat.orders)


class Boundaries:
    """Those of a few annotators' layers of one image, found when they are first asked for.

    Args:
        flats: By annotator.
    """

    def __init__(self, flats: Mapping[int, Flat]) -> None:
        self._flats = flats
        self._places = {annotator: place for place, annotator in enumerate(flats)}
        self._bands: Overlay | None = None
        self._outlines: dict[int, Outlines] = {}

    def measure(self, pair: tuple[int, int], regions: tuple[IntArray, IntArray]) -> FloatArray:
        """How far two annotators' matched segments differ, over the pixels neither ignores.

        Args:
            pair: The two annotators.
            regions: (n,) regions of the first, and the n that they are matched with.

        Returns:
            (n, 3) float64: pixels in both bands, pixels in either, mean distance of the outlines.
        """
        a, b = regions
        if len(a) == 0:
            return np.zeros((0, 3))
        bands = self._meeting(pair)
        across = len(bands.area_b)
        cells, wanted = bands.a * across + bands.b, a * across + b
        place = np.minimum(np.searchsorted(cells, wanted), len(cells) - 1)
        shared = np.where(cells[place] == wanted, bands.pixels[place], 0.0)
        union = bands.area_a[a] + bands.area_b[b] - shared
        distance = surface_distances(self._outline(pair[0]), self._outline(pair[1]), regions)
        return np.stack([shared, union, distance], axis=1)

    def _meeting(self, pair: tuple[int, int]) -> Meeting:
        if self._bands is None:
            self._bands = overlay([inner_bands(flat) for flat in self._flats.values()])
        one, other = self._flats[pair[0]], self._flats[pair[1]]
        places = (self._places[pair[0]], self._places[pair[1]])
        return meet(self._bands, places, one.concepts, other.concepts)

    def _outline(self, annotator: int) -> Outlines:
        if annotator not in self._outlines:
            self._outlines[annotator] = Outlines(self._flats[annotator])
        return self._outlines[annotator]
