"""A file or directory that formats look at: read once, whoever asks."""

from __future__ import annotations

import os
import re
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

from conceptset.errors import ConceptsetError, SourceError
from conceptset.io.paths import plain_size
from conceptset.io.tables import read_json
from conceptset.parsing.xml import XmlHead, read_head

PARSE_LIMIT = 64 << 20  # bytes; a larger file is searched for its keys, not parsed
HEAD = 1 << 16
SEARCHED = 64 << 20
MAX_ENTRIES = 20_000


class Candidate:
    """What detection needs to know of one path.

    Everything is found out when it is first asked for and kept, so ten formats that look at one
    file parse it once. Nothing here is unbounded: large files are sampled, large directories
    listed in part.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def is_directory(self) -> bool:
        """Whether it is a directory."""
        return self.path.is_dir()

    @cached_property
    def suffix(self) -> str:
        """The ending of a file, in lower case, with its dot; empty for a directory."""
        return "" if self.is_directory else self.path.suffix.lower()

    @cached_property
    def size(self) -> int:
        """Bytes of a file.

        Raises:
            SourceError: It cannot be read.
            UnsafeError: It is a pipe or a device.
        """
        try:
            return plain_size(self.path)
        except OSError as error:
            raise SourceError(f"cannot be read ({error.strerror})", path=self.path) from error

    @cached_property
    def head(self) -> bytes:
        """The first 64 KiB of a file.

        Raises:
            SourceError: It cannot be read.
            UnsafeError: It is a pipe or a device.
        """
        try:
            plain_size(self.path)
            with self.path.open("rb") as stream:
                return stream.read(HEAD)
        except OSError as error:
            raise SourceError(f"cannot be read ({error.strerror})", path=self.path) from error

    @property
    def is_large(self) -> bool:
        """Whether the file is too large to be parsed for detection alone."""
        return self.size > PARSE_LIMIT

    @cached_property
    def _json(self) -> Any:  # noqa: ANN401
        try:
            return read_json(self.path, PARSE_LIMIT, allow_nan=True)
        except ConceptsetError as error:
            return error

    @property
    def json(self) -> Any:  # noqa: ANN401
        """The parsed JSON document of a file that is not `is_large`.

        Raises:
            SourceError: It is no JSON, or too large.
        """
        if isinstance(self._json, ConceptsetError):
            raise self._json
        return self._json

    @cached_property
    def xml(self) -> XmlHead:
        """The root of an XML file and the tags that follow in its first 64 KiB.

        Raises:
            SourceError: It is no XML.
            UnsafeError: It has a DTD or entities.
        """
        return read_head(self.head, path=self.path)

    def has_key(self, key: str) -> bool:
        """Whether `"key":` stands anywhere in the text of a large file's first and last 64 MiB."""
        pattern = re.compile(rb'"%s"\s*:' % re.escape(key.encode()))
        try:
            with self.path.open("rb") as stream:
                if pattern.search(stream.read(SEARCHED)):
                    return True
                stream.seek(max(0, self.size - SEARCHED))
                return pattern.search(stream.read(SEARCHED)) is not None
        except OSError as error:
            raise SourceError(f"cannot be read ({error.strerror})", path=self.path) from error

    @cached_property
    def files(self) -> tuple[str, ...]:
        """Files below a directory, relative, forward slashes, sorted; hidden ones left out.

        Of a very large directory only 20,000 are listed. Links to directories are not followed.
        """
        found = (
            Path(folder, name).relative_to(self.path).as_posix()
            for folder, folders, names in _walk(self.path)
            for name in sorted(names)
            if not name.startswith(".")
        )
        return tuple(sorted(islice(found, MAX_ENTRIES)))

    @cached_property
    def folders(self) -> tuple[str, ...]:
        """Names of the directories directly inside a directory, sorted; hidden ones left out."""
        try:
            with os.scandir(self.path) as entries:
                return tuple(
                    sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
                )
        except OSError:
            return ()


def _walk(root: Path) -> Any:  # noqa: ANN401
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield folder, folders, names
