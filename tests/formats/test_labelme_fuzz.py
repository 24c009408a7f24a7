"""Arbitrary JSON in arbitrary places of LabelMe files, real ones included: only our errors."""

from __future__ import annotations

import base64
import contextlib
import copy
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import ConceptsetError
from conceptset.findings import Problems, Severity
from conceptset.formats.base import Candidate, ReadContext
from conceptset.formats.labelme import FORMAT
from conceptset.io.catalogue import ImageCatalogue
from conceptset.raster import rasterize


def text_of(array, kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, kind)
    return base64.b64encode(stream.getvalue()).decode()


PATCH = text_of(np.eye(2, 3, dtype=np.uint8))
PHOTOGRAPH = text_of(np.zeros((6, 8), dtype=np.uint8), "JPEG")
SQUARE = [[1, 1], [4, 1], [4, 4], [1, 4]]


def shape(kind, points, label="door", **extra):
    return {"label": label, "shape_type": kind, "points": points, "group_id": None} | extra


BASE = {
    "version": "5.4.1",
    "flags": {"outdoor": True, "dark": False},
    "shapes": [
        shape("polygon", SQUARE, annotator="ada"),
        shape(None, SQUARE, group_id=1),
        shape("circle", [[5, 3], [5, 4.5]], group_id=1),
        shape("rectangle", [[4, 3], [1, 1]]),
        shape("oriented_rectangle", SQUARE),
        shape("mask", [[2, 1], [4, 2]], mask=PATCH),
        shape("linestrip", SQUARE),
        shape("polygon", SQUARE, "_background_"),
        shape("polygon", SQUARE, "__ignore__"),
    ],
    "imagePath": "..\\root\\a.png",
    "imageData": None,
    "imageHeight": 6,
    "imageWidth": 8,
}
EMBEDDED = BASE | {"imagePath": "b.json", "imageData": PHOTOGRAPH}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(
        ["../a.png", "a.png", "\ud800", "\x00.png", 1e300, 10**39, PATCH, PHOTOGRAPH, "mask",
         "circle", "rectangle", "__ignore__", "data:;base64,", "C:\\a.png", "//a.png", "a:b.png"]
    ),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["label", "points", "mask", "shape_type", "annotator", "x", "\ud800"]),
            inner,
            max_size=3,
        )
    ),
    max_leaves=12,
)


def places(value, path=()):
    """Every place of a document, as paths of keys and indices."""
    if path:
        yield path
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from places(inner, (*path, key))


def change(draw, document, choices):
    """One to four changes somewhere in a document, in place."""
    for _ in range(draw(st.integers(1, 4))):
        *path, last = draw(st.sampled_from(choices))
        target = document
        try:
            for step in path:
                target = target[step]
            action = draw(st.sampled_from(["set", "set", "set", "delete", "repeat"]))
            if action == "set":
                target[last] = draw(values)
            elif action == "delete":
                del target[last]
            elif isinstance(target, list):
                target.append(copy.deepcopy(target[last]))
        except (KeyError, IndexError, TypeError):
            continue


@st.composite
def mutated(draw):
    document = copy.deepcopy(draw(st.sampled_from([BASE, EMBEDDED])))
    change(draw, document, list(places(document)))
    return document


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "root").mkdir()
        (folder / "work").mkdir()
        Image.new("L", (8, 6)).save(folder / "root/a.png")
        yield folder


def read_all(folder, text):
    """The findings; every record must be one that can be painted."""
    path = folder / "root/b.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert isinstance(FORMAT.detect(Candidate(path)).reasons, tuple)
    problems = Problems("collect")
    catalogue = ImageCatalogue(folder / "root", folder / "work")
    with contextlib.suppress(ConceptsetError):
        assert all(isinstance(name, str) for name in FORMAT.image_names(path))
        for record in FORMAT.read(path, ReadContext(catalogue, problems, "b.json")):
            assert catalogue.find(record.image).key == record.image
            for region in record.regions:
                region.name.encode()
                region.origin.pointer.encode()
                assert (region.geometry is None) == (region.kind in ("tag", "mark"))
                if region.geometry is not None:
                    assert rasterize(region.geometry, record.size).shape == record.size
            for worker in record.workers:
                worker.name.encode()
    for finding in problems.findings:
        assert str(finding).isprintable()
        finding.model_dump_json()
    return problems.findings


@pytest.mark.parametrize("document", [BASE, EMBEDDED])
def test_the_bases_are_clean(folder, document):
    findings = read_all(folder, json.dumps(document))
    assert [(f.code, f.severity) for f in findings] == [("SRC056", Severity.WARNING)]


@settings(max_examples=2 * settings.default.max_examples)
@given(document=mutated())
def test_mutated_documents(folder, document):
    read_all(folder, json.dumps(document))


@given(shapes=st.lists(st.one_of(values, st.sampled_from(BASE["shapes"])), max_size=6))
def test_any_shapes(folder, shapes):
    read_all(folder, json.dumps(BASE | {"shapes": shapes}))


@given(value=values)
def test_any_json_at_all(folder, value):
    read_all(folder, json.dumps(value))


@given(cut=st.integers(0, 2500), junk=st.binary(max_size=6))
def test_damaged_bytes(folder, cut, junk):
    data = json.dumps(EMBEDDED).encode()
    read_all(folder, data[:cut] + junk + data[cut + len(junk) :])


@given(place=st.integers(0, 10_000), junk=st.binary(min_size=1, max_size=4), mask=st.booleans())
def test_damaged_images(folder, place, junk, mask):
    """The text is base64, what it stands for is broken somewhere."""
    data = bytearray(base64.b64decode(PATCH if mask else PHOTOGRAPH))
    place %= len(data)
    data[place : place + len(junk)] = junk
    text = base64.b64encode(bytes(data)).decode()
    if mask:
        document = BASE | {"shapes": [shape("mask", [[2, 1], [4, 2]], mask=text)]}
    else:
        document = EMBEDDED | {"imageData": text}
    read_all(folder, json.dumps(document))


@pytest.mark.real
@given(data=st.data())
def test_mutated_real_files(shared, folder, data):
    names = ("instance_segmentation/data_annotated/2011_000003", "primitives/primitives")
    name = data.draw(st.sampled_from([*names, "labelme_rs/test"]))
    document = json.loads((shared / f"samples/labelme_json/{name}.json").read_text())
    document |= {"imagePath": "a.png", "imageHeight": 6, "imageWidth": 8}
    change(data.draw, document, list(places(document)))
    read_all(folder, json.dumps(document))
