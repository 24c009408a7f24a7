"""Colours, textures and the canvas on which the demo world is painted.

The canvas is three times finer than the picture. Each shape paints its colour and its number
through the same mask, so picture and annotation cannot differ.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from things import FloatArray

FINE = 3
Pixels = npt.NDArray[np.float32]

PALETTE: dict[str, tuple[int, int, int]] = {
    "black": (34, 34, 38),
    "blue": (48, 92, 200),
    "brown": (122, 76, 42),
    "gray": (136, 138, 142),
    "green": (58, 146, 62),
    "orange": (238, 134, 32),
    "pink": (244, 150, 186),
    "purple": (126, 62, 158),
    "red": (204, 40, 42),
    "white": (240, 240, 236),
    "yellow": (244, 212, 54),
}
TEXTURES = ("striped", "checkered", "dotted", "bricks", "zigzag")


def pattern(texture: str, u: Pixels, v: Pixels) -> npt.NDArray[np.bool_]:
    """Where the second shade of a texture lies; u and v count its periods."""
    if texture == "striped":
        return u % 1 < 0.5
    if texture == "checkered":
        return (np.floor(u * 2) + np.floor(v * 2)) % 2 == 0
    if texture == "dotted":
        return (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.1
    if texture == "bricks":
        shifted = u / 2 + np.floor(v * 1.5) / 2
        return (shifted % 1 < 0.12) | (v * 1.5 % 1 < 0.2)
    return (v * 1.4 + np.abs(u % 1 - 0.5) * 1.4) % 1 < 0.5


def tint(rng: np.random.Generator, colour: str) -> Pixels:
    """The (3,) RGB of an individual surface of a named colour."""
    base = np.array(PALETTE[colour], dtype=np.float32)
    return np.clip(base * rng.uniform(0.88, 1.08) + rng.normal(0, 7, 3), 8, 250).astype(np.float32)


def second_shade(rgb: Pixels) -> Pixels:
    """The lighter or darker companion that draws a texture on a surface."""
    if rgb.mean() < 120:
        return rgb + (255 - rgb) * 0.5
    return rgb * 0.52


def waves(rng: np.random.Generator, size: int, cells: int) -> Pixels:
    """(size, size) smooth noise in about -1 .. 1 with `cells` bumps along each side."""
    coarse = rng.normal(0, 0.5, (cells, cells)).astype(np.float32)
    return np.asarray(Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC))


class Canvas:
    """A picture in the making, and the number of the shape that is seen at each of its points."""

    def __init__(self, rng: np.random.Generator, size: int) -> None:
        self.rng = rng
        self.size = size
        fine = size * FINE
        self.rgb = Image.new("RGB", (fine, fine))
        self.ids = Image.new("L", (fine, fine))
        self.light = float(rng.uniform(-0.3, 0.3))

    def fill(
        self, ring: FloatArray, rgb: Pixels, number: int, *, texture: str = "", period: float = 8
    ) -> None:
        """Paint one shape.

        Args:
            ring: (points, 2) x and y in pixels of the picture.
            rgb: Its colour.
            number: Its number in the map of shapes.
            texture: One of TEXTURES, or nothing.
            period: Pixels of the picture from one repetition of the texture to the next.
        """
        fine = ring * FINE
        low = np.clip(np.floor(fine.min(axis=0)).astype(int) - 1, 0, self.size * FINE)
        high = np.clip(np.ceil(fine.max(axis=0)).astype(int) + 2, 0, self.size * FINE)
        width, height = (int(n) for n in high - low)
        if width <= 0 or height <= 0:
            return
        mask = Image.new("L", (width, height))
        ImageDraw.Draw(mask).polygon([(x, y) for x, y in fine - low], fill=255)
        paint = np.broadcast_to(rgb.astype(np.uint16), (height, width, 3))
        v, u = (np.arange(n, dtype=np.float32) for n in (height, width))
        if texture:
            inked = pattern(texture, u / (period * FINE), v[:, None] / (period * FINE))
            shades = np.stack([rgb, second_shade(rgb)]).astype(np.uint16)
            paint = shades[np.broadcast_to(inked, (height, width)).view(np.uint8)]
        down, across = 1.1 - 0.28 * v / height, self.light * (u / width - 0.5)
        shade = (128 * (down[:, None] + across)).astype(np.uint16)
        lit = np.minimum((paint * shade[..., None]) >> 7, 255).astype(np.uint8)
        self.rgb.paste(Image.fromarray(lit), (int(low[0]), int(low[1])), mask)
        self.ids.paste(number, (int(low[0]), int(low[1])), mask)

    def shadow(self, x: float, y: float, width: float) -> None:
        """Darken the ground under a thing that stands at (x, y)."""
        reach = (np.array([width * 0.75, width * 0.18]) * FINE).astype(int)
        u, v = (np.linspace(-1, 1, 2 * n) ** 2 for n in reach)
        dark = np.clip(110 * np.outer(1 - v, 1 - u) ** 2, 0, 255).astype(np.uint8)
        corner = (np.array([x, y]) * FINE).astype(int) - reach
        self.rgb.paste((0, 0, 0), (int(corner[0]), int(corner[1])), Image.fromarray(dark))

    def develop(self, relief: Pixels) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
        """The (size, size, 3) picture and the (size, size) map of shape numbers.

        A pixel of the map shows the shape at the pixel's centre. `relief` (2, size, size) brightens
        the shapes 0 and 1, sky and ground.
        """
        n = self.size
        rgb = np.asarray(self.rgb.reduce(FINE), dtype=np.float32)
        seen = np.asarray(self.ids)[1::FINE, 1::FINE]
        light = np.float32(self.rng.uniform(0.82, 1.1)) * (1 + 0.08 * waves(self.rng, n, 3))
        for number in (0, 1):
            light = np.where(seen == number, light * (1 + relief[number]), light)
        grain = self.rng.standard_normal(rgb.shape, dtype=np.float32) * 3.5
        return np.clip(rgb * light[..., None] + grain, 0, 255).astype(np.uint8), seen
