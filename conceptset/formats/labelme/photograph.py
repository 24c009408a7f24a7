"""Which photograph a LabelMe JSON file means: the one inside it, or one on disk."""

from __future__ import annotations

import posixpath
from pathlib import PurePosixPath, PureWindowsPath

from conceptset.errors import ImageError, UnsafeError
from conceptset.formats.base import ReadContext
from conceptset.formats.labelme.document import Document
from conceptset.io.catalogue import ImageCatalogue, NotFound
from conceptset.io.images import SUFFIXES
from conceptset.io.paths import relative_name
from conceptset.io.png import check_rows
from conceptset.parsing.defects import Spot
from conceptset.parsing.embedded import bytes_from, suffix_of
from conceptset.parsing.photographs import Placed, frame_of, place_photograph
from conceptset.parsing.values import described, quoted


def names_of(document: Document) -> list[str]:
    """The names by which the image may lie on disk; none if it is in the file itself.

    First what `imagePath` says; then what lies beside the file under its own name.
    """
    if document.has_image:
        return []
    named = _stated_name(document)
    beside = [
        path.name
        for suffix in _endings()
        if (path := document.path.with_suffix(suffix)).name != named and path.is_file()
    ]
    return [*([] if named is None else [relative_to(named, "")[0]]), *beside]


def relative_to(name: str, beside: str) -> tuple[str, str]:
    r"""A path and the folder below the root that it is relative to, without steps upwards.

    The tool writes the path from the annotation file to the image, which often climbs out of the
    folder of the annotations. Where it climbs out of the root, and where it is absolute, nothing of
    that other machine's folders is of use: its last component is left.

    >>> relative_to("..\\images\\a.jpg", "ann/b"), relative_to("../a.jpg", "")
    (('images/a.jpg', 'ann'), ('a.jpg', ''))
    >>> relative_to("C:\\me\\a.jpg", "ann"), relative_to("/home/me/a.jpg", "ann")
    (('a.jpg', 'ann'), ('a.jpg', 'ann'))
    """
    windows = PureWindowsPath(name)
    path = windows.as_posix()
    if windows.drive or windows.root or "://" in name:
        return windows.name or name, beside
    path = posixpath.normpath(path)
    folders = [folder for folder in beside.split("/") if folder]
    while path.startswith("../"):
        path = path[3:]
        if not folders:
            return path.rpartition("/")[2], ""
        folders.pop()
    return path, "/".join(folders)


def place_image(document: Document, context: ReadContext, spot: Spot) -> Placed | None:
    """The photograph of a file and the pixels its coordinates refer to; None after a report."""
    if document.has_image:
        return _place_embedded(document, context, spot)
    catalogue, size = context.catalogue, document.size
    named = _stated_name(document)
    if named is not None:
        name, beside = relative_to(named, context.beside)
        if _locate(catalogue, name, beside) is not NotFound.MISSING:
            return place_photograph(
                catalogue, name, size, spot.at("imagePath"), beside=beside, habit="upright"
            )
    found = _called_like(document, context)
    if len(found) == 1:
        return place_photograph(catalogue, found[0], size, spot, habit="upright")
    if not found and named is not None and catalogue.takes_absent:
        return place_photograph(catalogue, name, size, spot.at("imagePath"), beside=beside)
    if found:
        spot.report(
            "SRC002",
            f"several photographs are called like the annotation file: {quoted(found[0])} and "
            f"{quoted(found[1])}.",
        )
    elif named is not None:
        spot.at("imagePath").report(
            "SRC001",
            f"the photograph {quoted(named)} does not exist, nor one that is called like the "
            "annotation file.",
        )
    else:
        spot.at("imagePath").report(
            "SRC001",
            f"imagePath is {described(document.data.get('imagePath'))}, the name of an image was "
            "expected, and no image is called like the annotation file.",
        )
    return None


def _stated_name(document: Document) -> str | None:
    """What `imagePath` says, if it can be the name of an image; some name the JSON file itself."""
    name = document.data.get("imagePath")
    return name if isinstance(name, str) and name.lower().endswith(SUFFIXES) else None


def _endings() -> list[str]:
    return [ending for suffix in SUFFIXES for ending in (suffix, suffix.upper())]


def _locate(catalogue: ImageCatalogue, name: str, beside: str) -> str | NotFound | None:
    """Where a name leads; None where it is refused, which `place_photograph` reports."""
    try:
        return catalogue.locate(name, beside)
    except UnsafeError:
        return None


def _called_like(document: Document, context: ReadContext) -> list[str]:
    """The keys of images that have the name of the file but for the ending."""
    keys: dict[str, str] = {}
    for suffix in _endings():
        name = document.path.stem + suffix
        found = _locate(context.catalogue, name, context.beside)
        if isinstance(found, str):
            keys.setdefault(found.casefold(), found)  # one file where case makes no difference
    return list(keys.values())


def _place_embedded(document: Document, context: ReadContext, spot: Spot) -> Placed | None:
    """Hand the image in a file over to the catalogue; None after a report."""
    here = spot.at("imageData")
    try:
        data = bytes_from(document.data["imageData"])
    except ValueError as error:
        here.report("SRC052", f"the embedded image {error}.")
        return None
    try:
        key = relative_name(_key(document, context.beside, data))
        check_rows(data, name=key)
        photograph = context.catalogue.adopt(key, data)
    except (ImageError, UnsafeError) as error:
        here.report("SRC052", f"the embedded image cannot be used: {error.message}.")
        return None
    if photograph.key != key and context.catalogue.locate(key) == key:
        here.report(
            "SRC053",
            f"the embedded image has other bytes than the file {quoted(key)}; it is taken, as "
            f"{quoted(photograph.key)}.",
        )
    return frame_of(photograph, photograph.key, document.size, spot, habit="upright")


def _key(document: Document, beside: str, data: bytes) -> str:
    """What an embedded image is called: as `imagePath` says, else like the file it came in."""
    named = _stated_name(document)
    if named is None:
        name = f"{document.path.stem}{suffix_of(data)}"
    else:
        name, beside = relative_to(named, beside)
    return str(PurePosixPath(beside, name))
