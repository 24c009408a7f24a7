"""What is compared, from a concept set: its annotators' indexes and segments.jsonl.

The segments stay on disk; any image can be read by itself, here or by a worker.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

import numpy as np
from pydantic import ValidationError

from conceptset.build.colors import CATEGORY as COLOR
from conceptset.build.people import Aliases
from conceptset.consistency.figures.stored_consensus import StoredConsensus, find_consensus
from conceptset.consistency.material import AnnotatedImage, Material, Segment
from conceptset.consistency.options import ConsistencyOptions
from conceptset.consistency.reading.on_demand import (
    LazyImages,
    Loaded,
    Opened,
    choose_categories,
    name_annotators,
)
from conceptset.consistency.reading.sessions import HINT, Numbers, Scan, Session
from conceptset.errors import LayoutError, UnsafeError, UsageError, printable
from conceptset.findings import Problems
from conceptset.io.paths import resolve_inside
from conceptset.io.spool import Extent, read_extents
from conceptset.io.tables import read_table
from conceptset.layout import names
from conceptset.layout.models import AnnotatorRow, Manifest, SegmentRow
from conceptset.layout.reading import ConceptSet, integer, open_concept_set, require
from conceptset.records import Person


@dataclass(frozen=True, slots=True)
class SetTask:
    """One image to read.

    Attributes:
        image: Its place.
        name: The photograph, relative to images/.
        size: (height, width) of the stored photograph, where no segment says another.
        drawn: (annotator, segments.jsonl, where) of everybody who worked on it.
    """

    image: int
    name: str
    size: tuple[int, int]
    drawn: tuple[tuple[int, Path, tuple[Extent, ...]], ...]


@dataclass(frozen=True, slots=True)
class _Codes:
    """What workers need of the whole set: where it is, and the codes of names."""

    root: Path
    concepts: Mapping[str, int]
    categories: Mapping[str, int]
    skipped: frozenset[str]


def is_set(path: Path) -> bool:
    """Whether a path is a concept set, ours or in Broden's layout."""
    return (path / names.MANIFEST).is_file() or (
        (path / names.INDEX).is_file() and (path / names.LABELS).is_file()
    )


def open_set(root: Path, options: ConsistencyOptions) -> Opened:
    """What the annotators of a set drew.

    Args:
        root: The set.
        options: `aliases`, `model_annotators`, `overlap` and `categories` are followed.

    Raises:
        UsageError: An option does not go with a set, or meets nobody.
        LayoutError: The set is broken where it is needed.
    """
    options.check_for_set()
    concepts = open_concept_set(root)
    aliases = Aliases(options.aliases)
    rows = concepts.annotators
    annotators, places = name_annotators(_people(rows, aliases, options.model_annotators))
    images, sizes, worked = _images(concepts, rows)
    scan = Scan({name: place for place, name in enumerate(images)})
    sessions = [
        scan.session(root, row, place, own)
        for row, place, own in zip(rows, places, worked, strict=True)
    ]
    computed = _computed_colors(concepts.manifest)
    categories = choose_categories(scan.categories - computed, options.categories)
    drawn = tuple(sorted(scan.concepts))
    codes = _Codes(
        root,
        {name: code for code, name in enumerate(drawn, start=1)},
        {name: place for place, name in enumerate(categories)},
        frozenset((scan.categories | computed) - set(categories)),
    )
    stream = LazyImages(functools.partial(load_from_set, codes), _Tasks(images, sizes, sessions))
    material = Material(
        annotators=annotators,
        concepts=drawn,
        categories=categories,
        images=images,
        overlap=options.overlap or _overlap(concepts.manifest),
        title=root.resolve().name,
        stream=stream,
    )
    taxonomy = _setting(concepts.manifest, "taxonomy")
    notes = tuple(aliases.notes())
    consensus = _consensus(concepts, rows, places, material)
    return Opened(material, stream, Problems(), taxonomy, notes, consensus=consensus)


