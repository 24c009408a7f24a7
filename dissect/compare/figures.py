"""From runs to the document of their comparison."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from conceptset.consistency.intervals import percentile_interval
from conceptset.errors import UsageError
from dissect.compare.columns import Column, group_columns, read_columns
from dissect.compare.differences import (
    check_comparable,
    find_differences,
    note_same_labels,
    remarks,
)
from dissect.compare.document import (
    ComparedConcept,
    ComparedLayer,
    ComparedRun,
    Comparison,
    ConceptFigures,
    LayerFigures,
)
from dissect.compare.gathering import Gathered, Member
from dissect.compare.matching import compare_pair
from dissect.compare.reading import Concept, LayerTable
from dissect.state import Run, generator


@dataclass(frozen=True, slots=True)
class Compared:
    """A comparison, and the scores that it was made from.

    Attributes:
        document: What compare.json says.
        members: The runs.
        columns: Of each layer of the document, in its order.
    """

    document: Comparison
    members: tuple[Member, ...]
    columns: tuple[tuple[Column, ...], ...]


def compare_runs(
    gathered: Gathered,
    *,
    mixed: bool = False,
    intervals: bool = True,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Compared:
    """Runs side by side, layer by layer.

    Args:
        gathered: The runs; see `gather_runs`.
        mixed: Also compare runs in which a detector is not the same thing.
        intervals: Resample the images for intervals of the numbers of detectors.
        jobs: Threads that resample; the outcome does not depend on them.
        progress: Called with (layers read, layers in all).

    Raises:
        UsageError: The runs differ in what a detector is, or have no concept in common.
        SourceError: A file of a run cannot be read.
    """
    members = gathered.members
    differences = find_differences(members)
    check_comparable(differences, mixed=mixed)
    columns = list(read_columns(members, intervals=intervals, jobs=jobs, progress=progress))
    _check_concepts(columns)
    bases = {column.samples.basis for column in columns}
    differences = note_same_labels(differences, same=len(bases) == 1 and "" not in bases)
    groups = group_columns(columns)
    thresholds = {member.run.config.iou_threshold for member in members}
    document = Comparison(
        generator=generator(),
        title=gathered.title,
        iou_threshold=thresholds.pop() if len(thresholds) == 1 else None,
        runs=tuple(_describe(member) for member in members),
        differences=differences,
        notes=(*remarks(differences), *gathered.notes),
        layers=tuple(_layer(name, group, columns) for name, group in groups),
    )
    return Compared(document, members, tuple(tuple(group) for _, group in groups))


def _describe(member: Member) -> ComparedRun:
    run = member.run
    return ComparedRun(
        label=member.label,
        name=run.name,
        model=run.model.name,
        source=run.model.source,
        weights=run.model.weights,
        model_digest=run.model.digest,
        set=run.set.name,
        set_digest=run.set.digest,
        images=run.counts.images,
        labels=run.counts.labels,
        fingerprint=run.fingerprint,
    )


def _check_concepts(columns: Sequence[Column]) -> None:
    """Refuse runs on sets that have nothing in common."""
    found: dict[int, set[Concept]] = {}
    for column in columns:
        found.setdefault(column.place, set()).update(column.table.leaders)
    known = [concepts for concepts in found.values() if concepts]
    if len(known) > 1 and all(not a & b for a, b in pairwise(known)):
        raise UsageError(
            "no two of the runs have a concept in common",
            hint="Compare runs on one set, or on sets that name their concepts alike.",
        )


def _layer(name: str | None, group: Sequence[Column], columns: Sequence[Column]) -> ComparedLayer:
    return ComparedLayer(
        name=name,
        columns=tuple(_figures(column) for column in group),
        concepts=tuple(_concepts(group, columns)),
        steps=tuple(compare_pair(a, b) for a, b in pairwise(group)) if name is not None else (),
    )


def _figures(column: Column) -> LayerFigures:
    record, table, samples = column.record, column.table, column.samples
    counts = record.detectors
    low = high = None
    if len(samples.counts):
        interval = percentile_interval(
            samples.counts.astype(np.float64), images=column.member.run.counts.images
        )
        low, high = interval.low, interval.high
    lower, median, upper = np.quantile(table.iou, [0.25, 0.5, 0.75]).tolist()
    return LayerFigures(
        run=column.place,
        layer=record.name,
        units=record.units,
        iou_mean=float(table.iou.mean()),
        iou_median=median,
        iou_quartiles=(lower, upper),
        expected_detectors=None if table.probability is None else float(table.probability.sum()),
        detectors_low=low,
        detectors_high=high,
        reason=samples.reason,
        **counts.model_dump(),
    )


def _concepts(group: Sequence[Column], columns: Sequence[Column]) -> Iterator[ComparedConcept]:
    """The concepts of a layer: by the detectors of the last run, then of the others, then by IoU.

    A run whose set is known to have the concept, because a unit of any layer meets it or because
    another run saw the same labels, has a figure for it, be it 0.
    """
    known = _known_concepts(columns)
    counts = [_count_labels(column.table) for column in group]
    found = dict.fromkeys(concept for column in group for concept in column.table.leaders)

    def rank(concept: Concept) -> tuple[object, ...]:
        units = [-own.get(concept, 0) for own in reversed(counts)]
        ious = [
            -column.table.leaders[concept].iou
            for column in group
            if concept in column.table.leaders
        ]
        return (units, min(ious), concept)

    for name, category in sorted(found, key=rank):
        concept = (name, category)
        yield ComparedConcept(
            concept=name,
            category=category,
            columns=tuple(
                _at(column, concept, own.get(concept, 0))
                if concept in known[_data(column.member.run)]
                else None
                for column, own in zip(group, counts, strict=True)
            ),
        )


def _known_concepts(columns: Sequence[Column]) -> Mapping[str, set[Concept]]:
    """By what data a run saw, the concepts that any run on them has met."""
    known: dict[str, set[Concept]] = {}
    for column in columns:
        known.setdefault(_data(column.member.run), set()).update(column.table.leaders)
    return known


def _data(run: Run) -> str:
    chosen = run.config.model_dump_json(include={"categories", "split", "limit", "index"})
    return f"{run.set.digest} {chosen}"


def _count_labels(table: LayerTable) -> dict[Concept, int]:
    counts: dict[Concept, int] = {}
    for concept in table.labels():
        if concept is not None:
            counts[concept] = counts.get(concept, 0) + 1
    return counts


def _at(column: Column, concept: Concept, units: int) -> ConceptFigures:
    best = column.table.leaders.get(concept)
    return ConceptFigures(
        run=column.place,
        layer=column.record.name,
        units=units,
        best_iou=0.0 if best is None else best.iou,
        best_unit=None if best is None else best.unit,
        iou_low=None if best is None else best.low,
        iou_high=None if best is None else best.high,
    )
