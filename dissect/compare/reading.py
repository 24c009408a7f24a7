"""What a comparison needs of a layer's scores: every unit's best concept, every concept's best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from conceptset.errors import LayoutError
from dissect.counts import IntArray
from dissect.state import LayerRecord, RunLayout
from dissect.upsample import FloatArray

Concept = tuple[str, str]  # (name, category); numbers differ between sets

_WHOLE = ("unit", "rank", "label_number")
_TEXT = ("concept", "category", "detector")
_BOUNDS = ("iou_low", "iou_high", "detector_probability")


@dataclass(frozen=True, slots=True)
class BestUnit:
    """The unit of largest IoU with a concept, the lowest number on a tie.

    `low` and `high` are None where its IoU has no interval.
    """

    unit: int
    iou: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class LayerTable:
    """The scores of a layer.

    Attributes:
        best: (units,) each unit's best concept; None if its masks touch none.
        iou: (units,) float64 its IoU, 0 without one.
        detector: (units,) bool.
        probability: (units,) float64 share of the resamples in which it is a detector; None with
            fewer than 10 images.
        leaders: By concept, the best unit; every concept that any unit shares a pixel with.
        categories: Label number to primary category, of the same concepts.
    """

    best: tuple[Concept | None, ...]
    iou: FloatArray
    detector: NDArray[np.bool_]
    probability: FloatArray | None
    leaders: Mapping[Concept, BestUnit]
    categories: Mapping[int, str]

    def labels(self) -> list[Concept | None]:
        """What each unit detects; None for no detector."""
        return [
            concept if detects else None
            for concept, detects in zip(self.best, self.detector.tolist(), strict=True)
        ]


def read_layer(layout: RunLayout, record: LayerRecord) -> LayerTable:
    """The scores of a layer.

    Raises:
        LayoutError: scores.csv cannot be read.
    """
    path = layout.scores(record.directory)
    frame = _read_scores(path)
    if len(frame) and not 0 <= frame["unit"].min() <= frame["unit"].max() < record.units:
        raise LayoutError(f"holds a unit outside 0..{record.units - 1}", path=path)
    first = frame[frame["rank"] == 1]
    if first["unit"].duplicated().any():
        raise LayoutError("holds a unit with two concepts of rank 1", path=path)
    best: list[Concept | None] = [None] * record.units
    iou, detector = np.zeros(record.units), np.zeros(record.units, dtype=np.bool_)
    names = zip(first["concept"], first["category"], strict=True)
    for unit, concept in zip(first["unit"].tolist(), names, strict=True):
        best[unit] = concept
    iou[first["unit"]] = first["iou"]
    detector[first["unit"]] = first["detector"] == "True"
    return LayerTable(
        tuple(best), iou, detector, _chances(frame, record.units), _leaders(frame), _places(frame)
    )


def _read_scores(path: Path) -> pd.DataFrame:
    """The columns that are needed; empty numbers as NaN.

    Numbers are read as text and converted by Python's own rules: to the last bit, and "nan" is
    a concept that somebody may have.
    """
    needed = (*_WHOLE, *_TEXT, "iou")
    try:
        frame = pd.read_csv(
            path,
            usecols=lambda name: name in needed or name in _BOUNDS,
            dtype=str,
            keep_default_na=False,
        )
        missing = [name for name in needed if name not in frame]
        if missing:
            raise LayoutError(f"has no column {', '.join(missing)}", path=path, pointer="line 1")
        for name in _WHOLE:
            frame[name] = frame[name].astype(np.int64)
        frame["iou"] = frame["iou"].astype(np.float64)
        for name in _BOUNDS:
            cells = frame[name].replace("", "nan") if name in frame else np.nan
            frame[name] = pd.Series(cells, index=frame.index).astype(np.float64)
    except OSError as error:
        raise LayoutError(f"cannot be read ({error.strerror})", path=path) from error
    except (ValueError, pd.errors.ParserError) as error:
        raise LayoutError(f"is no table of scores ({error})", path=path) from error
    return frame


def _chances(frame: pd.DataFrame, units: int) -> FloatArray | None:
    """(units,) how often each is a detector, of whatever concept."""
    given = frame["detector_probability"].to_numpy(dtype=np.float64)
    if not len(given) or np.isnan(given).all():
        return None
    total = np.zeros(units)
    np.add.at(total, frame["unit"].to_numpy(), np.nan_to_num(given))
    return total


def _leaders(frame: pd.DataFrame) -> dict[Concept, BestUnit]:
    ordered = frame.sort_values(["iou", "unit"], ascending=[False, True], kind="stable")
    first = ordered.drop_duplicates(["concept", "category"])
    columns = ("concept", "category", "unit", "iou", "iou_low", "iou_high")
    return {
        (concept, category): BestUnit(int(unit), float(iou), _optional(low), _optional(high))
        for concept, category, unit, iou, low, high in zip(
            *(first[name].tolist() for name in columns), strict=True
        )
    }


def _optional(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _places(frame: pd.DataFrame) -> dict[int, str]:
    known = frame.drop_duplicates("label_number")
    return dict(zip(known["label_number"].tolist(), known["category"].tolist(), strict=True))


def label_places(categories: Mapping[int, str], order: tuple[str, ...], labels: int) -> IntArray:
    """(labels,) place of each label's primary category in `order`; the last for one not known."""
    places = np.full(labels, len(order) - 1, dtype=np.int64)
    for label, category in categories.items():
        if label < labels and category in order:
            places[label] = order.index(category)
    return places
