"""Single activations above a bound, without their places: all that a first pass of two keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conceptset.errors import ConceptsetError, LayoutError
from dissect.thresholds import Tail, rank_of_threshold
from dissect.tiles import Chunk, IntArray, MapArray

_FIRST_COMPACTION = 4  # when so many times the values needed have come, later when doubled


class TailStore:
    """Keeps the largest activations of every unit; a bound rises as in `dissect.store`.

    Args:
        units: Of the layer.
        samples: Activations of a unit on all images of the run, also those of other shards.
        quantile: Share of the activations above the threshold.
        floor: (units,) float32, a bound to begin with; see `dissect.store.TileStore`.
        folder: For what does not fit the budget; must exist. None keeps everything in memory.
        budget: Bytes kept in memory.

    Attributes:
        bound: (units,) float32.
        ties: (units,) int64, at least so many activations seen equal the bound.
        stored: Bytes in memory and on disk; `peak`: the most there has been.
    """

    def __init__(
        self,
        *,
        units: int,
        samples: int,
        quantile: Fraction,
        floor: MapArray | None = None,
        folder: Path | None = None,
        budget: int = 1 << 32,
    ) -> None:
        self.units = units
        self.rank = rank_of_threshold(quantile, samples)
        self.counts_ties = floor is not None
        self.bound = np.full(units, -np.inf, dtype=np.float32) if floor is None else floor.copy()
        self.ties = np.zeros(units, dtype=np.int64)
        self.stored = self.peak = 0
        self.folder = folder
        self._budget = budget
        self._parts: list[tuple[IntArray, MapArray]] = []  # heads and values, as in `Tail`
        self._files: list[Path] = []
        self._stale: list[Path] = []
        self._number = 0
        self._in_memory = 0
        self._floor = _FIRST_COMPACTION // 2 * self.rank * units * 4
        self._after_compaction = self._floor

    def add(self, chunk: Chunk, ties: IntArray | None = None) -> None:
        """Take activations above the bound.

        Args:
            chunk: Tiles of one cell.
            ties: As for `TileStore.add`.
        """
        if ties is not None:
            self.ties += ties
        if len(chunk.units):
            order = np.argsort(chunk.units, kind="stable")
            counts = np.bincount(chunk.units, minlength=self.units)
            heads = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
            self._parts.append((heads, chunk.patches.reshape(-1)[order]))
            size = self._parts[-1][1].nbytes
            self._in_memory += size
            self.stored += size
            self.peak = max(self.peak, self.stored)
        if self.stored > 2 * self._after_compaction:
            self.compact()
        if self.folder is not None and self._in_memory > self._budget:
            self.flush()

    def compact(self) -> None:
        """Raise the bound as far as what is stored allows; smaller activations are dropped."""
        kept, counts = [], np.zeros(self.units, dtype=np.int64)
        for unit in range(self.units):
            values = np.concatenate(list(self._of(unit)))
            if len(values) >= self.rank:
                place = len(values) - self.rank
                self.bound[unit] = np.partition(values, place)[place]
                values = values[values > self.bound[unit]]
                self.ties[unit] = self.rank - len(values)
            kept.append(values)
            counts[unit] = len(values)
        heads = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self._stale += self._files
        self._files, self._parts = [], [(heads, np.concatenate(kept))]
        self.stored = self._in_memory = self._parts[0][1].nbytes
        self._after_compaction = max(self._floor, self.stored)

    def _of(self, unit: int) -> Iterator[MapArray]:
        yield np.empty(0, dtype=np.float32)
        for file in self._files:
            heads, values = self._open(file)
            yield np.array(values[heads[unit] : heads[unit + 1]])
        for heads, values in self._parts:
            part = values[heads[unit] : heads[unit + 1]]
            yield part[part > self.bound[unit]]

    def _open(self, file: Path) -> tuple[IntArray, MapArray]:
        raw = np.memmap(file, dtype=np.uint8, mode="r")
        cut = 8 * (self.units + 1)
        heads: NDArray[np.int64] = raw[:cut].view("<i8")
        if len(raw) != cut + 4 * int(heads[-1]):
            raise LayoutError(
                f"has {len(raw)} bytes, {cut + 4 * int(heads[-1])} were expected",
                path=file,
                hint="The run's shards are broken: give --overwrite to start anew.",
            )
        return heads, raw[cut:].view("<f4")

    def flush(self) -> None:
        """Move what is in memory to a file."""
        if not self._parts:
            return
        if self.folder is None:
            raise ConceptsetError("a store without a folder has nowhere to write")
        self._number += 1
        file = self.folder / f"values-{self._number:06d}.bin"
        heads = sum((heads for heads, _ in self._parts), np.zeros(self.units + 1, dtype=np.int64))
        with file.open("wb") as stream:
            stream.write(heads.astype("<i8").data)
            for unit in range(self.units):
                for own, values in self._parts:
                    part = values[own[unit] : own[unit + 1]]
                    stream.write(np.ascontiguousarray(part, dtype="<f4").data)
        self._files.append(file)
        self._parts, self._in_memory = [], 0

    def tail(self) -> Tail:
        """The largest activations seen."""
        self.compact()
        heads, values = self._parts[0]
        return Tail(heads, values, self.bound, self.ties)

    @property
    def record(self) -> dict[str, object]:
        """What a restart must know beside `bound` and `ties`; everything must be flushed."""
        return {"files": [file.name for file in self._files], "number": self._number}

    def restore(
        self, files: Sequence[str], number: int, *, bound: MapArray, ties: IntArray
    ) -> None:
        """Go on from a record.

        Raises:
            LayoutError: A file is missing or was cut short.
        """
        if self.folder is None:
            raise ConceptsetError("a store without a folder has nothing to go on from")
        self._files = [self.folder / name for name in files]
        for file in self._files:
            if not file.is_file():
                raise LayoutError(
                    "is missing",
                    path=file,
                    hint="The run's shards are broken: give --overwrite to start anew.",
                )
            self._open(file)
        self._number = number
        self.bound, self.ties = bound.astype(np.float32), ties.astype(np.int64)
        self.stored = sum(file.stat().st_size for file in self._files)
        self._after_compaction = max(self._floor, self.stored)

    def drop_stale(self) -> None:
        """Remove files that no record names any more."""
        for path in self._stale:
            path.unlink(missing_ok=True)
        self._stale = []
