"""The things of the demo world: twelve objects, drawn from parts in a unit square.

x to the right, y down, a thing stands on y = 1. Every call draws another individual: proportions
vary, names do not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Shape:
    """One closed outline of a thing.

    Attributes:
        ring: (points, 2) x and y in the unit square of the thing.
        part: Name of the part that the shape belongs to.
        ink: Shapes with the same number have the same colour and texture.
        skin: Whether the surface is large enough to carry a texture.
    """

    ring: FloatArray
    part: str
    ink: int
    skin: bool = False


def oval(x: float, y: float, rx: float, ry: float) -> FloatArray:
    """An ellipse around (x, y) as a ring of 28 points."""
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    return np.stack([x + rx * np.cos(angle), y + ry * np.sin(angle)], axis=1)


def box(left: float, top: float, right: float, bottom: float) -> FloatArray:
    """An upright rectangle."""
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)])


def ring(*points: Point) -> FloatArray:
    """A polygon with straight sides."""
    return np.array(points)


def smooth(points: Sequence[Point]) -> FloatArray:
    """A closed Catmull-Rom curve through the points, six steps from one to the next."""
    p1 = np.array(points, dtype=np.float64)
    p0, p2, p3 = np.roll(p1, 1, axis=0), np.roll(p1, -1, axis=0), np.roll(p1, -2, axis=0)
    t = np.linspace(0, 1, 6, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (p[:, None] for p in (p0, p1, p2, p3))
    curve = p1 + t * (
        (p2 - p0) / 2
        + t * (p0 - 2.5 * p1 + 2 * p2 - p3 / 2 + t * (1.5 * (p1 - p2) + (p3 - p0) / 2))
    )
    return curve.reshape(-1, 2)


def blob(rng: np.random.Generator, x: float, y: float, rx: float, ry: float) -> FloatArray:
    """An uneven round outline, such as a tree's crown or a cloud."""
    angle = np.linspace(0, 2 * np.pi, 11, endpoint=False) + rng.uniform(0, 1)
    radius = rng.uniform(0.82, 1.1, angle.size)
    points = np.stack([x + rx * radius * np.cos(angle), y + ry * radius * np.sin(angle)], axis=1)
    return smooth([(px, py) for px, py in points])


def house(rng: np.random.Generator) -> list[Shape]:
    """Wall, roof, chimney, door and two windows."""
    eaves, ridge = rng.uniform(0.42, 0.5), rng.uniform(0.3, 0.7)
    flat = rng.choice([0.0, 0.14])
    door = rng.choice([0.2, 0.42, 0.62])
    panes = [x for x in (0.16, 0.42, 0.65) if abs(x - door) > 0.1]
    return [
        Shape(box(0.72, 0.04, 0.86, 0.42), "chimney", 2),
        Shape(box(0.1, eaves - 0.02, 0.9, 1), "wall", 0, skin=True),
        Shape(
            ring((0, eaves), (ridge - flat, 0.08), (ridge + flat, 0.08), (1, eaves)),
            "roof",
            1,
            skin=True,
        ),
        Shape(box(door, 0.64, door + 0.18, 1), "door", 3),
        *(Shape(box(x, 0.58, x + 0.2, 0.8), "window", 4) for x in panes),
    ]


def car(rng: np.random.Generator) -> list[Shape]:
    """Bodywork, two windows, a headlight and two wheels."""
    back, front = rng.uniform(0.12, 0.24), rng.uniform(0.66, 0.76)
    top, size = rng.uniform(0.42, 0.5), rng.uniform(0.11, 0.14)
    shell = [(0, 0.7), (back, 0.66), (back + 0.1, top), (front - 0.12, top), (front, 0.66)]
    shapes = [
        Shape(ring(*shell, (0.97, 0.71), (1, 0.9), (0, 0.9)), "bodywork", 0, skin=True),
        Shape(
            ring((back + 0.05, 0.66), (back + 0.13, top + 0.04), (0.43, top + 0.04), (0.43, 0.66)),
            "window",
            1,
        ),
        Shape(
            ring(
                (0.47, 0.66), (0.47, top + 0.04), (front - 0.15, top + 0.04), (front - 0.05, 0.66)
            ),
            "window",
            1,
        ),
        Shape(oval(0.94, 0.77, 0.05, 0.05), "headlight", 3),
    ]
    for x in (0.22, 0.77):
        shapes.append(Shape(oval(x, 0.99 - size, size, size), "wheel", 2))
        shapes.append(Shape(oval(x, 0.99 - size, size / 2.3, size / 2.3), "wheel", 4))
    return shapes


def tree(rng: np.random.Generator) -> list[Shape]:
    """Trunk and crown: round, or two tiers of a fir."""
    trunk = ring((0.43, 0.5), (0.57, 0.5), (0.61, 1), (0.39, 1))
    if rng.random() < 0.4:
        fir = [(0.5, 0), (0.78, 0.42), (0.64, 0.42), (0.9, 0.74), (0.1, 0.74), (0.36, 0.42)]
        return [
            Shape(trunk, "trunk", 1),
            Shape(ring(*fir, (0.22, 0.42)), "crown", 0, skin=True),
        ]
    crown = blob(rng, 0.5, 0.34, 0.4, 0.34)
    return [Shape(trunk, "trunk", 1), Shape(crown, "crown", 0, skin=True)]


