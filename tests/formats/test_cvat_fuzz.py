"""Bytes and documents at random: only our errors come out, and what comes out can be filled."""

from __future__ import annotations

import contextlib
import json
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import ConceptsetError
from conceptset.findings import Problems
from conceptset.formats.base import Candidate, ReadContext
from conceptset.formats.cvat import FORMAT
from conceptset.io.catalogue import ImageCatalogue
from conceptset.raster import rasterize

SIZE = (6, 8)
META = """<version>1.1</version><meta><task><start_frame>0</start_frame><stop_frame>3</stop_frame>
<labels><label><name>door</name></label></labels><owner><username>ann</username></owner>
<original_size><width>8</width><height>6</height></original_size></task></meta>"""
IMAGES = f"""<?xml version="1.0" encoding="utf-8"?><annotations>{META}
<image id="0" name="a.png" width="8" height="6"><tag label="door"/>
<polygon label="door" points="1.00,1.00;7,1;4,5" z_order="1"><attribute name="a">b</attribute>
</polygon><box label="wall" xtl="1" ytl="1" xbr="5" ybr="4" rotation="12.5"/>
<ellipse label="door" cx="4" cy="3" rx="2" ry="1.5"/><points label="p" points="1,1"/>
<mask label="door" rle="1, 2, 1, 2" left="1" top="2" width="3" height="2"/></image>
<image name="b/c.png" subset="s" task_id="3" width="8" height="6"/></annotations>"""
VIDEO = f"""<annotations>{META}<track id="0" label="door">
<box frame="0" keyframe="1" outside="0" xtl="1" ytl="1" xbr="3" ybr="3"/>
<box frame="3" keyframe="1" outside="1" xtl="4" ytl="2" xbr="7" ybr="5"/></track>
<track label="wall" task_id="1"><mask frame="1" keyframe="0" rle="0, 6" left="0" top="0" width="3"
height="2"/><skeleton frame="2"><points label="1" outside="1" points="1,1"/></skeleton></track>
</annotations>"""
BACKUP = {
    "task": {
        "name": "t", "labels": [{"name": "door"}],
        "data": {"start_frame": 0, "frame_filter": "step=1", "deleted_frames": [2]},
        "jobs": [{"start_frame": 0, "stop_frame": 2, "type": "annotation"}, {"type": "x"}],
    },
    "annotations": [
        {
            "version": 0,
            "tags": [{"frame": 0, "label": "door"}],
            "shapes": [
                {"type": "rectangle", "frame": 0, "points": [1, 1, 5, 4], "label": "door",
                 "rotation": 10.0, "z_order": 1, "outside": False},
                {"type": "mask", "frame": 1, "points": [1, 2, 1, 2, 1, 1, 3, 2], "label": "door"},
                {"type": "ellipse", "frame": 1, "points": [4, 3, 6, 2], "label_id": 3},
            ],
            "tracks": [
                {"label": "door", "frame": 0, "shapes": [
                    {"type": "polygon", "frame": 0, "points": [1, 1, 5, 1, 5, 4]},
                    {"type": "skeleton", "frame": 1, "elements": [{"outside": True}]},
                ]},
            ],
        },
        {"tags": [], "shapes": []},
    ],
    "manifest": [
        {"version": "1.1"}, {"type": "images"},
        {"name": "a", "extension": ".png", "width": 8, "height": 6},
        {"name": "b/c", "extension": ".png", "width": 8, "height": 6}, {},
    ],
    "labels": {"results": [{"id": 3, "name": "roof"}]},
}  # fmt: skip


@pytest.fixture(scope="module")
def root():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for path in ("a.png", "b/c.png", "frame_000000.png", "frame_000001.png"):
            (folder / path).parent.mkdir(exist_ok=True)
            Image.new("L", (SIZE[1], SIZE[0])).save(folder / path)
        yield folder


def survives(path, root):
    """Everything the format does with a path, under each policy."""
    FORMAT.detect(Candidate(path))
    with contextlib.suppress(ConceptsetError):
        assert all(isinstance(name, str) for name in FORMAT.image_names(path))
    for policy in ("collect", "raise"):
        problems = Problems(policy)
        context = ReadContext(ImageCatalogue(root), problems, path.name)
        with contextlib.suppress(ConceptsetError):
            for record in FORMAT.read(path, context):
                assert record.size == SIZE
                for region in record.regions:
                    assert region.name.strip()
                    assert (region.geometry is None) == (region.kind in ("tag", "mark"))
                    if region.geometry is not None:
                        assert rasterize(region.geometry, record.size).shape == SIZE
        assert all(str(finding).isprintable() for finding in problems.findings)


@given(st.sampled_from([IMAGES, VIDEO]), st.data())
def test_bytes_changed_at_random(root, text, data):
    raw = bytearray(text.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(raw) - 1))
        action = data.draw(st.sampled_from(["set", "cut", "insert", "repeat", "end"]))
        if action == "set":
            raw[place] = data.draw(st.sampled_from(b'<>&"=; ,.-09e\x00\xffan/'))
        elif action == "cut":
            del raw[place : place + data.draw(st.integers(1, 30))]
        elif action == "insert":
            raw[place:place] = data.draw(st.sampled_from([b"nan", b"1e309", b"<a>", b"99999"]))
        elif action == "repeat":
            raw[place:place] = raw[place : place + data.draw(st.integers(1, 300))]
        else:
            del raw[place:]
        if not raw:
            break
    path = root / "fuzz.xml"
    path.write_bytes(bytes(raw))
    survives(path, root)


