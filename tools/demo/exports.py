"""What the tools of the three people export: a COCO file, a zipped CVAT task, LabelMe files."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from scene import SIZE

Drawn = list[dict[str, Any]]


def coco(person: str, names: Mapping[str, str], drawn: Sequence[Drawn]) -> bytes:
    """A COCO file that says of each image who annotated it.

    Args:
        person: Who drew.
        names: The names of the world, with their categories.
        drawn: Annotations of every image, in order.
    """
    number = {name: k for k, name in enumerate(names, start=1)}
    annotations = (
        {"image_id": image, "category_id": number[entry["name"]], "iscrowd": 0}
        | {key: entry[key] for key in ("segmentation", "area", "bbox")}
        for image, entries in enumerate(drawn, start=1)
        for entry in entries
    )
    document = {
        "info": {"description": "scenes of the demo"},
        "images": [
            {
                "id": k,
                "file_name": f"{k:04d}.jpg",
                "width": SIZE,
                "height": SIZE,
                "annotator": person,
            }
            for k in range(1, len(drawn) + 1)
        ],
        "annotations": [{"id": k} | entry for k, entry in enumerate(annotations, start=1)],
        "categories": [
            {"id": number[name], "name": name, "supercategory": category}
            for name, category in names.items()
        ],
    }
    return (json.dumps(document, separators=(",", ":")) + "\n").encode()


def cvat(person: str, names: Iterable[str], drawn: Sequence[Drawn]) -> bytes:
    """A zipped export "CVAT for images 1.1" of a job that was assigned to a person.

    CVAT knows no shape of several outlines: each becomes a polygon.
    """
    root = Element("annotations")
    SubElement(root, "version").text = "1.1"
    job = SubElement(SubElement(root, "meta"), "job")
    SubElement(job, "id").text = "1"
    SubElement(job, "size").text = str(len(drawn))
    SubElement(job, "mode").text = "annotation"
    labels = SubElement(job, "labels")
    for name in names:
        label = SubElement(labels, "label")
        SubElement(label, "name").text = name
        SubElement(label, "type").text = "polygon"
    assignee = SubElement(job, "assignee")
    SubElement(assignee, "username").text = person
    SubElement(assignee, "email").text = f"{person}@example.org"
    for place, entries in enumerate(drawn):
        image = SubElement(root, "image", id=str(place), name=f"{place + 1:04d}.jpg")
        image.set("width", str(SIZE))
        image.set("height", str(SIZE))
        for order, entry in enumerate(entries):
            for ring in entry["segmentation"]:
                points = ";".join(
                    f"{x:.2f},{y:.2f}" for x, y in zip(ring[::2], ring[1::2], strict=True)
                )
                shape = SubElement(image, "polygon", label=entry["name"], source="manual")
                shape.set("occluded", "0")
                shape.set("points", points)
                shape.set("z_order", str(order))
    indent(root)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        member = zipfile.ZipInfo("annotations.xml", date_time=(1980, 1, 1, 0, 0, 0))
        member.compress_type = zipfile.ZIP_DEFLATED
        archive.writestr(member, tostring(root, encoding="utf-8", xml_declaration=True))
    return stream.getvalue()


def labelme(drawn: Sequence[Drawn]) -> dict[str, bytes]:
    """A LabelMe JSON for each image, by file name; nothing in them says who drew.

    LabelMe joins the outlines of one object by a group number.
    """
    files = {}
    for place, entries in enumerate(drawn, start=1):
        shapes = [
            {
                "label": entry["name"],
                "points": [list(point) for point in zip(ring[::2], ring[1::2], strict=True)],
                "group_id": group if len(entry["segmentation"]) > 1 else None,
                "shape_type": "polygon",
                "flags": {},
            }
            for group, entry in enumerate(entries)
            for ring in entry["segmentation"]
        ]
        document = {
            "version": "5.5.0",
            "flags": {},
            "shapes": shapes,
            "imagePath": f"../../images/{place:04d}.jpg",
            "imageData": None,
            "imageHeight": SIZE,
            "imageWidth": SIZE,
        }
        files[f"{place:04d}.json"] = (json.dumps(document, indent=1) + "\n").encode()
    return files
