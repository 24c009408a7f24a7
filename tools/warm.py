#!/usr/bin/env python3
"""Compiles the kernels of a dissection, once, before several test processes would all do it.

A tiny network is dissected on a few photographs of noise; what is compiled stays beside the code.
"""

from __future__ import annotations

import csv
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def write_set(root: Path, images: int) -> Path:
    """So many photographs of noise in Broden's layout, with two labels of one category."""
    (root / "images").mkdir(parents=True)
    random = np.random.default_rng(0)
    rows = []
    for number in range(images):
        name = f"{number:02}"
        pixels = random.integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{name}.png")
        labels = np.zeros((8, 8, 3), np.uint8)
        labels[:, : 2 + number % 4, 0], labels[5:, 5:, 0] = 1, 2
        Image.fromarray(labels).save(root / "images" / f"{name}_object.png")
        rows.append([f"{name}.png", "train", 16, 16, 8, 8, f"{name}_object.png"])
    tables = {
        "index.csv": [["image", "split", "ih", "iw", "sh", "sw", "object"], *rows],
        "label.csv": [["number", "name"], [1, "door"], [2, "window"]],
        "category.csv": [["name"], ["object"]],
        "c_object.csv": [["number", "name", "coverage"], [1, "door", 1], [2, "window", 0.4]],
    }
    for name, content in tables.items():
        with (root / name).open("w", newline="") as stream:
            csv.writer(stream).writerows(content)
    return root


def main() -> None:
    from torch import nn

    from dissect.api import dissect_model

    network = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=4))
    with tempfile.TemporaryDirectory() as folder:
        concept_set = write_set(Path(folder) / "set", images=12)
        for name, layers in (("small", ["1"]), ("large", ["0"])):  # the second is reduced
            out = Path(folder) / name
            chosen = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "quantile": "0.1"}
            dissect_model(network.eval(), concept_set, layers, out, **chosen)


if __name__ == "__main__":
    main()
