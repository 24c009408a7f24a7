"""One layer by all annotators: its figures for annotators.json, its rows for annotators.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dissect.annotators.comparing import NO_INTERVAL, Ground, figure, optional
from dissect.annotators.dependence import Question, compare_indices
from dissect.annotators.document import (
    UNIT_COLUMNS,
    Comparison,
    Figure,
    LayerAnnotator,
    LayerConcept,
    LayerFigures,
    LayerPair,
)
from dissect.annotators.ranks import stability_of_concept, stability_of_units
from dissect.annotators.reference import LOWEST, check_ceiling, labels_counted_once
from dissect.annotators.resampling import Annotated, Resampled, resample_layer
from dissect.annotators.scoring import (
    Modal,
    Scores,
    best_labels,
    count_detectors,
    find_modal,
    nominal_alpha,
    score_annotators,
)
from dissect.counts import Counts, IntArray
from dissect.intervals import carrying
from dissect.state import LayerRecord, Union
from dissect.upsample import FloatArray

UnitRow = tuple[int | str | float | None, ...]
_ONE_VALUE = "all annotators have one and the same best concept for all units"


@dataclass(frozen=True, slots=True)
class LayerCounts:
    """The counts of a layer.

    Attributes:
        root: By the set's own index.
        base: By the consensus that persons are left out of; mostly `root`.
        own: By annotator of the run.
        without: By annotator of the run, the consensus without that person; None: was not formed.
    """

    root: Counts
    base: Counts
    own: Sequence[Counts]
    without: Sequence[Counts | None]


@dataclass(frozen=True, slots=True)
class Found:
    """What the parts of the answer have in common.

    Attributes:
        scores: IoUs by annotator.
        best: (annotators, units) best labels.
        modal: What most of them say.
        top_units: By label, the unit of largest mean IoU.
        resampled: The same in every resample.
    """

    scores: Scores
    best: IntArray
    modal: Modal
    top_units: Mapping[int, int]
    resampled: Resampled


def describe_layer(
    record: LayerRecord,
    counts: LayerCounts,
    ground: Ground,
    shared: IntArray,
    *,
    union: Union,
    iou_threshold: float,
    workers: int = 1,
) -> tuple[LayerFigures, list[UnitRow]]:
    """The figures of a layer, and a row for each unit in the order of `UNIT_COLUMNS`.

    Args:
        record: The layer.
        counts: Its counts by every index.
        ground: What all layers share.
        shared: (n, 5) int64 rows of the agreement, numbered as the run's annotators.
        union: Which images an activation is summed on.
        iou_threshold: What a detector's IoU exceeds.
        workers: Threads; the outcome does not depend on them.

    Raises:
        BoundError: A mean IoU is above the annotator ceiling: our fault.
    """
    layer = Annotated(
        [counts.own[a] for a in ground.company.compared],
        ground.place,
        ground.basis,
        record.units,
        union,
    )
    found = _look(layer, ground, iou_threshold, workers)
    if union == "annotated":
        truths = {a: counts.own[a].truth for a in ground.company.compared}
        once = labels_counted_once(truths, shared, len(ground.place))
        check_ceiling(found.scores, ground.human, once, layer=record.name)
    question = Question(ground.names, ground.place, record.units, union, iou_threshold)
    annotators = _describe_annotators(counts, ground, found, question)
    dependence = _find_dependence(annotators, record.units)
    stability = found.modal.stability
    images = int(ground.basis.images.max(initial=0))
    alpha = float(nominal_alpha(found.best[:, :, None])[0])
    figures = LayerFigures(
        name=record.name,
        directory=record.directory,
        label_agreement=figure(
            alpha,
            nominal_alpha(found.resampled.best),
            images,
            why=_ONE_VALUE if len(found.best) > 1 else "fewer than two annotators",
        ),
        label_stability=optional(float(stability.mean())),
        dependent_units=sum(map(bool, dependence)),
        annotators=annotators,
        pairs=_describe_pairs(ground, found),
        concepts=_describe_concepts(ground, found),
    )
    return figures, _list_units(ground, found, dependence)


def _look(layer: Annotated, ground: Ground, iou_threshold: float, workers: int) -> Found:
    basis = layer.basis
    scores = score_annotators(
        layer.counts, layer.place, basis, units=layer.units, union=layer.union
    )
    best = best_labels(scores.iou, above=iou_threshold)
    best[~basis.seen(len(layer.counts))] = -1
    modal = find_modal(best, ground.names)
    top = np.nan_to_num(scores.mean, nan=-1.0)
    top_units = {
        label: int(top[:, label].argmax())
        for label in sorted(ground.names)
        if label < top.shape[1] and top[:, label].max(initial=-1.0) > 0
    }
    wanted: dict[int, set[int]] = {}
    for unit, label in enumerate(modal.label.tolist()):
        if label > 0:
            wanted.setdefault(unit, set()).add(label)
    for label, unit in top_units.items():
        wanted.setdefault(unit, set()).add(label)
    resampled = resample_layer(
        layer,
        ground.samples,
        iou_threshold=iou_threshold,
        wanted={unit: sorted(labels) for unit, labels in wanted.items()},
        workers=workers,
    )
    return Found(scores, best, modal, top_units, resampled)


def _describe_annotators(
    counts: LayerCounts, ground: Ground, found: Found, question: Question
) -> tuple[LayerAnnotator, ...]:
    """Every annotator of the run: detectors, against the consensus, and left out of it."""
    compared = {place: number for number, place in enumerate(ground.company.compared)}
    detectors, unique = count_detectors(found.best[:, :, None])
    resampled = count_detectors(found.resampled.best)
    seen = ground.basis.seen(len(found.best))
    images = int(ground.basis.images.max(initial=0))

    def count(values: tuple[IntArray, IntArray], place: int) -> Figure | None:
        number = compared.get(place)
        if number is None:
            return None
        value = float(values[0][number, 0]) if seen[number] else np.nan
        return figure(value, values[1][number], images, why="shares no image with anybody")

    listed = []
    for place, record in enumerate(ground.company.records):
        without = counts.without[place]
        listed.append(
            LayerAnnotator(
                directory=record.directory,
                detectors=count((detectors, resampled[0]), place),
                unique_concepts=count((unique, resampled[1]), place),
                against_consensus=compare_indices(
                    counts.root,
                    counts.own[place],
                    ground.labelled & ground.worked[place],
                    ground.rows,
                    question,
                ),
                left_out=None
                if without is None
                else _leave_out(counts.base, without, ground, question),
            )
        )
    return tuple(listed)


def _leave_out(base: Counts, without: Counts, ground: Ground, question: Question) -> Comparison:
    """The consensus of everybody beside the one without a person.

    On the images that somebody else worked on: on the others there is nothing to compare.
    """
    rows, categories = ground.rows, len(ground.categories)
    labelled = ground.labelled | carrying(base, ground.place, categories, rows)
    others = np.isin(rows, without.images)
    return compare_indices(base, without, labelled & others, rows, question)


def _find_dependence(annotators: Sequence[LayerAnnotator], units: int) -> list[list[str]]:
    """For each unit, the annotators without whom it is labelled differently."""
    found: list[list[str]] = [[] for _ in range(units)]
    for annotator in annotators:
        if annotator.left_out is not None:
            for change in annotator.left_out.changes:
                found[change.unit].append(annotator.directory)
    return found


def _describe_pairs(ground: Ground, found: Found) -> tuple[LayerPair, ...]:
    if ground.company.many:
        return ()
    who, listed = ground.company.directories, []
    for (a, b), value in sorted(stability_of_units(found.scores.iou).items()):
        reason = None if np.isfinite(value) else "fewer than two different IoUs"
        listed.append(LayerPair(a=who[a], b=who[b], rank_stability=optional(value), reason=reason))
    return tuple(listed)


def _describe_concepts(ground: Ground, found: Found) -> tuple[LayerConcept, ...]:
    listed = []
    for label, unit in found.top_units.items():
        category = int(ground.place[label])
        own = found.scores.iou[:, unit, label]
        ranks = [] if ground.company.many else stability_of_concept(found.scores.iou[:, :, label])
        low_high = found.resampled.means.get((unit, label), NO_INTERVAL)
        value = float(found.scores.mean[unit, label])
        listed.append(
            LayerConcept(
                label_number=label,
                concept=ground.names[label],
                category=ground.categories[category],
                units=int((found.modal.label == label).sum()),
                best_unit=unit,
                iou_min=optional(float(np.nanmin(own))),
                iou_mean=Figure(
                    value=value,
                    low=optional(low_high.low),
                    high=optional(low_high.high),
                    n_images=int(ground.basis.images[category]),
                    reason=low_high.reason or None,
                ),
                iou_max=optional(float(np.nanmax(own))),
                relative_iou=_relative(value, float(ground.human[label])),
                rank_stability=sum(ranks) / len(ranks) if ranks else None,
                rank_stability_min=min(ranks, default=None),
                rank_stability_max=max(ranks, default=None),
            )
        )
    return tuple(listed)


def _relative(iou: float, reference: float) -> float | None:
    """IoU as a share of what people reach; None where they hardly agree at all."""
    return iou / reference if reference >= LOWEST else None  # False for NaN, too


def _list_units(ground: Ground, found: Found, dependence: Sequence[Sequence[str]]) -> list[UnitRow]:
    rows: list[UnitRow] = []
    for unit, label in enumerate(found.modal.label.tolist()):
        stability = optional(float(found.modal.stability[unit]))
        cells: dict[str, int | str | float | None] = dict.fromkeys(UNIT_COLUMNS)
        cells |= {"unit": unit, "label_stability": stability}
        cells["depends_on"] = ";".join(dependence[unit])
        if label > 0:
            cells |= _describe_modal(unit, label, ground, found)
        rows.append(tuple(cells.values()))
    return rows


def _describe_modal(
    unit: int, label: int, ground: Ground, found: Found
) -> dict[str, int | str | float | None]:
    """The cells that speak of a unit's modal concept."""
    own: FloatArray = found.scores.iou[:, unit, label]
    mean, human = float(found.scores.mean[unit, label]), float(ground.human[label])
    interval = found.resampled.means.get((unit, label), NO_INTERVAL)
    images = int(ground.basis.images[ground.place[label]])
    return {
        "concept": ground.names[label],
        "iou_min": float(np.nanmin(own)),
        "iou_mean": mean,
        "iou_max": float(np.nanmax(own)),
        "relative_iou": _relative(mean, human),
        "human_reference": optional(human),
        "annotator_ceiling": optional((1 + human) / 2),
        "iou_low": optional(interval.low),
        "iou_high": optional(interval.high),
        "n_images": images,
    }
