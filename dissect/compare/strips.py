"""The images that chosen units answer to most, run by run: how a unit came to its concept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptset.io.paths import unique_slugs
from dissect.compare.columns import Column
from dissect.compare.figures import Compared
from dissect.report.strips import Strip, draw_strip
from dissect.top import read_top

CONCEPTS = 12  # of a layer
RUNS = 6


@dataclass(frozen=True, slots=True)
class Frame:
    """A unit in one run; `strip` is None where its mask was empty everywhere."""

    column: Column
    strip: Strip | None


@dataclass(frozen=True, slots=True)
class Story:
    """A unit over the runs: of all that detect its concept in the last run, the best."""

    concept: str
    category: str
    unit: int
    frames: tuple[Frame, ...]


def draw_stories(compared: Compared, folder: Path) -> list[list[Story]]:
    """Draw the strips of some units into `units/` of the comparison's folder.

    Only layers in which units of equal number can be compared have stories.

    Args:
        compared: The runs.
        folder: The comparison's.

    Returns:
        Of each layer of the document its stories, by falling IoU in the last run.
    """
    found = []
    directories = unique_slugs(
        (layer.name or "layers" for layer in compared.document.layers), fallback="layer"
    )
    for layer, group, directory in zip(
        compared.document.layers, compared.columns, directories, strict=True
    ):
        matched = bool(layer.steps) and all(step.matched for step in layer.steps)
        found.append(_draw_layer(group, folder / "units" / directory) if matched else [])
    return found


def _draw_layer(group: Sequence[Column], target: Path) -> list[Story]:
    shown = [group[place] for place in choose_evenly(len(group), RUNS)]
    paths = [column.member.layout.top(column.record.directory) for column in shown]
    if not all(path.is_file() for path in paths):
        return []
    chosen = _choose_units(group[-1])
    strips: dict[tuple[int, int], Strip] = {}
    for place, (column, path) in enumerate(zip(shown, paths, strict=True)):
        top = read_top(path)
        for _, unit in chosen:
            drawn = draw_strip(column.member.layout, top, unit)
            if drawn is not None:
                target.mkdir(parents=True, exist_ok=True)
                data, width, height, images = drawn
                name = f"{unit:04d}-{column.place + 1:03d}.jpg"
                (target / name).write_bytes(data)
                file = f"units/{target.name}/{name}"
                strips[unit, place] = Strip(file, width, height, images)
    return [
        Story(
            *concept,
            unit,
            tuple(Frame(column, strips.get((unit, place))) for place, column in enumerate(shown)),
        )
        for concept, unit in chosen
    ]


def _choose_units(last: Column) -> list[tuple[tuple[str, str], int]]:
    """The best detector of each concept in the last run, by falling IoU."""
    table = last.table
    order = sorted(range(last.record.units), key=lambda unit: (-table.iou[unit], unit))
    found: dict[tuple[str, str], int] = {}
    for unit in order:
        concept = table.best[unit]
        if concept is not None and table.detector[unit]:
            found.setdefault(concept, unit)
    return list(found.items())[:CONCEPTS]


def choose_evenly(count: int, most: int) -> list[int]:
    """At most so many of `count` places, the first and the last among them.

    >>> choose_evenly(5, 6), choose_evenly(11, 6)
    ([0, 1, 2, 3, 4], [0, 2, 4, 6, 8, 10])
    """
    if count <= most:
        return list(range(count))
    return [round(place * (count - 1) / (most - 1)) for place in range(most)]
