"""Panoptic annotations: one PNG per image, whose colours are the codes of its segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conceptset.errors import ImageError, UnsafeError
from conceptset.geometry import CodedMask
from conceptset.io.catalogue import guess_root
from conceptset.io.images import read_header
from conceptset.io.paths import resolve_inside
from conceptset.parsing.defects import Spot
from conceptset.parsing.values import described, quoted, whole_number

MAX_CODE = (1 << 24) - 1
_MODES = ("RGB", "RGBA", "L", "P", "1")


@dataclass(frozen=True, slots=True)
class Segment:
    """One entry of `segments_info`.

    Attributes:
        entry: As it stands in the file.
        mask: Its pixels.
        spot: Where it stands.
    """

    entry: dict[str, Any]
    mask: CodedMask
    spot: Spot


def mask_folder(path: Path, names: Sequence[str]) -> Path:
    """The folder of the PNGs: the one called like the JSON file, or another usual one.

    Of the usual ones the first that holds most of the files.

    Args:
        path: The JSON file.
        names: The first files that annotations name.
    """
    beside, stem = path.parent, path.stem
    usual = [
        beside / stem,
        beside / f"{stem}_masks",
        beside / "panoptic_masks",
        beside / "panoptic",
        beside / "masks",
        beside.parent / stem,
        beside,
    ]
    return guess_root(names, usual) or beside / stem


def segments_of(
    annotation: dict[str, Any], folder: Path, size: tuple[int, int], spot: Spot
) -> Iterator[Segment]:
    """The segments of one panoptic annotation, in order; what is wrong is reported.

    Args:
        annotation: Has `segments_info`.
        folder: Where the PNGs lie.
        size: (height, width) of the image.
        spot: Where the annotation stands.
    """
    entries = annotation["segments_info"]
    if not isinstance(entries, list):
        spot.at("segments_info").report(
            "SRC015", f"segments_info is {described(entries)}, a list was expected."
        )
        return
    path = _mask_file(annotation.get("file_name"), folder, size, spot.at("file_name"))
    if path is None:
        return
    seen: set[int] = set()
    for place, entry in enumerate(entries):
        here = spot.at("segments_info", place)
        if not isinstance(entry, dict):
            here.report("SRC015", f"the segment is {described(entry)}, an object was expected.")
            continue
        code = whole_number(entry.get("id"))
        if code is None or not 1 <= code <= MAX_CODE:
            here.at("id").report(
                "SRC027",
                f"the id of the segment is {described(entry.get('id'))}, 1 to {MAX_CODE} was "
                "expected.",
            )
        elif code in seen:
            here.at("id").report("SRC028", f"the segment {code} is listed twice for this image.")
        else:
            seen.add(code)
            yield Segment(entry, CodedMask(path, code, size), here)


def _mask_file(name: object, folder: Path, size: tuple[int, int], spot: Spot) -> Path | None:
    """The PNG called `name` if its header is as expected; None after a report."""
    if not isinstance(name, str) or not name:
        spot.report("SRC025", f"the file of masks is {described(name)}, a name was expected.")
        return None
    try:
        path = resolve_inside(folder, name)
    except UnsafeError as error:
        spot.report("SRC006", f"the file of masks {quoted(name)} is refused: {error.message}.")
        return None
    if not path.is_file():
        spot.report(
            "SRC025",
            f"the file of masks {quoted(name)} does not exist; it was looked for in the folder "
            f"{quoted(folder.name)} beside the annotations.",
        )
        return None
    return path if _has_codes(path, name, size, spot) else None


def _has_codes(path: Path, name: str, size: tuple[int, int], spot: Spot) -> bool:
    """Whether the header is that of a mask of the image's size; False after a report."""
    try:
        header = read_header(path)
    except (ImageError, UnsafeError) as error:
        spot.report("SRC026", f"the file of masks {quoted(name)} {error.message}.")
        return False
    if header.format != "PNG" or header.mode not in _MODES:
        spot.report(
            "SRC026",
            f"the file of masks {quoted(name)} is {header.format} of mode {header.mode}, a PNG of "
            "mode RGB, grey or palette was expected.",
        )
        return False
    if header.size != size:
        spot.report(
            "SRC024",
            f"the file of masks {quoted(name)} has {header.size[0]} x {header.size[1]} pixels "
            f"(height x width), its image {size[0]} x {size[1]}.",
        )
        return False
    return True