def boat(rng: np.random.Generator) -> list[Shape]:
    """Hull, mast, one or two sails and a flag."""
    mast = rng.uniform(0.42, 0.52)
    shapes = [
        Shape(box(mast - 0.02, 0, mast + 0.02, 0.8), "mast", 2),
        Shape(
            ring((mast + 0.03, 0.12), (rng.uniform(0.85, 1), 0.7), (mast + 0.03, 0.72)),
            "sail",
            1,
            skin=True,
        ),
        Shape(ring((0.03, 0.76), (1, 0.76), (0.84, 1), (0.18, 1)), "hull", 0, skin=True),
        Shape(ring((mast - 0.02, 0), (mast - 0.24, 0.07), (mast - 0.02, 0.14)), "flag", 3),
    ]
    if rng.random() < 0.6:
        shapes.append(Shape(ring((mast - 0.04, 0.24), (mast - 0.04, 0.7), (0.1, 0.7)), "sail", 1))
    return shapes


def fish(rng: np.random.Generator) -> list[Shape]:
    """Body, tail, two fins and an eye."""
    tall = rng.uniform(0.2, 0.27)
    body = [(0.26, 0.6), (0.5, 0.6 - tall), (0.8, 0.6 - tall * 0.8), (1, 0.6)]
    belly = [(0.8, 0.6 + tall * 0.8), (0.5, 0.6 + tall)]
    tail = ring((0.32, 0.6), (0, 0.34), (0.08, 0.6), (0, 0.86))
    fin = ring((0.44, 0.62 - tall), (0.36, 0.5 - tall), (0.72, 0.5 - tall), (0.76, 0.66 - tall))
    return [
        Shape(tail, "tail", 1, skin=True),
        Shape(fin, "fin", 2),
        Shape(smooth(body + belly), "body", 0, skin=True),
        Shape(ring((0.46, 0.62), (0.64, 0.62), (0.42, 0.82)), "fin", 2),
        Shape(oval(0.82, 0.54, 0.055, 0.055), "eye", 3),
        Shape(oval(0.83, 0.54, 0.022, 0.022), "eye", 4),
    ]


def flower(rng: np.random.Generator) -> list[Shape]:
    """Stem, two leaves, petals and the disc in their middle."""
    count, turn = int(rng.integers(5, 8)), rng.uniform(0, 1)
    petals = []
    for k in range(count):
        a = turn + 2 * np.pi * k / count
        along, across = np.array([np.cos(a), np.sin(a)]), np.array([-np.sin(a), np.cos(a)])
        middle, wide = np.array([0.5, 0.32]), 0.95 / count
        points = [(0.04, 0.0), (0.2, wide), (0.32, 0.0), (0.2, -wide)]
        petals.append(smooth([tuple(middle + u * along + v * across) for u, v in points]))
    leaf = [(0.51, 0.92), (0.62, 0.72), (0.86, 0.66), (0.74, 0.86)]
    return [
        Shape(box(0.475, 0.4, 0.525, 1), "stem", 2),
        Shape(smooth(leaf), "leaf", 3),
        Shape(smooth([(1 - x, y + 0.03) for x, y in leaf]), "leaf", 3),
        *(Shape(petal, "petal", 0, skin=True) for petal in petals),
        Shape(oval(0.5, 0.32, 0.12, 0.12), "disc", 1),
    ]


def balloon(rng: np.random.Generator) -> list[Shape]:
    """A hot-air balloon: canopy, ropes and basket."""
    wide, low = rng.uniform(0.36, 0.42), rng.uniform(0.68, 0.74)
    canopy = [(0.5, 0), (0.5 + wide, 0.2), (0.5 + wide * 0.9, 0.45), (0.6, low), (0.4, low)]
    canopy += [(0.5 - wide * 0.9, 0.45), (0.5 - wide, 0.2)]
    return [
        Shape(ring((0.39, low - 0.05), (0.42, low - 0.05), (0.42, 0.9), (0.4, 0.9)), "rope", 2),
        Shape(ring((0.58, low - 0.05), (0.61, low - 0.05), (0.6, 0.9), (0.58, 0.9)), "rope", 2),
        Shape(smooth(canopy), "canopy", 0, skin=True),
        Shape(ring((0.36, 0.82), (0.64, 0.82), (0.61, 1), (0.39, 1)), "basket", 1, skin=True),
    ]