@pytest.mark.real
@settings(max_examples=60)
@given(st.integers(0, 5), st.data())
def test_bytes_of_real_files(shared, root, which, data):
    files = sorted((shared / "samples/cvat").rglob("*.xml"))
    raw = bytearray(files[which % len(files)].read_bytes())
    for _ in range(data.draw(st.integers(1, 20))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = root / "fuzz.xml"
    path.write_bytes(bytes(raw))
    FORMAT.detect(Candidate(path))
    with contextlib.suppress(ConceptsetError):
        list(FORMAT.image_names(path))
    with contextlib.suppress(ConceptsetError):
        list(FORMAT.read(path, ReadContext(ImageCatalogue(root), Problems("collect"), "a.xml")))


values = st.one_of(
    st.integers(-3, 12).map(str),
    st.floats().map(str),
    st.sampled_from(
        ["", " ", "nan", "1e400", "-0", "1_0", "0x1", "9" * 50, "a.png", "b/c.png", "../a.png",
         "1,1;7,1;4,5", "1,1;7", "0, 6", "1, 2, 1, 2", "door", "\u202e", "True", "s", "1e308"]
    ),
    st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"]), max_size=5),
)  # fmt: skip
keys = st.sampled_from(
    ["label", "name", "subset", "task_id", "width", "height", "points", "rle", "left", "top",
     "xtl", "ytl", "xbr", "ybr", "cx", "cy", "rx", "ry", "rotation", "frame", "keyframe", "outside",
     "z_order", "id", "xtl1", "ybr2"]
)  # fmt: skip
tags = st.sampled_from(
    ["image", "track", "meta", "task", "project", "job", "tasks", "box", "polygon", "mask",
     "ellipse", "cuboid", "tag", "points", "skeleton", "attribute", "assignee", "username",
     "original_size", "width", "frame_filter", "start_frame", "stop_frame", "size", "subset",
     "subsets", "id", "version", "labels", "label", "annotations"]
)  # fmt: skip


def changed(draw, root):
    """Attributes, tags, texts and elements of a document, changed at random."""
    for _ in range(draw(st.integers(1, 8))):
        elements = list(root.iter())
        element = draw(st.sampled_from(elements))
        action = draw(st.sampled_from(["set", "set", "set", "drop", "text", "tag", "add", "move"]))
        if action == "set":
            element.set(draw(keys), draw(values))
        elif action == "drop" and element.attrib:
            del element.attrib[draw(st.sampled_from(sorted(element.attrib)))]
        elif action == "text":
            element.text = draw(values)
        elif action == "tag" and element is not root:
            element.tag = draw(tags)
        elif action == "add":
            ET.SubElement(element, draw(tags), {draw(keys): draw(values)}).text = draw(values)
        elif action == "move" and len(element):
            element.append(element[draw(st.integers(0, len(element) - 1))])


@given(st.sampled_from([IMAGES, VIDEO]), st.data())
def test_documents_changed_at_random(root, text, data):
    document = ET.fromstring(text)
    changed(data.draw, document)
    path = root / "fuzz.xml"
    path.write_bytes(ET.tostring(document))
    survives(path, root)


@given(st.binary(max_size=200))
@example(b"<annotations><track><track><box/></track></track></annotations>")
@example(b"<annotations><image><image/></image><track/></annotations>")
@example(b"<annotations xmlns='x'><image/></annotations>")
def test_any_bytes(root, raw):
    for name in ("fuzz.xml", "fuzz.json"):
        path = root / name
        path.write_bytes(raw)
        survives(path, root)
        path.unlink()


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 12),
    st.integers(),
    st.floats(),
    st.sampled_from(["", "door", "nan", "mask", "skeleton", "a", 1e300, 10**30, "step=0"]),
)
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["frame", "points", "label", "type", "shapes", "id", "name"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=10,
)


def places(value, path=()):
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(inner, (*path, key))


PLACES = [path for path in places(BACKUP) if len(path) > 1]


@given(st.data())
def test_backups_changed_at_random(root, data):
    parts = json.loads(json.dumps(BACKUP))
    for _ in range(data.draw(st.integers(1, 5))):
        *path, last = data.draw(st.sampled_from(PLACES))
        target = parts
        try:
            for step in path:
                target = target[step]
            if data.draw(st.booleans()) or isinstance(target, list):
                target[last] = data.draw(anything)
            else:
                del target[last]
        except (KeyError, IndexError, TypeError):
            continue
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        (home / "annotations.json").write_text(json.dumps(parts["annotations"]))
        (home / "labels.json").write_text(json.dumps(parts["labels"]))
        rows = parts["manifest"]
        text = "\n".join(map(json.dumps, rows if isinstance(rows, list) else [rows]))
        (home / "manifest.jsonl").write_text(text)
        survives(home / "annotations.json", root)
        (home / "task.json").write_text(json.dumps(parts["task"]))
        survives(home, root)
        survives(home / "annotations.json", root)
