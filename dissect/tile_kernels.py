"""Single activations in stored tiles: counted, copied, compared with a bound."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dissect.compiling import compiled
from dissect.tiles import Cut, IntArray, MapArray, PlaceArray


@compiled
def touch_above(patches: MapArray, units: PlaceArray, bound: MapArray) -> NDArray[np.bool_]:
    """(n,) bool, whether a tile holds a value above its unit's bound, neighbours' edges included.

    Args:
        patches: (n, patch rows, patch columns) float32.
        units: (n,) int32.
        bound: (units,) float32.
    """
    wanted = np.zeros(len(units), dtype=np.bool_)
    for n in range(len(units)):
        limit = bound[units[n]]
        high = False
        for i in range(patches.shape[1]):
            for j in range(patches.shape[2]):
                high |= patches[n, i, j] > limit
        wanted[n] = high
    return wanted


@compiled
def count_above(
    patches: MapArray,
    units: PlaceArray,
    tiles: PlaceArray,
    cut: Cut,
    bound: MapArray,
    numbers: IntArray,
) -> None:
    """Add to `numbers` (units,) how many cells that tiles own are above their unit's bound.

    Args:
        patches: (n, patch rows, patch columns) float32.
        units: (n,) int32.
        tiles: (n,) int32.
        cut: Of the maps.
        bound: (units,) float32.
        numbers: (units,) int64, added to.
    """
    height, width, rows, columns, _, _, _, across = cut
    for n in range(len(units)):
        limit = bound[units[n]]
        number = 0
        for i in range(min(rows, height - tiles[n] // across * rows)):
            for j in range(min(columns, width - tiles[n] % across * columns)):
                number += patches[n, i, j] > limit
        numbers[units[n]] += number


@compiled
def gather_above(
    patches: MapArray,
    units: PlaceArray,
    tiles: PlaceArray,
    cut: Cut,
    bound: MapArray,
    fill: IntArray,
    values: MapArray,
) -> None:
    """Copy those cells into their unit's part of `values`; see `count_above`.

    Args:
        patches: As there.
        units: As there.
        tiles: As there.
        cut: As there.
        bound: As there.
        fill: (units,) int64, the next free place of each unit, moved on; -1: leave it out.
        values: Flat float32, filled.
    """
    height, width, rows, columns, _, _, _, across = cut
    for n in range(len(units)):
        unit = units[n]
        place = fill[unit]
        if place < 0:
            continue
        limit = bound[unit]
        for i in range(min(rows, height - tiles[n] // across * rows)):
            for j in range(min(columns, width - tiles[n] % across * columns)):
                if patches[n, i, j] > limit:
                    values[place] = patches[n, i, j]
                    place += 1
        fill[unit] = place
