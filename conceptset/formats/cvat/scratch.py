"""What does not fit into memory, on disk until the reader is done."""

from __future__ import annotations

import json
import os
import tempfile
from array import array
from typing import Any

from conceptset.errors import OutputError

_HINT = "Free some room, or name another folder for temporary files by TMPDIR."
_BUFFER = 1 << 20


class Scratch:
    """Values in a file without a name, each got back by its number; 8 bytes of memory each."""

    def __init__(self) -> None:
        try:
            self._file = tempfile.TemporaryFile(buffering=_BUFFER)  # noqa: SIM115 - see close
        except OSError as error:
            raise OutputError(
                f"no temporary file can be made ({error.strerror})",
                path=tempfile.gettempdir(),
                hint=_HINT,
            ) from error
        self._offsets = array("Q", [0])
        self._is_flushed = True

    def put(self, value: object) -> int:
        """Keep a value that JSON can hold.

        Raises:
            OutputError: There is no room.
        """
        data = json.dumps(value, separators=(",", ":")).encode()
        try:
            self._file.write(data)
        except OSError as error:
            raise _no_room(error) from error
        self._is_flushed = False
        self._offsets.append(self._offsets[-1] + len(data))
        return len(self._offsets) - 2

    def get(self, number: int) -> Any:  # noqa: ANN401 - whatever was put
        """The value that `put` gave this number.

        Raises:
            OutputError: It cannot be read back.
        """
        begin, end = self._offsets[number], self._offsets[number + 1]
        try:
            if not self._is_flushed:
                self._file.flush()
                self._is_flushed = True
            return json.loads(os.pread(self._file.fileno(), end - begin, begin))
        except OSError as error:
            raise _no_room(error) from error

    def close(self) -> None:
        """Give the room back."""
        self._file.close()


def _no_room(error: OSError) -> OutputError:
    return OutputError(
        f"a temporary file cannot be used ({error.strerror})",
        path=tempfile.gettempdir(),
        hint=_HINT,
    )
