"""The exact threshold of every unit from one pass over the activations, keeping only high maps.

The threshold is the `floor(q N) + 1`-th largest of a unit's N activations. A lower bound of it is
known at any time: the `floor(q N) + 1`-th largest of those seen so far. A map without a value
above the bound can hold neither a value above the threshold nor a pixel of a mask, so it is
dropped; every other map is kept whole, in memory or, beyond a budget, on disk.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from conceptset.errors import ConceptsetError
from dissect.compiling import compiled

MapArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]

_FIRST_COMPACTION = 8  # at the latest when so many times the values needed have come
_SELECTION = 256 << 20  # bytes of single activations gathered at a time


def rank_of_threshold(quantile: Fraction, samples: int) -> int:
    """Which of the activations, from the largest (1), is the threshold: `floor(q N) + 1`.

    >>> rank_of_threshold(Fraction("0.005"), 199), rank_of_threshold(Fraction("0.005"), 200)
    (1, 2)
    """
    return int(quantile * samples) + 1


@dataclass(frozen=True, slots=True)
class Chunk:
    """Maps of some images, sorted by (row, unit).

    Attributes:
        rows: (n,) int64 rows of the index.
        units: (n,) int64.
        maxima: (n,) float32, the largest value of each map.
        maps: (n, h, w) float32, in memory or mapped from a file.
        file: Where they lie on disk, if they do.
    """

    rows: IntArray
    units: IntArray
    maxima: MapArray
    maps: MapArray
    file: Path | None = None

    def only(self, wanted: slice | NDArray[np.bool_]) -> Chunk:
        """The chunk with some of its maps."""
        return Chunk(self.rows[wanted], self.units[wanted], self.maxima[wanted], self.maps[wanted])


class MapStore:
    """Keeps every map that may matter, and finds the thresholds.

    Args:
        units: Units of the layer.
        map_size: (height, width) of its maps.
        images: Images that will be added; they must all come.
        quantile: Share of the activations above the threshold.
        given: (units,) thresholds to use instead, float32 or float64.
        spill: Directory for what does not fit the budget; must exist.
        budget: Bytes of maps kept in memory.
    """

    def __init__(
        self,
        *,
        units: int,
        map_size: tuple[int, int],
        images: int,
        quantile: Fraction,
        given: NDArray[np.floating] | None = None,
        spill: Path | None = None,
        budget: int = 1 << 32,
    ) -> None:
        self.units = units
        self.map_size = map_size
        self.samples = images * map_size[0] * map_size[1]
        self.rank = rank_of_threshold(quantile, self.samples)
        self.given = given
        self.stored = 0  # bytes, in memory and on disk
        self.peak = 0
        self._bound = np.full(units, -np.inf) if given is None else given.astype(np.float64)
        self._chunks: list[Chunk] = []
        self._in_memory = 0
        # bytes after the last compaction; the next is due when they have doubled
        self._floor = _FIRST_COMPACTION // 2 * self.rank * units * 4
        self._after_compaction = self._floor
        self.spill = spill
        self._budget = budget
        self._missing = images
        self._files = 0

    def add(self, rows: Sequence[int], activations: torch.Tensor) -> None:
        """Take the maps of some images, in rising order of rows.

        Args:
            rows: (b,) rows of the index.
            activations: (b, units, h, w) float32, contiguous, finite, on any device.
        """
        self._missing -= len(rows)
        maxima = activations.flatten(2).amax(dim=2).cpu().numpy()
        wanted = maxima > self._bound
        images, units = np.nonzero(wanted)
        if not len(units):
            return
        maps = activations[torch.from_numpy(wanted).to(activations.device)].cpu().numpy()
        places = np.asarray(rows, dtype=np.int64)[images]
        self._chunks.append(Chunk(places, units, maxima[wanted], maps))
        self._in_memory += maps.nbytes
        self.stored += maps.nbytes
        self.peak = max(self.peak, self.stored)
        if self.given is None and self.stored > 2 * self._after_compaction:
            self._compact()
        if self._in_memory > self._budget:
            self._spill_memory()

    def finish(self) -> NDArray[np.floating]:
        """(units,) the thresholds: float32, or as given.

        Maps that do not rise above them are dropped, except from a file that is more than half
        full of others.

        Raises:
            ConceptsetError: Fewer images came than announced.
        """
        if self._missing != 0:
            raise ConceptsetError(f"{self._missing} images too few were added to a store")
        if self.given is not None:
            return self.given
        self._compact()
        return (self._bound + 0.0).astype(np.float32)  # no -0.0: it equals 0.0 and is written so

    def images(self) -> Iterator[Chunk]:
        """The maps of each image that has any, one image at a time, by rising row."""
        for chunk in self._chunks:
            cuts = np.flatnonzero(np.diff(chunk.rows)) + 1
            starts = [0, *cuts.tolist(), len(chunk.rows)]
            for start, stop in itertools.pairwise(starts):
                if stop > start:
                    yield chunk.only(slice(start, stop))

    def release(self) -> None:
        """Forget everything and remove the files."""
        files = [chunk.file for chunk in self._chunks if chunk.file is not None]
        self._chunks = []
        self._in_memory = self.stored = 0
        for file in files:
            file.unlink(missing_ok=True)

    def _compact(self) -> None:
        """Raise the bound as far as what is stored allows, and drop the maps below it."""
        self._raise_bound()
        kept = []
        for chunk in self._chunks:
            wanted = chunk.maxima > self._bound[chunk.units]
            share = np.count_nonzero(wanted)
            if share == len(wanted) or (chunk.file is not None and 2 * share > len(wanted)):
                kept.append(chunk)
                continue
            if share:
                rest = chunk.only(wanted)
                where = None if chunk.file is None else self.spill
                kept.append(rest if where is None else self._write([rest], where))
            if chunk.file is not None:
                chunk.file.unlink()
        self._chunks = kept
        self._in_memory = sum(c.maps.nbytes for c in kept if c.file is None)
        self.stored = sum(c.maps.nbytes for c in kept)
        self._after_compaction = max(self._floor, self.stored)

    def _raise_bound(self) -> None:
        numbers = np.zeros(self.units, dtype=np.int64)
        for chunk in self._chunks:
            count_above(chunk.maps, chunk.maxima, chunk.units, self._bound, numbers)
        limit = _SELECTION // 4
        start = 0
        while start < self.units:
            ends = np.cumsum(numbers[start:])
            stop = start + max(1, int(np.searchsorted(ends, limit, side="right")))
            enough = numbers[start:stop] >= self.rank
            if enough.any():
                self._select(start, stop, numbers)
            start = stop

    def _select(self, start: int, stop: int, numbers: IntArray) -> None:
        """Raise the bound of units `start:stop`, whose `numbers` of stored values are known."""
        wanted = numbers[start:stop] * (numbers[start:stop] >= self.rank)
        heads = np.concatenate([[0], np.cumsum(wanted)])
        values = np.empty(int(heads[-1]), dtype=np.float32)
        fill = np.full(self.units, -1, dtype=np.int64)
        fill[start:stop] = np.where(wanted > 0, heads[:-1], -1)
        for chunk in self._chunks:
            gather_above(chunk.maps, chunk.maxima, chunk.units, self._bound, fill, values)
        for unit in np.flatnonzero(wanted):
            part = values[heads[unit] : heads[unit + 1]]
            place = len(part) - self.rank
            self._bound[start + unit] = np.partition(part, place)[place]

    def _spill_memory(self) -> None:
        """Move what is in memory to a file; it holds later rows than every file before it."""
        if self.spill is None:
            return
        loose = [chunk for chunk in self._chunks if chunk.file is None]
        self._chunks = [chunk for chunk in self._chunks if chunk.file is not None]
        self._chunks.append(self._write(loose, self.spill))
        self._in_memory = 0

    def _write(self, parts: Sequence[Chunk], directory: Path) -> Chunk:
        """The parts as one chunk on disk, without a copy in memory."""
        file = directory / f"maps-{self._files:06d}.npy"
        self._files += 1
        shape = (sum(len(part.rows) for part in parts), *self.map_size)
        header = {"descr": "<f4", "fortran_order": False, "shape": shape}
        with file.open("wb") as stream:
            np.lib.format.write_array_header_1_0(stream, header)
            for part in parts:
                stream.write(np.ascontiguousarray(part.maps, dtype="<f4").data)
        return Chunk(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.units for part in parts]),
            np.concatenate([part.maxima for part in parts]),
            np.load(file, mmap_mode="r", allow_pickle=False),
            file,
        )


@compiled
def count_above(
    maps: MapArray, maxima: MapArray, units: IntArray, bound: FloatArray, numbers: IntArray
) -> None:
    """Add to `numbers` (units,) how many activations of each unit are above its bound.

    Args:
        maps: (n, h, w) float32.
        maxima: (n,) float32, the largest value of each map.
        units: (n,) int64.
        bound: (units,) float64.
        numbers: (units,) int64, added to.
    """
    for n in range(maps.shape[0]):
        limit = bound[units[n]]
        if maxima[n] <= limit:
            continue
        number = 0
        for i in range(maps.shape[1]):
            for j in range(maps.shape[2]):
                if maps[n, i, j] > limit:
                    number += 1
        numbers[units[n]] += number


@compiled
def gather_above(
    maps: MapArray,
    maxima: MapArray,
    units: IntArray,
    bound: FloatArray,
    fill: IntArray,
    values: MapArray,
) -> None:
    """Copy activations above their unit's bound into that unit's part of `values`.

    Args:
        maps: (n, h, w) float32.
        maxima: (n,) float32, the largest value of each map.
        units: (n,) int64.
        bound: (units,) float64.
        fill: (units,) int64, the next free place of each unit, moved on; -1: leave it out.
        values: Flat float32, filled.
    """
    for n in range(maps.shape[0]):
        unit = units[n]
        limit = bound[unit]
        if fill[unit] < 0 or maxima[n] <= limit:
            continue
        place = fill[unit]
        for i in range(maps.shape[1]):
            for j in range(maps.shape[2]):
                if maps[n, i, j] > limit:
                    values[place] = maps[n, i, j]
                    place += 1
        fill[unit] = place
