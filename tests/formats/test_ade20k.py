"""ADE20K made in code: small masks, what is wrong with files, arbitrary bytes."""

from __future__ import annotations

import contextlib
import copy
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import AnnotationError, ConceptsetError
from conceptset.findings import Problems
from conceptset.formats.ade20k import FORMAT
from conceptset.formats.ade20k.listing import scene_of_folder
from conceptset.formats.base import Candidate, ReadContext
from conceptset.geometry import MAX_PIXELS
from conceptset.io.catalogue import ImageCatalogue
from conceptset.parsing.defects import DEFECTS
from conceptset.raster import rasterize

CAR, TREE, WHEEL = 401, 2855, 3035
SIZE = (6, 8)


def colour(number, blue):
    return number // 256 * 10, number % 256, blue


def save_mask(path, *boxes, size=SIZE):
    """Boxes (class, B, rows, columns), painted in order."""
    pixels = np.zeros((*size, 3), dtype=np.uint8)
    for number, blue, rows, columns in boxes:
        pixels[slice(*rows), slice(*columns)] = colour(number, blue)
    Image.fromarray(pixels).save(path)


def thing(key, name, number, box=(0, 8, 0, 6), level=0, whole=()):
    left, right, top, bottom = box
    return {
        "id": key,
        "name": name,
        "raw_name": name,
        "name_ndx": number,
        "parts": {"hasparts": [], "ispartof": whole, "part_level": level},
        "polygon": {"x": [left, right, right, left], "y": [top, top, bottom, bottom]},
        "instance_mask": f"a/instance_{key}_a.png",
    }


def document(*things, **changes):
    return {
        "annotation": {
            "filename": "a.jpg",
            "imsize": [*SIZE, 3],
            "scene": ["outdoor", "urban", "street"],
            "object": list(things),
        }
        | changes
    }


CARS = (
    thing(7, "car, auto", CAR, (0, 4, 0, 6)),
    thing(2, "car, auto", CAR, (4, 8, 0, 6)),
    thing(9, "wheel", WHEEL, (5, 6, 4, 6), level=1, whole=2),
)


@pytest.fixture
def world(tmp_path, read_format):
    """Writes a.jpg, its masks and its description; returns a function that reads them."""
    Image.new("RGB", (SIZE[1], SIZE[0])).save(tmp_path / "a.jpg")
    save_mask(tmp_path / "a_seg.png", (CAR, 128, (0, 6), (0, 4)), (CAR, 255, (0, 6), (4, 8)))
    save_mask(tmp_path / "a_parts_1.png", (WHEEL, 255, (4, 6), (5, 6)))

    def read(description=None, *, on_error="collect", encoding="latin-1", name="a.json"):
        if description is not None:
            text = description if isinstance(description, str) else json.dumps(description)
            (tmp_path / name).write_bytes(text.encode(encoding))
        return read_format(FORMAT, tmp_path, tmp_path, on_error=on_error)

    read.root = tmp_path
    return read


def pixels_of(record):
    return [
        (region.name, sorted(map(tuple, np.argwhere(rasterize(region.geometry, record.size)))))
        for region in record.regions
        if region.geometry is not None
    ]


def box(rows, columns):
    return [(row, column) for row in range(*rows) for column in range(*columns)]


def test_objects_of_one_class_are_told_apart_by_their_outlines(world):
    for cars in (CARS, (CARS[2], CARS[1], CARS[0])):
        (record,), findings = world(document(*cars))
        assert findings == []
        by_id = {
            cars[int(region.origin.pointer.rpartition("/")[2])]["id"]: region
            for region in record.regions[:-1]
        }
        assert by_id[7].geometry.code >> 16 == 128
        assert by_id[2].geometry.code >> 16 == 255
        assert record.regions[by_id[9].part_of] is by_id[2]


def test_the_smaller_of_two_nested_outlines_takes_what_lies_in_both(world):
    save_mask(world.root / "a_seg.png", (TREE, 10, (0, 6), (0, 8)), (TREE, 200, (2, 4), (2, 4)))
    large, small = thing(1, "tree", TREE), thing(2, "tree", TREE, (2, 4, 2, 4))
    for trees in ((large, small), (small, large)):
        (record,), _ = world(document(*trees))
        first = {1: 10, 2: 200}[trees[0]["id"]]
        assert record.regions[0].geometry.code >> 16 == first


def test_a_part_without_a_stated_whole_belongs_to_what_it_lies_on(world):
    lone = copy.deepcopy(CARS[2])
    for whole in ([], 99, None, "x", [99, {}]):
        lone["parts"]["ispartof"] = whole
        (record,), findings = world(document(*CARS[:2], lone))
        assert findings == []
        assert record.regions[2].part_of == 1
    (record,), _ = world(document(lone))
    assert (record.regions[0].part_of, record.regions[0].category) == (None, "part")


