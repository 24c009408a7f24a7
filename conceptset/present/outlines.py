"""Photographs with a region drawn on them: dark outside it, a thin bright line around it."""

from __future__ import annotations

import numpy as np
from PIL import Image

from conceptset.geometry import BoolArray

LINE = (255, 226, 74)
_OUTSIDE = 0.34  # brightness that is left of what lies outside
_FINE = 2  # drawn so many times larger, then reduced: a smooth line of one pixel


def inner_edge(mask: BoolArray) -> BoolArray:
    """Pixels of a region that touch its outside; the outside begins at the border of the image.

    >>> inner_edge(np.ones((3, 3), dtype=bool)).astype(int).tolist()
    [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    around = np.pad(mask, 1)
    inside = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
    edge: BoolArray = mask & ~inside
    return edge


def resize_mask(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    """The mask at another size, (height, width), with smooth borders."""
    grey = Image.fromarray(np.where(mask, np.uint8(255), np.uint8(0)))
    if mask.shape != size:
        grey = grey.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    result: BoolArray = np.asarray(grey) >= 128
    return result


def draw_region(
    photograph: Image.Image,
    mask: BoolArray,
    *,
    size: tuple[int, int],
    line: tuple[int, int, int] = LINE,
) -> Image.Image:
    """The photograph, reduced, with a region on it.

    Args:
        photograph: RGB, of any size.
        mask: (height, width), True inside; of any size, it covers the whole photograph.
        size: (height, width) of the result.
        line: Colour of the outline.
    """
    height, width = size[0] * _FINE, size[1] * _FINE
    canvas = photograph.resize((width, height), Image.Resampling.BICUBIC, reducing_gap=2.0)
    pixels = np.array(canvas)
    fine = resize_mask(mask, (height, width))
    pixels[~fine] = (pixels[~fine] * _OUTSIDE).astype(np.uint8)
    edge = inner_edge(fine)
    edge |= inner_edge(fine & ~edge)
    pixels[edge] = line
    return Image.fromarray(pixels).reduce(_FINE)
