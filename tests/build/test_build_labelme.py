"""Sets built from LabelMe JSON: with photographs on disk, and with those inside the files."""

from __future__ import annotations

import base64
import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.io.images import read_codes
from conceptset.validate import validate


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.mark.real
def test_a_set_of_the_tools_example(shared, tmp_path):
    """Painted in the tool's own order it shows what the tool's own label images show."""
    home = shared / "samples/labelme_json/instance_segmentation"
    options = BuildOptions(
        annotator="x", overlap="order", image_size=(375, 500), segmentation_size=(375, 500)
    )
    build_set([home / "data_annotated"], tmp_path / "set", options)
    assert validate(tmp_path / "set").findings == ()
    assert [row["annotator"] for row in rows_of(tmp_path / "set/annotators.csv")] == ["x"]
    names = {int(row["number"]): row["name"] for row in rows_of(tmp_path / "set/label.csv")}
    classes = (home / "data_dataset_voc/class_names.txt").read_text().splitlines()
    rows = rows_of(tmp_path / "set/index.csv")
    assert len(rows) == 3
    for row in rows:
        stem = row["image"].rpartition("/")[2].removesuffix(".jpg")
        codes = read_codes(tmp_path / "set/images" / row["object"])
        ours = np.vectorize(lambda code: classes.index(names[code]) if code else 0)(codes)
        with Image.open(home / f"data_dataset_voc/SegmentationClass/{stem}.png") as image:
            theirs = np.asarray(image.resize((500, 375), Image.Resampling.NEAREST)).astype(int)
        assert (ours != np.where(theirs == 255, 0, theirs)).mean() < 0.01


def jpeg(seed, size=(16, 24)):
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


def write(path, data, *points, **extra):
    """A file as the tool's tutorial has it: the image inside, `imagePath` naming the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shapes = [{"label": "door", "points": list(ring), "shape_type": "polygon"} for ring in points]
    document = {
        "version": "4.0.0",
        "flags": {},
        "shapes": shapes,
        "imagePath": path.name,
        "imageData": base64.b64encode(data).decode(),
        "imageHeight": 16,
        "imageWidth": 24,
    }
    path.write_text(json.dumps(document | extra))


SQUARE = ([2, 2], [10, 2], [10, 10], [2, 10])
SMALLER = ([4, 4], [10, 4], [10, 10], [4, 10])


def test_photographs_that_are_only_in_the_files(tmp_path):
    write(tmp_path / "in/apc.json", jpeg(1), SQUARE)
    write(tmp_path / "in/deep/bus.json", jpeg(2), SMALLER)
    options = BuildOptions(annotator="x", image_size=None, segmentation_size=(16, 24))
    build_set([tmp_path / "in"], tmp_path / "set", options)
    assert validate(tmp_path / "set").findings == ()
    origin = {row["original"]: row["image"] for row in rows_of(tmp_path / "set/images.csv")}
    assert sorted(origin) == ["apc.jpg", "deep/bus.jpg"]
    assert (tmp_path / "set/images" / origin["apc.jpg"]).read_bytes() == jpeg(1)
    maps = {row["image"]: row["object"] for row in rows_of(tmp_path / "set/index.csv")}
    codes = read_codes(tmp_path / "set/images" / maps[origin["apc.jpg"]])
    expected = np.zeros((16, 24), dtype=int)
    expected[2:10, 2:10] = 1
    assert np.array_equal(codes, expected)


@pytest.mark.parametrize("sources", [["in"], ["in/ada", "in/bob"]])
def test_two_people_whose_files_hold_the_same_image(tmp_path, sources):
    write(tmp_path / "in/ada/a.json", jpeg(1), SQUARE)
    write(tmp_path / "in/bob/a.json", jpeg(1), SMALLER)
    options = BuildOptions(annotator_from="folder", image_size=None, segmentation_size=(16, 24))
    report = build_set([tmp_path / source for source in sources], tmp_path / "set", options)
    assert list(report.findings) == []
    assert validate(tmp_path / "set").findings == ()
    assert len(rows_of(tmp_path / "set/index.csv")) == 1
    people = rows_of(tmp_path / "set/annotators.csv")
    assert [(row["annotator"], row["images"], row["segments"]) for row in people] == [
        ("ada", "1", "1"),
        ("bob", "1", "1"),
    ]
