"""Scratch data of a build on disk instead of in memory: written once, read by place, any process.

Scratch lies in the directory that is being written and is removed before that is complete: it
needs no room that the result's file system lacks (the system's own folder for temporary files is
often memory), and whatever ends the program, it goes with the unfinished directory.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

SCRATCH = ".scratch"
_LENGTH = 4


class Extent(NamedTuple):
    """A place in a spool, bytes."""

    offset: int
    length: int


class Spool:
    """A file that only grows; `append` says where something was put."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = path.open("xb", buffering=1 << 20)
        self._end = 0

    def append(self, data: bytes) -> Extent:
        """Put something at the end."""
        self._stream.write(data)
        extent = Extent(self._end, len(data))
        self._end += len(data)
        return extent

    def flush(self) -> None:
        """Let readers see everything."""
        self._stream.flush()

    def close(self) -> None:
        """Write what waits; nothing can be appended any more."""
        self._stream.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def read_extents(path: Path, extents: Sequence[Extent]) -> list[bytes]:
    """What was put at these places of a spool."""
    if not extents:
        return []
    result = []
    with path.open("rb", buffering=0) as stream:
        for extent in extents:
            stream.seek(extent.offset)
            result.append(stream.read(extent.length))
    return result


def scratch_of(folder: Path) -> Path:
    """Where the scratch of a directory being written lies; it is made if need be."""
    scratch = folder / SCRATCH
    scratch.mkdir(exist_ok=True)
    return scratch


def remove_scratch(folder: Path) -> None:
    """Remove it with all that is in it."""
    scratch = folder / SCRATCH
    if scratch.exists():
        shutil.rmtree(scratch)


def pack(header: object, blobs: Sequence[bytes]) -> bytes:
    """One block of bytes from a header that JSON can hold and any number of binary parts.

    >>> unpack(pack({"a": 1}, [b"x", b"yz"]))[0]
    {'a': 1}
    """
    text = json.dumps([[len(blob) for blob in blobs], header], separators=(",", ":")).encode()
    return b"".join((len(text).to_bytes(_LENGTH, "little"), text, *blobs))


def unpack(data: bytes) -> tuple[Any, list[memoryview]]:
    """Header and binary parts of a block; the inverse of `pack`."""
    begin = _LENGTH + int.from_bytes(data[:_LENGTH], "little")
    lengths, header = json.loads(data[_LENGTH:begin])
    view = memoryview(data)
    blobs = []
    for length in lengths:
        blobs.append(view[begin : begin + length])
        begin += length
    return header, blobs
