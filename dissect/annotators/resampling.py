"""The figures over annotators in every resample of the images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.intervals import Interval, percentile_interval
from dissect.annotators.basis import Basis
from dissect.annotators.scoring import NO_IMAGES
from dissect.counts import Counts, IntArray
from dissect.intervals import (
    LayerSampler,
    Resamples,
    UnitIous,
    UnitRange,
    best_of,
    split_units,
)
from dissect.state import Union
from dissect.upsample import FloatArray


@dataclass(frozen=True, slots=True)
class Resampled:
    """A layer in every resample.

    Attributes:
        best: (annotators, units, resamples) int32 best labels; `NO_IMAGES` throughout for an
            annotator who shares no image.
        means: By (unit, label), the interval of the mean IoU over annotators.
    """

    best: NDArray[np.int32]
    means: Mapping[tuple[int, int], Interval]


@dataclass(frozen=True, slots=True)
class Annotated:
    """A layer by several annotators.

    Attributes:
        counts: By annotator.
        place: (labels,) primary category of each label.
        basis: The images they are compared on.
        units: Units of the layer.
        union: Which images an activation is summed on.
    """

    counts: Sequence[Counts]
    place: IntArray
    basis: Basis
    units: int
    union: Union


def resample_layer(
    layer: Annotated,
    samples: Resamples,
    *,
    iou_threshold: float,
    wanted: Mapping[int, Sequence[int]],
    workers: int = 1,
) -> Resampled:
    """Best labels in every resample, and intervals of the mean IoUs that are asked for.

    Memory: the best labels, the counts of a range of units, and the IoUs of one unit for each
    worker.

    Args:
        layer: The counts.
        samples: Resamples of the rows of the basis.
        iou_threshold: What a detector's IoU exceeds.
        wanted: By unit, labels whose mean IoU needs an interval.
        workers: Threads; the outcome does not depend on them.
    """
    basis, annotators, resamples = layer.basis, len(layer.counts), samples.weights.shape[1]
    if resamples == 0:
        return Resampled(np.empty((annotators, layer.units, 0), dtype=np.int32), {})
    samplers = [
        {a: _sampler(layer, a, view.carried, samples) for a in view.members} for view in basis.views
    ]
    best = np.full((annotators, layer.units, resamples), NO_IMAGES, dtype=np.int32)
    means: dict[tuple[int, int], Interval] = {}
    entries = [own.entries for view in samplers for own in view.values()]
    with ThreadPoolExecutor(workers) as pool:
        for units in split_units(np.sum([np.zeros(layer.units, np.int64), *entries], axis=0)):
            laid = [{a: own.lay_out(units) for a, own in view.items()} for view in samplers]
            find = partial(_resample_unit, layer, laid, wanted=wanted, above=iou_threshold)
            for unit, (labels, rows) in zip(units, pool.map(find, units), strict=True):
                for annotator, found in labels.items():
                    best[annotator, unit] = found
                means.update({(unit, label): interval for label, interval in rows.items()})
            del laid, find  # before the next units are laid out
    return Resampled(best, means)


def _resample_unit(
    layer: Annotated,
    laid: Sequence[Mapping[int, UnitRange]],
    unit: int,
    *,
    wanted: Mapping[int, Sequence[int]],
    above: float,
) -> tuple[dict[int, IntArray], dict[int, Interval]]:
    """Of one unit: by annotator the best labels, by label the interval of the mean IoU."""
    basis, labels = layer.basis, wanted.get(unit, ())
    views = np.zeros((len(layer.counts), len(basis.images)), dtype=np.int64)
    for view in basis.views:
        views[list(view.members)] += view.carried.any(axis=1)
    alone = len(laid) == 1  # then only the IoUs that are asked for are kept
    found = [
        {a: own.sample(unit, among=labels if alone else None) for a, own in view.items()}
        for view in laid
    ]
    best = {}
    for a in np.flatnonzero(basis.seen(len(layer.counts))).tolist():
        own = [view[a] for view in found if a in view]
        best[a] = (
            laid[0][a].best(unit, above=above)
            if alone
            else best_of(_mean_over_views(own, views[a], layer), above=above)
        )
    means = {}
    for label in labels:
        images = int(basis.images[layer.place[label]])
        means[label] = percentile_interval(
            _mean_over_annotators(found, label, layer), images=images
        )
    return best, means


def _sampler(
    layer: Annotated, annotator: int, carried: NDArray[np.bool_], samples: Resamples
) -> LayerSampler:
    return LayerSampler(
        layer.counts[annotator],
        layer.place,
        carried,
        samples,
        units=layer.units,
        union=layer.union,
    )


def _mean_over_views(own: Sequence[UnitIous], views: IntArray, layer: Annotated) -> UnitIous:
    """One annotator's IoUs of a unit; where pairs are compared, the mean over its pairs.

    Args:
        own: The unit in each view that the annotator is in.
        views: (categories,) in how many of them each category counts.
        layer: Where they come from.
    """
    if len(own) == 1:
        return own[0]
    labels = np.unique(np.concatenate([found.labels for found in own]))
    total = np.zeros((len(labels), own[0].iou.shape[1]))
    times = np.repeat(views[layer.place[labels]][:, None], total.shape[1], axis=1)
    for found in own:  # a label that is not listed has an IoU of 0 there
        row = np.searchsorted(labels, found.labels)
        total[row] += np.nan_to_num(found.iou)
        times[row] -= np.isnan(found.iou)
    with np.errstate(invalid="ignore"):
        return UnitIous(own[0].unit, labels, total / times)


def _mean_over_annotators(
    found: Sequence[Mapping[int, UnitIous]], label: int, layer: Annotated
) -> FloatArray:
    """(resamples,) mean IoU of a unit with a label: over annotators, and over pairs if so compared.

    Args:
        found: The unit, by view and annotator.
        label: The label.
        layer: Where they come from.
    """
    category = layer.place[label]
    means = []
    for view, own in zip(layer.basis.views, found, strict=True):
        if view.carried[category].any():
            means.append(_mean([_row(ious, label) for ious in own.values()]))
    return _mean(means)


def _row(ious: UnitIous, label: int) -> FloatArray:
    place = int(np.searchsorted(ious.labels, label))
    if place < len(ious.labels) and ious.labels[place] == label:
        row: FloatArray = ious.iou[place]
        return row
    return np.zeros(ious.iou.shape[1])


def _mean(rows: Sequence[FloatArray]) -> FloatArray:
    """The mean of what is defined; NaN where nothing is."""
    table = np.stack(rows)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.nansum(table, axis=0) / np.isfinite(table).sum(axis=0))
