"""What the reader makes of LabelMe JSON: shapes, groups, names, people, photographs."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conceptset.findings import Severity
from conceptset.formats import detect
from conceptset.formats.base import Candidate
from conceptset.formats.labelme import FORMAT
from conceptset.formats.labelme.photograph import relative_to
from conceptset.geometry import Pierced, Rings, Rle, United
from conceptset.raster import rasterize
from conceptset.records import Person

SQUARE = [[1, 1], [4, 1], [4, 4], [1, 4]]


def encoded(image, kind="PNG", **save):
    stream = io.BytesIO()
    image.save(stream, kind, **save)
    return base64.b64encode(stream.getvalue()).decode()


def shape(label="door", points=SQUARE, kind="polygon", **extra):
    return {"label": label, "points": points, "shape_type": kind} | extra


def document(*shapes, **changes):
    return {
        "version": "5.4.1",
        "flags": {},
        "shapes": list(shapes),
        "imagePath": "a.png",
        "imageData": None,
        "imageHeight": 6,
        "imageWidth": 8,
    } | changes


@pytest.fixture
def read(tmp_path, read_format, save):
    """Writes a document into the image root and reads it; a.png (6 x 8) lies beside it."""

    def one(data, file="a.json", on_error="collect", size=(6, 8), orientation=1, **options):
        if size is not None:
            name = "a.png" if orientation == 1 else "a.jpg"
            save(tmp_path / "root" / name, size, orientation)
        path = tmp_path / "root" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(data), encoding="utf-8")
        (tmp_path / "work").mkdir(exist_ok=True)
        beside = Path(file).parent.as_posix().removeprefix(".")
        return read_format(
            FORMAT, path, tmp_path / "root", on_error=on_error, beside=beside,
            workspace=tmp_path / "work", **options,
        )  # fmt: skip

    return one


@pytest.fixture
def regions(read):
    """The regions of shapes without any finding."""

    def some(*shapes, **changes):
        (record,), findings = read(document(*shapes, **changes))
        assert findings == []
        return record.regions

    return some


def pixels(region, size=(6, 8)):
    return [tuple(place) for place in np.argwhere(rasterize(region.geometry, size)).tolist()]


def block(rows, columns):
    return [(row, column) for row in range(*rows) for column in range(*columns)]


# Shapes


@pytest.mark.parametrize(
    ("kind", "points", "expected_kind", "expected"),
    [
        ("polygon", SQUARE, "region", block((1, 4), (1, 4))),
        ("polygon", [*SQUARE, SQUARE[0]], "region", block((1, 4), (1, 4))),
        (None, SQUARE, "region", block((1, 4), (1, 4))),
        ("", SQUARE, "region", block((1, 4), (1, 4))),
        ("rectangle", [[1, 1], [4, 3]], "box", block((1, 3), (1, 4))),
        ("rectangle", [[4, 3], [1, 1]], "box", block((1, 3), (1, 4))),
        ("rectangle", [[4, 1], [1, 3]], "box", block((1, 3), (1, 4))),
        ("rectangle", [[1, 1], [4, 1], [4, 3], [1, 3]], "box", block((1, 3), (1, 4))),
        ("rectangle", [[-3, -3], [2, 90]], "box", block((0, 6), (0, 2))),
        ("oriented_rectangle", [[1, 1], [4, 1], [4, 3], [1, 3]], "box", block((1, 3), (1, 4))),
        ("circle", [[4, 3], [4, 1.5]], "region", block((2, 4), (3, 5))),
        ("circle", [[0, 0], [0, 2.5]], "region", [(0, 0), (0, 1), (1, 0), (1, 1)]),
    ],
)  # fmt: skip
def test_shapes(regions, kind, points, expected_kind, expected):
    (region,) = regions(shape(points=points, kind=kind))
    assert (region.name, region.kind) == ("door", expected_kind)
    assert region.origin.pointer == "/shapes/0"
    assert pixels(region) == expected


def test_an_oriented_rectangle_is_its_four_corners(regions):
    (region,) = regions(shape(points=[[4, 0], [7, 3], [4, 6], [1, 3]], kind="oriented_rectangle"))
    assert region.kind == "box"
    assert int(rasterize(region.geometry, (6, 8)).sum()) == 18 - 6 + 12 - 6  # a diamond of area 18


@pytest.mark.parametrize(
    ("kind", "points"),
    [
        ("point", [[1, 1]]),
        ("points", [[1, 1], [2, 2]]),
        ("line", [[1, 1], [2, 2]]),
        ("linestrip", [[1, 1], [2, 2], [3, 1]]),
    ],
)
def test_what_has_no_area_is_a_mark(regions, kind, points):
    (region,) = regions(shape(points=points, kind=kind))
    assert (region.name, region.kind, region.geometry) == ("door", "mark", None)


PATCH = np.array([[1, 0, 1], [0, 1, 1]], dtype=np.uint8)


def patched(corners, patch=PATCH, **save):
    image = Image.fromarray(patch)
    return shape(points=corners, kind="mask", mask=encoded(image, **save))


@pytest.mark.parametrize(
    ("corners", "top", "left"),
    [
        ([[2, 1], [4, 2]], 1, 2),
        ([[2.0, 1.0], [4.0, 2.0]], 1, 2),
        ([[0, 0], [2, 1]], 0, 0),
        ([[-1, -1], [1, 0]], -1, -1),
        ([[6, 5], [8, 6]], 5, 6),
        ([[20, 20], [22, 21]], 20, 20),
        ([[2.4, 1.4], [4.4, 2.4]], 1, 2),
        ([[1.6, 0.6], [3.6, 1.6]], 1, 2),
        ([[1.6, 0.6], [40, 40.5]], 1, 2),  # moved: the patch says how large it is
    ],
)
def test_a_mask_lies_with_its_first_pixel_at_the_first_corner(regions, corners, top, left):
    (region,) = regions(patched(corners))
    assert region.kind == "region"
    assert isinstance(region.geometry, Rle)
    assert pixels(region) == sorted(
        (row + top, column + left)
        for row, column in [(0, 0), (0, 2), (1, 1), (1, 2)]
        if 0 <= row + top < 6 and 0 <= column + left < 8
    )


@pytest.mark.parametrize("mode", ["1", "L", "P", "I;16"])
def test_masks_of_every_mode(regions, mode):
    values = PATCH * 255 if mode == "1" else PATCH
    image = Image.fromarray(values.astype(np.uint16) if mode == "I;16" else values)
    if mode == "1":
        image = image.convert("1")
    elif mode == "P":
        image = Image.fromarray(PATCH, mode="L").convert("P")
        image.putdata(PATCH.ravel().tolist())
    text = encoded(image)
    (region,) = regions(shape(points=[[0, 0], [2, 1]], kind="mask", mask=text))
    assert pixels(region) == [(0, 0), (0, 2), (1, 1), (1, 2)]


def test_a_mask_of_another_size_than_its_corners_is_cut_and_said(read):
    (record,), findings = read(document(patched([[2, 1], [3, 1]])), on_error="raise")
    assert [(f.code, f.pointer) for f in findings] == [("SRC055", "/shapes/0/mask")]
    assert "has 2 x 3 pixels (height x width), its corners hold 1 x 2" in findings[0].message
    assert pixels(record.regions[0]) == [(1, 2)]
    (record,), findings = read(document(patched([[2, 1], [7, 4]])))
    assert [finding.code for finding in findings] == ["SRC055"]
    assert len(pixels(record.regions[0])) == 4


def test_a_null_mask_beside_a_polygon_means_nothing(regions):
    assert pixels(regions(shape(mask=None))[0]) == block((1, 4), (1, 4))


# Groups


def square(left, top, **extra):
    points = [[left, top], [left + 2, top], [left + 2, top + 2], [left, top + 2]]
    return shape(points=points, **extra)


def test_shapes_of_one_label_and_group_are_one_object(regions):
    found = regions(
        square(0, 0, group_id=0),
        square(5, 0, label="wall", group_id=0),
        square(2, 0, group_id=None),
        square(3, 3, group_id=0),
        square(5, 3, group_id=1),
    )
    assert [(r.name, r.origin.pointer, len(pixels(r))) for r in found] == [
        ("door", "/shapes/0", 8),
        ("wall", "/shapes/1", 4),
        ("door", "/shapes/2", 4),
        ("door", "/shapes/4", 4),
    ]
    assert isinstance(found[0].geometry, Rings)
    assert pixels(found[0]) == sorted(block((0, 2), (0, 2)) + block((3, 5), (3, 5)))


def test_a_group_of_unlike_shapes(regions):
    found = regions(
        shape(group_id=3),
        shape(points=[[6, 4], [6, 3]], kind="circle", group_id=3),
        patched([[5, 0], [7, 1]]) | {"group_id": 3},
    )
    assert len(found) == 1
    assert isinstance(found[0].geometry, United)
    assert pixels(found[0]) == sorted(
        block((1, 4), (1, 4)) + block((3, 5), (5, 7)) + [(0, 5), (0, 7), (1, 6), (1, 7)]
    )


def test_frames_and_marks_of_a_group_stay_apart_from_its_outlines(regions):
    found = regions(
        shape(points=[[0, 0], [5, 5]], kind="rectangle", group_id=1),
        shape(group_id=1),
        shape(points=[[2, 2]], kind="point", group_id=1),
        shape(points=[[5, 0], [6, 1]], kind="rectangle", group_id=1),
        shape(points=[[3, 3]], kind="point", group_id=1),
    )
    assert [region.kind for region in found] == ["box", "region", "mark", "mark"]
    assert len(pixels(found[0])) == 25 + 1
    assert len(pixels(found[1])) == 9


def test_overlapping_pieces_of_a_group_are_united(regions):
    (region,) = regions(square(0, 0, group_id=1), square(1, 1, group_id=1))
    assert len(pixels(region)) == 7


def test_a_group_does_not_join_two_people(regions):
    found = regions(
        shape(group_id=1, annotator="ada"),
        shape(group_id=1, annotator="bob"),
        shape(group_id=1, annotator="ada"),
    )
    assert [region.person for region in found] == [Person("ada"), Person("bob")]


def test_numbered_labels_stay_as_they_are(regions):
    assert [r.name for r in regions(shape("person-1"), shape(" person-2\n"))] == [
        "person-1",
        "person-2",
    ]


# What takes away


def test_background_takes_away_what_was_drawn_before(regions):
    found = regions(
        shape(),
        square(2, 2, label="_background_"),
        square(2, 2, label="wall"),
        shape(points=[[0, 0], [1, 0], [1, 1], [0, 1]]),
    )
    assert [region.name for region in found] == ["door", "wall", "door"]
    assert isinstance(found[0].geometry, Pierced)
    assert pixels(found[0]) == sorted(set(block((1, 4), (1, 4))) - set(block((2, 4), (2, 4))))
    assert pixels(found[1]) == block((2, 4), (2, 4))
    assert pixels(found[2]) == [(0, 0)]


@pytest.mark.parametrize(
    "eraser",
    [
        shape("_background_", [[2, 2], [9, 9]], "rectangle"),
        shape("_background_", [[2, 2], [9, 2], [9, 9], [2, 9]], "oriented_rectangle"),
        shape("_background_", [[2, 2], [3, 3]], "mask", mask=encoded(Image.new("L", (2, 2), 1))),
    ],
)
def test_every_shape_with_an_area_takes_away(regions, eraser):
    (region,) = regions(shape(), eraser)
    assert pixels(region) == sorted(set(block((1, 4), (1, 4))) - set(block((2, 4), (2, 4))))


def test_a_hole_of_a_piece_is_not_one_of_the_next_piece(regions):
    (region,) = regions(
        square(1, 1, group_id=0), square(1, 1, label="_background_"), square(2, 2, group_id=0)
    )
    assert pixels(region) == block((2, 4), (2, 4))


def test_points_and_what_lies_elsewhere_take_nothing_away(regions):
    (region,) = regions(
        shape(), shape("_background_", [[2, 2]], "point"), square(5, 3, label="_background_")
    )
    assert isinstance(region.geometry, Rings)


def test_ignored_pixels_are_taken_away_and_said(read):
    data = document(
        shape(), square(2, 2, label="__ignore__"), square(5, 3, label="__ignore__"),
        flags={"__ignore__": True, "_background_": True, "dark": True},
    )  # fmt: skip
    (record,), findings = read(data, on_error="raise")
    assert [(region.name, region.kind) for region in record.regions] == [
        ("door", "region"),
        ("dark", "tag"),
    ]
    assert len(pixels(record.regions[0])) == 9 - 4
    assert [(f.code, f.pointer) for f in findings] == [
        ("SRC056", "/flags"),
        ("SRC056", "/shapes"),
    ]
    assert "2 shapes are called __ignore__" in findings[1].message


# Names, flags, people


def test_flags_that_are_true_are_tags(regions):
    found = regions(flags={"outdoor": True, "dark": False, "a/b~c": True, "none": None})
    assert [(r.name, r.kind, r.geometry, r.origin.pointer) for r in found] == [
        ("outdoor", "tag", None, "/flags/outdoor"),
        ("a/b~c", "tag", None, "/flags/a~1b~0c"),
    ]


def test_flags_of_a_shape_are_no_tags(regions):
    assert len(regions(shape(flags={"occluded": True}))) == 1


@pytest.mark.parametrize("flags", [None, {}])
def test_no_flags(regions, flags):
    assert regions(flags=flags) == ()


def test_who_drew(read):
    data = document(
        shape(annotator="bob"),
        shape(),
        shape("__ignore__", annotator="cid"),
        shape("x", annotator=7),
        annotator=" ada ",
        flags={"outdoor": True},
    )
    (record,), _ = read(data)
    ada, bob, seven = Person("ada"), Person("bob"), Person("7")
    assert [region.person for region in record.regions] == [bob, ada, seven, ada]
    assert record.workers == (ada, bob, Person("cid"), seven)
    assert record.file_person is None


def test_nobody_is_said(read):
    (record,), _ = read(document(shape(), annotator=" "))
    assert record.workers == ()
    assert record.regions[0].person is None


def test_an_empty_image_is_a_record(read):
    (record,), findings = read(document(annotator="ada"))
    assert (record.image, record.size, record.regions) == ("a.png", (6, 8), ())
    assert record.workers == (Person("ada"),)
    assert findings == []


def test_a_very_old_file(read):
    old = {
        "shapes": [
            {"label": "door", "line_color": None, "fill_color": None, "points": SQUARE},
            {"label": "wall", "line_color": [0, 0, 0, 9], "fill_color": None, "points": SQUARE},
        ],
        "lineColor": [0, 255, 0, 128],
        "fillColor": [255, 0, 0, 128],
        "imagePath": "a.png",
        "imageData": None,
    }
    (record,), findings = read(old)
    assert [region.name for region in record.regions] == ["door", "wall"]
    assert (record.size, [f.code for f in findings]) == ((6, 8), ["SRC005"])


# Photographs on disk


@pytest.mark.parametrize(
    ("file", "image_path", "photograph"),
    [
        ("a.json", "p.png", "p.png"),
        ("a.json", "sub\\p.png", "sub/p.png"),
        ("a.json", ".\\sub\\..\\p.png", "p.png"),
        ("ann/a.json", "..\\images\\p.png", "images/p.png"),
        ("ann/x/a.json", "../../images/p.png", "images/p.png"),
        ("ann/a.json", "../../../elsewhere/p.png", "images/p.png"),
        ("ann/a.json", "C:\\Users\\me\\p.png", "images/p.png"),
        ("ann/a.json", "/home/me/p.png", "images/p.png"),
        ("ann/a.json", "\\\\server\\share\\p.png", "images/p.png"),
        ("ann/a.json", "p.png", "images/p.png"),
        ("a.json", "gone.png", "a.tif"),
        ("ann/a.json", "gone.png", "ann/a.JPG"),
        ("ann/a.json", "a.json", "images/a.jpg"),
        ("ann/a.json", None, "images/a.jpg"),
        ("ann/a.json", 3, "ann/a.png"),
    ],
)
def test_where_the_photograph_lies(read, tmp_path, save, file, image_path, photograph):
    save(tmp_path / "root" / photograph, (6, 8))
    (record,), findings = read(document(imagePath=image_path), file=file, size=None)
    assert (record.image, findings) == (photograph, [])


def test_what_lies_beside_the_file_comes_first(read, tmp_path, save):
    for name in ("p.png", "ann/p.png"):
        save(tmp_path / "root" / name, (6, 8))
    (record,), _ = read(document(imagePath="p.png"), file="ann/a.json", size=None)
    assert record.image == "ann/p.png"


@pytest.mark.parametrize(
    ("stated", "orientation", "frame", "size"),
    [
        ((6, 8), 1, "stored", (6, 8)),
        ((8, 6), 6, "upright", (8, 6)),
        ((6, 8), 3, "upright", (6, 8)),
        ((6, 8), 6, "stored", (6, 8)),  # versions that knew nothing of EXIF
        ((None, None), 6, "upright", (8, 6)),
    ],
)
def test_sizes_are_those_of_the_upright_image(read, stated, orientation, frame, size):
    name = "a.png" if orientation == 1 else "a.jpg"
    data = document(imagePath=name, imageHeight=stated[0], imageWidth=stated[1])
    (record,), findings = read(data, orientation=orientation)
    assert (record.frame, record.size) == (frame, size)
    assert [f.code for f in findings] == ([] if stated[0] else ["SRC005"])


@pytest.mark.parametrize("sides", [("6", "8"), (6.0, 8.0)])
def test_sizes_as_text_and_fractions(read, sides):
    (record,), findings = read(document(imageHeight=sides[0], imageWidth=sides[1]))
    assert (record.size, findings) == ((6, 8), [])


@pytest.mark.parametrize(
    ("name", "beside", "expected"),
    [
        ("a.jpg", "", ("a.jpg", "")),
        ("b\\..\\a.jpg", "x", ("a.jpg", "x")),
        ("../a.jpg", "x/y", ("a.jpg", "x")),
        ("../../a.jpg", "x", ("a.jpg", "")),
        ("../../z/a.jpg", "x", ("a.jpg", "")),
        ("https://host/x/a.jpg", "x", ("a.jpg", "x")),
    ],
)
def test_relative_to(name, beside, expected):
    assert relative_to(name, beside) == expected


# Photographs inside the file


def embedded(grey=7, size=(6, 8), kind="PNG", **save):
    return encoded(Image.new("L", (size[1], size[0]), grey), kind, **save)


@pytest.mark.parametrize(
    ("file", "image_path", "kind", "key"),
    [
        ("a.json", "p.png", "PNG", "p.png"),
        ("ann/a.json", "p.png", "PNG", "ann/p.png"),
        ("ann/a.json", "..\\images\\p.png", "PNG", "images/p.png"),
        ("ann/a.json", "C:\\me\\p.bmp", "JPEG", "ann/p.bmp"),
        ("apc.json", "apc.json", "JPEG", "apc.jpg"),
        ("ann/apc.json", None, "PNG", "ann/apc.png"),
        ("apc.json", "", "TIFF", "apc.tif"),
    ],
)
def test_an_embedded_image_is_the_photograph(read, tmp_path, file, image_path, kind, key):
    text = embedded(kind=kind)
    data = document(shape(), imagePath=image_path, imageData=text)
    (record,), findings = read(data, file=file, size=None)
    assert findings == []
    assert (record.image, record.size, len(record.regions)) == (key, (6, 8), 1)
    (stored,) = (tmp_path / "work").iterdir()
    assert stored.read_bytes() == base64.b64decode(text)


def test_equal_bytes_on_disk_are_the_photograph(read, tmp_path):
    (tmp_path / "root/images").mkdir(parents=True)
    (tmp_path / "root/images/p.png").write_bytes(base64.b64decode(embedded()))
    data = document(imagePath="../images/p.png", imageData=embedded())
    (record,), findings = read(data, file="ann/a.json", size=None)
    assert (record.image, findings) == ("images/p.png", [])
    assert list((tmp_path / "work").iterdir()) == []


def test_an_embedded_image_wins_over_a_file_of_its_name(read):
    (record,), findings = read(document(imageData=embedded(9)), on_error="raise")
    assert record.image == "a-embedded.png"
    assert [(f.code, f.pointer, f.severity) for f in findings] == [
        ("SRC053", "/imageData", Severity.WARNING)
    ]
    assert 'other bytes than the file "a.png"; it is taken, as "a-embedded.png"' in str(findings[0])


def test_an_embedded_image_may_be_turned_by_exif(read):
    exif = Image.Exif()
    exif[0x0112] = 6
    data = document(imageData=embedded(kind="JPEG", exif=exif), imageHeight=8, imageWidth=6)
    (record,), findings = read(data, size=None)
    assert (record.frame, record.size, findings) == ("upright", (8, 6), [])


def test_an_upright_copy_beside_a_photograph_that_exif_turns(read, tmp_path, save):
    """What the tool writes for such photographs: re-encoded, at the size it showed."""
    save(tmp_path / "root/p.jpg", (6, 8), 6)
    text = embedded(size=(8, 6), kind="JPEG")
    data = document(imagePath="p.jpg", imageData=text, imageHeight=8, imageWidth=6)
    (record,), findings = read(data, size=None)
    assert (record.image, record.size, record.frame) == ("p-embedded.jpg", (8, 6), "stored")
    assert [f.code for f in findings] == ["SRC053"]


@pytest.mark.parametrize("head", ["data:image/png;base64,", "DATA:;BASE64,", "\n "])
def test_embedded_images_with_a_head_or_blanks(read, head):
    text = embedded()
    (record,), _ = read(
        document(imagePath="p.png", imageData=head + text[:20] + "\r\n" + text[20:])
    )
    assert record.image == "p.png"


@pytest.mark.parametrize("nothing", [None, ""])
def test_no_embedded_image(read, nothing):
    assert read(document(imageData=nothing))[0][0].image == "a.png"


# Detection and names


@pytest.mark.parametrize(
    ("data", "reasons"),
    [
        (document(shape()), ("shapes: 1 entries", "imagePath: a.png", "version 5.4.1")),
        (
            {"shapes": [], "imageData": "x", "version": 3},
            ("shapes: 0 entries", "the image is in the file (imageData)", "version 3"),
        ),
        (
            {"shapes": [], "imagePath": None},
            (
                "shapes: 0 entries",
                "imagePath: null",
                "no version: written before 3.5, or by another program",
            ),
        ),
    ],
)
def test_what_is_detected(tmp_path, data, reasons):
    (tmp_path / "a.json").write_text(json.dumps(data))
    found = detect(tmp_path / "a.json")
    assert [one.format for one in found if one.matches] == ["labelme"]
    assert found[0].reasons == reasons


@pytest.mark.parametrize(
    ("extra", "shapes", "people"),
    [
        ({}, [shape()], None),
        ({"annotator": "ada"}, [shape()], "annotator"),
        ({"annotator": ""}, [shape(annotator="bob")], "shapes[].annotator"),
        ({"annotator": "ada"}, [shape(annotator="bob"), 3], "annotator, shapes[].annotator"),
    ],
)
def test_detection_says_where_people_are_named(tmp_path, extra, shapes, people):
    (tmp_path / "a.json").write_text(json.dumps(document(*shapes, **extra)))
    assert FORMAT.detect(Candidate(tmp_path / "a.json")).people == people


@pytest.mark.parametrize(
    ("text", "excerpt"),
    [
        ("[]", "holds a list, an object was expected"),
        ("{}", "no shapes"),
        ('{"shapes": {}, "imagePath": "a.png"}', "shapes is an object"),
        ('{"shapes": [], "tags": [], "tracks": [], "version": 0}', "neither imagePath nor"),
        ('{"shapes": [3], "imagePath": "a.png"}', "none of them is an object"),
        ("{", "is no valid JSON"),
    ],
)
def test_what_is_not_detected(tmp_path, text, excerpt):
    (tmp_path / "a.json").write_text(text)
    found = FORMAT.detect(Candidate(tmp_path / "a.json"))
    assert not found.matches
    assert excerpt in "; ".join(found.reasons)


def test_directories_and_other_endings_are_not_detected(tmp_path):
    assert FORMAT.detect(Candidate(tmp_path)).reasons == (
        "is a directory, a JSON file was expected",
    )
    (tmp_path / "a.xml").write_text("{}")
    assert "not called .json" in FORMAT.detect(Candidate(tmp_path / "a.xml")).reasons[0]


def test_a_large_file_is_searched_for_its_keys(tmp_path, monkeypatch):
    monkeypatch.setattr("conceptset.parsing.candidate.PARSE_LIMIT", 100)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document(shape(annotator="ada"))))
    found = FORMAT.detect(Candidate(path))
    assert found.matches
    assert (found.people, "searched for its keys" in found.reasons[0]) == ("annotator", True)
    path.write_text(json.dumps({"shapes": [1] * 100}))
    assert FORMAT.detect(Candidate(path)).reasons[1] == "neither imagePath nor imageData"
    path.write_text(json.dumps({"imagePath": "x" * 100}))
    assert FORMAT.detect(Candidate(path)).reasons[1] == "no key shapes"


def test_names_of_the_image(tmp_path, save):
    path = tmp_path / "a.json"
    for image_path, expected in [
        ("p.png", ["p.png"]),
        ("..\\images\\p.png", ["p.png"]),
        ("a.json", []),
        (None, []),
    ]:
        path.write_text(json.dumps(document(imagePath=image_path)))
        assert FORMAT.image_names(path) == expected
    save(tmp_path / "a.JPG", (6, 8))
    assert FORMAT.image_names(path) == ["a.JPG"]
    path.write_text(json.dumps(document(imageData="x")))
    assert FORMAT.image_names(path) == []
