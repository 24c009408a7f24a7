"""Which files of a folder are index masks, and which photograph each belongs to."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from conceptset.errors import ConceptsetError, SourceError, printable
from conceptset.formats.masks.class_lists import ClassList, read_class_list
from conceptset.formats.masks.listing import (
    JPEGS,
    Picture,
    folder_kind,
    is_image,
    is_mask_folder,
    picture,
)
from conceptset.io.catalogue import NotFound

LISTS = (
    *("labelmap.txt", "label_map.txt", "classes.json", "class_names.json", "classes.csv"),
    *("class_dict.csv", "label_colors.txt", "classes.txt", "class_names.txt", "labels.txt"),
)
_ENDINGS = re.compile(r"[_-](mask|masks|seg|segmentation|label|labels|labelids|gt|L)$")


@dataclass(frozen=True, slots=True)
class Arrangement:
    """The parts of a folder of index masks; names are relative to it.

    Attributes:
        masks: Masks of classes; JPEG files among them are no such thing.
        objects: Masks of object numbers, by the parts of their names.
        photographs: The other images; of folders called like photographs where there are any.
        how: Where the masks lie, for people.
        is_told_by_name: Whether names alone say which files are masks; else every image is one.
    """

    masks: tuple[Picture, ...]
    objects: dict[tuple[str, ...], str]
    photographs: tuple[str, ...]
    how: str
    is_told_by_name: bool = True


def arrange(root: Path, files: Iterable[str]) -> Arrangement:
    """Which images are masks: those in folders of masks; else those beside their photographs.

    Beside a photograph the mask is the PNG of the same stem, or of the stem with `_mask`, `_seg`,
    `_labels` or the like. Where there is neither, the folder itself is one of masks.
    """
    images = [name for name in files if is_image(name)]
    kinds = {name: folder_kind(name) for name in images}
    objects = {picture(name).parts: name for name in images if kinds[name] == "object"}
    inside = [picture(name) for name in images if kinds[name] == "mask"]
    others = [name for name in images if kinds[name] is None]
    if inside:
        masks = _without_twins(inside)
        chosen = {mask.name for mask in masks}
        others += [one.name for one in inside if one.name not in chosen]
        folders = sorted({PurePosixPath(mask.name).parent.as_posix() for mask in masks})
        more = ", ..." if len(folders) > 2 else ""
        how = f"in {', '.join(f'{printable(name)}/' for name in folders[:2])}{more}"
        return Arrangement(tuple(masks), objects, _photographs(others), how)
    beside = _beside(others)
    if beside:
        rest = [name for name in others if name not in beside]
        masks = [picture(name) for name in others if name in beside]
        return Arrangement(tuple(masks), objects, _photographs(rest), "beside the photographs")
    told = is_mask_folder(root)
    masks = [one for one in map(picture, others) if told or one.suffix == ".png"]
    return Arrangement(tuple(masks), objects, (), "in the folder itself", is_told_by_name=told)


def _photographs(names: Sequence[str]) -> tuple[str, ...]:
    """Those in folders called like photographs if there are any, else all of them; sorted."""
    inside = [name for name in names if picture(name).in_photo_folder]
    return tuple(sorted(inside or names))


def _without_twins(images: Sequence[Picture]) -> list[Picture]:
    """Without what lies beside a PNG of the same name: a picture of it, or its photograph."""
    pngs = {one.parts for one in images if one.suffix == ".png"}
    return [one for one in images if one.suffix == ".png" or one.parts not in pngs]


def _beside(names: Sequence[str]) -> set[str]:
    """The PNGs that lie beside an image of the same stem, or of theirs without the ending."""
    stems: dict[tuple[str, str], set[str]] = {}
    for name in names:
        path = PurePosixPath(name)
        stems.setdefault((path.parent.as_posix(), path.stem), set()).add(path.suffix.lower())
    found = set()
    for name in names:
        path = PurePosixPath(name)
        if path.suffix.lower() != ".png":
            continue
        folder = path.parent.as_posix()
        short = _ENDINGS.sub("", path.stem)
        if stems[folder, path.stem] - {".png"} or (short != path.stem and (folder, short) in stems):
            found.add(name)
    return found


def class_list(root: Path, arrangement: Arrangement) -> ClassList:
    """The class list of a folder: in it, in its folders of masks, else in the folders above.

    Of several in one folder the first that states its codes is taken.

    Raises:
        SourceError: There is none, or none can be used.
    """
    root = root.absolute()
    folders = dict.fromkeys(PurePosixPath(mask.name).parent for mask in arrangement.masks)
    inside = [root / folder for folder in sorted(folders)[:100]]
    above = [root.parent]
    if is_mask_folder(root.parent):
        above.append(root.parent.parent)
    first: ConceptsetError | None = None
    for folder in dict.fromkeys([root, *inside, *above]):
        read: list[ClassList] = []
        for path in (folder / name for name in LISTS):
            if not path.is_file():
                continue
            try:
                read.append(read_class_list(path))
            except SourceError as error:
                first = first or error
        if read:
            return next((one for one in read if not one.is_uncertain), read[0])
    if first is not None:
        raise first
    raise SourceError(
        "has no class list, such as classes.txt, classes.json, labels.txt or labelmap.txt",
        path=root,
        hint="Write one class per line to classes.txt, its code before its name, as in '1 door'.",
    )


class Matcher:
    """Finds the photograph of a mask by the names of both.

    Stems are equal once the mask's ending is off: `_mask`, `_seg`, `_labels`, or `_` and a concept.
    The folders of the one are the last folders of the other. Of several photographs the one that
    shares most folders is meant, and one in a folder called like one of photographs.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._by_stem: dict[str, list[Picture]] = {}
        for name in names:
            self.add(picture(name))

    def add(self, one: Picture) -> None:
        """Another photograph."""
        self._by_stem.setdefault(_normal(one.stem), []).append(one)

    def match(self, mask: Picture) -> str | NotFound:
        """The photograph of an index mask, or why there is none."""
        stem = _normal(mask.stem)
        for wanted in dict.fromkeys((stem, _ENDINGS.sub("", stem))):
            found = self._called(wanted, mask)
            if found is not NotFound.MISSING:
                return found
        return NotFound.MISSING

    def owner(self, mask: Picture) -> tuple[str | NotFound, str] | None:
        """The photograph whose stem and `_` begin that of a mask, and the concept that follows.

        The longest such stem is meant.
        """
        stem = _normal(mask.stem)
        place = stem.rfind("_")
        while place > 0:
            concept = stem[place + 1 :].strip()
            found = self._called(stem[:place], mask) if concept else NotFound.MISSING
            if found is not NotFound.MISSING:
                return found, concept
            place = stem.rfind("_", 0, place)
        return None

    def _called(self, stem: str, mask: Picture) -> str | NotFound:
        near = [(_shared(one, mask), one) for one in self._by_stem.get(stem, [])]
        most = max((shared for shared, _ in near), default=-1)
        found = [one for shared, one in near if shared == most >= 0]
        if len(found) > 1:
            found = [one for one in found if one.in_photo_folder] or found
        if not found:
            return NotFound.MISSING
        return found[0].name if len(found) == 1 else NotFound.AMBIGUOUS


def _normal(stem: str) -> str:
    return unicodedata.normalize("NFC", stem)


def _shared(one: Picture, other: Picture) -> int:
    """How many last folders two images share; -1 if their folders contradict each other."""
    ours, theirs = one.parts[-2::-1], other.parts[-2::-1]
    pairs = list(zip(map(_normal, ours), map(_normal, theirs), strict=False))
    return len(pairs) if all(a == b for a, b in pairs) else -1


def is_jpeg(mask: Picture) -> bool:
    """Whether a mask is called like a JPEG."""
    return mask.suffix in JPEGS
