"""Whether a file is COCO, and what was looked for."""

from __future__ import annotations

from typing import Any

from conceptset.errors import ConceptsetError
from conceptset.formats.base import Detection
from conceptset.formats.coco.people import places_of_people
from conceptset.formats.coco.results import is_results
from conceptset.parsing.candidate import Candidate
from conceptset.parsing.values import described


def detect(candidate: Candidate) -> Detection:
    """What COCO says about a path; never raises for bad data."""
    if candidate.is_directory or candidate.suffix != ".json":
        kind = "a directory" if candidate.is_directory else "not called .json"
        return _no(f"is {kind}, a JSON file was expected")
    try:
        if candidate.is_large:
            return _search(candidate)
        data = candidate.json
    except ConceptsetError as error:
        return _no(error.message)
    return _detect_results(data) if isinstance(data, list) else _detect_object(data)


def _no(*reasons: str) -> Detection:
    return Detection("coco", matches=False, reasons=reasons)


def _detect_results(data: list[Any]) -> Detection:
    if not is_results(data):
        return _no("is a list, but not of objects with image_id and category_id (results)")
    return Detection(
        "coco",
        matches=True,
        reasons=(
            f"is a list of {len(data)} results with image_id and category_id",
            "has no images and categories; they are looked for in a JSON file of the same folder",
        ),
        people=", ".join(places_of_people([], data, None)) or None,
    )


def _detect_object(data: object) -> Detection:
    if not isinstance(data, dict):
        return _no(f"holds {described(data)}, an object or a list of results was expected")
    lists = {key: data.get(key) for key in ("images", "annotations", "categories")}
    said = [
        f"{key}: {len(value)} entries"
        if isinstance(value, list)
        else (f"{key} is {described(value)}, a list was expected" if key in data else f"no {key}")
        for key, value in lists.items()
    ]
    wrong = [key for key, value in lists.items() if key in data and not isinstance(value, list)]
    if "images" not in data or len(data.keys() & lists) < 2 or wrong:
        return _no(*said, "images with annotations or categories were expected")
    named = [isinstance(entry, dict) and "file_name" in entry for entry in data["images"]]
    if named and not any(named):
        return _no(*said, "no entry of images has a file_name")
    annotations, info = data.get("annotations", []), data.get("info")
    contributor = info.get("contributor") if isinstance(info, dict) else None
    return Detection(
        "coco",
        matches=True,
        reasons=(*said, f"annotations are {_kinds(annotations)}"),
        people=", ".join(places_of_people(data["images"], annotations, contributor)) or None,
    )


def _kinds(annotations: list[Any]) -> str:
    """What the annotations hold, most telling first."""
    keys: set[str] = set()
    for entry in annotations:
        if isinstance(entry, dict):
            keys.update(key for key, value in entry.items() if value not in (None, [], {}))
    kinds = {
        "segments_info": "panoptic segments",
        "segmentation": "outlines or masks",
        "bbox": "boxes",
        "keypoints": "keypoints",
        "caption": "captions",
    }
    found = [title for key, title in kinds.items() if key in keys]
    return ", ".join(found) or ("labels of whole images" if annotations else "none")


def _search(candidate: Candidate) -> Detection:
    """The same from the text of a large file: its keys, wherever they stand."""
    expected = ("images", "annotations", "categories")
    if candidate.head.lstrip().startswith(b"["):
        expected = ("image_id", "category_id", "segmentation")
    missed = [key for key in expected if not candidate.has_key(key)]
    people = [key for key in ("annotator", "rater_id", "rater_list") if candidate.has_key(key)]
    how = f"searched for its keys only ({candidate.size:,} bytes)"
    if missed:
        return _no(how, *(f"no key {key}" for key in missed))
    return Detection(
        "coco",
        matches=True,
        reasons=(how, f"has the keys {', '.join(expected)}"),
        people=", ".join(people) or None,
    )
