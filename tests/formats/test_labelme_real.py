"""The LabelMe JSON samples against Pillow, plain loops and what the tool made of them."""

from __future__ import annotations

import base64
import io
import json
import math

import numpy as np
import pytest
from PIL import Image, ImageDraw
from pycocotools import mask as coco_mask
from scipy import ndimage

from conceptset.formats.base import Candidate
from conceptset.formats.labelme import FORMAT
from conceptset.geometry import Ellipse, Pierced, Rings, Rle, United
from conceptset.raster import rasterize

pytestmark = [
    pytest.mark.real,
    # pycocotools 2.0.11 with numpy 2, in its own code
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),
]

# Pixels in which our maps differ from the tool's own, and pixels its outlines run through. The
# tool paints the outline too, half a pixel to each side of it; so nearly all differ outwards.
DIFFERENCES = {
    ("instance", "2011_000003"): (631, 2378),
    ("instance", "2011_000006"): (1048, 4400),
    ("instance", "2011_000025"): (628, 2342),
    ("semantic", "2011_000003"): (672, 2368),
    ("semantic", "2011_000006"): (986, 4394),
    ("semantic", "2011_000025"): (817, 2340),
}


@pytest.fixture
def samples(shared):
    return shared / "samples/labelme_json"


@pytest.fixture
def read(read_format):
    """The one record of a file and the codes of what was found."""

    def one(path, images):
        (record,), findings = read_format(FORMAT, path, images)
        return record, [finding.code for finding in findings]

    return one


def polygon(points, size):
    """The tool's own fill: Pillow, with its outline."""
    image = Image.new("1", (size[1], size[0]))
    ImageDraw.Draw(image).polygon([tuple(point) for point in points], outline=1, fill=1)
    return np.asarray(image)


def outline(points, size):
    """The pixels that an outline runs through."""
    mask = np.zeros(size, dtype=bool)
    ring = np.array(points)
    for begin, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        steps = int(np.abs(end - begin).max() * 4) + 2
        columns, rows = np.floor(np.linspace(begin, end, steps)).astype(int).T
        mask[rows.clip(0, size[0] - 1), columns.clip(0, size[1] - 1)] = True
    return mask


def within_one_outline(ours, theirs, line):
    """Pixels that differ; all of them at the line, no more than it has."""
    different = ours != theirs
    assert not (different & ~ndimage.binary_dilation(line)).any()
    assert different.sum() <= line.sum()
    return int(different.sum())


@pytest.mark.parametrize(("kind", "stem"), DIFFERENCES)
def test_maps_agree_with_the_tools_own(samples, read, kind, stem):
    """Painted in document order, 255 (`__ignore__`) and 0 (`_background_`) both unlabelled."""
    home = samples / f"{kind}_segmentation"
    path = home / f"data_annotated/{stem}.json"
    names = (home / "data_dataset_voc/class_names.txt").read_text().splitlines()
    record, _ = read(path, samples / "instance_segmentation/data_annotated")
    with Image.open(home / f"data_dataset_voc/SegmentationClass/{stem}.png") as image:
        theirs = np.asarray(image).astype(int)
    ours = np.zeros(record.size, dtype=int)
    for region in record.regions:
        ours[rasterize(region.geometry, record.size)] = names.index(region.name)
    line = np.zeros(record.size, dtype=bool)
    for shape in json.loads(path.read_text())["shapes"]:
        line |= outline(shape["points"], record.size)
    different = within_one_outline(ours, np.where(theirs == 255, 0, theirs), line)
    assert (different, int(line.sum())) == DIFFERENCES[kind, stem]


