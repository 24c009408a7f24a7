"""Small concept sets and small networks, made in code; and the goldens, where they are."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from dissect.api import dissect_model

LAYERS = ("layer2", "layer3", "layer4")


@pytest.fixture(scope="session")
def synth40(shared) -> Path:
    """The goldens for parity with a peer's program."""
    path = shared / "parity" / "synth40"
    if not path.is_dir():
        pytest.skip("there are no parity goldens in ../shared")
    return path


@dataclass(frozen=True)
class Picture:
    """One image of a set made in code: label maps by category, and whole-image labels."""

    maps: Mapping[str, Sequence[np.ndarray]]
    whole: Mapping[str, Sequence[int]]
    size: tuple[int, int]
    map_size: tuple[int, int]
    split: str = "train"


def _write_csv(path: Path, rows: list[list[object]]) -> None:
    with path.open("w", newline="") as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)


def _write_pictures(root: Path, pictures: Sequence[Picture], categories: Sequence[str], seed: int):
    rng = np.random.default_rng(seed)
    rows: list[list[object]] = [["image", "split", "ih", "iw", "sh", "sw", *categories]]
    for number, picture in enumerate(pictures):
        stem = f"p{number:03d}"
        coarse = rng.integers(0, 256, (7, 7, 3), dtype=np.uint8)
        pixels = Image.fromarray(coarse).resize(picture.size[::-1], Image.Resampling.BILINEAR)
        pixels.save(root / "images" / "src" / f"{stem}.png")
        cells = []
        for category in categories:
            entries = [str(label) for label in picture.whole.get(category, ())]
            for plane, labels in enumerate(picture.maps.get(category, ()), start=1):
                name = f"src/{stem}_{category}_{plane}.png"
                rgb = np.zeros((*labels.shape, 3), np.uint8)
                rgb[..., 0], rgb[..., 1] = labels & 255, labels >> 8
                Image.fromarray(rgb).save(root / "images" / name)
                entries.append(name)
            cells.append(";".join(entries))
        sizes = [*picture.size, *picture.map_size]
        rows.append([f"src/{stem}.png", picture.split, *sizes, *cells])
    _write_csv(root / "index.csv", rows)


def write_set(
    root: Path,
    pictures: Sequence[Picture],
    categories: Mapping[str, Mapping[int, float]],
    *,
    seed: int = 0,
) -> Path:
    """A foreign Broden layout; `categories` holds the coverage of each label of each category."""
    (root / "images" / "src").mkdir(parents=True)
    labels = sorted({number for table in categories.values() for number in table})
    _write_pictures(root, pictures, list(categories), seed)
    header = ["number", "name", "category", "frequency", "coverage", "syns"]
    _write_csv(root / "label.csv", [header, *([n, f"thing {n}", "", 1, "0.5", ""] for n in labels)])
    rows: list[list[object]] = [["name", "first", "last", "count", "frequency"]]
    for name, table in categories.items():
        rows.append([name, min(table), max(table), len(table), 1])
        own = [
            [code, number, f"thing {number}", 1, f"{coverage:.9f}"]
            for code, (number, coverage) in enumerate(table.items(), start=1)
        ]
        _write_csv(
            root / f"c_{name}.csv", [["code", "number", "name", "frequency", "coverage"], *own]
        )
    _write_csv(root / "category.csv", rows)
    return root


def random_pictures(count: int, *, seed: int = 0, size=(32, 32), map_size=(16, 16)):
    """Pictures with blocks of labels 1..5 (object), 6..8 (part, up to two maps), 300 (scene)."""
    rng = np.random.default_rng(seed)
    pictures = []
    for number in range(count):
        objects = np.kron(rng.integers(0, 6, (4, 4)), np.ones((4, 4), int))
        parts = [np.kron(rng.integers(6, 9, (8, 8)), np.ones((2, 2), int)) for _ in range(2)]
        for plane in parts:
            plane[rng.random(plane.shape) < 0.5] = 0
        maps = {"object": [objects], "part": parts[: number % 3]}
        whole = {"scene": [300] if number % 2 else []}
        if number % 5 == 4:
            maps = {}
        pictures.append(
            Picture(maps, whole, size, map_size, split="val" if number % 4 == 3 else "train")
        )
    return pictures


CATEGORIES = {
    "object": {1: 3.0, 2: 2.0, 3: 1.0, 4: 1.0, 5: 0.5, 7: 0.1},
    "part": {6: 1.0, 7: 0.8, 8: 0.2},
    "scene": {300: 5.0},
}


@pytest.fixture(scope="session")
def small_set(tmp_path_factory) -> Path:
    """Eleven images of 32 pixels with maps of 16, three categories, label numbers above 255."""
    root = tmp_path_factory.mktemp("sets") / "small"
    return write_set(root, random_pictures(11), CATEGORIES)


@pytest.fixture
def build_set(tmp_path) -> Callable[..., Path]:
    """`write_set` into a directory of the test's own."""
    return lambda pictures, categories=CATEGORIES, name="set": write_set(
        tmp_path / name, pictures, categories
    )


@pytest.fixture(scope="session")
def write_pictures():
    """`write_set` with the labels of `make_pictures`."""
    return lambda root, pictures: write_set(root, pictures, CATEGORIES)


@pytest.fixture(scope="session")
def make_pictures():
    """`random_pictures`."""
    return random_pictures


@pytest.fixture(scope="session")
def picture_type():
    """`Picture`."""
    return Picture


class Small(nn.Module):
    """Stages with a ReLU in place after their convolution, a head, a part that never runs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, padding=1), nn.ReLU(inplace=True))
        self.stages = nn.ModuleDict(
            {
                "first": nn.Sequential(nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(inplace=True)),
                "second": nn.Sequential(
                    nn.Conv2d(8, 12, 3, stride=2, padding=1), nn.BatchNorm2d(12), nn.ReLU()
                ),
            }
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(12, 5)
        self.unused = nn.Conv2d(3, 3, 1)
        self.act = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stages["first"](self.stem(x))
        x = self.act(self.act(self.stages["second"](x)))
        return self.head(torch.flatten(self.pool(x), 1))


@pytest.fixture
def small_model() -> nn.Module:
    """A network of a few hundred weights; the same in every test."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return Small().eval()


@pytest.fixture
def run(small_model, small_set, tmp_path):
    """Dissects the small network on the small set, or others, below the test's directory."""

    def start(
        out="run",
        layers=("stages.second.0", "stem", "head"),
        model=small_model,
        concept_set=small_set,
        **options,
    ):
        return dissect_model(
            model,
            concept_set,
            layers,
            tmp_path / out,
            **{"quantile": "0.05", "batch_size": 4, "top_images": 3, **options},
        )

    return start


@pytest.fixture(scope="session")
def files_of() -> Callable[[Path], dict[str, bytes]]:
    """Reads a run: every file's bytes; run.json without what may vary."""

    def read(root: Path) -> dict[str, bytes]:
        found = {}
        for path in sorted(root.rglob("*")):
            if path.is_file():
                data = path.read_bytes()
                if path.name == "run.json":
                    document = json.loads(data)
                    del document["environment"], document["timings"]
                    data = json.dumps(document).encode()
                found[path.relative_to(root).as_posix()] = data
        return found

    return read
