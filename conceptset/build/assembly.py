"""A build from annotations: read, render, publish; nothing is visible before it is whole."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Generator, Sequence
from pathlib import Path

from conceptset.build import checks, colors
from conceptset.build.developing import SMALL, Darkroom
from conceptset.build.gather import Gathered, gather
from conceptset.build.members import Layers, Member
from conceptset.build.naming import source_slugs, stems
from conceptset.build.options import BuildOptions
from conceptset.build.publishing import Plan, make_folders, publish
from conceptset.build.rendering import Rendered, RenderSettings, RenderTask, render_image
from conceptset.build.sources import Opened, open_sources
from conceptset.build.splitting import draw_split, identity_of
from conceptset.build.steps import Step, silent
from conceptset.build.summary import BuildReport
from conceptset.errors import SourceError
from conceptset.findings import Problems
from conceptset.io.atomic import check_target, new_directory
from conceptset.io.parallel import IN_PROCESS, Engine, LocalEngine
from conceptset.io.spool import Spool, scratch_of
from conceptset.layout import names
from conceptset.parsing.defects import Spot
from conceptset.records import Person
from conceptset.taxonomy import Taxonomy, concept_name


def build_set(
    sources: Sequence[Path],
    out: Path,
    options: BuildOptions,
    *,
    engine: Engine | None = None,
    step: Step = silent,
) -> BuildReport:
    """Build a concept set from annotation files.

    Args:
        sources: Files, directories or archives of annotations.
        out: The directory to write; it appears when everything is in it.
        options: See `BuildOptions`.
        engine: Where images are worked on; None starts `options.jobs` processes.
        step: Opens a progress display for a named step; it is told (done, total).

    Returns:
        What was built, left out and found.

    Raises:
        UsageError: An option cannot be used, or the target exists.
        SourceError: Something cannot be read; bad annotations by the policy.
        OutputError: The set cannot be written. In every case nothing is left behind.
    """
    check_target(out, overwrite=options.overwrite)
    checks.check_replaceable(out)
    taxonomy = checks.load_taxonomy(options.taxonomy)
    with new_directory(out, overwrite=options.overwrite) as folder, contextlib.ExitStack() as stack:
        with step("unpacking") as progress:
            opening = open_sources(
                sources,
                format_name=options.format,
                images=options.images,
                near=scratch_of(folder),
                progress=progress,
            )
            opened = stack.enter_context(opening)
        for source in opened.sources:
            checks.check_inputs_outlast(out, (source.given, source.path, source.catalogue.root))
        engine = engine or LocalEngine(options.jobs)
        engine.check_sight(_read_paths(opened), writes=folder)
        return _build(opened, folder, options, engine, taxonomy=taxonomy, step=step)


def _read_paths(opened: Opened) -> list[Path]:
    """What workers read: annotations that are many files, and the photographs."""
    paths = {path for one in opened.sources for path in (one.path, one.catalogue.root)}
    return sorted(path for path in paths if path.exists())


def _build(
    opened: Opened,
    folder: Path,
    options: BuildOptions,
    engine: Engine,
    *,
    taxonomy: Taxonomy,
    step: Step,
) -> BuildReport:
    """The build in the directory that becomes `out`."""
    problems = Problems(options.on_error)
    try:
        return _read_and_paint(
            opened, folder, options, problems, engine, taxonomy=taxonomy, step=step
        )
    except SourceError as error:
        if error.path is None:  # it is about no file: nothing is left to build from
            problems.explain(error)
        raise


def _read_and_paint(
    opened: Opened,
    folder: Path,
    options: BuildOptions,
    problems: Problems,
    engine: Engine,
    *,
    taxonomy: Taxonomy,
    step: Step,
) -> BuildReport:
    """Read the annotations, paint, and write the set."""
    scratch = scratch_of(folder)
    with (
        Spool(scratch / "drawings") as spool,
        Darkroom(scratch, options, engine) as darkroom,
    ):
        gathered = gather(
            opened.sources,
            options,
            taxonomy,
            problems=problems,
            spool=spool,
            darkroom=darkroom,
            engine=engine,
            step=step,
        )
    gathered.left_out.update(opened.left_out)
    people = _people(gathered, options)
    if len(gathered.images) < SMALL:
        engine = IN_PROCESS
    slugs = source_slugs(gathered.images)
    plan = _plan(gathered, options, taxonomy, people, tuple(slugs.values()))
    make_folders(folder, plan)
    painter = _Painter(folder, spool.path, gathered, options, problems, plan)
    with contextlib.closing(painter.members(slugs, engine, step)) as members:
        published = publish(folder, plan, members, engine=engine, step=step)
    return BuildReport(
        manifest=published.manifest,
        findings=tuple(problems.findings),
        skipped=problems.skipped,
        dropped=published.dropped,
        undetectable=published.undetectable,
        notes=(*gathered.notes, *published.notes),
    )


def _people(gathered: Gathered, options: BuildOptions) -> tuple[Person, ...]:
    """Everybody, sorted, after the options that name somebody were checked."""
    if not gathered.images:
        raise SourceError(
            "there is no image that anybody worked on",
            hint="--annotator NAME says who looked at images without any object.",
        )
    people = tuple(sorted({person for image in gathered.images for person in image.drawings}))
    checks.check_voter(options.consensus, people)
    checks.check_models(options.model_annotators, people)
    if options.colors:
        checks.check_colors(gathered.names, gathered.categories)
    checks.check_sequences(
        options.split_by, ((image.photograph.key, image.sha256) for image in gathered.images)
    )
    return people


def _plan(
    gathered: Gathered,
    options: BuildOptions,
    taxonomy: Taxonomy,
    people: tuple[Person, ...],
    sources: tuple[str, ...],
) -> Plan:
    def synonyms(concept: str) -> list[str]:
        drawn = gathered.names.get(concept, set())
        known = map(concept_name, (*drawn, *taxonomy.synonyms(concept)))
        return sorted({*known} - {concept, ""})

    added = colors.CONCEPTS if options.colors else ()
    return Plan(
        people=people,
        models=frozenset(options.model_annotators),
        sources=sources,
        identifiers={
            name: place for place, name in enumerate(sorted({*gathered.names, *added}), start=1)
        },
        synonyms=synonyms,
        consensus=options.consensus,
        min_frequency=options.min_frequency,
        min_coverage=options.min_coverage,
        entries=gathered.sources,
        settings=options.recorded(),
        left_out=gathered.left_out,
    )


class _Painter:
    """Members from gathered images, inside the directory-to-be."""

    def __init__(
        self,
        folder: Path,
        spool: Path,
        gathered: Gathered,
        options: BuildOptions,
        problems: Problems,
        plan: Plan,
    ) -> None:
        self.settings = RenderSettings(
            folder / names.IMAGE_FOLDER, spool, options, plan.identifiers
        )
        self.gathered = gathered
        self.problems = problems
        self.people = {person: place for place, person in enumerate(plan.people)}

    def members(self, slugs: dict[Path, str], engine: Engine, step: Step) -> Generator[Member]:
        """Every usable image, in the order of the finished index, its photograph written."""
        rows = self._rows(slugs)
        render = functools.partial(render_image, self.settings)
        tasks = [task for _, _, task in rows]
        results = engine.ordered_map(render, tasks, name=lambda task: task.name)
        with step("painting") as progress, contextlib.closing(results):
            for done, ((source, stem, task), result) in enumerate(
                zip(rows, results, strict=True), start=1
            ):
                progress(done, len(rows))
                self._report(task, result)
                if result.layers is not None:
                    yield self._member(task, result, result.layers, source=source, stem=stem)

    def _rows(self, slugs: dict[Path, str]) -> list[tuple[str, str, RenderTask]]:
        """(source, stem, task) of every image, sorted by its name in the set."""
        images = self.gathered.images
        added = {colors.CATEGORY} if self.settings.options.colors else set()
        categories = sorted({*self.gathered.categories, *added})
        rows = []
        for image, stem in zip(images, stems(images, categories), strict=True):
            source = slugs[image.photograph.collection]
            name = names.photograph(source, stem, self.settings.options.image_format)
            task = RenderTask(image, name, tuple(self.people[p] for p in image.drawings))
            rows.append((source, stem, task))
        return sorted(rows, key=lambda row: row[2].name)

    def _report(self, task: RenderTask, result: Rendered) -> None:
        """Say what went wrong with an image."""
        if result.failure is not None:
            Spot(self.problems, task.image.photograph.key).report("SRC003", result.failure)
            self.gathered.left_out["images that cannot be decoded"] += 1
        for bad in result.bad:
            origin = bad.drawn.origin
            Spot(self.problems, origin.file, origin.pointer).report("SRC026", bad.message)
            self.gathered.left_out["regions that cannot be filled"] += 1

    def _member(
        self, task: RenderTask, result: Rendered, layers: Layers, *, source: str, stem: str
    ) -> Member:
        photograph, options = task.image.photograph, self.settings.options
        identity = identity_of(photograph.key, task.image.sha256, options.split_by)
        return Member(
            name=task.name,
            source=source,
            stem=stem,
            split=draw_split(identity, options.split),
            original=photograph.key,
            sha256=task.image.sha256,
            photograph=result.photograph,
            size=result.size,
            layers=layers,
            segments=result.segments,
            n_segments=result.n_segments,
        )
