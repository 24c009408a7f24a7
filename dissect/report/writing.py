"""The report's page, from run.json, scores.csv, top.safetensors and the reduced photographs."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment

from conceptset.io.atomic import new_directory
from conceptset.present.page import page_environment, read_asset, render_page
from conceptset.present.palette import category_slots
from dissect.annotators.document import AnnotatorReport, ComparedAnnotator
from dissect.annotators.reading import read_report
from dissect.report.charts import Chart, Spark, category_chart, concept_chart, spark
from dissect.report.facts import Fact, list_facts
from dissect.report.people import AXIS, LayerPeople, UnitFigures, read_people, title_of
from dissect.report.person import concepts_drawn, person_layers
from dissect.report.reading import Unit, count_concepts, read_units
from dissect.report.strips import Strip, write_strips
from dissect.state import LayerRecord, Run, RunLayout, open_run

_PACKAGE = "dissect.report"
BEST = 10


@dataclass(frozen=True, slots=True)
class UnitView:
    """A unit as the page shows it."""

    unit: Unit
    strip: Strip | None
    spark: Spark | None
    figures: UnitFigures | None = None


@dataclass(frozen=True)
class LayerView:
    """A layer as the page shows it.

    Attributes:
        record: Its counts.
        units: By falling IoU.
        categories: Detectors by category.
        concepts: Detectors by concept.
        distinct: How many concepts the detectors have.
        people: The layer by its annotators; None where the run has none.
    """

    record: LayerRecord
    units: tuple[UnitView, ...]
    categories: Chart
    concepts: Chart
    distinct: int
    people: LayerPeople | None = None

    @property
    def bounded(self) -> bool:
        """Whether any IoU has an interval."""
        return any(view.unit.probability is not None for view in self.units)

    @functools.cached_property
    def by_number(self) -> dict[int, UnitView]:
        """The units by number."""
        return {view.unit.number: view for view in self.units}

    @property
    def best(self) -> list[UnitView]:
        """The detectors to look at first; the best units if there is no detector."""
        shown = [view for view in self.units if view.strip is not None and view.unit.best]
        return shown[:BEST]

    @property
    def by_concept(self) -> list[UnitView]:
        """The best detector of each concept, by falling IoU."""
        found: dict[tuple[str, str], UnitView] = {}
        for view in self.units:
            best = view.unit.best
            if best is not None and best.detector and view.strip is not None:
                found.setdefault((best.concept, best.category), view)
        return list(found.values())


def write_report(
    run_dir: Path,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write RUN/report/, in place of one that is there, and return its index.html.

    Neither the concept set nor the model is needed.

    Args:
        run_dir: A complete run.
        jobs: Processes that draw images.
        progress: Called with (units done, units in all).

    Raises:
        SourceError: The run is incomplete or cannot be read.
        OutputError: The report cannot be written.
    """
    run, layout = open_run(run_dir), RunLayout(run_dir)
    total, done = sum(record.units for record in run.layers), 0

    def advance() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    slots = category_slots(run.counts.categories)
    report = read_report(layout)
    with new_directory(layout.report.parent, overwrite=True) as folder:
        layers = [
            _view_layer(
                run,
                record,
                read_units(layout, record),
                write_strips(layout, record, folder, jobs=jobs, advance=advance),
                slots,
                read_people(layout, record, report),
            )
            for record in run.layers
        ]
        (folder / layout.report.name).write_bytes(render_run(run, layers, slots, report))
        if report is not None:
            for annotator in report.annotators:
                page = folder / person_file(annotator)
                page.parent.mkdir(exist_ok=True)
                page.write_bytes(render_person(run, layers, slots, report, annotator))
    return layout.report


def _view_layer(
    run: Run,
    record: LayerRecord,
    units: Sequence[Unit],
    strips: dict[int, Strip],
    slots: dict[str, int],
    people: LayerPeople | None,
) -> LayerView:
    threshold = run.config.iou_threshold
    reach = [max(unit.best.iou, unit.best.high or 0.0) for unit in units if unit.best]
    largest = max([2 * threshold, 0.1, *reach])
    views = tuple(
        UnitView(
            unit,
            strips.get(unit.number),
            spark(unit.best, largest=largest, threshold=threshold) if unit.best else None,
            people.units.get(unit.number) if people is not None else None,
        )
        for unit in units
    )
    concepts = count_concepts(list(units))
    return LayerView(
        record,
        views,
        category_chart(record.detectors, slots),
        concept_chart(concepts, slots),
        len(concepts),
        people,
    )


@functools.cache
def _environment() -> Environment:
    """The templates of reports, each compiled once, however many runs and people there are."""
    environment = page_environment(_PACKAGE)
    environment.filters["title_of"] = title_of
    environment.globals |= {"axis": AXIS, "page_of": person_file}
    return environment


def person_file(annotator: ComparedAnnotator) -> str:
    """An annotator's page, relative to the report's folder; directories are safe slugs."""
    return f"annotators/{annotator.directory}.html"


def render_run(
    run: Run,
    layers: Sequence[LayerView],
    slots: dict[str, int],
    report: AnnotatorReport | None = None,
) -> bytes:
    """The bytes of index.html."""
    facts: list[Fact] = list_facts(run)
    return render_page(
        _environment(),
        "report.html",
        title=f"{run.name}: network dissection",
        styles=[read_asset(_PACKAGE, "report.css"), _strip_css(layers)],
        scripts=[read_asset(_PACKAGE, "report.js")],
        run=run,
        facts=facts,
        layers=layers,
        slots=slots,
        report=report,
    )


def render_person(
    run: Run,
    layers: Sequence[LayerView],
    slots: dict[str, int],
    report: AnnotatorReport,
    annotator: ComparedAnnotator,
) -> bytes:
    """The bytes of an annotator's page: the network by this person's labels and the others'."""
    return render_page(
        _environment(),
        "person.html",
        title=f"{title_of(annotator)}: {run.name}",
        styles=[read_asset(_PACKAGE, "report.css"), _strip_css(layers)],
        run=run,
        layers=person_layers(layers, annotator),
        slots=slots,
        report=report,
        annotator=annotator,
        drawn=concepts_drawn(report, annotator),
    )


def _strip_css(layers: Sequence[LayerView]) -> str:
    """Strips with fewer images are shorter, whatever the width of the window."""
    views = (view for layer in layers for view in layer.units)
    widths = {view.strip.width for view in views if view.strip is not None}
    return "".join(
        f".w{width}{{width:min({width}px,{100 * width / max(widths):.3f}%)}}"
        for width in sorted(widths)
    )
