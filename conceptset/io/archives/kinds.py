"""Which kind of archive a file is, by its content first and by its name at last."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import Literal

from conceptset.errors import SourceError

Kind = Literal["zip", "tar", "gzip"]

_ZIP = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")
_GZIP = b"\x1f\x8b"
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstandard",
}
_SUFFIXES = (".tar.gz", ".tgz", ".tar", ".zip")
_OTHER_SUFFIXES = (".7z", ".rar", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
_HINT = "Unpack it yourself and name the folder, or pack it as zip, tar or tar.gz."


def has_archive_name(name: str) -> bool:
    """Whether a file is called like an archive.

    >>> has_archive_name("a.tar.gz"), has_archive_name("a.json.gz")
    (True, False)
    """
    return name.lower().endswith(_SUFFIXES + _OTHER_SUFFIXES)


def archive_stem(path: Path) -> str:
    """The name of an archive without its ending.

    >>> archive_stem(Path("job 7.v2.zip")), archive_stem(Path("a.tar.gz")), archive_stem(Path("a"))
    ('job 7.v2', 'a', 'a')
    """
    for suffix in _SUFFIXES + _OTHER_SUFFIXES:
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return path.name[: -len(suffix)]
    return path.name


def is_archive(path: Path) -> bool:
    """Whether a file is an archive by its content, or at least by its name.

    One that only its name calls so, or of a kind that is not unpacked here, counts too: `kind_of`
    says what is wrong with it.

    Raises:
        SourceError: It cannot be read.
    """
    if not path.is_file():
        return False
    head = _head(path)
    return head.startswith((*_ZIP, _GZIP, *_OTHERS)) or _is_tar(head) or has_archive_name(path.name)


def kind_of(path: Path) -> Kind:
    """How an archive is packed.

    Raises:
        SourceError: It cannot be read, or is no archive of a kind that is unpacked here.
    """
    head = _head(path)
    if head.startswith(_ZIP):
        return "zip"
    if _is_tar(head):
        return "tar"
    if head.startswith(_GZIP):
        if _is_tar(_gunzipped(path)):
            return "gzip"
        raise SourceError(
            "is a gzip file, but no whole tar archive is inside",
            path=path,
            hint="Unpack it yourself and name the file, or export it again.",
        )
    for magic, name in _OTHERS.items():
        if head.startswith(magic):
            raise SourceError(f"is a {name} archive, which is not unpacked", path=path, hint=_HINT)
    kind = "is empty" if not head else "is no archive, whatever its name says"
    raise SourceError(f"{kind}; zip, tar or tar.gz was expected", path=path)


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(tarfile.BLOCKSIZE)
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})", path=path) from error


def _gunzipped(path: Path) -> bytes:
    """The first block behind the compression; empty if there is none."""
    try:
        with gzip.open(path) as stream:
            return stream.read(tarfile.BLOCKSIZE)
    except (OSError, EOFError, zlib.error):
        return b""


def _is_tar(block: bytes) -> bool:
    """Whether a block of 512 bytes is the header of a tar member: its checksum holds."""
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True
