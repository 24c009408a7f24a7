"""Bad LabelMe JSON: each defect gives one clear message, and its neighbours are read."""

from __future__ import annotations

import base64
import io
import json
import re
import struct
import subprocess
import sys
import time
import zlib

import pytest
from PIL import Image

from conceptset.errors import AnnotationError, SourceError, UnsafeError, UsageError
from conceptset.findings import Problems
from conceptset.formats.base import ReadContext
from conceptset.formats.labelme import FORMAT
from conceptset.formats.labelme import objects as objects_module
from conceptset.formats.labelme import reader as reader_module
from conceptset.io.catalogue import ImageCatalogue
from conceptset.parsing.defects import DEFECTS

SQUARE = [[1, 1], [4, 1], [4, 4], [1, 4]]
GOOD = {"label": "wall", "points": SQUARE, "shape_type": "polygon"}


def png(size=(6, 8), mode="L", kind="PNG"):
    stream = io.BytesIO()
    Image.new(mode, (size[1], size[0]), 1).save(stream, kind)
    return stream.getvalue()


def bomb():
    """A PNG whose header announces 60,000 x 60,000 pixels."""
    data = bytearray(png())
    data[16:24] = struct.pack(">II", 60_000, 60_000)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def text_of(data):
    return base64.b64encode(data).decode()


def shape(**changes):
    return {"label": "door", "points": SQUARE, "shape_type": "polygon"} | changes


def mask(value, points=([0, 0], [7, 5])):
    return shape(shape_type="mask", points=list(points), mask=value)


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
    """Reads a document, or text, as a.json beside a.png; `image=False` leaves that out."""

    def one(data, on_error="collect", *, image=True):
        root = tmp_path / "root"
        root.mkdir(exist_ok=True)
        (tmp_path / "work").mkdir(exist_ok=True)
        if image:
            save(root / "a.png", (6, 8))
        (root / "a.json").write_text(data if isinstance(data, str) else json.dumps(data))
        return read_format(
            FORMAT, root / "a.json", root, on_error=on_error, workspace=tmp_path / "work"
        )

    return one


SHAPES = [
    (3, "SRC015", "", "the shape is 3, an object was expected"),
    (None, "SRC015", "", "the shape is null"),
    (shape(label=None), "SRC057", "/label", "the label is null, a name was expected"),
    (shape(label=3), "SRC057", "/label", "the label is 3"),
    (shape(label=" \n"), "SRC057", "/label", "the label is the text ' \\n'"),
    (shape(label="\ud800"), "SRC057", "/label", r"\ud800"),
    (shape(annotator=[]), "SRC029", "/annotator", "the annotator is a list"),
    (shape(annotator=True), "SRC029", "/annotator", "is true or false"),
    (shape(shape_type="star"), "SRC050", "/shape_type", "is the text 'star'; polygon, rectangle,"),
    (shape(shape_type=["polygon"]), "SRC050", "/shape_type", "is a list"),
    (shape(shape_type=7), "SRC050", "/shape_type", "is 7"),
    (shape(shape_type="rotation"), "SRC050", "/shape_type", "is the text 'rotation'"),
    (shape(points=None), "SRC016", "/points", 'points of "door" are null, a list was expected'),
    (shape(points="x"), "SRC016", "/points", "are the text 'x'"),
    (shape(points=[[1, 1], 3]), "SRC018", "/points/1", 'point 1 of "door" is 3, [x, y] was'),
    (shape(points=[[1, 1], [2]]), "SRC018", "/points/1", "is 1 values, [x, y] was expected"),
    (shape(points=[[1, 1, 1]]), "SRC018", "/points/0", "is 3 values"),
    (shape(points=[[1, None], [2, 2], [3, 3]]), "SRC018", "/points", "coordinate 1"),
    (shape(points=[[1, "2"], [2, 2], [3, 3]]), "SRC018", "/points", "is the text '2'"),
    (shape(points=[[1, float("nan")], [2, 2], [3, 3]]), "SRC018", "/points", "is nan"),
    (shape(points=[[1, True], [2, 2], [3, 3]]), "SRC018", "/points", "is true or false"),
    (shape(points=[[1, 1e9], [2, 2], [3, 3]]), "SRC019", "/points", "coordinate 1"),
    (shape(points=[[1, 10**39], [2, 2], [3, 3]]), "SRC019", "/points", "is 1e+39"),
    (shape(points=[]), "SRC017", "/points", "has 0 points, 3 are needed"),
    (shape(points=[[1, 1], [2, 2]]), "SRC017", "/points", "has 2 points, 3 are needed"),
    (shape(points=[[1, 1]] * 5), "SRC017", "/points", "5 points of which 1 differ"),
    (
        shape(shape_type="rectangle", points=[[1, 1]]),
        "SRC051",
        "/points",
        'the rectangle "door" has 1 point, 2 were expected',
    ),
    (shape(shape_type="rectangle", points=[[1, 1], [5, 1]]), "SRC051", "/points", "4 wide and 0 h"),
    (shape(shape_type="rectangle", points=[[1, 1], [1, 4]]), "SRC051", "/points", "0 wide and 3 h"),
    (shape(shape_type="rectangle", points=[[1, 1], [1, []]]), "SRC018", "/points", "is a list"),
    (
        shape(shape_type="oriented_rectangle", points=SQUARE[:3]),
        "SRC051",
        "/points",
        'the oriented_rectangle "door" has 3 points, 4 were expected',
    ),
    (shape(shape_type="oriented_rectangle", points=[[1, 1]] * 4), "SRC017", "/points", "the frame"),
    (shape(shape_type="circle", points=SQUARE), "SRC051", "/points", "has 4 points, 2 were"),
    (shape(shape_type="circle", points=[[1, 1], [1, 1]]), "SRC051", "/points", "a radius of 0"),
    (shape(shape_type="circle", points=[[0, 0], [0, 5e-324]]), "SRC051", "/points", "radius of 0"),
    (shape(shape_type="circle", points=[[1, 1], [1, 1e300]]), "SRC019", "/points", "coordinate 3"),
    (mask(text_of(png()), SQUARE), "SRC051", "/points", 'the mask "door" has 4 points, 2 were'),
    (mask(None), "SRC054", "/mask", 'the mask of "door" is null, base64 text was expected'),
    (mask({}), "SRC054", "/mask", "is an object"),
    (mask("!"), "SRC054", "/mask", "is no base64"),
    (mask(text_of(png())[:-9]), "SRC054", "/mask", "is no base64"),
    (mask(text_of(png()[:-25])), "SRC054", "/mask", "of the 54 bytes of pixels"),
    (mask(text_of(b"no image")), "SRC054", "/mask", "is not an image"),
    (mask(text_of(png(kind="JPEG"))), "SRC054", "/mask", "is JPEG of mode L"),
    (mask(text_of(png(mode="RGB"))), "SRC054", "/mask", "is PNG of mode RGB"),
    (mask(text_of(png((7, 8)))), "SRC054", "/mask", "has 7 x 8 pixels (height x width), its image"),
]


