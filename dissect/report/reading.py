"""What a report needs of a layer's tables: of each unit, its best concepts."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from conceptset.errors import LayoutError
from dissect.state import LayerRecord, RunLayout

RUNNERS_UP = 3
_NUMBERS = ("iou", "precision", "recall", "f1", "size_ceiling", "lift")
_NEEDED = ("unit", "rank", "label_number", "concept", "category", *_NUMBERS, "detector")


@dataclass(frozen=True, slots=True)
class Score:
    """How well a unit's mask covers a concept: a row of scores.csv."""

    label: int
    concept: str
    category: str
    iou: float
    precision: float
    recall: float
    f1: float
    size_ceiling: float
    lift: float
    detector: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and what it detects.

    Attributes:
        number: From 0.
        scores: Its best concepts, the first is the best; empty if its mask touches none.
    """

    number: int
    scores: tuple[Score, ...]

    @property
    def best(self) -> Score | None:
        """Its best concept."""
        return self.scores[0] if self.scores else None

    @property
    def detector(self) -> bool:
        """Whether its best concept is above the threshold."""
        return bool(self.scores) and self.scores[0].detector


@dataclass(frozen=True, slots=True)
class ConceptCount:
    """A concept and how many detectors have it as their best."""

    concept: str
    category: str
    units: int


def read_units(layout: RunLayout, record: LayerRecord) -> list[Unit]:
    """Every unit of a layer by falling IoU; equal ones, and those without a concept, by number.

    Raises:
        LayoutError: scores.csv cannot be read.
    """
    found: dict[int, list[Score]] = {number: [] for number in range(record.units)}
    path = layout.scores(record.directory)
    for line, cells in _rows(path):
        try:
            if int(cells["rank"]) <= 1 + RUNNERS_UP:
                found[int(cells["unit"])].append(_score(cells))
        except (ValueError, KeyError) as error:
            raise LayoutError(
                f"holds a value that was not expected ({error})", path=path, pointer=f"line {line}"
            ) from error
    units = [Unit(number, tuple(scores)) for number, scores in found.items()]
    return sorted(units, key=lambda unit: (-unit.best.iou if unit.best else 1.0, unit.number))


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The needed cells of each row with its line; the table is never held as a whole."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            missing = [name for name in _NEEDED if name not in header]
            if missing:
                raise LayoutError(
                    f"has no column {', '.join(missing)}", path=path, pointer="line 1"
                )
            places = [(name, header.index(name)) for name in _NEEDED]
            for row in reader:
                if len(row) != len(header):
                    raise LayoutError(
                        f"has {len(row)} cells, {len(header)} were expected",
                        path=path,
                        pointer=f"line {reader.line_num}",
                    )
                yield reader.line_num, {name: row[place] for name, place in places}
    except OSError as error:
        raise LayoutError(f"cannot be read ({error.strerror})", path=path) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LayoutError(f"is no valid CSV ({error})", path=path) from error


def _score(cells: Mapping[str, str]) -> Score:
    numbers = {name: float(cells[name]) for name in _NUMBERS}
    return Score(
        label=int(cells["label_number"]),
        concept=cells["concept"],
        category=cells["category"],
        detector=cells["detector"] == "True",
        **numbers,
    )


def count_concepts(units: list[Unit]) -> list[ConceptCount]:
    """The detectors' best concepts, the most frequent first; equal ones by name."""
    counts = Counter(
        (unit.best.concept, unit.best.category) for unit in units if unit.best and unit.detector
    )
    found = [ConceptCount(concept, category, n) for (concept, category), n in counts.items()]
    return sorted(found, key=lambda count: (-count.units, count.concept, count.category))
