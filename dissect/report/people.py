"""What a report says of a layer's annotators, from annotators.json and annotators.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from conceptset.errors import LayoutError
from dissect.annotators.document import (
    UNIT_COLUMNS,
    AnnotatorReport,
    Change,
    ComparedAnnotator,
    HumanReference,
    LayerAnnotator,
    LayerConcept,
    LayerFigures,
)
from dissect.report.charts import Span, span
from dissect.report.reading import optional_number, read_rows
from dissect.state import LayerRecord, RunLayout

AXIS = 420  # pixels from IoU 0 to IoU 1
_RANGE = 120  # pixels of the chart of detectors
_CELLS = ("iou_min", "iou_mean", "iou_max", "label_stability", "relative_iou", "human_reference")


@dataclass(frozen=True, slots=True)
class UnitFigures:
    """A row of a layer's annotators.csv; `concept` is empty for no detector."""

    unit: int
    concept: str
    depends_on: tuple[str, ...]
    iou_min: float | None
    iou_mean: float | None
    iou_max: float | None
    label_stability: float | None
    relative_iou: float | None
    human_reference: float | None


@dataclass(frozen=True, slots=True)
class Dependence:
    """A unit whose label hangs on somebody.

    Attributes:
        unit: From 0.
        concept: What everybody together call it; None for no detector.
        iou: Of that concept.
        figures: Over the annotators.
        changes: By annotator of the table's columns, what it is without that person; None if it
            stays what it is.
    """

    unit: int
    concept: str | None
    iou: float
    figures: UnitFigures | None
    changes: tuple[Change | None, ...]

    @property
    def reach(self) -> float:
        """Its largest IoU with anything that it is called."""
        others = (change.other_iou for change in self.changes if change is not None)
        return max(self.iou, *others)


@dataclass(frozen=True, slots=True)
class PersonRow:
    """An annotator in a layer."""

    annotator: ComparedAnnotator
    figures: LayerAnnotator
    rank_stability: float | None
    span: Span | None


@dataclass(frozen=True, slots=True)
class ConceptRow:
    """A concept in a layer: its units beside its people.

    Attributes:
        concept: Its figures in the layer.
        reference: How far people agree on it; None where nobody who is compared used it.
        human: That on the axis, with its interval.
        ceiling: (1 + reference) / 2 on the axis.
        dots: Mean IoUs of its units on the axis.
        best: That of the best unit, with its interval.
    """

    concept: LayerConcept
    reference: HumanReference | None
    human: Span | None
    ceiling: float | None
    dots: tuple[float, ...]
    best: Span | None


