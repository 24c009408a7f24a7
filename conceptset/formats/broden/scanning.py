"""Looks into the label maps of one photograph: which labels they hold, and what is part of what."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conceptset.errors import ConceptsetError
from conceptset.geometry import BoolArray, IntArray
from conceptset.io.images import read_codes
from conceptset.parsing.values import quoted


@dataclass(frozen=True, slots=True)
class Maps:
    """The maps of one person in one category of one photograph.

    Attributes:
        person: Index among the people.
        category: The category.
        paths: The files, in the order of the cell.
        ignore: The mask of what the person abstained from.
    """

    person: int
    category: str
    paths: tuple[Path, ...]
    ignore: Path | None


@dataclass(frozen=True, slots=True)
class Found:
    """A label in a map.

    Attributes:
        path: The map.
        size: (height, width) of the map.
        code: Its number.
        drawn, ignored: Pixels, and how many the person abstained from.
        whole: Map and number of what it is a part of: what it shares most pixels with.
    """

    path: Path
    size: tuple[int, int]
    code: int
    drawn: int
    ignored: int
    whole: tuple[Path, int] | None


def scan_image(tasks: Sequence[Maps]) -> list[tuple[Maps, list[Found] | str]]:
    """What the maps of one photograph hold; for a category that cannot be read the reason."""
    result: list[tuple[Maps, list[Found] | str]] = []
    objects: dict[int, list[tuple[Path, IntArray]]] = {}
    for task in sorted(tasks, key=lambda one: one.category == "part"):  # wholes before parts
        try:
            codes = [(path, read_codes(path)) for path in task.paths]
            ignored = None if task.ignore is None else read_codes(task.ignore) == 255
        except ConceptsetError as error:
            file = "" if error.path is None else quoted(Path(error.path).name)
            result.append((task, f"the label map {file} {error.message}."))
            continue
        if ignored is not None and any(ignored.shape != own.shape for _, own in codes):
            result.append((task, "the mask of ignored pixels has another size than the maps."))
            continue
        found: list[Found] = []
        if task.category == "object":
            objects.setdefault(task.person, []).extend(codes)
        above = objects.get(task.person, []) if task.category == "part" else []
        for path, own in codes:
            labels, drawn = np.unique(own[own > 0], return_counts=True)
            for code, pixels in zip(labels.tolist(), drawn.tolist(), strict=True):
                where = own == code
                silent = 0 if ignored is None else int((where & ignored).sum())
                whole = _whole(where, above)
                size = (int(own.shape[0]), int(own.shape[1]))
                found.append(Found(path, size, code, pixels, silent, whole))
            above = [(path, own)] if task.category == "part" else []
        result.append((task, found))
    return result


def _whole(where: BoolArray, above: Sequence[tuple[Path, IntArray]]) -> tuple[Path, int] | None:
    """What a part shares most pixels with; of equals the lowest number in the first map."""
    best: tuple[int, Path, int] | None = None
    for path, codes in above:
        if codes.shape != where.shape:
            continue
        labels, pixels = np.unique(codes[where & (codes > 0)], return_counts=True)
        if labels.size and (best is None or int(pixels.max()) > best[0]):
            most = int(pixels.argmax())
            best = (int(pixels[most]), path, int(labels[most]))
    return None if best is None else best[1:]
