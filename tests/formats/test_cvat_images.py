"""CVAT for images: every element, whom it belongs to, which file an image is."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from pathlib import Path
from xml.sax.saxutils import quoteattr

import cvat_decoder as decoder
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conceptset.errors import AnnotationError, SourceError
from conceptset.findings import Problems
from conceptset.formats.base import Candidate
from conceptset.formats.cvat import FORMAT
from conceptset.formats.cvat.drawing import Canvas, shape_of
from conceptset.formats.cvat.elements import drawing_from
from conceptset.geometry import Ellipse
from conceptset.parsing.defects import Spot
from conceptset.raster import rasterize
from conceptset.records import Person

SIZE = (40, 60)
IMAGE = '<image id="0" name="a.png" width="60" height="40">'


@pytest.fixture
def read(tmp_path, save, read_format):
    """Reads the text of a CVAT file; photographs are made, a.png of 40 x 60 if none are named."""

    def run(body, sizes=None, **options):
        root = tmp_path / "images"
        root.mkdir(exist_ok=True)
        for name, size in ({"a.png": SIZE} if sizes is None else sizes).items():
            save(root / name, size)
        path = tmp_path / "annotations.xml"
        path.write_text(f"<annotations><version>1.1</version>{body}</annotations>", "utf-8")
        return read_format(FORMAT, path, root, **options)

    return run


@pytest.fixture
def shapes(read):
    """The regions of one image with these elements, and the findings."""

    def run(elements, **options):
        records, findings = read(f"{IMAGE}{elements}</image>", **options)
        return list(records[0].regions), findings

    return run


@pytest.mark.parametrize(
    "element",
    [
        '<box xtl="10.50" ytl="4.25" xbr="40" ybr="30.5"/>',
        '<box xtl="10" ytl="4" xbr="40" ybr="30" rotation="30.00"/>',
        '<box xtl="-10" ytl="-4" xbr="80" ybr="30" rotation="331.2"/>',
        '<polygon points="3.50,2.00;55.25,7.75;30.10,38.90;2,39"/>',
        '<polygon points="1,1;50,30;1,30;50,1"/>',
        '<polygon points="-20,-20;100,-20;30,70"/>',
        '<ellipse cx="30" cy="20" rx="25.5" ry="8.25"/>',
        '<ellipse cx="30" cy="20" rx="25.5" ry="8.25" rotation="35.0"/>',
        '<mask rle="0, 3, 5, 4, 3" left="7" top="5" width="5" height="3"/>',
        '<mask rle="2, 3, 5, 4, 1" left="-2" top="-1" width="5" height="3"/>',
        '<mask rle="15" left="57" top="38" width="5" height="3"/>',
    ],
)
def test_pixels(shapes, element):
    element = element.replace(" ", ' label="door" ', 1)
    found, findings = shapes(element, on_error="raise")
    assert not findings
    expected = decoder.mask_of(ET.fromstring(element), SIZE)
    assert np.array_equal(rasterize(found[0].geometry, SIZE), expected)
    assert expected.any() or 'rle="15"' in element


numbers = st.floats(-30, 90).map(lambda value: round(value, 2))


def pixels(tag, about):
    """What the reader makes of an element with these numbers."""
    spot = Spot(Problems("raise"), "a.xml")
    drawing = drawing_from(tag, {key: repr(value) for key, value in about.items()}, spot, "it")
    return rasterize(shape_of(drawing, Canvas(SIZE), spot, "it")[1], SIZE)


@given(numbers, numbers, st.floats(0.5, 60), st.floats(0.5, 60), st.floats(-720, 720))
def test_ellipses_and_boxes_turn_like_the_decoder_says(x, y, a, b, degrees):
    """A centre that lies on the rim to the last bit may fall on either side of it."""
    e = 1e-6
    ours = pixels("ellipse", {"cx": x, "cy": y, "rx": a, "ry": b, "rotation": degrees})
    assert not (ours & ~decoder.ellipse(x, y, a + e, b + e, degrees, SIZE)).any()
    assert not (~ours & decoder.ellipse(x, y, a - e, b - e, degrees, SIZE)).any()
    right, bottom = x + a, y + b
    about = {"xtl": x, "ytl": y, "xbr": right, "ybr": bottom, "rotation": degrees}
    ours = pixels("box", about)
    assert not (ours & ~decoder.box(x - e, y - e, right + e, bottom + e, degrees, SIZE)).any()
    assert not (~ours & decoder.box(x + e, y + e, right - e, bottom - e, degrees, SIZE)).any()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(-9, 62), st.integers(-9, 42), st.data())
def test_masks_like_the_decoder_says(width, height, left, top, data):
    cuts = data.draw(st.lists(st.integers(0, width * height), max_size=8).map(sorted))
    counts = np.diff([0, *cuts, width * height]).tolist()
    spot = Spot(Problems("raise"), "a.xml")
    about = {"left": left, "top": top, "width": width, "height": height}
    attributes = {key: str(value) for key, value in about.items()} | {
        "rle": ", ".join(map(str, counts))
    }
    mask = drawing_from("mask", attributes, spot, "it")
    ours = rasterize(shape_of(mask, Canvas(SIZE), spot, "it")[1], SIZE)
    assert np.array_equal(ours, decoder.runs(counts, left, top, width, height, SIZE))


def test_kinds(shapes):
    cuboid = " ".join(
        f'{axis}{corner}{face}="{value}"'
        for (face, corner), point in {
            ("1", "tl"): (10, 10), ("1", "bl"): (10, 30), ("1", "tr"): (30, 12),
            ("1", "br"): (30, 28), ("2", "tl"): (40, 10), ("2", "bl"): (40, 26),
            ("2", "tr"): (20, 8), ("2", "br"): (20, 28),
        }.items()
        for axis, value in zip("xy", point, strict=True)
    )  # fmt: skip
    found, findings = shapes(
        f"""<tag label="scene" source="manual"><attribute name="a">b</attribute></tag>
        <box label="b" xtl="1" ytl="1" xbr="5" ybr="5" z_order="-2" occluded="1" group_id="1"/>
        <box label="b" xtl="1" ytl="1" xbr="5" ybr="5" rotation="45" group_id="1"/>
        <cuboid label="c" {cuboid}/>
        <polyline label="l" points="1,1;2,2"/><points label="p" points="nonsense"/>
        <skeleton label="s"><points label="1" points="1,1" outside="0"/></skeleton>
        <polygon label="r" points="1,1;5,1;5,5" z_order="3"><attribute name="x">
        </attribute></polygon>""",
        on_error="raise",
    )
    assert not findings
    assert [(r.name, r.kind, r.z_order) for r in found] == [
        ("scene", "tag", 0), ("b", "box", -2), ("b", "box", 0), ("c", "box", 0), ("l", "mark", 0),
        ("p", "mark", 0), ("s", "mark", 0), ("r", "region", 3),
    ]  # fmt: skip
    hull = [(10, 10), (20, 8), (40, 10), (40, 26), (30, 28), (10, 30)]
    assert np.array_equal(rasterize(found[3].geometry, SIZE), decoder.filled(hull, SIZE))
    assert all(region.part_of is None for region in found)  # a group does not join its shapes


def test_names_are_stripped_and_else_verbatim(shapes):
    long = "x" * 10_000
    names = [" door\n", "Door", "=cmd|' /C calc'!A0", "\u202erood", long, "a\nb"]
    tags = "".join(f"<tag label={quoteattr(name)}/>" for name in names)
    found, findings = shapes(tags)
    assert [region.name for region in found] == [
        "door", "Door", "=cmd|' /C calc'!A0", "\u202erood", long, "a\nb",
    ]  # fmt: skip
    assert not findings


def test_labels_that_are_not_declared_are_read_and_told_once(read):
    records, findings = read(
        "<meta><task><labels><label><name>door</name></label></labels></task></meta>"
        f'{IMAGE}<tag label="door"/><tag label="roof"/><tag label="roof"/></image>'
    )
    assert [region.name for region in records[0].regions] == ["door", "roof", "roof"]
    assert [(f.code, f.pointer) for f in findings] == [("SRC043", "/image[1]/tag[2]")]


PERSON = "<{0}><username>{1}</username><email>x@y</email></{0}>"


def person(role, name):
    return PERSON.format(role, name)


BOTH = person("owner", "o") + person("assignee", "a")


@pytest.mark.parametrize(
    ("meta", "name", "where"),
    [
        (f"<job>{BOTH}</job>", "a", "meta/job/assignee"),
        (f"<task>{BOTH}</task>", "a", "meta/task/assignee"),
        (
            f"<task>{person('assignee', 't')}</task><job>{person('assignee', 'j')}</job>",
            "j",
            "meta/job/assignee",
        ),
        (
            f"<task>{person('assignee', 't')}</task><job>{person('owner', 'o')}</job>",
            "t",
            "meta/task/assignee",
        ),
        (f"<task>{person('owner', 'o')}<assignee></assignee></task>", "o", "meta/task/owner"),
        (f"<task>{person('owner', 'o')}{person('assignee', ' ')}</task>", "o", "meta/task/owner"),
        ("<task><assignee>old</assignee></task>", "old", "meta/task/assignee"),
        (f"<project>{person('owner', 'p')}<tasks/></project>", "p", "meta/project/owner"),
        ("<task></task>", None, None),
        ("", None, None),
    ],
)
def test_who_was_at_work(read, tmp_path, meta, name, where):
    """The person is on every region and worked on every image, the empty ones included."""
    body = (
        f'<meta>{meta}</meta>{IMAGE}<tag label="x"/></image>'
        '<image name="b.png" width="8" height="6"/>'
    )
    records, _ = read(body, {"a.png": SIZE, "b.png": (6, 8)}, on_error="raise")
    expected = None if name is None else Person(name)
    assert [record.workers for record in records] == [(expected,) if name else ()] * 2
    assert [region.person for region in records[0].regions] == [expected]
    people = FORMAT.detect(Candidate(tmp_path / "annotations.xml")).people
    alone = ", no assignee is named" if where and where.endswith("owner") else ""
    assert people == (None if where is None else f"{where}: {name}{alone}")


def test_each_task_of_a_project_has_its_own_people(read):
    tasks = "".join(
        f"<task><id>{number}</id><subset>Train</subset>{people}</task>"
        for number, people in enumerate(
            [person("assignee", "ann"), person("owner", "boss"), ""], start=1
        )
    )
    images = "".join(
        f'<image name="{number}.png" subset="Train" task_id="{number}" width="8" height="6"/>'
        for number in (1, 2, 3, 4)
    )
    project = f"<project><tasks>{tasks}</tasks>{person('assignee', 'lead')}</project>"
    sizes = {f"Train/{number}.png": (6, 8) for number in (1, 2, 3, 4)}
    records, findings = read(f"<meta>{project}</meta>{images}", sizes)
    assert not findings
    # assignees before owners, the task's before the project's; task 4 is not listed
    assert [str(record.workers[0]) for record in records] == ["ann", "lead", "lead", "lead"]


SUBSETS = "<meta><project><subsets>Test\nTrain</subsets></project></meta>"
TWO = "".join(
    f'<image name="a.png" subset="{subset}" task_id="{number}" width="60" height="40">'
    f'<tag label="{subset}"/></image>'
    for number, subset in enumerate(["Test", "Train"])
)


def test_the_same_name_in_two_subsets(read):
    records, findings = read(SUBSETS + TWO, {"Test/a.png": SIZE, "Train/a.png": SIZE})
    assert not findings
    assert [(record.image, record.regions[0].name) for record in records] == [
        ("Test/a.png", "Test"),
        ("Train/a.png", "Train"),
    ]


def test_the_photograph_of_another_subset_is_not_taken(read):
    records, findings = read(SUBSETS + TWO, {"Train/a.png": SIZE})
    assert [record.image for record in records] == ["Train/a.png"]
    assert [(f.code, f.pointer) for f in findings] == [("SRC001", "/image[1]")]


def test_one_photograph_is_not_two_images(read):
    """Unpacked into one folder, the second file took the place of the first."""
    records, findings = read(SUBSETS + TWO, {"a.png": SIZE})
    assert [record.image for record in records] == ["a.png"]
    assert [(f.code, f.pointer) for f in findings] == [("SRC045", "/image[2]")]


def test_two_tasks_over_one_photograph(read):
    body = "".join(
        f'<image name="a.png" subset="Train" task_id="{number}" width="60" height="40"/>'
        for number in (1, 2, 2)
    )
    records, findings = read(SUBSETS + body, {"Train/a.png": SIZE})
    assert [record.image for record in records] == ["Train/a.png"] * 3
    assert [(f.code, f.pointer) for f in findings] == [("SRC046", "/image[3]")]


def test_folders_and_beside(read):
    body = '<image name="x/y/a.png" width="60" height="40"/>'
    sizes = {"x/y/a.png": SIZE, "one/x/y/a.png": (1, 1), "two/x/y/a.png": SIZE}
    records, _ = read(body, sizes, beside="two")
    assert [record.image for record in records] == ["two/x/y/a.png"]
    records, _ = read(body, sizes)
    assert [record.image for record in records] == ["x/y/a.png"]


def test_the_photograph_is_seen_upright(tmp_path, save, read_format):
    path = tmp_path / "annotations.xml"
    for orientation, size in ((6, (60, 40)), (3, SIZE)):
        save(tmp_path / "images/a.jpg", size, orientation)
        path.write_text('<annotations><image name="a.jpg" width="60" height="40"/></annotations>')
        records, findings = read_format(FORMAT, path, tmp_path / "images")
        assert not findings
        assert [(record.size, record.frame) for record in records] == [(SIZE, "upright")]


def test_pointers_count_each_tag(read):
    body = (
        f'{IMAGE}<tag label="a"/></image><other/>'
        '<image name="a.png" width="60" height="40">'
        '<tag label="a"/><polygon label="p" points="1,1;5,1;5,5"/><tag label="b"/></image>'
    )
    records, findings = read(body)
    assert [region.origin.pointer for region in records[1].regions] == [
        "/image[2]/tag[1]",
        "/image[2]/polygon[1]",
        "/image[2]/tag[2]",
    ]
    assert [f.code for f in findings] == ["SRC041", "SRC046"]


def test_image_names_are_found_without_reading_on(tmp_path):
    path = tmp_path / "a.xml"
    images = "".join(
        f'<image name="{n}.png" subset="{"Train" if n % 2 else ""}"/>' for n in range(300)
    )
    path.write_text(f"<annotations>{images}<broken")
    names = list(FORMAT.image_names(path))
    assert names[:2] == ["Train/1.png", "Train/3.png"]
    assert names[128:130] == ["0.png", "1.png"]
    assert len(names) == 128 + 256


@pytest.mark.parametrize(
    ("text", "said", "refused"),
    [
        ("<annotation><filename>a</filename></annotation>", "is the text 'annotation'", True),
        ("<annotations><frame/></annotations>", "neither image, track nor meta", False),
        ("<annotations><version>2.0</version><image/></annotations>", "has the version", True),
        ("<annotations><image/><meta/></annotations>", None, True),
        ("<annotations><image", "neither image, track nor meta", True),
        ("no XML", "is no valid XML", True),
        ("", "has no element", True),
        ("<!DOCTYPE a><annotations><image/></annotations>", "document type", True),
    ],
)
def test_what_is_not_cvat(tmp_path, read_format, text, said, refused):
    path = tmp_path / "a.xml"
    path.write_text(text)
    found = FORMAT.detect(Candidate(path))
    assert found.matches == (said is None)
    assert said is None or said in " ".join(found.reasons)
    if refused:
        with pytest.raises(SourceError):
            read_format(FORMAT, path, tmp_path)
    else:
        assert read_format(FORMAT, path, tmp_path)[0] == []


def test_meta_of_any_length_is_not_read_for_detection(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(
        "<annotations><meta><task><name>n</name>" + "<x>y</x>" * 1_200_000 + "</task></meta>"
        "<image/></annotations>"
    )
    found = FORMAT.detect(Candidate(path))
    assert found.matches
    assert "meta is not complete within 8 MiB" in found.reasons


def test_a_missing_file(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        list(FORMAT.image_names(Path(tmp_path / "none.xml")))


def test_under_raise_the_message_names_place_and_reason(shapes):
    with pytest.raises(AnnotationError) as caught:
        shapes('<polygon label="door" points="1,1;2,2"/>', on_error="raise")
    assert str(caught.value).startswith(
        'annotations.xml /image[1]/polygon[1]: the polygon of "door" has 2 points, 3 are needed.'
    )


def test_an_ellipse_is_kept_as_one(shapes):
    found, _ = shapes('<ellipse label="e" cx="30" cy="20" rx="5" ry="8.25" rotation="35"/>')
    assert found[0].geometry == Ellipse((30.0, 20.0), (5.0, 8.25), 35.0)