@pytest.mark.parametrize(("bad", "code", "place", "excerpt"), SHAPES)
def test_a_bad_shape_is_one_finding(read, bad, code, place, excerpt):
    (record,), findings = read(document(GOOD, bad, GOOD))
    assert [(f.code, f.pointer) for f in findings] == [(code, f"/shapes/1{place}")]
    assert excerpt in findings[0].message
    assert findings[0].message.endswith(".")
    assert str(findings[0]).isprintable()
    assert [region.origin.pointer for region in record.regions] == ["/shapes/0", "/shapes/2"]


@pytest.mark.parametrize(("bad", "code", "place", "excerpt"), SHAPES)
def test_the_first_bad_shape_stops_unless_told(read, bad, code, place, excerpt):
    with pytest.raises(AnnotationError, match=re.escape(excerpt)) as caught:
        read(document(bad), on_error="raise")
    assert caught.value.code == code
    assert str(caught.value).startswith(f"a.json /shapes/0{place}: ")


@pytest.mark.parametrize("group", [True, [1], {}, 1.5])
def test_an_unclear_group_is_a_warning(read, group):
    (record,), findings = read(document(GOOD, GOOD | {"group_id": group}), on_error="raise")
    assert [(f.code, f.pointer) for f in findings] == [("SRC058", "/shapes/1/group_id")]
    assert len(record.regions) == 2


