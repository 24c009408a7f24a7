"""The core record of a layer: how many pixels, image by image. Everything else is a sum of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from conceptset.errors import LayoutError
from conceptset.io.atomic import write_file

IntArray = NDArray[np.int64]

_WIDTHS = {"intersection": 4, "area": 3, "truth": 3, "pixels": 2}


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels of masks and labels per image; rows are sorted and their last column is positive.

    Attributes:
        intersection: (n, 4) int64 rows (image, unit, label, pixels in both).
        area: (n, 3) int64 rows (image, unit, pixels of the mask).
        truth: (n, 3) int64 rows (image, label, pixels of the label); a label that two maps give
            to one pixel counts twice here and in `intersection`.
        pixels: (n, 2) int64 rows (image, pixels of its label maps), every image that was looked
            at, also one without masks and labels.

    `image` is the row of index.csv, from 0; units run from 0.
    """

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


def write_counts(path: Path, counts: Counts, metadata: Mapping[str, str]) -> None:
    """Write counts.safetensors."""
    arrays = {name: getattr(counts, name) for name in _WIDTHS}
    write_file(path, encode_arrays(arrays, metadata))


def read_counts(path: Path) -> Counts:
    """The counts of a layer.

    Raises:
        LayoutError: The file is no such record.
    """
    return Counts(**_read_tables(path, _WIDTHS))


def _read_tables(path: Path, widths: Mapping[str, int]) -> dict[str, IntArray]:
    arrays, _ = read_arrays(path, widths)
    for name, width in widths.items():
        array = arrays[name]
        if array.dtype != np.int64 or array.ndim != 2 or array.shape[1] != width:
            raise LayoutError(
                f"holds {array.dtype} {array.shape}, int64 (n, {width}) was expected",
                path=path,
                pointer=name,
            )
    return {name: array.astype(np.int64) for name, array in arrays.items()}


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
    arrays = {name: getattr(without.counts, name) for name in _WIDTHS}
    write_file(path, encode_arrays({**arrays, "voted": without.voted}, metadata))


def read_without(path: Path, base: Counts) -> Counts:
    """The counts of the consensus without a person, over every image that somebody else saw.

    Args:
        path: `RunLayout.without`.
        base: The counts of the consensus of everybody: `RunLayout.consensus` if that exists,
            else `RunLayout.counts` of the root.

    Raises:
        LayoutError: The file is no such record.
    """
    tables = _read_tables(path, {**_WIDTHS, "voted": 1})
    voted = tables.pop("voted")[:, 0]
    merged = {}
    for name, rows in tables.items():
        kept = getattr(base, name)
        both = np.concatenate([kept[~np.isin(kept[:, 0], voted)], rows])
        merged[name] = both[np.argsort(both[:, 0], kind="stable")]
    return Counts(**merged)


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
    arrays = {field.name: getattr(agreement, field.name) for field in fields(Agreement)}
    write_file(path, encode_arrays(arrays, metadata))


def read_agreement(path: Path) -> Agreement:
    """Who gave which pixels the same label as whom.

    Raises:
        LayoutError: The file is no such record.
    """
    return Agreement(**_read_tables(path, _AGREEMENT_WIDTHS))
