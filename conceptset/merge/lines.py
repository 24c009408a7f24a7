"""Segments of existing sets: found by image, and written in the concepts of the merged one."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from conceptset.errors import LayoutError, printable
from conceptset.io.paths import plain_size
from conceptset.io.spool import Extent, read_extents
from conceptset.layout import names
from conceptset.layout.models import SegmentRow
from conceptset.layout.segments import shape_problem
from conceptset.merge.inputs import HINT, Input, Session
from conceptset.merge.meanings import Meanings
from conceptset.taxonomy import Form

_MAX_LINE = 64 << 20
LEFT_OUT = "left out by the taxonomy"


@dataclass(frozen=True, slots=True)
class Lines:
    """Where the segments of one image lie in a segments.jsonl."""

    path: Path
    extents: tuple[Extent, ...]


def find_lines(one: Input, session: Session) -> dict[str, Lines]:
    """Where the segments of each image lie in a session's file."""
    if session.directory is None:
        return {}
    path = one.root / names.annotator_file(session.directory, names.SEGMENTS)
    found: dict[str, list[Extent]] = {}
    offset = 0
    try:
        plain_size(path)
        with path.open("rb") as stream:
            pieces = iter(lambda: stream.readline(_MAX_LINE), b"")
            for number, text in enumerate(pieces, start=1):
                image = _image_of(text, path, number)
                extents = found.setdefault(image, [])
                if extents and sum(extents[-1]) == offset:
                    extents[-1] = Extent(extents[-1].offset, extents[-1].length + len(text))
                else:
                    extents.append(Extent(offset, len(text)))
                offset += len(text)
    except OSError as error:
        raise LayoutError(f"cannot be read ({error.strerror})", path=path, hint=HINT) from error
    for image in found:
        if image not in session.entries:
            raise LayoutError(
                f"has segments of {printable(image, 120)}, which the annotator's index does not "
                "list",
                path=path,
                hint=HINT,
            )
    return {image: Lines(path, tuple(extents)) for image, extents in found.items()}


def _image_of(text: bytes, path: Path, number: int) -> str:
    try:
        image = json.loads(text)["image"]
    except (ValueError, TypeError, KeyError, RecursionError):
        image = None
    if not isinstance(image, str):
        raise LayoutError("is no segment", path=path, pointer=f"line {number}", hint=HINT)
    return image


def read_lines(
    lines: Lines, image: str, meanings: Meanings, left_out: Counter[str]
) -> list[dict[str, Any]]:
    """The segments of one image as the merged set has them.

    Args:
        lines: Where they lie.
        image: What it is called in the merged set.
        meanings: What names mean.
        left_out: Counts what the taxonomy leaves out.
    """
    kept: set[int] = set()
    orders: set[int] = set()
    read = []
    for text in b"".join(read_extents(lines.path, lines.extents)).splitlines():
        try:
            row = SegmentRow.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            raise LayoutError(
                f"holds a line that is no segment: {first['msg']}", path=lines.path, hint=HINT
            ) from error
        problem = shape_problem(row)
        if row.order in orders:
            problem = f"order {row.order} of {printable(row.image, 120)} comes twice"
        if problem is not None:
            raise LayoutError(f"holds a bad segment: {problem}", path=lines.path, hint=HINT)
        orders.add(row.order)
        form: Form = "tag" if row.kind == "tag" else "region"
        meant = meanings.meaning(row.concept, row.category, form)
        if meant is None:
            left_out[LEFT_OUT] += 1
            continue
        kept.add(row.order)
        line: dict[str, Any] = json.loads(text)
        line |= {"image": image, "concept": meant.concept, "category": meant.category}
        read.append(line)
    for line in read:
        if line.get("part_of") is not None and line["part_of"] not in orders:
            raise LayoutError(
                f"holds a part of segment {line['part_of']}, which does not exist",
                path=lines.path,
                hint=HINT,
            )
        if line.get("part_of") not in kept:
            line["part_of"] = None
    return read
