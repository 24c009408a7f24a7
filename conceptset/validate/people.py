"""Who drew: the rows of annotators.csv, and what is wrong in each segments.jsonl."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from conceptset.consensus import METHODS
from conceptset.geometry import decode_counts, rle_from_counts
from conceptset.layout import names
from conceptset.layout.models import AnnotatorRow, SegmentRow
from conceptset.records import first_sessions
from conceptset.validate.facts import Fault, Size
from conceptset.validate.sheets import Line, Sheet, whole
from conceptset.validate.views import View

_DIRECTORY = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_MAX_LINE = 64 << 20

Complaint = Literal["row", "shape", "order", "whole"]


@dataclass(frozen=True, slots=True)
class AnnotatorLine:
    """A row of annotators.csv.

    Attributes:
        line: Its line.
        name: The annotator.
        session: None where the cell is no whole number.
        kind: As written.
        directory: The same.
        images: As written, None where the cell is no whole number.
        segments: The same.
        safe: The directory is a plain file name.
        complaints: (column, what is wrong) of every cell but the directory.
    """

    line: int
    name: str
    session: int | None
    kind: str
    directory: str
    images: int | None
    segments: int | None
    safe: bool
    complaints: tuple[tuple[str, str], ...]

    @property
    def folder(self) -> str:
        """Where its files lie, relative to the set."""
        return f"{names.ANNOTATOR_FOLDER}/{self.directory}/"


def parse_annotators(sheet: Sheet) -> tuple[AnnotatorLine, ...]:
    """The rows of annotators.csv, with what is wrong in them."""
    return tuple(_annotator(line) for line in sheet.lines)


def _annotator(line: Line) -> AnnotatorLine:
    cells = {column: line.cells[column] for column in AnnotatorRow.model_fields}
    complaints: list[tuple[str, str]] = []
    try:
        AnnotatorRow.model_validate(cells)
    except ValidationError as error:
        complaints = [(str(one["loc"][0]), one["msg"]) for one in error.errors()]
    directory = cells["directory"]
    return AnnotatorLine(
        line.line,
        cells["annotator"],
        whole(cells["session"]),
        cells["kind"],
        directory,
        whole(cells["images"]),
        whole(cells["segments"]),
        bool(_DIRECTORY.fullmatch(directory)) and directory.strip(".") != "",
        tuple(pair for pair in complaints if pair[0] != "directory"),
    )


def voters_of(
    annotators: Sequence[AnnotatorLine], people: Mapping[str, View], consensus: str
) -> dict[str, list[str]]:
    """Whose labels make the root's, by image: the directory of each person's first session there.

    A model has no voice among persons; with a name in place of a method only that person has one.
    An image without a voter is not in the root.

    Args:
        annotators: The rows of annotators.csv.
        people: Each annotator's index, by directory.
        consensus: A method, or an annotator's name.
    """
    chosen = {line.name for line in annotators if line.kind != "model"}
    chosen = chosen or {line.name for line in annotators}
    if consensus not in METHODS:
        chosen = {consensus}
    seen: dict[str, list[AnnotatorLine]] = {}
    for line in annotators:
        view = people.get(line.directory)
        for row in view.rows if view is not None and line.name in chosen else ():
            seen.setdefault(row.image, []).append(line)
    return {
        image: [
            lines[place].directory
            for place in first_sessions((line.name, line.session or 1) for line in lines)
        ]
        for image, lines in seen.items()
    }


@dataclass(frozen=True, slots=True)
class SegmentFault:
    """One bad line of a segments.jsonl.

    Attributes:
        kind: `row`: no such record. `shape`: runs that are no bitmap of its size. `order`: a place
            in the drawing order taken twice. `whole`: part of something that is not there.
    """

    kind: Complaint
    line: int
    pointer: str
    text: str


@dataclass(slots=True)
class SegmentFacts:
    """One segments.jsonl.

    Attributes:
        path: Relative to the set.
        fault: Why it could not be read.
        count: Lines that somebody drew, not what a tool interpolated between them.
        images: The first line that names each image.
        sizes: The first line with each size of the image, by image.
        faults: Bad lines.
    """

    path: str
    fault: Fault | None = None
    count: int = 0
    images: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, dict[Size, int]] = field(default_factory=dict)
    faults: list[SegmentFault] = field(default_factory=list)


def load_segments(folder: str, root: Path) -> SegmentFacts:
    """The facts of the segments.jsonl in one annotator's folder; never raises for its content."""
    facts = SegmentFacts(folder + names.SEGMENTS)
    path = root / facts.path
    if not path.is_file():
        kept = path.exists() or path.is_symlink()
        facts.fault = Fault("broken", "is no file") if kept else Fault("missing", "does not exist")
        return facts
    orders: dict[str, set[int]] = {}
    wholes: list[tuple[int, str, int]] = []
    try:
        for line, text in _lines(path):
            row = _row(facts, line, text)
            facts.count += row is None or not row.interpolated
            if row is None:
                continue
            facts.images.setdefault(row.image, line)
            facts.sizes.setdefault(row.image, {}).setdefault(row.size, line)
            taken = orders.setdefault(row.image, set())
            if row.order in taken:
                message = f"order {row.order} of {row.image} is taken by an earlier line"
                facts.faults.append(SegmentFault("order", line, "/order", message))
            taken.add(row.order)
            if row.part_of is not None:
                wholes.append((line, row.image, row.part_of))
    except (OSError, ValueError) as error:
        facts.fault = Fault("broken", f"cannot be read ({error})")
    for line, image, part_of in wholes:
        if part_of not in orders[image]:
            message = f"is a part of segment {part_of} of {image}, which does not exist"
            facts.faults.append(SegmentFault("whole", line, "/part_of", message))
    return facts


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    if path.exists() and not path.is_file():
        raise ValueError("it is no plain file")
    with path.open("rb") as stream:
        number = 0
        while text := stream.readline(_MAX_LINE):
            number += 1
            if len(text) == _MAX_LINE:
                raise ValueError(f"line {number} is longer than {_MAX_LINE} bytes")
            if text.strip():
                yield number, text


def _row(facts: SegmentFacts, line: int, text: bytes) -> SegmentRow | None:
    """The record of a line; what is wrong with it goes to `facts`."""
    try:
        row = SegmentRow.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = "".join(f"/{part}" for part in first["loc"])
        facts.faults.append(SegmentFault("row", line, pointer, first["msg"]))
        return None
    problem = _shape_problem(row)
    if problem is not None:
        facts.faults.append(SegmentFault("shape", line, "/counts", problem))
    return row


def _shape_problem(row: SegmentRow) -> str | None:
    if row.counts is None:
        return None if row.kind == "tag" else f"a {row.kind} has no counts, only a tag has none"
    if row.kind == "tag":
        return "a tag has counts, it holds for the whole image"
    try:
        rle_from_counts(row.size, decode_counts(row.counts))
    except ValueError as error:
        return str(error)
    return None
