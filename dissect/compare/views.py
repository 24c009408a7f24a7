"""What the page shows of a layer over the runs, in the form its template wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from dissect.compare.charts import (
    Fate,
    LineChart,
    Series,
    StepChart,
    Trend,
    Value,
    line_chart,
    step_chart,
    trend,
)
from dissect.compare.columns import Column
from dissect.compare.document import ComparedConcept, ComparedLayer, ConceptFigures, LayerFigures
from dissect.compare.gathering import Member
from dissect.compare.matching import kind_of
from dissect.compare.strips import Story

CONCEPTS = 200  # rows of a table; all of them are in concepts.csv
UNITS = 200
RUNS = 12  # of more, the tables of the head are folded
_LEVELS = 5


@dataclass(frozen=True, slots=True)
class RunView:
    """A run: its own facts, and the way to its report, None where it has none."""

    member: Member
    facts: tuple[str, ...]
    href: str | None


@dataclass(frozen=True, slots=True)
class Cell:
    """A concept in a run.

    Attributes:
        figures: None where the run's set lacks the concept.
        level: How dark, 0 to 5: its detectors beside those of the concept with the most.
        order: What the column is sorted by: detectors, then IoU.
        href: The best unit in the run's report.
    """

    figures: ConceptFigures | None
    level: int
    order: float
    href: str | None


@dataclass(frozen=True, slots=True)
class ConceptRow:
    """A concept over the runs."""

    entry: ComparedConcept
    cells: tuple[Cell, ...]
    trend: Trend

    @property
    def is_detected(self) -> bool:
        """Whether any run has a detector of it."""
        return any(cell.figures is not None and cell.figures.units for cell in self.cells)

    @property
    def first(self) -> int | None:
        """The first column with a detector of it."""
        found = (
            place for place, cell in enumerate(self.cells) if cell.figures and cell.figures.units
        )
        return next(found, None)


@dataclass(frozen=True, slots=True)
class UnitCell:
    """A unit in a run; `kind` says what became of it since the run before."""

    concept: tuple[str, str] | None
    iou: float
    detector: bool
    kind: str
    href: str | None


@dataclass(frozen=True, slots=True)
class UnitRow:
    """A unit over the runs."""

    unit: int
    cells: tuple[UnitCell, ...]


@dataclass(frozen=True)
class LayerView:
    """A layer over the runs.

    Attributes:
        layer: Its figures.
        anchor: Where it stands on the page.
        group: Its columns.
        names: Short names of the columns.
        runs: Of the page.
        threshold: IoU of a detector; None if the runs differ in it.
        slots: Colours of categories.
        stories: Units with images.
    """

    layer: ComparedLayer
    anchor: str
    group: tuple[Column, ...]
    names: tuple[str, ...]
    runs: tuple[RunView, ...]
    threshold: float | None
    slots: dict[str, int]
    stories: tuple[Story, ...]

    @property
    def title(self) -> str:
        """What the layer is called."""
        return self.layer.name or "Layers of a single run"

    @property
    def joined(self) -> bool:
        """Whether the columns are one layer."""
        return self.layer.name is not None

    @property
    def matched(self) -> bool:
        """Whether units of equal number can be compared from run to run."""
        return bool(self.layer.steps) and all(step.matched for step in self.layer.steps)

    @cached_property
    def counts(self) -> list[tuple[str, str, LineChart]]:
        """The three counts: title, what it says, chart."""
        bounded = any(column.detectors_low is not None for column in self.layer.columns)
        note = " Bars: 95 % interval over images." if bounded else ""
        return [
            (
                "Detectors",
                f"Units whose best concept is above the IoU threshold.{note}",
                self._chart("detectors", bounded=bounded),
            ),
            (
                "Unique concepts",
                "Distinct best concepts of these detectors.",
                self._chart("unique_concepts"),
            ),
            (
                "Unique by category",
                "Distinct concepts detected best in each category, added up.",
                self._chart("unique_by_category"),
            ),
        ]

    def _chart(self, field: str, *, bounded: bool = False) -> LineChart:
        values = tuple(
            Value(
                getattr(column, field),
                column.detectors_low if bounded else None,
                column.detectors_high if bounded else None,
            )
            for column in self.layer.columns
        )
        return line_chart([Series(self.title, None, values)], self.names, joined=self.joined)

    @cached_property
    def categories(self) -> LineChart:
        """Detectors by category, a line each."""
        series = [
            Series(name, slot, tuple(map(Value, values)))
            for name, slot in self.slots.items()
            if any(values := [_of_category(column, name) for column in self.layer.columns])
        ]
        return line_chart(series, self.names, joined=self.joined, named=True)

    @cached_property
    def ious(self) -> LineChart:
        """Best IoUs of the units: median and mean, and between which half of them lie."""
        columns = self.layer.columns
        series = [
            Series("median", None, tuple(Value(column.iou_median) for column in columns)),
            Series("mean", None, tuple(Value(column.iou_mean) for column in columns), "dashed"),
        ]
        band = [column.iou_quartiles for column in columns] if self.joined else []
        return line_chart(
            series,
            self.names,
            joined=self.joined,
            named=True,
            band=band,
            rule=self.threshold if self.threshold is not None else 0.0,
        )

    @cached_property
    def fates(self) -> StepChart | None:
        """What became of the units; None where they cannot be matched."""
        if not self.matched:
            return None
        return step_chart(
            [
                Fate(
                    place=place,
                    title=f"{self.names[place - 1]} to {self.names[place]}",
                    kept=step.kept or 0,
                    renamed=step.renamed or 0,
                    gained=step.gained or 0,
                    lost=step.lost or 0,
                    chance=step.kept_by_chance or 0.0,
                )
                for place, step in enumerate(self.layer.steps, start=1)
            ],
            self.names,
        )

    @cached_property
    def concepts(self) -> list[ConceptRow]:
        """The concepts, in the document's order."""
        entries = self.layer.concepts
        figures = [own for entry in entries for own in entry.columns if own is not None]
        most = max([1, *(own.units for own in figures)])
        reach = max([0.1, 2 * (self.threshold or 0.0), *(own.best_iou for own in figures)])
        return [
            ConceptRow(
                entry,
                tuple(self._cell(place, own, most) for place, own in enumerate(entry.columns)),
                trend(
                    [None if own is None else own.best_iou for own in entry.columns],
                    [own is not None and own.units > 0 for own in entry.columns],
                    largest=reach,
                    threshold=self.threshold,
                    joined=self.joined,
                ),
            )
            for entry in entries
        ]

    @property
    def detected(self) -> list[ConceptRow]:
        """Concepts with a detector in any run."""
        return [row for row in self.concepts if row.is_detected]

    @property
    def undetected(self) -> list[ConceptRow]:
        """The others, by falling IoU."""
        return [row for row in self.concepts if not row.is_detected]

    def _cell(self, place: int, figures: ConceptFigures | None, most: int) -> Cell:
        if figures is None:
            return Cell(None, 0, -1.0, None)
        level = 0 if not figures.units else 1 + int((_LEVELS - 1) * (figures.units / most) ** 0.5)
        href = None if figures.best_unit is None else self.unit_href(place, figures.best_unit)
        return Cell(figures, level, figures.units + figures.best_iou, href)

    def unit_href(self, place: int, unit: int) -> str | None:
        """A unit in the report of a column's run."""
        column = self.group[place]
        page = self.runs[column.place].href
        return None if page is None else f"{page}#layer-{column.record.directory}-u{unit}"

    @cached_property
    def units(self) -> list[UnitRow]:
        """Units that any run calls a detector: those of the largest IoU in the last run first."""
        if not self.matched:
            return []
        labels = [column.table.labels() for column in self.group]
        last = self.group[-1].table.iou
        order = sorted(range(len(last)), key=lambda unit: (-last[unit], unit))
        found = [unit for unit in order if any(own[unit] is not None for own in labels)]
        return [UnitRow(unit, tuple(self._unit_cells(unit, labels))) for unit in found]

    def _unit_cells(
        self, unit: int, labels: Sequence[Sequence[tuple[str, str] | None]]
    ) -> list[UnitCell]:
        cells = []
        for place, (column, own) in enumerate(zip(self.group, labels, strict=True)):
            kind = kind_of(labels[place - 1][unit], own[unit]) if place else ""
            table = column.table
            cells.append(
                UnitCell(
                    table.best[unit],
                    float(table.iou[unit]),
                    bool(table.detector[unit]),
                    kind,
                    self.unit_href(place, unit),
                )
            )
        return cells


def _of_category(column: LayerFigures, name: str) -> int:
    return column.categories[name].detectors if name in column.categories else 0
