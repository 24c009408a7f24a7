"""Masks drawn, many at once: pixel for pixel those that are counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dissect.compiling import Body, as_pointer, carray, compiled, take_next
from dissect.mask_kernels import count_reduced, count_regions
from dissect.team import Team
from dissect.tiles import Chunk, Tiling
from dissect.upsample import FloatArray, Grid, IntArray

if TYPE_CHECKING:
    from dissect.compiling import Table


def draw_masks(
    chunk: Chunk,
    wanted: IntArray,
    limits: FloatArray,
    grids: Sequence[Grid],
    bits: NDArray[np.uint8],
    *,
    tiling: Tiling,
    team: Team,
) -> None:
    """Draw a mask for every row of `wanted`.

    Args:
        chunk: Tiles of one layer, of as many images as there are; whole maps where a grid reduces
            them.
        wanted: (n, 4) int64 rows (first tile of the mask, the one after its last, place of its
            grid in `grids`, its line in `bits`).
        limits: (n,) float64, the thresholds.
        grids: Maps over label maps of every size.
        bits: (m, bytes) uint8; a line is set to a mask, row by row, eight pixels a byte, the
            first in the highest bit (`numpy.packbits`). What a line has more is left as it is.
        tiling: Of the layer's maps.
        team: Threads that draw.
    """
    tables = np.array([_address_grid(grid) for grid in grids], dtype=np.int64).reshape(-1, 15)
    told = (np.ascontiguousarray(chunk.patches), np.ascontiguousarray(chunk.tiles), wanted, limits)
    team.run(draw_wanted, *told, tiling.numbers, tables, bits)


def _address_grid(grid: Grid) -> list[int]:
    """The sizes of a grid and where its tables lie, for `draw_wanted`."""
    up, over = grid.vertical, grid.horizontal
    tables = (up.starts, up.weights, over.starts, over.weights, up.first, up.taps)
    return [
        int(grid.reduces),
        *(len(up.weights), len(over.weights), len(up.starts), len(over.starts)),
        *(table.ctypes.data for table in (*tables, over.first, over.taps)),
        *(up.taps.shape[1], over.taps.shape[1]),
    ]


@Body
def draw_wanted(table: Table) -> None:
    """Draw one mask after the other; see `draw_masks` for what is laid out."""
    words = carray(table, 21)
    patches = carray(as_pointer(words[1]), (words[2], words[3], words[4]), np.float32)
    tiles = carray(as_pointer(words[5]), words[6], np.int32)
    wanted = carray(as_pointer(words[7]), (words[8], words[9]), np.int64)
    limits = carray(as_pointer(words[10]), words[11], np.float64)
    cut = carray(as_pointer(words[12]), words[13], np.int64)
    grids = carray(as_pointer(words[14]), (words[15], words[16]), np.int64)
    bits = carray(as_pointer(words[17]), (words[18], words[19]), np.uint8)
    highest = np.empty(1, dtype=np.float32)
    starts = np.zeros(2, dtype=np.int64)
    region = np.empty((0, 0), dtype=np.int32)
    counts = np.empty((1, 0), dtype=np.uint8)
    place = take_next(table)
    while place < len(wanted):
        first, end, number, line = wanted[place]
        grid = grids[number]
        sides = (grid[1], grid[2])
        if region.shape != sides:  # each pixel is a region, which is counted once or not
            region = np.empty(sides, dtype=np.int32)
            for pixel in range(region.size):
                region[pixel // sides[1], pixel % sides[1]] = pixel
            counts = np.empty((1, region.size), dtype=np.uint8)
        counts.fill(0)
        limit, part = limits[place : place + 1], patches[first:end]
        if grid[0]:
            row_first = carray(as_pointer(grid[9]), sides[0], np.int64)
            row_taps = carray(as_pointer(grid[10]), (sides[0], grid[13]), np.float64)
            column_first = carray(as_pointer(grid[11]), sides[1], np.int64)
            column_taps = carray(as_pointer(grid[12]), (sides[1], grid[14]), np.float64)
            taps = (row_first, row_taps, column_first, column_taps)
            count_reduced(part, limit, *taps, region, counts, highest)
        else:
            row_starts = carray(as_pointer(grid[5]), grid[3], np.int64)
            row_weights = carray(as_pointer(grid[6]), sides[0], np.float64)
            column_starts = carray(as_pointer(grid[7]), grid[4], np.int64)
            column_weights = carray(as_pointer(grid[8]), sides[1], np.float64)
            uniform = np.full((grid[3] - 1, grid[4] - 1), np.int32(-1), dtype=np.int32)
            starts[1] = end - first
            count_regions(
                *(part, tiles[first:end], starts, limit, cut),
                *(row_starts, row_weights, column_starts, column_weights),
                *(region, uniform, counts, highest),
            )
        pack_bits(counts[0], bits[line])
        place = take_next(table)


@compiled
def pack_bits(pixels: NDArray[np.uint8], bits: NDArray[np.uint8]) -> None:
    """As `numpy.packbits`.

    Args:
        pixels: (n,) uint8, 0 or 1.
        bits: ((n + 7) // 8 or more,) uint8, overwritten.
    """
    whole = len(pixels) // 8
    for place in range(whole):
        byte = 0
        for n in range(8 * place, 8 * place + 8):
            byte = 2 * byte + pixels[n]
        bits[place] = byte
    rest = len(pixels) - 8 * whole
    if rest:
        byte = 0
        for n in range(8 * whole, len(pixels)):
            byte = 2 * byte + pixels[n]
        bits[whole] = byte << (8 - rest)
