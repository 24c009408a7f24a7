"""Photographs with a region drawn on them: dark outside it, a thin bright line around it."""

from __future__ import annotations

from dataclasses import dataclass

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


def resize_mask(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    """The mask at another size, (height, width), with smooth borders."""
    if mask.shape == size:
        return mask
    grey = Image.fromarray(mask.view(np.uint8) * np.uint8(255))
    grown = grey.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    result: BoolArray = np.asarray(grown) >= 128
    return result


@dataclass(frozen=True, slots=True)
class Backdrop:
    """A photograph prepared to have many regions drawn on it.

    Attributes:
        size: (height, width) of the drawings.
        bright: (2 height, 2 width) uint32, the four bytes of RGBX pixels.
        dark: The same, darkened.
    """

    size: tuple[int, int]
    bright: NDArray[np.uint32]
    dark: NDArray[np.uint32]

    def draw(self, mask: BoolArray, *, line: tuple[int, int, int] = LINE) -> Image.Image:
        """The photograph with one region on it.

        Args:
            mask: (h, w), True inside; of any size, it covers the whole photograph.
            line: Colour of the outline.
        """
        height, width = self.size
        fine = resize_mask(mask, (height * _FINE, width * _FINE))
        pixels = np.where(fine, self.bright, self.dark)
        pixels[fine & ~_shrunk(_shrunk(fine))] = np.array([*line, 255], np.uint8).view(np.uint32)
        return from_words(pixels).reduce(_FINE).convert("RGB")


def prepare_backdrop(photograph: Image.Image, size: tuple[int, int]) -> Backdrop:
    """A photograph at the size of the drawings.

    Args:
        photograph: RGB, of any size.
        size: (height, width) of the drawings.
    """
    shape = (size[1] * _FINE, size[0] * _FINE)
    bright = photograph.resize(shape, Image.Resampling.BICUBIC, reducing_gap=2.0)
    return Backdrop(size, to_words(bright), to_words(bright.point(_DARKEN * 3)))


def to_words(image: Image.Image) -> NDArray[np.uint32]:
    """(height, width) the pixels of an RGB image, each as one number: quick to choose between."""
    words: NDArray[np.uint32] = np.array(image.convert("RGBX")).view(np.uint32)[..., 0]
    return words


def from_words(words: NDArray[np.uint32]) -> Image.Image:
    """The RGBX image of such numbers."""
    height, width = words.shape
    return Image.frombuffer("RGBX", (width, height), words.tobytes(), "raw", "RGBX", 0, 1)
