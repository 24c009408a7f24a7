"""Bad COCO input: each defect gives one clear message, and its neighbours are read."""

from __future__ import annotations

import json
import re

import pytest
from PIL import Image

from conceptset.errors import AnnotationError, SourceError
from conceptset.formats.coco import FORMAT
from conceptset.parsing.defects import DEFECTS, entries, photographs, shapes

SQUARE = [1, 1, 4, 1, 4, 4, 1, 4]
GOOD = {"id": 1000, "image_id": 1, "category_id": 7, "segmentation": [SQUARE]}
IMAGE = {"id": 1, "file_name": "a.png", "height": 6, "width": 8}


def outline(*rings):
    return {"segmentation": list(rings)}


def runs(counts, size=(6, 8)):
    return {"segmentation": {"size": list(size), "counts": counts}}


ANNOTATIONS = [
    (outline([1, 1, 2, 2]), "SRC017", "/segmentation/0", 'outline of "door" has 2 points, 3 are'),
    (outline([2, 2]), "SRC017", "/segmentation/0", "has 1 point, 3 are needed"),
    (outline([1, 1, 2, 2, 1, 1]), "SRC017", "/segmentation/0", "3 points of which 2 differ"),
    (outline([], SQUARE), "SRC017", "/segmentation/0", 'outline 0 of "door" has 0 points'),
    (outline([1, 1, 4, 1, float("nan"), 4]), "SRC018", "/segmentation/0", "coordinate 4"),
    (outline([1, 1, 4, 1, float("inf"), 4]), "SRC018", "/segmentation/0", "is inf"),
    (outline([1, 1, 4, 1, None, 4]), "SRC018", "/segmentation/0", "is null, a finite number"),
    (outline([1, 1, 4, 1, "4", 4]), "SRC018", "/segmentation/0", "is the text '4'"),
    (outline([1, 1, 4, 1, True, 4]), "SRC018", "/segmentation/0", "is true or false"),
    (outline([[1, 1], [4, 1], [4, 4]]), "SRC018", "/segmentation/0", "is a list"),
    (outline([1, 1, 4, 1, 1e8, 4]), "SRC019", "/segmentation/0", "is 1e+08, at most 10000000"),
    (outline([1, 1, 4, 1, -(10**30), 4]), "SRC019", "/segmentation/0", "is -1e+30"),
    (outline([1, 1, 4, 1, 4, 4, 1]), "SRC020", "/segmentation/0", "has 7 coordinates"),
    (outline(2, 2, [1]), "SRC016", "/segmentation", "mixes numbers and lists"),
    (outline(SQUARE, "x"), "SRC016", "/segmentation/1", "outline 1 of \"door\" is the text 'x'"),
    ({"segmentation": "x"}, "SRC016", "/segmentation", "is the text 'x', a list of outlines"),
    ({"segmentation": []}, "SRC016", "", "empty outline and no box"),
    ({"bbox": [1, 2, 3]}, "SRC022", "/bbox", "is 3 values"),
    ({"bbox": "null"}, "SRC022", "/bbox", "is the text 'null'"),
    ({"bbox": [1, 2, 0, 3]}, "SRC022", "/bbox", "is 0 wide and 3 high"),
    ({"bbox": [1, 2, float("nan"), 3]}, "SRC018", "/bbox", "is nan"),
    (runs([40]), "SRC023", "/segmentation/counts", "the runs add up to 40"),
    (runs([50, -2]), "SRC023", "/segmentation/counts", "a run of 50 exceeds"),
    (runs([-1, 48]), "SRC023", "/segmentation/counts", "negative"),
    (runs([10**30]), "SRC023", "/segmentation/counts", "exceeds"),
    (runs([1.5]), "SRC023", "/segmentation/counts", "run 0 is 1.5"),
    (runs(None), "SRC023", "/segmentation/counts", "its runs are null"),
    (runs("!"), "SRC023", "/segmentation/counts", "character 0"),
    (runs("o"), "SRC023", "/segmentation/counts", "break off"),
    (runs("é1"), "SRC023", "/segmentation/counts", "character 0"),
    (runs([48], (8, 6)), "SRC024", "/segmentation/size", "height and width are swapped"),
    (runs([48], (5, 5)), "SRC024", "/segmentation/size", "has 5 x 5 pixels (height x width), its"),
    (runs([48], ()), "SRC023", "/segmentation/size", "states no size"),
    (runs([48], (6, "x")), "SRC023", "/segmentation/size", "states no size"),
    ({"image_id": 2}, "SRC009", "", 'image_id is "2", but no image'),
    ({"image_id": None}, "SRC009", "", "image_id is null"),
    ({"category_id": 3}, "SRC010", "", 'category_id is "3", but no category'),
    ({"category_id": [3]}, "SRC010", "", "category_id is a list"),
    ({"annotator": {"email": "a"}}, "SRC029", "/annotator", "the annotator is an object"),
    ({"attributes": {"annotator": 1.5}}, "SRC029", "/attributes/annotator", "is 1.5"),
    ({"annotator": "\ud800"}, "SRC029", "/annotator", r"is the text '\ud800'"),
    (3, "SRC015", "", "the annotation is 3, an object was expected"),
    ({"segments_info": 3}, "SRC015", "/segments_info", "a list was expected"),
    ({"segments_info": []}, "SRC025", "/file_name", "is null, a name was expected"),
    ({"segments_info": [], "file_name": "no.png"}, "SRC025", "/file_name", "looked for in"),
    ({"segments_info": [], "file_name": "../a.png"}, "SRC006", "/file_name", "'..'"),
    ({"segments_info": [], "file_name": "text.png"}, "SRC026", "/file_name", "not an image"),
    ({"segments_info": [], "file_name": "a.jpg"}, "SRC026", "/file_name", "JPEG of mode L"),
    ({"segments_info": [], "file_name": "deep.png"}, "SRC026", "/file_name", "of mode I"),
    ({"segments_info": [], "file_name": "small.png"}, "SRC024", "/file_name", "has 2 x 2 pixels"),
    ({"segments_info": [3], "file_name": "m.png"}, "SRC015", "/segments_info/0", "segment is 3"),
    (
        {"segments_info": [{"id": 0, "category_id": 0}], "file_name": "m.png"},
        "SRC027",
        "/segments_info/0/id",
        "is 0, 1 to 16777215",
    ),
    (
        {"segments_info": [{"id": 1, "category_id": 5}], "file_name": "m.png"},
        "SRC010",
        "/segments_info/0",
        'category_id is "5"',
    ),
    (
        {"segments_info": [{"id": 1, "category_id": 0, "annotator": []}], "file_name": "m.png"},
        "SRC029",
        "/segments_info/0/annotator",
        "is a list",
    ),
]


