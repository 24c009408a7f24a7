"""On which images annotators are compared: the same ones for all, else units differ by images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np

from conceptset.consistency.intervals import MIN_IMAGES
from dissect.counts import Counts, IntArray
from dissect.entries import BoolArray
from dissect.intervals import carrying

Mode = Literal["all", "pairs", "none"]


@dataclass(frozen=True, slots=True)
class View:
    """Some annotators, and the images on which they are compared.

    Attributes:
        members: Places of the annotators, rising.
        carried: (categories, images) True where an image counts for a category.
    """

    members: tuple[int, ...]
    carried: BoolArray

    @property
    def pairs(self) -> Iterator[tuple[int, int]]:
        """Every two members."""
        return combinations(self.members, 2)


@dataclass(frozen=True, slots=True)
class Basis:
    """What all figures over several annotators rest on.

    Attributes:
        rows: (images,) int64 rows of the index, rising.
        modes: By category, how images are chosen.
        images: (categories,) int64, how many count for each.
        views: One of everybody, if any category is compared so; one for each pair that shares
            images of the other categories. A category counts in the views of its mode only.
    """

    rows: IntArray
    modes: tuple[Mode, ...]
    images: IntArray
    views: tuple[View, ...]

    def seen(self, annotators: int) -> BoolArray:
        """(annotators,) whether an annotator is in any view with an image."""
        found = np.zeros(annotators, dtype=np.bool_)
        for view in self.views:
            found[list(view.members)] |= view.carried.any()
        return found


def choose_basis(worked: BoolArray, labelled: BoolArray, rows: IntArray) -> Basis:
    """The images to compare annotators on.

    For each category: those that all of them worked on and any of them labelled in. Where these
    are fewer than 10: for each pair, those that the two worked on and any annotator labelled in.

    Args:
        worked: (annotators, images) who worked on what.
        labelled: (categories, images) whether any of them used a label of the category.
        rows: (images,) rows of the index.
    """
    annotators = len(worked)
    common = labelled & worked.all(axis=0)
    whole = common.sum(axis=1) >= MIN_IMAGES
    if annotators == 2:  # everybody is a pair
        whole |= common.any(axis=1)
    views = []
    if whole.any():
        views.append(View(tuple(range(annotators)), common & whole[:, None]))
    union = common & whole[:, None]
    for a, b in combinations(range(annotators), 2):
        shared = labelled & worked[a] & worked[b] & ~whole[:, None]
        if shared.any():
            views.append(View((a, b), shared))
            union |= shared
    images = union.sum(axis=1).astype(np.int64)
    modes: list[Mode] = [
        "all" if everybody else ("pairs" if count else "none")
        for everybody, count in zip(whole.tolist(), images.tolist(), strict=True)
    ]
    return Basis(rows, tuple(modes), images, tuple(views))


def labelled_by_any(
    counts: Sequence[Counts], place: IntArray, rows: IntArray, categories: int
) -> BoolArray:
    """(categories, images) whether any of the counts has a label of the category there.

    Args:
        counts: One for each annotator.
        place: (labels,) primary category of each label.
        rows: (images,) rows of the index.
        categories: How many there are.
    """
    found = np.zeros((categories, len(rows)), dtype=np.bool_)
    for own in counts:
        found |= carrying(own, place, categories, rows)
    return found
