"""Image by image: what everybody did there, and how much the persons disagree."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.counts import Table
from conceptset.consistency.document import ImageEntry, Presence
from conceptset.consistency.figures.ratios import PARTS, split_pixels, split_shares
from conceptset.consistency.figures.roster import Roster
from conceptset.consistency.material import Material

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

MAX_ALONE = 1000


def rows_among(compared: Table, members: tuple[int, ...]) -> Table:
    """The rows of pairs of these annotators."""
    return compared[np.isin(compared["a"], members) & np.isin(compared["b"], members)]


def images_alone(drawn: Table, roster: Roster) -> IntArray:
    """Images that one person or model worked on and nobody else; sessions are the same person."""
    names = [(one.name, one.kind) for one in roster.annotators]
    known = {name: place for place, name in enumerate(dict.fromkeys(names))}
    persons = np.array([known[name] for name in names], dtype=np.int64)
    keys = np.unique(np.stack([drawn["image"], persons[drawn["annotator"]]], axis=1), axis=0)
    images, counts = np.unique(keys[:, 0], return_counts=True)
    single: IntArray = images[counts == 1]
    return single


def mean_shares(rows: Table, images: int) -> dict[str, FloatArray]:
    """Per image the mean over pairs of each part of `any`, (images,), NaN where all are empty.

    Args:
        rows: Of COMPARED, of one category.
        images: Of the material.
    """
    means = {}
    for part, share in split_shares(rows, "any").items():
        defined = np.isfinite(share)
        places = rows["image"][defined]
        sums = np.bincount(places, share[defined], images)
        counts = np.bincount(places, minlength=images)
        means[part] = np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
    return means


def image_entries(
    material: Material, roster: Roster, drawn: Table, compared: Table
) -> list[ImageEntry]:
    """Every image and category that two persons worked on, most disagreement first.

    That is by the mean over pairs of the agreement `any`; equal images by the number of pixels in
    dispute, then by name. Images that all left empty come last.
    """
    entries = []
    everybody = _presence(material, roster, drawn)
    among = rows_among(compared, roster.persons)
    for category, name in enumerate(material.categories):
        rows = among[among["category"] == category]
        shares = mean_shares(rows, len(material.images))
        pixels = split_pixels(rows, "any", 0)
        disputed = np.bincount(
            rows["image"], pixels["whole"] - pixels["agreement"], len(material.images)
        )
        for image in np.unique(rows["image"]).tolist():
            means = {part: float(shares[part][image]) for part in PARTS}
            empty = np.isnan(means["agreement"])
            entries.append(
                ImageEntry(
                    image=material.images[image],
                    category=name,
                    annotators=everybody.get((category, image), []),
                    disputed=int(disputed[image]),
                    **(dict.fromkeys(PARTS) if empty else means),
                )
            )
    return sorted(entries, key=_rank)


def _rank(entry: ImageEntry) -> tuple[float, int, str, str]:
    agreement = 2.0 if entry.agreement is None else entry.agreement
    return (agreement, -entry.disputed, entry.image, entry.category)


def _presence(
    material: Material, roster: Roster, drawn: Table
) -> dict[tuple[int, int], list[Presence]]:
    """What everybody did, by (category, image)."""
    found: dict[tuple[int, int], list[Presence]] = {}
    rows = drawn[np.lexsort([drawn["annotator"], drawn["image"], drawn["category"]])]
    names = [roster.name(place) for place in range(len(material.annotators))]
    fields = ("category", "image", "annotator", "segments", "concepts", "hidden")
    for category, image, annotator, segments, concepts, hidden in zip(
        *(rows[field].tolist() for field in fields), strict=True
    ):
        found.setdefault((category, image), []).append(
            Presence(
                annotator=names[annotator], segments=segments, concepts=concepts, hidden=hidden
            )
        )
    return found
