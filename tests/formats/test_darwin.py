"""Darwin JSON: what each key means, and one clear message for each that is broken."""

from __future__ import annotations

import json

import numpy as np
import pytest

from conceptset.errors import AnnotationError, SourceError, UnsafeError
from conceptset.formats.base import Candidate
from conceptset.formats.darwin import FORMAT
from conceptset.geometry import Ellipse
from conceptset.parsing.defects import DEFECTS
from conceptset.raster import rasterize
from conceptset.records import Person


def ring(*points):
    return [{"x": x, "y": y} for x, y in points]


SQUARE = ring((1, 1), (5, 1), (5, 5), (1, 5))
HOLE = ring((2, 2), (4, 2), (4, 4), (2, 4))
POLYGON = {"polygon": {"path": SQUARE}}


def named(name="door", **keys):
    return {"name": name, **(keys or POLYGON)}


def document(*annotations, **image):
    stated = {"filename": "a.png", "width": 8, "height": 6, "path": "/"} | image
    return {"dataset": "any", "image": stated, "annotations": list(annotations)}


@pytest.fixture
def read(tmp_path, save, read_format):
    """Reads a document: (record or None, findings); a.png is 6 high and 8 wide."""

    def read(data, on_error="collect", name="a.json", images=("a.png",)):
        for image in images:
            save(tmp_path / "images" / image, (6, 8))
        path = tmp_path / name
        path.write_text(data if isinstance(data, str) else json.dumps(data))
        records, findings = read_format(FORMAT, path, tmp_path / "images", on_error=on_error)
        assert len(records) <= 1
        return (records[0] if records else None), findings

    return read


def codes(findings):
    return [finding.code for finding in findings]


def filled(*boxes):
    """The pixels of boxes (left, top, right, bottom), each of which toggles."""
    mask = np.zeros((6, 8), dtype=bool)
    for left, top, right, bottom in boxes:
        mask[top:bottom, left:right] ^= True
    return mask


def test_outlines(read):
    box = {"x": 1, "y": 1, "w": 4, "h": 4}
    record, findings = read(
        document(
            named(" door\n", polygon={"path": SQUARE}, bounding_box=box, attributes=["Red"]),
            named(complex_polygon={"path": [SQUARE, HOLE]}, bounding_box=box),
            named(complex_polygon={"path": [SQUARE, HOLE, ring((6, 0), (8, 0), (8, 2), (6, 2))]}),
        )
    )
    assert not findings
    assert (record.image, record.size, record.frame, record.workers) == (
        "a.png",
        (6, 8),
        "stored",
        (),
    )
    assert [(r.name, r.kind, r.person) for r in record.regions] == [("door", "region", None)] * 3
    assert [r.origin.pointer for r in record.regions] == [f"/annotations/{i}" for i in range(3)]
    shapes = [rasterize(region.geometry, (6, 8)) for region in record.regions]
    assert np.array_equal(shapes[0], filled((1, 1, 5, 5)))
    assert np.array_equal(shapes[1], filled((1, 1, 5, 5), (2, 2, 4, 4)))
    assert np.array_equal(shapes[2], filled((1, 1, 5, 5), (2, 2, 4, 4), (6, 0, 8, 2)))


def test_what_has_no_outline(read):
    record, findings = read(
        document(
            named(tag={}),
            named(bounding_box={"x": 1, "y": 2, "w": 3, "h": 4}),
            named(line={"path": SQUARE}),
            named(keypoint={"x": 1, "y": 1}),
            named(skeleton={"nodes": []}),
            named(tag={}, polygon=None),
        )
    )
    assert not findings
    kinds = [region.kind for region in record.regions]
    assert kinds == ["tag", "box", "mark", "mark", "mark", "tag"]
    assert [region.geometry is None for region in record.regions] == [k != "box" for k in kinds]
    assert np.array_equal(rasterize(record.regions[1].geometry, (6, 8)), filled((1, 2, 4, 6)))


def test_ellipses_whose_turn_does_not_matter(read):
    center, wide, round_ = {"x": 4, "y": 3}, {"x": 3, "y": 2}, {"x": 2, "y": 2}
    record, findings = read(
        document(
            named(ellipse={"center": center, "radius": wide, "angle": 0}),
            named(ellipse={"center": center, "radius": wide}),
            named(ellipse={"center": center, "radius": round_, "angle": 0.7}),
            named(ellipse={"center": center, "radius": wide, "angle": 0.7}),
        )
    )
    assert codes(findings) == ["SRC067"]
    assert "the unit of that is not documented" in findings[0].message
    assert [(r.geometry.center, r.geometry.radii) for r in record.regions] == [
        ((4, 3), (3, 2)),
        ((4, 3), (3, 2)),
        ((4, 3), (2, 2)),
    ]
    assert all(isinstance(r.geometry, Ellipse) and r.kind == "region" for r in record.regions)


def polygon(*points):
    return {"polygon": {"path": ring(*points)}}


