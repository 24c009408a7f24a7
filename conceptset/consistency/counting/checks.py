"""What must hold in all counts, checked on every run; where it does not, the fault is ours."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counts import Counts, Table
from conceptset.consistency.figures.estimates import Estimate
from conceptset.consistency.figures.ratios import PARTS
from conceptset.consistency.material import Material
from conceptset.errors import ConceptsetError, printable

_MESSAGE = "the counts contradict each other: {what}"
_HINT = "This is a fault of the program; please report it with the annotations of this image."


def _refuse(wrong: NDArray[np.bool_], rows: Table, material: Material, what: str) -> None:
    if not wrong.any():
        return
    row = rows[np.argmax(wrong)]
    a, b = (str(material.annotators[row[side]]) for side in ("a", "b"))
    place = f"{material.images[row['image']]}, {material.categories[row['category']]}: {a} and {b}"
    raise ConceptsetError(_MESSAGE.format(what=what), pointer=printable(place), hint=_HINT)


def check_counts(counts: Counts, material: Material) -> None:
    """Refuse counts of pairs that do not add up.

    In whole pixels, so exactly: quality + naming + quantity is what does not agree, for every
    image, pair and threshold; and the cells of a pair's table make up its valid pixels.

    Raises:
        ConceptsetError: Naming the first row that is wrong.
    """
    rows = counts.compared
    differ = (rows["valid"] - rows["unlabelled"] - rows["same"])[:, None]
    kinds = rows["quality"] + rows["naming"] + rows["quantity"]
    _refuse(
        (kinds != differ).any(axis=1),
        rows,
        material,
        "quality + naming + quantity is not the pixels in disagreement",
    )
    for field, chosen in (
        ("valid", slice(None)),
        ("same", (counts.cells["name_a"] == counts.cells["name_b"]) & (counts.cells["name_a"] > 0)),
        ("unlabelled", (counts.cells["name_a"] == 0) & (counts.cells["name_b"] == 0)),
        ("both", (counts.cells["name_a"] > 0) & (counts.cells["name_b"] > 0)),
    ):
        sums = _cell_sums(counts.cells[chosen], rows, material)
        _refuse(sums != rows[field], rows, material, f"cells do not add up to `{field}`")


def check_splits(estimates: Mapping[str, Estimate], what: str) -> None:
    """Refuse splits whose four parts are not 1 together, to 1e-12.

    Args:
        estimates: Of a pair.
        what: The pair, for the message.

    Raises:
        ConceptsetError: Naming the pair.
    """
    for split in ("any.mean", "any.pooled", "all.mean", "all.pooled"):
        whole = math.fsum(float(estimates[f"{split}.{part}"].values[0]) for part in PARTS)
        if abs(whole - 1) > 1e-12:  # and not where it is NaN
            message = _MESSAGE.format(what=f"the parts of `{split}` are {whole!r} together")
            raise ConceptsetError(message, pointer=printable(what), hint=_HINT)


def _cell_sums(cells: Table, rows: Table, material: Material) -> NDArray[np.float64]:
    """Pixels of the cells that belong to each row of COMPARED; whole numbers, so exact."""
    keys = _keys(rows, material)
    order = np.argsort(keys)
    sums = np.zeros(len(rows) + 1)
    if len(rows):
        places = np.minimum(np.searchsorted(keys[order], _keys(cells, material)), len(rows) - 1)
        found = np.bincount(places, cells["pixels"], len(rows))
        sums[order] = found
    return sums[: len(rows)]


def _keys(rows: Table, material: Material) -> NDArray[np.int64]:
    people, categories = len(material.annotators) + 1, len(material.categories) + 1
    keys: NDArray[np.int64] = (
        (rows["image"].astype(np.int64) * categories + rows["category"]) * people + rows["a"]
    ) * people + rows["b"]
    return keys
