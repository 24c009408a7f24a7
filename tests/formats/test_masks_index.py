"""Index masks: layouts, codes, colours, objects; counts by Pillow and numpy alone."""

from __future__ import annotations

import os
import struct
import zlib
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from conceptset.errors import AnnotationError, SourceError
from conceptset.findings import Problems
from conceptset.formats.base import Candidate, ReadContext
from conceptset.formats.masks import MASKS
from conceptset.geometry import CodedMask, Rle
from conceptset.io.catalogue import ImageCatalogue
from conceptset.raster import rasterize

CODES = np.array([[0, 1, 1, 2], [0, 1, 7, 7], [255, 255, 7, 7]], dtype=np.uint8)
SIZE = CODES.shape


def write(path, pixels, mode=None, palette=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(pixels))
    if palette is not None:
        image = Image.fromarray(np.asarray(pixels, dtype=np.uint8))
        image.putpalette([value for colour in palette for value in colour])
    elif mode is not None:
        image = image.convert(mode)
    image.save(path)


@pytest.fixture
def source(tmp_path, save):
    """A folder with photographs and masks of the same codes, and a class list."""

    def make(
        photographs=("images/a.jpg",), masks=("masks/a.png",), classes="1 door\n2 wall\n7 roof"
    ):
        root = tmp_path / "source"
        root.mkdir(exist_ok=True)
        for name in photographs:
            save(root / name, SIZE)
        for name in masks:
            write(root / name, CODES)
        if classes is not None:
            (root / "classes.txt").write_text(classes)
        return root

    return make


def pixels(record):
    """Number of pixels by name."""
    found = Counter()
    for region in record.regions:
        found[region.name] += int(rasterize(region.geometry, record.size).sum())
    return found


def codes_of(findings):
    return [finding.code for finding in findings]


EXPECTED = {"door": 3, "wall": 1, "roof": 4}


@pytest.mark.parametrize(
    ("photograph", "mask", "key"),
    [
        ("images/a.jpg", "masks/a.png", "images/a.jpg"),
        ("images/a.jpg", "labels/a.png", "images/a.jpg"),
        ("Images/a.JPG", "Masks/a.PNG", "Images/a.JPG"),
        ("images/a.jpg", "masks/a_mask.png", "images/a.jpg"),
        ("images/a_1.jpg", "masks/a_1-seg.png", "images/a_1.jpg"),
        ("images/train/a.png", "annotations/train/a.png", "images/train/a.png"),
        ("train/images/a.jpg", "train/masks/a.png", "train/images/a.jpg"),
        ("JPEGImages/a.jpg", "SegmentationClass/a.png", "JPEGImages/a.jpg"),
        ("train/a.png", "trainannot/a.png", "train/a.png"),
        ("a.jpg", "masks/a.png", "a.jpg"),
        ("a.jpg", "a.png", "a.jpg"),
        ("a.png", "a_mask.png", "a.png"),
        ("x/a.jpg", "x/a_labels.png", "x/a.jpg"),
        ("a mask.jpg", "a mask_seg.png", "a mask.jpg"),
        ("\u00e9.jpg", "masks/e\u0301.png", "\u00e9.jpg"),
    ],
)
def test_layouts(source, read_format, photograph, mask, key):
    root = source([photograph], [mask])
    records, findings = read_format(MASKS, root, root)
    assert [record.image for record in records] == [key]
    assert codes_of(findings) == ["SRC072"]
    record = records[0]
    assert (record.size, record.frame, record.workers) == (SIZE, "stored", ())
    assert pixels(record) == EXPECTED
    assert [region.name for region in record.regions] == ["door", "wall", "roof"]
    assert {region.kind for region in record.regions} == {"region"}
    assert {region.person for region in record.regions} == {None}
    assert [region.origin.pointer for region in record.regions] == ["/1", "/2", "/7"]
    assert record.origin.file == f"source/{mask}"


