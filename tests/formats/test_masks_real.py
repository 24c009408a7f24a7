"""Mask folders of real data sets, decoded by Pillow and numpy alone."""

from __future__ import annotations

import json
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.errors import SourceError
from conceptset.formats import detect
from conceptset.formats.base import Candidate
from conceptset.formats.masks import BINARY_MASKS, IMAGE_FOLDERS, MASKS
from conceptset.raster import rasterize

pytestmark = pytest.mark.real

VOC = "samples/labelme_json/instance_segmentation"


def decode(path):
    with Image.open(path) as image:
        assert image.mode in ("L", "P")
        return np.asarray(image)


def classes_of(home):
    """Code to name, without void."""
    listed = json.loads((home / "classes.json").read_text())
    return {int(code): name for code, name in listed.items() if code != "0"}


@pytest.mark.parametrize(("name", "regions"), [("msrc", 321), ("camvid", 1192)])
def test_counts(shared, read_format, name, regions):
    home = shared / "real" / name
    names = classes_of(home)
    records, findings = read_format(MASKS, home, home / "images", on_error="raise")
    assert findings == []
    assert len(records) == 120
    total = 0
    for record in records:
        codes = decode(home / "labels" / record.image.replace(".jpg", ".png"))
        values, counts = np.unique(codes, return_counts=True)
        expected = {names[v]: c for v, c in zip(values.tolist(), counts.tolist(), strict=True) if v}
        masks = {r.name: rasterize(r.geometry, record.size) for r in record.regions}
        assert {name: int(mask.sum()) for name, mask in masks.items()} == expected
        for code, name_of in names.items():
            if name_of in masks:
                assert np.array_equal(masks[name_of], codes == code)
        total += len(record.regions)
    assert total == regions


@pytest.mark.parametrize("name", ["msrc", "camvid"])
def test_masks_and_coco_of_one_data_set_build_the_same_maps(shared, tmp_path, name):
    """Their coco.json is exact to the pixel. Only instances, which masks do not know, differ."""
    home = shared / "real" / name
    files = {}
    for source in ("coco.json", "labels"):
        out = tmp_path / source
        build_set([home / source], out, BuildOptions(annotator="ada"))
        files[source] = {
            path.relative_to(out).as_posix(): path.read_bytes()
            for path in out.rglob("*")
            if path.is_file()
        }
    ours, theirs = files["labels"], files["coco.json"]
    assert sorted(ours) == sorted(theirs)
    assert sum(path.endswith("_object.png") for path in ours) == 120
    assert sorted(path for path in ours if ours[path] != theirs[path]) == [
        "annotators.csv",
        "annotators/ada/segments.jsonl",
        "conceptset.json",
    ]


def test_names_alone_would_be_off_by_one(shared, read_format, tmp_path):
    """The lists of both data sets name code 1 in their first line; nothing in them says so."""
    for name in ("msrc", "camvid"):
        home = shared / "real" / name
        root = tmp_path / name
        root.mkdir()
        (root / "classes.txt").write_text((home / "classes.txt").read_text())
        masks = root / "masks"
        masks.mkdir()
        for path in sorted((home / "labels").glob("*.png")):
            (masks / path.name).write_bytes(path.read_bytes())
        said = MASKS.detect(Candidate(root))
        assert said.matches
        with pytest.raises(SourceError, match="nothing says whether"):
            read_format(MASKS, root, home / "images")


def test_labelmes_own_voc_output(shared, read_format):
    """Objects from SegmentationObject, classes from SegmentationClass, 255 is no class."""
    home = shared / VOC
    source = home / "data_dataset_voc"
    assert MASKS.detect(Candidate(source)).matches
    records, findings = read_format(MASKS, source, home / "data_annotated")
    names = (source / "class_names.txt").read_text().split("\n")
    assert [record.image for record in records] == [
        f"2011_{number:06}.jpg" for number in (3, 6, 25)
    ]
    ignored = []
    for record in records:
        stem = record.image.removesuffix(".jpg")
        codes = decode(source / f"SegmentationClass/{stem}.png")
        numbers = decode(source / f"SegmentationObject/{stem}.png")
        expected = Counter()
        for code, number in zip(codes.ravel().tolist(), numbers.ravel().tolist(), strict=True):
            if code not in (0, 255):
                expected[names[code], number] += 1
        ignored.append(int((codes == 255).sum()))
        painted = np.zeros(codes.shape, dtype=np.uint8)
        found = []
        for region in record.regions:
            mask = rasterize(region.geometry, record.size)
            painted[mask] = names.index(region.name)
            found.append((region.name, int(mask.sum())))
        assert sorted(found) == sorted((name, count) for (name, _), count in expected.items())
        assert np.array_equal(painted, np.where(codes == 255, 0, codes))
        shapes = json.loads((home / f"data_annotated/{stem}.json").read_text())["shapes"]
        drawn = {(shape["label"].partition("-")[0], shape["group_id"]) for shape in shapes}
        assert {name for name, _ in found} <= {label for label, _ in drawn}
    assert [finding.code for finding in findings] == ["SRC072"]
    assert findings[0].message.startswith(
        f"{sum(ignored)} pixels in {np.count_nonzero(ignored)} masks have the code 255"
    )