def rocket(rng: np.random.Generator) -> list[Shape]:
    """Fuselage, nose, two fins, a window and a flame."""
    wide, nose = rng.uniform(0.14, 0.18), rng.uniform(0.24, 0.3)
    left, right = 0.5 - wide, 0.5 + wide
    flame = [(left + 0.03, 0.8), (right - 0.03, 0.8), (0.56, 0.9), (0.5, 1), (0.44, 0.9)]
    return [
        Shape(smooth(flame), "flame", 4),
        Shape(ring((left, 0.56), (left - 0.2, 0.76), (left - 0.18, 0.88), (left, 0.78)), "fin", 2),
        Shape(
            ring((right, 0.56), (right + 0.2, 0.76), (right + 0.18, 0.88), (right, 0.78)), "fin", 2
        ),
        Shape(box(left, nose, right, 0.82), "fuselage", 0, skin=True),
        Shape(
            ring((left, nose), (left + 0.04, nose - 0.12), (0.5, 0), (right - 0.04, nose - 0.12))
            if rng.random() < 0.5
            else ring((left, nose), (0.5, 0), (right, nose)),
            "nose",
            1,
        ),
        Shape(oval(0.5, nose + 0.15, wide * 0.62, wide * 0.62), "window", 3),
    ]


def mushroom(rng: np.random.Generator) -> list[Shape]:
    """Stem and cap."""
    rim, thick = rng.uniform(0.44, 0.54), rng.uniform(0.1, 0.15)
    cap = [(0.04, rim), (0.12, 0.24), (0.5, 0.06), (0.88, 0.24), (0.96, rim), (0.5, rim + 0.05)]
    stem = [(0.5 - thick, rim - 0.06), (0.5 + thick, rim - 0.06), (0.56 + thick, 1)]
    return [
        Shape(ring(*stem, (0.44 - thick, 1)), "stem", 1),
        Shape(smooth(cap), "cap", 0, skin=True),
    ]


def butterfly(rng: np.random.Generator) -> list[Shape]:
    """Four wings, a body and two antennae."""
    reach = rng.uniform(0.4, 0.5)
    upper = [(0.0, 0.52), (0.14, 0.2), (reach, 0.1), (reach, 0.42)]
    lower = [(0.0, 0.55), (0.3, 0.5), (reach - 0.08, 0.68), (0.18, 0.94)]
    shapes = []
    for side in (-1, 1):
        feeler = [(0.01, 0.34), (0.12, 0.02), (0.17, 0.03), (0.035, 0.36)]
        for points, ink in ((upper, 0), (lower, 1)):
            wing = smooth([(0.5 + side * x, y) for x, y in points])
            shapes.append(Shape(wing, "wing", ink, skin=True))
        shapes.append(Shape(ring(*((0.5 + side * x, y) for x, y in feeler)), "antenna", 2))
    return [*shapes, Shape(oval(0.5, 0.57, 0.055, 0.27), "body", 2)]


def umbrella(rng: np.random.Generator) -> list[Shape]:
    """Canopy and handle."""
    rim = rng.uniform(0.44, 0.52)
    angle = np.linspace(np.pi, 2 * np.pi, 20)
    dome = [(0.5 + 0.5 * np.cos(a), rim + (rim - 0.04) * np.sin(a)) for a in angle]
    scallops = [(1 - k / 16, rim - 0.07 * abs(np.sin(np.pi * k / 4))) for k in range(1, 16)]
    hook = [(0.47, rim - 0.2), (0.53, rim - 0.2), (0.53, 0.92), (0.62, 0.94), (0.68, 0.86)]
    hook += [(0.74, 0.88), (0.66, 1), (0.52, 1), (0.47, 0.95)]
    return [
        Shape(ring(*hook), "handle", 1),
        Shape(ring(*dome, *scallops), "canopy", 0, skin=True),
    ]


def bird(rng: np.random.Generator) -> list[Shape]:
    """Body, wing, tail, beak, eye and two legs."""
    lift = rng.uniform(-0.25, 0.1)
    body = [(0.16, 0.52), (0.4, 0.4), (0.62, 0.36), (0.74, 0.2), (0.88, 0.24), (0.88, 0.42)]
    body += [(0.74, 0.68), (0.46, 0.78)]
    wing = [(0.64, 0.46), (0.42, 0.42), (0.14, 0.4 + lift), (0.24, 0.62 + lift), (0.48, 0.68)]
    return [
        Shape(ring((0.26, 0.46), (0, 0.4), (0.02, 0.62), (0.26, 0.64)), "tail", 2),
        *(Shape(box(x, 0.72, x + 0.04, 1), "leg", 3) for x in (0.46, 0.6)),
        Shape(ring((0.86, 0.24), (1.04, 0.34), (0.86, 0.4)), "beak", 3),
        Shape(smooth(body), "body", 0, skin=True),
        Shape(smooth(wing), "wing", 1, skin=True),
        Shape(oval(0.79, 0.29, 0.035, 0.035), "eye", 4),
    ]


THINGS: dict[str, Callable[[np.random.Generator], list[Shape]]] = {
    draw.__name__: draw
    for draw in (
        house,
        car,
        tree,
        boat,
        fish,
        flower,
        balloon,
        rocket,
        mushroom,
        butterfly,
        umbrella,
        bird,
    )
}
