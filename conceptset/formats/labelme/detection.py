"""Whether a file is LabelMe JSON, and what was looked for."""

from __future__ import annotations

from typing import Any

from conceptset.errors import ConceptsetError, printable
from conceptset.formats.base import Detection
from conceptset.parsing.candidate import Candidate
from conceptset.parsing.values import described

_IMAGE_KEYS = ("imagePath", "imageData")


def detect(candidate: Candidate) -> Detection:
    """What LabelMe JSON says about a path; never raises for bad data."""
    if candidate.is_directory or candidate.suffix != ".json":
        kind = "a directory" if candidate.is_directory else "not called .json"
        return _no(f"is {kind}, a JSON file was expected")
    try:
        return _search(candidate) if candidate.is_large else _look(candidate.json)
    except ConceptsetError as error:
        return _no(error.message)


def _no(*reasons: str) -> Detection:
    return Detection("labelme", matches=False, reasons=reasons)


def _look(data: object) -> Detection:
    if not isinstance(data, dict):
        return _no(f"holds {described(data)}, an object was expected")
    shapes = data.get("shapes")
    if not isinstance(shapes, list):
        said = f"shapes is {described(shapes)}" if "shapes" in data else "no shapes"
        return _no(said, "a list of shapes was expected")
    counted = f"shapes: {len(shapes)} entries"
    if not any(key in data for key in _IMAGE_KEYS):
        return _no(counted, f"neither {' nor '.join(_IMAGE_KEYS)}")
    if shapes and not any(isinstance(shape, dict) for shape in shapes):
        return _no(counted, "none of them is an object")
    return Detection(
        "labelme",
        matches=True,
        reasons=(counted, _image(data), _version(data)),
        people=", ".join(_places_of_people(data, shapes)) or None,
    )


def _image(data: dict[str, Any]) -> str:
    if data.get("imageData") not in (None, ""):
        return "the image is in the file (imageData)"
    name = data.get("imagePath")
    return f"imagePath: {printable(name, 80) if isinstance(name, str) else described(name)}"


def _version(data: dict[str, Any]) -> str:
    version = data.get("version")
    if isinstance(version, str | int | float):
        return f"version {printable(str(version), 20)}"
    return "no version: written before 3.5, or by another program"


def _places_of_people(data: dict[str, Any], shapes: list[Any]) -> list[str]:
    """The keys under which a file names annotators."""
    places = []
    if data.get("annotator") not in (None, ""):
        places.append("annotator")
    if any(isinstance(one, dict) and one.get("annotator") not in (None, "") for one in shapes):
        places.append("shapes[].annotator")
    return places


def _search(candidate: Candidate) -> Detection:
    """The same from the text of a large file: its keys, wherever they stand."""
    how = f"searched for its keys only ({candidate.size:,} bytes)"
    if not candidate.has_key("shapes"):
        return _no(how, "no key shapes")
    if not any(candidate.has_key(key) for key in _IMAGE_KEYS):
        return _no(how, f"neither {' nor '.join(_IMAGE_KEYS)}")
    people = "annotator" if candidate.has_key("annotator") else None
    return Detection(
        "labelme", matches=True, reasons=(how, "has the keys shapes and image"), people=people
    )
