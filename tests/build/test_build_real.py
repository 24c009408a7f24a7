"""Builds of real annotations, against their own pixels."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.io.images import read_codes

pytestmark = pytest.mark.real


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_msrc_reproduces_its_labels_pixel_for_pixel(shared, tmp_path):
    home, out = shared / "real/msrc", tmp_path / "set"
    report = build_set([home / "coco.json"], out, BuildOptions(annotator="msrc"))
    names = {row["number"]: row["name"] for row in rows_of(out / "label.csv")}
    classes = json.loads((home / "classes.json").read_text())
    origin = {row["image"]: row["original"] for row in rows_of(out / "images.csv")}
    for row in rows_of(out / "index.csv"):
        stem = origin[row["image"]].removesuffix(".jpg")
        with Image.open(home / f"labels/{stem}.png") as labels:
            expected = np.asarray(labels.resize((112, 112), Image.Resampling.NEAREST))
        ours = read_codes(out / "images" / row["object"])
        back = np.zeros(len(names) + 1, dtype=int)
        for number, name in names.items():
            back[int(number)] = next(int(key) for key, value in classes.items() if value == name)
        assert (back[ours] == expected).all(), row["image"]
    assert report.manifest.counts.images == 120
    assert [name for name, _ in report.undetectable] == ["grass"]


def test_polygons_of_msrc_agree_with_its_masks(shared, tmp_path):
    """The polygons fill holes; painting larger regions first opens most of them again."""
    home = shared / "real/msrc"
    build_set([home / "coco.json"], tmp_path / "exact", BuildOptions())
    build_set([home / "coco_polygons.json"], tmp_path / "lossy", BuildOptions())
    hits = unions = 0
    numbers = [
        {row["number"]: row["name"] for row in rows_of(tmp_path / which / "label.csv")}
        for which in ("exact", "lossy")
    ]
    exact, lossy = (
        {row["image"]: row["object"] for row in rows_of(tmp_path / which / "index.csv")}
        for which in ("exact", "lossy")
    )
    translate = np.zeros(32768, dtype=int)
    for number, name in numbers[1].items():
        translate[int(number)] = next(int(n) for n, other in numbers[0].items() if other == name)
    for image, cell in exact.items():
        a = read_codes(tmp_path / "exact/images" / cell)
        b = translate[read_codes(tmp_path / "lossy/images" / lossy[image])]
        hits += ((a == b) & (a > 0)).sum()
        unions += ((a > 0) | (b > 0)).sum()
    assert hits / unions > 0.99


def test_three_people_on_one_image(shared, tmp_path):
    source = shared / "samples/coco/multi_annotator/landscape_annotations.json"
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 64), (90, 120, 40)).save(tmp_path / "images/Landscape.ppm")
    options = BuildOptions(images=tmp_path / "images", image_size=None, segmentation_size=(64, 64))
    report = build_set([source], tmp_path / "set", options)
    people = rows_of(tmp_path / "set/annotators.csv")
    assert [(p["annotator"], p["segments"]) for p in people] == [
        ("Ann1", "9"), ("Ann2", "10"), ("Ann3", "11"),
    ]  # fmt: skip
    assert report.manifest.counts.segments == len(json.loads(source.read_text())["annotations"])
    maps = [
        read_codes(tmp_path / f"set/images/annotators/{p['directory']}/images/Landscape_object.png")
        for p in people
    ]
    root = read_codes(tmp_path / "set/images/images/Landscape_object.png")
    undecided = read_codes(tmp_path / "set/images/consensus/images/Landscape_object_undecided.png")
    for row in range(64):
        for column in range(64):
            votes = [int(labels[row, column]) for labels in maps]
            winner = max(set(votes), key=votes.count)
            decided = votes.count(winner) >= 2
            assert root[row, column] == (winner if decided else 0)
            assert undecided[row, column] == (0 if decided else 255)


def test_instances_and_panoptic_of_coco_build(shared, tmp_path):
    home = shared / "samples/coco/coco_val2017_20"
    options = BuildOptions(images=home / "images", on_error="collect")
    things = build_set([home / "instances.json"], tmp_path / "things", options)
    assert things.manifest.counts.images == 10
    assert things.manifest.counts.segments == 62
    everything = build_set([home / "panoptic.json"], tmp_path / "panoptic", options)
    assert everything.manifest.counts.images == 10
    missing = {finding.code for finding in everything.findings}
    assert missing == {"SRC001"}  # the other ten photographs are not among the samples
