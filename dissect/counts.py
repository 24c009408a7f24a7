"""The core record of a layer: how many pixels, image by image. Everything else is a sum of it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from conceptset.errors import LayoutError
from conceptset.io.atomic import write_blocks
from dissect.rows import (
    Rows,
    StoredRows,
    as_array,
    merge_rows,
    pieces,
    select_images,
    side_by_side,
    width_of,
)

IntArray = NDArray[np.int64]

_WIDTHS = {"intersection": 4, "area": 3, "truth": 3, "pixels": 2}


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels of masks and labels per image; rows are sorted and their last column is positive.

    Any of the tables may lie in a file (`dissect.rows`); whoever sums them goes by `blocks`.

    Attributes:
        intersection: (n, 4) int64 rows (image, unit, label, pixels in both).
        area: (n, 3) int64 rows (image, unit, pixels of the mask).
        truth: (n, 3) int64 rows (image, label, pixels of the label); a label that two maps give
            to one pixel counts twice here and in `intersection`.
        pixels: (n, 2) int64 rows (image, pixels of its label maps), every image that was looked
            at, also one without masks and labels.

    `image` is the row of index.csv, from 0; units run from 0.
    """

    intersection: Rows
    area: Rows
    truth: Rows
    pixels: Rows

    @property
    def images(self) -> IntArray:
        """(n,) int64 the images, rising."""
        return as_array(self.pixels)[:, 0]

    def blocks(self, size: int | None = None) -> Iterator[CountBlock]:
        """The counts of some images after those of others, as `dissect.rows.side_by_side` cuts."""
        tables = (self.intersection, self.area, self.truth, self.pixels)
        return (CountBlock(*parts) for parts in side_by_side(tables, size))

    def load(self) -> CountBlock:
        """All of it in memory."""
        tables = (self.intersection, self.area, self.truth, self.pixels)
        return CountBlock(*map(as_array, tables))


@dataclass(frozen=True, slots=True)
class CountBlock(Counts):
    """Counts that are in memory."""

    intersection: IntArray
    area: IntArray
    truth: IntArray
    pixels: IntArray


def stack(parts: Iterable[IntArray], width: int) -> IntArray:
    """The rows of all parts, one after the other; (0, width) if there are none."""
    return np.concatenate([np.empty((0, width), dtype=np.int64), *parts])


def with_image(image: int, rows: IntArray) -> IntArray:
    """The rows with the image as their first column."""
    return np.column_stack([np.full(len(rows), image, dtype=np.int64), rows])


