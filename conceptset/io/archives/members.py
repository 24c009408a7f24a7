"""What every kind of archive has to keep to: names, kinds and numbers of its members."""

from __future__ import annotations

import shutil
import stat
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import IO

from conceptset.errors import OutputError, SourceError, UnsafeError
from conceptset.io.paths import relative_name

MAX_MEMBERS = 65_535  # as many as a zip archive can count without extensions
MAX_BYTES = 64 << 30  # unpacked
MAX_RATIO = 200  # unpacked to packed; photographs have 1, annotations as text 5 to 50
SMALL = 64 << 20  # bytes below which no ratio is suspicious
CHUNK = 1 << 18

Progress = Callable[[int, int], None]

_BY_HAND = "If you trust it, unpack it yourself and name the folder."
_AGAIN = "It may be cut short: copy or export it again."
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


class Unpacking:
    """One archive on its way to disk.

    Args:
        archive: The file.
        target: The directory that is created.
        progress: Told (done, total) members.
    """

    def __init__(self, archive: Path, target: Path, progress: Progress) -> None:
        self.archive = archive
        self.target = target
        self.progress = progress
        self.packed = archive.stat().st_size
        self.unpacked = 0
        self._spellings: dict[str, str] = {}
        self._folders: set[str] = set()
        try:
            target.mkdir(parents=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def check_number(self, number: int) -> None:
        """Refuse more members than are unpacked."""
        if number > MAX_MEMBERS:
            raise UnsafeError(
                f"holds more than {MAX_MEMBERS:,} members", path=self.archive, hint=_BY_HAND
            )

    def check_mode(self, mode: int, name: str) -> None:
        """Refuse what is neither a plain file nor a folder; a mode without a kind is a file."""
        kind = _KINDS.get(stat.S_IFMT(mode))
        if kind is not None:
            raise self.refused(f"is {kind}, plain files and folders were expected", name)

    def accepted(self, name: str, *, folder: bool = False) -> str | None:
        """The path of a member below the target; None for what need not be written.

        Raises:
            UnsafeError: It leads out, holds control characters, or is taken by another member.
        """
        if folder and set(name.replace("\\", "/").split("/")) <= {"", "."}:
            return None  # the archive itself
        try:
            relative = relative_name(name)
        except UnsafeError as error:
            raise UnsafeError(error.message, path=self.archive, pointer=error.pointer) from error
        parts = relative.split("/")
        if folder or parts[0] == "__MACOSX" or parts[-1] == ".DS_Store":
            return None
        key = _folded(relative)
        if key in self._spellings:
            other = self._spellings[key]
            differs = "" if other == relative else f" but for case or accents ({other})"
            raise self.refused(f"has the name of another member{differs}", name)
        self._spellings[key] = relative
        return relative

    def check_folders(self) -> None:
        """Refuse a name that is a file and a folder; asked when all names are known."""
        known: set[str] = set()
        for key, relative in self._spellings.items():
            parent = key.rpartition("/")[0]
            while parent and parent not in known:
                known.add(parent)
                if parent in self._spellings:
                    file = self._spellings[parent]
                    raise self.refused(f"lies in {file}, which is a file", relative)
                parent = parent.rpartition("/")[0]

    def check_size(self, size: int, name: str | None = None, *, packed: int | None = None) -> None:
        """Refuse more bytes than are unpacked, and a ratio that only bombs have.

        Args:
            size: Bytes unpacked, of one member or all together.
            name: The member; None for all together.
            packed: The bytes they take in the archive; the archive itself unless told.
        """
        packed = self.packed if packed is None else packed
        if size > MAX_BYTES:
            raise self.refused(
                f"holds more than {MAX_BYTES >> 30} GiB when unpacked", name, hint=_BY_HAND
            )
        if size > SMALL and size > MAX_RATIO * max(packed, 1):
            raise self.refused(
                f"grows to more than {MAX_RATIO} times its packed size, as a bomb does",
                name,
                hint=_BY_HAND,
            )

    def check_room(self, size: int) -> None:
        """Refuse to fill the disk."""
        free = shutil.disk_usage(self.target).free
        if size > free:
            raise OutputError(
                f"needs {size / 1e9:.1f} GB to be unpacked, {free / 1e9:.1f} GB are free",
                path=self.archive,
                hint="Free space, or unpack it elsewhere and name the folder.",
            )

    def write(self, relative: str, stream: IO[bytes], size: int, name: str) -> None:
        """Write one member; the errors of reading it are the caller's to name.

        Args:
            relative: Its path below the target.
            stream: Its content; gives no more than `size` bytes, whatever is in the archive.
            size: The bytes announced.
            name: What messages call it.

        Raises:
            SourceError: There are fewer bytes than announced.
            OutputError: It cannot be written.
        """
        path = self.target / relative
        folder = relative.rpartition("/")[0]
        try:
            if folder not in self._folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                self._folders.add(folder)
            out = path.open("xb")
        except (FileExistsError, NotADirectoryError) as error:
            self.check_folders()
            raise self.refused("has the name of another member for this disk", name) from error
        except OSError as error:
            raise self._unwritable(error) from error
        written = 0
        with out:
            while chunk := stream.read(min(CHUNK, size - written + 1)):
                written += len(chunk)
                try:
                    out.write(chunk)
                except OSError as error:
                    raise self._unwritable(error) from error
        if written < size:
            raise self.damaged(f"holds fewer than the {size:,} bytes announced", name)
        self.unpacked += size

    def refused(self, reason: str, name: str | None, *, hint: str | None = None) -> UnsafeError:
        """An error about one member."""
        return UnsafeError(reason, path=self.archive, pointer=name, hint=hint)

    def unreadable(self, reason: str, name: str, *, hint: str) -> SourceError:
        """An error about a member that is whole, but cannot be read."""
        return SourceError(reason, path=self.archive, pointer=name, hint=hint)

    def damaged(self, reason: str, name: str | None = None) -> SourceError:
        """An error about an archive, or one member of it, that is not whole."""
        return SourceError(reason, path=self.archive, pointer=name, hint=_AGAIN)

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"cannot be unpacked ({error.strerror})",
            path=self.archive,
            hint="Free space, or unpack it elsewhere and name the folder.",
        )


def _folded(relative: str) -> str:
    """What two names must not share: some file systems take them for one."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", relative).casefold())
