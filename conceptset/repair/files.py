"""The files below images/, found by whatever an index calls them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from conceptset.errors import UnsafeError
from conceptset.io.paths import relative_name, resolve_inside, slug
from conceptset.layout import names
from conceptset.validate.views import list_files

_PREFIX = f"{names.IMAGE_FOLDER}/"
_STORED = re.compile(r"([A-Za-z0-9._-]+)/[A-Za-z0-9._-]+\.(jpg|png)", re.ASCII)


class Files:
    """What lies below images/, listed once; links that lead out of it are not there.

    Attributes:
        folder: The folder images/.
        names: Every file, relative to it.
        outside: Links that lead out.
    """

    def __init__(self, root: Path) -> None:
        self.folder = root / names.IMAGE_FOLDER
        found, links = list_files(self.folder)
        self.outside = {name for name in links if not _stays(self.folder, name)}
        self.names = {name for name in found if name not in self.outside}
        self._lower: dict[str, list[str]] = {}
        for name in sorted(self.names):
            self._lower.setdefault(name.lower(), []).append(name)

    def locate(self, text: str, beside: str = "") -> str | None:
        r"""The file that a cell calls `text`, None if there is none or more than one.

        Tried in this order: the path as it stands; without `images/` in front; beside the
        photograph; another case; and, of a path that leads out, its longest end that is a file
        here.

        Args:
            text: As the cell has it, perhaps with backslashes.
            beside: The folder of the photograph, relative to images/.
        """
        try:
            name = relative_name(text)
        except UnsafeError:
            return next((end for end in _ends(text) if end in self.names), None)
        for candidate in (name, name.removeprefix(_PREFIX), f"{beside}/{name}"):
            if candidate in self.names:
                return candidate
        for candidate in (name, name.removeprefix(_PREFIX)):
            found = self._lower.get(candidate.lower(), [])
            if len(found) == 1:
                return found[0]
        return None


def _stays(folder: Path, name: str) -> bool:
    try:
        return resolve_inside(folder, name).is_file()
    except UnsafeError:
        return False


def _ends(text: str) -> Iterator[str]:
    """The ends of a path that leads out of its folder, longest first."""
    parts = [part for part in text.replace("\\", "/").split("/") if part not in ("", ".")]
    parts = parts[len(parts) - parts[::-1].index("..") :] if ".." in parts else parts
    for start in range(min(len(parts), 40)):
        yield "/".join(parts[start:])


class Names:
    """Gives files of the new set their names: as they were where the layout allows it."""

    def __init__(self, *, ours: bool, taken: Iterable[str]) -> None:
        self._ours = ours
        self._taken = {name.lower() for name in taken}

    def of_photograph(self, old: str) -> str:
        """The name of a photograph; the same unless the layout forbids it."""
        if self._fits(old):
            return old
        folder, _, last = old.rpartition("/")
        stem, _, suffix = last.rpartition(".")
        source = slug(folder.replace("/", "-"), "images")
        if source in names.RESERVED_SOURCES:
            source = f"{source}-2"
        suffix = suffix.lower().replace("jpeg", "jpg")
        return self._free(f"{source}/{slug(stem, 'image')}", suffix if self._ours else slug(suffix))

    def _fits(self, name: str) -> bool:
        if not self._ours:
            return is_plain(name)
        match = _STORED.fullmatch(name)
        return match is not None and match[1] not in names.RESERVED_SOURCES

    def of_map(self, old: str, wanted: str | None = None) -> str:
        """The name of a label map: a PNG; `wanted` where its photograph was renamed."""
        stem = (wanted or old).rpartition(".")[0]
        if wanted is None and old.endswith(".png") and is_plain(old):
            return old
        if not is_plain(f"{stem}.png"):
            stem = "/".join(slug(part, "map") for part in stem.split("/"))
        return self._free(stem, "png")

    def of_copy(self, name: str) -> str:
        """A name for the second copy of a map."""
        return self._free(name.rpartition(".")[0], "png")

    def _free(self, stem: str, suffix: str) -> str:
        name, number = f"{stem}.{suffix}", 1
        while name.lower() in self._taken:
            number += 1
            name = f"{stem}-{number}.{suffix}"
        self._taken.add(name.lower())
        return name


def is_plain(name: str) -> bool:
    """Whether a name is written as a clean path that stays inside, and can stand in a cell."""
    try:
        return relative_name(name) == name and ";" not in name and name == name.strip()
    except UnsafeError:
        return False
