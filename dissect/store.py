"""Tiles that may matter, kept while a network runs, and the bound that decides which do.

A tile without a value above the bound (`dissect.keeping`) can hold neither a value above the
threshold nor a pixel of a mask.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from conceptset.errors import LayoutError
from dissect.keeping import BROKEN, Options, Store
from dissect.team import Team
from dissect.thresholds import Tail
from dissect.tile_kernels import (
    address_chunks,
    copy_marked,
    count_in_chunks,
    gather_from_chunks,
    mark_in_chunks,
    raise_bounds,
)
from dissect.tiles import Chunk, IntArray, MapArray, Tiling, as_float32

_SELECTION = 256 << 20  # bytes of single activations gathered at a time
_BLOCK = 64 << 20  # bytes of tiles that are held twice while they are thinned out
_SLICE = 1 << 17  # tiles of a file that are looked at together


@dataclass(frozen=True, slots=True)
class Stored:
    """Tiles in a file: all rows, then all units, all numbers of tiles, all patches.

    Attributes:
        file: Where.
        tiling: How many values a tile has.
    """

    file: Path
    tiling: Tiling

    @property
    def _width(self) -> int:
        return 12 + 4 * self.tiling.patch[0] * self.tiling.patch[1]

    def open(self) -> Chunk:
        """The tiles, mapped: pages are read when they are looked at.

        Raises:
            LayoutError: The file was cut short.
        """
        size = self.file.stat().st_size
        if size % self._width or not size:
            raise LayoutError(
                f"has {size} bytes, a multiple of {self._width} was expected",
                path=self.file,
                hint=BROKEN,
            )
        number = size // self._width
        raw = np.memmap(self.file, dtype="<i4", mode="r")
        heads = raw[: 3 * number].reshape(3, number)
        patches = raw[3 * number :].view("<f4").reshape(number, *self.tiling.patch)
        return Chunk(heads[0], heads[1], heads[2], patches)

    def write(self, parts: Sequence[Chunk]) -> None:
        """Write the parts one after the other, without a copy of all in memory."""
        with self.file.open("wb") as stream:
            for name in ("rows", "units", "tiles"):
                for part in parts:
                    stream.write(np.ascontiguousarray(getattr(part, name), dtype="<i4").data)
            for part in parts:
                stream.write(np.ascontiguousarray(part.patches, dtype="<f4").data)


class TileStore(Store):
    """Keeps every tile that may matter.

    Args:
        tiling: Of the maps of the layer.
        given: (units,) thresholds to use instead of computing them, float32 or float64.
        team: Threads that look through what is kept; this one alone by itself.
        options: Those of `Store`.
    """

    first_compaction = 8
    stem = "tiles"

    def __init__(
        self,
        *,
        tiling: Tiling,
        given: NDArray[np.floating] | None = None,
        team: Team | None = None,
        **options: Unpack[Options],
    ) -> None:
        super().__init__(**options)
        self.tiling = tiling
        self.given = given
        if given is not None:
            self.bound = as_float32(given)
        self._team = team or Team(1)
        self._cut = tiling.numbers
        self._loose: list[Chunk] = []

    def _keep(self, chunk: Chunk) -> int:
        self._loose.append(chunk)
        return chunk.nbytes

    def compact(self) -> None:
        """Raise the bound as far as what is stored allows, and drop the tiles below it.

        A threshold that was given stands: all tiles above it are wanted, however many.
        """
        if self.given is not None:
            return
        self._raise_bound()
        for start, stop in _blocks([chunk.nbytes for chunk in self._loose], _BLOCK):
            self._loose[start:stop] = self._thin_out(self._loose[start:stop])
        self._loose = [chunk for chunk in self._loose if len(chunk.rows)]
        self._files = [kept for file in self._files for kept in self._rewrite(file)]
        self._settle(in_memory=sum(chunk.nbytes for chunk in self._loose))

    def _thin_out(self, chunks: Sequence[Chunk]) -> list[Chunk]:
        """The chunks with those of their tiles that hold a value above the bound."""
        wanted, numbers = self._mark(chunks)
        smaller = [Chunk.blank(self.tiling, number) for number in numbers.tolist()]
        told = (address_chunks(chunks), self._cut, _heads(chunks), wanted, address_chunks(smaller))
        self._team.run(copy_marked, *told)
        return smaller

    def _mark(self, chunks: Sequence[Chunk]) -> tuple[NDArray[np.bool_], IntArray]:
        """Which tiles of some chunks hold a value above the bound, and how many of each chunk."""
        wanted = np.empty(sum(len(chunk.rows) for chunk in chunks), dtype=np.bool_)
        numbers = np.zeros(len(chunks), dtype=np.int64)
        told = (address_chunks(chunks), self._cut, self.bound, _heads(chunks), wanted, numbers)
        self._team.run(mark_in_chunks, *told)
        return wanted, numbers

    def _rewrite(self, file: Path) -> list[Path]:
        """The file, or a smaller one if most of it is below the bound."""
        chunk = self._stored(file).open()
        wanted, numbers = self._mark([*_slices(chunk)])
        share = int(numbers.sum())
        if 2 * share > len(wanted):
            return [file]
        self._stale.append(file)
        if not share:
            return []
        smaller = self._next_file()
        starts = range(0, len(wanted), _SLICE)
        parts = [chunk.only(np.flatnonzero(wanted[a : a + _SLICE]) + a) for a in starts]
        self._stored(smaller).write(parts)
        return [smaller]

    def flush(self) -> None:
        """Move what is in memory to a file; it holds later rows than every file before it."""
        if self._loose:
            self._files.append(self._next_file())
            self._stored(self._files[-1]).write(self._loose)
        self._loose = []
        self._in_memory = 0

    def _stored(self, file: Path) -> Stored:
        return Stored(file, self.tiling)

    def _check_file(self, file: Path) -> None:
        self._stored(file).open()

    def tail(self) -> Tail:
        """The largest activations seen, for `select_thresholds`."""
        numbers = self._count()
        heads = np.concatenate([[0], np.cumsum(numbers.sum(axis=0))]).astype(np.int64)
        return Tail(heads, self._gather(numbers, heads[:-1]), self.bound, self.ties)

    def _count(self) -> IntArray:
        """(chunks, units) int64, the activations above the bound."""
        chunks = [*self.chunks()]
        numbers = np.zeros((len(chunks), self.units), dtype=np.int64)
        told = (address_chunks(chunks), self._cut, self.bound, numbers)
        self._team.run(count_in_chunks, *told)
        return numbers

    def _gather(self, numbers: IntArray, heads: IntArray) -> MapArray:
        """The activations above the bound.

        Args:
            numbers: Of `_count`, 0 for units that are left out.
            heads: (units,) int64, where the values of each unit begin.
        """
        chunks = [*self.chunks()]
        values = np.empty(int(numbers.sum()), dtype=np.float32)
        places = np.where(numbers > 0, heads + np.cumsum(numbers, axis=0) - numbers, -1)
        told = (address_chunks(chunks), self._cut, self.bound, places, values)
        self._team.run(gather_from_chunks, *told)
        return values

    def chunks(self) -> Iterator[Chunk]:
        """All tiles by rising row, in parts that end with an image; on disk they are mapped."""
        for file in self._files:
            yield from _slices(self._stored(file).open())
        yield from self._loose

    def _raise_bound(self) -> None:
        numbers = self._count()
        totals = numbers.sum(axis=0)
        numbers[:, totals < self.rank] = 0
        totals[totals < self.rank] = 0
        limit = _SELECTION // 4
        start = 0
        while start < self.units:
            ends = np.cumsum(totals[start:])
            stop = start + max(1, int(np.searchsorted(ends, limit, side="right")))
            if totals[start:stop].any():
                self._select(start, stop, numbers)
            start = stop

    def _select(self, start: int, stop: int, numbers: IntArray) -> None:
        """Raise the bound of units `start:stop`, whose `numbers` of stored values are known."""
        own = np.zeros_like(numbers)
        own[:, start:stop] = numbers[:, start:stop]
        totals = own.sum(axis=0)
        heads = np.cumsum(totals) - totals
        values = self._gather(own, heads)
        wanted = np.flatnonzero(totals)
        chosen = np.column_stack([wanted, heads[wanted], totals[wanted]])
        rank = np.array([self.rank], dtype=np.int64)
        self._team.run(raise_bounds, values, chosen, rank, self.bound, self.ties)


class StoredTiles:
    """The tiles that the stores of one layer hold, to be had image by image."""

    def __init__(self, stores: Sequence[TileStore]) -> None:
        """The stores must not change any more.

        Args:
            stores: Of shards next to one another, in their order.
        """
        self._chunks = [chunk for store in stores for chunk in store.chunks()]
        self._last = [int(chunk.rows[-1]) for chunk in self._chunks]

    def of(self, row: int) -> Chunk | None:
        """The tiles of an image; None if it has none."""
        place = bisect.bisect_left(self._last, row)
        return None if place == len(self._chunks) else self._chunks[place].of_row(row)


def _heads(chunks: Sequence[Chunk]) -> IntArray:
    """(chunks,) int64, where each begins if one is put after the other."""
    numbers = np.array([len(chunk.rows) for chunk in chunks], dtype=np.int64)
    return np.cumsum(numbers) - numbers


def _blocks(sizes: Sequence[int], limit: int) -> Iterator[tuple[int, int]]:
    """Starts and stops of parts that are not larger than a limit, unless a single one is."""
    start, together = 0, 0
    for place, size in enumerate(sizes):
        if place > start and together + size > limit:
            yield start, place
            start, together = place, 0
        together += size
    if sizes:
        yield start, len(sizes)


def _slices(chunk: Chunk) -> Iterator[Chunk]:
    """The chunk in parts of bounded size, none of which ends within an image."""
    start, number = 0, len(chunk.rows)
    while start < number:
        stop = min(start + _SLICE, number)
        if stop < number:
            stop = start + int(np.searchsorted(chunk.rows[start:], chunk.rows[stop - 1], "right"))
        yield chunk.only(slice(start, stop))
        start = stop
