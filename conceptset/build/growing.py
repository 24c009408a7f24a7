"""Text files that grow side by side, a little for every image."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

_AT_ONCE = 16 << 20  # bytes that wait to be written


class GrowingFiles:
    """Many files that are appended to in turn.

    What comes is collected and written many lines at a time, file by file: of a thousand files,
    not all may be open at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._waiting: defaultdict[str, bytearray] = defaultdict(bytearray)
        self._bytes = 0
        self._digests: dict[str, Any] = {}

    def add(self, name: str, data: bytes) -> None:
        """Append to a file, by its path below the folder; a file that gets nothing is empty."""
        if name not in self._digests:
            self._digests[name] = hashlib.sha256()
        self._digests[name].update(data)
        self._waiting[name] += data
        self._bytes += len(data)
        if self._bytes > _AT_ONCE:
            self._write()

    def finish(self) -> dict[str, str]:
        """Write what waits; the SHA-256 of every file by its path."""
        self._write()
        return {name: sha256.hexdigest() for name, sha256 in self._digests.items()}

    def _write(self) -> None:
        for name, data in self._waiting.items():
            with (self._folder / name).open("ab") as stream:
                stream.write(data)
        self._waiting.clear()
        self._bytes = 0
