"""Arbitrary bytes and arbitrary elements in LabelMe XML: only our errors come out."""

from __future__ import annotations

import contextlib
import re
import tempfile
from pathlib import Path
from xml.sax.saxutils import escape

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import ConceptsetError
from conceptset.findings import Problems
from conceptset.formats.base import Candidate, ReadContext
from conceptset.formats.labelme_xml import FORMAT
from conceptset.io.catalogue import ImageCatalogue
from conceptset.raster import rasterize

BASE = (
    b"<annotation><filename>a.png</filename><folder>s</folder><source><sourceAnnotation>LabelMe"
    b"</sourceAnnotation></source><object><name>door</name><deleted>0</deleted><id>0</id><parts>"
    b"<hasparts>1,2</hasparts><ispartof/></parts><polygon><username>ann</username><pt><x>1</x>"
    b"<y>1</y></pt><pt><x>5</x><y>1</y></pt><pt><x>5.5</x><y>4</y></pt></polygon></object>"
    b"<imagesize><nrows>6</nrows><ncols>8</ncols></imagesize><object><name>lock</name><deleted>1"
    b"</deleted><id>1</id><polygon/></object><object><name>key</name><id>2</id><type>bounding_box"
    b"</type><parts><ispartof>0</ispartof></parts><segm><username>bob</username><mask>m.png</mask>"
    b"</segm></object></annotation>"
)

words = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "1",
            "2",
            "1,2",
            "a.png",
            "s",
            "m.png",
            "n.png",
            "..",
            "/x",
            "a\\b",
            "nan",
            "1e400",
        ]
    ),
    st.integers(-3, 12).map(str),
    st.floats(-20, 20).map(str),
    st.text(max_size=6),
)
tags = st.sampled_from(
    [
        *("filename", "folder", "object", "name", "deleted", "id", "type", "parts", "hasparts"),
        *("ispartof", "polygon", "segm", "username", "pt", "x", "y", "t", "mask", "imagesize"),
        *("nrows", "ncols"),
    ]
)


def element(tag, inner):
    return f"<{tag}>{inner}</{tag}>"


points = st.builds(
    lambda x, y: element("pt", element("x", escape(x)) + element("y", escape(y))), words, words
)
shapes = st.one_of(
    st.builds(
        lambda who, inner: element("polygon", element("username", escape(who)) + "".join(inner)),
        words,
        st.lists(points, max_size=5),
    ),
    st.builds(lambda name: element("segm", element("mask", escape(name))), words),
)
things = st.builds(
    lambda fields, shape: element(
        "object",
        element("name", "door")
        + "".join(element(tag, escape(text)) for tag, text in fields.items() if "part" not in tag)
        + element("parts", "".join(element(t, escape(x)) for t, x in fields.items() if "part" in t))
        + shape,
    ),
    st.dictionaries(
        st.sampled_from(["id", "deleted", "type", "name", "hasparts", "ispartof"]), words
    ),
    shapes,
)
trees = st.recursive(
    words.map(escape),
    lambda inner: st.lists(st.builds(element, tags, inner), max_size=4).map("".join),
    max_leaves=10,
)


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "Images/s").mkdir(parents=True)
        (root / "Annotations").mkdir()
        (root / "Masks/s").mkdir(parents=True)
        Image.new("L", (8, 6)).save(root / "Images/s/a.png")
        Image.fromarray(np.full((6, 8, 4), 9, dtype=np.uint8)).save(root / "Masks/s/m.png")
        Image.new("L", (8, 6), 1).save(root / "Masks/s/n.png")
        yield root


def read_all(folder, data):
    """Every record must be one that can be painted, every finding one that can be printed."""
    path = folder / "Annotations/a.xml"
    path.write_bytes(data)
    assert isinstance(FORMAT.detect(Candidate(path)).reasons, tuple)
    problems = Problems("collect")
    context = ReadContext(ImageCatalogue(folder / "Images"), problems, "a.xml")
    count = 0
    with contextlib.suppress(ConceptsetError):
        FORMAT.image_names(path)
        for record in FORMAT.read(path, context):
            count += len(record.regions)
            for place, region in enumerate(record.regions):
                region.name.encode()
                assert (region.geometry is None) == (region.kind in ("mark", "deleted"))
                if region.geometry is not None:
                    assert rasterize(region.geometry, record.size).shape == record.size
                seen = {place}
                while region.part_of is not None:
                    assert region.part_of not in seen
                    seen.add(region.part_of)
                    region = record.regions[region.part_of]  # noqa: PLW2901 - up to the whole
            for worker in record.workers:
                worker.name.encode()
    for finding in problems.findings:
        assert str(finding).isprintable()
    return count, problems.findings


def test_the_base_is_clean(folder):
    assert read_all(folder, BASE) == (3, [])


@settings(max_examples=3 * settings.default.max_examples)
@given(
    place=st.integers(0, len(BASE)),
    cut=st.integers(0, 40),
    junk=st.one_of(st.binary(max_size=6), trees.map(lambda text: text.encode())),
)
def test_damaged_bytes(folder, place, cut, junk):
    read_all(folder, BASE[:place] + junk + BASE[place + cut :])


@settings(max_examples=2 * settings.default.max_examples)
@given(objects=st.lists(things, max_size=5), name=words, size=st.booleans())
def test_any_objects(folder, objects, name, size):
    stated = "<imagesize><nrows>6</nrows><ncols>8</ncols></imagesize>" if size else ""
    filename = element("filename", escape(name) or "a.png")
    text = element("annotation", filename + "".join(objects) + stated)
    read_all(folder, text.encode(errors="replace"))
    usual = element("annotation", "<filename>a.png</filename>" + "".join(objects) + stated)
    read_all(folder, usual.encode(errors="replace"))


@given(tree=trees, encoding=st.sampled_from(["utf-8", "latin-1", "utf-16", "utf-7"]))
def test_any_elements_at_all(folder, tree, encoding):
    text = element("annotation", "<filename>a.png</filename>" + tree)
    read_all(folder, text.encode(encoding, errors="replace"))


@pytest.mark.real
@settings(max_examples=2 * settings.default.max_examples)
@given(data=st.data())
def test_damaged_files_of_the_tool(shared, folder, data):
    files = sorted((shared / "samples/labelme_xml").rglob("*.xml"))
    whole = data.draw(st.sampled_from(files)).read_bytes()
    place = data.draw(st.integers(0, len(whole)))
    junk = data.draw(st.binary(max_size=4))
    whole = whole.replace(b"<nrows>64<", b"<nrows>6<").replace(b"<ncols>64<", b"<ncols>8<")
    changed = whole[:place] + junk + whole[place + data.draw(st.integers(0, 30)) :]
    read_all(folder, re.sub(rb"<filename>\w+\.jpg<", b"<filename>a.png<", changed))