def test_the_same_names_in_train_and_val_stay_apart(source, read_format):
    names = ["train", "val"]
    root = source([f"images/{x}/a.jpg" for x in names], [f"masks/{x}/a.png" for x in names])
    write(root / "masks/val/a.png", np.full(SIZE, 2, dtype=np.uint8))
    records, _ = read_format(MASKS, root, root / "images")
    assert {record.image: pixels(record) for record in records} == {
        "train/a.jpg": EXPECTED,
        "val/a.jpg": {"wall": 12},
    }


def test_a_mask_never_falls_on_the_photograph_of_another_part(source, read_format):
    root = source(["images/val/a.jpg"], ["masks/train/a.png"])
    records, findings = read_format(MASKS, root, root)
    assert records == []
    assert codes_of(findings) == ["SRC073", "SRC001"]


def test_the_folder_of_masks_itself_with_photographs_elsewhere(source, read_format):
    root = source(["images/a.jpg"], ["masks/ada/a.png", "masks/bob/a.png"])
    for person in ("ada", "bob"):
        home = root / "masks" / person
        assert MASKS.detect(Candidate(home)).matches
        assert list(MASKS.image_names(home)) == ["a.jpg"]
        records, findings = read_format(MASKS, home, root / "images")
        assert [pixels(record) for record in records] == [EXPECTED]
        assert codes_of(findings) == ["SRC072"]
    both, findings = read_format(MASKS, root, root / "images")
    assert len(both) == 1
    assert codes_of(findings) == ["SRC072", "SRC074"]


def test_image_names(source):
    root = source(["images/x/a.jpg", "images/b.jpg", "other/c.png"], ["masks/x/a.png"])
    assert list(MASKS.image_names(root)) == ["b.jpg", "x/a.jpg"]
    for name in ("images/x/a.jpg", "images/b.jpg", "other/c.png"):
        (root / name).unlink()
    assert list(MASKS.image_names(root)) == ["a.jpg"]


@pytest.mark.parametrize(
    ("classes", "expected"),
    [
        ("0 sky\n1 door\n2 wall\n7 roof\n255 fog", EXPECTED | {"sky": 2, "fog": 2}),
        ("0 background\n1 door\n2 wall\n7 roof\n255 void", EXPECTED),
        ("0 x\n1 void\n2 wall\n7 unlabelled\n255 void", {"x": 2, "wall": 1}),
        ("1 door\n2 door\n7 door\n255 void", {"door": 8}),
    ],
)
def test_what_the_list_calls_a_concept_is_one(source, read_format, classes, expected):
    root = source(classes=classes)
    records, findings = read_format(MASKS, root, root)
    assert pixels(records[0]) == expected
    assert set(codes_of(findings)) <= {"SRC013"}


def test_codes_without_a_class_are_counted(source, read_format):
    root = source(classes="1 door")
    records, findings = read_format(MASKS, root, root)
    assert pixels(records[0]) == {"door": 3}
    assert [(f.code, f.path) for f in findings] == [
        ("SRC072", "source"),
        ("SRC071", "source/masks/a.png"),
        ("SRC071", "source/masks/a.png"),
    ]
    messages = [finding.message for finding in findings]
    assert messages[0].startswith("2 pixels in 1 masks have the code 255")
    assert messages[1].startswith("1 pixels have the code 2")
    assert messages[2].startswith("4 pixels have the code 7")
    with pytest.raises(AnnotationError, match="the code 2"):
        read_format(MASKS, root, root, on_error="raise")


def test_an_empty_mask_says_looked_and_found_nothing(source, read_format):
    root = source()
    write(root / "masks/a.png", np.zeros(SIZE, dtype=np.uint8))
    records, findings = read_format(MASKS, root, root)
    assert [(record.image, record.regions) for record in records] == [("images/a.jpg", ())]
    assert findings == []


def test_photographs_without_a_mask_are_told_once(source, read_format):
    root = source(["images/a.jpg", "images/b.jpg", "images/c.jpg"])
    records, findings = read_format(MASKS, root, root / "images")
    assert len(records) == 1
    told = next(finding for finding in findings if finding.code == "SRC073")
    assert told.message == '2 of 3 photographs have no mask, such as "b.jpg".'


