"""Concept by concept over all pairs of persons in one category."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from conceptset.consistency.counts import Table
from conceptset.consistency.document import CONCEPT_FIGURES, ConceptEntry, OtherName
from conceptset.consistency.figures.estimates import Estimate, ratio, to_figures
from conceptset.consistency.figures.grouping import count_names
from conceptset.consistency.figures.labels import LabelSums
from conceptset.consistency.figures.pairs import split_of
from conceptset.consistency.figures.ratios import PARTS, Sums
from conceptset.consistency.figures.resampling import Resamples
from conceptset.consistency.material import UNLABELLED

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

NOT_USED = "used in no image that two persons share"
ALWAYS_THERE = "occurs in all shared images of a pair or in none: nothing to tell from chance"
MAX_OTHER_NAMES = 10

_CHUNK = 2**23  # numbers in the sums of a chunk of concepts: 64 MB
_KINDS = ("same", "quality", "naming", "quantity", "pixels")


class ConceptMeans:
    """Means over pairs of what is found label by label.

    Memory: 80 bytes for each concept and resample, so 160 KB for a concept.

    Args:
        codes: (concepts,) rising; the concepts that any of these pairs used.
        rows: Of every estimate.
    """

    def __init__(self, codes: IntArray, rows: int) -> None:
        shape = (len(codes), rows)
        self._codes = codes
        self._iou = np.zeros(shape)
        self._dice = np.zeros(shape)
        self._pairs = np.zeros(shape, dtype=np.int32)
        self._lowest = np.full(shape, np.inf)
        self._highest = np.full(shape, -np.inf)
        self._presence = np.zeros(shape)
        self._presence_pairs = np.zeros(shape, dtype=np.int32)

    def visit(self, part: LabelSums, sums: Sums) -> None:
        """The labels of one pair."""
        named = part.codes != UNLABELLED
        part = LabelSums(part.codes[named], part.sums[named])
        places = np.searchsorted(self._codes, part.codes)
        union = part.pixels_either
        iou = ratio(part.pixels_shared, union)
        used = union > 0
        iou[~used] = 0.0
        self._iou[places] += iou
        self._dice[places] += 2 * iou / (1 + iou)
        self._pairs[places] += used.astype(np.int32)
        self._lowest[places] = np.minimum(self._lowest[places], np.where(used, iou, np.inf))
        self._highest[places] = np.maximum(self._highest[places], np.where(used, iou, -np.inf))
        kappa, defined = part.presence(sums.images)
        self._presence[places] += np.where(defined, kappa, 0.0)
        self._presence_pairs[places] += defined.astype(np.int32)

    def estimates(self, place: int, images: IntArray) -> dict[str, Estimate]:
        """The figures of one concept.

        Args:
            place: Of the concept among `codes`.
            images: That it rests on.
        """
        pairs = self._pairs[place].astype(np.float64)
        presence = ratio(self._presence[place], self._presence_pairs[place].astype(np.float64))
        lowest = np.where(pairs > 0, self._lowest[place], np.nan)
        highest = np.where(pairs > 0, self._highest[place], np.nan)
        return {
            "iou": Estimate(ratio(self._iou[place], pairs), images, NOT_USED),
            "iou_min": Estimate(lowest, images, NOT_USED),
            "iou_max": Estimate(highest, images, NOT_USED),
            "dice": Estimate(ratio(self._dice[place], pairs), images, NOT_USED),
            "presence_kappa": Estimate(presence, images, ALWAYS_THERE),
        }


def _by_concept(cells: Table) -> tuple[IntArray, Table]:
    """Every cell once for each concept that meets in it: (concept of each, cells)."""
    first = cells[cells["name_a"] != UNLABELLED]
    differ = (cells["name_b"] != UNLABELLED) & (cells["name_b"] != cells["name_a"])
    second = cells[differ]
    concepts = np.concatenate([first["name_a"], second["name_b"]]).astype(np.int64)
    return concepts, np.concatenate([first, second])


def concepts_used(cells: Table) -> IntArray:
    """Codes of the concepts that occur, rising."""
    codes: IntArray = np.unique(np.concatenate([cells["name_a"], cells["name_b"]])).astype(np.int64)
    used: IntArray = codes[codes != UNLABELLED]
    return used


def _pixel_table(cells: Table, codes: IntArray, images: int) -> sparse.csr_array[np.float64]:
    """(concepts x kinds, images) pixels, summed over pairs."""
    concepts, rows = _by_concept(cells)
    places = np.searchsorted(codes, concepts)
    same = np.where(rows["name_a"] == rows["name_b"], rows["pixels"], 0)
    values = {kind: same if kind == "same" else rows[kind] for kind in _KINDS}
    entries = (
        np.concatenate([values[kind] for kind in _KINDS]).astype(np.float64),
        (
            np.concatenate([places * len(_KINDS) + k for k in range(len(_KINDS))]),
            np.tile(rows["image"], len(_KINDS)),
        ),
    )
    table = sparse.coo_array(entries, shape=(len(codes) * len(_KINDS), images)).tocsr()
    table.eliminate_zeros()
    return table


def _other_names(cells: Table, codes: IntArray) -> dict[int, list[tuple[int, int]]]:
    """For each concept the names that others give the same regions, and their pixels."""
    renamed = cells[cells["naming"] > 0]
    found: dict[int, list[tuple[int, int]]] = {int(code): [] for code in codes}
    first = np.concatenate([renamed["name_a"], renamed["name_b"]])
    second = np.concatenate([renamed["name_b"], renamed["name_a"]])
    pixels = np.tile(renamed["naming"], 2)
    for (code, other), count in count_names(first, second, pixels).items():
        found[code].append((other, count))
    return found


def concept_entries(
    category: str,
    cells: Table,
    means: ConceptMeans,
    resamples: Resamples,
    name: Callable[[int], str],
) -> list[ConceptEntry]:
    """The entries of one category, by name of the concept.

    Args:
        category: Its name.
        cells: Of all pairs of persons in this category.
        means: That visited these pairs.
        resamples: Of the images of the material.
        name: Of a code.
    """
    codes = concepts_used(cells)
    table = _pixel_table(cells, codes, resamples.images)
    others = _other_names(cells, codes)
    kinds, entries = len(_KINDS), []
    chunk = max(1, _CHUNK // (kinds * resamples.rows))
    for start in range(0, len(codes), chunk):
        part = table[start * kinds : (start + chunk) * kinds]
        sums = resamples.label_totals(part).reshape(-1, kinds, resamples.rows)
        for place, pixels in enumerate(sums, start):
            code = int(codes[place])
            last = place * kinds + kinds - 1  # the row of all pixels
            images = table.indices[table.indptr[last] : table.indptr[last + 1]].astype(np.int64)
            figures = to_figures(_split(pixels, images) | means.estimates(place, images))
            ranked = sorted((-count, name(other)) for other, count in others[code])
            entry = ConceptEntry(
                concept=name(code),
                category=category,
                n_images=len(images),
                split=split_of(figures, "split"),
                figures={figure: figures[figure] for figure in CONCEPT_FIGURES},
                other_names=[OtherName(name=n, pixels=-k) for k, n in ranked[:MAX_OTHER_NAMES]],
            )
            entries.append(entry)
    return sorted(entries, key=lambda entry: entry.concept)


def _split(pixels: FloatArray, images: IntArray) -> dict[str, Estimate]:
    """Shares of the kinds, of (kinds, rows) pixels."""
    return {
        f"split.{part}": Estimate(ratio(count, pixels[-1]), images, NOT_USED)
        for part, count in zip(PARTS, pixels[:-1], strict=True)
    }