@pytest.mark.parametrize("stem", ["2011_000003", "2011_000006", "2011_000025"])
def test_objects_agree_with_the_tools_own(samples, read, stem):
    """Each object, groups as one, with the visible pixels of the tool's instance image."""
    home = samples / "instance_segmentation"
    path = home / f"data_annotated/{stem}.json"
    shapes = json.loads(path.read_text())["shapes"]
    record, _ = read(path, home / "data_annotated")
    with Image.open(home / f"data_dataset_voc/SegmentationObject/{stem}.png") as image:
        theirs = np.asarray(image)
    seen: list[tuple[str, object]] = []  # the tool numbers objects as they first occur
    pieces = {}
    for place, shape in enumerate(shapes):
        group = shape["group_id"]
        key = (shape["label"], f"alone {place}" if group is None else group)
        if key not in seen:
            seen.append(key)
        pieces.setdefault(key, []).append(place)
    wanted = [key for key in seen if key[0] != "__ignore__"]
    assert [region.name for region in record.regions] == [name for name, _ in wanted]
    assert [region.origin.pointer for region in record.regions] == [
        f"/shapes/{pieces[key][0]}" for key in wanted
    ]
    map_ = np.zeros(record.size, dtype=int)
    for region, key in zip(record.regions, wanted, strict=True):
        map_[rasterize(region.geometry, record.size)] = seen.index(key) + 1
    line = np.zeros(record.size, dtype=bool)
    for shape in shapes:
        line |= outline(shape["points"], record.size)
    within_one_outline(map_, np.where(theirs == 255, 0, theirs), line)
    assert set(np.unique(map_)) == set(np.unique(theirs)) - {255} | {0}


