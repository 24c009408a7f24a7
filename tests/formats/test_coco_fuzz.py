"""Arbitrary JSON in arbitrary places of valid documents: only our errors come out."""

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

from conceptset.errors import ConceptsetError
from conceptset.findings import Problems, Severity
from conceptset.formats.base import Candidate, ReadContext
from conceptset.formats.coco import FORMAT
from conceptset.io.catalogue import ImageCatalogue
from conceptset.raster import rasterize

BASE = {
    "info": {"contributor": "Lab"},
    "images": [
        {"id": 1, "file_name": "a.png", "height": 6, "width": 8, "annotator": "A"},
        {"id": "2", "file_name": "b/c.png", "height": 8, "width": 6, "rater_list": ["A", 3]},
    ],
    "categories": [{"id": 0, "name": "door"}, {"id": 7, "name": "wall"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 0, "segmentation": [[1, 1, 5, 1, 5, 5]]},
        {
            "id": 2,
            "image_id": 2,
            "category_id": 7,
            "segmentation": {"size": [8, 6], "counts": [6, 3, 39]},
            "iscrowd": 1,
        },
        {
            "id": 3,
            "image_id": 1,
            "category_id": 7,
            "segmentation": {"size": [6, 8], "counts": "63W1"},
            "rater_id": 3,
        },
        {"id": 4, "image_id": 1, "category_id": 0, "bbox": [0, 0, 3.5, 2], "segmentation": []},
        {"id": 5, "image_id": 1, "category_id": 0, "attributes": {"annotator": "B"}},
        {"id": 6, "image_id": 1, "category_id": 0, "caption": "a door"},
        {
            "image_id": 1,
            "file_name": "m.png",
            "segments_info": [{"id": 5, "category_id": 7, "iscrowd": 0}],
        },
    ],
}

scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.sampled_from(["../a.png", "a.png", "1", "7", "\ud800", "63W1", "\x00", 1e300, 10**39]),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(
            st.sampled_from(["id", "image_id", "size", "counts", "bbox", "annotator", "x"]),
            inner,
            max_size=3,
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
    return document


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "images/b").mkdir(parents=True)
        (root / "a").mkdir()
        Image.new("L", (8, 6)).save(root / "images/a.png")
        Image.new("L", (6, 8)).save(root / "images/b/c.png")
        Image.fromarray(np.full((6, 8, 3), (5, 0, 0), dtype=np.uint8)).save(root / "a/m.png")
        yield root


def read_all(folder, text):
    """The findings; every record must be one that can be painted."""
    path = folder / "a.json"
    path.write_text(text, encoding="utf-8")
    assert isinstance(FORMAT.detect(Candidate(path)).reasons, tuple)
    problems = Problems("collect")
    context = ReadContext(ImageCatalogue(folder / "images"), problems, "a.json")
    with contextlib.suppress(ConceptsetError):
        FORMAT.image_names(path)
        for record in FORMAT.read(path, context):
            for region in record.regions:
                region.name.encode()
                assert (region.geometry is None) == (region.kind == "tag")
                if region.geometry is not None:
                    assert rasterize(region.geometry, record.size).shape == record.size
            for worker in record.workers:
                worker.name.encode()
    for finding in problems.findings:
        assert str(finding).isprintable()
    return problems.findings


def test_the_base_is_clean(folder):
    findings = read_all(folder, json.dumps(BASE))
    assert [finding.severity for finding in findings] == [Severity.WARNING]


@settings(max_examples=2 * settings.default.max_examples)
@given(document=mutated())
def test_mutated_documents(folder, document):
    read_all(folder, json.dumps(document))


@given(entries=st.lists(st.one_of(values, st.sampled_from(BASE["annotations"])), max_size=4))
def test_lists_of_results(folder, entries):
    (folder / "truth.json").write_text(json.dumps(BASE))
    try:
        read_all(folder, json.dumps(entries))
    finally:
        (folder / "truth.json").unlink()


@given(value=values)
def test_any_json_at_all(folder, value):
    read_all(folder, json.dumps(value))


@given(cut=st.integers(0, 2000), junk=st.binary(max_size=6))
def test_damaged_bytes(folder, cut, junk):
    data = json.dumps(BASE).encode()
    (folder / "a.json").write_bytes(data[:cut] + junk + data[cut + len(junk) :])
    problems = Problems("collect")
    context = ReadContext(ImageCatalogue(folder / "images"), problems, "a.json")
    FORMAT.detect(Candidate(folder / "a.json"))
    with contextlib.suppress(ConceptsetError):
        list(FORMAT.read(folder / "a.json", context))
