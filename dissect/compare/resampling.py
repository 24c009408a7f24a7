"""How many detectors a layer has in every resample of the images.

The resamples are those in which the run itself bounded its IoUs (`dissect.intervals`): the same
images are drawn for the same number of them. Two runs on the same labels can so be compared
within each resample, and the difference of their counts has an interval of its own, narrower than
the two intervals beside each other suggest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from conceptset.consistency.intervals import MIN_IMAGES
from dissect.compare.reading import label_places
from dissect.counts import Counts, IntArray, open_counts
from dissect.intervals import LayerSampler, Resamples, carrying
from dissect.rows import pieces
from dissect.state import LayerRecord, Run, RunLayout
from dissect.upsample import FloatArray

_EQUAL = 1e-9  # shares of 1000 resamples differ by 0.001 or not at all
UNKNOWN = "the counts do not give the probabilities that the run's scores name"


@dataclass(frozen=True, slots=True)
class DetectorSamples:
    """The detectors of a layer over resamples.

    Attributes:
        counts: (resamples,) int64 how many detectors; empty where there is no interval.
        basis: Digest of which images were drawn from and what is labelled there: the counts of
            two runs can be compared resample by resample where it is the same.
        reason: Why there is none.
    """

    counts: IntArray
    basis: str
    reason: str = ""


def sample_detectors(
    layout: RunLayout,
    run: Run,
    record: LayerRecord,
    categories: Mapping[int, str],
    probability: FloatArray | None,
    *,
    jobs: int = 1,
) -> DetectorSamples:
    """The number of detectors in every resample.

    A run does not say which primary category a label has that no unit meets. The counts are
    therefore checked against what the run itself found: every unit has to be a detector in as
    many resamples as its scores say, else there is no interval.

    Args:
        layout: The run.
        run: Its description.
        record: The layer.
        categories: Label number to primary category, as far as the scores of all layers say.
        probability: (units,) share of the resamples in which each unit is a detector.
        jobs: Threads; the outcome does not depend on them.

    Raises:
        LayoutError: counts.safetensors cannot be read.
    """
    none = np.empty(0, dtype=np.int64)
    if run.counts.images < MIN_IMAGES:
        return DetectorSamples(none, "", f"fewer than {MIN_IMAGES} images ({run.counts.images})")
    if probability is None:
        return DetectorSamples(none, "", "the run's scores hold no probabilities")
    counts = open_counts(layout.counts(record.directory))
    sampler = _sampler(counts, run, record, categories)
    found, shares = _count(sampler, above=run.config.iou_threshold, jobs=jobs)
    if np.abs(shares - probability).max(initial=0.0) > _EQUAL:
        return DetectorSamples(none, "", UNKNOWN)
    return DetectorSamples(found, _basis(counts))


def _sampler(
    counts: Counts, run: Run, record: LayerRecord, categories: Mapping[int, str]
) -> LayerSampler:
    """The counts of a layer, in the resamples in which the run bounded its IoUs."""
    order, samples = run.counts.categories, Resamples.draw(counts.images)
    used = (int(piece[:, 1].max(initial=0)) for piece in pieces(counts.truth))
    place = label_places(categories, order, 1 + max([*used, *categories, 0]))
    return LayerSampler(
        counts,
        place,
        carrying(counts, place, len(order), samples.rows),
        samples,
        units=record.units,
        union=run.config.union,
    )


def _count(sampler: LayerSampler, *, above: float, jobs: int) -> tuple[IntArray, FloatArray]:
    """(resamples,) detectors, and (units,) in what share of the resamples each is one."""
    total = np.zeros(sampler.samples.weights.shape[1], dtype=np.int64)
    shares = np.zeros(sampler.units)
    with ThreadPoolExecutor(jobs) as pool:
        for units in sampler.ranges():
            best = partial(sampler.lay_out(units).best, above=above)
            for unit, labels in zip(units, pool.map(best, units), strict=True):
                detects = labels > 0
                total += detects
                shares[unit] = detects.mean()
    return total, shares


def _basis(counts: Counts) -> str:
    found = hashlib.sha256()
    for rows in (counts.pixels, counts.truth):
        for piece in pieces(rows):
            found.update(np.ascontiguousarray(piece, dtype="<i8").tobytes())
        found.update(b"|")
    return found.hexdigest()