# lists without codes


def test_line_numbers_are_codes_where_the_first_is_a_background(source, read_format):
    root = source(classes="\n".join(["background", "door", "wall", *"xxxx", "roof"]))
    records, findings = read_format(MASKS, root, root)
    assert pixels(records[0]) == EXPECTED
    assert set(codes_of(findings)) == {"SRC072", "SRC013"}


def test_a_list_that_could_begin_at_one_is_refused_where_the_masks_contradict_it(
    source, read_format
):
    root = source(classes="door\nwall\nx\ny\nz\nu\nroof")
    with pytest.raises(SourceError, match=r"nothing says whether .*door.* is code 0 or 1"):
        read_format(MASKS, root, root)
    (root / "classes.txt").write_text("door\nwall\nx\ny\nz\nu\nv\nroof")
    records, findings = read_format(MASKS, root, root)
    assert pixels(records[0]) == {"door": 2, "wall": 3, "x": 1, "roof": 4}
    assert codes_of(findings) == ["SRC072", "SRC076"]


def test_a_list_with_codes_goes_before_one_without(source, read_format):
    root = source(classes="door\nwall")
    (root / "classes.json").write_text('{"1": "gate", "2": "wall", "7": "roof"}')
    records, _ = read_format(MASKS, root, root)
    assert pixels(records[0]) == {"gate": 3, "wall": 1, "roof": 4}


@pytest.mark.parametrize("place", ["masks/classes.txt", "../classes.txt"])
def test_the_list_may_lie_with_the_masks_or_above(source, read_format, place):
    root = source(classes=None)
    (root / place).write_text("1 door\n2 wall\n7 roof")
    assert MASKS.detect(Candidate(root)).matches
    records, _ = read_format(MASKS, root, root)
    assert pixels(records[0]) == EXPECTED


def test_without_a_list_nothing_is_guessed(source, read_format):
    """Not even the twenty classes of VOC."""
    root = source(["JPEGImages/a.jpg"], ["SegmentationClass/a.png"], classes=None)
    said = MASKS.detect(Candidate(root))
    assert not said.matches
    assert not said.on_request
    assert any("class list" in reason for reason in said.reasons)
    with pytest.raises(SourceError, match="no class list"):
        read_format(MASKS, root, root)


def test_troubles_of_the_list_are_findings_of_its_file(source, read_format):
    root = source(classes="1 door\n1 gate\n2 wall\n7 roof\nx")
    _, findings = read_format(MASKS, root, root)
    assert [(f.code, f.path, f.pointer) for f in findings if f.code != "SRC072"] == [
        ("SRC012", "source/classes.txt", "line 2"),
        ("SRC070", "source/classes.txt", "line 5"),
    ]


# how masks are stored

PALETTE = [(0, 0, 0), (250, 5, 9), (7, 7, 7), *[(1, 1, 1)] * 4, (0, 0, 255)] + [
    (224, 224, 192)
] * 248
COLOUR_LIST = """# label:color_rgb:parts:actions
background:0,0,0::
door:250,5,9::
wall:7,7,7::
roof:0,0,255::
"""


def test_palettes_are_read_by_index_where_the_list_has_codes(source, read_format):
    root = source()
    write(root / "masks/a.png", CODES, palette=PALETTE)
    records, findings = read_format(MASKS, root, root)
    assert pixels(records[0]) == EXPECTED
    assert codes_of(findings) == ["SRC072"]


@pytest.mark.parametrize("stored", ["palette", "RGB", "RGBA"])
def test_colours(source, read_format, stored):
    """CVAT's mask export: labelmap.txt, palette or RGB."""
    root = source(["JPEGImages/a.jpg"], ["SegmentationClass/a.png"], classes=None)
    (root / "labelmap.txt").write_text(COLOUR_LIST)
    if stored == "palette":
        write(root / "SegmentationClass/a.png", CODES, palette=PALETTE)
    else:
        colours = np.array(PALETTE, dtype=np.uint8)[CODES]
        write(root / "SegmentationClass/a.png", colours, mode=stored)
    assert MASKS.detect(Candidate(root)).matches
    records, findings = read_format(MASKS, root, root / "JPEGImages")
    assert pixels(records[0]) == EXPECTED
    assert [f.code for f in findings] == ["SRC072"]
    assert "2 pixels in 1 masks have the colour 224,224,192" in findings[0].message


