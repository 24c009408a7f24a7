"""Sorting inside kernels: numba's own sort takes seconds to compile, for each type anew."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from dissect.compiling import compiled

_GROWTH = 3  # of the steps of Shell's sort: 1, 4, 13, 40 ... (Knuth 1973, section 5.2.1)


@compiled
def sort_values(values: NDArray[Any]) -> None:
    """Put (n,) values, none of them NaN, in rising order; meant for up to some thousands."""
    step = 1
    while _GROWTH * step < len(values):
        step = _GROWTH * step + 1
    while step > 0:
        for place in range(step, len(values)):
            value, free = values[place], place
            while free >= step and values[free - step] > value:
                values[free] = values[free - step]
                free -= step
            values[free] = value
        step //= _GROWTH