@pytest.fixture
def masks(tmp_path):
    folder = tmp_path / "a"
    folder.mkdir()
    Image.new("RGB", (8, 6)).save(folder / "m.png")
    Image.new("RGB", (2, 2)).save(folder / "small.png")
    Image.new("L", (8, 6)).save(folder / "a.jpg")
    Image.new("I;16", (8, 6)).save(folder / "deep.png")
    (folder / "text.png").write_text("no image")


@pytest.mark.usefixtures("masks")
@pytest.mark.parametrize(("annotation", "code", "place", "excerpt"), ANNOTATIONS)
def test_a_bad_annotation_is_one_finding(read_coco, document, annotation, code, place, excerpt):
    bad = document(annotation)["annotations"]
    records, findings = read_coco(document(annotations=[GOOD, *bad, GOOD | {"id": 2000}]))
    assert [(f.code, f.pointer) for f in findings] == [(code, f"/annotations/1{place}")]
    assert excerpt in findings[0].message
    assert findings[0].message.endswith(".")
    assert [region.origin.pointer for region in records[0].regions if region.name == "wall"] == [
        "/annotations/0",
        "/annotations/2",
    ]


@pytest.mark.usefixtures("masks")
@pytest.mark.parametrize(("annotation", "code", "place", "excerpt"), ANNOTATIONS)
def test_the_first_bad_annotation_stops_unless_told(
    read_coco, document, annotation, code, place, excerpt
):
    with pytest.raises(AnnotationError, match=re.escape(excerpt)) as caught:
        read_coco(document(annotation), on_error="raise")
    assert caught.value.code == code
    assert caught.value.pointer == f"/annotations/0{place}"
    assert str(caught.value).startswith(f"a.json /annotations/0{place}: ")
    assert "--on-error skip" in str(caught.value)


