"""Compilation of the numeric kernels, and of bodies that several threads run at once."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numba
import numpy as np
from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

Function = TypeVar("Function", bound=Callable[..., Any])
Values = Sequence[ir.Value]
if TYPE_CHECKING:
    Table = ctypes._Pointer[ctypes.c_int64]


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


class Body:
    """A function of a table of addresses, in machine code that never asks for the lock.

    Args:
        function: Takes a pointer to int64 words, the table of `lay_out`, and calls `take_next` for
            one piece of work after the other until none is left. It must not raise.
    """

    def __init__(self, function: Callable[[Table], None]) -> None:
        self._function = function

    @functools.cached_property
    def address(self) -> int:
        """Where its code lies; compiled, or read from the cache, the first time."""
        signature = "void(CPointer(int64))"
        try:
            self._code = numba.cfunc(signature, cache=True)(self._function)
        except RuntimeError:  # no directory for the cache
            self._code = numba.cfunc(signature)(self._function)
        return cast("int", self._code.address)


def lay_out(*arrays: NDArray[Any]) -> NDArray[np.int64]:
    """A table for a `Body`: a word that counts, then the address and the sizes of each array.

    The arrays must be contiguous, and live for as long as the table is used.

    >>> lay_out(np.zeros((2, 3)), np.zeros(4))[[0, 2, 3, 5]].tolist()
    [0, 2, 3, 4]
    """
    words = [0]
    for array in arrays:
        if not array.flags.c_contiguous:
            raise AssertionError("only a contiguous array can be told by its address")
        words += [array.ctypes.data, *array.shape]
    return np.array(words, dtype=np.int64)


def _take_next(_: object, table: types.Type) -> tuple[object, object]:
    def generate(_c: object, builder: ir.IRBuilder, _s: object, values: Values) -> ir.Value:
        return builder.atomic_rmw("add", values[0], ir.Constant(ir.IntType(64), 1), "monotonic")

    return types.int64(table), generate


def _as_pointer(_: object, address: types.Type) -> tuple[object, object]:
    def generate(_c: object, builder: ir.IRBuilder, _s: object, values: Values) -> ir.Value:
        return builder.inttoptr(values[0], ir.IntType(8).as_pointer())

    return types.voidptr(address), generate


# in a `Body`: the number of the next piece of work, from 0; no two threads get the same
take_next = cast("Callable[[Table], int]", intrinsic(_take_next))
# in a `Body`: what lies at an address, for `numba.carray`
as_pointer = cast("Callable[[np.int64], ctypes.c_void_p]", intrinsic(_as_pointer))
# an array at such a pointer; public, though numba's own types do not say so
carray = cast("Any", numba).carray