def _consensus(
    concepts: ConceptSet, rows: Sequence[AnnotatorRow], places: Sequence[int], material: Material
) -> StoredConsensus | None:
    """The consensus that the set stores, if several people were asked."""
    if concepts.manifest is None or len({row.annotator for row in rows}) < 2:
        return None
    own = list(zip(places, rows, strict=True))
    tasks = find_consensus(concepts.root, own, material.images, material.categories)
    method = _setting(concepts.manifest, "consensus") or "majority"
    return StoredConsensus(method, material.categories, material.annotators, tasks)


def _people(
    rows: Sequence[AnnotatorRow], aliases: Aliases, models: Sequence[str]
) -> list[tuple[Person, bool]]:
    """Who the rows of annotators.csv are, each with whether it is a model."""
    people = [aliases.person(Person(row.annotator, row.session)) for row in rows]
    known = {person.name for person in people}
    for name in models:
        if name not in known:
            raise UsageError(
                f"--model-annotator is {name!r}, an annotator of the set was expected",
                hint=f"Annotators: {', '.join(map(repr, sorted(known)[:8])) or 'none'}.",
            )
    return [
        (person, row.kind == "model" or person.name in models)
        for row, person in zip(rows, people, strict=True)
    ]


def _setting(manifest: Manifest | None, key: str) -> str | None:
    value = None if manifest is None else manifest.settings.get(key)
    return value if isinstance(value, str) else None


def _overlap(manifest: Manifest | None) -> Literal["area", "order"]:
    return "order" if _setting(manifest, "overlap") == "order" else "area"


def _computed_colors(manifest: Manifest | None) -> set[str]:
    """The category that no annotator drew: colours named by `build --colors`."""
    return {COLOR} if _setting(manifest, "colors") is not None else set()


def _images(
    concepts: ConceptSet, rows: Sequence[AnnotatorRow]
) -> tuple[tuple[str, ...], Numbers, list[Numbers]]:
    """The images that anybody worked on, in the order of the set.

    Returns:
        Their names; (images, 2) the sizes of the stored photographs; for each row of
        annotators.csv the places of its images, rising.
    """
    sizes = {entry.image: entry.image_size for entry in concepts.entries}
    if not rows:
        return tuple(sizes), _pairs(sizes.values()), []
    own = [_worked_on(concepts.root, row) for row in rows]
    everything = {image: size for images in own for image, size in images.items()}
    listed = [image for image in sizes if image in everything]
    order = (*listed, *sorted(everything.keys() - sizes.keys()))
    places = {image: place for place, image in enumerate(order)}
    worked = [np.sort(np.array([places[image] for image in images], np.int64)) for images in own]
    return order, _pairs(everything[image] for image in order), worked


def _pairs(sizes: Iterable[tuple[int, int]]) -> Numbers:
    return np.array(list(sizes), dtype=np.int64).reshape(-1, 2)


def _worked_on(root: Path, row: AnnotatorRow) -> dict[str, tuple[int, int]]:
    """The images of one annotator, with the sizes of the stored photographs."""
    path = resolve_inside(root, names.annotator_file(row.directory, names.INDEX))
    if not path.is_file():
        raise LayoutError("does not exist", path=path, hint=HINT)
    table = require(read_table(path), "image", "ih", "iw")
    found: dict[str, tuple[int, int]] = {}
    for line, record in table.records():
        if record["image"] in found:
            raise LayoutError(
                f"lists {printable(record['image'], 120)} twice",
                path=path,
                pointer=f"line {line}",
                hint=HINT,
            )
        sides = [integer(table, line, record, side) for side in ("ih", "iw")]
        found[record["image"]] = (sides[0], sides[1])
    return found


