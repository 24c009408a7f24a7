"""The three published images of ADE20K 2021, against a decoder of its own.

The decoder reads the masks with Pillow and tells objects apart by the folder of instance masks,
which the reader never opens.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.findings import Problems
from conceptset.formats import detect
from conceptset.formats.ade20k import FORMAT
from conceptset.formats.base import Candidate, ReadContext
from conceptset.io.catalogue import ImageCatalogue
from conceptset.raster import rasterize
from conceptset.validate import validate

pytestmark = pytest.mark.real

STEMS = ("ADE_train_00016869", "ADE_train_00016900", "ADE_train_00016964")
STREET = "ADE20K_2021_17_01/images/ADE/training/urban/street"


@pytest.fixture(scope="module")
def home(shared):
    return shared / "samples/ade20k"


@pytest.fixture(scope="module")
def published(home):
    """The records of the three images, and what was found to be wrong with them."""
    problems = Problems("raise")
    context = ReadContext(ImageCatalogue(home), problems, home.name)
    return list(FORMAT.read(home, context)), problems.findings


@cache
def colours(path: Path):
    """(height, width, 3) of a mask."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def mask_path(folder, stem, level):
    return folder / f"{stem}{'_seg' if level == 0 else f'_parts_{level}'}.png"


@cache
def classes(path):
    """(height, width) of a mask: the number of each pixel's name, which R and G hold."""
    return colours(path)[..., 0] // 10 * np.int32(256) + colours(path)[..., 1]


@cache
def values_of_blue(path):
    """The values of B in a mask but 0, in order: they tell instances apart."""
    return [value for value in np.unique(colours(path)[..., 2]).tolist() if value]


@cache
def objects_of(folder, stem):
    text = (folder / f"{stem}.json").read_bytes().decode("latin-1")
    return json.loads(text)["annotation"]["object"]


@cache
def truth_of(folder, stem):
    """Id to (first synonym, level, pixels of its colour, id of its whole), by instance masks."""
    truth = {}
    for entry in objects_of(folder, stem):
        level = int(entry["parts"]["part_level"])
        mask = mask_path(folder, stem, level)
        blue = colours(mask)[..., 2]
        with Image.open(folder / entry["instance_mask"]) as image:
            visible = np.asarray(image) == 255
        # within an object's own mask its class has one value of B, but for stray pixels
        mine = classes(mask) == entry["name_ndx"]
        found = np.bincount(blue[visible & mine], minlength=256)
        pixels = mine & (blue == found.argmax())
        assert found.max() >= 0.95 * np.count_nonzero(visible)
        whole = entry["parts"]["ispartof"]
        truth[entry["id"]] = (
            entry["name"].split(",")[0],
            level,
            pixels,
            None if whole == [] else whole,
        )
    return truth


def test_every_object_has_exactly_the_pixels_of_its_own_mask(home, published):
    records, findings = published
    assert findings == []
    assert [record.image for record in records] == [f"{STREET}/{stem}.jpg" for stem in STEMS]
    folder = home / STREET
    for stem, record in zip(STEMS, records, strict=True):
        assert record.workers == ()
        assert record.file_person is None
        entries = objects_of(folder, stem)
        truth = truth_of(folder, stem)
        *regions, tag = record.regions
        assert len(regions) == len(truth) == len(entries)
        place_of = {}
        for place, region in enumerate(regions):
            index = int(region.origin.pointer.rpartition("/")[2])
            name, _, pixels, _ = truth[entries[index]["id"]]
            place_of[entries[index]["id"]] = place
            assert (region.kind, region.name, region.person) == ("region", name, None)
            assert region.category is None
            assert region.origin.pointer == f"/annotation/object/{index}"
            assert np.array_equal(rasterize(region.geometry, record.size), pixels)
        for key, (_, level, _, whole) in truth.items():
            part_of = regions[place_of[key]].part_of
            assert part_of == (None if level == 0 else place_of[whole])
        assert (tag.kind, tag.name, tag.geometry, tag.part_of) == ("tag", "street", None, None)


def test_counts_of_the_three_images(published):
    """Figures that were counted by hand with other tools."""
    records, _ = published
    assert [record.size for record in records] == [(1536, 2048), (1650, 2200), (1467, 2200)]
    assert [len(record.regions) for record in records] == [71, 38, 33]
    assert [sum(r.part_of is not None for r in record.regions) for record in records] == [19, 3, 8]
    first = records[0]
    sizes = Counter()
    for region in first.regions[:-1]:
        sizes[region.name] += int(rasterize(region.geometry, first.size).sum())
    assert sizes["sky"] == 437_203
    assert sizes["road"] == 1_127_414 + 28_437
    assert sizes["rim"] == 475 + 489
    assert sizes["handle"] == 36


def test_it_is_detected_and_nothing_else_claims_it(home):
    for folder in (home, home / "ADE20K_2021_17_01/images", home / STREET):
        detection = FORMAT.detect(Candidate(folder))
        assert detection.matches, detection.reasons
        assert detection.people is None
    matching = [one.format for one in detect(home) if one.matches]
    assert matching == ["ade20k"]


