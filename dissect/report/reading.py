"""What a report needs of a layer's tables: of each unit, its best concepts."""

from __future__ import annotations

import csv
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptset.errors import LayoutError
from dissect.state import LayerRecord, RunLayout

RUNNERS_UP = 3
_NUMBERS = ("iou", "precision", "recall", "f1", "size_ceiling", "lift")
_INTERVALS = ("iou_low", "iou_high", "detector_probability")
_NEEDED = ("unit", "rank", "label_number", "concept", "category", *_NUMBERS, "detector")


@dataclass(frozen=True, slots=True)
class Score:
    """How well a unit's mask covers a concept: a row of scores.csv.

    `low`, `high` and `probability` are None where there is no interval.
    """

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
    low: float | None = None
    high: float | None = None
    probability: float | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit and what it detects.

    Attributes:
        number: From 0.
        scores: Its best concepts, the first is the best; empty if its mask touches none.
        probability: Share of the resamples in which it is a detector, of whatever concept.
    """

    number: int
    scores: tuple[Score, ...]
    probability: float | None = None

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
    chances: dict[int, list[float]] = {number: [] for number in range(record.units)}
    path = layout.scores(record.directory)
    for line, cells in read_rows(path, _NEEDED, _INTERVALS):
        try:
            if int(cells["rank"]) <= 1 + RUNNERS_UP:
                found[int(cells["unit"])].append(_score(cells))
            if cells["detector_probability"]:
                chances[int(cells["unit"])].append(float(cells["detector_probability"]))
        except (ValueError, KeyError) as error:
            raise LayoutError(
                f"holds a value that was not expected ({error})", path=path, pointer=f"line {line}"
            ) from error
    units = [
        Unit(number, tuple(scores), math.fsum(chances[number]) if chances[number] else None)
        for number, scores in found.items()
    ]
    return sorted(units, key=lambda unit: (-unit.best.iou if unit.best else 1.0, unit.number))


def read_rows(
    path: Path, needed: Sequence[str], further: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """The chosen cells of each row with its line; the table is never held as a whole.

    Args:
        path: A CSV of ours.
        needed: Its columns.
        further: Columns that may be missing; their cells are empty then.

    Raises:
        LayoutError: It cannot be read, or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            header = next(reader, [])
            missing = [name for name in needed if name not in header]
            if missing:
                raise LayoutError(
                    f"has no column {', '.join(missing)}", path=path, pointer="line 1"
                )
            places = [(name, header.index(name)) for name in (*needed, *further) if name in header]
            absent = dict.fromkeys(further, "")
            for row in reader:
                if len(row) != len(header):
                    raise LayoutError(
                        f"has {len(row)} cells, {len(header)} were expected",
                        path=path,
                        pointer=f"line {reader.line_num}",
                    )
                yield reader.line_num, absent | {name: row[place] for name, place in places}
    except OSError as error:
        raise LayoutError(f"cannot be read ({error.strerror})", path=path) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise LayoutError(f"is no valid CSV ({error})", path=path) from error


def _score(cells: Mapping[str, str]) -> Score:
    numbers = {name: float(cells[name]) for name in _NUMBERS}
    low, high, probability = (optional_number(cells[name]) for name in _INTERVALS)
    return Score(
        label=int(cells["label_number"]),
        concept=cells["concept"],
        category=cells["category"],
        detector=cells["detector"] == "True",
        low=low,
        high=high,
        probability=probability,
        **numbers,
    )


def optional_number(cell: str) -> float | None:
    """The number in a cell; None where it is empty."""
    return float(cell) if cell else None


def count_concepts(units: list[Unit]) -> list[ConceptCount]:
    """The detectors' best concepts, the most frequent first; equal ones by name."""
    counts = Counter(
        (unit.best.concept, unit.best.category) for unit in units if unit.best and unit.detector
    )
    found = [ConceptCount(concept, category, n) for (concept, category), n in counts.items()]
    return sorted(found, key=lambda count: (-count.units, count.concept, count.category))
