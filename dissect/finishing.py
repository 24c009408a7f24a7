"""A run made complete: every file of it from what was found, run.json last."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dissect.annotators.writing import write_annotators
from dissect.intervals import Resamples
from dissect.job import Job
from dissect.plan import Plan, Timings
from dissect.runner import Outcomes
from dissect.state import (
    LayerRecord,
    Run,
    RunCounts,
    RunLayout,
    generator,
    layer_directories,
    write_run,
)
from dissect.writing import (
    describe_annotators,
    describe_environment,
    describe_leaving_out,
    peak_memory,
    vocabulary_of,
    write_layer,
    write_photographs,
    write_shared,
    write_voices,
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run.

    Attributes:
        run: Its description.
        root: Its directory.
        unchanged: True if it had been complete before, so that nothing was done.
    """

    run: Run
    root: Path
    unchanged: bool


def finish_run(
    layout: RunLayout, outcomes: Outcomes, plan: Plan, job: Job, *, timings: Timings
) -> Run:
    """Write every file of a run, run.json last."""
    fingerprint = job.fingerprint
    with timings.measure("write"):
        samples = Resamples.draw(np.array([entry.row for entry in plan.entries]))
        records = _write_outcomes(layout, outcomes, plan, samples, fingerprint)
    run = Run(
        generator=generator(),
        name=job.name,
        fingerprint=fingerprint,
        config=plan.config,
        set=job.set,
        model=job.model,
        counts=RunCounts(
            images=len(plan.entries),
            labels=len(np.unique(outcomes.heard.truth(0)[:, 1])),
            categories=plan.categories,
        ),
        layers=records,
        annotators=describe_annotators(plan.panel),
        leave_one_out=describe_leaving_out(plan.panel),
        environment=describe_environment(plan),
        timings={},
    )
    if run.annotators:
        with timings.measure("annotators"):
            words = vocabulary_of(plan.concept_set, plan.categories)
            write_annotators(layout, run, words, samples=samples, workers=plan.workers)
    spent = {**timings.seconds, "peak_memory": peak_memory()}
    run = run.model_copy(update={"timings": spent})
    write_run(layout, run)
    return run


def _write_outcomes(
    layout: RunLayout, outcomes: Outcomes, plan: Plan, samples: Resamples, fingerprint: str
) -> tuple[LayerRecord, ...]:
    """Every file of a run but run.json."""
    directories = layer_directories(plan.config.layers)
    records = []
    for outcome in outcomes.layers:
        place = {"directory": directories[outcome.shape.name], "fingerprint": fingerprint}
        records.append(write_layer(layout, outcome, plan, samples, **place))
        write_voices(layout, outcome, plan, samples, **place)
    if plan.panel.annotators:
        write_shared(layout, outcomes, plan, fingerprint=fingerprint)
    write_photographs(layout, outcomes.layers, plan)
    return tuple(records)