def test_an_index_beyond_the_palette_is_black(source, read_format):
    root = source(classes="black:0,0,0::\ngrey:9,9,9::")
    codes = np.full(SIZE, 3, dtype=np.uint8)
    codes[0] = (200, 200, 255, 3)
    write(root / "masks/a.png", codes, palette=[(9, 9, 9)] * 200)
    records, findings = read_format(MASKS, root, root)
    with Image.open(root / "masks/a.png") as image:
        shown = np.asarray(image.convert("RGB"))[..., 0]
    assert pixels(records[0]) == {"black": int((shown == 0).sum()), "grey": 9}
    assert findings == []


def test_a_colour_that_the_list_lacks(source, read_format):
    root = source(classes=COLOUR_LIST)
    colours = np.zeros((*SIZE, 3), dtype=np.uint8)
    colours[0, :3] = (250, 5, 8)
    write(root / "masks/a.png", colours)
    records, findings = read_format(MASKS, root, root)
    assert records[0].regions == ()
    assert [f.code for f in findings] == ["SRC071"]
    assert "3 pixels have the colour 250,5,8" in findings[0].message


def test_grey_levels_and_one_bit_match_colours(source, read_format):
    root = source(["a.jpg", "b.jpg"], classes="white:255,255,255::\ngrey:7,7,7::\nblack:0,0,0::")
    for path in (root / "masks").iterdir():
        path.unlink()
    write(root / "masks/a.png", CODES[1:2] * np.ones(SIZE, dtype=np.uint8))
    write(root / "masks/b.png", CODES > 0)
    records, findings = read_format(MASKS, root, root)
    assert pixels(records[0]) == {"grey": 6, "black": 3}
    assert pixels(records[1]) == {"white": 10, "black": 2}
    assert codes_of(findings) == ["SRC071"]


def test_codes_stored_as_grey_in_three_channels(source, read_format):
    root = source()
    write(root / "masks/a.png", CODES, mode="RGB")
    records, _ = read_format(MASKS, root, root)
    assert pixels(records[0]) == EXPECTED


def test_codes_above_255_are_red_and_green(source, read_format):
    root = source(classes="1 door\n300 wall")
    colours = np.zeros((*SIZE, 3), dtype=np.uint8)
    colours[0] = (1, 0, 0)
    colours[1, :2] = (44, 1, 0)
    write(root / "masks/a.png", colours)
    records, findings = read_format(MASKS, root, root)
    assert pixels(records[0]) == {"door": 4, "wall": 2}
    assert findings == []


def test_a_jpeg_is_refused_and_says_where_to_go(source, read_format):
    root = source(masks=["masks/a.jpg"])
    said = MASKS.detect(Candidate(root))
    assert not said.matches
    assert "binary-masks" in " ".join(said.reasons)
    records, findings = read_format(MASKS, root, root)
    assert records == []
    assert codes_of(findings) == ["SRC073", "SRC075"]
    assert "binary-masks" in findings[1].hint


def test_a_picture_of_the_mask_beside_it_is_no_mask(source, read_format):
    root = source(masks=["masks/a.png", "masks/a.jpg", "SegmentationClassVisualization/a.jpg"])
    records, findings = read_format(MASKS, root, root / "images")
    assert [pixels(record) for record in records] == [EXPECTED]
    assert codes_of(findings) == ["SRC072"]


# objects


