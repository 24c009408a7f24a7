"""The tables of a comparison, as rows."""

from __future__ import annotations

from collections.abc import Iterator

from dissect.compare.figures import Compared

RUN_COLUMNS = (
    *("layer", "run", "model", "units"),
    *("detectors", "detectors_share", "unique_concepts", "unique_concepts_share"),
    *("unique_by_category", "unique_by_category_share"),
    *("iou_mean", "iou_median", "expected_detectors", "detectors_low", "detectors_high"),
)
CONCEPT_COLUMNS = (
    *("layer", "concept", "category", "run", "units", "best_iou", "best_unit"),
    *("iou_low", "iou_high"),
)
STEP_COLUMNS = (
    *("layer", "before", "after", "detectors", "low", "high", "appeared", "vanished"),
    *("kept", "kept_by_chance", "renamed", "gained", "lost"),
)
UNIT_COLUMNS = ("layer", "unit", "run", "concept", "category", "iou", "detector", "probability")

Rows = Iterator[tuple[object, ...]]


def run_rows(compared: Compared) -> Rows:
    """One row per layer and run."""
    runs = compared.document.runs
    for layer in compared.document.layers:
        for figures in layer.columns:
            run = runs[figures.run]
            known = {**figures.model_dump(), "run": run.label, "model": run.model}
            yield tuple(known[name] for name in RUN_COLUMNS)


def concept_rows(compared: Compared) -> Rows:
    """One row per layer, concept and run whose set has the concept."""
    runs = compared.document.runs
    for layer in compared.document.layers:
        for entry in layer.concepts:
            for figures in entry.columns:
                if figures is not None:
                    known = figures.model_dump() | entry.model_dump(include={"concept", "category"})
                    known["run"] = runs[figures.run].label
                    yield tuple(known[name] for name in CONCEPT_COLUMNS)


def step_rows(compared: Compared) -> Rows:
    """One row per layer and two consecutive runs; concepts are joined by semicolons."""
    runs = compared.document.runs
    for layer in compared.document.layers:
        for step in layer.steps:
            known = step.model_dump() | {
                "layer": layer.name,
                "before": runs[step.before].label,
                "after": runs[step.after].label,
                "appeared": ";".join(step.appeared),
                "vanished": ";".join(step.vanished),
            }
            yield tuple(known[name] for name in STEP_COLUMNS)


def unit_rows(compared: Compared) -> Rows:
    """One row per layer, unit and run: its best concept, a detector or not."""
    runs = compared.document.runs
    for group in compared.columns:
        for unit in range(max(column.record.units for column in group)):
            for column in group:
                if unit >= column.record.units:
                    continue
                table = column.table
                concept, category = table.best[unit] or ("", "")
                chance = None if table.probability is None else float(table.probability[unit])
                yield (
                    *(column.record.name, unit, runs[column.place].label, concept, category),
                    *(float(table.iou[unit]), bool(table.detector[unit]), chance),
                )
