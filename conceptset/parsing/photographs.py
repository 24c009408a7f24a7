"""From the name and size an annotation file states to the photograph it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from conceptset.errors import ImageError, UnsafeError
from conceptset.io.catalogue import ImageCatalogue, NotFound, Photograph
from conceptset.parsing.defects import Spot
from conceptset.parsing.values import quoted
from conceptset.records import Frame

_ADDRESS = re.compile(r"^((https?|s3|gs|amldatastore)://|file:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Placed:
    """A photograph and the pixels that coordinates refer to.

    Attributes:
        key: Its key in the catalogue.
        size: (height, width) of the frame.
        frame: Whether coordinates refer to the raster as stored or turned upright.
    """

    key: str
    size: tuple[int, int]
    frame: Frame


def name_of_address(name: str) -> str:
    """The last component of a web, storage or file address; any other name as it is.

    >>> name_of_address("file:C:/Users/me/a%20b.jpg")
    'a b.jpg'
    >>> name_of_address("https://host/a%20b.jpg?token=1"), name_of_address("train/a.jpg")
    ('a b.jpg', 'train/a.jpg')
    """
    if not _ADDRESS.match(name):
        return name
    try:
        path = urlsplit(name).path
    except ValueError:
        return name
    return PurePosixPath(unquote(path)).name or name


def first_found(
    catalogue: ImageCatalogue, names: Sequence[str], beside: str = "", *, missing: str | None = None
) -> str:
    """The first of several names of one photograph that leads to a file; else the first of all.

    An unsafe name ends the search: `place_photograph` refuses it.

    Args:
        catalogue: The photographs.
        names: At least one, the most precise first.
        beside: As for `place_photograph`.
        missing: Which of them a photograph has that is missing, where that may be; the first if
            None.
    """
    for name in names:
        try:
            if isinstance(catalogue.locate(name_of_address(name), beside), str):
                return name
        except UnsafeError:
            return name
    return missing if missing is not None and catalogue.takes_absent else names[0]


def place_photograph(
    catalogue: ImageCatalogue,
    name: str,
    stated: tuple[int, int] | None,
    spot: Spot,
    *,
    beside: str = "",
    habit: Frame = "stored",
) -> Placed | None:
    """The photograph called `name`, checked against the size the file states.

    Coordinates refer to the frame whose size is stated. Where both frames have that size (half a
    turn, a mirror, a square), or no size is stated, the habit of the format decides: COCO's files
    mean the stored raster, tools that show the picture (labelme, CVAT) the upright one.

    Where the catalogue takes photographs that are missing, the stated size stands for one.

    Args:
        catalogue: The photographs.
        name: Path or address, as the file has it.
        stated: (height, width); None where the file does not say.
        spot: Where the image is listed.
        beside: The folder of the annotation file below the root; names are looked up there first.
        habit: The habit of the format.

    Returns:
        None after a report.
    """
    name = name_of_address(name)
    if catalogue.takes_absent and stated is not None and _is_missing(catalogue, name, beside):
        return _declared(catalogue, name, stated, spot)
    photograph = _find(catalogue, name, spot, beside)
    return None if photograph is None else frame_of(photograph, name, stated, spot, habit=habit)


def _is_missing(catalogue: ImageCatalogue, name: str, beside: str) -> bool:
    """Whether nothing has a name; not one that is refused."""
    try:
        return catalogue.locate(name, beside) is NotFound.MISSING
    except UnsafeError:
        return False


def _declared(
    catalogue: ImageCatalogue, name: str, stated: tuple[int, int], spot: Spot
) -> Placed | None:
    """A photograph that is missing; None after a report."""
    try:
        return Placed(catalogue.declare(name, stated).key, stated, "stored")
    except ImageError as error:
        spot.report("SRC004", f"the size stated for {quoted(name)} cannot be: {error.message}.")
        return None


def frame_of(
    photograph: Photograph,
    name: str,
    stated: tuple[int, int] | None,
    spot: Spot,
    *,
    habit: Frame = "stored",
) -> Placed | None:
    """A photograph that is known, checked against the size the file states.

    See `place_photograph`; for photographs that come inside an annotation file.

    Returns:
        None after a report.
    """
    header = photograph.header
    if header.orientation == 1:  # both frames are one; everybody calls it by the same name
        habit = "stored"
    if stated is None:
        spot.report(
            "SRC005",
            f"no size above 0 is stated for {quoted(name)}; that of the photograph is taken.",
        )
        upright = habit == "upright"
        return Placed(photograph.key, header.upright_size if upright else header.size, habit)
    if stated == header.size and (habit == "stored" or stated != header.upright_size):
        return Placed(photograph.key, stated, "stored")
    if stated == header.upright_size:
        return Placed(photograph.key, stated, "upright")
    spot.report(
        "SRC004",
        f"{_by(stated)} pixels (height x width) are stated for {quoted(name)}, the photograph has "
        f"{_by(header.size)}.",
    )
    return None


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]} x {size[1]}"


def _find(catalogue: ImageCatalogue, name: str, spot: Spot, beside: str) -> Photograph | None:
    try:
        found = catalogue.locate(name, beside)
    except UnsafeError as error:
        spot.report("SRC006", f"the photograph {quoted(name)} is refused: {error.message}.")
        return None
    if found is NotFound.MISSING:
        spot.report("SRC001", f"the photograph {quoted(name)} does not exist.")
        return None
    if found is NotFound.AMBIGUOUS:
        spot.report("SRC002", f"several photographs are called {quoted(name)}.")
        return None
    try:
        return catalogue.open(found)
    except (ImageError, UnsafeError) as error:
        spot.report("SRC003", f"the photograph {quoted(name)} {error.message}.")
        return None