def test_without_outlines_labels_are_the_same(home, published, read_format, tmp_path):
    """Then only document order tells objects of a class apart; the class of a pixel stays."""
    folder, stem = home / STREET, STEMS[0]
    document = json.loads((folder / f"{stem}.json").read_bytes().decode("latin-1"))
    for entry in document["annotation"]["object"]:
        del entry["polygon"]
    (tmp_path / f"{stem}.json").write_text(json.dumps(document), encoding="latin-1")
    for name in (".jpg", "_seg.png", "_parts_1.png", "_parts_2.png"):
        (tmp_path / f"{stem}{name}").symlink_to(folder / f"{stem}{name}")
    # a link that leads out of the folder is refused
    (record, *_), _ = published
    records, findings = read_format(FORMAT, tmp_path, tmp_path)
    assert records == []
    assert {finding.code for finding in findings} <= {"SRC006", "SRC003"}
    for name in (".jpg", "_seg.png", "_parts_1.png", "_parts_2.png"):
        (tmp_path / f"{stem}{name}").unlink()
        (tmp_path / f"{stem}{name}").write_bytes((folder / f"{stem}{name}").read_bytes())
    (other,), findings = read_format(FORMAT, tmp_path, tmp_path)
    assert findings == []
    assert names_at_pixels(other) == names_at_pixels(record)


def names_at_pixels(record):
    return Counter(
        (region.name, region.part_of is None, int(rasterize(region.geometry, record.size).sum()))
        for region in record.regions
        if region.geometry is not None
    )


def older_release(folder, stem, target):
    """The files of one image as the release of 2017 has them, by its documentation.

    Unverified: no file of that release is at hand. Instances are numbered by the rank of B.
    """
    target.mkdir(parents=True)
    lines = []
    for key, (_, level, pixels, _) in truth_of(folder, stem).items():
        mask = mask_path(folder, stem, level)
        blue = colours(mask)[..., 2]
        entry = next(entry for entry in objects_of(folder, stem) if entry["id"] == key)
        number = values_of_blue(mask).index(int(blue.flat[pixels.argmax()])) + 1
        occluded = int(entry["occluded"] == "yes")
        lines.append(
            f'{number:03} # {level} # {occluded} # {entry["name"]} # {entry["raw_name"]} # ""\n'
        )
    (target / f"{stem}_atr.txt").write_text("".join(lines), encoding="latin-1")
    for path in folder.glob(f"{stem}*"):
        if path.is_file() and path.suffix != ".json":
            (target / path.name).write_bytes(path.read_bytes())


def test_the_release_of_2017_as_documented(home, published, read_format, tmp_path):
    newer, _ = published
    for stem in STEMS:
        target = tmp_path / f"training/s/{stem}"
        older_release(home / STREET, stem, target)
        target.rename(tmp_path / "kept")
        (tmp_path / "training/s/street").mkdir(exist_ok=True)
        for path in (tmp_path / "kept").iterdir():
            path.rename(tmp_path / "training/s/street" / path.name)
        (tmp_path / "kept").rmdir()
    assert FORMAT.detect(Candidate(tmp_path)).matches
    older, findings = read_format(FORMAT, tmp_path, tmp_path, on_error="raise")
    assert findings == []
    for one, other in zip(older, newer, strict=True):
        assert named_shapes(one) == named_shapes(other)
        assert one.regions[-1].name == "street"


def named_shapes(record):
    """Name, colour, and name and colour of the whole, of every region."""
    found = Counter()
    for region in record.regions:
        if region.geometry is not None:
            whole = None if region.part_of is None else record.regions[region.part_of]
            found[
                region.name,
                region.geometry.code,
                whole and (whole.name, whole.geometry.code),
            ] += 1
    return found


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_set_of_it_has_broden_s_pixels_and_validates(home, tmp_path):
    """Objects in one map, parts in one, parts of parts in a second one; the scene as a number."""
    report = build_set([home], tmp_path / "set", BuildOptions(annotator="expert"))
    assert not report.findings
    assert report.manifest.counts.segments == 71 + 38 + 33
    assert validate(tmp_path / "set").findings == ()
    numbers = {row["name"]: int(row["number"]) for row in rows_of(tmp_path / "set/label.csv")}
    origin = {row["image"]: row["original"] for row in rows_of(tmp_path / "set/images.csv")}
    rows = rows_of(tmp_path / "set/index.csv")
    planes = {}
    for row in rows:
        folder, stem = (home / origin[row["image"]]).parent, Path(origin[row["image"]]).stem
        name_of = {
            entry["name_ndx"]: entry["name"].split(",")[0] for entry in objects_of(folder, stem)
        }
        assert row["scene"] == str(numbers["street"])
        maps = [row["object"], *row["part"].split(";")]
        planes[stem] = len(maps) - 1
        for level, name in enumerate(maps):
            whole = Image.fromarray(classes(mask_path(folder, stem, level)))
            small = np.asarray(whole.resize((112, 112), Image.Resampling.NEAREST))
            ours = colours(tmp_path / "set/images" / name).astype(np.int32)
            pairs = {*zip((ours[..., 0] + 256 * ours[..., 1]).flat, small.flat, strict=True)}
            for number, name_ndx in pairs:
                assert number == (numbers[name_of[name_ndx]] if name_ndx else 0)
    assert planes == dict(zip(STEMS, (2, 1, 1), strict=True))