def test_the_list_with_ignore_is_the_same(shared, read_format, tmp_path):
    """labels.txt begins with __ignore__, class_names.txt does not; the codes are equal."""
    home = shared / VOC
    (tmp_path / "SegmentationClass").mkdir()
    for path in (home / "data_dataset_voc/SegmentationClass").iterdir():
        (tmp_path / "SegmentationClass" / path.name).write_bytes(path.read_bytes())
    found = []
    for name in ("labels.txt", "data_dataset_voc/class_names.txt"):
        (tmp_path / "classes.txt").write_text((home / name).read_text())
        records, findings = read_format(MASKS, tmp_path, home / "data_annotated")
        found.append([[r.name for r in record.regions] for record in records])
        # the first list says that 255 is to be ignored
        assert [f.code for f in findings] == ([] if name == "labels.txt" else ["SRC072"])
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("quality", "exact"), [(95, True), (90, True), (75, True), (50, True), (30, False)]
)
def test_two_level_masks_survive_jpeg(shared, read_format, tmp_path, quality, exact):
    """As the widely read book has it: {filename}_{concept}.jpg, here from real outlines."""
    home = shared / "real/msrc"
    names = classes_of(home)
    unclear = pixels = wrong = masks = 0
    truth = {}
    for path in sorted((home / "labels").glob("*.png"))[::4]:
        (tmp_path / f"{path.stem}.jpg").write_bytes((home / f"images/{path.stem}.jpg").read_bytes())
        codes = decode(path)
        for code in set(np.unique(codes).tolist()) - {0}:
            mask = codes == code
            file = tmp_path / f"{path.stem}_{names[code]}.jpg"
            Image.fromarray(mask.astype(np.uint8) * 255).save(file, quality=quality)
            grey = decode(file)
            unclear += int(((grey >= 64) & (grey < 192)).sum())
            pixels += grey.size
            masks += 1
            truth[f"{path.stem}.jpg", names[code]] = mask
    assert BINARY_MASKS.detect(Candidate(tmp_path)).matches
    records, findings = read_format(BINARY_MASKS, tmp_path, tmp_path)
    for record in records:
        for region in record.regions:
            mask = rasterize(region.geometry, record.size)
            wrong += int((mask != truth.pop((record.image, region.name))).sum())
    assert truth == {}
    assert [f.code for f in findings] == ["SRC077"]
    share = f"{unclear} of {pixels} pixels ({100 * unclear / pixels:.2g}%)"
    assert findings[0].message.startswith(f"{share} are neither dark nor light")
    assert findings[0].message.endswith(f"in {masks} masks, {masks} of them JPEG.")
    assert wrong <= unclear
    assert (wrong == 0) is exact


@pytest.mark.parametrize(
    "name",
    [
        "samples/coco/coco_val2017_20",
        "samples/coco/datumaro_coco",
        "samples/cvat/datumaro_for_images/export_project",
        "samples/labelme_xml/tool_example",
        "samples/labelme_xml/datumaro_labelme_dataset",
        "samples/labelme_json/instance_segmentation",
        "samples/labelme_json/instance_segmentation/data_annotated",
        "samples/ade20k/ADE20K_2021_17_01",
        "samples/dermx",
        "samples/sagemaker",
        "real/msrc",
        "real/camvid",
        "real/msrc/images",
        "real/msrc/snapshots",
    ],
)
def test_folders_of_other_formats_are_left_alone(shared, name):
    candidate = Candidate(shared / name)
    for reader in (MASKS, BINARY_MASKS, IMAGE_FOLDERS):
        assert not reader.detect(candidate).matches


@pytest.mark.parametrize(
    "name", ["real/msrc/labels", "real/camvid/labels", f"{VOC}/data_dataset_voc"]
)
def test_no_other_format_claims_them(shared, name):
    assert [said.format for said in detect(shared / name) if said.matches] == ["masks"]
