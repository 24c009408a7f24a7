"""How much the consensus that a set stores leaves open, and what it changes for each annotator.

The maps of the set are compared as they stand, at their own size and whatever the method was; of
several maps of a category the first, dominant one.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conceptset.consistency.counts import Table
from conceptset.consistency.document import ConsensusEntry
from conceptset.consistency.figures.estimates import Estimate, ratio, to_figures
from conceptset.consistency.figures.resampling import Resamples
from conceptset.consistency.material import Annotator
from conceptset.errors import LayoutError, printable
from conceptset.geometry import BoolArray, IntArray
from conceptset.io.images import read_codes
from conceptset.io.parallel import ordered_map
from conceptset.io.paths import resolve_inside
from conceptset.io.tables import read_table
from conceptset.layout import names
from conceptset.layout.models import AnnotatorRow
from conceptset.layout.reading import Cell, parse_cell, require

EVERYBODY = -1

# One row for each image and category that anyone used: `annotator` EVERYBODY is the consensus.
ROWS = np.dtype(
    [
        ("image", "<i4"),
        ("category", "<i2"),
        ("annotator", "<i2"),
        ("part", "<i8"),  # pixels without consensus; or where it says otherwise
        ("whole", "<i8"),  # all pixels; or those with consensus that the annotator does not ignore
    ]
)


@dataclass(frozen=True, slots=True)
class ConsensusTask:
    """The maps of one image.

    Attributes:
        root: The set.
        image: Place of the image.
        name: The photograph, relative to images/.
        own: (annotator, directory, first map of each category) of everybody who worked on it; the
            consensus is EVERYBODY, in the directory ''.
    """

    root: Path
    image: int
    name: str
    own: tuple[tuple[int, str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class StoredConsensus:
    """The consensus of a set, to be looked at.

    Attributes:
        method: How it was formed.
        categories: Label layers, as in the material.
        annotators: Everybody, likewise.
        tasks: One per image of the material.
    """

    method: str
    categories: tuple[str, ...]
    annotators: tuple[Annotator, ...]
    tasks: tuple[ConsensusTask, ...]


def find_consensus(
    root: Path,
    rows: Sequence[tuple[int, AnnotatorRow]],
    images: Sequence[str],
    categories: Sequence[str],
) -> tuple[ConsensusTask, ...]:
    """What has to be looked at in every image.

    Args:
        root: The set.
        rows: Of annotators.csv, with the place of each annotator.
        images: Names of the photographs.
        categories: Label layers.

    Raises:
        LayoutError: An index lacks a column.
    """
    everybody = [(EVERYBODY, "", names.INDEX)]
    for place, row in rows:
        index = names.annotator_file(row.directory, names.INDEX)
        everybody.append((place, row.directory, index))
    found: dict[str, list[tuple[int, str, tuple[str, ...]]]] = {image: [] for image in images}
    for place, directory, index in everybody:
        table = require(read_table(resolve_inside(root, index)), "image")
        known = [category if category in table.header else None for category in categories]
        for _, record in table.records():
            if record["image"] in found:
                cells = [parse_cell(record[name]) if name else Cell() for name in known]
                maps = tuple(cell.maps[0] if cell.maps else "" for cell in cells)
                found[record["image"]].append((place, directory, maps))
    return tuple(
        ConsensusTask(root, place, image, tuple(found[image])) for place, image in enumerate(images)
    )


def count_consensus(categories: Sequence[str], task: ConsensusTask) -> Table:
    """The rows of one image.

    Raises:
        LayoutError: Maps of one image and category differ in size.
        ImageError: One cannot be read.
    """
    own = {place: (directory, maps) for place, directory, maps in task.own}
    _, chosen = own.pop(EVERYBODY, ("", ("",) * len(categories)))
    rows: list[tuple[int, int, int, int, int]] = []
    for place, category in enumerate(categories):
        used = [chosen[place], *(maps[place] for _, maps in own.values())]
        if not any(used):
            continue
        root, *others = _label_maps(task, used)
        undecided = _mask(task, names.undecided_mask(*_parts(task.name), category), root.shape)
        rows.append((task.image, place, EVERYBODY, int(undecided.sum()), undecided.size))
        for (annotator, (directory, _)), labels in zip(own.items(), others, strict=True):
            name = names.ignore_mask(*_parts(task.name), category, directory)
            counts = ~undecided & ~_mask(task, name, root.shape)
            changed = int(((labels != root) & counts).sum())
            rows.append((task.image, place, annotator, changed, int(counts.sum())))
    return np.array(rows, ROWS)


def _parts(image: str) -> tuple[str, str]:
    """Source and stem of a photograph."""
    source, _, last = image.rpartition("/")
    return source, last.rpartition(".")[0]


def _label_maps(task: ConsensusTask, used: Sequence[str]) -> list[IntArray]:
    """The maps; where there is none, nothing is labelled."""
    folder = task.root / names.IMAGE_FOLDER
    maps = [read_codes(resolve_inside(folder, name)) if name else None for name in used]
    sizes = {one.shape for one in maps if one is not None}
    if len(sizes) > 1:
        raise LayoutError(
            f"the label maps of {printable(task.name, 120)} differ in size",
            path=task.root,
            hint="'conceptset validate' lists the defects of the set.",
        )
    (size,) = sizes
    return [np.zeros(size, np.int64) if one is None else one for one in maps]


def _mask(task: ConsensusTask, name: str, size: tuple[int, ...]) -> BoolArray:
    """A mask of the set; nothing where there is no such file, or one of another size."""
    path = resolve_inside(task.root / names.IMAGE_FOLDER, name)
    if not path.is_file():
        return np.zeros(size, dtype=bool)
    mask: BoolArray = read_codes(path) == 255
    return mask if mask.shape == size else np.zeros(size, dtype=bool)


def measure_consensus(
    stored: StoredConsensus,
    resamples: Resamples,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> list[ConsensusEntry]:
    """What is without consensus, and where the consensus says otherwise, by category.

    Shares are means over the images in which anyone used the category.

    Raises:
        SourceError: The maps of the set cannot be used.
    """
    count = functools.partial(count_consensus, stored.categories)
    parts = [np.zeros(0, ROWS)]
    with contextlib.closing(ordered_map(count, stored.tasks, jobs=jobs)) as results:
        for done, rows in enumerate(results, start=1):
            parts.append(rows)
            progress(done, len(stored.tasks))
    table = np.concatenate(parts)
    return [
        _entry(stored, category, table[table["category"] == place], resamples)
        for place, category in enumerate(stored.categories)
    ]


def _entry(
    stored: StoredConsensus, category: str, table: Table, resamples: Resamples
) -> ConsensusEntry:
    estimates = {
        name: _mean_share(table[table["annotator"] == place], resamples)
        for place, name in [(EVERYBODY, ""), *enumerate(map(str, stored.annotators))]
    }
    figures = to_figures(estimates)
    undecided = figures.pop("")
    return ConsensusEntry(
        method=stored.method, category=category, undecided=undecided, changed=figures
    )


def _mean_share(rows: Table, resamples: Resamples) -> Estimate:
    """The mean over images of part / whole, where there is a whole."""
    rows = rows[rows["whole"] > 0]
    shares = np.stack([rows["part"] / rows["whole"], np.ones(len(rows))], axis=1)
    images = rows["image"].astype(np.int64)
    above, below = resamples.totals(images, shares)
    return Estimate(ratio(above, below), images, "no image with pixels that count")
