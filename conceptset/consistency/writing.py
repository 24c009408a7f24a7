"""The tables of a comparison: figures for spreadsheets, and the counts that they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from conceptset.consistency.counts import DTYPES, THRESHOLDS, Counts, Table
from conceptset.consistency.document import (
    ANNOTATOR_FIGURES,
    CONCEPT_FIGURES,
    PAIR_FIGURES,
    AnnotatorEntry,
    ConceptEntry,
    ConsistencyReport,
    Figure,
    ImageEntry,
    PairEntry,
    Split,
)
from conceptset.consistency.material import Material
from conceptset.io.tables import format_rows, format_table
from conceptset.taxonomy import as_cell

REPORT = "consistency.json"
COUNTS = "counts"
_ROWS = 65_536  # formatted at once

Progress = Callable[[int, int], None]
Cells = dict[str, object]


def write_tables(folder: Path, report: ConsistencyReport, images: Sequence[ImageEntry]) -> None:
    """Write pairs.csv, annotators.csv, concepts.csv, confusions.csv and images.csv.

    A null is an empty cell; the document says why. Names that a spreadsheet would compute have `'`
    before them.

    Args:
        folder: An existing directory.
        report: The document.
        images: All images, where the document has the first ones.
    """
    pairs = [*report.pairs, *report.intra]
    for name, columns, rows in (
        ("pairs", _pair_columns(), map(_pair_cells, pairs)),
        ("annotators", _annotator_columns(), map(_annotator_cells, report.annotators)),
        ("concepts", _concept_columns(), map(_concept_cells, report.concepts)),
        ("confusions", _CONFUSION_COLUMNS, _confusion_cells(pairs)),
        ("images", _IMAGE_COLUMNS, map(_image_cells, images)),
    ):
        cells = ([_cell(row.get(column)) for column in columns] for row in rows)
        (folder / f"{name}.csv").write_bytes(format_table(columns, cells))


def _cell(value: object) -> object:
    if value is None:
        return ""
    return as_cell(value) if isinstance(value, str) else value


def _figure_columns(names: Iterable[str]) -> list[str]:
    return [column for name in names for column in (name, f"{name}_low", f"{name}_high")]


def _figure_cells(figures: Mapping[str, Figure]) -> Cells:
    cells: Cells = {}
    for name, figure in figures.items():
        cells |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
    return cells


_PARTS = tuple(Split.model_fields)
_OTHER_WAYS = ("agreement_median", "agreement_pooled", "agreement_all", "agreement_both")


def _parts(split: Split) -> dict[str, Figure]:
    return {part: getattr(split, part) for part in _PARTS}


def _pair_columns() -> list[str]:
    keys = ["a", "b", "category", "kind", "n_images"]
    return keys + _figure_columns([*_PARTS, *_OTHER_WAYS, *PAIR_FIGURES])


def _pair_cells(entry: PairEntry) -> Cells:
    pixels = entry.pixels
    ways = (
        pixels.any.median.agreement,
        pixels.any.pooled.agreement,
        pixels.all.mean.agreement,
        pixels.both.mean,
    )
    figures = _parts(pixels.any.mean) | dict(zip(_OTHER_WAYS, ways, strict=True)) | entry.figures
    keys = entry.model_dump(include={"a", "b", "category", "kind", "n_images"})
    return keys | _figure_cells(figures)


def _annotator_columns() -> list[str]:
    keys = ["annotator", "kind", "category", "n_images", "shared_images"]
    # the mean agreement with others is a figure of its own and the same as the split's
    names = dict.fromkeys([*_PARTS, *ANNOTATOR_FIGURES])
    return [*keys, *_figure_columns(names), "left_out"]


def _annotator_cells(entry: AnnotatorEntry) -> Cells:
    keys = entry.model_dump(include={"annotator", "kind", "category", "n_images", "shared_images"})
    figures = _figure_cells(_parts(entry.pixels) | entry.figures)
    return keys | figures | {"left_out": ";".join(entry.left_out)}


def _concept_columns() -> list[str]:
    keys = ["concept", "category", "n_images"]
    return [*keys, *_figure_columns([*_PARTS, *CONCEPT_FIGURES]), "other_names"]


def _concept_cells(entry: ConceptEntry) -> Cells:
    keys = entry.model_dump(include={"concept", "category", "n_images"})
    others = ";".join(f"{other.name} ({other.pixels})" for other in entry.other_names)
    return keys | _figure_cells(_parts(entry.split) | entry.figures) | {"other_names": others}


_CONFUSION_COLUMNS = [
    *("category", "a", "b", "kind", "name_a", "name_b", "matches", "regions", "pixels"),
]


def _confusion_cells(pairs: Iterable[PairEntry]) -> Iterator[Cells]:
    for pair in pairs:
        keys = pair.model_dump(include={"category", "a", "b", "kind"})
        for confusion in pair.confusions:
            yield keys | confusion.model_dump()


_SHARES = ("agreement", "quality", "naming", "quantity", "disputed")
_LISTS = ("annotators", "segments", "concepts", "hidden")
_IMAGE_COLUMNS = ["image", "category", *_SHARES, *_LISTS]


def _image_cells(entry: ImageEntry) -> Cells:
    cells: Cells = entry.model_dump(include={"image", "category", *_SHARES})
    cells["annotators"] = ";".join(one.annotator for one in entry.annotators)
    for column in _LISTS[1:]:
        cells[column] = ";".join(str(getattr(one, column)) for one in entry.annotators)
    return cells


def write_counts(
    folder: Path, counts: Counts, material: Material, *, progress: Progress | None = None
) -> None:
    """Write counts/*.csv: what was counted in every image, with names for places and codes.

    Every figure can be computed from these tables again. A column with a threshold in its name
    (`naming_0.5`) is counted with matches above it. Unlabelled, and nobody, is an empty cell.

    Args:
        folder: An existing directory.
        counts: Of all images.
        material: What places and codes mean.
        progress: Told (done, total) rows.
    """
    (folder / COUNTS).mkdir()
    names = _Names(material)
    tables = {field.name: getattr(counts, field.name) for field in fields(Counts)}
    total = sum(map(len, tables.values()))
    done = 0
    for name, table in tables.items():
        columns = [
            header for column in DTYPES[name].names or () for header in _headers(name, column)
        ]
        with (folder / COUNTS / f"{name}.csv").open("wb") as stream:
            stream.write(format_table(columns, ()))
            for start in range(0, len(table), _ROWS):
                part = table[start : start + _ROWS]
                stream.write(format_rows(names.rows(part)))
                done += len(part)
                if progress is not None:
                    progress(done, total)


def _headers(name: str, column: str) -> list[str]:
    if DTYPES[name][column].shape:
        return [f"{column}_{threshold}" for threshold in THRESHOLDS]
    return [column]


class _Names:
    """What places and codes in the counts are called."""

    def __init__(self, material: Material) -> None:
        people = _array([str(annotator) for annotator in material.annotators] + [""])  # -1 is last
        concepts = _array(["", *material.concepts])
        self._of: dict[str, Any] = {
            "image": _array(material.images),
            "category": _array(material.categories),
            **dict.fromkeys(("annotator", "a", "b", "without"), people),
            **dict.fromkeys(("concept", "name_a", "name_b"), concepts),
        }

    def rows(self, table: Table) -> Iterator[tuple[object, ...]]:
        """The cells of each row."""
        columns: list[list[object]] = []
        for column in table.dtype.names or ():
            values = table[column]
            if column in self._of:
                columns.append(self._of[column][values].tolist())
            elif values.ndim > 1:
                columns += [_plain(part) for part in values.T]
            else:
                columns.append(_plain(values))
        return zip(*columns, strict=True)


def _array(names: Sequence[str]) -> Any:  # noqa: ANN401 - an array of objects
    result = np.empty(len(names), dtype=object)
    result[:] = [as_cell(name) for name in names]
    return result


def _plain(values: Any) -> list[object]:  # noqa: ANN401 - an array of numbers
    """Numbers as Python's own; what is not a number is an empty cell."""
    if values.dtype.kind != "f" or not np.isnan(values).any():
        return list(values.tolist())
    return ["" if value != value else value for value in values.tolist()]  # noqa: PLR0124
