"""Three people annotate the same images, each with a tool of their own; all of it is known here."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

SIZE = (40, 60)
IMAGES = 12
PEOPLE = ("ada", "ben", "cleo")
NAMES = ("car", "tree", "bush")


def image_name(place):
    return f"{place:04d}.png"


def drawn(person, place):
    """(name, (left, top, width, height)) of what a person draws in an image, in order.

    Ada is exact. Ben draws two pixels to the right and takes every third tree for a bush. Cleo
    leaves out every fourth tree, and has nothing to draw in the last image.
    """
    shift = place % 5
    car, tree = (5 + shift, 6, 18, 14), (34, 8 + shift, 16, 20)
    if person not in PEOPLE[1:]:
        return [("car", car), ("tree", tree)]
    if person == "ben":
        name = "bush" if place % 3 == 0 else "tree"
        return [("car", (car[0] + 2, *car[1:])), (name, tree)]
    if place == IMAGES - 1:
        return []
    return [("car", car)] if place % 4 == 0 else [("car", car), ("tree", tree)]


def label_map(person, place):
    """Names by pixel, (height, width) of numbers from 1 in the order of NAMES; 0 is unlabelled."""
    labels = np.zeros(SIZE, dtype=int)
    for name, (left, top, width, height) in drawn(person, place):
        labels[top : top + height, left : left + width] = NAMES.index(name) + 1
    return labels


def agreement(one, other, place):
    """Share of the pixels that either labelled where both say the same; NaN where nobody did."""
    first, second = label_map(one, place), label_map(other, place)
    either = (first > 0) | (second > 0)
    return ((first == second) & either).sum() / either.sum() if either.any() else np.nan


def _ring(box):
    left, top, width, height = box
    corners = (0, 0), (width, 0), (width, height), (0, height)
    return [(left + across, top + down) for across, down in corners]


def write_photographs(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for place in range(IMAGES):
        pixels = np.random.default_rng(place).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / image_name(place))


def write_coco(path: Path, person="ada", prefix="", size=SIZE) -> Path:
    annotations = [
        {
            "image_id": place,
            "category_id": NAMES.index(name) + 1,
            "segmentation": [[number for corner in _ring(box) for number in corner]],
        }
        for place in range(IMAGES)
        for name, box in drawn(person, place)
    ]
    document = {
        "info": {"contributor": person},
        "images": [
            {
                "id": place,
                "file_name": prefix + image_name(place),
                "height": size[0],
                "width": size[1],
            }
            for place in range(IMAGES)
        ],
        "annotations": [{"id": number} | one for number, one in enumerate(annotations)],
        "categories": [{"id": number, "name": name} for number, name in enumerate(NAMES, 1)],
    }
    path.write_text(json.dumps(document))
    return path


def write_cvat(path: Path, person="ben") -> Path:
    root = ElementTree.Element("annotations")
    ElementTree.SubElement(root, "version").text = "1.1"
    job = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "job")
    assignee = ElementTree.SubElement(job, "assignee")
    ElementTree.SubElement(assignee, "username").text = person
    for place in range(IMAGES):
        image = ElementTree.SubElement(root, "image", id=str(place), name=image_name(place))
        image.attrib |= {"height": str(SIZE[0]), "width": str(SIZE[1])}
        for order, (name, box) in enumerate(drawn(person, place)):
            points = ";".join(f"{x:.2f},{y:.2f}" for x, y in _ring(box))
            shape = {"label": name, "points": points, "occluded": "0", "z_order": str(-order)}
            ElementTree.SubElement(image, "polygon", shape)
    ElementTree.ElementTree(root).write(path, encoding="utf-8")
    return path


def write_labelme(folder: Path, person="cleo") -> Path:
    folder.mkdir()
    for place in range(IMAGES):
        document = {
            "version": "5.4.1",
            "flags": {},
            "shapes": [
                {"label": name, "points": _ring(box), "shape_type": "polygon", "flags": {}}
                for name, box in drawn(person, place)
            ],
            "imagePath": f"..\\images\\{image_name(place)}",
            "imageData": None,
            "imageHeight": SIZE[0],
            "imageWidth": SIZE[1],
        }
        (folder / f"{place:04d}.json").write_text(json.dumps(document))
    return folder


def write_exports(root: Path) -> list[Path]:
    """A COCO file of ada's, a CVAT file of ben's, a folder of LabelMe files of cleo's."""
    root.mkdir(parents=True, exist_ok=True)
    return [
        write_coco(root / "ada.json"),
        write_cvat(root / "ben.xml"),
        write_labelme(root / "cleo"),
    ]


def people_file(root: Path) -> str:
    """A CSV that says whose the files are: LabelMe's say nothing, not even in an empty image."""
    path = root / "people.csv"
    path.write_text("file,annotator\nada.json,ada\nben.xml,ben\ncleo,cleo\n")
    return str(path)
