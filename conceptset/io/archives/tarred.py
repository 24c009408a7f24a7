"""Tar archives, plain or gzipped: one pass, each member checked before it is written."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from conceptset.errors import UnsafeError
from conceptset.io.archives.members import SMALL, Unpacking

MAX_HEADER = 1 << 20  # bytes of one member's header with all its extensions
_CHUNK = 1 << 18
# what tarfile, gzip and zlib raise on damaged archives; RecursionError is a RuntimeError
_BROKEN = (
    *(tarfile.TarError, EOFError, zlib.error, ValueError, OverflowError, IndexError, KeyError),
    *(RuntimeError, OSError),
)


def unpack_tar(unpacking: Unpacking, *, gzipped: bool) -> None:
    """Write every file of a tar archive; see `conceptset.io.archives.unpack`."""
    with unpacking.archive.open("rb") as raw:
        plain = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if gzipped else raw
        guard = _Guard(plain, unpacking)
        with _damage(unpacking):
            # only its parser is used: this object never writes a file
            archive = tarfile.TarFile(fileobj=cast("IO[bytes]", guard), mode="r")
        number = 0
        while (member := _next(unpacking, archive, guard)) is not None:
            number += 1
            unpacking.check_number(number)
            _unpack(unpacking, member, plain)
            unpacking.progress(number, 0)
        unpacking.check_folders()
        with _damage(unpacking):
            _check_end(unpacking, plain)


def _next(unpacking: Unpacking, archive: tarfile.TarFile, guard: _Guard) -> tarfile.TarInfo | None:
    """The next member; None behind the last one."""
    guard.left = MAX_HEADER
    with _damage(unpacking):
        member = archive.next()
    # tarfile takes a broken header, and the end of the file, for the end of the archive
    if member is None and guard.last.strip(b"\0"):
        raise unpacking.damaged("is damaged: the header of a member is broken")
    if member is None and len(guard.last) < tarfile.BLOCKSIZE:
        raise unpacking.damaged("is cut short: the mark of its end is missing")
    return member


def _unpack(unpacking: Unpacking, member: tarfile.TarInfo, plain: IO[bytes]) -> None:
    """Check and write one member."""
    name = member.name
    if member.issym() or member.islnk():
        kind = "a symbolic link" if member.issym() else "a hard link"
        raise unpacking.refused(f"is {kind}, plain files and folders were expected", name)
    if member.issparse() or not (member.isreg() or member.isdir()):
        kind = "a sparse file" if member.issparse() else "a device, a pipe or unknown"
        raise unpacking.refused(f"is {kind}, plain files and folders were expected", name)
    if member.size < 0:
        raise unpacking.damaged("is damaged: its size is negative", name)
    relative = unpacking.accepted(name, folder=member.isdir())
    unpacking.check_size(unpacking.unpacked + member.size)
    if relative is None:
        return
    with _damage(unpacking, name):
        plain.seek(member.offset_data)
        content = cast("IO[bytes]", _Content(plain, member.size))
        unpacking.write(relative, content, member.size, name)


def _check_end(unpacking: Unpacking, plain: IO[bytes]) -> None:
    """Read what lies behind the last member: there gzip checks what it unpacked."""
    behind = 0
    while chunk := plain.read(_CHUNK):
        behind += len(chunk)
        if behind > SMALL:
            raise UnsafeError(
                f"holds more than {SMALL >> 20} MiB behind its last member",
                path=unpacking.archive,
            )


@contextmanager
def _damage(unpacking: Unpacking, name: str | None = None) -> Iterator[None]:
    """What goes wrong while the archive is read, as our error."""
    try:
        yield
    except _BROKEN as error:
        raise unpacking.damaged(f"is damaged ({str(error) or type(error).__name__})", name) from (
            error
        )


class _Guard:
    """What the parser of headers reads from; it may not read endlessly.

    Attributes:
        left: Bytes it may still read for the header at hand.
        last: What it read last.
    """

    def __init__(self, plain: IO[bytes], unpacking: Unpacking) -> None:
        self._plain = plain
        self._unpacking = unpacking
        self.left = MAX_HEADER
        self.last = b""

    def read(self, size: int) -> bytes:
        if not 0 <= size <= self.left:
            raise UnsafeError(
                f"has a header of more than {MAX_HEADER >> 10} KiB", path=self._unpacking.archive
            )
        self.left -= size
        self.last = self._plain.read(size)
        return self.last

    def seek(self, place: int) -> int:
        return self._plain.seek(place)

    def tell(self) -> int:
        return self._plain.tell()


class _Content:
    """The bytes of one member."""

    def __init__(self, plain: IO[bytes], size: int) -> None:
        self._plain = plain
        self._left = size

    def read(self, size: int) -> bytes:
        data = self._plain.read(min(size, self._left))
        self._left -= len(data)
        return data
