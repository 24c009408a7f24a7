"""Where the segments of each image lie in an annotator's segments.jsonl.

Found in one pass and kept in numbers, not in objects: a set of ten thousand images and five people
has a million lines. Lines of one image need not lie together.
"""

from __future__ import annotations

import json
import re
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conceptset.errors import LayoutError, printable
from conceptset.io.paths import plain_size, resolve_inside
from conceptset.io.spool import Extent
from conceptset.layout import names
from conceptset.layout.models import AnnotatorRow

HINT = "'conceptset validate' lists the defects of the set, 'conceptset repair' writes a right one."
_MAX_LINE = 64 << 20
# How `build` writes a line, names without escapes: found without decoding all of it.
_AS_WRITTEN = re.compile(
    rb'\{"image": "([^"\\]*)", "order": [0-9]+, "kind": "([a-z]+)", '
    rb'"concept": "([^"\\]*)", "category": "([a-z][a-z0-9_]*)", '
)
_KEYS = ("image", "concept", "category", "kind")

Numbers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Session:
    """One row of annotators.csv.

    Attributes:
        place: Place of the annotator.
        path: Its segments.jsonl.
        images: Places of the images worked on, rising.
        begins, offsets, lengths: Runs of lines of one image: which image, where they begin in the
            file, how many bytes they have. Sorted by image, then by place in the file.
    """

    place: int
    path: Path
    images: Numbers
    begins: Numbers
    offsets: Numbers
    lengths: Numbers

    def extents(self, image: int) -> tuple[Extent, ...] | None:
        """Where the segments of an image lie; None if it was not worked on."""
        at = np.searchsorted(self.images, image)
        if at == len(self.images) or self.images[at] != image:
            return None
        first, last = np.searchsorted(self.begins, [image, image + 1]).tolist()
        pairs = zip(
            self.offsets[first:last].tolist(), self.lengths[first:last].tolist(), strict=True
        )
        return tuple(Extent(offset, length) for offset, length in pairs)


class Scan:
    """One pass over the segments of everybody: where they lie, and which names occur."""

    def __init__(self, images: Mapping[str, int]) -> None:
        self.concepts: set[str] = set()
        self.categories: set[str] = set()
        self._images = images
        self._places = {image.encode(): place for image, place in images.items()}
        self._raw: set[tuple[bytes, bytes]] = set()

    def session(self, root: Path, row: AnnotatorRow, place: int, worked: Numbers) -> Session:
        """Where the segments of one row of annotators.csv lie.

        Raises:
            LayoutError: The file cannot be read, a line is no segment, or of an image that the
                annotator's index does not list.
        """
        path = resolve_inside(root, names.annotator_file(row.directory, names.SEGMENTS))
        numbers = [array("q") for _ in range(3)]
        begins, offsets, lengths = numbers
        last, end = -1, -1
        for line, offset, text in _lines(path):
            image = self._note(text, path, line)
            if image == last and offset == end:
                lengths[-1] += len(text)
            else:
                begins.append(image)
                offsets.append(offset)
                lengths.append(len(text))
            last, end = image, offset + len(text)
        self._note_raw(path)
        found = np.array(numbers, dtype=np.int64)
        strange = np.setdiff1d(found[0], worked)
        if len(strange):
            name = next(image for image, at in self._images.items() if at == strange[0])
            raise LayoutError(
                f"has segments of {printable(name, 120)}, which the annotator's index does not "
                "list",
                path=path,
                hint=HINT,
            )
        found = found[:, np.argsort(found[0], kind="stable")]
        return Session(place, path, worked, found[0], found[1], found[2])

    def _note(self, text: bytes, path: Path, line: int) -> int:
        """The image of a line; its names are noted. Whoever reads it again checks the rest."""
        head = _AS_WRITTEN.match(text)
        if head is not None and head[1] in self._places:
            if head[2] != b"tag":
                self._raw.add((head[3], head[4]))
            return self._places[head[1]]
        try:
            row = json.loads(text)
            image, concept, category, kind = (row[key] for key in _KEYS)
            place = self._images.get(image)
        except (ValueError, TypeError, KeyError, RecursionError):
            raise _bad_line(path, line, "is no segment") from None
        if place is None:
            raise _bad_line(path, line, f"is of {printable(str(image), 120)}, which no index lists")
        if kind != "tag" and isinstance(concept, str) and isinstance(category, str):
            self.concepts.add(concept)
            self.categories.add(category)
        return place

    def _note_raw(self, path: Path) -> None:
        """Note the names that were met as bytes."""
        try:
            for concept, category in self._raw:
                self.concepts.add(concept.decode())
                self.categories.add(category.decode())
        except UnicodeDecodeError as error:
            raise LayoutError("is not UTF-8 text", path=path, hint=HINT) from error
        self._raw.clear()


def _bad_line(path: Path, line: int, text: str) -> LayoutError:
    return LayoutError(text, path=path, pointer=f"line {line}", hint=HINT)


def _lines(path: Path) -> Iterator[tuple[int, int, bytes]]:
    """(number from 1, offset, bytes) of every line that is not blank."""
    try:
        plain_size(path)
        with path.open("rb") as stream:
            number = offset = 0
            while text := stream.readline(_MAX_LINE):
                number += 1
                if len(text) == _MAX_LINE:
                    raise _bad_line(path, number, f"is longer than {_MAX_LINE} bytes")
                if text.strip():
                    yield number, offset, text
                offset += len(text)
    except OSError as error:
        raise LayoutError(f"cannot be read ({error.strerror})", path=path, hint=HINT) from error
