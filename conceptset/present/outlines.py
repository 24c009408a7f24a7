"""Photographs with a region drawn on them: dark outside it, a thin bright line around it."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conceptset.geometry import BoolArray

LINE = (255, 226, 74)
_DARKEN = [value * 87 // 256 for value in range(256)]  # of what lies outside
_FINE = 2  # drawn so many times larger, then reduced: a smooth line of one pixel


def inner_edge(mask: BoolArray) -> BoolArray:
    """Pixels of a region that touch its outside; the outside begins at the border of the image.

    >>> inner_edge(np.ones((3, 3), dtype=bool)).astype(int).tolist()
    [[1, 1, 1], [1, 0, 1], [1, 1, 1]]
    """
    edge: BoolArray = mask & ~_shrunk(mask)
    return edge


def _shrunk(mask: BoolArray) -> BoolArray:
    """The region without the pixels that touch its outside."""
    inside = np.zeros_like(mask)
    core = inside[1:-1, 1:-1]
    np.logical_and(mask[1:-1, 1:-1], mask[:-2, 1:-1], out=core)
    for neighbour in (mask[2:, 1:-1], mask[1:-1, :-2], mask[1:-1, 2:]):
        core &= neighbour
    return inside


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A photograph prepared to have many regions drawn on it.

    Attributes:
        size: (height, width) of the drawings.
        bright: (2 height, 2 width) uint32, the four bytes of RGBX pixels.
        dark: The same, darkened.
        outside: The drawing of an empty region, RGB.
    """

    size: tuple[int, int]
    bright: NDArray[np.uint32]
    dark: NDArray[np.uint32]
    outside: Image.Image

    def draw(self, mask: BoolArray, *, line: tuple[int, int, int] = LINE) -> Image.Image:
        """The photograph with one region on it.

        Args:
            mask: (h, w), True inside; of any size, it covers the whole photograph.
            line: Colour of the outline.
        """
        drawing = self.outside.copy()
        if not mask.any():
            return drawing
        rows, columns = (_reach(np.any(mask, axis=1 - axis), self.size[axis]) for axis in (0, 1))
        part = np.s_[rows[0] * _FINE : rows[1] * _FINE, columns[0] * _FINE : columns[1] * _FINE]
        fine = _resize_part(mask, rows, columns, self.size)
        pixels = np.where(fine, self.bright[part], self.dark[part])
        pixels[fine & ~_shrunk(_shrunk(fine))] = np.array([*line, 255], np.uint8).view(np.uint32)
        drawing.paste(_reduced(pixels), (columns[0], rows[0]))
        return drawing


def _reach(found: NDArray[np.bool_], size: int) -> tuple[int, int]:
    """From which pixel of a drawing to which a region may reach.

    Args:
        found: (h,) or (w,), True in rows or columns of the mask that have a part of it.
        size: Pixels of the drawing in this direction.
    """
    where = np.flatnonzero(found)
    scale = size / len(found)
    # smoothing moves a border by less than a pixel of the mask
    return max(0, floor((where[0] - 1) * scale)), min(size, ceil((where[-1] + 2) * scale))


def _resize_part(
    mask: BoolArray, rows: tuple[int, int], columns: tuple[int, int], size: tuple[int, int]
) -> BoolArray:
    """The mask at twice the size of a drawing, with smooth borders.

    Args:
        mask: (h, w), over the whole drawing.
        rows: From which of the drawing to which.
        columns: The same.
        size: (height, width) of the drawing.

    Returns:
        (2 rows, 2 columns) of these.
    """
    shape = ((columns[1] - columns[0]) * _FINE, (rows[1] - rows[0]) * _FINE)
    down, across = mask.shape[0] / size[0], mask.shape[1] / size[1]
    box = (columns[0] * across, rows[0] * down, columns[1] * across, rows[1] * down)
    grey = Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    result: BoolArray = np.asarray(grey.resize(shape, Image.Resampling.BILINEAR, box=box)) >= 128
    return result


def prepare_backdrop(photograph: Image.Image, size: tuple[int, int]) -> Backdrop:
    """A photograph at the size of the drawings.

    Args:
        photograph: RGB, of any size.
        size: (height, width) of the drawings.
    """
    shape = (size[1] * _FINE, size[0] * _FINE)
    bright = photograph.resize(shape, Image.Resampling.BICUBIC, reducing_gap=2.0)
    dark = to_words(bright.point(_DARKEN * 3))
    return Backdrop(size, to_words(bright), dark, _reduced(dark))


def _reduced(words: NDArray[np.uint32]) -> Image.Image:
    """The RGB image of fine pixels at the size of a drawing."""
    return from_words(words).reduce(_FINE).convert("RGB")


def to_words(image: Image.Image) -> NDArray[np.uint32]:
    """(height, width) the pixels of an RGB image, each as one number: quick to choose between."""
    words: NDArray[np.uint32] = np.array(image.convert("RGBX")).view(np.uint32)[..., 0]
    return words


def from_words(words: NDArray[np.uint32]) -> Image.Image:
    """The RGBX image of such numbers."""
    height, width = words.shape
    return Image.frombuffer("RGBX", (width, height), words.tobytes(), "raw", "RGBX", 0, 1)
