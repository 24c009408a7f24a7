"""From one object to kind and geometry: outlines, boxes, masks in files of their own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from conceptset.errors import ImageError, UnsafeError
from conceptset.formats.labelme_xml.document import Drawing
from conceptset.geometry import BinaryMask, Geometry, Rings, Rle, mask_to_counts
from conceptset.io.images import decode_stored
from conceptset.parsing.defects import Spot
from conceptset.parsing.mask_files import find_mask, mask_header
from conceptset.parsing.outlines import numbers_from, ring_from_flat
from conceptset.parsing.values import quoted
from conceptset.records import RegionKind

_TRANSPARENT = ("RGBA", "LA")
_OPAQUE = ("RGB", "L", "1")
_HINT = "Put the folder Masks beside the folder Annotations, as the tool has it."

Shape = tuple[RegionKind, Geometry | None]


def mask_folders(path: Path, folder: str) -> list[Path]:
    """Where the masks of an annotation file can lie, the tool's own place first.

    The tool has Annotations/FOLDER/x.xml and Masks/FOLDER/; some exporters drop FOLDER, others put
    Masks, or the masks themselves, beside the annotation file.

    Args:
        path: The annotation file.
        folder: What it states as its folder.
    """
    homes = [path.parent, *path.parent.parents][:4]
    inner = [part for part in folder.split("/") if part not in ("", ".", "..")]
    found = [home / "Masks" for home in homes if (home / "Masks").is_dir()]
    return [place for masks in found for place in (masks.joinpath(*inner), masks)] + [path.parent]


def shape_of(
    drawing: Drawing, size: tuple[int, int], folders: Sequence[Path], spot: Spot
) -> Shape | None:
    """Kind and geometry of an object that was not deleted; None after a report.

    Args:
        drawing: The object.
        size: (height, width) of the image.
        folders: Where masks are looked for.
        spot: Where the object stands.
    """
    named = quoted(drawing.name)
    if drawing.frames:
        spot.at("polygon").report(
            "SRC062", f"the outline of {named} is one of a video, with a list of frames."
        )
        return None
    if drawing.polygons + len(drawing.masks) > 1:
        spot.report(
            "SRC015",
            f"{named} has {drawing.polygons} outlines and {len(drawing.masks)} masks, one of "
            "either was expected.",
        )
        return None
    if drawing.masks:
        mask = _mask(drawing, size, folders, spot.at("segm", "mask"))
        return None if mask is None else ("region", mask)
    if not drawing.points:
        spot.report("SRC016", f"{named} has no outline and no mask.")
        return None
    return _outline(drawing, spot.at("polygon"))


def _outline(drawing: Drawing, spot: Spot) -> Shape | None:
    """A box, a region, or the mark that one or two points are in the tool."""
    owner = f"the outline of {quoted(drawing.name)}"
    if len(drawing.points) <= 4:
        known = numbers_from(drawing.points, spot, owner)
        return None if known is None else ("mark", None)
    ring = ring_from_flat(drawing.points, spot, owner)
    return None if ring is None else ("box" if drawing.is_box else "region", Rings((ring,)))


def _mask(
    drawing: Drawing, size: tuple[int, int], folders: Sequence[Path], spot: Spot
) -> BinaryMask | Rle | None:
    """The pixels of a mask: not transparent; not black where nothing in it is transparent."""
    name = drawing.masks[0]
    path = find_mask(name or None, folders, spot, hint=_HINT)
    header = None
    if path is not None:
        header = mask_header(path, name, size, (*_TRANSPARENT, *_OPAQUE), spot)
    if path is None or header is None:
        return None
    if header.mode in _TRANSPARENT:
        return BinaryMask(path, "alpha", size)
    try:
        pixels = decode_stored(path)[1]
    except (ImageError, UnsafeError) as error:
        spot.report("SRC026", f"the file of masks {quoted(name)} {error.message}.")
        return None
    spot.report(
        "SRC065", f"the file of masks {quoted(name)} is of mode {header.mode}, without alpha."
    )
    drawn = np.any(pixels, axis=2) if pixels.ndim == 3 else pixels != 0
    return Rle(size, mask_to_counts(drawn))