@pytest.mark.parametrize("stored", ["palette", "RGB"])
def test_objects_are_counted_one_by_one(source, read_format, stored):
    root = source(["JPEGImages/a.jpg"], ["SegmentationClass/a.png"])
    numbers = np.array([[1, 1, 2, 2], [0, 0, 3, 3], [255, 3, 3, 4]], dtype=np.uint8)
    if stored == "palette":
        write(root / "SegmentationObject/a.png", numbers, palette=PALETTE)
    else:  # as CVAT and the tools of VOC write it
        table = np.arange(768, dtype=np.int64).reshape(256, 3) % 251
        table[0], table[255] = 0, (224, 224, 192)
        write(root / "SegmentationObject/a.png", table.astype(np.uint8)[numbers])
    records, findings = read_format(MASKS, root, root)
    numbers = np.where(numbers == 255, 0, numbers)
    names = {1: "door", 2: "wall", 7: "roof"}
    expected = Counter()
    for code, number in zip(CODES.ravel().tolist(), numbers.ravel().tolist(), strict=True):
        if code in names:
            expected[names[code], number] += 1
    found = [
        (region.name, int(rasterize(region.geometry, SIZE).sum())) for region in records[0].regions
    ]
    assert sorted(found) == sorted((name, count) for (name, _), count in expected.items())
    assert {type(region.geometry) for region in records[0].regions} == {CodedMask, Rle}
    assert [f.code for f in findings] == ["SRC072"]
    assert "2 pixels in 1 masks" in findings[0].message
    union = np.zeros(SIZE, dtype=np.uint8)
    for region in records[0].regions:
        mask = rasterize(region.geometry, SIZE)
        assert not union[mask].any()
        union[mask] = next(code for code, name in names.items() if name == region.name)
    assert np.array_equal(union, np.where(CODES == 255, 0, CODES))


def test_the_edge_of_objects_belongs_to_none(source, read_format):
    """VOC draws it as 255; here class pixels lie on it, as they do where tools leave a seam."""
    root = source(["JPEGImages/a.jpg"], ["SegmentationClass/a.png"])
    write(root / "SegmentationClass/a.png", np.where(CODES == 7, 7, 1).astype(np.uint8))
    numbers = np.array([[1, 1, 1, 1], [1, 1, 0, 255], [1, 1, 255, 2]], dtype=np.uint8)
    write(root / "SegmentationObject/a.png", numbers)
    records, findings = read_format(MASKS, root, root)
    assert findings == []
    assert [(r.name, r.origin.pointer) for r in records[0].regions] == [
        ("door", "/1/1"),
        ("roof", "/7"),
        ("roof", "/7/2"),
    ]
    masks = [rasterize(region.geometry, SIZE) for region in records[0].regions]
    assert [mask.tolist() for mask in masks] == [
        (numbers == 1).tolist(),
        ((numbers == 0) | (numbers == 255)).tolist(),
        (numbers == 2).tolist(),
    ]


def test_objects_of_another_size_leave_whole_classes(source, read_format):
    root = source(["JPEGImages/a.jpg"], ["SegmentationClass/a.png"])
    write(root / "SegmentationObject/a.png", np.ones((2, 2), dtype=np.uint8))
    records, findings = read_format(MASKS, root, root)
    assert pixels(records[0]) == EXPECTED
    assert codes_of(findings) == ["SRC072", "SRC026"]
    assert "2 x 2 pixels" in findings[1].message


# sizes, and what is broken


def test_another_size(source, read_format, save):
    root = source(["images/a.jpg", "images/b.jpg"], ["masks/a.png", "masks/b.png"])
    save(root / "images/a.jpg", (30, 40))
    records, findings = read_format(MASKS, root, root)
    assert [record.image for record in records] == ["images/b.jpg"]
    assert codes_of(findings) == ["SRC072", "SRC024"]
    assert "3 x 4 pixels" in findings[1].message
    assert "30 x 40" in findings[1].message


def test_a_mask_of_the_upright_size_lies_on_the_upright_photograph(source, read_format, save):
    root = source(["images/a.jpg", "images/b.jpg"], ["masks/a.png", "masks/b.png"])
    save(root / "images/a.jpg", SIZE[::-1], orientation=6)
    save(root / "images/b.jpg", SIZE, orientation=6)
    records, _ = read_format(MASKS, root, root)
    assert [(record.frame, record.size) for record in records] == [
        ("upright", SIZE),
        ("stored", SIZE),
    ]


