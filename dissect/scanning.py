"""One look at activations as they leave a layer: tiles that rise above a bound are copied out.

Every value is read once, in the order in which it lies in memory, with the units side by side so
that many are compared at a time; of a tile that is low everywhere nothing is kept. The same is
said in torch operations for activations on an accelerator.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from dissect.compiling import Body, as_pointer, carray, compiled, take_next
from dissect.team import Team
from dissect.tiles import Chunk, IntArray, MapArray, PlaceArray, Tiling

if TYPE_CHECKING:
    from dissect.compiling import Table

_TOLD = 15  # words of a table before what only one of the bodies needs


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan of a batch found.

    Attributes:
        chunk: The tiles, image after image.
        bad: The first image of the batch with a value that is not finite; -1 if there is none.
    """

    chunk: Chunk
    bad: int


@dataclass(slots=True)
class Scanner:
    """Scans the activations of one layer.

    Attributes:
        tiling: Of its maps.
        units: Of the layer.
        team: Threads to use.
    """

    tiling: Tiling
    units: int
    team: Team
    _highest: MapArray = field(default_factory=lambda: np.empty((0, 0, 0), dtype=np.float32))

    def scan(self, memory: MapArray, first: int, rows: PlaceArray, bound: MapArray) -> Found:
        """The tiles above the bound.

        Args:
            memory: (b, positions, units) float32, contiguous; cell (y, x) of a map at position
                first + y * width + x.
            first: Positions that are no part of the map (a class token).
            rows: (n,) int32 of the images of the index; the rest of the b fills up the batch.
            bound: (units,) float32.
        """
        if len(self._highest) < len(rows):
            shape = (len(rows), self.tiling.tiles, self.units)
            self._highest = np.empty(shape, dtype=np.float32)
        cut = np.append(self.tiling.numbers, first)
        numbers = np.zeros(len(rows), dtype=np.int64)
        told = (memory, bound, self._highest, cut, numbers)
        self.team.run(find_in_images, *told)
        if numbers.min() < 0:
            return Found(Chunk.empty(self.tiling), int((numbers < 0).argmax()))
        heads = np.zeros(len(rows) + 1, dtype=np.int64)
        np.cumsum(numbers, out=heads[1:])
        chunk = Chunk.blank(self.tiling, int(heads[-1]))
        places = (chunk.rows, chunk.units, chunk.tiles, chunk.patches)
        self.team.run(copy_from_images, *told, heads, rows, *places)
        return Found(chunk, -1)


@compiled
def read_told(words: IntArray) -> tuple[MapArray, MapArray, MapArray, IntArray, IntArray]:
    """The arrays that both bodies are told, from the first `_TOLD` words of their table."""
    values = carray(as_pointer(words[1]), (words[2], words[3], words[4]), np.float32)
    bound = carray(as_pointer(words[5]), words[6], np.float32)
    highest = carray(as_pointer(words[7]), (words[8], words[9], words[10]), np.float32)
    cut = carray(as_pointer(words[11]), words[12], np.int64)
    numbers = carray(as_pointer(words[13]), words[14], np.int64)
    return values, bound, highest, cut, numbers


@Body
def find_in_images(table: Table) -> None:
    """Set `numbers` to what `find_maxima` returns of each image; see `Scanner.scan`."""
    values, bound, highest, cut, numbers = read_told(carray(table, _TOLD))
    strange = np.empty(len(bound), dtype=np.float32)
    image = take_next(table)
    while image < len(numbers):
        numbers[image] = find_maxima(values[image], cut, bound, highest[image], strange)
        image = take_next(table)


@Body
def copy_from_images(table: Table) -> None:
    """Fill a chunk with the tiles of every image, from where `heads` says; see `copy_tiles`."""
    values, bound, highest, cut, numbers = read_told(carray(table, _TOLD))
    words = carray(table, _TOLD + 14)[_TOLD:]
    heads = carray(as_pointer(words[0]), words[1], np.int64)
    images = carray(as_pointer(words[2]), words[3], np.int32)
    rows = carray(as_pointer(words[4]), words[5], np.int32)
    units = carray(as_pointer(words[6]), words[7], np.int32)
    tiles = carray(as_pointer(words[8]), words[9], np.int32)
    shape = (words[11], words[12], words[13])
    patches = carray(as_pointer(words[10]), shape, np.float32)
    image = take_next(table)
    while image < len(numbers):
        own = slice(heads[image], heads[image + 1])
        rows[own] = images[image]
        copy_tiles(
            *(values[image], cut, bound, highest[image]),
            *(units[own], tiles[own], patches[own]),
        )
        image = take_next(table)


@compiled
def find_maxima(
    values: MapArray, cut: IntArray, bound: MapArray, highest: MapArray, strange: MapArray
) -> int:
    """The largest value of every tile and unit of one image, the neighbours' edges included.

    Args:
        values: (positions, units) float32.
        cut: (9,) int64, the numbers of a `Tiling`, then the position of the first cell.
        bound: (units,) float32.
        highest: (tiles, units) float32, overwritten.
        strange: (units,) float32, overwritten.

    Returns:
        How many are above the bound; -1 if a value is not finite.
    """
    height, width, rows, columns = cut[0], cut[1], cut[2], cut[3]
    patch_rows, patch_columns, across, first = cut[4], cut[5], cut[7], cut[8]
    units = values.shape[1]
    highest.fill(-np.inf)
    strange.fill(0)
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
    cut: IntArray,
    bound: MapArray,
    highest: MapArray,
    units: PlaceArray,
    tiles: PlaceArray,
    patches: MapArray,
) -> None:
    """Copy the tiles of an image above the bound, by rising unit, then tile.

    Args:
        values: As in `find_maxima`.
        cut: As there.
        bound: As there.
        highest: (tiles, units) float32, as it left them.
        units: (n,) int32, filled; n is what it returned.
        tiles: (n,) int32, filled.
        patches: (n, patch rows, patch columns) float32, filled.
    """
    height, width, rows, columns = cut[0], cut[1], cut[2], cut[3]
    patch_rows, patch_columns, across, first = cut[4], cut[5], cut[7], cut[8]
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


def scan_maps(maps: torch.Tensor, tiling: Tiling, rows: PlaceArray, bound: torch.Tensor) -> Found:
    """As `Scanner.scan`, in torch operations, on whatever device the maps are.

    Args:
        maps: (n, units, h, w) float32.
        tiling: Of the maps.
        rows: (n,) int32 of the images of the index.
        bound: (units,) float32 on the same device.
    """
    lowest, largest = torch.aminmax(maps.flatten(1), dim=1)
    strange = ~(torch.isfinite(lowest) & torch.isfinite(largest))
    across, (down, right) = tiling.count[1], tiling.side
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
    parts = padded.unfold(2, tiling.patch[0], down).unfold(3, tiling.patch[1], right)
    patches = parts[image, unit, i, j].cpu().numpy()
    numbers = torch.stack([image, unit, i * across + j]).to(torch.int32).cpu().numpy()
    bad = strange.nonzero().flatten().tolist()
    chunk = Chunk(rows[numbers[0]], numbers[1], numbers[2], patches)
    return Found(chunk, bad[0] if bad else -1)
