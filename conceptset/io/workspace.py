"""A directory for what is unpacked while a command runs; nobody outside gets to see its name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from conceptset.errors import ConceptsetError, OutputError
from conceptset.io.archives import archive_stem, unpack
from conceptset.io.archives.members import Progress

_EMBEDDED = "embedded"


class Workspace:
    """Made when it is first used, removed by `open_workspace`.

    Args:
        near: The existing directory it is made in; the system's own for temporary files if None.
    """

    def __init__(self, near: Path | None = None) -> None:
        self._near = near
        self._archives: dict[Path, Path] = {}
        self._shown: dict[str, str] = {}

    @cached_property
    def path(self) -> Path:
        """The directory.

        Raises:
            OutputError: It cannot be made.
        """
        try:
            path = Path(tempfile.mkdtemp(prefix="conceptset-", dir=self._near))
            (path / _EMBEDDED).mkdir()
        except OSError as error:
            raise OutputError(
                f"no directory for temporary files can be made ({error.strerror})",
                path=self._near or tempfile.gettempdir(),
            ) from error
        self._shown[f"{path / _EMBEDDED}{os.sep}"] = "an embedded image, "
        return path

    @property
    def embedded(self) -> Path:
        """Where photographs that come inside annotation files are put."""
        return self.path / _EMBEDDED

    def unpack(self, archive: Path, progress: Progress) -> Path:
        """Unpack an archive into a directory that has its name without the ending.

        Returns:
            That directory.

        Raises:
            ConceptsetError: See `conceptset.io.archives.unpack`.
        """
        place = self.path / f"{len(self._archives):06}"
        folder = place / archive_stem(archive)
        self._archives[place] = archive
        self._shown[os.fspath(folder)] = os.fspath(archive)
        unpack(archive, folder, progress)
        return folder

    def origin(self, path: Path) -> Path:
        """Where something is for the user, without links: the path itself, or one in an archive.

        What was unpacked lies below ARCHIVE/STEM there, so that it keeps its name and is told
        apart from a directory STEM beside the archive.
        """
        for place, archive in self._archives.items():
            if path.is_relative_to(place):
                return archive.resolve() / path.relative_to(place)
        return path.resolve()

    def shown(self, text: str) -> str:
        """The text with every path of the workspace as the user knows it."""
        for path, label in self._shown.items():
            text = text.replace(path, label)
        return text

    def restate(self, error: ConceptsetError) -> None:
        """Let an error name the archive instead of the place it is unpacked to."""
        error.message = self.shown(error.message)
        error.args = (error.message,)
        error.path = None if error.path is None else self.shown(os.fspath(error.path))
        error.pointer = None if error.pointer is None else self.shown(error.pointer)
        error.hint = None if error.hint is None else self.shown(error.hint)

    def close(self) -> None:
        """Remove it, if it was ever made."""
        if "path" in self.__dict__:
            shutil.rmtree(self.path, ignore_errors=True)


@contextmanager
def open_workspace(near: Path | None = None) -> Iterator[Workspace]:
    """A workspace for the length of the block; errors that leave the block do not name it."""
    workspace = Workspace(near)
    try:
        yield workspace
    except ConceptsetError as error:
        workspace.restate(error)
        raise
    except OSError as error:
        if isinstance(error.filename, str):
            error.filename = workspace.shown(error.filename)
        raise
    finally:
        workspace.close()
