"""Tiles that are stored: single activations counted, copied, compared with a bound.

The bodies work on many chunks at once. Of chunk k they are told a row of a table of int64: the
addresses of its rows, units, tiles and patches, and how many tiles it has (`address_chunks`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dissect.compiling import Body, as_pointer, carray, compiled, take_next
from dissect.tiles import Chunk, IntArray, MapArray, PlaceArray

if TYPE_CHECKING:
    from dissect.compiling import Table


def address_chunks(chunks: Sequence[Chunk]) -> IntArray:
    """(k, 5) int64, where the arrays of each chunk lie; the chunks must be kept meanwhile."""
    words = []
    for chunk in chunks:
        arrays = (chunk.rows, chunk.units, chunk.tiles, chunk.patches)
        if not all(array.flags.c_contiguous for array in arrays):
            raise AssertionError("only a contiguous array can be told by its address")
        words.append([*(array.ctypes.data for array in arrays), len(chunk.rows)])
    return np.array(words, dtype=np.int64).reshape(-1, 5)


@compiled
def read_chunk(
    words: IntArray, cut: IntArray
) -> tuple[PlaceArray, PlaceArray, PlaceArray, MapArray]:
    """The rows, units, tiles and patches of a chunk.

    Args:
        words: (5,) int64, see `address_chunks`.
        cut: (8,) int64, the numbers of a `Tiling`.
    """
    number = words[4]
    rows = carray(as_pointer(words[0]), number, np.int32)
    units = carray(as_pointer(words[1]), number, np.int32)
    tiles = carray(as_pointer(words[2]), number, np.int32)
    patches = carray(as_pointer(words[3]), (number, cut[4], cut[5]), np.float32)
    return rows, units, tiles, patches


@compiled
def read_told(words: IntArray) -> tuple[IntArray, IntArray, MapArray]:
    """The chunks, the numbers of the tiling and the bound, which several bodies are told first."""
    chunks = carray(as_pointer(words[1]), (words[2], words[3]), np.int64)
    cut = carray(as_pointer(words[4]), words[5], np.int64)
    bound = carray(as_pointer(words[6]), words[7], np.float32)
    return chunks, cut, bound


@Body
def count_in_chunks(table: Table) -> None:
    """Of each chunk and unit, how many cells that its tiles own are above the unit's bound.

    Laid out: the chunks (k, 5); the numbers of the tiling (8,) int64; the bound (units,) float32;
    `numbers` (k, units) int64, added to.
    """
    words = carray(table, 11)
    chunks, cut, bound = read_told(words)
    numbers = carray(as_pointer(words[8]), (words[9], words[10]), np.int64)
    place = take_next(table)
    while place < len(chunks):
        _, units, tiles, patches = read_chunk(chunks[place], cut)
        count_above(patches, units, tiles, cut, bound, numbers[place])
        place = take_next(table)


@compiled
def count_above(
    patches: MapArray,
    units: PlaceArray,
    tiles: PlaceArray,
    cut: IntArray,
    bound: MapArray,
    numbers: IntArray,
) -> None:
    """As `count_in_chunks`, of one chunk.

    Args:
        patches: (n, patch rows, patch columns) float32.
        units: (n,) int32.
        tiles: (n,) int32.
        cut: (8,) int64.
        bound: (units,) float32.
        numbers: (units,) int64, added to.
    """
    height, width, rows, columns, across = cut[0], cut[1], cut[2], cut[3], cut[7]
    for n in range(len(units)):
        limit = bound[units[n]]
        number = 0
        for i in range(min(rows, height - tiles[n] // across * rows)):
            for j in range(min(columns, width - tiles[n] % across * columns)):
                number += patches[n, i, j] > limit
        numbers[units[n]] += number


@Body
def gather_from_chunks(table: Table) -> None:
    """Copy those cells to where they belong in `values`; see `count_in_chunks`.

    Laid out: the chunks, the tiling and the bound, as there; `places` (k, units) int64, where in
    `values` those of a chunk and a unit begin, moved on, -1 for what is left out; `values` (n,)
    float32, filled.
    """
    words = carray(table, 13)
    chunks, cut, bound = read_told(words)
    places = carray(as_pointer(words[8]), (words[9], words[10]), np.int64)
    values = carray(as_pointer(words[11]), words[12], np.float32)
    place = take_next(table)
    while place < len(chunks):
        _, units, tiles, patches = read_chunk(chunks[place], cut)
        gather_above(patches, units, tiles, cut, bound, places[place], values)
        place = take_next(table)


@compiled
def gather_above(
    patches: MapArray,
    units: PlaceArray,
    tiles: PlaceArray,
    cut: IntArray,
    bound: MapArray,
    places: IntArray,
    values: MapArray,
) -> None:
    """As `gather_from_chunks`, of one chunk; see `count_above`.

    Args:
        patches: As there.
        units: As there.
        tiles: As there.
        cut: As there.
        bound: As there.
        places: (units,) int64, the next free place of each unit, moved on; -1: leave it out.
        values: (n,) float32, filled.
    """
    height, width, rows, columns, across = cut[0], cut[1], cut[2], cut[3], cut[7]
    own = np.empty(rows * columns + 1, dtype=np.float32)
    for n in range(len(units)):
        place = places[units[n]]
        if place < 0:
            continue
        limit = bound[units[n]]
        number = 0
        for i in range(min(rows, height - tiles[n] // across * rows)):
            for j in range(min(columns, width - tiles[n] % across * columns)):
                own[number] = patches[n, i, j]  # kept if it is above; quicker than a question
                number += patches[n, i, j] > limit
        for k in range(number):
            values[place + k] = own[k]
        places[units[n]] = place + number


@Body
def raise_bounds(table: Table) -> None:
    """Set the bound of units to their `rank`-th largest value, and the ties to how many equal it.

    Laid out: `values` (n,) float32, all above the bound as it was; `chosen` (m, 3) int64, a unit,
    where its values begin, and how many there are, at least `rank`; `rank` (1,) int64; the bound
    (units,) float32; ties (units,) int64, as many as the `rank` largest have of the new bound.
    """
    words = carray(table, 12)
    values = carray(as_pointer(words[1]), words[2], np.float32)
    chosen = carray(as_pointer(words[3]), (words[4], words[5]), np.int64)
    rank = carray(as_pointer(words[6]), words[7], np.int64)[0]
    bound = carray(as_pointer(words[8]), words[9], np.float32)
    ties = carray(as_pointer(words[10]), words[11], np.int64)
    place = take_next(table)
    while place < len(chosen):
        unit, head, number = chosen[place]
        part = values[head : head + number]
        limit = find_largest(part, rank)
        above = 0
        for value in part:
            above += value > limit
        bound[unit] = limit
        ties[unit] = rank - above  # what there was before is below it
        place = take_next(table)


@compiled
def find_largest(values: MapArray, rank: int) -> np.float32:
    """The `rank`-th largest of some values, none of which is NaN.

    Their bits, ordered as the values are, are counted eleven at a time from the highest, and only
    those that begin like the one wanted are looked at again.

    Args:
        values: (n,) float32, n >= rank.
        rank: From 1.
    """
    sign = np.uint32(1 << 31)
    keys = values.view(np.uint32).copy()
    for n in range(len(keys)):
        keys[n] = ~keys[n] if keys[n] & sign else keys[n] | sign
    left = len(keys)
    for shift in (21, 10, 0):
        bits = np.uint32((1 << 11) - 1 if shift else (1 << 10) - 1)
        numbers = np.zeros(1 << 11, dtype=np.int64)
        for n in range(left):
            numbers[(keys[n] >> np.uint32(shift)) & bits] += 1
        wanted = len(numbers) - 1
        while numbers[wanted] < rank:
            rank -= numbers[wanted]
            wanted -= 1
        into = 0
        for n in range(left):
            key = keys[n]
            keys[into] = key
            into += (key >> np.uint32(shift)) & bits == np.uint32(wanted)
        left = into
    keys[0] = keys[0] ^ sign if keys[0] & sign else ~keys[0]
    largest: np.float32 = keys[:1].view(np.float32)[0]
    return largest


@Body
def mark_in_chunks(table: Table) -> None:
    """Mark the tiles that hold a value above the bound, neighbours' edges included.

    Laid out: the chunks, the tiling and the bound, as in `count_in_chunks`; `heads` (k,) int64,
    where the marks of each begin; `wanted` (n,) bool; `numbers` (k,) int64, set to how many.
    """
    words = carray(table, 14)
    chunks, cut, bound = read_told(words)
    heads = carray(as_pointer(words[8]), words[9], np.int64)
    wanted = carray(as_pointer(words[10]), words[11], np.bool_)
    numbers = carray(as_pointer(words[12]), words[13], np.int64)
    place = take_next(table)
    while place < len(chunks):
        _, units, _, patches = read_chunk(chunks[place], cut)
        marks = wanted[heads[place] : heads[place] + len(units)]
        numbers[place] = mark_above(patches, units, bound, marks)
        place = take_next(table)


@compiled
def mark_above(
    patches: MapArray, units: PlaceArray, bound: MapArray, wanted: NDArray[np.bool_]
) -> int:
    """As `mark_in_chunks`, of one chunk: how many tiles are marked.

    Args:
        patches: (n, patch rows, patch columns) float32.
        units: (n,) int32.
        bound: (units,) float32.
        wanted: (n,) bool, overwritten.
    """
    number = 0
    for n in range(len(units)):
        limit = bound[units[n]]
        high = False
        for i in range(patches.shape[1]):
            for j in range(patches.shape[2]):
                high |= patches[n, i, j] > limit
        wanted[n] = high
        number += high
    return number


@Body
def copy_marked(table: Table) -> None:
    """Copy the tiles that are marked into chunks of their own.

    Laid out: the chunks and the tiling, as in `count_in_chunks`; `heads` and `wanted`, as in
    `mark_in_chunks`; the chunks that are filled (k, 5).
    """
    words = carray(table, 13)
    chunks = carray(as_pointer(words[1]), (words[2], words[3]), np.int64)
    cut = carray(as_pointer(words[4]), words[5], np.int64)
    heads = carray(as_pointer(words[6]), words[7], np.int64)
    wanted = carray(as_pointer(words[8]), words[9], np.bool_)
    smaller = carray(as_pointer(words[10]), (words[11], words[12]), np.int64)
    place = take_next(table)
    while place < len(chunks):
        rows, units, tiles, patches = read_chunk(chunks[place], cut)
        rows_left, units_left, tiles_left, patches_left = read_chunk(smaller[place], cut)
        marks = wanted[heads[place] : heads[place] + len(units)]
        into = 0
        for n in range(len(units)):
            if marks[n]:
                rows_left[into] = rows[n]
                units_left[into] = units[n]
                tiles_left[into] = tiles[n]
                for i in range(patches.shape[1]):
                    for j in range(patches.shape[2]):
                        patches_left[into, i, j] = patches[n, i, j]
                into += 1
        place = take_next(table)
