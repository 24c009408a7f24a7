"""A COCO file as a whole: its lists, loaded and checked for their outer form only."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conceptset.errors import SourceError
from conceptset.parsing.values import canonical_id, described, whole_number

_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True)
class Document:
    """The lists of one file; their entries are as they stand there.

    Attributes:
        path: The file that holds the annotations.
        images: Entries of `images`.
        annotations: Entries of `annotations`, or of the bare list.
        categories: Entries of `categories`.
        contributor: `info.contributor`, whatever it is.
        home: The file that holds images and categories; another one than `path` for results.
    """

    path: Path
    images: list[Any]
    annotations: list[Any]
    categories: list[Any]
    contributor: object
    home: Path

    @property
    def is_results(self) -> bool:
        """Whether the file is a bare list of results."""
        return self.home != self.path


def document_from(path: Path, data: object) -> Document:
    """The lists of a parsed file.

    Raises:
        SourceError: It is no object with a list of images.
    """
    if not isinstance(data, dict):
        raise SourceError(f"is no COCO file: it holds {described(data)}", path=path)
    lists = {}
    for key in ("images", "annotations", "categories"):
        value = data.get(key, None if key == "images" else [])
        if not isinstance(value, list):
            raise SourceError(
                f"is no COCO file: {key} is {described(value)}, a list was expected",
                path=path,
                pointer=f"/{key}",
            )
        lists[key] = value
    info = data.get("info")
    return Document(
        path=path,
        images=lists["images"],
        annotations=lists["annotations"],
        categories=lists["categories"],
        contributor=info.get("contributor") if isinstance(info, dict) else None,
        home=path,
    )


def stated_size(image: dict[str, Any]) -> tuple[int, int] | None:
    """(height, width) an image entry states; None if one is missing, 0 or no whole number."""
    height, width = whole_number(image.get("height")), whole_number(image.get("width"))
    return (height, width) if height and width else None


def refuse_fractions(document: Document) -> None:
    """Stop at a file whose coordinates are fractions of the image.

    That is so if no coordinate of any outline or box exceeds 1, and no image is that small.

    Raises:
        SourceError: They are.
    """
    largest = 0.0
    for values in _coordinate_lists(document.annotations):
        numbers = [abs(v) for v in values if type(v) in (int, float) and math.isfinite(v)]
        largest = max(largest, max(numbers, default=0.0))
        if largest > 1 + _TOLERANCE:
            return
    sizes = [stated_size(image) for image in document.images if isinstance(image, dict)]
    if largest == 0 or any(size is not None and min(size) <= 2 for size in sizes):
        return
    raise SourceError(
        "all coordinates lie between 0 and 1: they are fractions of the image (as Azure writes "
        "them), pixels were expected",
        path=document.path,
        hint="Multiply x by the width and y by the height of each image, or export in pixels.",
    )


def _coordinate_lists(annotations: list[Any]) -> Iterator[list[Any]]:
    for annotation in annotations:
        if not isinstance(annotation, dict):
            continue
        outline, box = annotation.get("segmentation"), annotation.get("bbox")
        if isinstance(outline, dict) or "segments_info" in annotation:
            yield [math.pi]  # runs and masks count in pixels
        if isinstance(outline, list):
            yield outline
            yield from (ring for ring in outline if isinstance(ring, list))
        if isinstance(box, list) and len(box) == 4:
            yield box


def ids_of(entries: list[Any], key: str) -> set[str]:
    """The canonical ids that entries have under `key`."""
    found = (canonical_id(entry.get(key)) for entry in entries if isinstance(entry, dict))
    return {value for value in found if value is not None}
