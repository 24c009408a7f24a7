"""How a COCO file calls its images, without reading more of it than that takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from conceptset.errors import SourceError
from conceptset.formats.coco.document import members_of
from conceptset.formats.coco.results import load
from conceptset.parsing.json_stream import Element, JsonFile
from conceptset.parsing.photographs import name_of_address
from conceptset.parsing.values import canonical_id

_LARGE = 16 << 20  # bytes; a larger file is searched for its list of images
_ENOUGH = 500
_CHUNK = 4 << 20
_OVERLAP = 256
_LIST = re.compile(rb'"images"[ \t\n\r]*:[ \t\n\r]*\[')


def names_in(path: Path) -> list[str]:
    """The file names of the images, in order; of those a list of results refers to.

    Of a large file the first few hundred.

    Raises:
        SourceError: The file cannot be read as COCO.
    """
    file = JsonFile(path, allow_nan=True)
    if file.first_character() == "[":
        return _names_of_results(path)
    if path.stat().st_size > _LARGE:
        for offset in _lists_of_images(path):
            names = list(islice(_first_names(file, offset), _ENOUGH))
            if names:
                return names
    names = []
    for key, value in members_of(file):
        if key == "images":
            names += _names(file, value)
    return names


def _names_of_results(path: Path) -> list[str]:
    document = load(path)
    names = []
    with document.home.reopened() as home:
        for place in range(len(document.images)):
            entry = home.read(*document.images[place])
            key = canonical_id(entry.get("id")) if isinstance(entry, dict) else None
            if key is None or document.numbers.of(key) >= (document.n_referred or 0):
                continue
            if isinstance(name := entry.get("file_name"), str):
                names.append(name_of_address(name))
    return names


def _names(file: JsonFile, elements: Iterator[Element]) -> Iterator[str]:
    """The file names in a list of images."""
    for element in elements:
        entry = file.decode(element)
        if isinstance(entry, dict) and isinstance(name := entry.get("file_name"), str):
            yield name_of_address(name)


def _first_names(file: JsonFile, offset: int) -> Iterator[str]:
    """The file names in what looks like a list of images, as far as it can be read."""
    try:
        yield from _names(file, file.elements_from(offset))
    except SourceError:  # it only looked like one; reading says what is wrong with the file
        return


def _lists_of_images(path: Path) -> Iterator[int]:
    """Where a list under the key `images` begins, at whatever depth."""
    with path.open("rb") as stream:
        before, offset = b"", 0
        while data := stream.read(_CHUNK):
            text = before + data
            for match in _LIST.finditer(text):
                if match.end() > len(before):
                    yield offset + match.end() - 1
            offset += len(text)
            before = text[-_OVERLAP:]
            offset -= len(before)
