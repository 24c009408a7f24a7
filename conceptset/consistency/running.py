"""A comparison of annotators from beginning to end: read, count, compute, write."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from conceptset import __version__
from conceptset.build.painting import BadShape
from conceptset.build.steps import Step, silent
from conceptset.consistency.counting.image import MAX_WITH_BOUNDARIES, CountSettings, count_image
from conceptset.consistency.counts import THRESHOLDS, Counts, Table, concatenate
from conceptset.consistency.document import ConsistencyReport, ImageEntry, Settings
from conceptset.consistency.figures.ranking import place_people
from conceptset.consistency.figures.report import Entries, compute
from conceptset.consistency.figures.stored_consensus import measure_consensus
from conceptset.consistency.intervals import LEVEL, SEED
from conceptset.consistency.options import ConsistencyOptions
from conceptset.consistency.page import write_page
from conceptset.consistency.reading.on_demand import Load, Opened
from conceptset.consistency.reading.opening import open_material
from conceptset.consistency.verdicts.identity import identity_notes
from conceptset.consistency.verdicts.judging import judge
from conceptset.consistency.writing import REPORT, write_counts, write_tables
from conceptset.errors import UsageError
from conceptset.findings import Finding
from conceptset.io.atomic import check_target, new_directory
from conceptset.io.parallel import ordered_map
from conceptset.io.spool import remove_scratch, scratch_of
from conceptset.io.tables import format_json
from conceptset.parsing.defects import Spot

SHOWN_IMAGES = 200  # of each layer, in the document; images.csv has all
_SMALL = 16  # images below which starting worker processes costs more than it saves


@dataclass(frozen=True, slots=True)
class Comparison:
    """The outcome of a comparison.

    Attributes:
        report: What was found out.
        findings: Defects of the annotations that were left out, and warnings.
        skipped: Errors that were left out.
        left_out: What else did not enter, by reason.
        notes: What the person at the terminal should know.
    """

    report: ConsistencyReport
    findings: Sequence[Finding] = ()
    skipped: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: Sequence[str] = ()


def compare_annotators(
    given: Sequence[Path],
    options: ConsistencyOptions,
    *,
    out: Path | None = None,
    step: Step = silent,
) -> Comparison:
    """How consistent annotators are.

    Args:
        given: One concept set, or files, directories and archives of annotations.
        options: See `ConsistencyOptions`.
        out: The directory to write: page, document, tables; nothing is written if None.
        step: Opens a progress display for a named step; it is told (done, total).

    Raises:
        UsageError: An option cannot be used, or the target exists.
        SourceError: Something cannot be read; bad annotations by the policy.
        OutputError: The directory cannot be written. In every case nothing is left behind.
    """
    if out is None:
        with open_material(given, options, near=None, step=step) as opened:
            return _compare(opened, options, None, step)
    check_target(out, overwrite=options.overwrite)
    _check_replaceable(out, given)
    with new_directory(out, overwrite=options.overwrite) as folder:
        with open_material(given, options, near=scratch_of(folder), step=step) as opened:
            comparison = _compare(opened, options, folder, step)
        remove_scratch(folder)
        document = comparison.report.model_dump(mode="json")
        (folder / REPORT).write_bytes(format_json(document))
        return comparison


def _check_replaceable(out: Path, given: Sequence[Path]) -> None:
    """Refuse to replace what is no comparison, or what is to be compared."""
    empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not empty and not (out / REPORT).is_file():
        raise UsageError(
            "exists and is no comparison of annotators; --overwrite replaces these only",
            path=out,
            hint="Choose another --out, or remove it yourself.",
        )
    for path in given:
        if out.exists() and path.resolve().is_relative_to(out.resolve()):
            raise UsageError(
                "lies in the directory that --overwrite would remove",
                path=path,
                hint="Choose another --out, or move it.",
            )


def _crowded(drawn: Table) -> list[str]:
    """Says in how many images boundaries were left alone."""
    one_layer = drawn[drawn["category"] == 0]
    _, people = np.unique(one_layer["image"], return_counts=True)
    crowded = int((people > MAX_WITH_BOUNDARIES).sum())
    if not crowded:
        return []
    return [
        f"Boundaries were not measured in {crowded:,} of {people.size:,} images, on which more "
        f"than {MAX_WITH_BOUNDARIES} people worked."
    ]


def _compare(
    opened: Opened, options: ConsistencyOptions, folder: Path | None, step: Step
) -> Comparison:
    material = opened.material
    counts = _count(opened, options, step)
    with step("computing"):
        entries = compute(counts, material, resamples=options.resamples, seed=SEED)
        entries.annotators = place_people(entries.annotators, entries.estimates)
        entries.verdicts += judge(entries, counts, material)
    if opened.consensus is not None:
        with step("consensus") as progress:
            entries.consensus += measure_consensus(
                opened.consensus, entries.estimates.resamples, jobs=options.jobs, progress=progress
            )
    entries.notes += identity_notes(counts.drawn, material.annotators)
    if options.boundary:
        entries.notes += _crowded(counts.drawn)
    report = _report(opened, options, entries)
    if folder is not None:
        with step("writing") as progress:
            write_tables(folder, report, entries.images)
            write_counts(folder, counts, material, progress=progress)
        with step("drawing") as progress:
            write_page(folder, report, material, jobs=options.jobs, progress=progress)
    return Comparison(
        report=report,
        findings=tuple(opened.problems.findings),
        skipped=opened.problems.skipped,
        left_out=opened.left_out,
        notes=opened.notes,
    )


def _count(opened: Opened, options: ConsistencyOptions, step: Step) -> Counts:
    """The counts of all images; what cannot be filled is reported."""
    setting = CountSettings.of(opened.material, boundary=options.boundary)
    tasks = opened.images.tasks
    jobs = options.jobs if len(tasks) >= _SMALL else 1
    count = functools.partial(count_task, opened.images.load, setting)
    parts = []
    results = ordered_map(count, tasks, jobs=jobs)
    with step("comparing") as progress, contextlib.closing(results):
        for done, (counts, bad) in enumerate(results, start=1):
            parts.append(counts)
            progress(done, len(tasks))
            for shape in bad:
                origin = shape.drawn.origin
                Spot(opened.problems, origin.file, origin.pointer).report("SRC026", shape.message)
    return concatenate(parts)


def count_task(
    load: Load,
    setting: CountSettings,
    task: Any,  # noqa: ANN401 - what `load` takes
) -> tuple[Counts, tuple[BadShape, ...]]:
    """Read one image and count in it, in whichever process."""
    loaded = load(task)
    return count_image(loaded.image, setting), loaded.bad


def _report(opened: Opened, options: ConsistencyOptions, entries: Entries) -> ConsistencyReport:
    material = opened.material
    return ConsistencyReport(
        generator=f"conceptset {__version__}",
        title=material.title,
        settings=Settings(
            threshold=THRESHOLDS[0],
            sensitivity=list(THRESHOLDS[1:]),
            overlap=material.overlap,
            resamples=options.resamples,
            seed=SEED,
            level=LEVEL,
            boundary=options.boundary,
            taxonomy=opened.taxonomy,
        ),
        annotators_listed=[str(annotator) for annotator in material.annotators],
        n_images=len(material.images),
        shared_images=entries.shared_images,
        layers=entries.layers,
        pairs=entries.pairs,
        annotators=entries.annotators,
        concepts=entries.concepts,
        images=_first(entries),
        alone=entries.alone,
        intra=entries.intra,
        consensus=entries.consensus,
        clusters=entries.clusters,
        verdicts=entries.verdicts,
        notes=_silences(opened) or entries.notes,
    )


def _first(entries: Entries) -> list[ImageEntry]:
    """The first images of every layer, and those that verdicts name."""
    named = {(verdict.category, image) for verdict in entries.verdicts for image in verdict.images}
    seen: dict[str, int] = {}
    kept = []
    for entry in entries.images:
        place = seen[entry.category] = seen.get(entry.category, 0) + 1
        if place <= SHOWN_IMAGES or (entry.category, entry.image) in named:
            kept.append(entry)
    return kept


def _silences(opened: Opened) -> list[str]:
    """What cannot be said because of what was given."""
    material = opened.material
    if not material.annotators:
        return [
            "The set does not say who annotated it, so nothing can be said about annotators. Give "
            "one set or file for each of them, with --format and --annotator-from."
        ]
    if not material.categories:
        return ["Nobody outlined anything, so there is nothing to compare."]
    return []
