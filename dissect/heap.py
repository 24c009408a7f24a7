"""Freed memory kept by the process while a network runs, so that its next operation has it at once.

The C library gives large blocks back to the system when they are freed. A network on the CPU
allocates and frees the output of every operation: for each the system finds fresh pages again and
fills them with zeros, of a resnet18 some 2,300 an image, a tenth or more of the whole forward
pass. GNU's C library can be told to keep them; no figure depends on it, and the peak is the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import threading
from collections.abc import Callable, Iterator

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # of malloc.h
_MOST = (1 << 31) - 1  # bytes, the largest number that mallopt takes
_USUAL = 32 << 20  # bytes; where the library's own rule ends up once such a block was freed

_lock = threading.Lock()
_inside = 0


@contextlib.contextmanager
def kept_memory() -> Iterator[None]:
    """Keep what is freed until the last that asked for it is done; no more than a hint elsewhere.

    It holds for the whole process, and may be asked for again inside.
    """
    global _inside  # noqa: PLW0603 - the allocator is one for the process
    functions = _allocator()
    if functions is None:
        yield
        return
    mallopt, trim = functions
    with _lock:
        _inside += 1
        mallopt(_MMAP_THRESHOLD, _MOST)
        mallopt(_TRIM_THRESHOLD, _MOST)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                mallopt(_MMAP_THRESHOLD, _USUAL)
                mallopt(_TRIM_THRESHOLD, 2 * _USUAL)
                trim(0)


@functools.cache
def _allocator() -> tuple[Callable[[int, int], int], Callable[[int], int]] | None:
    """`mallopt` and `malloc_trim` of GNU's C library; None if the process runs on another."""
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018 - none but GNU's has it
        return library.mallopt, library.malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
