"""Parts of activation maps: the least that thresholds and masks can be told from.

A map is cut into tiles of 4x4 cells that it owns. A tile is kept with the row below and the column
to the right of them, because the pixels between four neighbouring cells depend on all four: 5x5
values, those beyond the map repeating its edge. Whatever lies between the cells of a map is then
found in exactly one tile, and every cell is owned by exactly one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MapArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
PlaceArray = NDArray[np.int32]

_SIDE = 4  # smaller tiles repeat more of their neighbours, larger ones keep more that is low


@dataclass(frozen=True, slots=True)
class Tiling:
    """How the maps of a layer are cut, all pairs (vertical, horizontal).

    Attributes:
        map_size: Cells of a map.
        side: Cells that a tile owns.
        patch: Values that are kept of a tile.
        count: Tiles of a map; they are numbered row by row.
    """

    map_size: tuple[int, int]
    side: tuple[int, int]
    patch: tuple[int, int]
    count: tuple[int, int]

    @classmethod
    def of(cls, map_size: tuple[int, int]) -> Tiling:
        """The tiles of maps of a size; an axis of five cells or fewer is not cut.

        >>> Tiling.of((7, 14)).count, Tiling.of((5, 1)).patch, Tiling.of((6, 6)).patch
        ((2, 4), (5, 1), (5, 5))
        """
        side = tuple(cells if cells <= _SIDE + 1 else _SIDE for cells in map_size)
        return cls._cut(map_size, (side[0], side[1]))

    @classmethod
    def whole(cls, map_size: tuple[int, int]) -> Tiling:
        """Maps that are not cut: one tile each."""
        return cls._cut(map_size, map_size)

    @classmethod
    def single(cls, map_size: tuple[int, int]) -> Tiling:
        """Every cell by itself, without a neighbour: activations without their masks."""
        return cls(map_size, (1, 1), (1, 1), map_size)

    @classmethod
    def _cut(cls, map_size: tuple[int, int], side: tuple[int, int]) -> Tiling:
        patch = [min(own + 1, cells) for own, cells in zip(side, map_size, strict=True)]
        count = [-(-cells // own) for own, cells in zip(side, map_size, strict=True)]
        return cls(map_size, side, (patch[0], patch[1]), (count[0], count[1]))

    @property
    def tiles(self) -> int:
        """Tiles of a map."""
        return self.count[0] * self.count[1]

    @property
    def numbers(self) -> IntArray:
        """(8,) int64, as kernels take it: map size, side, patch and count."""
        return np.array([*self.map_size, *self.side, *self.patch, *self.count], dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Tiles of one layer, sorted by (row, unit, tile).

    Attributes:
        rows: (n,) int32 rows of the index.
        units: (n,) int32.
        tiles: (n,) int32, see `Tiling`.
        patches: (n, *patch) float32, in memory or mapped from a file.
    """

    rows: PlaceArray
    units: PlaceArray
    tiles: PlaceArray
    patches: MapArray

    @classmethod
    def empty(cls, tiling: Tiling) -> Chunk:
        """No tile."""
        return cls.blank(tiling, 0)

    @classmethod
    def blank(cls, tiling: Tiling, number: int) -> Chunk:
        """Room for so many tiles, to be filled."""
        rows, units, tiles = (np.empty(number, dtype=np.int32) for _ in range(3))
        return cls(rows, units, tiles, np.empty((number, *tiling.patch), dtype=np.float32))

    @property
    def nbytes(self) -> int:
        """Bytes of all its arrays."""
        return sum(a.nbytes for a in (self.rows, self.units, self.tiles, self.patches))

    def of_row(self, row: int) -> Chunk | None:
        """The tiles of an image; None if it has none."""
        start, stop = np.searchsorted(self.rows, (row, row + 1))
        return self.only(slice(start, stop)) if stop > start else None

    def only(self, wanted: slice | NDArray[np.bool_] | IntArray) -> Chunk:
        """The chunk with some of its tiles."""
        return Chunk(
            self.rows[wanted], self.units[wanted], self.tiles[wanted], self.patches[wanted]
        )


def as_float32(bound: NDArray[np.floating]) -> MapArray:
    """The largest float32 values that are not above `bound`.

    A float32 number is above one of them exactly if it is above the bound itself.

    >>> as_float32(np.array([0.1, 2.0, -np.inf])).tolist()
    [0.09999999403953552, 2.0, -inf]
    """
    near = bound.astype(np.float32)
    return np.where(near > bound, np.nextafter(near, np.float32(-np.inf)), near)
