"""Places of people by agreement, as far as other images would not turn them round."""

from __future__ import annotations

import numpy as np

from conceptset.consistency.document import AnnotatorEntry
from conceptset.consistency.figures.estimates import Estimates
from conceptset.consistency.intervals import MIN_IMAGES, percentile_intervals


def place_people(entries: list[AnnotatorEntry], estimates: Estimates) -> list[AnnotatorEntry]:
    """The same entries with the places that each person may hold.

    One person stands before another only if the interval of the difference of their agreements
    lies above 0; all others tie. With no tie the best and the worst place are the same.

    Args:
        entries: Of annotators, in all categories.
        estimates: Their agreements in the resamples.
    """
    placed = {
        (entry.category, entry.annotator): place
        for category in dict.fromkeys(entry.category for entry in entries)
        for entry, place in _places(
            [
                entry
                for entry in entries
                if entry.category == category
                and entry.kind == "person"
                and entry.figures["agreement"].value is not None
            ],
            estimates,
        )
    }
    return [
        entry.model_copy(update={"place": placed.get((entry.category, entry.annotator))})
        for entry in entries
    ]


def _places(
    people: list[AnnotatorEntry], estimates: Estimates
) -> list[tuple[AnnotatorEntry, tuple[int, int]]]:
    held = [estimates.held[entry.category, entry.annotator, "agreement"] for entry in people]
    if not held:
        return []
    values = np.stack([estimate.values[1:] for estimate in held])
    images = np.array([len(estimate.images) for estimate in held])
    found = []
    for place, entry in enumerate(people):
        rest = np.minimum(images, images[place])
        intervals = percentile_intervals(values[place] - values, images=rest.tolist())
        is_known = rest >= MIN_IMAGES
        worse = sum(bool(k) and i.high < 0 for k, i in zip(is_known, intervals, strict=True))
        better = sum(bool(k) and i.low > 0 for k, i in zip(is_known, intervals, strict=True))
        found.append((entry, (1 + worse, len(people) - better)))
    return found
