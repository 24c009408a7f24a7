"""Below which folder the photographs lie: one for all files of a SOURCE, if one serves them all.

Files that share a root share a catalogue, and their photographs one `<source>` in the set.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from conceptset.errors import ConceptsetError, SourceError, UnsafeError
from conceptset.formats.base import Format
from conceptset.io.catalogue import ImageCatalogue
from conceptset.io.paths import relative_name
from conceptset.io.workspace import Workspace
from conceptset.parsing.values import quoted

_FOLDERS = ("images", "Images", "JPEGImages")
_FILES = 64  # of more files, so many are asked for names
_NAMES = 256  # asked for altogether


@dataclass(frozen=True, slots=True)
class Place:
    """Where the photographs of one SOURCE may lie.

    Attributes:
        path: The file or directory that is read; for an archive, what it was unpacked to.
        outside: The directory that holds what the user named.
    """

    path: Path
    outside: Path

    @property
    def home(self) -> Path:
        """The directory that is read, or that holds the file that is read."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def around(self) -> Path:
        """The directory that names like ../images/a.jpg in it are below, if it is no archive's."""
        return self.outside if self.path.is_relative_to(self.outside) else self.home

    def folders(self, file: Path) -> list[Path]:
        """Where the photographs of one of its files may lie, most likely first."""
        outside = self.outside if self.path.is_dir() else self.outside.parent
        around = dict.fromkeys([self.home, outside, file.parent])
        if file.parent.parent.is_relative_to(self.home):
            around[file.parent.parent] = None
        found = [one for folder in around for one in (*_below(folder), folder)]
        part = file.stem.rpartition("_")[2]  # instances_train.json: images/train
        found += [folder / _FOLDERS[0] / part for folder in around if part]
        found += _below(outside.parent)  # not itself: it may hold everything
        return [one for one in dict.fromkeys(found) if one.is_dir()]

    def beside(self, file: Path, root: Path) -> str:
        """The folder of an annotation file below the root, see `ReadContext.beside`.

        Where the file lies elsewhere (Annotations/ada/x.xml, photographs in Images/), it is the end
        of its path that is a folder below the root too (ada); else empty.
        """
        folder = file if file.is_dir() else file.parent
        if folder.is_relative_to(root):
            return "/".join(folder.relative_to(root).parts)
        for base in (root.parent, self.home):
            parts = folder.relative_to(base).parts if folder.is_relative_to(base) else ()
            for start in range(len(parts)):
                if root.joinpath(*parts[start:]).is_dir():
                    return "/".join(parts[start:])
        return ""


def _below(folder: Path) -> list[Path]:
    return [folder / name for name in _FOLDERS]


