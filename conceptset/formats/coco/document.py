"""A COCO file as a whole: where its entries stand, found in one pass that keeps none of them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conceptset.errors import SourceError, UnsafeError
from conceptset.formats.coco.entries import (
    NO_HASH,
    FractionCheck,
    hash_of,
    id_in,
    is_other,
    stated_size,
    tells_by_its_ids,
)
from conceptset.parsing.json_stream import Element, JsonFile
from conceptset.parsing.values import canonical_id, described

NO_OBJECT, NO_ID = -1, -2  # in place of an image's number

_LISTS = ("images", "annotations", "categories")
_MAX_IMAGES = 10_000_000
_MAX_LETTERS = 1 << 29  # of all ids of images together
_MAX_CATEGORIES = 64 << 20  # bytes of all their entries together
_FIRST_MASKS = 200

Numbers = NDArray[np.int64]


class Ranges:
    """Where the entries of one list stand in the file; 12 bytes each."""

    def __init__(self) -> None:
        self.offsets = array("q")
        self.lengths = array("i")

    def __len__(self) -> int:
        return len(self.offsets)

    def __getitem__(self, place: int) -> tuple[int, int]:
        return self.offsets[place], self.lengths[place]

    def add(self, element: Element) -> None:
        """Keep the place of an entry."""
        self.offsets.append(element.offset)
        self.lengths.append(element.length)


class ImageNumbers:
    """A number, from 0, for every id by which the file calls an image."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers: dict[str, int] = {}
        self._letters = 0

    def __len__(self) -> int:
        return len(self._numbers)

    def of(self, key: str) -> int:
        """The number of an id.

        Raises:
            UnsafeError: There are too many to hold.
        """
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self._numbers)
            self._letters += len(key)
            if number >= _MAX_IMAGES or self._letters > _MAX_LETTERS:
                message = f"refers to more than {_MAX_IMAGES:,} images, or by very long ids"
                raise UnsafeError(message, path=self._path)
        return number

    def keys(self) -> list[str]:
        """The ids, by number."""
        return list(self._numbers)


class Annotations:
    """The list of annotations: where each stands and to which image it says it belongs.

    About 24 bytes are kept of each.

    Attributes:
        ranges: Where they stand.
        owners: Number of the image of each, `NO_ID`, or `NO_OBJECT` where the entry is none.
        others: How many say nothing about a region: captions, keypoints alone.
        masks: The files of masks that the first panoptic ones name.
        categories: Ids of the categories they refer to, if these are asked for.
        fractions: Whether their coordinates are fractions.
    """

    def __init__(self, file: JsonFile, numbers: ImageNumbers, *, with_categories: bool) -> None:
        self.ranges = Ranges()
        self.owners = array("i")
        self.others = 0
        self.masks: list[str] = []
        self.categories: set[str] = set()
        self.fractions = FractionCheck()
        self._file = file
        self._numbers = numbers
        self._hashes = array("q")
        self._keys = ('"image_id"', '"id"', *(['"category_id"'] if with_categories else []))

    def add(self, element: Element) -> None:
        """Take in the next one; it is decoded only if its text does not tell enough."""
        self.ranges.add(element)
        ids = self._ids_in(element)
        if ids is None:
            entry = self._file.decode(element)
            if not isinstance(entry, dict):
                self._keep(NO_OBJECT, None)
                return
            ids = [canonical_id(entry.get(key[1:-1])) for key in self._keys]
            self._look_at(entry)
        image, own, *category = ids
        self._keep(NO_ID if image is None else self._numbers.of(image), own)
        self.categories.update(key for key in category if key is not None)

    def _ids_in(self, element: Element) -> list[str | None] | None:
        """The ids as the text has them; None if it must be decoded."""
        text = element.text
        if element.is_decoded or self.fractions.is_open or not tells_by_its_ids(text):
            return None
        found = [id_in(text, key) for key in self._keys]
        return [key for _, key in found] if all(told for told, _ in found) else None

    def _keep(self, owner: int, own: str | None) -> None:
        self.owners.append(owner)
        self._hashes.append(hash_of(own))

    def _look_at(self, entry: dict[str, Any]) -> None:
        if self.fractions.is_open:
            self.fractions.add(entry)
        self.others += is_other(entry)
        name = entry.get("file_name")
        if "segments_info" in entry and isinstance(name, str) and len(self.masks) < _FIRST_MASKS:
            self.masks.append(name)

    def take_repeated(self) -> Numbers:
        """Places of those whose id an earlier one has, sorted; what is kept for it is let go."""
        hashes = np.array(self._hashes, dtype=np.int64)
        self._hashes = array("q")
        order = np.argsort(hashes, kind="stable")
        hashes = hashes[order]
        same = (hashes[1:] == hashes[:-1]) & (hashes[1:] != NO_HASH)
        return np.sort(order[1:][same])

    def owned(self) -> NDArray[np.int32]:
        """`owners` as an array."""
        return np.array(self.owners, dtype=np.int32)


