"""Worlds to build sets from, and plain loops over sets that know nothing of our readers."""

from __future__ import annotations

import csv
import hashlib
import json

import numpy as np
from PIL import Image


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def tree(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def labels_of(root, folder=""):
    """{digest of the photograph: {category: {name: where, (h, w) bool}}} of an index."""
    names = {int(row["number"]): row["name"] for row in rows(root / "label.csv")}
    fixed = ("image", "split", "ih", "iw", "sh", "sw")
    found = {}
    for row in rows(root / folder / "index.csv"):
        photograph = (root / "images" / row["image"]).read_bytes()
        image = found.setdefault(hashlib.sha256(photograph).hexdigest(), {})
        size = (int(row["sh"]), int(row["sw"]))
        for category in set(row) - set(fixed):
            for entry in filter(None, row[category].split(";")):
                where = image.setdefault(category, {})
                if entry.isdigit():
                    if entry != "0":
                        where[names[int(entry)]] = np.ones(size, dtype=bool)
                    continue
                pixels = np.asarray(Image.open(root / "images" / entry)).astype(int)
                codes = pixels[..., 0] + 256 * pixels[..., 1]
                assert codes.shape == size
                for number in set(codes.ravel().tolist()) - {0}:
                    name = names[number]
                    before = where.get(name, np.zeros(size, dtype=bool))
                    where[name] = before | (codes == number)
    return found


def renamed(labels, names=None, categories=None):
    """The same under other names: {old: new, or None for what is left out}."""
    result = {}
    for image, by_category in labels.items():
        own = result.setdefault(image, {})
        for category, by_name in by_category.items():
            for name, where in by_name.items():
                new = (names or {}).get(name, name)
                if new is None:
                    continue
                place = own.setdefault((categories or {}).get(category, category), {})
                place[new] = place.get(new, np.zeros_like(where)) | where
    return result


def same_labels(one, other):
    """Whether two results of `labels_of` agree at every pixel of every category."""
    assert one.keys() == other.keys()
    for image in one:
        assert one[image].keys() == other[image].keys(), image
        for category in one[image]:
            assert one[image][category].keys() == other[image][category].keys(), (image, category)
            for name, where in one[image][category].items():
                assert (where == other[image][category][name]).all(), (image, category, name)
    return True


class World:
    """Photographs and COCO files in one folder."""

    def __init__(self, root):
        self.root = root
        (root / "images").mkdir(parents=True)

    def photograph(self, name, size=(16, 24), seed=0):
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        path = self.root / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    def coco(self, file, images, annotations):
        """`images`: name -> (height, width); `annotations`: (image, name, box, extra keys)."""
        ids = {name: place for place, name in enumerate(images, start=1)}
        words = sorted({name for _, name, *_ in annotations})
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
                    "segmentation": [[x, y, x + w, y, x + w, y + h, x, y + h]],
                    **(extra[0] if extra else {}),
                }
                for place, (image, word, (x, y, w, h), *extra) in enumerate(annotations)
            ],
        }
        path = self.root / file
        path.write_text(json.dumps(document))
        return path
