"""A concept set of real photographs, written without any code of ours."""

from __future__ import annotations

import csv
import json

import numpy as np
from PIL import Image


def write_msrc(source, root, *, most=None):
    """The photographs and label maps of `source` as a foreign Broden layout, all or the first.

    Classes are spread over the photographs, so that a part of these has most of them.
    """
    (root / "images").mkdir(parents=True)
    names = json.loads((source / "classes.json").read_text())
    rows, coverage, frequency = [], np.zeros(24), np.zeros(24, int)
    photographs = sorted((source / "images").glob("*.jpg"))
    step = 1 if most is None else len(photographs) // most
    for photograph in photographs[::step]:
        stem = photograph.stem
        image = Image.open(photograph).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        image.save(root / "images" / f"{stem}.png", compress_level=1)
        labels = Image.open(source / "labels" / f"{stem}.png")
        labels = np.asarray(labels.resize((112, 112), Image.Resampling.NEAREST))
        pixels = np.zeros((112, 112, 3), np.uint8)
        pixels[..., 0] = labels
        Image.fromarray(pixels).save(root / "images" / f"{stem}_object.png")
        share = np.bincount(labels.reshape(-1), minlength=24) / labels.size
        coverage += share
        frequency += share > 0
        rows.append([f"{stem}.png", "val", 224, 224, 112, 112, f"{stem}_object.png"])
    used = [label for label in range(1, 24) if frequency[label]]
    tables = {
        "index.csv": [["image", "split", "ih", "iw", "sh", "sw", "object"], *rows],
        "label.csv": [["number", "name"], *([n, names[str(n)]] for n in used)],
        "category.csv": [["name"], ["object"]],
        "c_object.csv": [
            ["number", "name", "coverage"],
            *([n, names[str(n)], coverage[n]] for n in used),
        ],
    }
    for name, content in tables.items():
        with (root / name).open("w", newline="") as stream:
            csv.writer(stream).writerows(content)
    return root
