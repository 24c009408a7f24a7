"""The Darwin samples: DermX against its JSON read by hand and the masks its authors published."""

from __future__ import annotations

import csv
import json
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from conceptset.build import BuildOptions, build_set
from conceptset.formats.base import Candidate
from conceptset.formats.darwin import FORMAT
from conceptset.raster import rasterize
from conceptset.records import Person
from conceptset.validate import validate

pytestmark = pytest.mark.real


@pytest.fixture
def dermx(shared):
    return shared / "samples/dermx"


@pytest.fixture
def photographs(dermx, tmp_path):
    """Blank ones of the stated sizes, each of a colour of its own; the real ones are not free."""
    root = tmp_path / "images"
    root.mkdir()
    for path in sorted((dermx / "annotations").glob("*.json")):
        image = json.loads(path.read_bytes())["image"]
        name = image["filename"].partition("_")[2]
        if not (root / name).exists():
            colour = (40 * len(list(root.iterdir())), 90, 40)
            Image.new("RGB", (image["width"], image["height"]), colour).save(root / name)
    assert len(list(root.iterdir())) == 5
    return root


def author(path):
    """Who drew a file: `labeller7` and `labeller72` are one person's first and second time."""
    label = path.stem.partition("_")[0].removeprefix("labeller")
    return f"labeller{label[0]}", len(label)


def drawn(entry):
    """The rings of an annotation; None for a tag."""
    if "polygon" in entry:
        return [entry["polygon"]["path"]]
    return entry["complex_polygon"]["path"] if "complex_polygon" in entry else None


def outline_pixels(rings, size):
    """The pixels that outlines run through, also where they are pulled back into the image."""
    mask = np.zeros(size, dtype=bool)
    for ring in [*rings, *(ring.clip(0, size[::-1]) for ring in rings)]:
        for begin, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
            steps = int(np.abs(end - begin).max() * 4) + 2
            columns, rows = np.floor(np.linspace(begin, end, steps)).astype(int).T
            mask[rows.clip(0, size[0] - 1), columns.clip(0, size[1] - 1)] = True
    return mask


def test_every_file_names_person_session_and_shapes(dermx, photographs, read_format):
    seen = Counter()
    for path in sorted((dermx / "annotations").glob("*.json")):
        data = json.loads(path.read_bytes())
        name, session = author(path)
        found = FORMAT.detect(Candidate(path))
        assert found.matches
        assert found.people == f'the name of the file ("{Person(name, session)}")'
        (record,), findings = read_format(FORMAT, path, photographs, on_error="raise")
        assert not findings
        assert record.workers == (Person(name, session),)
        assert record.image == data["image"]["filename"].partition("_")[2]
        assert record.size == (data["image"]["height"], data["image"]["width"])
        assert len(record.regions) == len(data["annotations"])
        for place, (region, entry) in enumerate(
            zip(record.regions, data["annotations"], strict=True)
        ):
            rings = drawn(entry)
            assert region.name == entry["name"]
            assert region.person == Person(name, session)
            assert region.origin.pointer == f"/annotations/{place}"
            assert region.kind == ("tag" if rings is None else "region")
            if rings is not None:
                assert region.geometry.rule == "even-odd"
                assert len(region.geometry.rings) == len(rings)
                for ring, points in zip(region.geometry.rings, rings, strict=True):
                    assert set(map(tuple, ring)) == {(p["x"], p["y"]) for p in points}
            seen[region.kind, session] += 1
    assert seen == {("tag", 1): 79, ("tag", 2): 94, ("region", 1): 50, ("region", 2): 45}


def test_pixels_agree_with_the_masks_of_the_authors(dermx, photographs, read_format):
    """`<file>_<name>.png` is all of that name in the file, `<file>_0000N.png` annotation N alone.

    The authors fill the outline, too, and pull points outside of the image back to its border
    before they fill; we cut off what lies outside afterwards.
    """
    records, strays, differing, total, counted = {}, 0, 0, 0, 0
    for path in sorted((dermx / "masks").glob("*.png")):
        person, image, name = path.stem.split("_", 2)
        file = dermx / f"annotations/{person}_{image}.json"
        if file not in records:
            (records[file],), _ = read_format(FORMAT, file, photographs, on_error="raise")
        record = records[file]
        if name.isdigit():
            regions = [record.regions[int(name)]]
        else:
            regions = [r for r in record.regions if r.name == name and r.geometry is not None]
        ours = np.any([rasterize(region.geometry, record.size) for region in regions], axis=0)
        with Image.open(path) as mask:
            theirs = np.asarray(mask) == 255
        wrong = ours ^ theirs
        line = outline_pixels([r for region in regions for r in region.geometry.rings], record.size)
        assert wrong.sum() < 0.61 * line.sum(), path.name
        outside = wrong & ~ndimage.binary_dilation(line, np.ones((3, 3)))
        inner = outside[8:-8, 8:-8]
        assert not inner.any(), path.name
        strays += int(outside.sum())
        differing += int(wrong.sum())
        total += int(theirs.sum())
        counted += 1
    assert counted == 95
    assert strays <= 21  # in a corner of an outline that was pulled back
    assert differing / total < 0.0037  # 126,239 of 34,144,726


def test_eight_people_some_of_them_twice(dermx, photographs, tmp_path):
    out = tmp_path / "set"
    report = build_set([dermx / "annotations"], out, BuildOptions(images=photographs))
    expected = defaultdict(Counter)
    for path in (dermx / "annotations").glob("*.json"):
        entries = json.loads(path.read_bytes())["annotations"]
        expected[author(path)].update("tag" if drawn(e) is None else "region" for e in entries)
    with (out / "annotators.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted((row["annotator"], int(row["session"])) for row in rows) == sorted(expected)
    assert len({row["directory"] for row in rows}) == 16
    for row in rows:
        who = (row["annotator"], int(row["session"]))
        home = out / "annotators" / row["directory"]
        assert row["images"] == "5"
        assert len((home / "index.csv").read_text().splitlines()) == 6
        lines = [json.loads(text) for text in (home / "segments.jsonl").read_text().splitlines()]
        assert Counter(line["kind"] for line in lines) == expected[who]
        assert {line["source"]["file"].split("/")[-1].split("_")[0] for line in lines} == {
            who[0] + ("2" if who[1] == 2 else "")
        }
    counts = report.manifest.counts
    assert (counts.images, counts.annotators) == (5, 16)
    assert not report.findings
    (empty,) = validate(out).findings  # on one photograph no name has more than four of the eight
    assert (empty.code, empty.message) == ("IDX014", "images/043204HB.jpg carries no label")
