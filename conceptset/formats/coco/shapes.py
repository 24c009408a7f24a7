"""From `segmentation` and `bbox` to a shape: outlines, both run-length codes, boxes, tags."""

from __future__ import annotations

from typing import Any

import numpy as np

from conceptset.geometry import Geometry, IntArray, Rings, Rle, decode_counts, rle_from_counts
from conceptset.parsing.defects import Spot
from conceptset.parsing.outlines import ring_from_box, ring_from_flat
from conceptset.parsing.values import canonical_id, described, quoted, whole_number
from conceptset.records import RegionKind

Shape = tuple[RegionKind, Geometry | None]


def shape_of(
    annotation: dict[str, Any], name: str, size: tuple[int, int], spot: Spot
) -> Shape | None:
    """Kind and geometry of an annotation that is drawn in the file itself.

    An outline or bitmap makes a `region`, or with `iscrowd` an `ignore`; a box alone makes a `box`;
    neither `segmentation` nor `bbox` makes a `tag` of the whole image.

    Returns:
        None after a report.
    """
    outline = annotation.get("segmentation")
    geometry: Geometry | None
    if isinstance(outline, dict):
        geometry = _runs(outline, name, size, spot.at("segmentation"))
    elif isinstance(outline, list) and any(ring != [] for ring in outline):
        geometry = _rings(outline, name, spot.at("segmentation"))
    elif outline is None or isinstance(outline, list):
        return _box_or_tag(annotation, name, spot)
    else:
        spot.at("segmentation").report(
            "SRC016",
            f"the outline of {quoted(name)} is {described(outline)}, a list of outlines or a "
            "run-length code was expected.",
        )
        return None
    return None if geometry is None else (region_kind(annotation, spot), geometry)


def _box_or_tag(annotation: dict[str, Any], name: str, spot: Spot) -> Shape | None:
    """What an annotation without an outline is."""
    box = annotation.get("bbox")
    if box is not None:
        ring = ring_from_box(box, spot.at("bbox"), f"the box of {quoted(name)}")
        return None if ring is None else ("box", Rings((ring,)))
    if annotation.get("segmentation") is None:
        return ("tag", None)
    spot.report("SRC016", f"{quoted(name)} has an empty outline and no box.")
    return None


def region_kind(annotation: dict[str, Any], spot: Spot) -> RegionKind:
    """`ignore` for a crowd, else `region`."""
    value = annotation.get("iscrowd")
    if value is True or canonical_id(value) == "1":
        return "ignore"
    if value not in (None, False) and canonical_id(value) != "0":
        spot.at("iscrowd").report("SRC030", f"iscrowd is {described(value)}, 0 or 1 was expected.")
    return "region"


def _rings(outline: list[Any], name: str, spot: Spot) -> Rings | None:
    """The outlines that can be filled; None if there is none, after reports on the others."""
    if not isinstance(outline[0], list):
        if any(isinstance(value, list | dict) for value in outline):
            spot.report(
                "SRC016",
                f"the outline of {quoted(name)} mixes numbers and lists, lists of numbers were "
                "expected.",
            )
            return None
        spot.report(
            "SRC021",
            f"the outline of {quoted(name)} is a list of numbers, a list of lists "
            "was expected; it is read as one outline.",
        )
        outline = [outline]
    rings = []
    for place, flat in enumerate(outline):
        here = spot.at(place)
        if not isinstance(flat, list):
            here.report(
                "SRC016",
                f"outline {place} of {quoted(name)} is {described(flat)}, a list of numbers was "
                "expected.",
            )
            continue
        owner = "the outline" if len(outline) == 1 else f"outline {place}"
        ring = ring_from_flat(flat, here, f"{owner} of {quoted(name)}")
        if ring is not None:
            rings.append(ring)
    return Rings(tuple(rings)) if rings else None


def _runs(code: dict[str, Any], name: str, size: tuple[int, int], spot: Spot) -> Rle | None:
    """The bitmap of a compressed or plain run-length code; None after a report."""
    sides = code.get("size")
    known = [whole_number(side) for side in sides] if isinstance(sides, list) else []
    if len(known) != 2 or None in known:
        spot.at("size").report(
            "SRC023", f"the mask of {quoted(name)} states no size [height, width]."
        )
        return None
    if tuple(known) != size:
        turned = ", height and width are swapped" if (known[1], known[0]) == size else ""
        spot.at("size").report(
            "SRC024",
            f"the mask of {quoted(name)} has {known[0]} x {known[1]} pixels (height x width), its "
            f"image {size[0]} x {size[1]}{turned}.",
        )
        return None
    try:
        return rle_from_counts(size, _counts(code.get("counts"), size))
    except ValueError as error:
        spot.at("counts").report("SRC023", f"the mask of {quoted(name)} is broken: {error}.")
        return None


def _counts(counts: object, size: tuple[int, int]) -> IntArray:
    """Run lengths, (n,) int64.

    Raises:
        ValueError: They are no list of whole numbers that fit the image and no compressed text.
    """
    if isinstance(counts, str):
        return decode_counts(counts)
    if not isinstance(counts, list):
        raise ValueError(f"its runs are {described(counts)}, a list or a text was expected")
    if set(map(type, counts)) - {int}:
        place = next(i for i, run in enumerate(counts) if type(run) is not int)
        raise ValueError(f"run {place} is {described(counts[place])}, a whole number was expected")
    total = size[0] * size[1]
    if counts and max(counts) > total:
        raise ValueError(f"a run of {max(counts)} exceeds the {total} pixels of the image")
    if counts and min(counts) < 0:
        raise ValueError(f"a run is negative ({min(counts)})")
    return np.array(counts, dtype=np.int64)
