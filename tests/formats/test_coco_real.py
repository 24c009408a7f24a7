"""The COCO samples against independent decoders: pycocotools for shapes, Pillow for PNGs."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask
from scipy import ndimage

from conceptset.formats.base import Candidate
from conceptset.formats.coco import FORMAT
from conceptset.geometry import CodedMask, Rings, Rle, box_ring
from conceptset.raster import rasterize
from conceptset.records import Person

pytestmark = [
    pytest.mark.real,
    # pycocotools 2.0.11 with numpy 2, in its own code
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]


@pytest.fixture
def samples(shared):
    return shared / "samples/coco"


def images_for(path, save, root):
    """Blank photographs of the stated sizes."""
    data = json.loads(path.read_bytes())
    for image in data["images"]:
        save(root / image["file_name"], (image["height"], image["width"]))
    root.mkdir(exist_ok=True)
    return data


def annotation_at(data, pointer):
    for step in pointer.strip("/").split("/"):
        data = data[int(step)] if isinstance(data, list) else data[step]
    return data


def decode(annotation, size):
    """(height, width) bool by pycocotools alone."""
    code = annotation["segmentation"]
    if isinstance(code, list):
        code = coco_mask.merge(coco_mask.frPyObjects(code, *size))
    elif isinstance(code["counts"], list):
        code = coco_mask.frPyObjects(code, *size)
    else:
        code = {"size": code["size"], "counts": code["counts"].encode()}
    return coco_mask.decode(code).astype(bool)


def outline_pixels(rings, size):
    """The pixels that the outlines run through, (height, width) bool."""
    mask = np.zeros(size, dtype=bool)
    for flat in rings:
        ring = np.array(flat).reshape(-1, 2)
        for begin, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            steps = int(np.abs(end - begin).max() * 4) + 2
            points = np.linspace(begin, end, steps)
            columns, rows = np.floor(points).astype(int).T
            mask[rows.clip(0, size[0] - 1), columns.clip(0, size[1] - 1)] = True
    return mask


def check(records, data):
    """Every region against pycocotools; how many of each geometry there were."""
    names = {category["id"]: category["name"] for category in data["categories"]}
    kinds = Counter()
    for record in records:
        for region in record.regions:
            annotation = annotation_at(data, region.origin.pointer)
            assert region.name == names[annotation["category_id"]]
            assert region.kind == ("ignore" if annotation["iscrowd"] else "region")
            ours, theirs = rasterize(region.geometry, record.size), decode(annotation, record.size)
            kinds[type(region.geometry)] += 1
            if isinstance(region.geometry, Rle):
                assert np.array_equal(ours, theirs)
                continue
            line = outline_pixels(annotation["segmentation"], record.size)
            assert not ((ours ^ theirs) & ~ndimage.binary_dilation(line)).any()
            assert (ours ^ theirs).sum() <= line.sum()
    return kinds


def test_instances_with_their_photographs(samples, read_path):
    path = samples / "coco_val2017_20/instances.json"
    records, findings = read_path(path, samples / "coco_val2017_20/images", "raise")
    data = json.loads(path.read_bytes())
    assert not findings
    assert [record.image for record in records] == [i["file_name"] for i in data["images"]]
    assert check(records, data) == {Rings: 62}
    assert {record.file_person for record in records} == {Person("COCO Consortium")}


def test_plain_run_lengths_and_crowds(samples, read_path, save, tmp_path):
    path = samples / "coco_val2017_20/rle.json"
    data = images_for(path, save, tmp_path / "images")
    records, findings = read_path(path, tmp_path / "images", "raise")
    assert not findings
    assert check(records, data) == {Rings: 221, Rle: 10}
    by_name = Counter(region.name for record in records for region in record.regions)
    names = {category["id"]: category["name"] for category in data["categories"]}
    assert by_name == Counter(names[a["category_id"]] for a in data["annotations"])


def test_panoptic(samples, read_path, save, tmp_path):
    path = samples / "coco_val2017_20/panoptic.json"
    data = images_for(path, save, tmp_path / "images")
    names = {category["id"]: category["name"] for category in data["categories"]}
    records, findings = read_path(path, tmp_path / "images", "raise")
    assert not findings
    assert len(records) == 20
    counted = 0
    for record in records:
        png = path.parent / "panoptic_masks" / record.image.replace(".jpg", ".png")
        with Image.open(png) as image:
            channels = np.asarray(image.convert("RGB")).astype(int)
        codes = channels @ [1, 256, 65536]
        for region in record.regions:
            segment = annotation_at(data, region.origin.pointer)
            assert isinstance(region.geometry, CodedMask)
            assert region.name == names[segment["category_id"]]
            assert region.kind == ("ignore" if segment["iscrowd"] else "region")
            ours = int(rasterize(region.geometry, record.size).sum())
            assert ours == int((codes == segment["id"]).sum()) == segment["area"]
            counted += 1
    assert counted == sum(len(a["segments_info"]) for a in data["annotations"])


@pytest.mark.parametrize(
    ("name", "split", "expected"),
    [
        ("instances_train", "train", [("b", "box", 3)]),
        ("instances_val", "val", [("a", "region", 2), ("b", "ignore", 20)]),
        ("stuff_train", "train", [("a", "ignore", 20)]),
        ("stuff_val", "val", [("b", "ignore", 20)]),
        ("labels_train", "train", [("b", "tag", None)]),
        ("labels_val", "val", [("a", "tag", None), ("b", "tag", None)]),
        ("person_keypoints_train", "train", [("b", "box", 3)]),
        ("person_keypoints_val", "val", [("a", "region", 2), ("b", "ignore", 20)]),
        ("captions_train", "train", []),
        ("captions_val", "val", []),
        ("image_info_train", "train", []),
        ("image_info_val", "val", []),
        ("panoptic_train", "train", [("a", "region", 20)]),
        ("panoptic_val", "val", [("a", "region", 20), ("b", "ignore", 20)]),
    ],
)
def test_the_small_files_of_every_kind(samples, read_path, name, split, expected):
    root = samples / "datumaro_coco"
    path = root / "annotations" / f"{name}.json"
    assert FORMAT.detect(Candidate(path)).matches
    records, findings = read_path(path, root / "images" / split, "raise")
    assert len(records) == 1
    assert [f.code for f in findings] == (["SRC031"] if "captions" in name else [])
    found = []
    for region in records[0].regions:
        count = None
        if region.geometry is not None:
            count = int(rasterize(region.geometry, records[0].size).sum())
        found.append((region.name, region.kind, count))
    assert found == expected


@pytest.mark.parametrize(
    ("name", "people"),
    [
        ("fruits", ["Ann1", "Ann2", "ann3"]),
        ("landscape_annotations", ["Ann1", "Ann2", "Ann3"]),
    ],
)
def test_several_people_on_one_photograph(samples, read_path, save, tmp_path, name, people):
    path = samples / f"multi_annotator/{name}.json"
    data = images_for(path, save, tmp_path / "images")
    assert FORMAT.detect(Candidate(path)).people == "images[].annotator"
    records, findings = read_path(path, tmp_path / "images", "raise")
    assert not findings
    assert len({record.image for record in records}) == 1
    assert [record.workers for record in records] == [(Person(who),) for who in people]
    owner = {image["id"]: image["annotator"] for image in data["images"]}
    for record in records:
        for region in record.regions:
            annotation = annotation_at(data, region.origin.pointer)
            assert region.person == Person(owner[annotation["image_id"]])
    assert check(records, data) == {Rings: len(data["annotations"])}


def test_results_against_pycocotools(samples, read_path, save, tmp_path):
    results = json.loads(
        (samples / "results/instances_val2014_fakesegm100_results.json").read_bytes()
    )
    sizes = {entry["image_id"]: entry["segmentation"]["size"] for entry in results}
    companion = {
        "images": [
            {"id": i, "file_name": f"COCO_val2014_{i:012}.png", "height": h, "width": w}
            for i, (h, w) in sizes.items()
        ],
        "categories": [
            {"id": i, "name": f"thing {i}"} for i in {entry["category_id"] for entry in results}
        ],
    }
    (tmp_path / "instances.json").write_text(json.dumps(companion))
    path = tmp_path / "results.json"
    path.write_text(json.dumps(results))
    for image in companion["images"]:
        save(tmp_path / "images" / image["file_name"], (image["height"], image["width"]))
    records, findings = read_path(path, tmp_path / "images", "raise")
    assert not findings
    assert len(records) == len(sizes)
    regions = [(region, record.size) for record in records for region in record.regions]
    assert len(regions) == len(results) == 734
    for region, size in regions:
        entry = annotation_at(results, region.origin.pointer)
        assert isinstance(region.geometry, Rle)
        assert region.person is None
        assert np.array_equal(rasterize(region.geometry, size), decode(entry, size))


def test_a_box_is_what_pycocotools_makes_of_it(samples, read_path):
    path = samples / "datumaro_coco/annotations/instances_train.json"
    records, _ = read_path(path, samples / "datumaro_coco/images/train")
    box = json.loads(path.read_bytes())["annotations"][0]["bbox"]
    ring = records[0].regions[0].geometry.rings[0]
    assert np.array_equal(ring, box_ring(*box))
    theirs = coco_mask.decode(coco_mask.frPyObjects(np.array([box]), 5, 10))[..., 0].astype(bool)
    assert np.array_equal(rasterize(Rings((ring,)), (5, 10)), theirs)