@dataclass(frozen=True)
class LayerPeople:
    """A layer by its annotators.

    Attributes:
        report: The run's annotators.
        figures: The layer's.
        units: By unit.
    """

    report: AnnotatorReport
    figures: LayerFigures
    units: Mapping[int, UnitFigures]

    @cached_property
    def known(self) -> dict[str, ComparedAnnotator]:
        """The annotators by directory."""
        return {annotator.directory: annotator for annotator in self.report.annotators}

    @cached_property
    def categories(self) -> dict[str, str]:
        """The category of each concept that people are compared in."""
        return {entry.concept: entry.category for entry in self.report.concepts}

    @cached_property
    def voters(self) -> list[LayerAnnotator]:
        """Those who were left out of the consensus, one at a time."""
        return [entry for entry in self.figures.annotators if entry.left_out is not None]

    @cached_property
    def dependent(self) -> list[Dependence]:
        """Units that hang on somebody, by falling IoU."""
        by_person = [
            {change.unit: change for change in entry.left_out.changes}
            for entry in self.voters
            if entry.left_out is not None
        ]
        found = []
        for unit in sorted({unit for changes in by_person for unit in changes}):
            changes = tuple(own.get(unit) for own in by_person)
            first = next(change for change in changes if change is not None)
            found.append(Dependence(unit, first.concept, first.iou, self.units.get(unit), changes))
        return sorted(found, key=lambda row: (-row.reach, row.unit))

    @cached_property
    def stable_detectors(self) -> tuple[int, int]:
        """(units that all annotators call the same concept, units with a modal concept)."""
        named = [row for row in self.units.values() if row.concept]
        return sum(row.label_stability == 1 for row in named), len(named)

    @cached_property
    def people(self) -> list[PersonRow]:
        """The annotators; those who are compared first."""
        largest = max(
            [1.0]
            + [
                max(entry.detectors.value or 0, entry.detectors.high or 0)
                for entry in self.figures.annotators
                if entry.detectors is not None
            ]
        )
        rows = [self._person(entry, largest) for entry in self.figures.annotators]
        return sorted(rows, key=lambda row: not row.annotator.compared)

    def _person(self, entry: LayerAnnotator, largest: float) -> PersonRow:
        ranks = [
            pair.rank_stability
            for pair in self.figures.pairs
            if entry.directory in (pair.a, pair.b) and pair.rank_stability is not None
        ]
        figure = entry.detectors
        drawn = None
        if figure is not None and figure.value is not None:
            drawn = span(figure.value, figure.low, figure.high, largest=largest, length=_RANGE)
        mean = sum(ranks) / len(ranks) if ranks else None
        return PersonRow(self.known[entry.directory], entry, mean, drawn)

    @cached_property
    def concepts(self) -> list[ConceptRow]:
        """Concepts by falling number of units, then by the best unit's IoU."""
        references = {entry.label_number: entry for entry in self.report.concepts}
        dots: dict[str, list[float]] = {}
        for row in self.units.values():
            if row.concept and row.iou_mean is not None:
                dots.setdefault(row.concept, []).append(round(row.iou_mean * AXIS, 1))
        rows = [
            _concept_row(concept, references.get(concept.label_number), dots)
            for concept in self.figures.concepts
        ]
        return sorted(
            rows,
            key=lambda row: (
                -row.concept.units,
                -(row.concept.iou_mean.value or 0.0),
                row.concept.label_number,
            ),
        )


def _concept_row(
    concept: LayerConcept, reference: HumanReference | None, dots: Mapping[str, Sequence[float]]
) -> ConceptRow:
    human = ceiling = best = None
    if reference is not None and reference.human_reference.value is not None:
        figure = reference.human_reference
        human = span(
            reference.human_reference.value, figure.low, figure.high, largest=1, length=AXIS
        )
        ceiling = round((reference.annotator_ceiling or 0.0) * AXIS, 1)
    mean = concept.iou_mean
    if mean.value is not None:
        best = span(mean.value, mean.low, mean.high, largest=1, length=AXIS)
    own = tuple(sorted(dots.get(concept.concept, ())))
    return ConceptRow(concept, reference, human, ceiling, own, best)


def read_people(
    layout: RunLayout, record: LayerRecord, report: AnnotatorReport | None
) -> LayerPeople | None:
    """A layer by its annotators; None where a run has none.

    Raises:
        LayoutError: annotators.csv cannot be read.
    """
    figures = report.layer(record.directory) if report is not None else None
    if report is None or figures is None:
        return None
    path = layout.unit_figures(record.directory)
    units = {}
    for line, cells in read_rows(path, UNIT_COLUMNS):
        try:
            unit = int(cells["unit"])
            units[unit] = UnitFigures(
                unit=unit,
                concept=cells["concept"],
                depends_on=tuple(filter(None, cells["depends_on"].split(";"))),
                **{name: optional_number(cells[name]) for name in _CELLS},
            )
        except ValueError as error:
            raise LayoutError(
                f"holds a value that was not expected ({error})", path=path, pointer=f"line {line}"
            ) from error
    return LayerPeople(report, figures, units)


def title_of(annotator: ComparedAnnotator) -> str:
    """What the page calls an annotator.

    >>> title_of(ComparedAnnotator(directory="unnamed", name="", session=2, kind="person",
    ...                            images=1, compared=False))
    'unnamed, session 2'
    """
    name = annotator.name or "unnamed"
    return name if annotator.session == 1 else f"{name}, session {annotator.session}"