def test_one_object_as_matlab_writes_it(world):
    save_mask(world.root / "a_seg.png", (CAR, 255, (1, 2), (1, 3)))
    (record,), findings = world(document(object=CARS[0], scene="street", imsize=list(SIZE)))
    assert findings == []
    assert pixels_of(record) == [("car", box((1, 2), (1, 3)))]
    assert record.regions[-1].name == "street"


@pytest.mark.parametrize("encoding", ["latin-1", "utf-8"])
def test_names_in_either_encoding(world, encoding):
    things = [thing(1, "café, bar", CAR), thing(2, "café, bar", CAR)]
    text = json.dumps(document(*things), ensure_ascii=False)
    (record,), _ = world(text, encoding=encoding)
    assert {region.name for region in record.regions[:-1]} == {"café"}


def test_a_scene_that_is_none(world):
    for scene in ([], None, "", ["outdoor", "~not labeled"], 3, [{}]):
        (record,), _ = world(document(*CARS, scene=scene))
        assert all(region.kind != "tag" for region in record.regions)


def test_hidden_objects_and_nameless_pixels_are_said_once(world):
    hidden = [thing(20 + i, f"thing {i}", 500 + i) for i in range(7)]
    (record,), findings = world(document(*hidden))
    assert [(f.code, f.path) for f in findings] == [
        ("SRC081", f"{world.root.name}/a.json"),
        ("SRC082", f"{world.root.name}/a.json"),
    ]
    assert '"thing 0", "thing 1"' in findings[0].message
    assert "and 2 more" in findings[0].message
    assert "48 pixels of a_seg.png are of classes without an object: 401" in findings[1].message
    assert [region.kind for region in record.regions] == ["tag"]


def test_colours_that_no_object_is_left_for_keep_the_name_of_their_class(world):
    (record,), findings = world(document(CARS[0]))
    assert findings == []
    assert pixels_of(record) == [("car", box((0, 6), (0, 4))), ("car", box((0, 6), (4, 8)))]
    assert record.regions[1].origin.pointer == "a_seg.png"


BAD = [
    ({"annotation": []}, "SRC080", "/annotation", "the annotation is a list"),
    ([1], "SRC080", "/annotation", "is a list, an object was expected"),
    ("{", "SRC080", None, "is no valid JSON"),
    ("[" * 100_000, "SRC080", None, "nested too deeply"),
    (document(3), "SRC015", "/annotation/object/0", "the object is 3"),
    (document(CARS[0] | {"name": 5}), "SRC010", "/annotation/object/0/name", "the name is 5"),
    (document(CARS[0] | {"name": "\u200b"}), "SRC010", "/annotation/object/0/name", "the name is"),
    (
        document(CARS[0] | {"name_ndx": 0}),
        "SRC010",
        "/annotation/object/0/name_ndx",
        'the class of "car" is 0, 1 to 6655',
    ),
    (
        document(CARS[0] | {"parts": {"part_level": 10}}),
        "SRC015",
        "/annotation/object/0/parts/part_level",
        'the part level of "car" is 10, 0 to 9',
    ),
    (document(*CARS, imsize=[7, 8, 3]), "SRC004", None, "7 x 8 pixels (height x width) are stated"),
]


@pytest.mark.parametrize(("description", "code", "pointer", "message"), BAD)
def test_bad_descriptions(world, description, code, pointer, message):
    _, findings = world(description)
    found = next(finding for finding in findings if finding.code == code)
    assert found.pointer == pointer
    assert message in found.message
    assert found.path.endswith("a.json")
    with pytest.raises(AnnotationError, match=r"--on-error skip"):
        world(description, on_error="raise")


def test_a_mask_without_description_or_photograph(world):
    records, (finding,) = world()
    assert (records, finding.code) == ([], "SRC080")
    assert "neither NAME.json nor NAME_atr.txt" in finding.message
    (world.root / "a.jpg").unlink()
    assert world(document(*CARS)) == ([], [])


