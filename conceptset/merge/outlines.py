"""Which segment each pixel of an existing set belongs to: its segments painted once more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from conceptset.build.drawings import Drawn
from conceptset.build.fitting import fit_to
from conceptset.build.members import Labels
from conceptset.build.options import Fit
from conceptset.build.painting import fill_shapes, identifiers_of, paint
from conceptset.geometry import Rle, decode_counts
from conceptset.records import Origin


@dataclass(frozen=True, slots=True)
class Painting:
    """How a set was painted; of a foreign one nobody knows, and the default is taken.

    Attributes:
        fit: How images were brought to their size.
        overlap: What decides where regions overlap.
    """

    fit: Fit = "squash"
    overlap: Literal["area", "order"] = "area"


def segments_of(
    maps: Mapping[tuple[str, int], Labels],
    lines: Sequence[Mapping[str, Any]],
    identifiers: Mapping[str, int],
    painting: Painting,
) -> dict[tuple[str, int], Labels]:
    """The segment of each pixel of one session's maps.

    Segments are painted as the set did, and a pixel has the one that is seen if that is of the
    concept which the map shows; else, as everywhere without segments, all pixels of the concept in
    the map are one.

    Args:
        maps: (height, width) identifiers by category and plane.
        lines: Its segments, as segments.jsonl has them, in the concepts of `identifiers`.
        identifiers: Of the concepts.
        painting: How the set was painted.
    """
    result = {key: np.where(labels > 0, labels + len(lines), 0) for key, labels in maps.items()}
    shown = [line for line in lines if line["kind"] != "tag"]
    if not shown or not maps:
        return {key: own.astype(np.int32) for key, own in result.items()}
    height, width = shown[0]["size"]
    shapes, _ = fill_shapes(_drawn(shown), (height, width))
    canvases, _ = paint(shapes, (height, width), painting.overlap)
    table = identifiers_of(shapes, identifiers)
    fitting = fit_to((height, width), next(iter(maps.values())).shape, painting.fit)
    painted = [(category, fitting.labels(canvas)) for (category, _), canvas in canvases.items()]
    for key, labels in maps.items():
        here = [own for category, own in painted if category == key[0]]
        right = [(table[own] == labels) & (labels > 0) for own in here]
        for own, same in sorted(zip(here, right, strict=True), key=lambda pair: pair[1].sum()):
            result[key] = np.where(same, own, result[key])
    return {key: own.astype(np.int32) for key, own in result.items()}


def _drawn(lines: Sequence[Mapping[str, Any]]) -> list[Drawn]:
    """Segments as they were before painting, in their order."""
    ordered = sorted(lines, key=lambda line: line["order"])
    wholes = {line["order"]: line.get("part_of") for line in ordered}
    return [
        Drawn(
            line["concept"],
            line["category"],
            line["name"],
            line["kind"],
            Rle(tuple(line["size"]), decode_counts(line["counts"])),
            max(0, _depth(wholes, line["order"]) - 1),
            line.get("z_order", 0),
            None,
            Origin("", ""),
        )
        for line in ordered
    ]


def _depth(wholes: Mapping[int, int | None], order: int) -> int:
    """How many wholes a segment is nested in; a circle counts as none further."""
    depth, seen = 0, {order}
    whole = wholes.get(order)
    while whole is not None and whole not in seen:
        depth += 1
        seen.add(whole)
        whole = wholes.get(whole)
    return depth
