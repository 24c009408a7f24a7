"""Arbitrary JSON in arbitrary places of Darwin files: only our errors come out."""

from __future__ import annotations

import contextlib
import copy
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import ConceptsetError
from conceptset.findings import Problems
from conceptset.formats.base import Candidate, ReadContext
from conceptset.formats.darwin import FORMAT
from conceptset.io.catalogue import ImageCatalogue
from conceptset.raster import rasterize

RING = [{"x": 1, "y": 1}, {"x": 5, "y": 1}, {"x": 5, "y": 4.5}]
BASE = {
    "dataset": "DermX v2",
    "image": {"filename": "labeller12_a.png", "width": 8, "height": 6, "path": "/"},
    "annotations": [
        {
            "name": "door",
            "polygon": {"path": RING},
            "bounding_box": {"x": 1, "y": 1, "w": 4, "h": 4},
        },
        {"name": "door", "complex_polygon": {"path": [RING, RING]}, "attributes": ["a"]},
        {"name": "wall", "bounding_box": {"x": 1, "y": 1, "w": 4, "h": 4}},
        {"name": "street", "tag": {}},
        {"name": "sun", "ellipse": {"center": RING[0], "radius": RING[1], "angle": 0}},
        {"name": "line", "line": {"path": RING}},
    ],
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["../a.png", "a.png", "/", "\ud800", "\x00", 1e300, 10**39]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["x", "y", "w", "h", "path", "name", "tag", "polygon", "center"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
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
    document = copy.deepcopy(BASE)
    for _ in range(draw(st.integers(1, 4))):
        *path, last = draw(st.sampled_from(PLACES))
        target = document
        with contextlib.suppress(KeyError, IndexError, TypeError):
            for step in path:
                target = target[step]
            if draw(st.integers(0, 3)):
                target[last] = draw(values)
            else:
                del target[last]
    return document


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "images").mkdir()
        Image.new("L", (8, 6)).save(root / "images/a.png")
        yield root


def read_all(folder, data, name="labeller12_a.json"):
    """Every record must be one that can be painted, every finding one that can be printed."""
    path = folder / name
    path.write_bytes(data)
    assert isinstance(FORMAT.detect(Candidate(path)).reasons, tuple)
    problems = Problems("collect")
    context = ReadContext(ImageCatalogue(folder / "images"), problems, "a.json")
    count = 0
    with contextlib.suppress(ConceptsetError):
        FORMAT.image_names(path)
        for record in FORMAT.read(path, context):
            count += len(record.regions)
            for region in record.regions:
                region.name.encode()
                assert (region.geometry is None) == (region.kind in ("tag", "mark"))
                if region.geometry is not None:
                    assert rasterize(region.geometry, record.size).shape == record.size
            for worker in record.workers:
                worker.name.encode()
    for finding in problems.findings:
        assert str(finding).isprintable()
    return count, problems.findings


def test_the_base_is_clean(folder):
    assert read_all(folder, json.dumps(BASE).encode()) == (6, [])


@settings(max_examples=2 * settings.default.max_examples)
@given(document=mutated())
def test_mutated_documents(folder, document):
    read_all(folder, json.dumps(document).encode())


@given(value=values)
def test_any_json_at_all(folder, value):
    read_all(folder, json.dumps(value).encode())
    read_all(folder, json.dumps({"image": {"filename": "a.png"}, "annotations": value}).encode())
    read_all(folder, json.dumps({"image": value, "annotations": []}).encode())


@settings(max_examples=2 * settings.default.max_examples)
@given(place=st.integers(0, 900), cut=st.integers(0, 20), junk=st.binary(max_size=6))
def test_damaged_bytes(folder, place, cut, junk):
    data = json.dumps(BASE).encode()
    read_all(folder, data[:place] + junk + data[place + cut :])


@pytest.mark.real
@settings(max_examples=2 * settings.default.max_examples)
@given(data=st.data())
def test_damaged_files_of_dermx(shared, folder, data):
    files = sorted((shared / "samples/dermx/annotations").glob("*.json"))
    whole = data.draw(st.sampled_from(files)).read_bytes()
    whole = whole.replace(b": 1640,", b": 8,").replace(b": 1078,", b": 6,")
    place = data.draw(st.integers(0, len(whole)))
    junk = data.draw(st.binary(max_size=4))
    changed = whole[:place] + junk + whole[place + data.draw(st.integers(0, 8)) :]
    Image.new("L", (8, 6)).save(folder / "images/017171HB.jpg")
    read_all(folder, changed.replace(b"041881HB", b"017171HB"))
