"""What lies in a folder: photographs, masks, class lists, and what says that it is another kind.

The last component of a name without its ending is its *stem*. Folders are told by their names,
ignoring case; hidden files and folders are left out, links to folders are not followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from conceptset.errors import SourceError
from conceptset.io.images import SUFFIXES
from conceptset.parsing.candidate import MAX_ENTRIES, Candidate

MASK_FOLDERS = (
    *("masks", "mask", "labels", "label", "annotations", "annotation", "annots", "annot", "gt"),
    *("segmentationclass", "segmentations", "segmentation", "groundtruth", "ground_truth"),
    *("trainannot", "valannot", "testannot"),
)
OBJECT_FOLDER = "segmentationobject"
PHOTO_FOLDERS = ("images", "jpegimages", "image", "imgs", "img", "photos", "photographs")
_ROOTS = ("images", "jpegimages")  # below these, names in annotations usually begin
_PICTURES = re.compile(r"(visualization|visualisation|_vis|_viz|_colou?r)$")
MAX_FILES = 5_000_000
_EACH = 300  # files of each folder of a very large directory
JPEGS = (".jpg", ".jpeg")

_MARKER = re.compile(
    rb'"(images|annotations|categories|shapes|regions|assets|annotation|slots|objects)"\s*:'
    rb"|<annotations?[\s>]"
)
_BLANK = b"\xef\xbb\xbf\xff\xfe \t\r\n"
_BEGINNINGS = (b"<", b"{", b"[")
_OTHERS = (".json", ".jsonl", ".ndjson", ".xml", ".manifest")


@dataclass(frozen=True, slots=True)
class Picture:
    """An image file below a folder.

    Attributes:
        name: Path below that folder, forward slashes.
        parts: Its folders and its stem, those folders left out that only say what kind it is.
        suffix: Its ending, lower case, with the dot.
        in_photo_folder: Whether it lies in a folder called like one of photographs.
    """

    name: str
    parts: tuple[str, ...]
    suffix: str
    in_photo_folder: bool

    @property
    def stem(self) -> str:
        """The last component without its ending."""
        return self.parts[-1]


def image_files(root: Path) -> list[str]:
    """The regular image files below a folder, relative, forward slashes, sorted.

    Raises:
        SourceError: There are more than five million.
    """
    found: list[str] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = PurePosixPath(Path(folder).relative_to(root).as_posix())
        found += [
            (below / name).as_posix()
            for name in names
            if name.lower().endswith(SUFFIXES) and not name.startswith(".")
            if Path(folder, name).is_file()  # a pipe would never end
        ]
        if len(found) > MAX_FILES:
            raise SourceError(f"holds more than {MAX_FILES:,} images", path=root)
    return sorted(found)


def listed(candidate: Candidate) -> tuple[str, ...]:
    """What lies below a candidate; of a very large one the first few hundred files of each folder.

    The candidate's own listing ends somewhere, which could be before the masks.
    """
    if len(candidate.files) < MAX_ENTRIES:
        return candidate.files
    found: list[str] = []
    for folder, folders, names in os.walk(candidate.path):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        below = PurePosixPath(Path(folder).relative_to(candidate.path).as_posix())
        visible = sorted(name for name in names if not name.startswith("."))
        found += [(below / name).as_posix() for name in visible[:_EACH]]
        if len(found) > MAX_ENTRIES:
            break
    return tuple(sorted(found))


def is_image(name: str) -> bool:
    """Whether a file is called like an image."""
    return name.lower().endswith(SUFFIXES)


def picture(name: str) -> Picture:
    """What the path of an image says of it.

    >>> picture("train/Images/x/a.JPG").parts
    ('train', 'x', 'a')
    """
    path = PurePosixPath(name)
    folders = path.parts[:-1]
    kinds = (*PHOTO_FOLDERS, *MASK_FOLDERS, OBJECT_FOLDER)
    return Picture(
        name,
        (*(part for part in folders if part.lower() not in kinds), path.stem),
        path.suffix.lower(),
        any(part.lower() in PHOTO_FOLDERS for part in folders),
    )


def folder_kind(name: str) -> str | None:
    """What the folders of a path say that an image is: `mask`, `object`, `drawing` or nothing.

    The deepest folder with a telling name decides.

    >>> folder_kind("labels/a.png"), folder_kind("labels/images/a.png")
    ('mask', None)
    """
    for part in reversed(PurePosixPath(name.lower()).parts[:-1]):
        if part in MASK_FOLDERS:
            return "mask"
        if part == OBJECT_FOLDER:
            return "object"
        if _PICTURES.search(part):
            return "drawing"
        if part in PHOTO_FOLDERS:
            return None
    return None


def is_mask_folder(path: Path) -> bool:
    """Whether a folder is called like one of masks."""
    return path.name.lower() in MASK_FOLDERS


def below_images(names: Iterable[str]) -> list[str]:
    """The names relative to their images/ or JPEGImages/ if all lie there, else as they are.

    >>> below_images(["images/a.jpg", "images/x/b.jpg"]), below_images(["images/a.jpg", "b.jpg"])
    (['a.jpg', 'x/b.jpg'], ['images/a.jpg', 'b.jpg'])
    """
    listed = list(names)
    tops = {name.partition("/")[0] if "/" in name else "" for name in listed}
    top = tops.pop() if len(tops) == 1 else ""
    return [name.partition("/")[2] for name in listed] if top.lower() in _ROOTS else listed


def photographs_around(path: Path) -> list[str]:
    """Photographs in a folder of photographs beside a folder of masks, or beside its parent."""
    for folder in (path.parent, path.parent.parent):
        for name in sorted(_folders(folder), key=_rank):
            if name.lower() in PHOTO_FOLDERS and (found := image_files(folder / name)):
                return found
    return []


def _rank(name: str) -> tuple[int, str]:
    known = name.lower() in PHOTO_FOLDERS
    return (PHOTO_FOLDERS.index(name.lower()) if known else len(PHOTO_FOLDERS), name)


def _folders(path: Path) -> list[str]:
    try:
        with os.scandir(path) as entries:
            return [entry.name for entry in entries if entry.is_dir()]
    except OSError:
        return []


def is_concept_set(files: Sequence[str]) -> bool:
    """Whether a listing is that of a concept set, ours or Broden's."""
    return "conceptset.json" in files or {"index.csv", "label.csv"} <= set(files)


def other_annotations(root: Path, files: Iterable[str], own: Iterable[Path]) -> str | None:
    """The first file that looks like annotations of another format; of fifty the head is read.

    So does one that is damaged or no plain file: what it describes may be these very masks. The
    label maps of a concept set further below have one or two colours, too.

    Args:
        root: The folder.
        files: What lies below it.
        own: Files that belong to the format that asks.
    """
    known = set(own)
    listed = list(files)
    tables = {name for name in listed if name.endswith(("/index.csv", "/label.csv"))}
    for name in sorted(tables, key=lambda name: (name.count("/"), name)):
        if name.endswith("/label.csv") and f"{name.removesuffix('label.csv')}index.csv" in tables:
            return name
    others = [name for name in listed if name.lower().endswith(_OTHERS)]
    for name in [name for name in others if root / name not in known][:50]:
        try:
            if not (root / name).is_file():
                return name
            with (root / name).open("rb") as stream:
                head = stream.read(1 << 16).replace(b"\0", b"").lstrip(_BLANK)  # of UTF-16, too
        except OSError:
            continue
        is_damaged = name.lower().endswith((".json", ".xml")) and head[:1] not in _BEGINNINGS
        if is_damaged or _MARKER.search(head):
            return name
    return None