@dataclass(slots=True)
class Document:
    """The lists of one COCO file.

    Attributes:
        file: The file that holds the annotations.
        home: The file that holds images and categories; another one for a list of results.
        numbers: A number for every id of an image; those that results refer to come first.
        annotations: The annotations, or the results.
        n_referred: How many images results refer to; None for other files: all are read.
        images: Where the entries of `images` stand.
        categories: What names each entry of `categories`.
        contributor: `info.contributor`, whatever it is.
        has_tiny_image: Whether an image is so small that all its coordinates may be below 1.
    """

    file: JsonFile
    home: JsonFile
    numbers: ImageNumbers
    annotations: Annotations
    n_referred: int | None = None
    images: Ranges = field(default_factory=Ranges)
    categories: list[Any] = field(default_factory=list)
    contributor: object = None
    has_tiny_image: bool = False

    @property
    def is_results(self) -> bool:
        """Whether the file is a bare list of results."""
        return self.n_referred is not None


def index_object(path: Path) -> Document:
    """The lists of a COCO file that is an object.

    Raises:
        SourceError: It is none, cannot be read, or has no list of images.
        UnsafeError: It has more images or categories than can be held.
    """
    file = JsonFile(path, allow_nan=True)
    numbers = ImageNumbers(path)
    document = Document(file, file, numbers, Annotations(file, numbers, with_categories=False))
    index_home(document, with_annotations=True)
    return document


def index_home(document: Document, *, with_annotations: bool) -> None:
    """Take in the images and categories of a document's home.

    Raises:
        SourceError: It is no object with a list of images.
        UnsafeError: There are more than can be held.
    """
    names = _Names(document)
    for key, value in members_of(document.home):
        if key == "info" and isinstance(value, dict) and with_annotations:
            document.contributor = value.get("contributor")
        if not isinstance(value, Iterator):
            continue
        for element in value:
            if key == "images":
                _add_image(document, element)
            elif key == "categories":
                names.add(element)
            elif key == "annotations" and with_annotations:
                document.annotations.add(element)


def members_of(file: JsonFile) -> Iterator[tuple[str, Any]]:
    """The values of a COCO file by key; of a list an iterator over its elements.

    Raises:
        SourceError: It is no object with a list of images.
    """
    found: set[str] = set()
    for member in file.members():
        if member.key is None:
            shown = described([] if member.elements is not None else member.value)
            raise SourceError(f"is no COCO file: it holds {shown}", path=file.path)
        if member.elements is None and member.key in _LISTS:
            raise _no_list(file, member.key, member.value)
        found.add(member.key)
        yield member.key, member.value if member.elements is None else member.elements
    if "images" not in found:
        raise _no_list(file, "images", None)


def _no_list(file: JsonFile, key: str, value: object) -> SourceError:
    return SourceError(
        f"is no COCO file: {key} is {described(value)}, a list was expected",
        path=file.path,
        pointer=f"/{key}",
    )


def _add_image(document: Document, element: Element) -> None:
    document.images.add(element)
    entry = document.home.decode(element)
    if isinstance(entry, dict):
        size = stated_size(entry)
        document.has_tiny_image |= size is not None and min(size) <= 2
        key = canonical_id(entry.get("id"))
        if key is not None:
            document.numbers.of(key)


class _Names:
    """Keeps what names the categories of a document."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._bytes = 0

    def add(self, element: Element) -> None:
        self._bytes += element.length + 100
        home = self._document.home
        if self._bytes > _MAX_CATEGORIES:
            message = f"its categories take more than {_MAX_CATEGORIES >> 20} MiB"
            raise UnsafeError(message, path=home.path, pointer="/categories")
        entry = home.decode(element)
        if isinstance(entry, dict):
            entry = {"id": entry.get("id"), "name": entry.get("name")}
        self._document.categories.append(entry)


def refuse_fractions(document: Document) -> None:
    """Stop at a file whose coordinates are fractions of the image.

    That is so if no coordinate of any outline or box exceeds 1, and no image is that small.

    Raises:
        SourceError: They are.
    """
    if document.annotations.fractions.are_all and not document.has_tiny_image:
        raise SourceError(
            "all coordinates lie between 0 and 1: they are fractions of the image (as Azure "
            "writes them), pixels were expected",
            path=document.file.path,
            hint="Multiply x by the width and y by the height of each image, or export in pixels.",
        )
