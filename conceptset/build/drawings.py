"""What enters a set of one person's drawings, and its form on disk between reading and painting.

A block of drawings is written when a reader yields them and read again by whichever process paints
their image. Its form is our own, plain and free of code: a JSON header, then the arrays of the
shapes as raw little-endian numbers.
"""

from __future__ import annotations

import dataclasses
import os
import typing
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from conceptset.geometry import Geometry
from conceptset.io.spool import Extent, pack, unpack
from conceptset.records import Origin, Region

DrawnKind = Literal["region", "ignore", "tag"]
Array: TypeAlias = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A region that enters the set.

    Attributes:
        concept: What the taxonomy calls it.
        category: The one category it enters.
        name: What the annotator called it.
        kind: How it counts.
        geometry: Its shape, None for a tag.
        plane: Depth among parts; 0 unless it is a part of a part.
        z_order: The tool's painting order.
        part_of: Index of the whole among the same person's drawings of the image.
        origin: Where it stood.
        interpolated: Computed by the tool, drawn by nobody.
    """

    concept: str
    category: str
    name: str
    kind: DrawnKind
    geometry: Geometry | None
    plane: int
    z_order: int
    part_of: int | None
    origin: Origin
    interpolated: bool = False


@dataclass(frozen=True, slots=True)
class Block:
    """Where a person's drawings of one record lie.

    Attributes:
        extent: Their place in the spool.
        count: How many they are.
    """

    extent: Extent
    count: int


def _kinds_of(union: object) -> dict[str, type]:
    """The dataclasses of a union of unions, by name."""
    if isinstance(union, type):
        return {union.__name__: union}
    return {name: kind for part in typing.get_args(union) for name, kind in _kinds_of(part).items()}


_SHAPES = _kinds_of(Geometry)
_FIELDS = {
    kind: tuple(field.name for field in dataclasses.fields(kind)) for kind in _SHAPES.values()
}
_SCALARS = (str, int, float, bool, type(None))


def depth_of(regions: Sequence[Region], place: int) -> int:
    """How many wholes a region is nested in; a circle counts as none further."""
    depth, seen = 0, {place}
    whole = regions[place].part_of
    while whole is not None and whole not in seen:
        depth += 1
        seen.add(whole)
        whole = regions[whole].part_of
    return depth


def pack_drawings(drawings: Sequence[Drawn]) -> bytes:
    """The block of these drawings."""
    blobs: list[bytes] = []
    rows = [
        (
            drawn.concept,
            drawn.category,
            drawn.name,
            drawn.kind,
            _plain(drawn.geometry, blobs),
            drawn.plane,
            drawn.z_order,
            drawn.part_of,
            (drawn.origin.file, drawn.origin.pointer),
            drawn.interpolated,
        )
        for drawn in drawings
    ]
    return pack(rows, blobs)


def unpack_drawings(blocks: Iterable[bytes]) -> list[Drawn]:
    """The drawings of several blocks, one after the other; each block's wholes are its own."""
    result: list[Drawn] = []
    for block in blocks:
        rows, blobs = unpack(block)
        arrays = iter(blobs)
        before = len(result)
        for concept, category, name, kind, shape, plane, z_order, part_of, origin, made in rows:
            result.append(
                Drawn(
                    concept,
                    category,
                    name,
                    kind,
                    _shape(shape, arrays),
                    plane,
                    z_order,
                    None if part_of is None else part_of + before,
                    Origin(*origin),
                    made,
                )
            )
    return result


def _plain(value: object, blobs: list[bytes]) -> object:
    """A shape as JSON can hold it; its arrays go to `blobs`, in the order they are met."""
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, tuple):
        return [_plain(item, blobs) for item in value]
    if isinstance(value, np.ndarray):
        stored = _narrow(value)
        blobs.append(stored.tobytes())
        return {"array": [stored.dtype.str, stored.shape]}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return {"path": os.fspath(value)}
    return {
        "shape": type(value).__name__,
        "of": [_plain(getattr(value, name), blobs) for name in _FIELDS[type(value)]],
    }


def _shape(value: Any, arrays: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """The inverse of `_plain`; takes arrays from the iterator in the same order."""
    if isinstance(value, list):
        return tuple(_shape(item, arrays) for item in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        code, shape = value["array"]
        numbers = np.frombuffer(next(arrays), dtype=code).reshape(shape)
        return numbers if numbers.dtype == np.float64 else numbers.astype(np.int64)
    if "path" in value:
        return Path(value["path"])
    return _SHAPES[value["shape"]](*(_shape(item, arrays) for item in value["of"]))


def _narrow(numbers: Array) -> Array:
    """Whole numbers in as few bytes as hold them: runs are short, and there are many of them."""
    if numbers.dtype.kind == "f":
        return numbers.astype("<f8", copy=False)
    least, most = (int(numbers.min()), int(numbers.max())) if numbers.size else (0, 0)
    for code in ("<u1", "<u2", "<i4"):
        if np.iinfo(code).min <= least and most <= np.iinfo(code).max:
            return numbers.astype(code)
    return numbers.astype("<i8")
