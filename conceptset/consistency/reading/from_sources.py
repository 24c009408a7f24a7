"""What is compared, from annotation files: read, joined and named as `build` does, without a set.

Drawings wait in a spool on disk and are filled when their image is asked for, here or by a worker.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from conceptset.build.checks import check_models, load_taxonomy
from conceptset.build.developing import Darkroom
from conceptset.build.drawings import unpack_drawings
from conceptset.build.gather import Gathered, GatheredImage, gather
from conceptset.build.naming import source_slugs, stems
from conceptset.build.painting import BadShape, fill_shapes, shape_code
from conceptset.build.sources import Opened as OpenedSources
from conceptset.build.sources import open_sources
from conceptset.build.steps import Step
from conceptset.consistency.material import AnnotatedImage, Annotator, Material, Segment
from conceptset.consistency.options import ConsistencyOptions
from conceptset.consistency.reading.on_demand import (
    LazyImages,
    Loaded,
    Opened,
    choose_categories,
    name_annotators,
)
from conceptset.errors import SourceError
from conceptset.findings import Problems
from conceptset.io.spool import Extent, Spool, read_extents
from conceptset.io.workspace import open_workspace
from conceptset.layout import names
from conceptset.parsing.values import quoted
from conceptset.records import Frame, Person


@dataclass(frozen=True, slots=True)
class SourceTask:
    """One image to read.

    Attributes:
        image: Its place.
        name: What reports call it.
        size: (height, width) of what was drawn on.
        frame: See `AnnotatedImage`.
        photograph: The file; None if it is missing.
        drawn: (annotator, where in the spool) of everybody who worked on it.
    """

    image: int
    name: str
    size: tuple[int, int]
    frame: Frame
    photograph: Path | None
    drawn: tuple[tuple[int, tuple[Extent, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Codes:
    """What workers need of all sources: where the drawings lie, and the codes of names."""

    spool: Path
    concepts: Mapping[str, int]
    categories: Mapping[str, int]


@contextmanager
def open_annotations(
    given: Sequence[Path], options: ConsistencyOptions, *, near: Path | None, step: Step
) -> Iterator[Opened]:
    """What the annotators of some sources drew, as long as the block lasts.

    Args:
        given: Files, directories or archives of annotations.
        options: See `ConsistencyOptions`.
        near: Where the directory for scratch data is made; the system's own if None.
        step: Opens a progress display.

    Raises:
        UsageError: An option cannot be used.
        SourceError: Something cannot be read; bad annotations by the policy.
        OutputError: There is no room for scratch data.
    """
    problems = Problems(options.on_error)
    with open_workspace(near) as workspace, contextlib.ExitStack() as stack:
        with step("unpacking") as progress:
            opening = open_sources(
                given,
                format_name=options.format,
                images=options.images,
                near=near,
                takes_absent=True,
                progress=progress,
            )
            opened = stack.enter_context(opening)
        spool = workspace.path / "drawings"
        try:
            gathered = _gather(opened, options, spool, problems, step)
            yield _opened(opened, gathered, options, spool, problems)
        except SourceError as error:
            if error.path is None:  # it is about no file: nothing is left to compare
                problems.explain(error)
            raise


def _gather(
    opened: OpenedSources,
    options: ConsistencyOptions,
    spool_path: Path,
    problems: Problems,
    step: Step,
) -> Gathered:
    """Everything that the files say; drawings are in the spool."""
    build = options.build_options()
    idle = build.model_copy(update={"jobs": 1})  # so the darkroom takes orders and makes nothing
    with Spool(spool_path) as spool, Darkroom(spool_path.parent, idle) as darkroom:
        gathered = gather(
            opened.sources,
            build,
            load_taxonomy(options.taxonomy),
            problems=problems,
            spool=spool,
            darkroom=darkroom,
            step=step,
        )
    gathered.left_out.update(opened.left_out)
    return gathered


def _opened(
    opened: OpenedSources,
    gathered: Gathered,
    options: ConsistencyOptions,
    spool: Path,
    problems: Problems,
) -> Opened:
    if not gathered.images:
        raise SourceError(
            "there is no image that anybody worked on",
            hint="--annotator NAME says who looked at images without any object.",
        )
    annotators, place_of = _people(gathered, options)
    images = _in_order(gathered)
    concepts = tuple(sorted(gathered.names))
    categories = choose_categories(gathered.outlined, options.categories)
    codes = _Codes(
        spool,
        {name: code for code, name in enumerate(concepts, start=1)},
        {name: place for place, name in enumerate(categories)},
    )
    titles = _titles(images)
    tasks = [
        _task(place, title, image, place_of)
        for place, (image, title) in enumerate(zip(images, titles, strict=True))
    ]
    stream = LazyImages(functools.partial(load_from_sources, codes), tasks)
    material = Material(
        annotators=annotators,
        concepts=concepts,
        categories=categories,
        images=tuple(titles),
        overlap=options.overlap or "area",
        title=", ".join(dict.fromkeys(path.name or str(path) for path in _given(opened))),
        stream=stream,
    )
    notes = (*gathered.notes, *_absences(images))
    taxonomy = None if options.taxonomy is None else options.taxonomy.name
    return Opened(material, stream, problems, taxonomy, notes, dict(gathered.left_out))


def _people(
    gathered: Gathered, options: ConsistencyOptions
) -> tuple[tuple[Annotator, ...], dict[Person, int]]:
    """Everybody, and the place of each."""
    people = sorted({person for image in gathered.images for person in image.drawings})
    check_models(options.model_annotators, people)
    annotators, places = name_annotators(
        (person, person.name in options.model_annotators) for person in people
    )
    return annotators, dict(zip(people, places, strict=True))


def _task(
    place: int, title: str, image: GatheredImage, place_of: Mapping[Person, int]
) -> SourceTask:
    drawn = (
        (place_of[person], tuple(block.extent for block in blocks))
        for person, blocks in image.drawings.items()
    )
    path = None if image.photograph.is_absent else image.photograph.path
    return SourceTask(place, title, image.size, image.frame, path, tuple(drawn))


def _given(opened: OpenedSources) -> list[Path]:
    return [source.given for source in opened.sources]


def _in_order(gathered: Gathered) -> list[GatheredImage]:
    """The images in the order that a set built from them would have.

    Resamples are drawn by place, so that a set and its sources have the same intervals.
    """
    images = gathered.images
    slugs = source_slugs(images)
    stored = stems(images, sorted(gathered.categories))
    own = [
        names.photograph(slugs[image.photograph.collection], stem, "jpg")
        for image, stem in zip(images, stored, strict=True)
    ]
    return [image for _, image in sorted(zip(own, images, strict=True), key=lambda pair: pair[0])]


def _titles(images: Sequence[GatheredImage]) -> list[str]:
    """What reports call the images: their paths, below different roots with the root's name."""
    keys = [image.photograph.key for image in images]
    if len(set(keys)) == len(keys):
        return keys
    slugs = source_slugs(images)
    return [f"{slugs[image.photograph.collection]}/{image.photograph.key}" for image in images]


