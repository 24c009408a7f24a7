"""One person's drawings of one image, painted into maps and written down as segments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from conceptset.build.drawings import Drawn
from conceptset.errors import ConceptsetError
from conceptset.geometry import (
    BoolArray,
    IntArray,
    bounding_box,
    encode_counts,
    mask_to_counts,
)
from conceptset.raster import rasterize

MapKey = tuple[str, int]  # category, plane


@dataclass(frozen=True, slots=True)
class Shape:
    """One region as pixels.

    Attributes:
        order: Place among the person's drawings of the image.
        drawn: What was drawn.
        window: Rows and columns of its bounding box.
        mask: Its pixels inside the window.
        area: Their number.
        counts: Its runs over the whole image.
    """

    order: int
    drawn: Drawn
    window: tuple[slice, slice]
    mask: BoolArray
    area: int
    counts: IntArray


@dataclass(frozen=True, slots=True)
class BadShape:
    """A region that could not be filled."""

    drawn: Drawn
    message: str


def fill_shapes(
    drawings: Sequence[Drawn], size: tuple[int, int]
) -> tuple[list[Shape], list[BadShape]]:
    """The pixels of all regions (not tags), and the regions that have none to give."""
    shapes, bad = [], []
    for order, drawn in enumerate(drawings):
        if drawn.geometry is None:
            continue
        try:
            mask = rasterize(drawn.geometry, size)
        except ConceptsetError as error:
            bad.append(BadShape(drawn, str(error)))
            continue
        window = bounding_box(mask)
        inner = np.ascontiguousarray(mask[window])
        area = int(np.count_nonzero(inner))
        shapes.append(Shape(order, drawn, window, inner, area, mask_to_counts(mask, window)))
    return shapes, bad


def paint(
    shapes: Sequence[Shape],
    size: tuple[int, int],
    overlap: Literal["area", "order"],
) -> tuple[dict[MapKey, NDArray[np.int32]], dict[str, BoolArray]]:
    """Which region is seen where, of one person in one image.

    Within a category larger regions are painted first, equal ones in document order; with
    `order` the tool's own painting order decides.

    Args:
        shapes: The regions.
        size: (height, width) of the source image.
        overlap: Which rule decides where regions overlap.

    Returns:
        Per (category, plane) an int32 map of `size` that holds each region's order + 1, 0 for none;
        and per category the pixels where an ignored region is what is seen.
    """
    maps: dict[MapKey, NDArray[np.int32]] = {}
    ignored: dict[str, BoolArray] = {}
    for shape in _painting_order(shapes, overlap):
        drawn = shape.drawn
        key = (drawn.category, drawn.plane)
        canvas = maps.setdefault(key, np.zeros(size, dtype=np.int32))
        canvas[shape.window][shape.mask] = shape.order + 1
        if drawn.kind == "ignore" or drawn.category in ignored:
            flags = ignored.setdefault(drawn.category, np.zeros(size, dtype=bool))
            flags[shape.window][shape.mask] = drawn.kind == "ignore"
    return maps, ignored


def identifiers_of(shapes: Sequence[Shape], identifiers: Mapping[str, int]) -> NDArray[np.int32]:
    """What `paint` painted to the identifier of its concept, 0 to 0."""
    table = np.zeros(max((shape.order for shape in shapes), default=-1) + 2, dtype=np.int32)
    for shape in shapes:
        table[shape.order + 1] = identifiers[shape.drawn.concept]
    return table


def _painting_order(shapes: Sequence[Shape], overlap: Literal["area", "order"]) -> list[Shape]:
    if overlap == "order":
        return sorted(shapes, key=lambda shape: (shape.drawn.z_order, shape.order))
    return sorted(shapes, key=lambda shape: (-shape.area, shape.order))


def shape_code(shape: Shape) -> str:
    """COCO's compressed run-length code of a shape over its whole image."""
    return encode_counts(shape.counts)
