"""Activations of a layer that no network computes: as many as wanted, the same every time.

A map is drawn on a coarse grid of 4 x 4 and brought to its size, so that neighbours are alike; its
strength varies from image to image, much more for some than others; what is below zero is cut
off. Blocks of images and units have seeds of their own and can be drawn alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from benchmarks.made_sets import NUMBERS
from numpy.typing import NDArray

from dissect.compiling import compiled

IMAGES, UNITS = 64, 64  # of a block
COARSE = 4

MapArray = NDArray[np.float32]


@dataclass(frozen=True)
class Stream:
    """Which activations.

    Attributes:
        images: How many.
        units: A multiple of `UNITS`.
        side: Of the maps.
    """

    images: int
    units: int
    side: int

    @property
    def samples(self) -> int:
        """Activations of a unit."""
        return self.images * self.side * self.side

    def starts(self) -> range:
        """The first image of each block."""
        return range(0, self.images, IMAGES)

    def block(self, start: int, unit: int) -> MapArray:
        """(images, positions, UNITS) float32 of the units from `unit` on, as a layer lies."""
        rng = np.random.Generator(np.random.SFC64([start, unit, self.side]))
        images = min(IMAGES, self.images - start)
        coarse = rng.standard_normal((images, COARSE * COARSE, UNITS), dtype=np.float32)
        strength = np.exp(rng.standard_normal((images, UNITS), dtype=np.float32))
        maps = np.empty((images, self.side * self.side, UNITS), dtype=np.float32)
        fill_maps(coarse, strength, self.side, maps)
        return maps

    def whole(self, start: int, into: MapArray) -> MapArray:
        """All units of a block of images: (images, positions, units), a part of `into`."""
        for unit in range(0, self.units, UNITS):
            part = self.block(start, unit)
            into[: len(part), :, unit : unit + UNITS] = part
        return into[: min(IMAGES, self.images - start)]


@compiled
def fill_maps(coarse: MapArray, strength: MapArray, side: int, maps: MapArray) -> None:
    """Bring coarse grids to the size of the maps.

    Args:
        coarse: (images, 16, units) float32.
        strength: (images, units) float32.
        side: Of the maps.
        maps: (images, side * side, units) float32, overwritten.
    """
    images, _, units = coarse.shape
    for image in range(images):
        for y in range(side):
            down = np.float32(y) * np.float32(3) / np.float32(side - 1)
            top = min(int(down), 2)
            v = down - np.float32(top)
            for x in range(side):
                across = np.float32(x) * np.float32(3) / np.float32(side - 1)
                left = min(int(across), 2)
                u = across - np.float32(left)
                a, b = coarse[image, 4 * top + left], coarse[image, 4 * top + left + 1]
                c, d = coarse[image, 4 * top + left + 4], coarse[image, 4 * top + left + 5]
                wa, wb = (1 - v) * (1 - u), (1 - v) * u
                wc, wd = v * (1 - u), v * u
                cell = maps[image, y * side + x]
                for unit in range(units):
                    value = wa * a[unit] + wb * b[unit] + wc * c[unit] + wd * d[unit]
                    value = (value - np.float32(0.3)) * strength[image, unit]
                    cell[unit] = value if value > 0 else np.float32(0)


def labels_of(number: int, size: int) -> tuple[list[NDArray[np.uint16]], int]:
    """Three (size, size) label maps in blocks and stripes, some 21 labels, and one of the image."""
    rng = np.random.Generator(np.random.SFC64([number, 7]))
    grid = np.arange(size)

    def numbers(category: str, count: int) -> NDArray[np.uint16]:
        first, last = NUMBERS[category]
        return rng.integers(first, last + 1, count).astype(np.uint16)

    slope, offset = rng.integers(1, 4, 2)
    objects = numbers("object", 9)[3 * (grid[:, None] * 3 // size) + grid * 3 // size]
    parts = numbers("part", 7)[(grid[:, None] + slope * grid) // 24 % 7]
    parts[: size // 4] = 0
    colours = numbers("color", 5)[(offset * grid[:, None] + grid) // 29 % 5]
    return [objects, parts, colours], int(numbers("scene", 1)[0])
