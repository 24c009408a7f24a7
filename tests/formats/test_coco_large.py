"""COCO files as large ones are: annotations first, in no order, more than memory holds."""

from __future__ import annotations

import json
import random
import tracemalloc

import pytest

from conceptset.errors import SourceError, UnsafeError
from conceptset.findings import Problems
from conceptset.formats.base import ReadContext
from conceptset.formats.coco import FORMAT, document, image_names
from conceptset.io.catalogue import ImageCatalogue

RING = [1, 1, 5, 1, 5, 5, 1, 5]


def entry(identity, image, **more):
    return {"id": identity, "image_id": image, "category_id": 0, "segmentation": [RING]} | more


def write(path, annotations, images, *, order=("annotations", "categories", "images"), text=""):
    lists = {
        "annotations": annotations,
        "categories": [{"id": 0, "name": "door"}],
        "images": [{"id": key, "file_name": "a.png", "height": 6, "width": 8} for key in images],
    }
    inner = ", ".join(f'"{key}": {json.dumps(lists[key])}' for key in order)
    path.write_text("{" + inner + text + "}")
    return path


@pytest.fixture
def read(tmp_path, save):
    save(tmp_path / "images/a.png", (6, 8))

    def read_it(path, on_error="collect"):
        problems = Problems(on_error)
        context = ReadContext(ImageCatalogue(tmp_path / "images"), problems, path.name)
        return list(FORMAT.read(path, context)), problems.findings

    return read_it


@pytest.mark.parametrize("seed", range(3))
def test_any_order_gives_each_image_its_own_in_document_order(tmp_path, read, seed):
    draw = random.Random(seed)
    owners = [draw.randint(1, 20) for _ in range(300)]
    order = draw.sample(["annotations", "categories", "images"], 3)
    images = draw.sample(range(1, 21), 20)
    annotations = [entry(place, owner) for place, owner in enumerate(owners)]
    path = write(tmp_path / "a.json", annotations, images, order=order)
    records, findings = read(path)
    assert findings == []
    assert [record.origin.pointer for record in records] == [f"/images/{i}" for i in range(20)]
    for record, key in zip(records, images, strict=True):
        expected = [f"/annotations/{i}" for i, owner in enumerate(owners) if owner == key]
        assert [region.origin.pointer for region in record.regions] == expected


IDS = [
    (1, "1"),
    ("1", 1.0),
    (" x ", "x"),
    ("é{}", "é{}"),
    ('quo"te', 'quo"te'),
    ("back\\slash", "back\\slash"),
    (10**17, str(10**17)),
    (10**30, 10**30),
]


@pytest.mark.parametrize(("listed", "referred"), IDS)
def test_ids_that_tell_themselves_and_ids_that_must_be_decoded(tmp_path, read, listed, referred):
    first = [entry(9, 7), entry(8, 7)]  # after these it is known that nothing is a fraction
    annotations = [*first, entry(1, referred), entry(2, listed), entry(3, 7)]
    records, findings = read(write(tmp_path / "a.json", annotations, [7, listed]))
    assert findings == []
    assert [len(record.regions) for record in records] == [3, 2]


INNER = [
    {"attributes": {"image_id": 2, "id": 5}},
    {"note": "image_id"},
    {"note": 'a "image_id": 2, b'},
    {"note": '{"image_id": 2}'},
    {"note": "}"},
    {"segmentation": {"size": [6, 8], "counts": [48]}, "extra": [{"id": 3}, {"image_id": 2}]},
]


@pytest.mark.parametrize("inner", INNER)
@pytest.mark.parametrize("is_first", [True, False])
def test_the_id_of_something_inside_is_not_taken_for_the_id(tmp_path, read, inner, is_first):
    odd = inner | entry(6, 1, **inner) if is_first else entry(6, 1) | inner
    annotations = [entry(0, 2), odd, entry(5, 2)]
    records, findings = read(write(tmp_path / "a.json", annotations, [1, 2]))
    assert findings == []
    assert [[region.origin.pointer for region in record.regions] for record in records] == [
        ["/annotations/1"],
        ["/annotations/0", "/annotations/2"],
    ]


def test_repeated_ids_are_counted_and_the_first_is_named(tmp_path, read):
    ids = [3, 4, "x", 4, None, None, "x", "4", 10**25, 10**25]
    annotations = [entry(identity, 1) for identity in ids]
    del annotations[4]["id"]
    _, findings = read(write(tmp_path / "a.json", annotations, [1]))
    assert [(f.code, f.pointer) for f in findings] == [("SRC014", "/annotations/3/id")]
    assert 'the id "4" is that of an earlier annotation, and 3 more repeat' in findings[0].message


def test_what_is_not_read_must_be_json_too(tmp_path, read):
    """An annotation of no listed image is looked at before it is reported."""
    path = write(tmp_path / "a.json", [entry(1, 1), entry(2, 9)], [1])
    path.write_text(path.read_text().replace('"id": 2', '"id" 2'))
    with pytest.raises(SourceError, match="is no valid JSON"):
        read(path)


def test_names_of_a_large_file_without_reading_it(tmp_path, monkeypatch):
    """Broken behind its images: nobody looks there."""
    monkeypatch.setattr(image_names, "_LARGE", 10)
    monkeypatch.setattr(image_names, "_CHUNK", 64)
    monkeypatch.setattr(image_names, "_OVERLAP", 32)
    monkeypatch.setattr(image_names, "_ENOUGH", 3)
    odd = [entry(1, 1, attributes={"images": [1, 2]}), entry(2, 1, x={"images": [{"a": 1}]})]
    path = write(tmp_path / "a.json", odd, range(9), text=', "licenses": [broken')
    assert FORMAT.image_names(path) == ["a.png"] * 3
    path.write_text(path.read_text().replace('"images"', '"im\\u0061ges"'))
    with pytest.raises(SourceError, match="is no valid JSON"):
        FORMAT.image_names(path)


def test_more_images_than_can_be_held_are_refused(tmp_path, read, monkeypatch):
    monkeypatch.setattr(document, "_MAX_IMAGES", 5)
    with pytest.raises(UnsafeError, match="more than 5 images"):
        read(write(tmp_path / "a.json", [entry(i, i) for i in range(9)], [1]))
    monkeypatch.undo()
    monkeypatch.setattr(document, "_MAX_LETTERS", 20)
    with pytest.raises(UnsafeError, match="very long ids"):
        read(write(tmp_path / "a.json", [entry(1, "x" * 30)], [1]))
    monkeypatch.undo()
    monkeypatch.setattr(document, "_MAX_CATEGORIES", 100)
    with pytest.raises(UnsafeError, match="categories take more"):
        read(write(tmp_path / "a.json", [], [1]))


def test_memory_is_that_of_the_index(tmp_path, save):
    """Four times the annotations: a few dozen bytes more for each, not hundreds."""
    save(tmp_path / "images/a.png", (6, 8))
    peaks = []
    counts = (5_000, 20_000)
    for count in counts:
        annotations = [
            entry(place, place % 100, segmentation=[RING * 20]) for place in range(count)
        ]
        path = write(tmp_path / f"{count}.json", annotations, range(100))
        del annotations
        context = ReadContext(ImageCatalogue(tmp_path / "images"), Problems(), path.name)
        tracemalloc.start()
        regions = sum(len(record.regions) for record in FORMAT.read(path, context))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert regions == count
    assert path.stat().st_size > 10e6
    one_image = (counts[1] - counts[0]) / 100 * 1500  # its regions are held while it is yielded
    assert peaks[1] - peaks[0] < 80 * (counts[1] - counts[0]) + one_image
