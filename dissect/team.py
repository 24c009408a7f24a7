"""Work on the threads that the network computes with, between two of its operations.

PyTorch's threads (a team of OpenMP) do not sleep when an operation is over: they spin, so as to
be quick at the next one, and keep their cores from any other thread of the process. Work that
comes in between, inside a hook, is done in half the time by these threads themselves, and in a
fifth if none of them asks for the interpreter's lock. The call that compilers emit for a parallel
region, `GOMP_parallel`, is part of the binary interface of GNU's runtime and offered by Intel's
and LLVM's, too; where none is found, or it is not the one that torch uses, threads of our own do
the work.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from dissect.compiling import Body, lay_out

_Function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class Team:
    """So many threads that share out a piece of work, the calling one among them.

    Args:
        threads: As many as torch was told to use, or it has to gather its threads anew.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads

    def run(self, body: Body, *arrays: NDArray[Any]) -> None:
        """Have every thread run a body until no work is left.

        Args:
            body: Of machine code.
            arrays: What it is told, contiguous; see `lay_out`.
        """
        table = lay_out(*arrays)
        function, address = _Function(body.address), table.ctypes.data
        region = _parallel_region()
        if self.threads == 1:
            function(address)
        elif region is not None:
            region(function, address, self.threads, 0)
        else:
            with ThreadPoolExecutor(self.threads - 1, thread_name_prefix="team") as pool:
                others = [pool.submit(function, address) for _ in range(self.threads - 1)]
                function(address)
                for other in others:
                    other.result()


@functools.cache
def _parallel_region() -> Callable[..., Any] | None:
    """What runs a function on every thread of torch's team; None if there is no such thing."""
    torch = sys.modules.get("torch")  # whoever only reads what a run wrote does without
    if torch is None or torch.__file__ is None:
        return None
    folder = Path(torch.__file__).parent
    near = (str(folder), str(folder.with_name("torch.libs")))
    runtimes = [one for one in threadpool_info() if one["user_api"] == "openmp"]
    own = [one for one in runtimes if one["filepath"].startswith(near)]
    chosen = own if own else runtimes
    if len(chosen) != 1:
        return None
    region = getattr(ctypes.CDLL(chosen[0]["filepath"]), "GOMP_parallel", None)
    if region is not None:
        region.argtypes = [_Function, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        region.restype = None
    return region
