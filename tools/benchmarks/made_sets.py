"""Concept sets of any number of images, made in code: what a reader finds in Broden's layout.

Photographs have the spectrum of natural ones and edges where labels change. An image has a map of
objects, of parts, of colours and in half of the images of materials, and a scene for the whole of
it: some 22 labels in some 50 combinations. Images are drawn each from a seed of its own, so that
the first so many are the same in every set.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import io
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conceptset.io.parallel import ordered_map

PHOTOGRAPH, MAP = 224, 112
NUMBERS = {  # first and last label, as many as Broden has
    "color": (1, 11),
    "object": (12, 595),
    "part": (596, 829),
    "material": (830, 861),
    "scene": (862, 1197),
}
PEOPLE = ("ada", "ben", "cy", "dot", "eve")
_FIXED = ("image", "split", "ih", "iw", "sh", "sw")
_TABLE = ("code", "number", "name", "frequency", "coverage")

LabelArray = NDArray[np.uint16]


def make_set(root: Path, images: int, *, people: bool = False, jobs: int = 2) -> Path:
    """Write a layout, or take the one that stands there.

    Args:
        root: Its directory.
        images: How many.
        people: Five annotators drew objects and parts, each a little differently; there is
            nothing but objects, parts and scenes then.
        jobs: Processes that draw.
    """
    if (root / "index.csv").is_file():
        return root
    folders = ["m", *(f"annotators/{name}/m" for name in PEOPLE if people)]
    for folder in folders:
        (root / "images" / folder).mkdir(parents=True)
    draw = functools.partial(_write_image, root, people)
    with _calm_workers():
        for _ in ordered_map(draw, range(images), jobs=max(jobs, 2)):
            pass
    categories = ("object", "part", "scene") if people else tuple(NUMBERS)
    _write_tables(root, categories)
    if people:
        _write_people(root, images, categories)
    _write_index(root / "index.csv", images, categories, "m")
    return root


@contextlib.contextmanager
def _calm_workers() -> Iterator[None]:
    """Processes begun inside have no threads for matrices: small ones only wait for each other."""
    before = os.environ.get("OPENBLAS_NUM_THREADS")
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    try:
        yield
    finally:
        os.environ.pop("OPENBLAS_NUM_THREADS")
        if before is not None:
            os.environ["OPENBLAS_NUM_THREADS"] = before


@functools.cache
def _wave(size: int, pixels: int) -> NDArray[np.float32]:
    """(pixels, size) weights that draw a coarse grid at full size, linear in between."""
    places = np.linspace(0, size - 1, pixels)
    weights = np.maximum(1 - np.abs(places[:, None] - np.arange(size)), 0)
    return np.asarray(weights, dtype=np.float32)


def _draw_noise(rng: np.random.Generator, sizes: Sequence[int], pixels: int) -> NDArray[np.float32]:
    """(3, pixels, pixels), the coarser the stronger, as in natural images."""
    total = np.zeros((3, pixels, pixels), dtype=np.float32)
    for size in sizes:
        grid = rng.standard_normal((3, size, size), dtype=np.float32) / np.float32(size**0.7)
        wave = _wave(size, pixels)
        total += wave @ grid @ wave.T
    return total


def _divide(
    centres: NDArray[np.floating], bend: NDArray[np.float32], *, reach: float = 0.12
) -> NDArray[np.int64]:
    """(112, 112) the nearest of some centres in the unit square, along bent distances."""
    grid = (np.arange(MAP, dtype=np.float32) + 0.5) / MAP
    y, x = grid[:, None] + reach * bend[0], grid[None, :] + reach * bend[1]
    distances = [(y - cy) ** 2 + (x - cx) ** 2 for cy, cx in centres.astype(np.float32)]
    return np.asarray(np.argmin(distances, axis=0), dtype=np.int64)


def _choose(rng: np.random.Generator, category: str, count: int) -> LabelArray:
    """So many labels, few of which are common."""
    first, last = NUMBERS[category]
    shares = 1.0 / np.arange(1, last - first + 2)
    numbers = np.arange(first, last + 1)
    return rng.choice(numbers, count, replace=False, p=shares / shares.sum()).astype(np.uint16)


def draw_maps(number: int) -> tuple[dict[str, LabelArray], NDArray[np.int64]]:
    """(112, 112) label maps by category, and which object, from 0, each pixel belongs to."""
    rng = np.random.default_rng((1, number))
    bend = _draw_noise(rng, (3, 9), MAP)
    things = _divide(rng.random((9, 2)), bend)
    objects = _choose(rng, "object", 9)
    objects[rng.random(9) < 0.1] = 0
    pieces = _divide(rng.random((16, 2)), bend)
    parts = _choose(rng, "part", 16)
    parts[rng.random(16) < 0.55] = 0
    maps = {
        "object": objects[things],
        "part": np.where(objects[things] > 0, parts[pieces], 0).astype(np.uint16),
        "color": _choose(rng, "color", 5)[_divide(rng.random((10, 2)), bend) % 5],
    }
    if number % 2:
        maps["material"] = np.append(_choose(rng, "material", 3), np.uint16(0))[things % 4]
    return maps, things


def draw_photograph(number: int, things: NDArray[np.int64]) -> bytes:
    """A JPEG of 224 x 224 pixels."""
    rng = np.random.default_rng((2, number))
    pixels = _draw_noise(rng, (4, 8, 16, 32, 64), PHOTOGRAPH)
    pixels += 0.04 * rng.standard_normal(pixels.shape, dtype=np.float32)
    colours = rng.normal(0, 1, (3, 16)).astype(np.float32)
    pixels += colours[:, things].repeat(2, axis=1).repeat(2, axis=2)
    levels = np.clip(128 + 45 * pixels, 0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(levels.transpose(1, 2, 0)).save(stream, "JPEG", quality=90)
    return stream.getvalue()


def _write_map(path: Path, labels: LabelArray) -> None:
    rgb = np.zeros((*labels.shape, 3), dtype=np.uint8)
    rgb[..., 0], rgb[..., 1] = labels & 255, labels >> 8
    Image.fromarray(rgb).save(path, "PNG")


def _write_image(root: Path, people: bool, number: int) -> None:  # noqa: FBT001
    maps, things = draw_maps(number)
    stem = f"{number:07d}"
    (root / f"images/m/{stem}.jpg").write_bytes(draw_photograph(number, things))
    for category, labels in maps.items():
        if not people or category in ("object", "part"):
            _write_map(root / f"images/m/{stem}_{category}.png", labels)
    for place, name in enumerate(PEOPLE if people else ()):
        rng = np.random.default_rng((3, number, place))
        for category in ("object", "part"):
            own = _redraw(maps[category], rng)
            _write_map(root / f"images/annotators/{name}/m/{stem}_{category}.png", own)


def _redraw(labels: LabelArray, rng: np.random.Generator) -> LabelArray:
    """As somebody else would: edges a little off, some things left out, some called otherwise."""
    bend = 2.5 * _draw_noise(rng, (6, 14), MAP)
    places = np.arange(MAP)
    y = np.clip(np.rint(places[:, None] + bend[0]), 0, MAP - 1).astype(np.int64)
    x = np.clip(np.rint(places[None, :] + bend[1]), 0, MAP - 1).astype(np.int64)
    own = labels[y, x]
    known = np.unique(labels[labels > 0])
    for label in known:
        if (chance := rng.random()) < 0.1:
            own[own == label] = 0 if chance < 0.07 else rng.choice(known)
    return np.asarray(own, dtype=np.uint16)


def _csv(path: Path, rows: Iterator[Sequence[object]] | Sequence[Sequence[object]]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def _write_tables(root: Path, categories: Sequence[str]) -> None:
    """Frequencies are not counted: a run has no use for them; coverage decides between none."""
    labels: list[Sequence[object]] = [
        ("number", "name", "category", "frequency", "coverage", "syns")
    ]
    summary: list[Sequence[object]] = [("name", "first", "last", "count", "frequency")]
    for category in categories:
        first, last = NUMBERS[category]
        numbers = range(first, last + 1)
        labels += [(n, f"{category} {n}", f"{category}(1)", 1, "1.0", "") for n in numbers]
        summary.append((category, first, last, len(numbers), len(numbers)))
        own = [(code, n, f"{category} {n}", 1, "1.0") for code, n in enumerate(numbers, start=1)]
        _csv(root / f"c_{category}.csv", [_TABLE, *own])
    _csv(root / "label.csv", labels)
    _csv(root / "category.csv", summary)


def _write_index(path: Path, images: int, categories: Sequence[str], folder: str) -> None:
    def rows() -> Iterator[Sequence[object]]:
        yield (*_FIXED, *categories)
        for number in range(images):
            stem = f"{number:07d}"
            cells = {
                category: f"{folder}/{stem}_{category}.png"
                for category in categories
                if category not in ("scene", "material") or (category == "material" and number % 2)
            }
            cells["scene"] = str(scene_of(number))
            sizes = (PHOTOGRAPH, PHOTOGRAPH, MAP, MAP)
            yield (f"m/{stem}.jpg", "train", *sizes, *(cells.get(one, "") for one in categories))

    path.parent.mkdir(parents=True, exist_ok=True)
    _csv(path, rows())


def scene_of(number: int) -> int:
    """The label of a whole image."""
    first, last = NUMBERS["scene"]
    return first + min(int(np.random.default_rng((4, number)).exponential(40)), last - first)


def _write_people(root: Path, images: int, categories: Sequence[str]) -> None:
    head = ("annotator", "session", "kind", "directory", "images", "segments")
    rows = [(name, 1, "person", name, images, 15 * images) for name in PEOPLE]
    _csv(root / "annotators.csv", [head, *rows])
    for name in PEOPLE:
        place = root / "annotators" / name / "index.csv"
        _write_index(place, images, categories, f"annotators/{name}/m")