def test_masks_that_are_broken_or_of_another_size(world):
    seg = world.root / "a_seg.png"
    data = seg.read_bytes()
    cases = {
        "SRC024": lambda: save_mask(seg, size=(5, 8)),
        "SRC026": lambda: seg.write_bytes(data[:45]),
    }
    for code, spoil in cases.items():
        spoil()
        (record,), findings = world(document(*CARS))
        assert code in {finding.code for finding in findings}
        assert [region.name for region in record.regions] == ["wheel", "street"]
    for mode in ("L", "P", "RGBA", "I;16"):
        Image.new(mode, (8, 6)).save(seg)
        _, findings = world(document(*CARS))
        assert "SRC026" in {finding.code for finding in findings}
        assert any(f"is PNG of mode {mode}" in finding.message for finding in findings)
    (world.root / "a_parts_1.png").unlink()
    seg.write_bytes(data)
    (record,), (finding,) = world(document(*CARS))
    assert (finding.code, "NAME_parts_1.png" in finding.hint) == ("SRC025", True)
    assert [region.name for region in record.regions] == ["car", "car", "street"]


def test_a_mask_of_noise_is_refused(world):
    Image.new("RGB", (100, 100)).save(world.root / "a.jpg")
    noise = np.random.default_rng(1).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    Image.fromarray(noise).save(world.root / "a_seg.png")
    _, findings = world(document(CARS[0], imsize=[100, 100, 3]))
    assert [finding.code for finding in findings] == ["SRC026"]
    assert "colours, at most 4096 were expected" in findings[0].message


def test_a_bomb_is_refused_by_its_header(world):
    seg = world.root / "a_seg.png"
    data = bytearray(seg.read_bytes())
    data[16:24] = (60_000).to_bytes(4, "big") * 2  # and a wrong checksum, which no one gets to
    seg.write_bytes(bytes(data))
    assert MAX_PIXELS < 60_000**2
    _, findings = world(document(CARS[0]))
    assert "SRC026" in {finding.code for finding in findings}


def test_a_crowd_of_one_class_is_read_in_bounded_time(world):
    crowd = [thing(i, "car", CAR, (0, 8, 0, 6)) for i in range(20_000)]
    crowd[0]["polygon"] = {"x": list(range(100_000)), "y": [i * i % 977 for i in range(100_000)]}
    (record,), findings = world(document(*crowd))
    assert len(record.regions) == 3
    assert [finding.code for finding in findings] == ["SRC081"]


def test_links_out_of_the_folder_are_refused(world, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    (other / "secret.json").write_text(json.dumps(document(*CARS)))
    (world.root / "a.json").symlink_to(other / "secret.json")
    records, (finding,) = world()
    assert (records, finding.code) == ([], "SRC006")
    assert not FORMAT.detect(Candidate(world.root)).matches


ROWS = """\
001 # 0 # 0 # car, auto # car # "red, big"
002 # 0 # 1 # car, auto # cars #

1 # 1 # 0 # wheel # front wheel # "a # b"
"""


def test_the_text_of_2017(world):
    """Unverified: by the documentation, no file of that release is at hand."""
    (record,), findings = world(ROWS, name="a_atr.txt")
    assert findings == []
    assert pixels_of(record) == [
        ("car", box((0, 6), (0, 4))),
        ("car", box((0, 6), (4, 8))),
        ("wheel", box((4, 6), (5, 6))),
    ]
    assert [region.part_of for region in record.regions] == [None, None, 1]
    assert [region.origin.pointer for region in record.regions] == ["line 1", "line 2", "line 4"]


@pytest.mark.parametrize(
    ("row", "code", "message"),
    [
        ("1 # 0 # 0 # car # car", "SRC015", "5 columns between #, 6 were expected"),
        ("0 # 0 # 0 # car # car #", "SRC015", "instance number of \"car\" is the text '0'"),
        ("x # 0 # 0 # car # car #", "SRC015", "is the text 'x', 1 to 255"),
        ("1 # -1 # 0 # car # car #", "SRC015", "part level of \"car\" is the text '-1'"),
        ("1 # 0 # 0 # , # #", "SRC010", "the columns of the name are empty"),
    ],
)
def test_bad_rows(world, row, code, message):
    _, findings = world(f'2 # 0 # 0 # car # car # ""\r\n{row}', name="a_atr.txt")
    (finding,) = (one for one in findings if one.code == code)
    assert (finding.line, message in finding.message) == (2, True), finding.message


def test_numbers_that_name_other_classes_are_found_out(world):
    world(ROWS, name="a_atr.txt")
    Image.new("RGB", (8, 6)).save(world.root / "b.jpg")
    save_mask(world.root / "b_seg.png", (TREE, 85, (0, 2), (0, 8)), (CAR, 170, (2, 4), (0, 8)))
    (world.root / "b_atr.txt").write_text("1 # 0 # 0 # car, auto # car #\n2 # 0 # 0 # tree # a #\n")
    records, findings = world()
    assert [finding.code for finding in findings] == ["SRC083"]
    assert 'instance 1, "car", are of class 2855; in' in findings[0].message
    assert [region.name for region in records[1].regions] == ["tree"]


def test_the_folder_of_a_scene():
    assert scene_of_folder(Path("/d/images/training/s/street/a.jpg")) == "street"
    assert scene_of_folder(Path("/d/training/b/bakery/shop/a.jpg")) == "bakery-shop"
    for name in ("/d/training/misc/a.jpg", "/a/b/a.jpg", "/d/s/alley/a.jpg", "/a.jpg"):
        assert scene_of_folder(Path(name)) is None


def test_detection_says_what_it_missed(world):
    def said(folder):
        detection = FORMAT.detect(Candidate(folder))
        assert not detection.matches
        return "; ".join(detection.reasons)

    assert "neither" not in said(world.root)
    assert "none of them has NAME.json" in said(world.root)
    (world.root / "a.json").write_text('{"shapes": []}')
    assert "a.json has no annotation with its object" in said(world.root)
    assert "is a file" in said(world.root / "a.json")
    (world.root / "a_seg.png").unlink()
    assert "no photograph NAME.jpg with a mask" in said(world.root)


def test_every_code_is_documented():
    for code in ("SRC080", "SRC081", "SRC082", "SRC083"):
        assert DEFECTS[code].why
        assert DEFECTS[code].fix


# -- arbitrary content --------------------------------------------------------------------------

BASE = document(*CARS)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["../a", "a.jpg", "7", "\ud800", "\x00", 1e300, 10**39, CAR, TREE]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.sampled_from(["id", "parts", "x", "object"]), inner, max_size=3)
    ),
    max_leaves=10,
)