LISTS = [
    ({"images": [IMAGE, 3]}, "SRC007", "/images/1", "the image is 3"),
    ({"images": [IMAGE, {"file_name": "a.png"}]}, "SRC007", "/images/1", "id of the image is null"),
    ({"images": [IMAGE, {"id": 2}]}, "SRC007", "/images/1", "file_name is null"),
    ({"images": [IMAGE, IMAGE | {"id": "1"}]}, "SRC008", "/images/1", "that of an earlier one"),
    ({"images": [IMAGE, IMAGE | {"id": 2, "file_name": "no.png"}]}, "SRC001", "/images/1", "exist"),
    (
        {"images": [IMAGE, IMAGE | {"id": 2, "file_name": "b.png"}]},
        "SRC002",
        "/images/1",
        "several",
    ),
    (
        {"images": [IMAGE, IMAGE | {"id": 2, "file_name": "bad.png"}]},
        "SRC003",
        "/images/1",
        "not an",
    ),
    ({"images": [IMAGE, IMAGE | {"id": 2, "height": 7}]}, "SRC004", "/images/1", "7 x 8 pixels"),
    (
        {"images": [IMAGE, IMAGE | {"id": 2, "height": 8, "width": 6}]},
        "SRC004",
        "/images/1",
        '8 x 6 pixels (height x width) are stated for "a.png", the photograph has 6 x 8',
    ),
    (
        {"images": [IMAGE, IMAGE | {"id": 2, "rater_list": "A"}]},
        "SRC029",
        "/images/1/rater_list",
        "",
    ),
    (
        {"images": [IMAGE, IMAGE | {"id": 2, "rater_list": {"A": 1}}]},
        "SRC029",
        "/images/1/rater_list",
        "a list of sessions",
    ),
    (
        {"images": [IMAGE, IMAGE | {"id": 2, "rater_list": {"A": [1, "x"]}}]},
        "SRC029",
        "/images/1/rater_list",
        "the session is the text 'x'",
    ),
    (
        {"images": [IMAGE, IMAGE | {"id": 2, "rater_list": [[]]}]},
        "SRC029",
        "/images/1/rater_list/0",
        "the annotator is a list",
    ),
    ({"images": [IMAGE, IMAGE | {"id": 2, "annotator": {}}]}, "SRC029", "/images/1/annotator", ""),
    ({"categories": [{"id": 7, "name": "wall"}, 3]}, "SRC011", "/categories/1", "category is 3"),
    (
        {"categories": [{"id": 7, "name": "wall"}, {"name": "a"}]},
        "SRC011",
        "/categories/1",
        "id of",
    ),
    (
        {"categories": [{"id": 7, "name": "wall"}, {"id": 0, "name": " "}]},
        "SRC011",
        "/categories/1",
        "name of the category is the text ' '",
    ),
    (
        {"categories": [{"id": 7, "name": "wall"}, {"id": 0, "name": "\ud800"}]},
        "SRC011",
        "/categories/1",
        r"\ud800",
    ),
    (
        {"categories": [{"id": 7, "name": "wall"}, {"id": 7, "name": "a"}]},
        "SRC012",
        "/categories/1",
        'the category "a" has the id "7"',
    ),
]


@pytest.mark.parametrize(("changes", "code", "pointer", "excerpt"), LISTS)
def test_a_bad_entry_of_a_list_is_one_finding(
    read_coco, document, tmp_path, changes, code, pointer, excerpt
):
    sizes = {"a.png": (6, 8), "x/b.png": (6, 8), "y/b.png": (6, 8)}
    (tmp_path / "images").mkdir()
    (tmp_path / "images/bad.png").write_text("no image")
    records, findings = read_coco(document(annotations=[GOOD], **changes), sizes)
    assert [(f.code, f.pointer) for f in findings] == [(code, pointer)]
    assert excerpt in findings[0].message
    assert [[region.name for region in record.regions] for record in records] == [["wall"]]


def test_annotations_of_what_was_left_out_are_not_reported_again(read_coco, document):
    images = [IMAGE | {"file_name": "no.png"}, {"id": 2}]
    annotations = [GOOD, GOOD | {"image_id": 2, "id": 2}]
    records, findings = read_coco(document(annotations=annotations, images=images))
    assert [f.code for f in findings] == ["SRC001", "SRC007"]
    assert records == []
    categories = [{"id": 7, "name": None}]
    records, findings = read_coco(document(annotations=[GOOD], categories=categories))
    assert [f.code for f in findings] == ["SRC011"]
    assert records[0].regions == ()


@pytest.mark.parametrize(
    "name",
    [
        "../a.png", "/etc/passwd", "C:\\a.png", "..\\a.png", "a\x00.png", "a\n.png",
        "link/a.png", "\ud800.png", "x" * 300, "https://host/..", "https://[a/b.png", "y/" * 2000,
    ],
)  # fmt: skip
def test_names_that_lead_out_are_one_finding(read_coco, document, tmp_path, name):
    (tmp_path / "images").mkdir()
    (tmp_path / "elsewhere").mkdir()
    Image.new("L", (8, 6)).save(tmp_path / "elsewhere/a.png")
    (tmp_path / "images/link").symlink_to(tmp_path / "elsewhere")
    records, findings = read_coco(document(images=[IMAGE | {"file_name": name}]))
    assert records == []
    assert [(f.code, f.pointer) for f in findings] == [("SRC006", "/images/0")]
    assert str(findings[0]).isprintable()


