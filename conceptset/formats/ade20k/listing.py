"""Which files of a directory belong together, and whether it is ADE20K at all."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from conceptset.errors import ConceptsetError
from conceptset.formats.ade20k.description import read_text
from conceptset.formats.base import Detection
from conceptset.io.paths import resolve_inside
from conceptset.parsing.candidate import Candidate

_MASK = "_seg.png"


@dataclass(frozen=True, slots=True)
class Listed:
    """The files of one image, as paths below the directory, forward slashes.

    Attributes:
        stem: What all their names begin with, with its folder.
        description: The JSON or text file; None where there is neither.
    """

    stem: str
    description: str | None

    @property
    def photograph(self) -> str:
        """The photograph."""
        return f"{self.stem}.jpg"

    def mask(self, level: int) -> str:
        """The mask of the objects (level 0) or of the parts of a level."""
        return f"{self.stem}{_MASK}" if level == 0 else f"{self.stem}_parts_{level}.png"


def listed(root: Path) -> Iterator[Listed]:
    """Every image below a directory that has a mask of objects, folder by folder, sorted."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        present = set(names)
        below = Path(folder).relative_to(root)
        for name in sorted(present):
            stem = name.removesuffix(_MASK)
            if stem != name and f"{stem}.jpg" in present:
                files = (f"{stem}.json", f"{stem}_atr.txt")
                found = next((file for file in files if file in present), None)
                yield Listed(
                    (below / stem).as_posix(),
                    None if found is None else (below / found).as_posix(),
                )


def scene_of_folder(photograph: Path) -> str | None:
    """The scene that the folders of the release of 2017 state; None if they state none.

    >>> scene_of_folder(Path("/ade/training/b/bakery/shop/ADE_train_1.jpg"))
    'bakery-shop'
    """
    parts = photograph.parts[:-1]
    for place in range(len(parts) - 2, max(-1, len(parts) - 5), -1):
        letter, first = parts[place], parts[place + 1]
        if re.fullmatch(r"[a-z]", letter) and first.startswith(letter):
            return "-".join(parts[place + 1 :])
    return None


def detect(candidate: Candidate) -> Detection:
    """What ADE20K says about a path; never raises for bad data."""
    if not candidate.is_directory:
        return _no("is a file, a directory of photographs with their masks was expected")
    files = set(candidate.files)
    stems = [name.removesuffix(_MASK) for name in candidate.files if name.endswith(_MASK)]
    stems = [stem for stem in stems if f"{stem}.jpg" in files]
    if not stems:
        return _no("has no photograph NAME.jpg with a mask NAME_seg.png")
    newer = [stem for stem in stems if f"{stem}.json" in files]
    older = [stem for stem in stems if f"{stem}_atr.txt" in files]
    said = f"{len(stems)} photographs with NAME_seg.png"
    if newer:
        reason = _refusal(candidate.path, f"{newer[0]}.json")
        if reason is not None:
            return _no(said, reason)
    elif not older:
        return _no(said, "none of them has NAME.json or NAME_atr.txt")
    return Detection(
        "ade20k",
        matches=True,
        reasons=(
            said,
            f"{len(newer)} with NAME.json (2021)" if newer else f"{len(older)} with NAME_atr.txt",
        ),
    )


def _no(*reasons: str) -> Detection:
    return Detection("ade20k", matches=False, reasons=reasons)


def _refusal(root: Path, name: str) -> str | None:
    """Why a JSON file does not describe an image of ADE20K; None if it looks as if it did.

    A broken one is no reason: it is reported when it is read.
    """
    last = PurePosixPath(name).name
    try:
        text = read_text(resolve_inside(root, name))
    except ConceptsetError as error:
        return f"{last} {error.message}"
    if re.search(r'"annotation"\s*:', text) and re.search(r'"object"\s*:', text):
        return None
    return f"{last} has no annotation with its object"
