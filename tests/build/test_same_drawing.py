"""One drawing as COCO, CVAT, LabelMe JSON, Darwin and masks: the same label maps, byte for byte."""

from __future__ import annotations

import json
import math
import random
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set

NAMES = ("door", "wall", "roof")
SIZE = (60, 90)
CELL = 30


def drawing(seed):
    """Polygons of a random image, no two of which touch: (name, points with two decimals)."""
    rng = random.Random(seed)
    shapes = []
    for top in range(0, SIZE[0], CELL):
        for left in range(0, SIZE[1], CELL):
            turns = sorted(rng.random() * 2 * math.pi for _ in range(rng.randint(3, 9)))
            points = [
                (
                    round(left + CELL / 2 + rng.uniform(3, 14.5) * math.cos(turn), 2),
                    round(top + CELL / 2 + rng.uniform(3, 14.5) * math.sin(turn), 2),
                )
                for turn in turns
            ]
            shapes.append((rng.choice(NAMES), points))
    # corners on pixel centres and edges along them, where ties are decided
    shapes[0] = ("door", [(2.5, 2.5), (20.5, 2.5), (20.5, 17.5), (11.25, 25.75), (2.5, 17.5)])
    return shapes


def inside(points, row, column):
    """Even-odd by exact fractions; a centre on a left or top edge is in."""
    y = Fraction(2 * row + 1, 2)
    x = Fraction(2 * column + 1, 2)
    odd = False
    exact = [(Fraction(str(px)), Fraction(str(py))) for px, py in points]
    for (x0, y0), (x1, y1) in zip(exact, exact[1:] + exact[:1], strict=True):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
            odd = not odd
    return odd


def write_coco(folder, drawings):
    images, annotations = [], []
    for name, shapes in drawings.items():
        images.append({"id": len(images), "file_name": name, "height": SIZE[0], "width": SIZE[1]})
        annotations += [
            {
                "id": len(annotations) + place,
                "image_id": images[-1]["id"],
                "category_id": NAMES.index(label) + 1,
                "segmentation": [[number for point in points for number in point]],
                "bbox": [0, 0, 1, 1],
            }
            for place, (label, points) in enumerate(shapes)
        ]
    categories = [{"id": place, "name": name} for place, name in enumerate(NAMES, 1)]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "a.json").write_text(json.dumps(document))


def write_cvat(folder, drawings):
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    for place, (name, shapes) in enumerate(drawings.items()):
        image = ElementTree.SubElement(
            root, "image", id=str(place), name=name, width=str(SIZE[1]), height=str(SIZE[0])
        )
        for label, points in shapes:
            text = ";".join(f"{x:.2f},{y:.2f}" for x, y in points)
            ElementTree.SubElement(
                image, "polygon", label=label, points=text, occluded="0", z_order="0"
            )
    ElementTree.ElementTree(root).write(folder / "annotations.xml", encoding="utf-8")


def write_labelme(folder, drawings):
    for name, shapes in drawings.items():
        document = {
            "version": "5.4.1",
            "flags": {},
            "shapes": [
                {
                    "label": label,
                    "points": [list(point) for point in points],
                    "group_id": None,
                    "shape_type": "polygon",
                    "flags": {},
                }
                for label, points in shapes
            ],
            "imagePath": f"..\\images\\{name}",
            "imageData": None,
            "imageHeight": SIZE[0],
            "imageWidth": SIZE[1],
        }
        (folder / name).with_suffix(".json").write_text(json.dumps(document))


def write_darwin(folder, drawings):
    for name, shapes in drawings.items():
        document = {
            "image": {"width": SIZE[1], "height": SIZE[0], "filename": name},
            "annotations": [
                {"name": label, "polygon": {"path": [{"x": x, "y": y} for x, y in points]}}
                for label, points in shapes
            ],
        }
        (folder / name).with_suffix(".json").write_text(json.dumps(document))


def write_masks(folder, drawings):
    (folder / "masks").mkdir()
    (folder / "classes.txt").write_text("\n".join(("background", *NAMES)) + "\n")
    for name, shapes in drawings.items():
        codes = np.zeros(SIZE, dtype=np.uint8)
        for label, points in shapes:
            across, down = zip(*points, strict=True)
            for row in range(math.floor(min(down)), math.ceil(max(down))):
                for column in range(math.floor(min(across)), math.ceil(max(across))):
                    if inside(points, row, column):
                        codes[row, column] = NAMES.index(label) + 1
        Image.fromarray(codes).save(folder / "masks" / name)


WRITERS = {
    "coco": write_coco,
    "cvat": write_cvat,
    "labelme": write_labelme,
    "darwin": write_darwin,
    "masks": write_masks,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Every file of the sets that are built from the drawing, by format."""
    root = tmp_path_factory.mktemp("same")
    images = root / "images"
    images.mkdir()
    drawings = {f"{seed}.png": drawing(seed) for seed in range(4)}
    for seed, name in enumerate(drawings):
        noise = np.random.default_rng(seed).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(noise).save(images / name)
    files = {}
    for name, write in WRITERS.items():
        source, out = root / name, root / f"{name}-set"
        source.mkdir()
        write(source, drawings)
        options = BuildOptions(
            images=images,
            annotator="ada",
            image_size=None,
            segmentation_size=SIZE,
            image_format="png",
        )
        build_set([source], out, options)
        files[name] = {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in sorted(out.rglob("*"))
            if path.is_file() and path.name not in ("conceptset.json", "segments.jsonl")
        }
    return files


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "masks"])
def test_the_same_drawing_is_the_same_set(built, name):
    ours, masks = built[name], built["masks"]
    assert len([path for path in masks if path.endswith("_object.png")]) == 4
    assert sorted(ours) == sorted(masks)
    differing = [path for path in masks if ours[path] != masks[path]]
    # the masks hold one region per concept, the outlines one per object: only that is counted apart
    assert differing == ["annotators.csv"]
    assert built[name] == built["coco"]
