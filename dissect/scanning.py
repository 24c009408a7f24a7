"""One look at activations as they leave a layer: tiles that rise above a bound are copied out.

Every value is read once, in the order in which it lies in memory, with the units side by side so
that many are compared at a time; of a tile that is low everywhere nothing is kept. The same is
said in torch operations for activations on an accelerator.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from dissect.compiling import compiled
from dissect.tiles import Chunk, Cut, IntArray, MapArray, PlaceArray, Tiling

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan of a batch found.

    Attributes:
        chunk: The tiles; its rows are places in the batch until the store says which rows.
        bad: The first image of the batch with a value that is not finite; -1 if there is none.
    """

    chunk: Chunk
    bad: int


@dataclass(slots=True)
class Scanner:
    """Scans the activations of one layer, on several threads.

    Attributes:
        tiling: Of its maps.
        units: Of the layer.
        pool: Threads to use.
        threads: How many parts a batch is divided into.
    """

    tiling: Tiling
    units: int
    pool: ThreadPoolExecutor
    threads: int
    _highest: MapArray = field(default_factory=lambda: np.empty((0, 0, 0), dtype=np.float32))

    def scan(self, memory: MapArray, first: int, images: int, bound: MapArray) -> Found:
        """The tiles above the bound.

        Args:
            memory: (b, positions, units) float32, contiguous; cell (y, x) of a map at position
                first + y * width + x.
            first: Positions that are no part of the map (a class token).
            images: How many of the b count; the rest fills up the batch.
            bound: (units,) float32.
        """
        share = -(-images // min(self.threads, images))
        ranges = [range(at, min(at + share, images)) for at in range(0, images, share)]
        if len(self._highest) < images:
            shape = (images, self.tiling.tiles, self.units)
            self._highest = np.empty(shape, dtype=np.float32)
        numbers = np.zeros(images, dtype=np.int64)

        def find(part: range) -> None:
            strange = np.empty(self.units, dtype=np.float32)
            for at in part:
                numbers[at] = find_maxima(
                    memory[at], first, self.tiling.numbers, bound, self._highest[at], strange
                )

        self._divide(find, ranges)
        if numbers.min() < 0:
            return Found(Chunk.empty(self.tiling), int((numbers < 0).argmax()))
        heads = [0, *np.cumsum(numbers).tolist()]
        chunk = Chunk(
            np.repeat(np.arange(images, dtype=np.int32), numbers),
            np.empty(heads[-1], dtype=np.int32),
            np.empty(heads[-1], dtype=np.int32),
            np.empty((heads[-1], *self.tiling.patch), dtype=np.float32),
        )

        def copy(part: range) -> None:
            for at in part:
                own = slice(heads[at], heads[at + 1])
                copy_tiles(
                    *(memory[at], first, self.tiling.numbers, bound, self._highest[at]),
                    *(chunk.units[own], chunk.tiles[own], chunk.patches[own]),
                )

        self._divide(copy, ranges)
        return Found(chunk, -1)

    def _divide(self, work: Callable[[range], None], ranges: list[range]) -> None:
        """Do the work of all ranges, that of the first one in this thread."""
        jobs = [self.pool.submit(work, one) for one in ranges[1:]]
        work(ranges[0])
        for job in jobs:
            job.result()


@compiled
def find_maxima(
    values: MapArray,
    first: int,
    cut: Cut,
    bound: MapArray,
    highest: MapArray,
    strange: MapArray,
) -> int:
    """The largest value of every tile and unit of one image, the neighbours' edges included.

    Args:
        values: (positions, units) float32.
        first: See `Scanner.scan`.
        cut: Of the maps.
        bound: (units,) float32.
        highest: (tiles, units) float32, overwritten.
        strange: (units,) float32, overwritten.

    Returns:
        How many are above the bound; -1 if a value is not finite.
    """
    height, width, rows, columns, patch_rows, patch_columns, _, across = cut
    units = values.shape[1]
    highest[:] = -np.inf
    for unit in range(units):
        strange[unit] = 0
    for y in range(height):
        i = y // rows
        above = i > 0 and y == i * rows and patch_rows > rows
        for x in range(width):
            cell = values[first + y * width + x]
            j = x // columns
            before = j > 0 and x == j * columns and patch_columns > columns
            for unit in range(units):
                strange[unit] += cell[unit] - cell[unit]  # 0, or NaN for what is not finite
            raise_to(highest[i * across + j], cell)
            if before:
                raise_to(highest[i * across + j - 1], cell)
            if above:
                raise_to(highest[(i - 1) * across + j], cell)
            if above and before:
                raise_to(highest[(i - 1) * across + j - 1], cell)
    for unit in range(units):
        if strange[unit] != 0:
            return -1
    number = 0
    for tile in range(highest.shape[0]):
        for unit in range(units):
            number += highest[tile, unit] > bound[unit]
    return number


@compiled
def raise_to(highest: MapArray, cell: MapArray) -> None:
    """Set each number to the larger of the two; written so that many are compared at a time.

    Args:
        highest: (units,) float32, overwritten.
        cell: (units,) float32.
    """
    for unit in range(len(cell)):
        highest[unit] = cell[unit] if cell[unit] > highest[unit] else highest[unit]


@compiled
def copy_tiles(
    values: MapArray,
    first: int,
    cut: Cut,
    bound: MapArray,
    highest: MapArray,
    units: PlaceArray,
    tiles: PlaceArray,
    patches: MapArray,
) -> None:
    """Copy the tiles above the bound, by rising unit, then tile; see `find_maxima`.

    Args:
        values: As there.
        first: As there.
        cut: As there.
        bound: As there.
        highest: (tiles, units) float32, as it left them.
        units: (n,) int32, filled; n is what it returned.
        tiles: (n,) int32, filled.
        patches: (n, patch_rows, patch_columns) float32, filled.
    """
    height, width, rows, columns, patch_rows, patch_columns, _, across = cut
    place = 0
    for unit in range(values.shape[1]):
        limit = bound[unit]
        for tile in range(highest.shape[0]):
            if not highest[tile, unit] > limit:
                continue
            units[place] = unit
            tiles[place] = tile
            top, left = (tile // across) * rows, (tile % across) * columns
            for i in range(patch_rows):
                line = first + min(top + i, height - 1) * width
                for j in range(patch_columns):
                    patches[place, i, j] = values[line + min(left + j, width - 1), unit]
            place += 1


@compiled
def count_equal(memory: MapArray, first: int, cells: int, bound: MapArray, ties: IntArray) -> None:
    """Add to `ties` (units,) how many activations equal their unit's bound.

    Args:
        memory: (b, positions, units) float32.
        first: Positions before the map.
        cells: Positions of the map.
        bound: (units,) float32.
        ties: (units,) int64, added to.
    """
    for image in range(memory.shape[0]):
        for position in range(first, first + cells):
            values = memory[image, position]
            for unit in range(memory.shape[2]):
                ties[unit] += values[unit] == bound[unit]


def scan_maps(maps: torch.Tensor, tiling: Tiling, bound: torch.Tensor) -> Found:
    """As `Scanner.scan`, in torch operations, on whatever device the maps are.

    Args:
        maps: (b, units, h, w) float32, every image of which counts.
        tiling: Of the maps.
        bound: (units,) float32 on the same device.
    """
    lowest, largest = torch.aminmax(maps.flatten(1), dim=1)
    strange = ~(torch.isfinite(lowest) & torch.isfinite(largest))
    across, (rows, columns) = tiling.count[1], tiling.side
    missing = [
        (count - 1) * side + patch - cells
        for count, side, patch, cells in zip(
            tiling.count, tiling.side, tiling.patch, tiling.map_size, strict=True
        )
    ]
    padded = functional.pad(maps, (0, missing[1], 0, missing[0]), mode="replicate")
    highest = functional.max_pool2d(padded, tiling.patch, tiling.side)
    places = (highest > bound[:, None, None]).nonzero()
    image, unit, i, j = places.unbind(1)
    parts = padded.unfold(2, tiling.patch[0], rows).unfold(3, tiling.patch[1], columns)
    patches = parts[image, unit, i, j].cpu().numpy()
    numbers = torch.stack([image, unit, i * across + j]).to(torch.int32).cpu().numpy()
    bad = strange.nonzero().flatten().tolist()
    return Found(Chunk(numbers[0], numbers[1], numbers[2], patches), bad[0] if bad else -1)
