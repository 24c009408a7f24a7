"""The lists of a COCO file in order: names and images by id, annotations by image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from conceptset.parsing.defects import Spot
from conceptset.parsing.values import canonical_id, clean_name, described, quoted


@dataclass(frozen=True, slots=True)
class Listing:
    """One usable entry of `images`.

    Attributes:
        entry: As it stands in the file.
        name: Its file name.
        spot: Where it stands.
    """

    entry: dict[str, Any]
    name: str
    spot: Spot


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


def listings(images: list[Any], spot: Spot) -> dict[str, Listing | None]:
    """Image entries by canonical id, in order; None for one that was reported as unusable."""
    found: dict[str, Listing | None] = {}
    for place, entry in enumerate(images):
        here = spot.at("images", place)
        if not isinstance(entry, dict):
            here.report("SRC007", f"the image is {described(entry)}, an object was expected.")
            continue
        key, name = canonical_id(entry.get("id")), entry.get("file_name")
        if key is None:
            here.report("SRC007", f"the id of the image is {described(entry.get('id'))}.")
        elif key in found:
            here.report("SRC008", f"the id {quoted(key)} of the image is that of an earlier one.")
        elif not isinstance(name, str) or not name:
            here.report(
                "SRC007", f"file_name is {described(name)}, the name of a file was expected."
            )
            found[key] = None
        else:
            found[key] = Listing(entry, name, here)
    return found


def by_image(
    annotations: list[Any], images: Mapping[str, Listing | None], spot: Spot
) -> dict[str, list[int]]:
    """Indices of the annotations of each image, in document order; strays are reported."""
    groups: dict[str, list[int]] = {}
    for place, entry in enumerate(annotations):
        if not isinstance(entry, dict):
            spot.at(place).report(
                "SRC015", f"the annotation is {described(entry)}, an object was expected."
            )
            continue
        key = canonical_id(entry.get("image_id"))
        if key is None:
            spot.at(place).report(
                "SRC009", f"image_id is {described(entry.get('image_id'))}, an id was expected."
            )
        elif key not in images:
            spot.at(place).report(
                "SRC009", f"image_id is {quoted(key)}, but no image of the file has this id."
            )
        else:
            groups.setdefault(key, []).append(place)
    return groups


def report_repeated_ids(annotations: list[Any], spot: Spot) -> None:
    """One warning for all annotation ids that occur more than once."""
    seen: set[str] = set()
    repeated: list[tuple[int, str]] = []
    for place, entry in enumerate(annotations):
        key = canonical_id(entry.get("id")) if isinstance(entry, dict) else None
        if key is not None and key in seen:
            repeated.append((place, key))
        elif key is not None:
            seen.add(key)
    if repeated:
        place, key = repeated[0]
        more = f", and {len(repeated) - 1} more repeat an id" if len(repeated) > 1 else ""
        spot.at(place, "id").report(
            "SRC014", f"the id {quoted(key)} is that of an earlier annotation{more}."
        )
