"""Zip archives: everything is checked on the list of members before anything is written."""

from __future__ import annotations

import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from conceptset.errors import UnsafeError
from conceptset.io.archives.members import Unpacking

MAX_LISTING = 64 << 20  # bytes of the list of members
_METHODS = {9: "Deflate64", 12: "bzip2", 14: "lzma", 93: "zstandard", 95: "xz", 98: "PPMd"}
_ENCRYPTED, _UTF8 = 0x1, 0x800
# what the zipfile module raises on damaged archives; RuntimeError has RecursionError below it
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, ValueError, OverflowError),
    *(NotImplementedError, RuntimeError, OSError),
)
_END, _PLACE64, _END64, _ENTRY = b"PK\x05\x06", b"PK\x06\x07", b"PK\x06\x06", b"PK\x01\x02"
_END_SIZE, _PLACE64_SIZE, _END64_SIZE, _ENTRY_SIZE = 22, 20, 56, 46


def unpack_zip(unpacking: Unpacking) -> None:
    """Write every file of a zip archive; see `conceptset.io.archives.unpack`."""
    with unpacking.archive.open("rb") as stream:
        _check_listing(unpacking, stream)
        with _damage(unpacking):
            archive = zipfile.ZipFile(stream)
        with archive:
            _unpack(unpacking, archive)


def _unpack(unpacking: Unpacking, archive: zipfile.ZipFile) -> None:
    members = archive.infolist()
    unpacking.check_number(len(members))
    wanted = [(one, relative) for one in members if (relative := _checked(unpacking, one))]
    unpacking.check_folders()
    total = sum(member.file_size for member, _ in wanted)
    unpacking.check_size(total)
    unpacking.check_room(total)
    for done, (member, relative) in enumerate(wanted, start=1):
        name = _name(member)
        with _damage(unpacking, name), archive.open(member) as content:
            unpacking.write(relative, content, member.file_size, name)
        unpacking.progress(done, len(wanted))


def _checked(unpacking: Unpacking, member: zipfile.ZipInfo) -> str | None:
    """The path of a member below the target; None for folders and shadow files."""
    name = _name(member)
    mode = member.external_attr >> 16
    unpacking.check_mode(mode, name)
    relative = unpacking.accepted(name, folder=stat.S_ISDIR(mode) or name.endswith(("/", "\\")))
    if relative is None:
        return None
    if member.flag_bits & _ENCRYPTED:
        raise unpacking.unreadable(
            "is encrypted", name, hint="Unpack it with its password and name the folder."
        )
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = _METHODS.get(member.compress_type, f"method {member.compress_type}")
        raise unpacking.unreadable(
            f"is packed with {method}, which is not read",
            name,
            hint="Unpack it yourself and name the folder.",
        )
    unpacking.check_size(member.file_size, name, packed=member.compress_size)
    return relative


def _name(member: zipfile.ZipInfo) -> str:
    """The name of a member as its maker meant it.

    Without the flag that says UTF-8 a name is in the letters of DOS by the book, but macOS and
    many programs write UTF-8 all the same.
    """
    name = member.orig_filename
    if member.flag_bits & _UTF8 or name.isascii():
        return name
    try:
        return name.encode("cp437").decode("utf-8")
    except UnicodeError:
        return name


@contextmanager
def _damage(unpacking: Unpacking, name: str | None = None) -> Iterator[None]:
    """What goes wrong while the archive is read, as our error."""
    try:
        yield
    except _BROKEN as error:
        reason = (str(error) or type(error).__name__).partition(" for file ")[0]
        raise unpacking.damaged(f"is damaged ({reason})", name) from error


def _check_listing(unpacking: Unpacking, stream: IO[bytes]) -> None:
    """Count the members before `zipfile` makes an object of each.

    Raises:
        SourceError: There is no list of members.
        UnsafeError: It is too long.
    """
    with _damage(unpacking):
        found = _find_listing(stream)
        if found is None:
            raise unpacking.damaged("is no whole zip archive: the list of its members is missing")
        start, length, announced = found
        unpacking.check_number(announced)
        if length > MAX_LISTING:
            raise UnsafeError(
                f"lists its members in {length:,} bytes, at most {MAX_LISTING:,} are read",
                path=unpacking.archive,
            )
        number, place = 0, start
        while place + _ENTRY_SIZE <= start + length:
            stream.seek(place)
            entry = stream.read(_ENTRY_SIZE)
            if entry[:4] != _ENTRY or len(entry) < _ENTRY_SIZE:
                break  # zipfile stops here too, and says so
            number += 1
            unpacking.check_number(number)
            place += _ENTRY_SIZE + sum(struct.unpack("<3H", entry[28:34]))


def _find_listing(stream: IO[bytes]) -> tuple[int, int, int] | None:
    """(start, bytes, announced members) of the list of members, where `zipfile` looks for it."""
    size = stream.seek(0, os.SEEK_END)
    begin = max(0, size - _END_SIZE - 0xFFFF)
    stream.seek(begin)
    tail = stream.read()
    if tail[-_END_SIZE:][:4] == _END and tail[-2:] == b"\0\0":
        place = len(tail) - _END_SIZE
    else:
        place = tail.rfind(_END)
    if place < 0 or len(tail) < place + _END_SIZE:
        return None
    announced, length = struct.unpack("<HL", tail[place + 10 : place + 16])
    end = begin + place
    at64 = end - _PLACE64_SIZE - _END64_SIZE
    if at64 >= 0:
        stream.seek(at64)
        both = stream.read(_END64_SIZE + _PLACE64_SIZE)
        if both[:4] == _END64 and both[_END64_SIZE:][:4] == _PLACE64:
            announced, length = struct.unpack("<2Q", both[32:48])
            end = at64
    return end - length, length, announced