def test_objects_agree_with_the_tools_coco_file(samples, read):
    """Object by object, decoded by pycocotools; that file keeps what lies below `__ignore__`."""
    home = samples / "instance_segmentation"
    coco = json.loads((home / "data_dataset_coco/annotations.json").read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    counted = 0
    for image in coco["images"]:
        path = home / f"data_annotated/{image['file_name'][-15:-4]}.json"
        record, _ = read(path, home / "data_annotated")
        ignored = np.zeros(record.size, dtype=bool)
        for shape in json.loads(path.read_text())["shapes"]:
            if shape["label"] == "__ignore__":
                ignored |= ndimage.binary_dilation(polygon(shape["points"], record.size))
        theirs = [one for one in coco["annotations"] if one["image_id"] == image["id"]]
        assert [region.name for region in record.regions] == [
            names[one["category_id"]] for one in theirs
        ]
        for region, one in zip(record.regions, theirs, strict=True):
            rings = one["segmentation"]
            code = coco_mask.merge(coco_mask.frPyObjects(rings, *record.size))
            line = np.zeros(record.size, dtype=bool)
            for ring in rings:
                line |= outline(np.reshape(ring, (-1, 2)).tolist(), record.size)
            mine = rasterize(region.geometry, record.size)
            within_one_outline(
                mine & ~ignored, coco_mask.decode(code).astype(bool) & ~ignored, line
            )
            counted += 1
    assert counted == 12


def test_what_the_examples_hold(samples, read):
    """Groups become one object, `__ignore__` takes away what lies below it, and is reported."""
    home = samples / "instance_segmentation/data_annotated"
    expected = {
        "2011_000003": [("person", Pierced), ("person", United), ("bottle", Rings)],
        "2011_000006": [("person", Rings)] * 3
        + [("chair", Rings), ("person", Pierced), ("sofa", Rings)],
        "2011_000025": [("bus", Rings), ("bus", Rings), ("car", Rings)],
    }
    for stem, things in expected.items():
        record, codes = read(home / f"{stem}.json", home)
        assert [(region.name, type(region.geometry)) for region in record.regions] == things
        assert codes == ([] if stem == "2011_000025" else ["SRC056"])
        assert {region.kind for region in record.regions} == {"region"}
        assert record.frame == "stored"
        assert record.workers == ()
    sofa = read(home / "2011_000006.json", home)[0].regions[-1]
    assert len(sofa.geometry.rings) == 4


def primitives(samples):
    path = samples / "primitives/primitives.json"
    return path, json.loads(path.read_text())["shapes"]


def test_primitives_one_by_one(samples, read):
    path, shapes = primitives(samples)
    record, codes = read(path, path.parent)
    assert codes == []
    assert [(region.name, region.kind) for region in record.regions] == [
        ("rectangle", "box"), ("circle", "region"), ("rectangle", "box"), ("polygon", "region"),
        ("line", "mark"), ("point", "mark"), ("line_strip", "mark"), ("octagon", "region"),
    ]  # fmt: skip
    assert [region.origin.pointer for region in record.regions] == [
        f"/shapes/{i}" for i in range(8)
    ]
    masks = [
        None if region.geometry is None else rasterize(region.geometry, record.size)
        for region in record.regions
    ]
    assert [mask is None for mask in masks] == [region.kind == "mark" for region in record.regions]
    for place in (0, 2):  # whole numbers: the tool paints one more row and column, both edges
        (x0, y0), (x1, y1) = shapes[place]["points"]
        assert int(masks[place].sum()) == (x1 - x0) * (y1 - y0)
        assert masks[place][int(y0) : int(y1), int(x0) : int(x1)].all()
    line = outline(shapes[3]["points"], record.size)
    within_one_outline(masks[3], polygon(shapes[3]["points"], record.size), line)


def test_the_circle_holds_the_centres_nearer_than_its_radius(samples, read):
    path, shapes = primitives(samples)
    record, _ = read(path, path.parent)
    (x, y), rim = shapes[1]["points"]
    radius = math.dist((x, y), rim)
    expected = np.array(
        [
            [math.dist((column + 0.5, row + 0.5), (x, y)) < radius for column in range(560)]
            for row in range(450)
        ]
    )
    assert isinstance(record.regions[1].geometry, Ellipse)
    assert np.array_equal(rasterize(record.regions[1].geometry, record.size), expected)
    image = Image.new("1", (560, 450))
    box = (x - radius, y - radius, x + radius, y + radius)
    ImageDraw.Draw(image).ellipse(box, outline=1, fill=1)
    rim_pixels = ndimage.binary_dilation(expected) & ~ndimage.binary_erosion(expected)
    within_one_outline(expected, np.asarray(image), rim_pixels)


def test_the_mask_is_exact(samples, read):
    """A patch of 100 x 100 laid with its first pixel at column 417, row 305."""
    path, shapes = primitives(samples)
    record, _ = read(path, path.parent)
    with Image.open(io.BytesIO(base64.b64decode(shapes[7]["mask"]))) as image:
        patch = np.asarray(image)
    (left, top), _ = shapes[7]["points"]
    expected = np.zeros((450, 560), dtype=bool)
    for row in range(patch.shape[0]):
        for column in range(patch.shape[1]):
            if patch[row, column]:
                expected[int(top) + row, int(left) + column] = True
    assert isinstance(record.regions[7].geometry, Rle)
    assert np.array_equal(rasterize(record.regions[7].geometry, (450, 560)), expected)
    assert int(expected.sum()) == int(np.count_nonzero(patch)) == 7275


def test_flags_are_tags(samples, read):
    path = samples / "classification_flags/0001.json"
    record, codes = read(path, path.parent)
    assert codes == []
    assert [(r.name, r.kind, r.origin.pointer) for r in record.regions] == [
        ("cat", "tag", "/flags/cat")
    ]


@pytest.mark.parametrize(
    ("stem", "photograph", "labels", "tags"),
    [
        ("backslash", "parent/stem.jpg", ["TL"], []),
        ("img1", "img1.jpg", ["TL"], []),
        ("test", "img1.jpg", ["TL", "TR", "BL", "BR"], ["f1"]),
    ],
)
def test_files_of_another_implementation(
    samples, read_format, tmp_path, save, stem, photograph, labels, tags
):
    save(tmp_path / photograph, (512, 512))
    path = samples / f"labelme_rs/{stem}.json"
    (record,), findings = read_format(FORMAT, path, tmp_path)
    assert findings == []
    assert record.image == photograph
    assert [r.name for r in record.regions if r.kind == "mark"] == labels
    assert [r.name for r in record.regions if r.kind == "tag"] == tags
    assert len(record.regions) == len(labels) + len(tags)


def test_detection_of_the_samples(samples, shared):
    for path in sorted(samples.rglob("*.json")):
        found = FORMAT.detect(Candidate(path))
        assert found.matches == (path.name != "annotations.json")
        assert found.people is None
    found = FORMAT.detect(Candidate(samples / "primitives/primitives.json"))
    assert found.reasons == ("shapes: 8 entries", "imagePath: primitives.jpg", "version 5.7.0")
    others = [
        path
        for folder in ("coco", "cvat", "dermx", "label_studio", "labelbox", "sagemaker", "vott")
        for path in sorted((shared / "samples" / folder).rglob("*.json"))
    ]
    assert len(others) > 20
    for path in others:
        assert not FORMAT.detect(Candidate(path)).matches, path
