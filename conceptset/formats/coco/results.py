"""Bare lists of results: annotations whose images and categories stand in another file.

The names of categories are never guessed: the list is read together with the one JSON file in its
folder that has every image and category it refers to. Several such files are accepted if they say
the same about these.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from conceptset.errors import ConceptsetError, SourceError
from conceptset.formats.coco.document import (
    Annotations,
    Document,
    ImageNumbers,
    index_home,
    index_object,
    members_of,
)
from conceptset.parsing.json_stream import JsonFile
from conceptset.parsing.values import canonical_id

_LOOKED_AT = 20
_TOLD = {"images": ("file_name", "height", "width"), "categories": ("name",)}
_HINT = (
    "Put the one instances JSON that it was made for, with its images and categories, into the "
    "same folder."
)

Meaning = dict[str, dict[str, tuple[Any, ...]]]


def load(path: Path) -> Document:
    """The lists of a COCO file; a list of results is completed from its companion.

    Raises:
        SourceError: It cannot be read, or is no COCO file.
    """
    file = JsonFile(path, allow_nan=True)
    return _index_results(file) if file.first_character() == "[" else index_object(path)


def is_results(data: list[Any]) -> bool:
    """Whether a parsed list holds objects with image_id and category_id; the first 20 are seen."""
    return any(
        isinstance(entry, dict) and "image_id" in entry and "category_id" in entry
        for entry in data[:_LOOKED_AT]
    )


def _index_results(file: JsonFile) -> Document:
    """A list of results together with the images and categories of its companion.

    Raises:
        SourceError: It is no list of results, or no companion or contradicting ones were found.
    """
    numbers = ImageNumbers(file.path)
    annotations = Annotations(file, numbers, with_categories=True)
    first: list[Any] = []
    for member in file.members():
        for element in member.elements or ():
            if len(first) < _LOOKED_AT:
                first.append(file.decode(element))
            annotations.add(element)
    if not is_results(first):
        raise SourceError(
            "is no COCO file: the list holds no objects with image_id and category_id",
            path=file.path,
        )
    wanted = {"images": set(numbers.keys()), "categories": annotations.categories}
    home = _companion(file.path, wanted)
    document = Document(file, home, numbers, annotations, n_referred=len(numbers))
    index_home(document, with_annotations=False)
    return document


def _companion(path: Path, wanted: dict[str, set[str]]) -> JsonFile:
    """The COCO file beside a list of results that has all these images and categories.

    Raises:
        SourceError: None has, or several that say different things.
    """
    found: list[JsonFile] = []
    meaning: Meaning | None = None
    agree = True
    for other in sorted(path.parent.glob("*.json")):
        if other == path or not other.is_file():
            continue
        file = JsonFile(other, allow_nan=True)
        try:
            said = _meaning(file, wanted)
        except ConceptsetError:  # not every JSON beside it is a COCO file
            continue
        if any(wanted[key] - said[key].keys() for key in wanted):
            continue
        found.append(file)
        meaning = said if meaning is None else meaning
        agree = agree and said == meaning
    if not found:
        raise SourceError(
            "is a list of results without images and categories, and no JSON file in its folder "
            f"has the {len(wanted['images'])} images and {len(wanted['categories'])} categories "
            "it refers to",
            path=path,
            hint=_HINT,
        )
    if not agree:
        names = ", ".join(file.path.name for file in found)
        raise SourceError(
            "is a list of results without images and categories, and several files in its folder "
            f"say different things about them: {names}",
            path=path,
            hint=_HINT,
        )
    return found[0]


def _meaning(file: JsonFile, wanted: dict[str, set[str]]) -> Meaning:
    """What a file says about these ids: file names and sizes, category names."""
    said: Meaning = {key: {} for key in wanted}
    for key, value in members_of(file):
        if key not in wanted or not isinstance(value, Iterator):
            continue
        for element in value:
            entry = file.decode(element)
            own = canonical_id(entry.get("id")) if isinstance(entry, dict) else None
            if own is not None and own in wanted[key]:
                said[key][own] = tuple(entry.get(name) for name in _TOLD[key])
    return said