class Roots:
    """Chooses image roots and keeps one catalogue for each.

    Args:
        images: `--images`, which decides for all.
        workspace: Where archives are unpacked to, and embedded photographs are put.
        takes_absent: Whether photographs may be missing.
    """

    def __init__(
        self, images: Path | None, workspace: Workspace, *, takes_absent: bool = False
    ) -> None:
        self._images = images
        self._takes_absent = takes_absent
        self._workspace = workspace
        self._catalogues: dict[Path, ImageCatalogue] = {}
        self._spellings: dict[Path, ImageCatalogue] = {}

    def catalogue(self, root: Path) -> ImageCatalogue:
        """The catalogue of a root; paths that lead to one directory share it.

        Raises:
            UsageError: It is no directory.
        """
        if root not in self._spellings:
            key = root.resolve()
            if key not in self._catalogues:
                self._catalogues[key] = ImageCatalogue(
                    root,
                    self._workspace.embedded,
                    collection=self._workspace.origin(root),
                    takes_absent=self._takes_absent,
                )
            self._spellings[root] = self._catalogues[key]
        return self._spellings[root]

    def choose(self, place: Place, files: Sequence[tuple[Path, Format]]) -> list[Path] | None:
        """The root of each file of one SOURCE.

        Of very many files, some are asked how they call their images, and if one root serves these
        it is taken for all. A file whose photographs are nowhere gets the root of the others; its
        reader reports what is missing.

        Returns:
            None where the files name images and none of them is in the SOURCE or where it says.
        """
        if self._images is not None:
            return [self._images] * len(files)
        some = files[:: -(-len(files) // _FILES)] if len(files) > _FILES else files
        asked = _Asked(place, some)
        if not asked.names:
            return [place.home] * len(files)
        shared = asked.shared_root
        if shared is None and asked.is_found:
            asked = asked if len(some) == len(files) else _Asked(place, files)
            common = asked.most_common_root
            return [asked.best_root(file) or common for file, _ in files]
        inside = [one for one in asked.folders if one.is_relative_to(place.home)]
        shared = shared or self._by_last_name(inside, asked.names)
        return None if shared is None else [shared] * len(files)

    def rescue(
        self, place: Place, files: Sequence[tuple[Path, Format]], others: Iterable[Path]
    ) -> list[Path]:
        """The root of files whose photographs `choose` did not find.

        It is the root of another SOURCE, or one around this one, where the last component of a name
        leads to a photograph; where photographs may be missing, the folder around the SOURCE.

        Raises:
            SourceError: Their photographs are not there either.
        """
        asked = _Asked(place, files[:_FILES])
        folders = asked.folders
        if self._takes_absent:  # a folder above may hold anything, and nothing has to be found
            above = place.home.absolute().parents
            folders = [one for one in folders if one.absolute() not in above]
        found = self._by_last_name([*others, *folders], asked.names)
        if found is not None:
            return [found] * len(files)
        if self._takes_absent:
            return [place.around] * len(files)
        first, name = asked.first
        several = f", nor of the {len(files) - 1} other files" if len(files) > 1 else ""
        raise SourceError(
            f"names images, such as {quoted(name)}; none of them{several} was found",
            path=first,
            hint="Give the folder of the photographs with --images DIR.",
        )

    def _by_last_name(self, folders: Iterable[Path], names: Sequence[str]) -> Path | None:
        """The first folder that holds one of the names, as a path or anywhere below it."""
        for folder in folders:
            catalogue = self.catalogue(folder)
            if any(_is_there(catalogue, name) for name in names):
                return folder
        return None


class _Asked:
    """How some annotation files of one SOURCE call their images, and where these are."""

    def __init__(self, place: Place, files: Sequence[tuple[Path, Format]]) -> None:
        each = max(8, _NAMES // len(files))
        self._names = {file: _sample(reader, file, each) for file, reader in files}
        self._place = place

    @cached_property
    def names(self) -> list[str]:
        """Names of all files, each once."""
        return list(dict.fromkeys(name for names in self._names.values() for name in names))

    @property
    def first(self) -> tuple[Path, str]:
        """The first file that names an image, and that name."""
        return next((file, names[0]) for file, names in self._names.items() if names)

    @cached_property
    def folders(self) -> list[Path]:
        """Where photographs may lie, most likely first."""
        return list(dict.fromkeys(folder for hits in self._hits.values() for folder in hits))

    @cached_property
    def _hits(self) -> dict[Path, dict[Path, int]]:
        """How many names of each file are paths below each folder."""
        return {
            file: {
                folder: sum(_exist(names, folder, self._place.beside(file, folder)))
                for folder in self._place.folders(file)
            }
            for file, names in self._names.items()
            if names
        }

    @property
    def is_found(self) -> bool:
        """Whether any photograph is where a file says."""
        return any(any(hits.values()) for hits in self._hits.values())

    @cached_property
    def _totals(self) -> Counter[Path]:
        return sum((Counter(hits) for hits in self._hits.values()), Counter())

    @property
    def shared_root(self) -> Path | None:
        """The folder that has photographs of every file that has any, the most of them."""
        found = [hits for hits in self._hits.values() if any(hits.values())]
        serving = [one for one in self.folders if found and all(hits.get(one) for hits in found)]
        return max(serving, key=self._totals.__getitem__, default=None)

    def best_root(self, file: Path) -> Path | None:
        """The folder that has the most photographs of a file; of equal ones the most shared."""
        hits = self._hits.get(file, {})
        best = max(hits, key=lambda one: (hits[one], self._totals[one]), default=None)
        return best if best is not None and hits[best] else None

    @property
    def most_common_root(self) -> Path:
        """The folder that is best for most files."""
        best = [root for file in self._hits if (root := self.best_root(file)) is not None]
        return Counter(best).most_common(1)[0][0]


def _sample(reader: Format, file: Path, number: int) -> list[str]:
    """Some of the names, evenly spread; none of a file whose reader will say what is wrong."""
    try:
        names = list(reader.image_names(file))
    except ConceptsetError:
        return []
    return names[:: -(-len(names) // number)] if names else []


def _exist(names: Iterable[str], root: Path, beside: str) -> Iterator[bool]:
    """Whether each name is a file below the root; first it is looked up beside the annotations."""
    for name in names:
        try:
            relative = relative_name(name)
        except UnsafeError:  # the reader reports it, image by image
            continue
        yield bool(beside and (root / beside / relative).is_file()) or (root / relative).is_file()


def _is_there(catalogue: ImageCatalogue, name: str) -> bool:
    """Whether a name leads to a photograph; one with `..` in it by its last component."""
    last = PurePosixPath(name.replace("\\", "/")).name
    for one in (name, last):
        try:
            return isinstance(catalogue.locate(one), str)
        except UnsafeError:
            continue
    return False