def _absences(images: Sequence[GatheredImage]) -> list[str]:
    absent = [image.photograph.key for image in images if image.photograph.is_absent]
    if not absent:
        return []
    return [
        f"the photographs of {len(absent)} of {len(images)} images are missing, such as "
        f"{quoted(absent[0])}: they are told apart by their paths, and drawn on grey. --images DIR "
        "says where photographs are"
    ]


def load_from_sources(codes: _Codes, task: SourceTask) -> Loaded:
    """Fill what everybody drew in one image."""
    drawn: dict[int, tuple[Segment, ...]] = {}
    bad: list[BadShape] = []
    for annotator, extents in task.drawn:
        drawings = unpack_drawings(read_extents(codes.spool, extents))
        shapes, unfilled = fill_shapes(drawings, task.size)
        bad += unfilled
        drawn[annotator] = tuple(
            Segment(
                order=shape.order,
                kind="ignore" if shape.drawn.kind == "ignore" else "region",
                concept=codes.concepts[shape.drawn.concept],
                category=codes.categories[shape.drawn.category],
                name=shape.drawn.name,
                counts=shape_code(shape),
                z_order=shape.drawn.z_order,
            )
            for shape in shapes
            if shape.drawn.category in codes.categories
        )
    image = AnnotatedImage(
        image=task.image,
        name=task.name,
        size=task.size,
        drawn=drawn,
        photograph=task.photograph,
        frame=task.frame,
    )
    return Loaded(image, tuple(bad))
