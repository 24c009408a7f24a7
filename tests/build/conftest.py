"""Small COCO worlds to build from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


class World:
    """Photographs and COCO files in one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "images").mkdir()

    def photograph(self, name, size=(16, 24), seed=None, **save):
        pixels = np.random.default_rng(abs(hash_of(name)) if seed is None else seed)
        path = self.root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.integers(0, 256, (*size, 3), dtype=np.uint8)).save(path, **save)
        return path

    def coco(self, file, images, annotations, **extra):
        """`images`: name -> (height, width); `annotations`: (image, name, extra keys or box)."""
        ids = {name: place for place, name in enumerate(images, start=1)}
        words = sorted({name for _, name, _ in annotations})
        document = {
            "images": [
                {"id": ids[name], "file_name": name, "height": size[0], "width": size[1]}
                for name, size in images.items()
            ],
            "categories": [{"id": place, "name": word} for place, word in enumerate(words)],
            "annotations": [
                {
                    "id": place,
                    "image_id": ids[image],
                    "category_id": words.index(word),
                    **(shape if isinstance(shape, dict) else {"segmentation": [box(*shape)]}),
                }
                for place, (image, word, shape) in enumerate(annotations)
            ],
            **extra,
        }
        path = self.root / file
        path.write_text(json.dumps(document))
        return path


def hash_of(name):
    return sum(ord(letter) * 31**place for place, letter in enumerate(name)) % 2**31


def box(x, y, width, height):
    return [x, y, x + width, y, x + width, y + height, x, y + height]


@pytest.fixture
def world(tmp_path):
    folder = tmp_path / "world"
    folder.mkdir()
    return World(folder)
