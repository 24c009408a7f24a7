"""LabelMe XML: what each element means, and one clear message for each that is broken."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.errors import AnnotationError, UnsafeError
from conceptset.formats.base import Candidate
from conceptset.formats.labelme_xml import FORMAT
from conceptset.geometry import BinaryMask, Rle
from conceptset.parsing.defects import DEFECTS
from conceptset.raster import rasterize
from conceptset.records import Person

SQUARE = "<polygon><username>ann</username>{}</polygon>".format(
    "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in ((1, 1), (4, 1), (4, 4), (1, 4)))
)
SIZE = "<imagesize><nrows>6</nrows><ncols>8</ncols></imagesize>"


def thing(name="door", shape=SQUARE, **tags):
    """One object; `has` and `of` are the ids of its parts and wholes."""
    has, of = tags.pop("has", ""), tags.pop("of", "")
    others = "".join(f"<{tag}>{text}</{tag}>" for tag, text in tags.items())
    parts = f"<parts><hasparts>{has}</hasparts><ispartof>{of}</ispartof></parts>"
    return f"<object><name>{name}</name>{others}{parts}{shape}</object>"


def document(*objects, filename="a.png", folder="street", size=SIZE):
    head = f"<annotation><filename>{filename}</filename><folder>{folder}</folder>"
    return f"{head}{''.join(objects)}{size}</annotation>"


def polygon(*points, username="ann"):
    inner = "".join(f"<pt><x>{x}</x><y>{y}</y></pt>" for x, y in points)
    return f"<polygon><username>{username}</username>{inner}</polygon>"


def mask(name="m.png", username="ann"):
    return f"<segm><username>{username}</username><mask>{name}</mask></segm>"


@pytest.fixture
def world(tmp_path, save):
    save(tmp_path / "Images/street/a.png", (6, 8))
    (tmp_path / "Annotations/street").mkdir(parents=True)
    (tmp_path / "Masks/street").mkdir(parents=True)
    return tmp_path


@pytest.fixture
def read(world, read_format):
    """Reads a text or bytes as Annotations/street/a.xml: (record or None, findings)."""

    def read(data, on_error="collect", images="Images"):
        path = world / "Annotations/street/a.xml"
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        records, findings = read_format(FORMAT, path, world / images, on_error=on_error)
        assert len(records) <= 1
        return (records[0] if records else None), findings

    return read


def codes(findings):
    return [finding.code for finding in findings]


def test_one_object(read):
    record, findings = read(document(thing()))
    assert not findings
    assert (record.image, record.size, record.frame) == ("street/a.png", (6, 8), "stored")
    assert record.workers == (Person("ann"),)
    (region,) = record.regions
    assert (region.name, region.kind, region.person) == ("door", "region", Person("ann"))
    assert (region.origin.file, region.origin.pointer) == ("a.xml", "/annotation/object[1]")
    expected = np.zeros((6, 8), dtype=bool)
    expected[1:4, 1:4] = True
    assert np.array_equal(rasterize(region.geometry, record.size), expected)


def test_texts_are_stripped_and_names_kept(read):
    text = document(
        thing(name="\n car_84 \n"), filename="\n a.png \n", folder="\n street \n"
    ).replace("<x>1</x>", "<x>\n1.0\n</x>")
    record, findings = read(text)
    assert not findings
    assert record.regions[0].name == "car_84"


@pytest.mark.parametrize(
    ("size", "warned"),
    [
        (SIZE, False),
        ("", True),
        ("<imagesize><nrows/><ncols></ncols></imagesize>", True),
        ("<imagesize><nrows>0</nrows><ncols>0</ncols></imagesize>", True),
        ("<imagesize><nrows>six</nrows><ncols>8</ncols></imagesize>", True),
    ],
)
def test_sizes(read, size, warned):
    record, findings = read(document(thing(), size=size))
    assert record.size == (6, 8)
    assert codes(findings) == (["SRC005"] if warned else [])


def test_the_size_may_stand_between_objects(read):
    text = document(thing(), SIZE, thing(name="wall"), size="")
    record, findings = read(text)
    assert not findings
    assert [r.origin.pointer for r in record.regions] == [
        "/annotation/object[1]",
        "/annotation/object[2]",
    ]


def test_another_size_than_the_photograph(read):
    record, findings = read(document(size=SIZE.replace("6", "60")))
    assert record is None
    assert codes(findings) == ["SRC004"]


def test_a_turned_photograph_is_seen_upright(world, read, save):
    save(world / "Images/street/t.jpg", (8, 6), orientation=6)
    record, findings = read(document(thing(), filename="t.jpg"))
    assert not findings
    assert (record.size, record.frame) == ((6, 8), "upright")
    save(world / "Images/street/half.jpg", (6, 8), orientation=3)
    assert read(document(thing(), filename="half.jpg"))[0].frame == "upright"


def test_photographs_without_their_folder(world, read, save):
    save(world / "flat/a.png", (6, 8))
    assert read(document(thing()), images="flat")[0].image == "a.png"
    save(world / "flat/other/a.png", (6, 8))
    assert read(document(thing()), images="flat")[0].image == "a.png"
    save(world / "flat/street/a.png", (6, 8))
    assert read(document(thing()), images="flat")[0].image == "street/a.png"
    assert read(document(thing(), folder=""), images="flat")[0].image == "a.png"


@pytest.mark.parametrize(
    ("filename", "folder", "code"),
    [
        ("b.png", "street", "SRC001"),
        ("", "street", "SRC007"),
        ("../a.png", "", "SRC006"),
        ("a.png", "../street", "SRC006"),
        ("/etc/passwd", "", "SRC006"),
    ],
)
def test_photographs_that_cannot_be_had(read, filename, folder, code):
    record, findings = read(document(thing(), filename=filename, folder=folder))
    assert record is None
    assert codes(findings) == [code]


def test_a_deleted_object_says_that_its_person_was_there(read):
    text = document(
        thing(deleted=1, shape=polygon(username="bob")), thing(deleted=0), thing(name="", deleted=1)
    )
    record, findings = read(text)
    assert not findings
    assert [(r.kind, r.geometry is None) for r in record.regions] == [
        ("deleted", True),
        ("region", False),
        ("deleted", True),
    ]
    assert record.workers == (Person("bob"), Person("ann"))


def test_an_unclear_deletion_flag(read):
    record, findings = read(document(thing(deleted="perhaps")))
    assert [r.kind for r in record.regions] == ["region"]
    assert codes(findings) == ["SRC063"]
    assert "is the text 'perhaps', 0 or 1" in findings[0].message


def test_a_file_without_objects_is_kept(read):
    record, findings = read(document())
    assert (record.regions, record.workers, findings) == ((), (), [])


def test_usernames(read):
    shapes = [
        SQUARE,
        SQUARE.replace("ann", " anonymous\n"),
        SQUARE.replace("ann", ""),
        SQUARE.replace("<username>ann</username>", ""),
    ]
    record, findings = read(document(*(thing(shape=shape) for shape in shapes)))
    assert not findings
    people = [Person("ann"), Person("anonymous"), None, None]
    assert [region.person for region in record.regions] == people
    assert record.workers == (Person("ann"), Person("anonymous"))
    record, findings = read(document(thing(shape=SQUARE.replace("ann", "&#x200b;"))))
    assert record.regions == ()
    assert codes(findings) == ["SRC029"]


def test_a_person_whose_object_is_broken_was_there_all_the_same(read):
    record, findings = read(document(thing(shape=polygon((1, 1), ("x", 2), (3, 3)))))
    assert record.regions == ()
    assert record.workers == (Person("ann"),)
    assert codes(findings) == ["SRC018"]


def test_boxes_points_and_lines(read):
    text = document(
        thing(type="bounding_box"),
        thing(shape=polygon((1, 1))),
        thing(shape=polygon((1, 1), (5, 5))),
        thing(shape=polygon((1, 1), (5, 1), (5.5, 5))),
    )
    record, findings = read(text)
    assert not findings
    assert [(r.kind, r.geometry is None) for r in record.regions] == [
        ("box", False),
        ("mark", True),
        ("mark", True),
        ("region", False),
    ]


def test_attributes_and_unknown_elements_are_passed_over(read):
    extra = "<viewpoint><azimuth>4</azimuth></viewpoint>"
    text = document(thing(occluded="yes", attributes="red, big", verified=1), extra)
    record, findings = read(text)
    assert not findings
    assert len(record.regions) == 1


BROKEN = [
    (thing(name=" "), "SRC010", "/name", "the name of the object is the text ''"),
    (thing(shape=""), "SRC016", "", '"door" has no outline and no mask'),
    (thing(shape="<polygon/>"), "SRC016", "", "no outline"),
    (thing(shape=SQUARE * 2), "SRC015", "", "has 2 outlines and 0 masks"),
    (thing(shape=SQUARE + mask()), "SRC015", "", "has 1 outlines and 1 masks"),
    (thing(shape=polygon((1, 1), (1, 1), (2, 2), (1, 1))), "SRC017", "/polygon", "2 differ"),
    (thing(shape=polygon((1, 1), (2, 2), (3, "nan"))), "SRC018", "/polygon", "'nan'"),
    (thing(shape=polygon((1, 1), (2, "1_0"), (3, 3))), "SRC018", "/polygon", "'1_0'"),
    (thing(shape=polygon((1, 1), (2, ""), (3, 3))), "SRC018", "/polygon", "3 of"),
    (thing(shape=polygon((1, "9" * 400))), "SRC018", "/polygon", "is inf"),
    (thing(shape=polygon((1, 1), (2, "1e8"), (3, 3))), "SRC019", "/polygon", "1e+08"),
    (
        thing(shape="<polygon><t>0,1</t><x>1,2;1,2</x><y>1,2;1,2</y></polygon>"),
        "SRC062",
        "/polygon",
        "a video",
    ),
    (thing(shape=mask("")), "SRC025", "/segm/mask", "is null, a name"),
    (thing(shape=mask("n.png")), "SRC025", "/segm/mask", 'the folder "street" beside'),
    (thing(shape=mask("../n.png")), "SRC006", "/segm/mask", "leaves its folder"),
]


@pytest.mark.parametrize(("element", "code", "pointer", "words"), BROKEN)
def test_a_broken_object_is_left_out_alone(read, element, code, pointer, words):
    record, findings = read(document(thing(name="first"), element, thing(name="last")))
    assert [region.name for region in record.regions] == ["first", "last"]
    (finding,) = findings
    assert (finding.code, finding.pointer) == (code, f"/annotation/object[2]{pointer}")
    assert words in finding.message
    assert DEFECTS[code].severity == "error"
    with pytest.raises(AnnotationError, match=code):
        read(document(element), on_error="raise")


def painted(mode, path):
    """A mask of mode with a 2 x 3 object, black and transparent elsewhere."""
    image = Image.new(mode, (8, 6))
    value = {"RGBA": (0, 0, 0, 9), "LA": (0, 9), "RGB": (0, 0, 1), "L": 1, "1": 1}[mode]
    for row in (1, 2):
        for column in (4, 5, 6):
            image.putpixel((column, row), value)
    image.save(path)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGB", "L", "1"])
def test_masks(world, read, mode):
    """Whatever is not transparent; without transparency whatever is not black."""
    painted(mode, world / "Masks/street/m.png")
    record, findings = read(document(thing(shape=mask(), type="bounding_box")))
    (region,) = record.regions
    assert region.kind == "region"
    assert isinstance(region.geometry, BinaryMask if mode in ("RGBA", "LA") else Rle)
    assert codes(findings) == ([] if mode in ("RGBA", "LA") else ["SRC065"])
    expected = np.zeros((6, 8), dtype=bool)
    expected[1:3, 4:7] = True
    assert np.array_equal(rasterize(region.geometry, record.size), expected)


@pytest.mark.parametrize(
    "place",
    ["Masks/street", "Masks", "Annotations/street/Masks", "Annotations/Masks/street"],
)
def test_places_of_masks(world, read, place):
    (world / place).mkdir(parents=True, exist_ok=True)
    painted("RGBA", world / place / "m.png")
    record, findings = read(document(thing(shape=mask())))
    assert not findings
    assert record.regions[0].geometry.path == world / place / "m.png"


def test_masks_that_cannot_be_read(world, read):
    home = world / "Masks/street"
    Image.new("RGBA", (8, 7)).save(home / "size.png")
    Image.new("P", (8, 6)).save(home / "palette.png")
    Image.new("L", (8, 6)).save(home / "jpeg.jpg")
    (home / "text.png").write_text("no image")
    painted("L", home / "cut.png")
    (home / "cut.png").write_bytes((home / "cut.png").read_bytes()[:45])
    names = ("size.png", "palette.png", "jpeg.jpg", "text.png", "cut.png")
    record, findings = read(document(*(thing(shape=mask(name)) for name in names)))
    assert record.regions == ()
    assert codes(findings) == ["SRC024", "SRC026", "SRC026", "SRC026", "SRC026"]
    assert "7 x 8 pixels (height x width), its image 6 x 8" in findings[0].message


PARTS = {
    "both sides say it": ([{"id": 0, "has": "1"}, {"id": 1, "of": "0"}], [None, 0], []),
    "only the whole says it": ([{"id": 0, "has": "1, 2"}, {"id": 1}, {"id": 2}], [None, 0, 0], []),
    "only the part says it": ([{"id": 5}, {"id": 7, "of": " 5 "}], [None, 0], []),
    "the whole comes later": ([{"id": 0, "of": "1"}, {"id": 1}], [1, None], []),
    "parts of parts": ([{"id": 0}, {"id": 1, "of": 0}, {"id": 2, "of": 1}], [None, 0, 1], []),
    "without ids by place": ([{"has": "1"}, {}], [None, 0], []),
    "an id of nothing": ([{"id": 0, "has": "9", "of": "8"}], [None], []),
    "a deleted whole": ([{"id": 0, "deleted": 1}, {"id": 1, "of": 0}], [None, None], []),
    "a deleted part": ([{"id": 0, "has": "1"}, {"id": 1, "deleted": 1}], [None, None], []),
    "two wholes": (
        [{"id": 0, "has": "2"}, {"id": 1}, {"id": 2, "of": "1"}],
        [None, None, 1],
        ["SRC064"],
    ),
    "a part of itself": ([{"id": 0, "of": "0"}], [None], ["SRC064"]),
    "a circle": (
        [{"id": 0, "of": "1"}, {"id": 1, "of": "2"}, {"id": 2, "of": "0"}],
        [1, 2, None],
        ["SRC064"],
    ),
    "an id twice": ([{"id": 0}, {"id": 0}, {"id": 1, "of": "0"}], [None, None, 0], ["SRC014"]),
}


@pytest.mark.parametrize("case", PARTS)
def test_parts(read, case):
    objects, wholes, expected = PARTS[case]
    record, findings = read(document(*(thing(**one) for one in objects)))
    assert [region.part_of for region in record.regions] == wholes
    assert codes(findings) == expected


def test_the_whole_is_found_where_objects_were_left_out(read):
    text = document(thing(shape="", id=0), thing(id=1), thing(id=2, of="1"), thing(id=3, of="0"))
    record, findings = read(text)
    assert [region.part_of for region in record.regions] == [None, 0, None]
    assert codes(findings) == ["SRC016"]


def test_a_set_keeps_the_whole_that_was_drawn_after_its_part(world):
    lock = thing("lock", polygon((2, 2), (4, 2), (4, 4)), id=0, of="1")
    path = world / "Annotations/street/a.xml"
    path.write_text(document(lock, thing(id=1), thing("wall", id=2)))
    build_set([path], world / "set", BuildOptions())
    text = (world / "set/annotators/ann/segments.jsonl").read_text()
    lines = {line["name"]: line for line in map(json.loads, text.splitlines())}
    assert lines["lock"]["part_of"] == lines["door"]["order"]
    assert (lines["lock"]["category"], lines["door"]["category"]) == ("part", "object")
    assert lines["door"]["part_of"] is lines["wall"]["part_of"] is None


@pytest.mark.parametrize("step", [1, -1])
def test_a_chain_of_parts_is_cut(read, step):
    """Twenty thousand objects, each a part of the next: neither endless nor that deep."""
    count = 20_000
    links = [thing(id=i, of=i + step, shape=polygon((1, 1))) for i in range(count)]
    begin = time.perf_counter()
    record, findings = read(document(*links))
    assert time.perf_counter() - begin < 20
    assert set(codes(findings)) == {"SRC064"}
    for place in range(0, count, 997):
        depth, whole = 0, record.regions[place].part_of
        while whole is not None:
            depth, whole = depth + 1, record.regions[whole].part_of
        assert depth <= 16


@pytest.mark.parametrize(
    ("data", "name", "warnings"),
    [
        (document(thing(name="café")).encode(), "café", 0),
        (document(thing(name="café")).encode("latin-1"), "café", 1),
        (
            ('<?xml version="1.0" encoding="ISO-8859-1"?>' + document(thing(name="café"))).encode(
                "latin-1"
            ),
            "café",
            0,
        ),
        (
            ('<?xml version="1.0" encoding="UTF-16"?>' + document(thing(name="café"))).encode(
                "utf-16"
            ),
            "café",
            0,
        ),
        (b"\xef\xbb\xbf" + document(thing(name="café")).encode(), "café", 0),
        (document(thing(name="Tom & Jerry &amp; Co &#233;")), "Tom & Jerry & Co é", 1),
        (document(thing(name="a &nbsp; b")), "a &nbsp; b", 1),
        (document(thing(name="<![CDATA[a & b]]>")), "a & b", 0),
        (document(thing(name="x<!-- a & b -->y")), "xy", 0),
    ],
)
def test_encodings_and_ampersands(world, read, data, name, warnings):
    record, findings = read(data)
    assert record.regions[0].name == name
    assert codes(findings) == ["SRC061"] * warnings
    assert FORMAT.detect(Candidate(world / "Annotations/street/a.xml")).matches
    assert list(FORMAT.image_names(world / "Annotations/street/a.xml")) == ["street/a.png", "a.png"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (document(thing())[:-30], "unclosed token"),
        (document(thing()).replace("</name>", ""), "mismatched tag"),
        ("", "no element found"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "encoding"),
        (document(thing(name="a&#0;b")), "reference to invalid character number"),
    ],
)
def test_a_broken_file_costs_itself_alone(read, data, words):
    record, findings = read(data)
    assert record is None
    (finding,) = findings
    assert finding.code == "SRC060"
    assert words in finding.message
    with pytest.raises(AnnotationError, match="is no valid XML"):
        read(data, on_error="raise")


def test_what_is_unsafe_is_refused(world, read):
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]>' + document(thing(name="&b;"))
    with pytest.raises(UnsafeError, match="document type"):
        read(bomb)
    assert not FORMAT.detect(Candidate(world / "Annotations/street/a.xml")).matches
    with pytest.raises(UnsafeError, match="nested more than"):
        read(document("<a>" * 100 + "</a>" * 100))
    with pytest.raises(UnsafeError, match="more than 100,000 objects"):
        read(document("<object/>" * 100_001))
    with pytest.raises(UnsafeError, match="at most 16,777,216 are read"):
        read(document(thing(name="x" * (17 << 20))))


def detected(path, text):
    path.write_text(text)
    return FORMAT.detect(Candidate(path))


def test_detection(tmp_path):
    path = tmp_path / "a.xml"
    assert detected(path, document()).people is None
    assert detected(path, document(thing())).people == 'username of each object: "ann"'
    anonymous = detected(path, document(thing(shape=SQUARE.replace("ann", "anonymous"))))
    assert "the tool's name for whoever gave none" in anonymous.people
    many = document(*(thing(shape=SQUARE.replace("ann", f"p{i}")) for i in range(7)))
    assert detected(path, many).people.endswith('"p4" and 2 more')
    silent = detected(path, document(thing(shape=SQUARE.replace("ann", " "))))
    assert (silent.people, silent.reasons[-1]) == (None, "no object has a username")


@pytest.mark.parametrize(
    "text",
    [
        "<annotations><version>1.1</version></annotations>",
        "<annotation><filename>a.jpg</filename><size><width>3</width></size>"
        "<object><name>x</name><bndbox><xmin>1</xmin></bndbox></object></annotation>",
        "<annotation><source><sourceAnnotation>VOC</sourceAnnotation></source>"
        "<object><name>x</name><bndbox><xmin>1</xmin></bndbox></object></annotation>",
        "<annotation><filename>a.jpg</filename></annotation>",
        "{}",
        "",
    ],
)
def test_what_is_something_else(tmp_path, text):
    found = detected(tmp_path / "a.xml", text)
    assert not found.matches
    assert found.reasons


def test_other_files_are_not_looked_at(tmp_path):
    (tmp_path / "a.txt").write_text(document())
    assert not FORMAT.detect(Candidate(tmp_path / "a.txt")).matches
    assert not FORMAT.detect(Candidate(tmp_path)).matches
