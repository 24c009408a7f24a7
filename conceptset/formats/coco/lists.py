"""The lists of a COCO file in order: names and images by id, annotations by image."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from conceptset.formats.coco.document import Document
from conceptset.parsing.defects import Spot
from conceptset.parsing.json_stream import ElementReader
from conceptset.parsing.values import canonical_id, clean_name, described, quoted


@dataclass(frozen=True, slots=True)
class Listed:
    """What `images` lists.

    Attributes:
        known: By the number of an image, whether an entry has its id.
        places: Places of the first entry of each id, where it can be used and is wanted.
    """

    known: bytearray
    places: array[int]


def category_names(categories: list[Any], spot: Spot) -> dict[str, str | None]:
    """Name by canonical id; None for a category that was reported as unusable.

    Two ids of one name are one concept, which is said in a warning.
    """
    names: dict[str, str | None] = {}
    homes: dict[str, str] = {}
    for place, entry in enumerate(categories):
        here = spot.at("categories", place)
        if not isinstance(entry, dict):
            here.report("SRC011", f"the category is {described(entry)}, an object was expected.")
            continue
        key, name = canonical_id(entry.get("id")), clean_name(entry.get("name"))
        if key is None:
            here.report("SRC011", f"the id of the category is {described(entry.get('id'))}.")
        elif name is None:
            here.report("SRC011", f"the name of the category is {described(entry.get('name'))}.")
            names.setdefault(key, None)
        elif key in names and names[key] != name:
            here.report(
                "SRC012",
                f"the category {quoted(name)} has the id {quoted(key)}, which an earlier one has.",
            )
        elif name in homes:
            here.report(
                "SRC013",
                f"the name {quoted(name)} is given to category {quoted(homes[name])} and to "
                f"{quoted(key)}; both are read as one.",
            )
            names[key] = name
        else:
            names[key], homes[name] = name, key
    return names


def list_images(document: Document, home: ElementReader, spot: Spot) -> Listed:
    """The usable entries of `images`; what is wrong with the others is reported."""
    listed = Listed(bytearray(len(document.numbers)), array("i"))
    for place in range(len(document.images)):
        here = spot.at("images", place)
        entry = home.read(*document.images[place])
        if not isinstance(entry, dict):
            here.report("SRC007", f"the image is {described(entry)}, an object was expected.")
            continue
        key, name = canonical_id(entry.get("id")), entry.get("file_name")
        if key is None:
            here.report("SRC007", f"the id of the image is {described(entry.get('id'))}.")
            continue
        number = document.numbers.of(key)
        if listed.known[number]:
            here.report("SRC008", f"the id {quoted(key)} of the image is that of an earlier one.")
            continue
        listed.known[number] = True
        if not isinstance(name, str) or not name:
            here.report(
                "SRC007", f"file_name is {described(name)}, the name of a file was expected."
            )
        elif document.n_referred is None or number < document.n_referred:
            listed.places.append(place)
    return listed


def by_image(
    document: Document, listed: Listed, annotations: ElementReader, spot: Spot
) -> Callable[[int], list[int]]:
    """Places of the annotations of an image by its number, in document order; strays are reported.

    About four bytes are kept of each annotation.
    """
    owners = document.annotations.owned()
    known = np.array(listed.known, dtype=np.uint8).astype(bool)
    strays = owners < 0
    strays[~strays] = ~known[owners[~strays]]
    places = np.flatnonzero(strays).tolist()
    keys = document.numbers.keys() if places else []
    for place in places:
        _report_stray(document, place, keys, annotations, spot.at(place))
    order = np.argsort(owners, kind="stable").astype(np.int32)
    starts = np.searchsorted(owners[order], np.arange(len(document.numbers) + 1))

    def places_of(number: int) -> list[int]:
        found: list[int] = order[starts[number] : starts[number + 1]].tolist()
        return found

    return places_of


def _report_stray(
    document: Document, place: int, keys: Sequence[str], annotations: ElementReader, here: Spot
) -> None:
    owner = document.annotations.owners[place]
    entry = annotations.read(*document.annotations.ranges[place])
    if not isinstance(entry, dict):
        here.report("SRC015", f"the annotation is {described(entry)}, an object was expected.")
    elif owner < 0:
        shown = described(entry.get("image_id"))
        here.report("SRC009", f"image_id is {shown}, an id was expected.")
    else:
        here.report(
            "SRC009", f"image_id is {quoted(keys[owner])}, but no image of the file has this id."
        )


def report_repeated_ids(document: Document, annotations: ElementReader, spot: Spot) -> None:
    """One warning for all annotation ids that occur more than once."""
    repeated = document.annotations.take_repeated().tolist()
    if repeated:
        place = repeated[0]
        key = canonical_id(annotations.read(*document.annotations.ranges[place]).get("id"))
        more = f", and {len(repeated) - 1} more repeat an id" if len(repeated) > 1 else ""
        spot.at(place, "id").report(
            "SRC014", f"the id {quoted(str(key))} is that of an earlier annotation{more}."
        )