class _Tasks(Sequence[SetTask]):
    """Tasks that are made when asked for: there may be many images and annotators."""

    def __init__(self, images: Sequence[str], sizes: Numbers, sessions: Sequence[Session]) -> None:
        self._images = images
        self._sizes = sizes
        self._sessions = sessions

    def __len__(self) -> int:
        return len(self._images)

    @overload
    def __getitem__(self, place: int) -> SetTask: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[SetTask]: ...
    def __getitem__(self, place: int | slice) -> SetTask | Sequence[SetTask]:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        image = range(len(self))[place]
        drawn = (
            (one.place, one.path, extents)
            for one in self._sessions
            if (extents := one.extents(image)) is not None
        )
        height, width = self._sizes[image].tolist()
        return SetTask(image, self._images[image], (height, width), tuple(drawn))


def load_from_set(codes: _Codes, task: SetTask) -> Loaded:
    """Read what everybody drew in one image.

    Raises:
        LayoutError: A line is no segment, two have one place in the drawing order, or sizes differ.
    """
    drawn: dict[int, tuple[Segment, ...]] = {}
    size: tuple[int, int] | None = None
    first: Path | None = None
    for annotator, path, extents in task.drawn:
        rows = _rows(path, extents, task.name)
        for row in rows:
            if size is None:
                size, first = row.size, path
            elif row.size != size:
                raise _other_size(task.name, row.size, path, size, first)
        before = drawn.get(annotator, ())
        start = 1 + max((segment.order for segment in before), default=-1)
        drawn[annotator] = before + tuple(_segments(rows, codes, start, path))
    image = AnnotatedImage(
        image=task.image,
        name=task.name,
        size=task.size if size is None else size,
        drawn=drawn,
        photograph=_photograph(codes.root, task.name),
    )
    return Loaded(image)


def _other_size(
    image: str, size: tuple[int, int], path: Path, other: tuple[int, int], first: Path | None
) -> LayoutError:
    where = "an earlier line" if first in (None, path) else f"{first.parent.name}/{first.name}"
    return LayoutError(
        f"{printable(image, 120)} has {size[0]} x {size[1]} pixels (height x width) here and "
        f"{other[0]} x {other[1]} in {where}",
        path=path,
        hint="Outlines of different sizes are not compared: correct the annotations and build the "
        "set again.",
    )


def _rows(path: Path, extents: Sequence[Extent], image: str) -> list[SegmentRow]:
    """The lines of one image, in drawing order."""
    rows: dict[int, SegmentRow] = {}
    for text in b"".join(read_extents(path, extents)).splitlines():
        if not text.strip():
            continue
        try:
            row = SegmentRow.model_validate_json(text)
        except ValidationError as error:
            reason = error.errors(include_url=False)[0]
            place = "".join(f"/{part}" for part in reason["loc"])
            raise LayoutError(
                f"a line of {printable(image, 120)} is no segment: {reason['msg']}",
                path=path,
                pointer=place or None,
                hint=HINT,
            ) from error
        problem = None
        if row.image != image:
            problem = "names two images"
        elif row.order in rows:
            problem = f"has order {row.order}, which another one has too"
        elif (row.counts is None) != (row.kind == "tag"):
            problem = f"is a {row.kind} {'without' if row.counts is None else 'with'} counts"
        if problem is not None:
            raise LayoutError(
                f"a segment of {printable(image, 120)} {problem}", path=path, hint=HINT
            )
        rows[row.order] = row
    return [rows[order] for order in sorted(rows)]


def _segments(
    rows: Sequence[SegmentRow], codes: _Codes, start: int, path: Path
) -> Iterator[Segment]:
    for row in rows:
        if row.kind == "tag" or row.counts is None or row.category in codes.skipped:
            continue
        if row.concept not in codes.concepts or row.category not in codes.categories:
            raise LayoutError(
                f"a segment of {printable(row.image, 120)} has a key twice", path=path, hint=HINT
            )
        yield Segment(
            order=row.order + start,
            kind=row.kind,
            concept=codes.concepts[row.concept],
            category=codes.categories[row.category],
            name=row.name,
            counts=row.counts,
            z_order=row.z_order,
        )


def _photograph(root: Path, name: str) -> Path | None:
    try:
        path = resolve_inside(root / names.IMAGE_FOLDER, name)
    except UnsafeError:
        return None
    return path if path.is_file() else None
