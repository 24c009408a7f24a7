"""Single activations above a bound, without their places: all that a first pass of two keeps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from conceptset.errors import LayoutError
from dissect.keeping import BROKEN, Options, Store
from dissect.thresholds import Tail
from dissect.tiles import Chunk, IntArray, MapArray


class TailStore(Store):
    """Keeps the largest activations of every unit, given as tiles of one cell; see `Store`."""

    first_compaction = 4
    stem = "values"

    def __init__(self, **options: Unpack[Options]) -> None:
        super().__init__(**options)
        self._parts: list[tuple[IntArray, MapArray]] = []  # heads and values, as in `Tail`

    def _keep(self, chunk: Chunk) -> int:
        order = np.argsort(chunk.units, kind="stable")
        counts = np.bincount(chunk.units, minlength=self.units)
        heads = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        values = chunk.patches.reshape(-1)[order]
        self._parts.append((heads, values))
        return values.nbytes

    def compact(self) -> None:
        """Raise the bound as far as what is stored allows; smaller activations are dropped."""
        kept, counts = [], np.zeros(self.units, dtype=np.int64)
        files = [self._open(file) for file in self._files]
        for unit in range(self.units):
            values = np.concatenate(list(self._of(unit, files)))
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
        self._settle(in_memory=self._parts[0][1].nbytes)

    def _of(self, unit: int, files: Sequence[tuple[IntArray, MapArray]]) -> Iterator[MapArray]:
        yield np.empty(0, dtype=np.float32)
        for heads, values in files:
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
                hint=BROKEN,
            )
        return heads, raw[cut:].view("<f4")

    def flush(self) -> None:
        """Move what is in memory to a file."""
        if not self._parts:
            return
        file = self._next_file()
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

    def _check_file(self, file: Path) -> None:
        self._open(file)