def bomb(side):
    """A PNG of a few bytes whose header announces side x side pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b""))
        + chunk(b"IEND", b"")
    )


def cut(path):
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 30])


def photograph(path):
    noise = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    write(path, np.kron(noise, np.ones((1, 1, 1), dtype=np.uint8)))


@pytest.mark.parametrize(
    "spoil",
    [
        cut,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"no image"),
        lambda path: path.write_bytes(bomb(60_000)),
        lambda path: path.write_bytes(bomb(4)),
        lambda path: write(path, CODES.astype(np.uint16) * 300),
        lambda path: Image.fromarray(CODES.astype(np.float32)).save(path, format="TIFF"),
        lambda path: Image.fromarray(CODES).convert("LA").save(path),
        lambda path: Image.fromarray(CODES).save(path, format="JPEG"),
    ],
)
def test_a_broken_mask_is_a_finding_and_the_rest_is_read(source, read_format, spoil):
    root = source(["images/a.jpg", "images/b.jpg"], ["masks/a.png", "masks/b.png"])
    spoil(root / "masks/a.png")
    records, findings = read_format(MASKS, root, root)
    assert [record.image for record in records] == ["images/b.jpg"]
    assert sorted(codes_of(findings)) in (["SRC026", "SRC072"], ["SRC024", "SRC072"])
    assert {f.path for f in findings if f.code != "SRC072"} == {"source/masks/a.png"}
    assert MASKS.detect(Candidate(root)).matches


def test_a_photograph_given_as_a_mask(source, read_format, save):
    root = source()
    save(root / "images/a.jpg", (80, 80))
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    write(root / "masks/a.png", noise)
    records, findings = read_format(MASKS, root, root)
    assert records == []
    assert codes_of(findings) == ["SRC026"]
    assert "more than 4096" in findings[0].message


def test_links_out_of_the_folder_and_odd_names(source, read_format, tmp_path):
    root = source(["images/a.jpg", "images/b.jpg"])
    secret = tmp_path / "secret.png"
    write(secret, CODES)
    (root / "masks/b.png").symlink_to(secret)
    (root / "masks/broken.png").symlink_to(tmp_path / "nothing.png")
    write(root / "masks/c\nd.png", CODES)
    os.mkfifo(root / "masks/pipe.png")
    records, findings = read_format(MASKS, root, root)
    assert [record.image for record in records] == ["images/a.jpg"]
    assert [(f.code, f.path) for f in findings] == [
        ("SRC072", "source"),
        ("SRC006", "source/masks/b.png"),
        ("SRC001", "source/masks/c\\nd.png"),
    ]


def test_names_that_are_no_text(source, read_format):
    root = source()
    try:
        write(root / os.fsdecode(b"masks/\xff.png"), CODES)
        write(root / os.fsdecode(b"images/\xff.png"), CODES)
    except OSError:
        pytest.skip("this file system has names of text only")
    records, findings = read_format(MASKS, root, root)
    assert len(records) == 1
    assert codes_of(findings) == ["SRC072", "SRC006"]


def test_ambiguous_photographs(source, read_format):
    root = source(["x/a.jpg", "y/a.jpg"], ["masks/a.png"])
    records, findings = read_format(MASKS, root, root)
    assert records == []
    assert codes_of(findings) == ["SRC073", "SRC002"]


@pytest.mark.parametrize(("number", "expected"), [(64, 1), (65, 3)])
def test_processes_are_started_for_many_masks_only(source, monkeypatch, number, expected):
    names = [f"{place:03}" for place in range(number)]
    root = source([f"images/{name}.png" for name in names], [f"masks/{name}.png" for name in names])
    asked = []

    def mapped(function, items, *, jobs):
        asked.append(jobs)
        yield from map(function, items)

    monkeypatch.setattr("conceptset.io.parallel.ordered_map", mapped)
    context = ReadContext(ImageCatalogue(root), Problems("collect"), "source", "", 3)
    assert len(list(MASKS.read(root, context))) == number
    assert asked == [expected]


def test_many_masks_on_two_processes_are_the_same(source):
    names = [f"{place:03}" for place in range(80)]
    root = source([f"images/{name}.png" for name in names], [f"masks/{name}.png" for name in names])
    rng = np.random.default_rng(3)
    for name in names:
        write(root / f"masks/{name}.png", rng.choice(np.array([0, 1, 2, 7], np.uint8), SIZE))
    results = []
    for jobs in (1, 2):
        seen = []
        context = ReadContext(
            ImageCatalogue(root), Problems("raise"), "source", "", jobs, progress=seen.append
        )
        records = list(MASKS.read(root, context))
        assert seen == [1] * 80
        results.append(
            [
                (record.image, [(region.name, region.geometry.code) for region in record.regions])
                for record in records
            ]
        )
    assert results[0] == results[1]
    assert [name for name, _ in results[0]] == [f"images/{name}.png" for name in names]


def test_other_images_of_the_same_name_are_not_taken_for_photographs(source, read_format):
    root = source(["images/a.jpg", "regions/a.png"], ["labels/a.png"])
    records, findings = read_format(MASKS, root, root)
    assert [record.image for record in records] == ["images/a.jpg"]
    assert codes_of(findings) == ["SRC072", "SRC073"]


# detection


def test_what_is_no_mask_folder(source, tmp_path, save):
    root = source()
    assert MASKS.detect(Candidate(root)).matches
    assert not MASKS.detect(Candidate(root / "classes.txt")).matches
    (root / "index.csv").write_text("image,split\n")
    (root / "label.csv").write_text("number,name\n")
    said = MASKS.detect(Candidate(root))
    assert not said.matches
    assert "concept set" in said.reasons[0]
    for name in ("index.csv", "label.csv"):
        (root / name).unlink()
    (root / "instances.json").write_text('{"images": [], "annotations": []}')
    said = MASKS.detect(Candidate(root))
    assert (said.matches, said.on_request) == (False, True)
    assert "instances.json" in said.reasons[-1]
    (root / "instances.json").write_text('{"made by": "hand"}')
    assert MASKS.detect(Candidate(root)).matches


def test_photographs_and_a_class_list_are_no_masks(tmp_path, save):
    """As image classification and YOLO have it."""
    rng = np.random.default_rng(0)
    for name in ("images/cat/1.png", "images/dog/2.png"):
        write(tmp_path / name, rng.integers(0, 256, (40, 40), dtype=np.uint8))
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels/1.txt").write_text("0 .5 .5 .1 .1")
    (tmp_path / "classes.txt").write_text("background\ncat\ndog")
    said = MASKS.detect(Candidate(tmp_path))
    assert not said.matches
    assert not said.on_request
    assert not MASKS.detect(Candidate(tmp_path / "images")).matches


def test_masks_behind_very_many_photographs_are_found(source, monkeypatch):
    """A listing that ends before the folder of masks must not hide it."""
    names = [f"{place:03}" for place in range(50)]
    root = source([f"images/{name}.png" for name in names], [f"masks/{name}.png" for name in names])
    for module in ("conceptset.parsing.candidate", "conceptset.formats.masks.listing"):
        monkeypatch.setattr(f"{module}.MAX_ENTRIES", 30)
    monkeypatch.setattr("conceptset.formats.masks.listing._EACH", 5)
    said = MASKS.detect(Candidate(root))
    assert said.matches
    assert said.reasons[0] == "at least 5 masks in masks/"


def test_black_and_white_is_no_index_mask_unless_the_list_says_so(source):
    root = source(classes="0 background\n1 door")
    write(root / "masks/a.png", (CODES > 0).astype(np.uint8) * 255)
    said = MASKS.detect(Candidate(root))
    assert not said.matches
    assert "binary-masks" in said.reasons[-1]
    (root / "classes.txt").write_text("0 background\n255 door")
    assert MASKS.detect(Candidate(root)).matches
