"""Bare lists of results: annotations whose images and categories stand in another file.

The names of categories are never guessed: the list is read together with the one JSON file in its
folder that has every image and category it refers to. Several such files are accepted if they say
the same about these.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from conceptset.errors import ConceptsetError, SourceError
from conceptset.formats.coco.document import Document, document_from, ids_of
from conceptset.io.tables import read_json
from conceptset.parsing.values import canonical_id

_HINT = (
    "Put the one instances JSON that it was made for, with its images and categories, into the "
    "same folder."
)


def load(path: Path) -> Document:
    """The lists of a COCO file; a list of results is completed from its companion.

    Raises:
        SourceError: It cannot be read, or is no COCO file.
    """
    data = read_json(path, allow_nan=True)
    return complete(path, data) if isinstance(data, list) else document_from(path, data)


def is_results(data: list[Any]) -> bool:
    """Whether a parsed list holds objects with image_id and category_id; the first 20 are seen."""
    return any(
        isinstance(entry, dict) and "image_id" in entry and "category_id" in entry
        for entry in data[:20]
    )


def complete(path: Path, data: list[Any]) -> Document:
    """A list of results together with the images and categories of its companion.

    Raises:
        SourceError: It is no list of results, or no companion or contradicting ones were found.
    """
    if not is_results(data):
        raise SourceError(
            "is no COCO file: the list holds no objects with image_id and category_id", path=path
        )
    images, categories = ids_of(data, "image_id"), ids_of(data, "category_id")
    found = _companions(path, images, categories)
    if not found:
        raise SourceError(
            "is a list of results without images and categories, and no JSON file in its folder "
            f"has the {len(images)} images and {len(categories)} categories it refers to",
            path=path,
            hint=_HINT,
        )
    if any(
        _meaning(other, images, categories) != _meaning(found[0], images, categories)
        for other in found[1:]
    ):
        names = ", ".join(document.path.name for document in found)
        raise SourceError(
            "is a list of results without images and categories, and several files in its folder "
            f"say different things about them: {names}",
            path=path,
            hint=_HINT,
        )
    return replace(found[0], path=path, annotations=data, contributor=None)


def _companions(path: Path, images: set[str], categories: set[str]) -> list[Document]:
    """The COCO files beside `path` that have all these images and categories, by name."""
    found: list[Document] = []
    for other in sorted(path.parent.glob("*.json")):
        if other == path or not other.is_file():
            continue
        try:
            document = document_from(other, read_json(other, allow_nan=True))
        except ConceptsetError:  # not every JSON beside it is a COCO file
            continue
        if images <= ids_of(document.images, "id") and categories <= ids_of(
            document.categories, "id"
        ):
            found.append(document)
    return found


def _meaning(document: Document, images: set[str], categories: set[str]) -> object:
    """What a file says about these ids: file names and sizes, category names."""
    return (
        _values(document.images, images, ("file_name", "height", "width")),
        _values(document.categories, categories, ("name",)),
    )


def _values(entries: list[Any], ids: set[str], keys: tuple[str, ...]) -> dict[str, tuple[Any, ...]]:
    return {
        name: tuple(entry.get(key) for key in keys)
        for entry in entries
        if isinstance(entry, dict) and (name := canonical_id(entry.get("id"))) in ids
        if name is not None
    }


def referenced(document: Document) -> set[str] | None:
    """The images that are read: for results those they refer to; None for all."""
    return ids_of(document.annotations, "image_id") if document.is_results else None