def places(value, path=()):
    """Every place of a document, as paths of keys and indices."""
    yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places(inner, (*path, key))


PLACES = [path for path in places(BASE) if path]


@st.composite
def mutated(draw):
    changed = copy.deepcopy(BASE)
    for _ in range(draw(st.integers(1, 4))):
        *path, last = draw(st.sampled_from(PLACES))
        target = changed
        with contextlib.suppress(KeyError, IndexError, TypeError):
            for step in path:
                target = target[step]
            if draw(st.booleans()):
                target[last] = draw(values)
            else:
                del target[last]
    return changed


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        Image.new("RGB", (8, 6)).save(root / "a.jpg")
        save_mask(root / "a_seg.png", (CAR, 128, (0, 6), (0, 4)), (CAR, 255, (0, 6), (4, 8)))
        save_mask(root / "a_parts_1.png", (WHEEL, 255, (4, 6), (5, 6)))
        save_mask(root / "a_parts_2.png", (TREE, 255, (5, 6), (5, 6)))
        yield root


def read_all(folder):
    """Every record must be one that can be painted."""
    assert FORMAT.detect(Candidate(folder)).reasons
    FORMAT.image_names(folder)
    problems = Problems("collect")
    context = ReadContext(ImageCatalogue(folder), problems, "ade")
    for record in FORMAT.read(folder, context):
        for place, region in enumerate(record.regions):
            region.name.encode()
            assert region.part_of is None or region.part_of < place
            if region.geometry is not None:
                assert rasterize(region.geometry, record.size).any()
    for finding in problems.findings:
        assert str(finding).isprintable()


@settings(max_examples=3 * settings.default.max_examples)
@given(description=mutated())
def test_mutated_descriptions(folder, description):
    (folder / "a.json").write_text(json.dumps(description))
    read_all(folder)


@given(cut=st.integers(0, 900), junk=st.binary(max_size=6))
def test_damaged_descriptions(folder, cut, junk):
    data = json.dumps(BASE).encode()
    (folder / "a.json").write_bytes(data[:cut] + junk + data[cut + len(junk) :])
    read_all(folder)


@given(text=st.text(st.sampled_from('0123456789 #,\n\r\x00éab"-.'), max_size=60))
def test_any_text(folder, text):
    (folder / "a.json").unlink(missing_ok=True)
    (folder / "a_atr.txt").write_bytes(f"{ROWS}{text}".encode("latin-1"))
    try:
        read_all(folder)
    finally:
        (folder / "a_atr.txt").unlink()


@given(cut=st.integers(0, 120), junk=st.binary(max_size=6))
def test_damaged_masks(folder, cut, junk):
    """What a decoder lets pass, the painter gets too."""
    data = (folder / "a_seg.png").read_bytes()
    (folder / "a.json").write_text(json.dumps(BASE))
    (folder / "a_seg.png").write_bytes(data[:cut] + junk + data[cut + len(junk) :])
    try:
        with contextlib.suppress(ConceptsetError):
            read_all(folder)
    finally:
        (folder / "a_seg.png").write_bytes(data)
