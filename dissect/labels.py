"""Label maps and whole-image labels of an image, as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conceptset.errors import ImageError, LayoutError
from conceptset.io.images import read_codes
from conceptset.layout.reading import ConceptSet, IndexEntry
from dissect.scanlines import read_plain
from dissect.selecting import path_of, read_used, size_text

LabelArray = NDArray[np.uint16]


def read_labels(
    concept_set: ConceptSet, entry: IndexEntry, categories: Sequence[str]
) -> tuple[list[LabelArray], list[int]]:
    """The label maps of an image, (sh, sw) uint16 each, and its whole-image labels.

    Raises:
        ImageError: A map cannot be decoded or has another size than the index says.
        LayoutError: A label that the set does not list.
    """
    planes: list[LabelArray] = []
    whole: list[int] = []
    for category in categories:
        cell = entry.cells.get(category)
        if cell is None:
            continue
        whole.extend(cell.labels)
        for name in cell.maps:
            planes.append(read_map(concept_set, name, entry.map_size))
            check_labels(concept_set, np.unique(planes[-1]).tolist(), name)
    check_labels(concept_set, whole, entry.image)
    return planes, whole


def read_map(concept_set: ConceptSet, name: str, size: tuple[int, int]) -> LabelArray:
    """(sh, sw) uint16, one label map; `check_labels` says whether the set knows what it holds.

    Args:
        concept_set: The set.
        name: The file, relative to images/, as `check_files` found it.
        size: (sh, sw) as the index says.

    Raises:
        ImageError: It cannot be decoded or has another size.
    """
    data = read_used(concept_set, name)
    labels = read_plain(data, size, grey=False)
    if labels is None:
        codes = _read_codes(path_of(concept_set, name), data, size)
        labels = (codes & 0xFFFF).astype(np.uint16)  # R + 256 G
    return labels


def read_abstention(concept_set: ConceptSet, name: str, size: tuple[int, int]) -> LabelArray:
    """(sh, sw) uint16, 1 where an annotator abstained; arguments as of `read_map`.

    Raises:
        ImageError: It cannot be decoded or has another size.
    """
    data = read_used(concept_set, name)
    flags = read_plain(data, size, grey=True)
    codes = _read_codes(path_of(concept_set, name), data, size) if flags is None else flags
    return np.asarray(codes != 0, dtype=np.uint16)


def _read_codes(path: Path, data: bytes, size: tuple[int, int]) -> NDArray[np.int64]:
    codes = read_codes(path, data=data)
    if codes.shape != size:
        raise ImageError(
            f"is {size_text(codes.shape)}, the index says {size_text(size)} (height x width)",
            path=path,
            hint="Run 'conceptset validate' on the set.",
        )
    return codes


def check_labels(concept_set: ConceptSet, labels: Iterable[int], name: str) -> None:
    """Refuse a label that the set does not list, of several the first.

    Args:
        concept_set: The set.
        labels: They stand in one file, or hold for one photograph.
        name: That file, relative to images/.

    Raises:
        LayoutError: One is not in label.csv.
    """
    for label in labels:
        if label and label not in concept_set.names:
            raise LayoutError(
                f"holds the label {label}, which label.csv does not list",
                path=path_of(concept_set, name),
                hint="Run 'conceptset validate' on the set.",
            )
