"""A small valid source in every format: photographs on disk, and its documents to be spoiled.

A document is JSON (dict, list), lines of JSON (`Lines`), rows of a CSV (`Rows`) or text.
"""

from __future__ import annotations

import base64
import csv
import io
import json

import numpy as np
from PIL import Image
from pycocotools import mask as coco_mask

SIZE = (24, 32)


class Lines(list):
    """A document of one JSON value per line."""


class Rows(list):
    """A document of CSV rows."""


def text_of(document):
    if isinstance(document, Rows):
        stream = io.StringIO()
        csv.writer(stream, lineterminator="\n").writerows(document)
        return stream.getvalue()
    if isinstance(document, Lines):
        return "".join(f"{json.dumps(line)}\n" for line in document)
    return document if isinstance(document, str) else json.dumps(document)


def write(root, documents):
    for name, document in documents.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        data = document if isinstance(document, bytes) else text_of(document).encode()
        (root / name).write_bytes(data)


def photograph(path, seed=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def painted(*boxes):
    """Codes of (top, bottom, left, right, code)."""
    codes = np.zeros(SIZE, dtype=np.uint8)
    for top, bottom, left, right, code in boxes:
        codes[top:bottom, left:right] = code
    return codes


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def png(pixels):
    stream = io.BytesIO()
    Image.fromarray(pixels.astype(np.uint8)).save(stream, "PNG")
    return stream.getvalue()


def coco(root):
    for seed, name in enumerate("ab"):
        photograph(root / f"images/{name}.png", seed)
    packed = coco_mask.encode(np.asfortranarray(painted((2, 8, 3, 9, 1))))
    image = {"height": SIZE[0], "width": SIZE[1]}
    return {
        "a.json": {
            "info": {"contributor": "ada"},
            "images": [
                {"id": 1, "file_name": "a.png", "annotator": "ann", **image},
                {"id": 2, "file_name": "b.png", **image},
            ],
            "categories": [{"id": 1, "name": "door"}, {"id": 2, "name": "wall"}],
            "annotations": [
                {
                    "id": 1,
                    "image_id": 1,
                    "category_id": 1,
                    "segmentation": [[1, 1, 9, 1, 9, 9]],
                    "bbox": [1, 1, 8, 8],
                    "iscrowd": 0,
                },
                {
                    "id": 2,
                    "image_id": 1,
                    "category_id": 2,
                    "segmentation": {"size": list(SIZE), "counts": packed["counts"].decode()},
                    "iscrowd": 1,
                    "attributes": {"annotator": "bob"},
                },
                {
                    "id": 3,
                    "image_id": 2,
                    "category_id": 2,
                    "segmentation": {"size": list(SIZE), "counts": [50, 10, 14, 10, 684]},
                },
            ],
        }
    }


def panoptic(root):
    photograph(root / "images/a.jpg")
    codes = painted((2, 8, 3, 9, 7), (10, 20, 10, 20, 9))
    save(root / "p/a.png", np.stack([codes, 0 * codes, 0 * codes], axis=-1))
    segment = {"area": 36, "bbox": [3, 2, 6, 6]}
    return {
        "p.json": {
            "images": [{"id": 1, "file_name": "a.jpg", "height": SIZE[0], "width": SIZE[1]}],
            "categories": [
                {"id": 1, "name": "door", "isthing": 1},
                {"id": 2, "name": "wall", "isthing": 0},
            ],
            "annotations": [
                {
                    "image_id": 1,
                    "file_name": "a.png",
                    "segments_info": [
                        {"id": 7, "category_id": 1, "iscrowd": 0, **segment},
                        {"id": 9, "category_id": 2, "iscrowd": 1, **segment},
                    ],
                }
            ],
        }
    }


def cvat(root):
    for seed, name in enumerate("ab"):
        photograph(root / f"images/{name}.png", seed)
    return {
        "annotations.xml": """<annotations><version>1.1</version><meta><task><id>1</id>
<size>2</size><start_frame>0</start_frame><stop_frame>1</stop_frame><frame_filter>step=1
</frame_filter><labels><label><name>door</name></label><label><name>wall</name></label></labels>
<owner><username>own</username></owner><assignee><username>ada</username></assignee></task></meta>
<image id="0" name="a.png" width="32" height="24">
<polygon label="door" source="manual" points="1.00,1.00;9.00,1.00;9.00,9.00" z_order="0"
 group_id="1"><attribute name="k">v</attribute></polygon>
<box label="wall" xtl="1" ytl="1" xbr="5" ybr="6" rotation="10" z_order="1"/>
<mask label="wall" rle="2, 4, 3" left="3" top="4" width="3" height="3"/>
<ellipse label="door" cx="15" cy="12" rx="4" ry="3" rotation="20"/>
<cuboid label="wall" xtl1="1" ytl1="1" xbl1="1" ybl1="5" xtr1="5" ytr1="1" xbr1="5" ybr1="5"
 xtl2="2" ytl2="2" xbl2="2" ybl2="6" xtr2="6" ytr2="2" xbr2="6" ybr2="6"/>
<skeleton label="door"><points label="k" outside="0" points="1,1"/></skeleton>
<tag label="wall" source="manual"/></image>
<image id="1" name="b.png" subset="train" task_id="1" width="32" height="24">
<polygon label="door" points="3,3;20,3;20,20;3,20"/></image></annotations>"""
    }


def cvat_video(root):
    for frame in range(3):
        photograph(root / f"images/frame_{frame:06}.png", frame)
    return {
        "annotations.xml": """<annotations><version>1.1</version><meta><job><id>1</id>
<size>3</size><start_frame>0</start_frame><stop_frame>2</stop_frame><frame_filter/>
<labels><label><name>door</name></label><label><name>wall</name></label></labels>
<assignee><username>ada</username></assignee>
<original_size><width>32</width><height>24</height></original_size></job></meta>
<track id="0" label="door"><polygon frame="0" keyframe="1" outside="0" points="1,1;9,1;9,9"/>
<polygon frame="1" keyframe="0" outside="0" points="2,1;10,1;10,9" z_order="0"/>
<polygon frame="2" keyframe="1" outside="1" points="2,1;10,1;10,9"/></track>
<track id="1" label="wall"><box frame="0" keyframe="1" xtl="1" ytl="1" xbr="5" ybr="6"/>
<box frame="2" keyframe="1" outside="0" xtl="3" ytl="1" xbr="8" ybr="6" rotation="5"/></track>
<track id="2" label="wall"><mask frame="1" keyframe="1" rle="2, 4, 3" left="3" top="4" width="3"
 height="3"/><mask frame="2" keyframe="1" outside="1" rle="9" left="3" top="4" width="3"
 height="3"/></track></annotations>"""
    }


def _entries(label):
    return {
        "version": 0,
        "tags": [{"frame": 0, **label("wall")}],
        "shapes": [
            {
                "type": "polygon",
                "frame": 0,
                "points": [1, 1, 9, 1, 9, 9],
                "rotation": 0.0,
                "z_order": 0,
                "outside": False,
                "elements": [],
                **label("door"),
            },
            {"type": "mask", "frame": 1, "points": [2, 4, 3, 3, 4, 5, 6], **label("wall")},
            {"type": "ellipse", "frame": 1, "points": [15, 12, 19, 9], **label("door")},
        ],
        "tracks": [
            {
                "frame": 0,
                "shapes": [
                    {"type": "polygon", "frame": 0, "points": [12, 12, 20, 12, 20, 20]},
                    {
                        "type": "polygon",
                        "frame": 1,
                        "points": [9, 9, 20, 9, 9, 20],
                        "outside": True,
                    },
                ],
                **label("wall"),
            }
        ],
    }


def cvat_backup(root):
    for seed, name in enumerate("ab"):
        photograph(root / f"data/{name}.png", seed)
    image = {"extension": ".png", "width": SIZE[1], "height": SIZE[0]}
    return {
        "task.json": {
            "name": "t",
            "labels": [{"name": "door"}, {"name": "wall"}],
            "data": {"start_frame": 0, "stop_frame": 1, "frame_filter": "", "deleted_frames": []},
            "jobs": [{"start_frame": 0, "stop_frame": 1, "type": "annotation", "frames": []}],
        },
        "annotations.json": [_entries(lambda name: {"label": name})],
        "data/manifest.jsonl": Lines(
            [
                {"version": "1.1"},
                {"type": "images"},
                {"name": "a", **image},
                {"name": "b", **image},
            ]
        ),
    }


def cvat_rest(root):
    for seed, name in enumerate("ab"):
        photograph(root / f"{name}.png", seed)
    ids = {"door": 5, "wall": 6}
    return {
        "annotations.json": _entries(lambda name: {"label_id": ids[name]}),
        "labels.json": {"results": [{"id": key, "name": name} for name, key in ids.items()]},
        "meta.json": {
            "size": 2,
            "start_frame": 0,
            "frames": [
                {"name": f"{name}.png", "width": SIZE[1], "height": SIZE[0]} for name in "ab"
            ],
        },
    }


def labelme(root):
    photograph(root / "a.png")
    embedded = np.random.default_rng(5).integers(0, 255, (*SIZE, 3))
    document = {
        "version": "5.4.1",
        "flags": {"night": True, "day": False},
        "shapes": [
            {
                "label": "door",
                "points": [[1, 1], [9.5, 1], [9, 9]],
                "group_id": None,
                "shape_type": "polygon",
                "flags": {},
                "mask": None,
            },
            {"label": "wall", "points": [[3, 3], [8, 9]], "group_id": 1, "shape_type": "rectangle"},
            {"label": "wall", "points": [[15, 12], [18, 12]], "shape_type": "circle"},
            {
                "label": "roof",
                "points": [[3, 4], [6, 8]],
                "shape_type": "mask",
                "mask": base64.b64encode(png(np.full((5, 4), 255))).decode(),
            },
        ],
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": SIZE[0],
        "imageWidth": SIZE[1],
    }
    return {
        "a.json": document,
        "b.json": {
            **document,
            "shapes": document["shapes"][:1],
            "imagePath": "b.png",
            "imageData": base64.b64encode(png(embedded)).decode(),
        },
    }


def labelme_xml(root):
    photograph(root / "Images/w/a.jpg")
    alpha = painted((2, 8, 3, 9, 255))
    save(root / "Masks/w/a_mask_0.png", np.stack([alpha] * 4, axis=-1))
    return {
        "Annotations/w/a.xml": """<annotation><filename>a.jpg</filename><folder>w</folder>
<imagesize><nrows>24</nrows><ncols>32</ncols></imagesize>
<object><name>car</name><deleted>0</deleted><attributes>red</attributes><parts>
<hasparts>1</hasparts><ispartof></ispartof></parts><id>0</id><polygon><username>ada</username>
<pt><x>1</x><y>1</y></pt><pt><x>19</x><y>1</y></pt><pt><x>19</x><y>19</y></pt></polygon></object>
<object><name>wheel</name><deleted>0</deleted><parts><hasparts></hasparts><ispartof>0</ispartof>
</parts><id>1</id><polygon><username>bob</username><pt><x>10</x><y>3</y></pt>
<pt><x>15</x><y>3</y></pt><pt><x>15</x><y>7</y></pt></polygon></object>
<object><name>sky</name><deleted>0</deleted><id>3</id><segm><username>ada</username>
<box><xmin>3</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></box><mask>a_mask_0.png</mask></segm>
</object><object><name>gone</name><deleted>1</deleted><id>4</id><polygon><username>eve</username>
<pt><x>1</x><y>1</y></pt></polygon></object></annotation>"""
    }


def darwin(root):
    for seed, name in enumerate("ab"):
        photograph(root / f"images/{name}.jpg", seed)
    triangle = [{"x": 1, "y": 1}, {"x": 9, "y": 1}, {"x": 9, "y": 9}]
    hole = [{"x": 10, "y": 3}, {"x": 15, "y": 3}, {"x": 15, "y": 7}]
    return {
        f"{name}.json": {
            "image": {"width": SIZE[1], "height": SIZE[0], "filename": f"{name}.jpg"},
            "annotations": [
                {"name": "door", "polygon": {"path": triangle}, "attributes": ["z"]},
                {"name": "wall", "complex_polygon": {"path": [triangle, hole]}},
                {"name": "night", "tag": {}},
                {"name": "frame", "bounding_box": {"x": 1, "y": 1, "w": 8, "h": 8}},
            ],
        }
        for name in "ab"
    }


def masks(root):
    for seed, name in enumerate("ab"):
        photograph(root / f"images/{name}.jpg", seed)
        save(root / f"masks/{name}.png", painted((2, 8, 3, 9, 1), (10, 20, 10, 20, 2)))
    return {"classes.txt": "0 background\n1 door\n2 wall\n"}


def masks_voc(root):
    photograph(root / "JPEGImages/a.jpg")
    codes = painted((2, 8, 3, 9, 1), (10, 20, 10, 20, 2))
    for folder, colours in (
        ("SegmentationClass", ((0, 0, 0), (10, 20, 30), (40, 50, 60))),
        ("SegmentationObject", ((0, 0, 0), (128, 0, 0), (0, 128, 0))),
    ):
        save(root / folder / "a.png", np.array(colours)[codes])
    return {"labelmap.txt": "# label\nbackground:0,0,0::\ndoor:10,20,30::\nwall:40,50,60::\n"}


def binary_masks(root):
    photograph(root / "a.jpg")
    save(root / "a_door.png", painted((2, 8, 3, 9, 255)))
    save(root / "a_wall.png", painted((10, 20, 10, 20, 255)))
    return {}


def image_folders(root):
    for seed, name in enumerate(("striped", "dotted")):
        photograph(root / f"images/{name}/{name}_1.jpg", seed)
    listed = "striped/striped_1.jpg striped dotted\ndotted/dotted_1.jpg dotted\n"
    return {"labels/labels_joint_anno.txt": listed}


def _ade20k_masks(root):
    photograph(root / "a.jpg")
    seg, parts = np.zeros((*SIZE, 3)), np.zeros((*SIZE, 3))
    seg[:, :16], seg[:, 16:] = (10, 145, 128), (10, 145, 255)
    parts[16:24, 20:24] = (110, 219, 255)
    save(root / "a_seg.png", seg)
    save(root / "a_parts_1.png", parts)


def ade20k(root):
    _ade20k_masks(root)

    def thing(key, name, number, box, **parts):
        left, right, top, bottom = box
        return {
            "id": key,
            "name": name,
            "raw_name": name,
            "name_ndx": number,
            "parts": {"hasparts": [], "ispartof": [], "part_level": 0, **parts},
            "polygon": {"x": [left, right, right, left], "y": [top, top, bottom, bottom]},
        }

    return {
        "a.json": {
            "annotation": {
                "filename": "a.jpg",
                "imsize": [*SIZE, 3],
                "scene": ["outdoor", "urban", "street"],
                "object": [
                    thing(7, "car, auto", 401, (0, 16, 0, 24)),
                    thing(2, "car, auto", 401, (16, 32, 0, 24)),
                    thing(9, "wheel", 3035, (20, 24, 16, 24), ispartof=2, part_level=1),
                ],
            }
        }
    }


def ade20k_2017(root):
    _ade20k_masks(root)
    rows = ("001 # 0 # 0 # car, auto # car", "002 # 0 # 0 # car # car", "001 # 1 # 1 # wheel # w")
    return {"a_atr.txt": "".join(f'{row} # ""\n' for row in rows)}


def broden(root):
    for seed, name in enumerate("ab"):
        photograph(root / f"images/cam/{name}.jpg", seed)
    labels = np.zeros((12, 16), dtype=int)
    labels[:4, :4], labels[6:, 8:] = 1, 300
    save(
        root / "images/cam/a_object.png",
        np.stack([labels % 256, labels // 256, 0 * labels], axis=-1),
    )
    head = ["code", "number", "name", "frequency", "coverage"]
    return {
        "index.csv": Rows(
            [
                ["image", "split", "ih", "iw", "sh", "sw", "object", "scene"],
                ["cam/a.jpg", "train", "24", "32", "12", "16", "cam/a_object.png", ""],
                ["cam/b.jpg", "val", "24", "32", "12", "16", "", "4;7"],
            ]
        ),
        "label.csv": Rows(
            [
                ["number", "name", "category", "frequency", "coverage", "syns"],
                ["1", "cat", "object(1)", "1", "0.083333333", "tom;puss"],
                ["4", "street", "scene(1)", "1", "1.000000000", ""],
                ["7", "night", "scene(1)", "1", "1.000000000", ""],
                ["300", "dog", "object(1)", "1", "0.250000000", ""],
            ]
        ),
        "category.csv": Rows(
            [
                ["name", "first", "last", "count", "frequency"],
                ["object", "1", "300", "2", "2"],
                ["scene", "4", "7", "2", "2"],
            ]
        ),
        "c_object.csv": Rows([head, ["1", "300", "dog", "1", "1"], ["2", "1", "cat", "1", "1"]]),
        "c_scene.csv": Rows([head, ["1", "4", "street", "1", "1"], ["2", "7", "night", "1", "1"]]),
    }


WORLDS = {
    "coco": coco,
    "coco-panoptic": panoptic,
    "cvat": cvat,
    "cvat-video": cvat_video,
    "cvat-backup": cvat_backup,
    "cvat-rest": cvat_rest,
    "labelme": labelme,
    "labelme-xml": labelme_xml,
    "darwin": darwin,
    "masks": masks,
    "masks-voc": masks_voc,
    "binary-masks": binary_masks,
    "image-folders": image_folders,
    "ade20k": ade20k,
    "ade20k-2017": ade20k_2017,
    "broden": broden,
}
