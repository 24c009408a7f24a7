"""Two annotators' layers of one image side by side, as rows of the core record."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from conceptset.consistency.counting.boundaries import Boundaries
from conceptset.consistency.counting.flattening import Flat
from conceptset.consistency.counting.matching import Comparison, Meeting, compare
from conceptset.consistency.counting.overlay import FloatArray, sum_by
from conceptset.consistency.counting.partition import partition_figures
from conceptset.consistency.counting.rows import Rows
from conceptset.consistency.counting.splitting import Kind, kinds_of_cells
from conceptset.consistency.counts import (
    CELLS,
    COMPARED,
    MATCHES,
    NAMED,
    RENAMED,
    THRESHOLDS,
    Table,
)
from conceptset.geometry import IntArray

_NOT_MEASURED = (-1, -1, math.nan)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """What one annotator drew in one layer of one image.

    Attributes:
        flat: Flattened.
        names: (count + 1,) int64 its regions' names, as places among the names of the image.
    """

    flat: Flat
    names: IntArray


class PairTables(NamedTuple):
    """The tables of counts that speak of pairs."""

    compared: Table
    cells: Table
    named: Table
    matches: Table
    renamed: Table


class PairRows:
    """Rows of all pairs of one layer of one image.

    Args:
        concepts: (names,) codes of the names of the image; the first is unlabelled.
    """

    def __init__(self, concepts: IntArray) -> None:
        self._concepts = concepts
        self._compared = Rows(COMPARED, keys=4)
        self._cells = Rows(CELLS, keys=4)
        self._named = Rows(NAMED, keys=4)
        self._matches = Rows(MATCHES, keys=4)
        self._renamed = Rows(RENAMED, keys=4)

    def tables(self) -> PairTables:
        """What was added, pairs in order."""
        return PairTables(
            _by_pair(self._compared.table()),
            _by_pair(self._cells.table()),
            _by_pair(self._named.table()),
            _by_pair(self._matches.table()),
            _by_pair(self._renamed.table()),
        )

    def add(
        self,
        key: tuple[int, int, int, int],
        meeting: Meeting,
        layers: tuple[Layer, Layer],
        boundaries: Boundaries | None,
    ) -> None:
        """Compare one pair.

        Args:
            key: Image, category, and the two annotators.
            meeting: Where the layers of the two meet.
            layers: Of the two.
            boundaries: Where they are measured.
        """
        found = compare(meeting)
        kinds = kinds_of_cells(meeting, found)
        self._add_compared(key, meeting, found, kinds.astype(np.int64))
        self._add_names(key, meeting, found, kinds[0].astype(np.int64))
        cells = np.flatnonzero(found.matched[0])
        regions = (meeting.a[cells], meeting.b[cells])
        apart = np.tile(_NOT_MEASURED, (len(cells), 1))
        if boundaries is not None:
            apart = boundaries.measure(key[2:], regions)
        self._matches.add(
            key,
            layers[0].flat.orders[regions[0]],
            layers[1].flat.orders[regions[1]],
            self._concepts[meeting.names_a[regions[0]]],
            self._concepts[meeting.names_b[regions[1]]],
            meeting.area_a[regions[0]],
            meeting.area_b[regions[1]],
            meeting.pixels[cells],
            *apart.T,
        )

    def _add_compared(
        self, key: tuple[int, ...], m: Meeting, found: Comparison, kinds: IntArray
    ) -> None:
        pixels = _by_kind(kinds, m.pixels)
        labelled = (m.a > 0) & (m.b > 0)
        is_equal = m.names_a[m.a] == m.names_b[m.b]
        drawn_a, drawn_b = self._drawn(m)
        self._compared.add(
            key,
            [m.pixels.sum()],
            [pixels[0, Kind.UNLABELLED]],
            [pixels[0, Kind.SAME]],
            [m.pixels[labelled].sum()],
            *([pixels[:, kind]] for kind in (Kind.NAMING, Kind.QUANTITY, Kind.QUALITY)),
            [drawn_a.sum()],
            [drawn_b.sum()],
            [np.count_nonzero(drawn_a)],
            [np.count_nonzero(drawn_b)],
            [np.count_nonzero(np.minimum(drawn_a, drawn_b))],
            [found.matched.sum(axis=1)],
            [(found.matched & is_equal).sum(axis=1)],
            [[math.fsum(found.iou[row].tolist()) for row in found.matched]],
            [(~found.found_a & (m.area_a > 0)).sum(axis=1)],
            [(~found.found_b & (m.area_b > 0)).sum(axis=1)],
            *([figure] for figure in partition_figures(m)),
        )

    def _drawn(self, m: Meeting) -> tuple[IntArray, IntArray]:
        """How many segments with valid pixels bear each name, by either annotator."""
        names = len(self._concepts)
        return (
            np.bincount(m.names_a[1:][m.area_a[1:] > 0], minlength=names),
            np.bincount(m.names_b[1:][m.area_b[1:] > 0], minlength=names),
        )

    def _add_names(
        self, key: tuple[int, ...], m: Meeting, found: Comparison, kinds: IntArray
    ) -> None:
        names, concepts = found.names, self._concepts
        n = len(names.pixels)
        pixels = sum_by(kinds * n + names.of_cell, m.pixels, n * len(Kind)).reshape(len(Kind), n)
        self._cells.add(
            key,
            concepts[names.a],
            concepts[names.b],
            names.pixels,
            *(pixels[kind] for kind in (Kind.NAMING, Kind.QUANTITY, Kind.QUALITY)),
        )
        renamed = names.renamed[0]
        self._renamed.add(key, concepts[names.a[renamed]], concepts[names.b[renamed]])
        drawn_a, drawn_b = self._drawn(m)
        used = np.flatnonzero(drawn_a + drawn_b)
        self._named.add(key, concepts[used], drawn_a[used], drawn_b[used])


def _by_kind(kinds: IntArray, pixels: FloatArray) -> FloatArray:
    """Pixels of each kind at each threshold, (thresholds, kinds)."""
    codes = kinds + len(Kind) * np.arange(len(THRESHOLDS))[:, None]
    weights = np.broadcast_to(pixels, kinds.shape).ravel()
    size = len(THRESHOLDS) * len(Kind)
    return sum_by(codes.ravel(), weights, size).reshape(len(THRESHOLDS), len(Kind))


def _by_pair(table: Table) -> Table:
    return table[np.lexsort((table["b"], table["a"]))]
