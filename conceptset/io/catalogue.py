"""The photographs below an image root: found by the names that annotations use."""

from __future__ import annotations

import contextlib
import hashlib
import os
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath

from conceptset.errors import ImageError, OutputError, UnsafeError, UsageError
from conceptset.geometry import check_size
from conceptset.io.images import SUFFIXES, ImageHeader, read_header
from conceptset.io.paths import relative_name, resolve_inside

_SET = "conceptset.json"  # what makes a directory a concept set


@dataclass(frozen=True, slots=True)
class Photograph:
    """One photograph on disk.

    Attributes:
        key: Path below the root, forward slashes, as on disk.
        root: The image root.
        header: What the file says of itself.
        stored: Where its bytes lie, if not below the root: it came inside an annotation file.
        collection: What makes two roots the same, and sorts them: the root without links, or
            where it stands in an archive.
        is_absent: There is no file; the header holds the size that annotations declare.
    """

    key: str
    root: Path
    header: ImageHeader
    stored: Path | None
    collection: Path
    is_absent: bool = False

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.root / self.key if self.stored is None else self.stored


class NotFound(Enum):
    """Why a name leads to no photograph."""

    MISSING = "missing"
    AMBIGUOUS = "ambiguous"


class ImageCatalogue:
    """Finds photographs below one root.

    A name is looked up as the path it is; else by its last component, if only one photograph has
    that, hidden folders and concept sets left aside; differences of Unicode normalisation are
    bridged. Files are listed once, headers read when asked for.

    Args:
        root: The folder of the photographs.
        workspace: Where photographs that come inside annotation files are put; without it there
            is no place for them.
        collection: See `Photograph`; the root without links unless told.
        takes_absent: Whether a photograph may be missing, see `declare`.
    """

    def __init__(
        self,
        root: Path,
        workspace: Path | None = None,
        *,
        collection: Path | None = None,
        takes_absent: bool = False,
    ) -> None:
        if not root.is_dir():
            raise UsageError(
                "is no directory of images", path=root, hint="Give the folder with --images DIR."
            )
        self.root = root
        self.home = root.resolve()
        self.collection = self.home if collection is None else collection
        self.takes_absent = takes_absent
        self._workspace = workspace
        self._absent: dict[str, Photograph] = {}
        self._adopted: dict[str, Photograph] = {}
        self._adopted_bytes: dict[tuple[str, str], Photograph] = {}  # by last name and digest
        self._headers: dict[str, Photograph] = {}
        self._by_name: dict[str, list[str]] | None = None

    def _names(self) -> dict[str, list[str]]:
        if self._by_name is None:
            table: dict[str, list[str]] = {}
            for directory, folders, names in os.walk(self.root):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                if _SET in names:  # its photographs are copies
                    folders.clear()
                    continue
                for name in sorted(names):
                    if name.lower().endswith(SUFFIXES):
                        key = Path(directory, name).relative_to(self.root).as_posix()
                        table.setdefault(unicodedata.normalize("NFC", name), []).append(key)
            self._by_name = table
        return self._by_name

    def by_last_name(self) -> Mapping[str, Sequence[str]]:
        """Keys of all photographs below the root by their last component, in NFC."""
        return self._names()

    def adopt(self, name: str, data: bytes) -> Photograph:
        """Take in a photograph that came inside an annotation file.

        If the very same bytes lie below the root where `locate` finds the name, that file is the
        photograph. If other bytes lie there under this very name, that file keeps its key, and the
        embedded one gets a key with `-embedded` before the ending. The same image in the files of
        several people, each with a folder of their own, is the one that was taken in first. Only
        its key leads to it, see `find`: what a name means never depends on who was read first.

        Args:
            name: What the annotations call it; its key.
            data: The bytes of the file.

        Raises:
            ImageError: No image, or another one was taken in under this name.
            UnsafeError: The name leads out of the root, or the header announces a bomb.
            UsageError: There is no workspace.
            OutputError: The workspace cannot be written.
        """
        key = relative_name(name)
        header = read_header(Path(name), data=data)
        digest = hashlib.sha256(data).hexdigest()
        found = self.locate(key)
        if isinstance(found, str):
            if hash_file(self.root / found) == digest:
                return self.find(found)
            if found == key:
                path = PurePosixPath(key)
                return self.adopt(f"{path.with_suffix('')}-embedded{path.suffix}", data)
        same = (PurePosixPath(key).name, digest)
        if same not in self._adopted_bytes:
            if key in self._adopted:
                raise ImageError("two different images of this name are embedded", path=name)
            stored = self._keep(key, digest, data)
            self._adopted[key] = Photograph(key, self.root, header, stored, self.collection)
            self._adopted_bytes[same] = self._adopted[key]
        return self._adopted_bytes[same]

    def _keep(self, name: str, digest: str, data: bytes) -> Path:
        """Where the bytes of an embedded photograph lie from now on."""
        if self._workspace is None:
            raise UsageError("an embedded image needs a workspace", path=name)
        stored = self._workspace / f"{digest}.image"
        try:
            if not stored.exists():
                stored.write_bytes(data)
        except OSError as error:
            with contextlib.suppress(OSError):
                stored.unlink()  # half a file would pass for a whole one
            raise OutputError(
                f"an embedded image cannot be put there ({error.strerror})", path=stored
            ) from error
        return stored

    def declare(self, name: str, size: tuple[int, int]) -> Photograph:
        """A photograph that is missing, known by what annotations say of it; `find` has its key.

        Args:
            name: What the annotations call it; its key.
            size: (height, width) they state.

        Raises:
            ImageError: No image has that size.
            UnsafeError: The name leads out of the root.
        """
        key = relative_name(name)
        try:
            check_size(size)
        except ValueError as error:
            raise ImageError(str(error), path=name) from error
        header = ImageHeader("", "", size, 1)
        declared = Photograph(key, self.root, header, None, self.collection, is_absent=True)
        return self._absent.setdefault(key, declared)

    def locate(self, name: str, beside: str = "") -> str | NotFound:
        """The key of the photograph an annotation calls `name`, or why there is none.

        Args:
            name: As the annotation has it.
            beside: The folder below the root that holds the annotation file; there the name is
                looked up first.

        Raises:
            UnsafeError: The name leads out of the root.
        """
        relative = relative_name(name)
        if beside:
            near = f"{beside}/{relative}"
            if resolve_inside(self.root, near).is_file():
                return near
        if resolve_inside(self.root, relative).is_file():
            return relative
        last = unicodedata.normalize("NFC", PurePosixPath(relative).name)
        keys = self._names().get(last, [])
        if len(keys) > 1:
            tail = unicodedata.normalize("NFC", relative)
            keys = [key for key in keys if unicodedata.normalize("NFC", key).endswith(tail)] or keys
        if len(keys) == 1:
            path = resolve_inside(self.root, keys[0])
            return keys[0] if path.is_file() else NotFound.MISSING
        return NotFound.AMBIGUOUS if keys else NotFound.MISSING

    def find(self, name: str, beside: str = "") -> Photograph:
        """The photograph an annotation calls `name`, see `locate`, or that was adopted as `name`.

        Raises:
            ImageError: Missing, ambiguous, or its header cannot be read.
            UnsafeError: The name leads out of the root, or the header announces a bomb.
        """
        if not beside and name in self._headers:
            return self._headers[name]
        if not beside and name in self._adopted:
            return self._adopted[name]
        if not beside and name in self._absent:
            return self._absent[name]
        key = self.locate(name, beside)
        if key is NotFound.MISSING:
            raise ImageError(
                "the image does not exist",
                path=name,
                hint=f"It was looked for below {self.root.name or self.root}/, also by its last "
                "name alone. Give its folder with --images DIR.",
            )
        if key is NotFound.AMBIGUOUS:
            raise ImageError(
                "several images below the image folder have this name",
                path=name,
                hint="Name the image with its folder, or give a narrower --images DIR.",
            )
        return self.open(key)

    def open(self, key: str) -> Photograph:
        """The photograph of a key that `locate` gave.

        Raises:
            ImageError: Its header cannot be read.
            UnsafeError: The header announces a bomb.
        """
        if key not in self._headers:
            header = read_header(self.root / key)
            self._headers[key] = Photograph(key, self.root, header, None, self.collection)
        return self._headers[key]


def guess_root(names: Sequence[str], candidates: Sequence[Path]) -> Path | None:
    """The candidate below which most of `names` exist as paths; the first wins a tie.

    None if no candidate has any of them.
    """
    best: tuple[int, Path | None] = (0, None)
    for candidate in candidates:
        if not candidate.is_dir():
            continue
        found = 0
        for name in names:
            try:
                found += resolve_inside(candidate, name).is_file()
            except UnsafeError:
                continue
        if found > best[0]:
            best = (found, candidate)
    return best[1]


def hash_file(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal.

    Raises:
        ImageError: It cannot be read.
    """
    try:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror})", path=path) from error