BROKEN = [
    ("x", "SRC015", "", "the annotation is the text 'x'"),
    ({"tag": {}}, "SRC010", "/name", "the name of the annotation is null"),
    ({"name": 3, "tag": {}}, "SRC010", "/name", "is 3"),
    ({"name": "a"}, "SRC016", "", "no shape that is known, nothing else"),
    (named(sphere={"r": 1}), "SRC016", "", 'no shape that is known, only "sphere"'),
    (named(tag={}, **POLYGON), "SRC015", "", "has polygon and tag, one was expected"),
    (named(polygon=[]), "SRC015", "/polygon", "polygon is a list"),
    (named(polygon={}), "SRC016", "/polygon/path", "path is null"),
    (named(polygon={"path": []}), "SRC017", "/polygon/path", "has 0 points"),
    (named(polygon={"path": [SQUARE]}), "SRC018", "/polygon/path", "is null"),
    (named(complex_polygon={"path": []}), "SRC016", "/complex_polygon/path", "no outline"),
    (named(complex_polygon={"path": [3]}), "SRC016", "/complex_polygon/path/0", "outline 0 of"),
    (named(**polygon((1, 1), (2, 2))), "SRC017", "/polygon/path", "has 2 points, 3"),
    (named(**polygon((1, 1), (2, None), (3, 1))), "SRC018", "/polygon/path", "coordinate 3"),
    (named(**polygon((1, 1), (2, "2"), (3, 1))), "SRC018", "/polygon/path", "the text '2'"),
    (named(**polygon((1, 1), (2, True), (3, 1))), "SRC018", "/polygon/path", "true or false"),
    (named(**polygon((1, 1), (2, float("nan")), (3, 1))), "SRC018", "/polygon/path", "nan"),
    (named(**polygon((1, 1), (2, 10**30), (3, 1))), "SRC019", "/polygon/path", "1e+30"),
    (named(polygon={"path": SQUARE, "additional_paths": [HOLE]}), "SRC067", "/polygon", "not read"),
    (named(bounding_box={"x": 1, "y": 1, "w": 0, "h": 1}), "SRC022", "/bounding_box", "0 wide"),
    (named(bounding_box={"x": 1, "y": 1, "w": 2}), "SRC018", "/bounding_box", "is null"),
    (named(ellipse={"center": 3}), "SRC018", "/ellipse", "coordinate 0"),
    (
        named(ellipse={"center": {"x": 1, "y": 1}, "radius": {"x": 0, "y": 1}}),
        "SRC016",
        "/ellipse",
        "radii 0 and 1",
    ),
    (named(cuboid={"front": {}}), "SRC067", "/cuboid", "of the kind cuboid"),
    (named(frames={"0": POLYGON}), "SRC068", "", "for each frame"),
]


@pytest.mark.parametrize(("entry", "code", "pointer", "words"), BROKEN)
def test_a_broken_annotation_is_left_out_alone(read, entry, code, pointer, words):
    record, findings = read(document(named("first"), entry, named("last")))
    assert [region.name for region in record.regions] == ["first", "last"]
    (finding,) = findings
    assert (finding.code, finding.pointer) == (code, f"/annotations/1{pointer}")
    assert words in finding.message
    assert DEFECTS[code].severity == "error"
    with pytest.raises(AnnotationError, match=code):
        read(document(entry), on_error="raise")


def test_a_hole_that_cannot_be_read_takes_its_shape_along(read):
    """A ring without area changes nothing; without a hole the shape would be another one."""
    sliver, broken = ring((2, 2), (4, 4)), [*HOLE, {"x": None, "y": 1}]
    record, findings = read(
        document(
            named("sliver", complex_polygon={"path": [SQUARE, sliver]}),
            named("broken", complex_polygon={"path": [SQUARE, broken]}),
        )
    )
    assert codes(findings) == ["SRC017", "SRC018"]
    assert [region.name for region in record.regions] == ["sliver"]
    assert np.array_equal(rasterize(record.regions[0].geometry, (6, 8)), filled((1, 1, 5, 5)))


@pytest.mark.parametrize(
    ("image", "code"),
    [
        ({"filename": "b.png"}, "SRC001"),
        ({"filename": None}, "SRC007"),
        ({"filename": 3}, "SRC007"),
        ({"filename": ""}, "SRC007"),
        ({"filename": "../a.png"}, "SRC006"),
        ({"path": "/../.."}, "SRC006"),
        ({"width": 80}, "SRC004"),
        ({"frame_count": 4}, "SRC068"),
    ],
)
def test_images_that_cannot_be_had(read, image, code):
    record, findings = read(document(named(), **image))
    assert record is None
    assert codes(findings) == [code]


def test_the_folder_of_v7(read, tmp_path):
    assert read(document(path="/x/y"))[0].image == "a.png"
    record, findings = read(document(path="/x/y"), images=["x/y/a.png"])
    assert not findings
    assert record.image == "x/y/a.png"


