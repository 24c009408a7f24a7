"""Image-level labels: one folder per texture or scene, and DTD's list of further labels.

The folder that an image lies in is its label. Photographs are labelled as people see them, turned
upright by EXIF.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from conceptset.errors import ConceptsetError, SourceError
from conceptset.formats.base import ReadContext
from conceptset.formats.masks.indexed import spot_of
from conceptset.formats.masks.listing import PHOTO_FOLDERS, image_files
from conceptset.io.catalogue import ImageCatalogue
from conceptset.io.paths import resolve_inside
from conceptset.io.tables import read_bytes
from conceptset.parsing.defects import Spot
from conceptset.parsing.photographs import place_photograph
from conceptset.parsing.values import clean_name, quoted
from conceptset.records import ImageRecord, Origin, Region

JOINT = ("labels/labels_joint_anno.txt", "labels_joint_anno.txt")
MAX_BYTES = 64 << 20
TEXTURE = "texture"


@dataclass(frozen=True, slots=True)
class Joint:
    """DTD's list of all labels of each image.

    Attributes:
        file: Its name below the source.
        labels: Line and labels by the path of the image.
    """

    file: str
    labels: dict[str, tuple[int, tuple[str, ...]]]


def photo_home(path: Path) -> Path:
    """The folder that holds the folders of labels: one called like photographs, or the source."""
    for name in PHOTO_FOLDERS:
        if (path / name).is_dir():
            return path / name
    return path


def joint_file(path: Path) -> str | None:
    """DTD's list of all labels, relative to the source."""
    return next((name for name in JOINT if (path / name).is_file()), None)


def folder_names(path: Path) -> list[str]:
    """The images below the folders of labels."""
    return image_files(photo_home(path))


def read_image_folders(path: Path, context: ReadContext) -> Iterator[ImageRecord]:
    """One record per image in a folder, sorted by name; its labels as tags, the folder's first.

    Raises:
        SourceError: There is no image in a folder, or the list of labels cannot be read.
        AnnotationError: A bad entry, under the policy `raise`.
    """
    home = photo_home(path)
    names = image_files(home)
    if not any("/" in name for name in names):
        raise SourceError("holds no folder of images", path=path)
    joint = _joint(path, context)
    category = TEXTURE if joint_file(path) else None
    for name in names:
        spot = spot_of(context, (home / name).relative_to(path).as_posix())
        label = clean_name(PurePosixPath(name).parent.name)
        line, further = joint.labels.pop(name, (0, ()))
        if label is None:
            spot.report("SRC078", f"{quoted(name)} lies in no folder that could be its label.")
            continue
        key = _key(home / name, name, context.catalogue)
        placed = place_photograph(
            context.catalogue, key, _size(key, context.catalogue), spot, habit="upright"
        )
        if placed is None:
            continue
        origins = {label: Origin(spot.file, "")}
        for one in further:
            origins.setdefault(one, Origin(f"{context.label}/{joint.file}", f"line {line}"))
        yield ImageRecord(
            image=placed.key,
            size=placed.size,
            frame=placed.frame,
            workers=(),
            regions=tuple(
                Region(one, "tag", None, None, origin, category=category)
                for one, origin in origins.items()
            ),
            origin=Origin(spot.file, ""),
        )
        context.progress(1)
    _report_unknown(joint, context)


def _key(place: Path, name: str, catalogue: ImageCatalogue) -> str:
    """How the catalogue calls an image: its path below the root, if it lies there."""
    try:
        return place.absolute().relative_to(catalogue.root.absolute()).as_posix()
    except ValueError:
        return name


def _size(key: str, catalogue: ImageCatalogue) -> tuple[int, int] | None:
    """(height, width) of the photograph as people see it; None where it cannot be read."""
    try:
        return catalogue.find(key).header.upright_size
    except ConceptsetError:  # reported when it is placed
        return None


def _joint(path: Path, context: ReadContext) -> Joint:
    """The list of all labels, empty where there is none; bad lines are reported.

    Raises:
        SourceError: It cannot be read, or is no UTF-8 text.
    """
    file = joint_file(path)
    if file is None:
        return Joint("", {})
    data = read_bytes(resolve_inside(path, file), MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceError("is not UTF-8 text", path=path / file, pointer=f"line {line}") from error
    labels: dict[str, tuple[int, tuple[str, ...]]] = {}
    for line, entry in enumerate(text.split("\n"), 1):
        words = entry.split()
        further = [clean_name(word) for word in words[1:]]
        if not words:
            continue
        spot = Spot(context.problems, f"{context.label}/{file}", f"line {line}")
        if not further or None in further:
            spot.report("SRC015", f"{quoted(words[0])} has no label that can be read.")
        elif words[0] in labels:
            spot.report("SRC008", f"{quoted(words[0])} is listed twice.")
        else:
            labels[words[0]] = (line, tuple(one for one in further if one is not None))
    return Joint(file, labels)


def _report_unknown(joint: Joint, context: ReadContext) -> None:
    """Report entries of the list whose image is not in its folder."""
    for name, (line, _) in joint.labels.items():
        Spot(context.problems, f"{context.label}/{joint.file}", f"line {line}").report(
            "SRC001", f"the photograph {quoted(name)} does not exist."
        )
