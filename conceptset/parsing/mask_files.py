"""Mask images that annotations name: found beside them, their headers checked, never decoded."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

from conceptset.errors import ImageError, UnsafeError
from conceptset.io.images import ImageHeader, read_header
from conceptset.io.paths import resolve_inside
from conceptset.parsing.defects import Spot
from conceptset.parsing.values import described, quoted


def find_mask(
    name: object, folders: Sequence[Path], spot: Spot, *, hint: str | None = None
) -> Path | None:
    """The file called `name` in the first of `folders` that has it; None after a report.

    Args:
        name: What the annotations have.
        folders: Where it is looked for, in this order; the first one is named in messages.
        spot: Where the name stands.
        hint: What to do where it is missing, if more is known than `SRC025` says.
    """
    if not isinstance(name, str) or not name:
        spot.report("SRC025", f"the file of masks is {described(name)}, a name was expected.")
        return None
    try:
        paths = [resolve_inside(folder, name) for folder in folders]
    except UnsafeError as error:
        spot.report("SRC006", f"the file of masks {quoted(name)} is refused: {error.message}.")
        return None
    found = next((path for path in paths if path.is_file()), None)
    if found is None:
        spot.report(
            "SRC025",
            f"the file of masks {quoted(name)} does not exist; it was looked for in the folder "
            f"{quoted(folders[0].name)} beside the annotations.",
            hint=hint,
        )
    return found


def mask_header(
    path: Path, name: str, size: tuple[int, int], modes: Collection[str], spot: Spot
) -> ImageHeader | None:
    """The header of a mask that covers its image pixel by pixel; None after a report.

    Args:
        path: The file, see `find_mask`.
        name: How messages call it.
        size: (height, width) of the image.
        modes: Pillow's modes that the format knows how to read.
        spot: Where the name stands.
    """
    try:
        header = read_header(path)
    except (ImageError, UnsafeError) as error:
        spot.report("SRC026", f"the file of masks {quoted(name)} {error.message}.")
        return None
    if header.format != "PNG" or header.mode not in modes:
        spot.report(
            "SRC026",
            f"the file of masks {quoted(name)} is {header.format} of mode {header.mode}, a PNG of "
            f"mode {', '.join(modes)} was expected.",
        )
        return None
    if header.size != size:
        spot.report(
            "SRC024",
            f"the file of masks {quoted(name)} has {header.size[0]} x {header.size[1]} pixels "
            f"(height x width), its image {size[0]} x {size[1]}.",
        )
        return None
    return header