def test_sizes_and_turned_photographs(read, tmp_path, save):
    record, findings = read(document(width=None))
    assert (record.size, codes(findings)) == ((6, 8), ["SRC005"])
    save(tmp_path / "images/t.jpg", (8, 6), orientation=6)
    record, findings = read(document(filename="t.jpg"))
    assert not findings
    assert (record.size, record.frame) == ((6, 8), "upright")
    save(tmp_path / "images/half.jpg", (6, 8), orientation=3)
    assert read(document(filename="half.jpg"))[0].frame == "upright"


PEOPLE = [
    ("a.json", "a.png", "any", None),
    ("ann_a.json", "a.png", "any", Person("ann")),
    ("ann_b_a.json", "a.png", "any", Person("ann_b")),
    ("_a.json", "a.png", "any", None),
    ("ann_ba.json", "a.png", "any", None),
    ("ann_a.json", "ann_a.png", "any", None),
    ("labeller12_a.json", "labeller12_a.png", "any", None),
    ("labeller12_a.json", "a.png", "any", Person("labeller12")),
    ("labeller1_a.json", "labeller1_a.png", "Explainability dataset", Person("labeller1")),
    ("labeller2_a.json", "labeller2_a.png", "Explainability dataset", Person("labeller2")),
    ("labeller1_a.json", "a.png", "Explainability dataset", Person("labeller1")),
    ("labeller1_a.json", "b.png", "Explainability dataset", None),
    ("labeller12_a.json", "labeller12_a.png", "DermX v2", Person("labeller1", 2)),
    ("labeller22_a.json", "labeller22_a.png", "DermX v2", Person("labeller2", 2)),
    ("labeller22_a.json", "a.png", "DermX v2", Person("labeller2", 2)),
    ("labeller92_a.json", "labeller92_a.png", "DermX v2", None),
    ("labeller12_a.json", "labeller12_a.png", "Explainability dataset", None),
]


@pytest.mark.parametrize(("file", "image", "dataset", "person"), PEOPLE)
def test_who_drew(read, tmp_path, file, image, dataset, person):
    data = document(named(), filename=image) | {"dataset": dataset}
    record, findings = read(data, name=file, images=[image])
    assert not findings
    assert record.image == image
    assert record.workers == (() if person is None else (person,))
    assert [region.person for region in record.regions] == [person]
    people = FORMAT.detect(Candidate(tmp_path / file)).people
    assert people == (None if person is None else f'the name of the file ("{person}")')


def test_eight_people_of_dermx_share_a_photograph(read, tmp_path):
    """Each file calls it after its own person; there may be one for all, or one for each."""
    data = document(filename="labeller7_a.png") | {"dataset": "Explainability dataset"}
    assert read(data)[0].image == "a.png"
    assert FORMAT.image_names(tmp_path / "a.json") == ["labeller7_a.png", "a.png"]
    assert read(data, images=["labeller7_a.png"])[0].image == "labeller7_a.png"
    assert read(data | {"dataset": "any"}, images=[])[0].image == "labeller7_a.png"


def test_version_2_is_refused_by_name(read, tmp_path):
    data = {"version": "2.0", "item": {"name": "a.png", "slots": []}, "annotations": []}
    with pytest.raises(SourceError, match=r"is Darwin of version the text '2\.0', only 1\.0"):
        read(data)
    found = FORMAT.detect(Candidate(tmp_path / "a.json"))
    assert found.matches
    assert "only Darwin 1.0 is read" in found.reasons[0]
    with pytest.raises(SourceError, match=r"only 1\.0 is read"):
        FORMAT.image_names(tmp_path / "a.json")


@pytest.mark.parametrize(
    "data",
    [
        [],
        {},
        {"image": {"filename": "a.png"}},
        {"image": {"filename": "a.png"}, "annotations": {}},
        {"image": {"width": 3}, "annotations": []},
        {"image": "a.png", "annotations": []},
        {"images": [], "annotations": [], "categories": []},
        "{",
        '{"image": 1, "image": 2}',
    ],
)
def test_what_is_something_else(tmp_path, data):
    path = tmp_path / "a.json"
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    found = FORMAT.detect(Candidate(path))
    assert not found.matches
    assert found.reasons


@pytest.mark.parametrize("data", [[], {}, {"image": {}}, "{", '{"image": 1, "image": 2}'])
def test_what_cannot_be_read_at_all(read, data):
    with pytest.raises(SourceError):
        read(data)


def test_what_is_unsafe_is_refused(read):
    with pytest.raises(UnsafeError, match="more than 100,000 annotations"):
        read(document(*[{}] * 100_001))
    with pytest.raises(UnsafeError, match="at most 33,554,432 are read"):
        read(" " * (33 << 20))


def test_other_files_are_not_looked_at(tmp_path):
    (tmp_path / "a.txt").write_text(json.dumps(document()))
    assert not FORMAT.detect(Candidate(tmp_path / "a.txt")).matches
    assert not FORMAT.detect(Candidate(tmp_path)).matches
