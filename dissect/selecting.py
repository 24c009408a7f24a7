"""Which images, categories and files of a set a run uses."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from conceptset.errors import ImageError, UnsafeError, UsageError
from conceptset.io.catalogue import hash_file
from conceptset.io.images import MAX_BYTES, image_bytes
from conceptset.io.paths import resolve_inside
from conceptset.io.tables import digest
from conceptset.layout.names import CATEGORIES, IMAGE_FOLDER, LABELS, category_table
from conceptset.layout.reading import ConceptSet, IndexEntry
from dissect.ahead import map_in_turn

# Part of a name that is itself wherever it stands: no `..`, separator, drive or control character.
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]{0,200}")


def select_entries(
    concept_set: ConceptSet, *, split: str | None, limit: int | None
) -> tuple[IndexEntry, ...]:
    """The rows of the index to dissect, in its order.

    Raises:
        UsageError: None is left.
    """
    entries = concept_set.entries
    if split is not None:
        entries = tuple(entry for entry in entries if entry.split == split)
        if not entries:
            known = sorted({entry.split for entry in concept_set.entries})
            raise UsageError(
                f"no image belongs to the split {split!r}",
                hint=f"The index has: {', '.join(known) or 'none'}.",
            )
    if not entries:
        raise UsageError("the index lists no image", path=concept_set.root)
    return entries[:limit]


def check_categories(concept_set: ConceptSet, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The enabled categories, in the set's order.

    Raises:
        UsageError: One is not in the set.
    """
    if wanted is None:
        return concept_set.categories
    unknown = [name for name in wanted if name not in concept_set.categories]
    if unknown or not wanted:
        raise UsageError(
            f"the set has no category {', '.join(unknown)}" if unknown else "no category is named",
            hint=f"It has: {', '.join(concept_set.categories)}.",
        )
    return tuple(name for name in concept_set.categories if name in wanted)


def input_size(
    entries: Sequence[IndexEntry], image_size: tuple[int, int] | None
) -> tuple[int, int]:
    """(height, width) at which every photograph enters the network.

    Raises:
        UsageError: The photographs differ in size and none was asked for.
    """
    if image_size is not None:
        return image_size
    first = entries[0]
    for entry in entries:
        if entry.image_size != first.image_size:
            raise UsageError(
                f"the photographs differ in size: {first.image} has {size_text(first.image_size)}, "
                f"{entry.image} has {size_text(entry.image_size)} (height x width)",
                hint="Give --image-size N to squash all of them to one size.",
            )
    return first.image_size


def size_text(size: tuple[int, ...]) -> str:
    """A (height, width) as messages have it.

    >>> size_text((32, 48))
    '32x48'
    """
    return f"{size[0]}x{size[1]}"


def check_files(
    concept_set: ConceptSet,
    entries: Iterable[IndexEntry],
    categories: Sequence[str],
    *,
    index: str = "the index",
) -> None:
    """Look for every file that will be needed, before any work is done.

    Args:
        concept_set: Where they lie.
        entries: The images.
        categories: Those whose label maps are needed.
        index: What messages call the index that names them.

    Raises:
        ImageError: One is missing.
        UnsafeError: A name leads out of the set.
    """
    listed = _Listed(concept_set)
    for entry in entries:
        for name in used_files(entry, categories):
            if name in listed:
                continue
            path = concept_set.file(name)
            if not path.is_file():
                raise ImageError(
                    f"the file does not exist; row {entry.row} of {index} names it",
                    path=path,
                    hint="Run 'conceptset validate' on the set.",
                )


class _Listed:
    """The plain files of a set, one look at each folder instead of one at each file.

    What is not in here may exist all the same: links, and names that have to be looked at closely.
    """

    def __init__(self, concept_set: ConceptSet) -> None:
        self._root = concept_set.root / IMAGE_FOLDER
        self._folders: dict[str, frozenset[str]] = {}

    def __contains__(self, name: str) -> bool:
        folder, _, last = name.rpartition("/")
        if folder not in self._folders:
            self._folders[folder] = self._list(folder)
        return last in self._folders[folder]

    def _list(self, folder: str) -> frozenset[str]:
        if not all(_PLAIN.fullmatch(part) for part in folder.split("/") if folder):
            return frozenset()
        try:
            with os.scandir(resolve_inside(self._root, folder) if folder else self._root) as found:
                return frozenset(
                    one.name
                    for one in found
                    if _PLAIN.fullmatch(one.name) and one.is_file(follow_symlinks=False)
                )
        except (OSError, UnsafeError):
            return frozenset()


def path_of(concept_set: ConceptSet, name: str) -> Path:
    """Where a file lies that `check_files` found; quicker than `ConceptSet.file`."""
    return concept_set.root / IMAGE_FOLDER / name.replace("\\", "/")


def read_used(concept_set: ConceptSet, name: str) -> bytes:
    """The bytes of a file that `check_files` found.

    Raises:
        ImageError: It cannot be read, is no plain file, or too large.
    """
    path = f"{concept_set.root}/{IMAGE_FOLDER}/{name}"
    try:
        state = os.stat(path)  # noqa: PTH116 - a Path costs more than the whole reading
        if stat.S_ISREG(state.st_mode) and state.st_size <= MAX_BYTES:
            with open(path, "rb", buffering=0) as stream:  # noqa: PTH123
                return stream.read()
    except OSError:
        pass  # the general reader may know better, or says what is wrong
    return image_bytes(path_of(concept_set, name))


def used_files(entry: IndexEntry, categories: Sequence[str]) -> list[str]:
    """The photograph and the label maps of an image, relative to images/."""
    cells = [entry.cells[name] for name in categories if name in entry.cells]
    return [entry.image, *(name for cell in cells for name in cell.maps)]


def digest_set(
    concept_set: ConceptSet,
    entries: Sequence[IndexEntry],
    categories: Sequence[str],
    *,
    index: str,
    workers: int,
    further: Sequence[str] = (),
) -> str:
    """SHA-256 of what a run takes from a set: its tables, photographs and label maps.

    Photographs and maps of a set with a manifest are known by the digests in it; those of a
    foreign layout that are used are read.

    Args:
        concept_set: The set.
        entries: The images used.
        categories: Those enabled.
        index: The index used, relative to the set.
        workers: Threads that read, at most.
        further: More tables that are used, relative to the set.

    Raises:
        SourceError: A file cannot be read.
    """
    root = concept_set.root
    tables = [index, LABELS, CATEGORIES, *(category_table(name) for name in concept_set.categories)]
    tables += further
    lines = [f"{hash_file(root / name)}  {name}" for name in tables]
    if concept_set.manifest is not None:
        digests = concept_set.manifest.digests
        lines += [f"{digests.photographs}  photographs", f"{digests.maps}  maps"]
    else:
        used = sorted({name for entry in entries for name in used_files(entry, categories)})
        hashes = map_in_turn(
            lambda name: digest(read_used(concept_set, name)), used, workers=workers
        )
        lines += [f"{found}  images/{name}" for found, name in zip(hashes, used, strict=True)]
    return digest("\n".join(lines).encode())
