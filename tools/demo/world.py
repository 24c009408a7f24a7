"""The world of `make demo`: painted scenes, three people's annotations of them, and a taxonomy.

The scenes that become the concept set never train a network: training scenes are drawn from another
stream of random numbers and kept in a file of their own.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from exports import coco, cvat, labelme
from outline import draw_by_hand
from paint import PALETTE, TEXTURES
from PIL import Image
from pycocotools import mask as rle
from scene import Scene, draw_scene
from scipy import ndimage
from things import THINGS

CATEGORIES = ("object", "part", "texture", "color")
SYNONYMS = {"boat": "ship", "car": "automobile", "disc": "flower centre", "gray-c": "grey-c"}
# What Ben, who works fast, sometimes takes one name for.
MISTAKEN = {
    "mushroom": "umbrella",
    "butterfly": "bird",
    "bird": "butterfly",
    "trunk": "stem",
    "flag": "sail",
    "fuselage": "body",
    "nose": "cap",
    "checkered": "bricks",
    "bricks": "checkered",
    "brown-c": "orange-c",
    "gray-c": "white-c",
    "purple-c": "blue-c",
    "pink-c": "red-c",
}
MISTAKES, OMISSIONS = 0.07, 0.04
# What Cleo, who follows rules of her own, always calls otherwise; she draws around things with a
# margin, and leaves out what is small.
OWN_NAMES = {"trunk": "stem", "butterfly": "bird"}
SMALL, SMALL_OMISSIONS = 60, 0.5
Drawn = list[dict[str, Any]]


def part_names() -> list[str]:
    """The names of all parts, in the order in which the things name them."""
    rng = np.random.default_rng(0)
    shapes = (shape for draw in THINGS.values() for shape in draw(rng))
    return list(dict.fromkeys(shape.part for shape in shapes))


def vocabulary() -> dict[str, str]:
    """Every name of the world, with its category."""
    names = dict.fromkeys(THINGS, "object") | dict.fromkeys(part_names(), "part")
    names |= dict.fromkeys(TEXTURES, "texture")
    return names | {f"{colour}-c": "color" for colour in PALETTE}


def write_taxonomy(path: Path) -> None:
    """Write which category each name belongs to, and Ben's other words for it."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        rows = csv.writer(stream, lineterminator="\n")
        rows.writerow(("name", "concept", "category", "synonyms"))
        for name, category in vocabulary().items():
            rows.writerow((name, name, category, SYNONYMS.get(name, "")))


def exact(name: str, mask: npt.NDArray[np.bool_]) -> dict[str, Any]:
    """What Ada, who has time and a good tool, draws: every visible pixel, run-length encoded."""
    encoded = rle.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {
        "name": name,
        "segmentation": {"size": encoded["size"], "counts": encoded["counts"].decode("ascii")},
        "area": int(rle.area(encoded)),
        "bbox": [float(x) for x in rle.toBbox(encoded)],
    }


def draw_test(task: tuple[int, int]) -> tuple[bytes, Drawn, Drawn, Drawn]:
    """A held-out scene as JPEG, Ada's annotations, Ben's and Cleo's."""
    seed, index = task
    scene = draw_scene(np.random.default_rng((seed, 1, index)))
    person = np.random.default_rng((seed, 2, index))
    ada: Drawn = []
    ben: Drawn = []
    traced: dict[bytes, list[list[float]]] = {}
    for category in CATEGORIES:
        for name, mask in scene.masks(category):
            ada.append(exact(name, mask))
            if person.random() < OMISSIONS:
                continue
            said = MISTAKEN.get(name, name) if person.random() < MISTAKES else name
            key = mask.tobytes()
            if key not in traced:
                traced[key] = draw_by_hand(person, mask)
            rings = traced[key]
            area, bbox = ada[-1]["area"], ada[-1]["bbox"]
            ben.append(
                {
                    "name": SYNONYMS.get(said, said),
                    "segmentation": rings,
                    "area": area,
                    "bbox": bbox,
                }
            )
    stream = io.BytesIO()
    Image.fromarray(scene.picture).save(stream, "JPEG", quality=94, subsampling=0)
    return stream.getvalue(), ada, ben, draw_generously(scene, (seed, 3, index))


def draw_generously(scene: Scene, seed: tuple[int, int, int]) -> Drawn:
    """What Cleo draws: a margin around everything, half of what is small not at all."""
    rng = np.random.default_rng(seed)
    drawn: Drawn = []
    for category in CATEGORIES:
        for name, mask in scene.masks(category):
            if mask.sum() < SMALL and rng.random() < SMALL_OMISSIONS:
                continue
            wide = ndimage.binary_dilation(mask, iterations=1)
            rings = draw_by_hand(rng, wide, stride=3, shake=0.25)
            drawn.append({"name": OWN_NAMES.get(name, name), "segmentation": rings})
    return drawn


def draw_training(task: tuple[int, int]) -> tuple[npt.NDArray[np.uint8], ...]:
    """A training scene: picture, object numbers and part numbers; 0 is neither."""
    seed, index = task
    scene = draw_scene(np.random.default_rng((seed, 0, index)))
    maps = []
    for category, names in (("object", list(THINGS)), ("part", part_names())):
        number = {name: k for k, name in enumerate(names, start=1)}
        table = [number.get(region.names.get(category, ""), 0) for region in scene.regions]
        maps.append(np.array(table, dtype=np.uint8)[scene.seen])
    return scene.picture, *maps


def training_scenes(pool: ProcessPoolExecutor, seed: int, count: int) -> dict[str, Any]:
    """Arrays of the training scenes: images, objects and parts, stacked."""
    tasks = [(seed, index) for index in range(count)]
    scenes: Iterator[tuple[npt.NDArray[np.uint8], ...]]
    scenes = pool.map(draw_training, tasks, chunksize=25)
    stacks = (np.stack(arrays) for arrays in zip(*scenes, strict=True))
    return dict(zip(("images", "objects", "parts"), stacks, strict=True))


def write_world(
    directory: Path, seed: int, n_train: int = 600, n_test: int = 160, *, jobs: int = 2
) -> None:
    """Draw a world into a directory, which is made if it is missing.

    Written are `images/0001.jpg` ... with Ada's COCO file `annotations/ada.json`, Ben's CVAT export
    `annotations/ben.zip`, Cleo's LabelMe files in `annotations/cleo` and `taxonomy.csv` for the
    held-out scenes, and `training.npz` for those that train the network.
    The same seed gives the same bytes, whatever `jobs` is.
    """
    images, annotations = directory / "images", directory / "annotations"
    for folder in (images, annotations / "cleo"):
        folder.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(jobs) as pool:
        np.savez(directory / "training.npz", **training_scenes(pool, seed, n_train))
        tests = list(pool.map(draw_test, [(seed, k) for k in range(n_test)], chunksize=10))
    for k, (picture, *_) in enumerate(tests, start=1):
        (images / f"{k:04d}.jpg").write_bytes(picture)
    names = vocabulary()
    (annotations / "ada.json").write_bytes(coco("ada", names, [t[1] for t in tests]))
    spoken = [SYNONYMS.get(name, name) for name in names]
    (annotations / "ben.zip").write_bytes(cvat("ben", spoken, [t[2] for t in tests]))
    for name, content in labelme([t[3] for t in tests]).items():
        (annotations / "cleo" / name).write_bytes(content)
    write_taxonomy(directory / "taxonomy.csv")