def test_an_address_of_a_file_says_its_last_name_only(read_coco, document):
    records, findings = read_coco(document(images=[IMAGE | {"file_name": "file:///etc/passwd"}]))
    assert records == []
    assert [(f.code, f.pointer) for f in findings] == [("SRC001", "/images/0")]
    records, findings = read_coco(document(images=[IMAGE | {"file_name": "file:///etc/a.png"}]))
    assert [record.image for record in records] == ["a.png"]
    assert findings == []


@pytest.mark.parametrize(
    ("text", "excerpt"),
    [
        ("{", "is no valid JSON"),
        ("3", "it holds 3"),
        ("{}", "images is null"),
        ('{"images": [], "annotations": {}}', "annotations is an object"),
        ('{"images": [], "categories": "x"}', "categories is the text 'x'"),
        ("[" * 100_000, "nested too deeply"),
        ('{"images": [], "images": []}', "occurs twice"),
        ("[1]", "no objects with image_id"),
    ],
)
def test_files_that_are_no_coco_are_refused(read_coco, text, excerpt):
    with pytest.raises(SourceError, match=re.escape(excerpt)):
        read_coco(text)


@pytest.mark.parametrize(
    "annotation",
    [
        {"bbox": [0.1, 0.2, 0.3, 1]},
        outline([0, 0, 1, 0, 1, 1]),
        {"segmentation": [0, 0, 1, 0, 1, 1]},
    ],
)
def test_fractions_of_the_image_are_refused(read_coco, document, annotation):
    with pytest.raises(SourceError, match="fractions of the image") as caught:
        read_coco(document(annotation, 3))
    assert "Multiply x by the width" in str(caught.value)


def test_small_shapes_are_not_taken_for_fractions(read_coco, document):
    tiny = outline([0, 0, 1, 0, 1, 1, 0, 1])
    image = IMAGE | {"height": 2, "width": 2}
    assert read_coco(document(tiny, images=[image]), {"a.png": (2, 2)})[0]
    assert read_coco(document(tiny, runs([48])))[0]
    assert read_coco(document({"bbox": [0, 0, 0, 0]}))[0]
    assert read_coco(document(tiny, outline(SQUARE)))[0]


def test_unclear_crowd_flags_are_a_warning(read_coco, document):
    records, findings = read_coco(document(GOOD | {"iscrowd": 2}), on_error="raise")
    assert [(f.code, f.pointer) for f in findings] == [("SRC030", "/annotations/0/iscrowd")]
    assert records[0].regions[0].kind == "region"


def test_a_number_too_large_for_a_float_costs_one_outline(read_coco, document):
    text = json.dumps(document(outline([1, 1, 5, 1, 4, 4]), GOOD)).replace("5", "1e999", 1)
    records, findings = read_coco(text)
    assert [f.code for f in findings] == ["SRC018"]
    assert len(records[0].regions) == 1


def test_names_in_messages_do_not_move_the_cursor(read_coco, document):
    categories = [{"id": 0, "name": "a\x1b[2J\u202eb"}]
    _, findings = read_coco(document(outline([2, 2]), categories=categories))
    assert str(findings[0]).isprintable()


def test_every_code_is_a_defect_with_a_full_text():
    for code, defect in DEFECTS.items():
        assert re.fullmatch(r"SRC\d{3}", code)
        assert code == defect.code
        assert defect.title
        assert defect.why.endswith(".")
        assert defect.fix.endswith(".")
    assert len(DEFECTS) == len({defect.title for defect in DEFECTS.values()})


def test_every_code_occurs_in_these_tests():
    tables = {code for _, code, _, _ in ANNOTATIONS} | {code for _, code, _, _ in LISTS}
    elsewhere = {"SRC005", "SRC006", "SRC013", "SRC014", "SRC021", "SRC028", "SRC030", "SRC031"}
    build = {"SRC032", "SRC033"}  # found when files are joined: tests/build
    generic = {d.code for part in (entries, photographs, shapes) for d in part.DEFECTS}
    assert tables | elsewhere | build == generic


def test_image_names_of_a_broken_file(tmp_path):
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(SourceError):
        FORMAT.image_names(tmp_path / "a.json")