def encode_arrays(arrays: Mapping[str, NDArray[np.generic]], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file; the same for the same content."""
    whole = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    return bytes(save(whole, metadata=dict(metadata)))


def read_arrays(
    path: Path, names: Iterable[str]
) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    """The named arrays of a safetensors file, and what its `fingerprint` says.

    Raises:
        LayoutError: It is no safetensors file, or an array is missing.
    """
    try:
        with safe_open(path, framework="numpy") as stream:
            arrays = {name: np.asarray(stream.get_tensor(name)) for name in names}
            metadata = stream.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise LayoutError(f"cannot be read ({error})", path=path) from error
    return arrays, dict(json.loads(metadata.get("fingerprint", "{}")))


def write_tables(path: Path, tables: Mapping[str, Rows], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file block by block: the bytes of `encode_arrays`, never held at once."""
    names = sorted(tables)  # as safetensors orders arrays of one type
    header: dict[str, object] = {"__metadata__": dict(metadata)}
    begin = 0
    for name in names:
        count, width = len(tables[name]), width_of(tables[name])
        end = begin + 8 * count * width
        header[name] = {"dtype": "I64", "shape": [count, width], "data_offsets": [begin, end]}
        begin = end
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    text += b" " * (-len(text) % 8)

    def blocks() -> Iterator[bytes | memoryview]:
        yield struct.pack("<Q", len(text)) + text
        for name in names:
            for piece in pieces(tables[name]):
                yield np.ascontiguousarray(piece, dtype="<i8").data

    write_blocks(path, blocks())


def open_tables(path: Path, widths: Mapping[str, int]) -> dict[str, StoredRows]:
    """The named tables of a safetensors file, of which nothing is read yet.

    Raises:
        LayoutError: It is no safetensors file, or a table is missing or of another shape.
    """
    try:
        with safe_open(path, framework="numpy") as stream:  # refuses a header that lies
            found = {name: stream.get_slice(name) for name in widths}
            shapes = {name: (one.get_dtype(), one.get_shape()) for name, one in found.items()}
        with path.open("rb") as raw:
            (length,) = struct.unpack("<Q", raw.read(8))
            header = json.loads(raw.read(length))
    except (SafetensorError, OSError) as error:
        raise LayoutError(f"cannot be read ({error})", path=path) from error
    tables = {}
    for name, width in widths.items():
        dtype, shape = shapes[name]
        if dtype != "I64" or len(shape) != 2 or shape[1] != width:
            raise LayoutError(
                f"holds {dtype} {tuple(shape)}, int64 (n, {width}) was expected",
                path=path,
                pointer=name,
            )
        offset = 8 + length + header[name]["data_offsets"][0]
        tables[name] = StoredRows(path, width=width, count=shape[0], offset=offset)
    return tables


def _tables_of(counts: Counts) -> dict[str, Rows]:
    return {name: getattr(counts, name) for name in _WIDTHS}


def write_counts(path: Path, counts: Counts, metadata: Mapping[str, str]) -> None:
    """Write counts.safetensors."""
    write_tables(path, _tables_of(counts), metadata)


def open_counts(path: Path) -> Counts:
    """The counts of a layer, which stay in their file.

    Raises:
        LayoutError: The file is no such record.
    """
    return Counts(**open_tables(path, _WIDTHS))


def read_counts(path: Path) -> CountBlock:
    """The counts of a layer, in memory.

    Raises:
        LayoutError: The file is no such record.
    """
    return open_counts(path).load()


@dataclass(frozen=True, slots=True)
class Without:
    """What changes in the counts of a consensus when one person has no vote.

    Attributes:
        counts: Of the images where the person votes and somebody else does, too.
        voted: (n, 1) int64, every image where the person votes.
    """

    counts: Counts
    voted: IntArray


def write_without(path: Path, without: Without, metadata: Mapping[str, str]) -> None:
    """Write without.safetensors."""
    write_tables(path, {**_tables_of(without.counts), "voted": without.voted}, metadata)


def open_without(path: Path, base: Counts) -> Counts:
    """The counts of the consensus without a person, over every image that somebody else saw.

    Args:
        path: `RunLayout.without`.
        base: The counts of the consensus of everybody: `RunLayout.consensus` if that exists,
            else `RunLayout.counts` of the root.

    Raises:
        LayoutError: The file is no such record.
    """
    tables = open_tables(path, {**_WIDTHS, "voted": 1})
    voted = as_array(tables.pop("voted"))[:, 0]
    kept = {name: select_images(rows, voted, keep=False) for name, rows in _tables_of(base).items()}
    return Counts(**{name: merge_rows([kept[name], tables[name]]) for name in _WIDTHS})


def read_without(path: Path, base: Counts) -> CountBlock:
    """As `open_without`, in memory.

    Raises:
        LayoutError: The file is no such record.
    """
    return open_without(path, base).load()


@dataclass(frozen=True, slots=True)
class Agreement:
    """Pixels that annotators gave the same label, per image; no unit has a part in it.

    Attributes:
        shared: (n, 5) int64 rows (image, label, a, b, pixels), sorted, pixels > 0: a <= b are
            places in `Run.annotators`, both worked on the image and gave the pixels the label;
            a = b: all pixels that a gave it. A pixel counts once, whatever map it stands in.
        worked: (m, 3) int64 rows (image, annotator, pixels of its label maps), sorted: who worked
            on which image, also where nothing was labelled.
    """

    shared: IntArray
    worked: IntArray


_AGREEMENT_WIDTHS = {"shared": 5, "worked": 3}


def write_agreement(path: Path, agreement: Agreement, metadata: Mapping[str, str]) -> None:
    """Write agreement.safetensors."""
    tables = {field.name: getattr(agreement, field.name) for field in fields(Agreement)}
    write_tables(path, tables, metadata)


def read_agreement(path: Path) -> Agreement:
    """Who gave which pixels the same label as whom.

    Raises:
        LayoutError: The file is no such record.
    """
    tables = open_tables(path, _AGREEMENT_WIDTHS)
    return Agreement(**{name: as_array(rows) for name, rows in tables.items()})
