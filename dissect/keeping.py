"""What all stores of activations have: a bound that rises, a budget of memory, files, a record.

A lower bound L of a unit's threshold is known at any time: the `floor(q N) + 1`-th largest of the
activations seen so far. L only grows and never passes the threshold. What is kept above it lies in
memory or, beyond a budget, on disk; it is looked through again whenever it has doubled.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Required, TypedDict

import numpy as np

from conceptset.errors import ConceptsetError, LayoutError
from dissect.thresholds import Tail, rank_of_threshold
from dissect.tiles import Chunk, IntArray, MapArray

BROKEN = "The run's shards are broken: give --overwrite to start anew."


class Options(TypedDict, total=False):
    """The arguments of `Store`."""

    units: Required[int]
    samples: Required[int]
    quantile: Required[Fraction]
    floor: MapArray | None
    folder: Path | None
    budget: int


class Store(ABC):
    """Keeps of one layer what may matter, and raises the bound.

    Args:
        units: Of the layer.
        samples: Activations of a unit on all images of the run, also those of other shards.
        quantile: Share of the activations above the threshold.
        floor: (units,) float32, a bound to begin with: believed to be below the thresholds, and
            proved to be by the tails of all shards.
        folder: For what does not fit the budget; must exist. None keeps everything in memory.
        budget: Bytes kept in memory.

    Attributes:
        bound: (units,) float32; values that are not above it are of no interest.
        ties: (units,) int64, at least so many activations seen equal the bound.
        stored: Bytes in memory and on disk; `peak`: the most there has been.
    """

    first_compaction: ClassVar[int]  # at the latest when so many times the values needed have come
    stem: ClassVar[str]  # of the names of its files

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
        self._files: list[Path] = []
        self._stale: list[Path] = []
        self._number = 0
        self._in_memory = 0
        # bytes after the last compaction; the next is due when they have doubled
        self._floor = self.first_compaction // 2 * self.rank * units * 4
        self._after_compaction = self._floor

    def add(self, chunk: Chunk, ties: IntArray | None = None) -> None:
        """Take what is above the bound, with rows of the index above those taken before.

        Args:
            chunk: Tiles, cut as the store wants them.
            ties: (units,) int64, activations of the same images that equal the bound as it was
                when they were scanned; needed while `counts_ties`.
        """
        if ties is not None:
            self.ties += ties
        if len(chunk.rows):
            size = self._keep(chunk)
            self._in_memory += size
            self.stored += size
            self.peak = max(self.peak, self.stored)
        if self.stored > 2 * self._after_compaction:
            self.compact()
        if self.folder is not None and self._in_memory > self._budget:
            self.flush()

    @abstractmethod
    def _keep(self, chunk: Chunk) -> int:
        """Put a chunk that is not empty into memory; returns the bytes it takes there."""

    @abstractmethod
    def compact(self) -> None:
        """Raise the bound as far as what is stored allows, and drop what is below it."""

    @abstractmethod
    def flush(self) -> None:
        """Move what is in memory to a file."""

    @abstractmethod
    def tail(self) -> Tail:
        """The largest activations seen, for `select_thresholds`."""

    @abstractmethod
    def _check_file(self, file: Path) -> None:
        """Raise LayoutError for a file that was cut short."""

    def _settle(self, in_memory: int) -> None:
        """Count anew after a compaction or a restart, with so many bytes in memory."""
        self._in_memory = in_memory
        self.stored = in_memory + sum(file.stat().st_size for file in self._files)
        self._after_compaction = max(self._floor, self.stored)

    def _next_file(self) -> Path:
        if self.folder is None:
            raise ConceptsetError("a store without a folder has nowhere to write")
        self._number += 1
        return self.folder / f"{self.stem}-{self._number:06d}.bin"

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
                raise LayoutError("is missing", path=file, hint=BROKEN)
            self._check_file(file)
        self._number = number
        self.bound, self.ties = bound.astype(np.float32), ties.astype(np.int64)
        self._settle(in_memory=0)

    def drop_stale(self) -> None:
        """Remove files that no record names any more."""
        for path in self._stale:
            path.unlink(missing_ok=True)
        self._stale = []