FILES = [
    ({"annotator": ["ada"]}, "SRC029", "/annotator", "the annotator is a list"),
    ({"imagePath": "b.png"}, "SRC001", "/imagePath", 'the photograph "b.png" does not exist, nor'),
    ({"imagePath": "../../etc/b.png"}, "SRC001", "/imagePath", "does not exist"),
    ({"imagePath": None}, "SRC001", "/imagePath", "imagePath is null, the name of an image was"),
    ({"imagePath": {}}, "SRC001", "/imagePath", "imagePath is an object"),
    ({"imagePath": "b\n.png"}, "SRC006", "/imagePath", "holds control characters"),
    ({"imagePath": "b\x00.png"}, "SRC006", "/imagePath", "NUL"),
    ({"imagePath": "\ud800.png"}, "SRC006", "/imagePath", "control characters"),
    ({"imagePath": "x" * 300 + ".png"}, "SRC006", "/imagePath", "longer than any file name"),
    ({"imagePath": "twice.png"}, "SRC002", "/imagePath", 'several photographs are called "twice'),
    ({"imagePath": "bad.png"}, "SRC003", "/imagePath", "is not an image"),
    ({"imagePath": "c.png"}, "SRC004", "/imagePath", '6 x 8 pixels (height x width) are stated'),
    ({"imageData": 3}, "SRC052", "/imageData", "the embedded image is 3, base64 text was expected"),
    ({"imageData": "!"}, "SRC052", "/imageData", "the embedded image is no base64"),
    ({"imageData": text_of(png())[:-3]}, "SRC052", "/imageData", "is no base64"),
    ({"imageData": text_of(b"x" * 50)}, "SRC052", "/imageData", "cannot be used: is not an image"),
    ({"imageData": text_of(png()), "imagePath": "b\n.png"}, "SRC052", "/imageData", "control char"),
    ({"imageData": text_of(b"x"), "imagePath": None}, "SRC052", "/imageData", "not an image"),
    ({"imageData": text_of(png()[:-25])}, "SRC052", "/imageData", "cannot be used: holds"),
    ({"imageData": text_of(bomb())}, "SRC052", "/imageData", "the header announces more than"),
    (
        {"imageData": text_of(png((9, 9))), "imagePath": "e.png"},
        "SRC004",
        None,
        '6 x 8 pixels (height x width) are stated for "e.png", the photograph has 9 x 9',
    ),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "code", "pointer", "excerpt"), FILES)
def test_a_file_without_a_usable_image_is_one_finding(
    read, save, tmp_path, changes, code, pointer, excerpt
):
    for name in ("x/twice.png", "y/twice.png"):
        save(tmp_path / "root" / name, (6, 8))
    save(tmp_path / "root/c.png", (8, 9))
    (tmp_path / "root/bad.png").write_text("no image")
    records, findings = read(document(GOOD, **changes), image=False)
    assert records == []
    assert [(f.code, f.pointer) for f in findings] == [(code, pointer)]
    assert excerpt in findings[0].message
    assert str(findings[0]).isprintable()


def test_a_photograph_that_cannot_be_told_by_the_name_of_the_file(read, save, tmp_path):
    save(tmp_path / "root/a.png", (6, 8))
    save(tmp_path / "root/a.tif", (6, 8))
    records, findings = read(document(imagePath="gone.png"), image=False)
    assert (records, [f.code for f in findings]) == ([], ["SRC002"])
    assert '"a.png" and "a.tif"' in findings[0].message


FLAGS = [
    ("x", "flags are the text 'x', an object was expected"),
    ([True], "flags are a list"),
    ({"a": 1}, 'the flag "a" is 1, a name with true or false was expected'),
    ({"a": "true"}, "is the text 'true'"),
    ({" ": True}, 'the flag " " is true or false'),
    ({"\ud800": True}, r"\ud800"),
]


@pytest.mark.parametrize(("flags", "excerpt"), FLAGS)
def test_bad_flags_are_one_finding(read, flags, excerpt):
    (record,), findings = read(document(GOOD, flags=flags))
    assert [(f.code, f.pointer) for f in findings] == [("SRC015", "/flags")]
    assert excerpt in findings[0].message
    assert len(record.regions) == 1


@pytest.mark.parametrize(
    ("text", "excerpt"),
    [
        ("{", "is no valid JSON"),
        ("3", "is no LabelMe JSON file: it holds 3"),
        ("[]", "it holds a list"),
        ("{}", "shapes is null, a list was expected"),
        ('{"shapes": {}}', "shapes is an object"),
        ('{"shapes": [], "shapes": []}', "occurs twice"),
        ('{"shapes": ' + "[" * 100_000, "nested too deeply"),
        ('{"shapes": [' + "9" * 5000 + "]}", "an integer of 5000 digits"),
    ],
)
def test_files_that_are_no_labelme_are_refused(read, text, excerpt):
    with pytest.raises(SourceError, match=re.escape(excerpt)):
        read(text)


def test_a_file_over_the_limit_is_refused_unread(read, monkeypatch):
    monkeypatch.setattr("conceptset.formats.labelme.document.MAX_BYTES", 100)
    with pytest.raises(UnsafeError, match="at most 100 are read"):
        read(document(GOOD))


def test_an_embedded_image_needs_a_workspace(tmp_path, read_format):
    (tmp_path / "a.json").write_text(json.dumps(document(imageData=text_of(png()))))
    with pytest.raises(UsageError, match="workspace"):
        read_format(FORMAT, tmp_path / "a.json", tmp_path)


