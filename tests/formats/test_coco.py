"""The COCO reader on tiny files made in code."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from conceptset.errors import SourceError
from conceptset.formats import detect, format_named
from conceptset.formats.base import Candidate
from conceptset.formats.coco import FORMAT
from conceptset.geometry import CodedMask, Rings, Rle, encode_counts
from conceptset.raster import rasterize
from conceptset.records import Origin, Person

SQUARE = [1, 1, 4, 1, 4, 4, 1, 4]


def only(records):
    assert len(records) == 1
    assert len(records[0].regions) == 1
    return records[0].regions[0]


def pixels(record, place=0):
    return int(rasterize(record.regions[place].geometry, record.size).sum())


def test_it_is_registered():
    assert format_named("coco") is FORMAT


# --- shapes -----------------------------------------------------------------------------------


def test_rings_are_united(read_coco, document):
    inner = [2, 2, 3, 2, 3, 3, 2, 3]
    far = [5, 0, 8, 0, 8, 2, 5, 2]
    records, findings = read_coco(document({"segmentation": [SQUARE, inner, far]}))
    region = only(records)
    assert not findings
    assert region.kind == "region"
    assert isinstance(region.geometry, Rings)
    assert region.geometry.rule == "union"
    assert pixels(records[0]) == 9 + 6
    assert region.origin == Origin("a.json", "/annotations/0")
    assert records[0].origin == Origin("a.json", "/images/0")


def test_the_closing_point_and_points_outside_are_fine(read_coco, document):
    ring = [-5, -5, 3, -5, 3, 3, -5, 3, -5, -5]
    records, findings = read_coco(document({"segmentation": [ring]}))
    assert not findings
    assert pixels(records[0]) == 9


def test_a_flat_list_is_read_with_a_warning(read_coco, document):
    records, findings = read_coco(document({"segmentation": SQUARE}), on_error="raise")
    assert [f.code for f in findings] == ["SRC021"]
    assert pixels(records[0]) == 9


@pytest.mark.parametrize("compressed", [False, True])
def test_run_lengths_run_down_the_columns(read_coco, document, compressed):
    counts = [6, 3, 3 + 6 * 4, 12]
    code = {"size": [6, 8], "counts": encode_counts(np.array(counts)) if compressed else counts}
    records, findings = read_coco(document({"segmentation": code}))
    assert not findings
    assert isinstance(only(records).geometry, Rle)
    mask = rasterize(only(records).geometry, (6, 8))
    assert mask[:3, 1].all()
    assert mask[:, 6:].all()
    assert mask.sum() == 15


def test_crowds_are_ignored_regions(read_coco, document):
    crowds = [{"segmentation": [SQUARE], "iscrowd": flag} for flag in (1, True, "1", 0, None)]
    records, findings = read_coco(document(*crowds))
    assert not findings
    kinds = [region.kind for region in records[0].regions]
    assert kinds == ["ignore", "ignore", "ignore", "region", "region"]


@pytest.mark.parametrize("empty", [{}, {"segmentation": []}, {"segmentation": [[]]}])
def test_a_box_alone_is_a_box(read_coco, document, empty):
    records, findings = read_coco(document({"bbox": [1, 2, 3, 2]} | empty))
    assert not findings
    assert only(records).kind == "box"
    assert pixels(records[0]) == 6


def test_a_category_alone_is_a_tag(read_coco, document):
    records, findings = read_coco(document({"category_id": 7}))
    region = only(records)
    assert not findings
    assert (region.name, region.kind, region.geometry) == ("wall", "tag", None)


def test_captions_and_keypoints_are_left_out_with_one_warning(read_coco, document):
    annotations = [{"caption": "a door", "category_id": 99}, {"keypoints": [1, 1, 2]}]
    boxed = {"keypoints": [1, 1, 2], "bbox": [0, 0, 2, 2]}
    records, findings = read_coco(document(*annotations, boxed), on_error="raise")
    assert [f.code for f in findings] == ["SRC031"]
    assert "2 annotations" in findings[0].message
    assert only(records).kind == "box"


def test_a_bad_ring_leaves_the_others(read_coco, document):
    records, findings = read_coco(document({"segmentation": [SQUARE, [1, 1, 2, 2]]}))
    assert [(f.code, f.pointer) for f in findings] == [("SRC017", "/annotations/0/segmentation/1")]
    assert pixels(records[0]) == 9


# --- panoptic ---------------------------------------------------------------------------------


def panoptic(path, codes):
    pixels = np.zeros((6, 8, 3), dtype=np.uint8)
    for place, code in enumerate(codes):
        pixels[:, place] = code & 255, code >> 8 & 255, code >> 16
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("folder", ["a", "a_masks", "panoptic_masks", "masks", "."])
def test_panoptic_segments(read_coco, document, tmp_path, folder):
    panoptic(tmp_path / folder / "m.png", [5, 70_000])
    segments = [
        {"id": 5, "category_id": 0},
        {"id": "70000", "category_id": 7, "iscrowd": 1, "annotator": "B"},
        {"id": 5, "category_id": 7},
    ]
    entry = {"file_name": "m.png", "segments_info": segments, "annotator": "A"}
    records, findings = read_coco(document(entry), on_error="raise")
    first, second = records[0].regions
    assert isinstance(first.geometry, CodedMask)
    assert (first.name, first.kind, first.person) == ("door", "region", Person("A"))
    assert (second.name, second.kind, second.person) == ("wall", "ignore", Person("B"))
    assert second.origin.pointer == "/annotations/0/segments_info/1"
    assert [pixels(records[0], i) for i in (0, 1)] == [6, 6]
    assert [f.code for f in findings] == ["SRC028"]


# --- images, sizes, frames --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stored", "orientation", "stated", "size", "frame"),
    [
        ((6, 8), 1, (6, 8), (6, 8), "stored"),
        ((6, 8), 6, (6, 8), (6, 8), "stored"),
        ((6, 8), 6, (8, 6), (8, 6), "upright"),
        ((6, 6), 6, (6, 6), (6, 6), "stored"),
        ((6, 8), 3, (6, 8), (6, 8), "stored"),
        ((6, 8), 6, (0, 0), (6, 8), "stored"),
        ((6, 8), 1, ("6", 8.0), (6, 8), "stored"),
    ],
)
def test_the_frame_follows_the_stated_size(
    read_path, save, document, tmp_path, stored, orientation, stated, size, frame
):
    save(tmp_path / "images/a.png", stored, orientation)
    image = {"id": 1, "file_name": "a.png", "height": stated[0], "width": stated[1]}
    path = tmp_path / "a.json"
    path.write_text(json.dumps(document(images=[image])))
    records, findings = read_path(path, tmp_path / "images")
    assert (records[0].size, records[0].frame) == (size, frame)
    assert [f.code for f in findings] == (["SRC005"] if stated == (0, 0) else [])


def test_a_missing_size_is_taken_from_the_photograph(read_coco, document):
    records, findings = read_coco(document(images=[{"id": 1, "file_name": "a.png"}]))
    assert records[0].size == (6, 8)
    assert [f.code for f in findings] == ["SRC005"]


def test_records_come_in_the_order_of_the_images(read_coco, document):
    images = [
        {"id": i, "file_name": name, "height": 6, "width": 8}
        for i, name in ((3, "c.png"), ("1", "sub\\a.png"), (2.0, "https://host/b%20c.png?t=1"))
    ]
    sizes = {"c.png": (6, 8), "sub/a.png": (6, 8), "b c.png": (6, 8)}
    annotations = [{"image_id": i, "bbox": [0, 0, 2, 2]} for i in (2, 1.0, " 3 ", 1)]
    records, findings = read_coco(document(*annotations, images=images), sizes)
    assert not findings
    assert [record.image for record in records] == ["c.png", "sub/a.png", "b c.png"]
    pointers = [[region.origin.pointer[-1] for region in record.regions] for record in records]
    assert pointers == [["2"], ["1", "3"], ["0"]]


def test_image_names(read_coco, document, tmp_path):
    read_coco(document(images=[{"id": 1, "file_name": "https://h/b%20c.png"}, 3, {"id": 4}]), {})
    assert FORMAT.image_names(tmp_path / "a.json") == ["b c.png"]


def test_images_without_annotations_are_records_too(read_coco, document):
    records, findings = read_coco(document())
    assert not findings
    assert records[0].regions == ()


def test_progress_is_told(read_coco, document, tmp_path):
    read_coco(document())
    from conceptset.findings import Problems
    from conceptset.formats.base import ReadContext
    from conceptset.io.catalogue import ImageCatalogue

    told = []
    catalogue = ImageCatalogue(tmp_path / "images")
    context = ReadContext(catalogue, Problems(), "a.json", progress=told.append)
    list(FORMAT.read(tmp_path / "a.json", context))
    assert told == [1]


# --- ids and categories -----------------------------------------------------------------------


def test_ids_are_compared_however_written(read_coco, document):
    categories = [{"id": "7", "name": " door\n"}, {"id": 0.0, "name": "wall"}]
    annotations = [{"category_id": value, "bbox": [0, 0, 2, 2]} for value in (7, "7", 7.0, 0)]
    records, findings = read_coco(document(*annotations, categories=categories))
    assert not findings
    assert [r.name for r in records[0].regions] == ["door", "door", "door", "wall"]


def test_one_name_with_two_ids_is_one_concept(read_coco, document):
    categories = [{"id": 1, "name": "door"}, {"id": 2, "name": "door "}, {"id": 3, "name": "Door"}]
    annotations = [{"category_id": i, "bbox": [0, 0, 2, 2]} for i in (1, 2, 3)]
    records, findings = read_coco(document(*annotations, categories=categories), on_error="raise")
    assert [r.name for r in records[0].regions] == ["door", "door", "Door"]
    assert [(f.code, f.pointer) for f in findings] == [("SRC013", "/categories/1")]


def test_repeated_annotation_ids_are_one_warning(read_coco, document):
    records, findings = read_coco(document({"id": 1}, {"id": 1}, {"id": "1"}), on_error="raise")
    assert [(f.code, f.pointer) for f in findings] == [("SRC014", "/annotations/1/id")]
    assert len(records[0].regions) == 3


def test_annotations_need_no_id(read_coco, document):
    records, findings = read_coco(document({"id": None}, {"id": None}))
    assert not findings
    assert len(records[0].regions) == 2


# --- people -----------------------------------------------------------------------------------


def test_annotators_of_single_regions(read_coco, document):
    annotations = [
        {"annotator": " ann@example.org "},
        {"rater_id": 12},
        {"attributes": {"annotator": "Bea"}},
        {"annotator": ""},
    ]
    records, findings = read_coco(document(*annotations, info={"contributor": " Lab "}))
    assert not findings
    people = [region.person for region in records[0].regions]
    assert people == [Person("ann@example.org"), Person("12"), Person("Bea"), None]
    assert records[0].workers == (Person("ann@example.org"), Person("12"), Person("Bea"))
    assert records[0].file_person == Person("Lab")


def test_one_image_listed_once_per_person(read_coco, document):
    images = [
        {"id": i, "file_name": "a.png", "height": 6, "width": 8, "annotator": name}
        for i, name in ((1, "Ann"), (2, "Bea"))
    ]
    annotations = [{"image_id": 1}, {"image_id": 1, "annotator": "Cid"}]
    records, _ = read_coco(document(*annotations, images=images))
    assert [record.image for record in records] == ["a.png", "a.png"]
    assert [record.workers for record in records] == [
        (Person("Ann"), Person("Cid")),
        (Person("Bea"),),
    ]
    assert [region.person for region in records[0].regions] == [Person("Ann"), Person("Cid")]
    assert records[1].regions == ()


@pytest.mark.parametrize(
    ("raters", "default"), [(["Ann", 2], None), (["Ann"], Person("Ann")), ([], None)]
)
def test_lists_of_raters(read_coco, document, raters, default):
    image = {"id": 1, "file_name": "a.png", "height": 6, "width": 8, "rater_list": raters}
    records, findings = read_coco(document({}, images=[image]))
    assert not findings
    assert records[0].workers == tuple(Person(str(rater)) for rater in raters)
    assert records[0].regions[0].person == default


def test_raters_with_sessions(read_coco, document):
    """As tools that measure agreement export them: raters by session, annotations with theirs."""
    raters = {"Ann": [1, 2], "Bea": [1], "Cid": []}
    image = {"id": 1, "file_name": "a.png", "height": 6, "width": 8, "rater_list": raters}
    drawn = [
        {"rater_id": "Ann", "session_id": 1},
        {"rater_id": "Ann", "session_id": 2},
        {"rater_id": "Bea"},
    ]
    records, findings = read_coco(document(*drawn, images=[image]))
    assert not findings
    assert records[0].workers == (Person("Ann"), Person("Ann", 2), Person("Bea"))
    people = [region.person for region in records[0].regions]
    assert people == [Person("Ann"), Person("Ann", 2), Person("Bea")]


@pytest.mark.parametrize("session", [0, 100, -1, 1.5, "2", True, [1], {}])
def test_sessions_that_are_none(read_coco, document, session):
    records, findings = read_coco(document({"rater_id": "Ann", "session_id": session}, {}))
    assert [(f.code, f.pointer) for f in findings] == [("SRC029", "/annotations/0/session_id")]
    assert "1 to 99 was expected" in findings[0].message
    assert len(records[0].regions) == 1


def test_somebody_whose_annotation_is_left_out_has_worked(read_coco, document):
    bad = {"annotator": "Ann", "segmentation": [[1, 1, 2, 2]]}
    records, findings = read_coco(document(bad))
    assert [f.code for f in findings] == ["SRC017"]
    assert records[0].workers == (Person("Ann"),)
    assert records[0].regions == ()


def test_hostile_names_of_people_are_kept_as_they_are(read_coco, document):
    names = ["../../etc", "a\nb", "\u202ebad", "x" * 500]
    records, findings = read_coco(document(*({"annotator": name} for name in names)))
    assert not findings
    assert [region.person.name for region in records[0].regions] == names


# --- results ----------------------------------------------------------------------------------


RESULTS = [
    {"image_id": 1, "category_id": 7, "bbox": [1, 1, 2, 2], "score": 0.5},
    {"image_id": "1", "category_id": 0, "segmentation": [SQUARE], "score": 0.1},
]


def test_results_are_read_with_their_companion(read_path, save, document, tmp_path):
    image = {"id": 1, "file_name": "a.png", "height": 6, "width": 8, "annotator": "Ann"}
    other = image | {"id": 2, "file_name": "gone.png"}
    save(tmp_path / "images/a.png", (6, 8))
    truth = document({}, images=[other, image], info={"contributor": "Lab"})
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    (tmp_path / "same.json").write_text(json.dumps(truth | {"annotations": []}))
    (tmp_path / "few.json").write_text(json.dumps(truth | {"images": [other]}))
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.json").write_text("[1]")
    path = tmp_path / "results.json"
    path.write_text(json.dumps(RESULTS))
    records, findings = read_path(path, tmp_path / "images", "raise", "sub/results.json")
    assert not findings
    assert [record.image for record in records] == ["a.png"]
    assert records[0].workers == ()
    assert records[0].file_person is None
    assert records[0].origin == Origin("sub/same.json", "/images/1")
    assert [(r.name, r.kind, r.person) for r in records[0].regions] == [
        ("wall", "box", None),
        ("door", "region", None),
    ]
    assert records[0].regions[1].origin == Origin("sub/results.json", "/1")
    assert FORMAT.image_names(path) == ["a.png"]


@pytest.mark.parametrize(
    ("companions", "message"),
    [
        ({}, "has the 1 images and 2 categories"),
        ({"a": "door", "b": "gate"}, "say different things about them: a.json, b.json"),
    ],
)
def test_results_without_a_companion_are_refused(document, tmp_path, companions, message):
    for stem, name in companions.items():
        categories = [{"id": 0, "name": name}, {"id": 7, "name": "wall"}]
        (tmp_path / f"{stem}.json").write_text(json.dumps(document(categories=categories)))
    path = tmp_path / "results.json"
    path.write_text(json.dumps(RESULTS))
    with pytest.raises(SourceError, match=message) as caught:
        FORMAT.image_names(path)
    assert "same folder" in str(caught.value)


# --- detect -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "matches", "reason"),
    [
        ('{"images": [], "annotations": []}', True, "images: 0 entries"),
        ('{"images": [], "categories": []}', True, "no annotations"),
        ('{"images": []}', False, "no annotations"),
        ('{"images": {}, "annotations": []}', False, "images is an object"),
        ('{"images": [{"id": 1}], "annotations": []}', False, "no entry of images has a file_name"),
        ('{"shapes": []}', False, "no images"),
        ('[{"image_id": 1, "category_id": 2}]', True, "1 results"),
        ("[1]", False, "is a list, but not"),
        ("3", False, "holds 3"),
        ("{", False, "no valid JSON"),
        ("\xff", False, "no valid JSON"),
    ],
)
def test_detection_says_what_was_looked_for(tmp_path, text, matches, reason):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    found = FORMAT.detect(Candidate(path))
    assert found.matches is matches
    assert any(reason in said for said in found.reasons), found.reasons
    assert detect(path)[0].format


def test_detection_of_what_is_no_json_file(tmp_path):
    (tmp_path / "a.xml").write_text("<a/>")
    assert FORMAT.detect(Candidate(tmp_path)).reasons == (
        "is a directory, a JSON file was expected",
    )
    assert "not called .json" in FORMAT.detect(Candidate(tmp_path / "a.xml")).reasons[0]
    assert "cannot be read" in FORMAT.detect(Candidate(tmp_path / "gone.json")).reasons[0]


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ({"segmentation": [SQUARE], "bbox": [0, 0, 1, 1]}, "outlines or masks, boxes"),
        ({"segments_info": [{}]}, "panoptic segments"),
        ({"caption": "a"}, "captions"),
        ({"keypoints": [1], "segmentation": []}, "keypoints"),
        ({}, "labels of whole images"),
    ],
)
def test_detection_names_the_kind(document, tmp_path, annotation, kind):
    (tmp_path / "a.json").write_text(json.dumps(document(annotation)))
    assert f"annotations are {kind}" in FORMAT.detect(Candidate(tmp_path / "a.json")).reasons


def test_detection_names_the_keys_of_people(document, tmp_path):
    image = {"id": 1, "file_name": "a.png", "annotator": "A", "rater_list": ["A"]}
    annotations = [{"annotator": "A"}, {"rater_id": 1}, {"attributes": {"annotator": "A"}}]
    text = json.dumps(document(*annotations, images=[image], info={"contributor": "C"}))
    (tmp_path / "a.json").write_text(text)
    assert FORMAT.detect(Candidate(tmp_path / "a.json")).people == (
        "annotations[].annotator, annotations[].rater_id, annotations[].attributes.annotator, "
        "images[].annotator, images[].rater_list, info.contributor (of the whole file)"
    )
    (tmp_path / "b.json").write_text(json.dumps(document({"annotator": " "})))
    assert FORMAT.detect(Candidate(tmp_path / "b.json")).people is None


@pytest.mark.parametrize(
    ("text", "matches", "people"),
    [
        (
            '{"images": [], "annotations": [{"annotator": "A"}], "categories": []}',
            True,
            "annotator",
        ),
        ('{"images": []}', False, None),
        (' [{"image_id": 1, "category_id": 1, "segmentation": {}}]', True, None),
    ],
)
def test_large_files_are_searched_only(tmp_path, monkeypatch, text, matches, people):
    monkeypatch.setattr("conceptset.parsing.candidate.PARSE_LIMIT", 4)
    (tmp_path / "a.json").write_text(text)
    found = FORMAT.detect(Candidate(tmp_path / "a.json"))
    assert (found.matches, found.people) == (matches, people)
    assert "searched for its keys only" in found.reasons[0]
