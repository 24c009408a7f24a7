"""One scene of the demo world: where its things stand, how they look and what is seen of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from paint import PALETTE, TEXTURES, Canvas, Pixels, tint, waves
from things import THINGS, FloatArray, Shape, blob

BoolArray = npt.NDArray[np.bool_]

SIZE = 128
BEHIND = 2  # the shape number of clouds and hills, which have no name
# Place: sky and ground colours to choose from, things that stand below and that fly above.
PLACES: dict[str, tuple[str, str, str, str]] = {
    "street": (
        "blue white gray orange",
        "gray brown green white",
        "house house car car tree umbrella",
        "balloon rocket",
    ),
    "sea": ("blue white pink gray", "blue green purple", "boat boat fish fish", "bird balloon"),
    "garden": (
        "white blue yellow pink",
        "green brown yellow",
        "flower flower mushroom mushroom tree umbrella",
        "butterfly butterfly bird rocket",
    ),
}


@dataclass(frozen=True, slots=True)
class Region:
    """What one shape, or one stretch of background, is called.

    Attributes:
        thing: Number of the thing in the scene, from 1; the background has 0.
        names: Category to name, of "object", "part", "texture" and "color".
    """

    thing: int
    names: dict[str, str]


@dataclass(frozen=True, slots=True)
class Scene:
    """A painted scene.

    Attributes:
        picture: (SIZE, SIZE, 3) uint8.
        seen: (SIZE, SIZE) index into `regions` of what is seen at each pixel.
        regions: Shapes of the scene; 0 and 1 are sky and ground, 2 is BEHIND.
    """

    picture: npt.NDArray[np.uint8]
    seen: npt.NDArray[np.uint8]
    regions: tuple[Region, ...]

    def masks(self, category: str) -> list[tuple[str, BoolArray]]:
        """Name and visible pixels of each annotation of a category, thing by thing."""
        groups: dict[tuple[int, str], list[int]] = {}
        for number, region in enumerate(self.regions):
            if category in region.names:
                groups.setdefault((region.thing, region.names[category]), []).append(number)
        masks = ((name, np.isin(self.seen, found)) for (_, name), found in groups.items())
        return [(name, mask) for name, mask in masks if mask.sum() >= 6]


def place_ring(
    rng: np.random.Generator, shapes: list[Shape], x: float, y: float, size: float
) -> list[FloatArray]:
    """The outlines of a thing in pixels, its foot at (x, y): turned, mirrored and stretched."""
    turn, mirror = rng.normal(0, 0.09), rng.choice([-1.0, 1.0])
    stretch = np.array([mirror * rng.uniform(0.88, 1.12), 1.0]) * size
    rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    foot = np.array([0.5, 1.0])
    return [((shape.ring - foot) * stretch) @ rotation.T + (x, y) for shape in shapes]


def add_thing(
    canvas: Canvas,
    regions: list[Region],
    name: str,
    *,
    place: tuple[float, float, float],
    avoid: str,
) -> None:
    """Paint a thing with its foot at (x, y) and about `size` pixels high, and name its shapes."""
    rng = canvas.rng
    shapes = THINGS[name](rng)
    colours = [str(c) for c in rng.permutation([c for c in PALETTE if c != avoid])]
    inks = [tint(rng, colour) for colour in colours[:5]]
    textures = [str(t) if rng.random() < 0.5 else "" for t in rng.choice(TEXTURES, 5)]
    period = rng.uniform(0.11, 0.16) * place[2]
    thing = 1 + max(region.thing for region in regions)
    for shape, outline in zip(shapes, place_ring(rng, shapes, *place), strict=True):
        names = {"object": name, "part": shape.part, "color": f"{colours[shape.ink]}-c"}
        texture = textures[shape.ink] if shape.skin else ""
        if texture:
            names["texture"] = texture
        canvas.fill(outline, inks[shape.ink], len(regions), texture=texture, period=period)
        regions.append(Region(thing, names))


def add_background(canvas: Canvas, place: str) -> tuple[float, list[Region]]:
    """Paint sky, clouds, hills and ground; the height of the horizon and the two regions."""
    rng, size = canvas.rng, canvas.size
    above, below = (str(rng.choice(PLACES[place][k].split())) for k in (0, 1))
    horizon = size * rng.uniform(0.35, 0.6)
    sky, ground = (tint(rng, c) for c in (above, below))
    sky = sky + (235 - sky) * np.float32(rng.uniform(0.35, 0.6))
    ground = ground + (150 - ground) * np.float32(rng.uniform(0.1, 0.35))
    low = horizon + 4
    canvas.fill(np.array([(-1, -1), (size, -1), (size, low), (-1, low)]), sky, 0)
    for _ in range(rng.integers(0, 4)):
        x, y = rng.uniform(0, size), rng.uniform(0, horizon)
        canvas.fill(blob(rng, x, y, size * 0.16, size * 0.05), sky * 0.3 + 170, BEHIND)
    for _ in range(rng.integers(0, 3)):
        x, tall = rng.uniform(0, size), size * rng.uniform(0.05, 0.2)
        canvas.fill(blob(rng, x, horizon, size * 0.4, tall), sky * 0.45 + ground * 0.35, BEHIND)
    line = [(x, horizon + rng.normal(0, 0.8)) for x in np.linspace(-1, size + 1, 9)]
    canvas.fill(np.array([*line, (size, size), (-1, size)]), ground, 1)
    return horizon, [Region(0, {"color": f"{c}-c"}) for c in (above, below)] + [Region(0, {})]


def relief(rng: np.random.Generator, place: str) -> Pixels:
    """(2, SIZE, SIZE): haze in the sky; earth, or the waves of the sea, on the ground."""
    ground = 0.11 * (waves(rng, SIZE, 24) + waves(rng, SIZE, 90))
    if place == "sea":
        ripple = np.arange(SIZE, dtype=np.float32)[:, None] + 2 * waves(rng, SIZE, 8)
        ground = ground + 0.12 * np.sin(ripple * np.float32(1.05))
    return np.stack([0.05 * waves(rng, SIZE, 24), ground])


def stands(rng: np.random.Generator, horizon: float) -> list[tuple[bool, float, float, float]]:
    """Where three to five things go: (flies, x, y, size), the farthest first.

    A place too near to another one is tried anew, so that things hide each other only a little.
    """
    found: list[tuple[bool, float, float, float]] = []
    middles: list[tuple[float, float, float]] = []
    wanted = [True] * rng.integers(1, 3) + [False] * rng.integers(2, 4)
    for flies in wanted:
        for _ in range(12):
            depth = 0.3 if flies else rng.uniform(0.1, 1)
            size = SIZE * (0.3 + 0.22 * depth) * rng.uniform(0.85, 1.2)
            x = rng.uniform(0.08, 0.92) * SIZE
            y = SIZE * rng.uniform(0.28, 0.55) if flies else horizon + depth * (SIZE - horizon)
            far = [np.hypot(x - u, y - size / 2 - v) / (size + s) for u, v, s in middles]
            if min(far, default=1) > 0.42:
                found.append((flies, x, y, size))
                middles.append((x, y - size / 2, size))
                break
    return sorted(found, key=lambda stand: (not stand[0], stand[2]))


def draw_scene(rng: np.random.Generator) -> Scene:
    """A new scene; the things behind are painted first."""
    canvas = Canvas(rng, SIZE)
    place = str(rng.choice(list(PLACES)))
    horizon, regions = add_background(canvas, place)
    low, high = (PLACES[place][k].split() for k in (2, 3))
    sky, ground = (region.names["color"].removesuffix("-c") for region in regions[:2])
    for flies, x, y, size in stands(rng, horizon):
        name = str(rng.choice(high if flies else low))
        if not flies and place != "sea":
            canvas.shadow(x, y, size)
        add_thing(canvas, regions, name, place=(x, y, size), avoid=sky if flies else ground)
    picture, seen = canvas.develop(relief(rng, place))
    return Scene(picture, seen, tuple(regions))