def test_two_embedded_images_of_one_name_are_one_finding(tmp_path):
    """Of two people, each with a folder of their own and a path to one that is not there."""
    (tmp_path / "work").mkdir()
    catalogue, problems = ImageCatalogue(tmp_path, tmp_path / "work"), Problems("collect")
    records = []
    for person, data in [("ada", png()), ("bob", png(kind="BMP"))]:
        path = tmp_path / person / "a.json"
        path.parent.mkdir()
        path.write_text(json.dumps(document(imagePath="../i/a.png", imageData=text_of(data))))
        context = ReadContext(catalogue, problems, f"{person}/a.json", person)
        records += FORMAT.read(path, context)
    assert [record.image for record in records] == ["i/a.png"]
    assert [(f.code, f.path) for f in problems.findings] == [("SRC052", "bob/a.json")]
    assert "two different images of this name are embedded" in problems.findings[0].message


def test_too_many_erasing_shapes(read, monkeypatch):
    monkeypatch.setattr(objects_module, "MAX_ERASERS", 2)
    erasers = [shape(label="_background_", points=[[0, 0], [2, 0], [2, 2]])] * 4
    (record,), findings = read(document(GOOD, *erasers))
    assert [(f.code, f.pointer) for f in findings] == [("SRC059", "/shapes/3")]
    assert len(record.regions[0].geometry.holes) == 2


def test_too_many_holes(read, monkeypatch):
    monkeypatch.setattr(objects_module, "MAX_HOLES", 5)
    erasers = [shape(label="_background_", points=[[0, 0], [2, 0], [2, 2]])] * 4
    (record,), findings = read(document(GOOD, GOOD, *erasers))
    assert [(f.code, f.pointer) for f in findings] == [("SRC059", "/shapes")]
    assert [len(region.geometry.holes) for region in record.regions] == [2, 2]


def test_too_many_runs(read, monkeypatch):
    monkeypatch.setattr(reader_module, "MAX_RUNS", 5)
    one = mask(text_of(png((2, 1))), ([1, 1], [1, 2]))
    (record,), findings = read(document(GOOD, one, one, one))
    assert [(f.code, f.pointer) for f in findings] == [("SRC059", "/shapes/2")]
    assert len(record.regions) == 2


def test_names_in_messages_do_not_move_the_cursor(read):
    _, findings = read(document(shape(label="a\x1b[2J\u202eb", points=[]), GOOD))
    assert str(findings[0]).isprintable()


def test_awkward_names_are_kept_verbatim(read):
    names = ["=cmd|' /C calc'!A0", "a\nb", "\u202egnp", "x" * 10_000, "a/b~c", "../../x"]
    (record,), findings = read(document(*(shape(label=name) for name in names)))
    assert [region.name for region in record.regions] == names
    assert findings == []


def test_very_many_shapes_with_a_thousand_holes_take_seconds(read):
    many = [shape(points=[[i % 7, 0], [i % 7 + 1, 0], [i % 7, 1]]) for i in range(20_000)]
    far = [shape(label="_background_", points=[[6, 5], [7, 5], [7, 6]])] * 1_000
    begin = time.process_time()
    (record,), findings = read(document(*many, *far))
    assert time.process_time() - begin < 10
    assert (len(record.regions), findings) == (20_000, [])


READ_LARGE = """
import re
import sys
from pathlib import Path
from conceptset.findings import Problems
from conceptset.formats.base import ReadContext
from conceptset.formats.labelme import FORMAT
from conceptset.io.catalogue import ImageCatalogue
path = Path(sys.argv[1])
problems = Problems("collect")
context = ReadContext(ImageCatalogue(path.parent, path.parent), problems, "a")
records = list(FORMAT.read(path, context))
status = Path("/proc/self/status").read_text()  # ru_maxrss would be that of pytest, if larger
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024
print(len(records), peak, *(f.code for f in problems.findings))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("tail", ["A" * 4, "A" * 3, "\\u00e9AAA"])
def test_a_hundred_megabytes_of_base64_are_one_finding_in_bounded_memory(tmp_path, tail):
    """It decodes to no image, breaks off, or holds one wide character that doubles the text."""
    with (tmp_path / "a.json").open("w") as stream:
        stream.write('{"shapes": [], "imagePath": "a.png", "imageData": "')
        for _ in range(100):
            stream.write("A" * (1 << 20))
        stream.write(tail + '"}')
    result = subprocess.run(
        [sys.executable, "-c", READ_LARGE, str(tmp_path / "a.json")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    records, megabytes, *codes = result.stdout.split()
    assert (records, codes) == ("0", ["SRC052"])
    assert 50 < int(megabytes) < 600


def test_every_code_of_ours_occurs_in_these_tests():
    seen = {code for _, code, _, _ in SHAPES} | {code for _, code, _, _ in FILES}
    elsewhere = {"SRC053", "SRC055", "SRC056", "SRC058", "SRC059"}
    ours = {code for code in DEFECTS if "SRC050" <= code <= "SRC059"}
    assert ours == (seen | elsewhere) & ours
    assert ours == {f"SRC05{i}" for i in range(10)}
