"""Compilation of the numeric kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def compiled(function: Function) -> Function:
    """The function as machine code that runs without the interpreter's lock.

    The code is kept between runs where a place can be written, else compiled anew in each.
    Floating point is strict: no reordering, no contraction to fused operations.
    """
    try:
        kernel = numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no directory for the cache
        kernel = numba.njit(nogil=True)(function)
    return cast("Function", kernel)
