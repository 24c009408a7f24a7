"""Sets with every consensus: built, merged, validated, looked into."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from conceptset.build import BuildOptions, build_set
from conceptset.cli import app
from conceptset.consensus import METHODS
from conceptset.errors import UsageError
from conceptset.io.images import read_codes
from conceptset.merge import MergeOptions, merge_sets
from conceptset.repair import RepairOptions, repair_set
from conceptset.validate import validate

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "merge"))

from plain_sets import World, rows, tree

SIZE = (16, 24)


@pytest.fixture
def world(tmp_path):
    """Five people draw three images; a thing with three names, two cars, somebody abstains."""
    world = World(tmp_path / "worlds" / "one")
    images = {f"{name}.png": SIZE for name in "abc"}
    for seed, name in enumerate(images):
        world.photograph(name, seed=seed)
    for place, who in enumerate(("ada", "bob", "cem", "dan", "eve")):
        crowd = {"iscrowd": 1, "segmentation": {"size": [16, 24], "counts": [0, 64, 320]}}
        name = ("car", "car", "car", "truck", "bus")[place]
        drawn = [
            ("a.png", name, (1 + place % 2, 1, 9, 8)),
            ("a.png", "tree", (14, 2, 8, 10 + place)),
            ("b.png", "car", (1, 1, 6, 10)),
            ("b.png", "car", (7, 1 + place // 3, 6, 10)),
            ("c.png", name, (4, 4, 10 - place // 2, 8)),
        ]
        if who == "eve":
            drawn.append(("b.png", "tree", (0, 0, 4, 4), crowd))
        world.coco(f"{who}.json", images, drawn[place == 3 :])
    return world


PEOPLE = ("ada", "bob", "cem", "dan", "eve")


def build(world, out, people=PEOPLE, **options):
    chosen = {"annotator_from": "file", "image_size": None, "segmentation_size": SIZE} | options
    report = build_set([world.root / f"{who}.json" for who in people], out, BuildOptions(**chosen))
    return report


def root_map(root, stem="a", category="object"):
    path = root / f"images/images/{stem}_{category}.png"
    mask = root / f"images/consensus/images/{stem}_{category}_undecided.png"
    labels = read_codes(path) if path.exists() else np.zeros(SIZE, int)
    names = {int(row["number"]): row["name"] for row in rows(root / "label.csv")}
    undecided = read_codes(mask) > 0 if mask.exists() else np.zeros(SIZE, bool)
    return labels, undecided, {name: number for number, name in names.items()}


@pytest.mark.parametrize("method", METHODS)
def test_built_and_merged_are_one_set(world, tmp_path, method):
    report = build(world, tmp_path / "whole", consensus=method)
    assert report.manifest.settings["consensus"] == method
    assert validate(tmp_path / "whole").findings == ()
    for who in PEOPLE:
        build(world, tmp_path / who, [who], consensus=method)
    merged = merge_sets(
        [tmp_path / who for who in PEOPLE], tmp_path / "merged", MergeOptions(consensus=method)
    )
    one, other = tree(tmp_path / "whole"), tree(tmp_path / "merged")
    manifests = [json.loads(files.pop("conceptset.json")) for files in (one, other)]
    assert one == other
    assert manifests[0]["counts"] == manifests[1]["counts"]
    assert list(merged.notes) == list(report.notes)
    # and step by step, from a set that was merged
    parts = [tmp_path / "two", *(tmp_path / who for who in PEOPLE[2:])]
    merge_sets([tmp_path / "ada", tmp_path / "bob"], parts[0], MergeOptions(consensus=method))
    merge_sets(parts, tmp_path / "steps", MergeOptions(consensus=method))
    steps = tree(tmp_path / "steps")
    steps.pop("conceptset.json")
    assert steps == one


def test_the_same_bytes_on_any_number_of_cores(world, tmp_path, monkeypatch):
    monkeypatch.setattr("conceptset.build.assembly.SMALL", 1)
    build(world, tmp_path / "one", consensus="dawid-skene", jobs=2)
    build(world, tmp_path / "two", consensus="dawid-skene")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


CVAT = """<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>
<meta><task><assignee><username>{who}</username></assignee></task></meta>
<image id="0" name="a.png" width="24" height="16">{shapes}</image></annotations>"""
SHAPE = """<polygon label="{label}" source="manual" occluded="0" z_order="{z}"
points="{x},{y};{right},{y};{right},{low};{x},{low}"></polygon>"""


def cvat(world, who, *shapes):
    """A CVAT file of one person; shapes are (label, x, y, right, low, z)."""
    keys = ("label", "x", "y", "right", "low", "z")
    texts = [SHAPE.format(**dict(zip(keys, shape, strict=True))) for shape in shapes]
    path = world.root / f"{who}.xml"
    path.write_text(CVAT.format(who=who, shapes="".join(texts)))
    return path


@pytest.mark.parametrize("overlap", ["area", "order"])
def test_what_the_tool_painted_on_top(world, tmp_path, overlap):
    """Two cars, the larger in front: which pixels are whose is kept in a set for its merge."""
    files = [
        cvat(world, who, ("car", 2, 2, 20, 12, 1), ("car", x, 1, x + 8, 14, 0))
        for who, x in (("kim", 10), ("lou", 11), ("may", 14))
    ]
    options = {"images": world.root / "images", "image_size": None, "consensus": "segment-vote"}
    chosen = BuildOptions(overlap=overlap, segmentation_size=SIZE, **options)
    build_set(files, tmp_path / "whole", chosen)
    sets = []
    for file in files:
        sets.append(tmp_path / file.stem)
        build_set([file], sets[-1], chosen)
    merge_sets(sets, tmp_path / "merged", MergeOptions(consensus="segment-vote"))
    one, other = tree(tmp_path / "whole"), tree(tmp_path / "merged")
    assert one.pop("conceptset.json") != other.pop("conceptset.json")
    assert one == other


def test_a_foreign_set_has_one_segment_for_each_label(world, tmp_path):
    for who in ("ada", "bob", "cem"):
        build(world, tmp_path / who, [who])
    for name in ("conceptset.json", "images.csv", "annotators.csv"):
        (tmp_path / "ada" / name).unlink()
    for name in ("annotators", "images/annotators"):
        shutil.rmtree(tmp_path / "ada" / name, ignore_errors=True)
    sets = [tmp_path / who for who in ("ada", "bob", "cem")]
    with_segments = MergeOptions(consensus="segment-vote")
    report = merge_sets(sets, tmp_path / "new", with_segments)
    assert report.manifest.counts.annotators == 3
    assert validate(tmp_path / "new").errors == 0
    trees = root_map(tmp_path / "new")[2]["tree"]
    assert (read_codes(tmp_path / "new/images/images/a_object.png") == trees).any()


def test_instances_travel_to_the_vote(world, tmp_path):
    """Two cars that touch: as one region they match nobody's third, as two each is found."""
    world.coco("fay.json", {"b.png": SIZE}, [("b.png", "car", (1, 1, 6, 10))])
    world.coco("gus.json", {"b.png": SIZE}, [("b.png", "car", (1, 1, 6, 10))])
    people = ("ada", "fay", "gus")
    build(world, tmp_path / "set", people, consensus="segment-vote")
    labels, undecided, number = root_map(tmp_path / "set", "b")
    expected = np.zeros(SIZE, dtype=bool)
    expected[1:11, 1:7] = True
    assert np.array_equal(labels == number["car"], expected)
    assert not undecided.any()


def test_numbers_and_people_are_the_same_for_every_method(world, tmp_path):
    sets = {}
    for method in (*METHODS, "bob"):
        build(world, tmp_path / method, consensus=method)
        sets[method] = tree(tmp_path / method)
    first = sets["majority"]
    own = [name for name in first if "annotators" in name or name.startswith("images.csv")]
    for method, files in sets.items():
        assert {name: files[name] for name in own} == {name: first[name] for name in own}, method
        numbers = [(row["number"], row["name"]) for row in rows(tmp_path / method / "label.csv")]
        expected = rows(tmp_path / "majority" / "label.csv")
        assert numbers == [(row["number"], row["name"]) for row in expected]


def test_two_annotators_are_told_that_skills_cannot_be_learned(world, tmp_path):
    report = build(world, tmp_path / "two", ["ada", "dan"], consensus="dawid-skene")
    (note,) = report.notes
    assert "cannot tell which of two annotators errs" in note
    build(world, tmp_path / "majority", ["ada", "dan"])
    one, other = tree(tmp_path / "two"), tree(tmp_path / "majority")
    assert one.pop("conceptset.json") != other.pop("conceptset.json")
    assert one == other
    (note,) = build(world, tmp_path / "all", consensus="dawid-skene").notes
    assert "confusions of 3 names from 5 things" in note


def test_skills_from_things_that_hardly_anybody_shares(world, tmp_path):
    names = {"x.png": SIZE, "y.png": SIZE, "z.png": SIZE}
    for seed, (who, image) in enumerate(zip("xyz", names, strict=True)):
        world.photograph(image, seed=10 + seed)
        world.coco(f"{who}.json", {image: SIZE}, [(image, "car", (0, 0, 8, 8))])
    report = build(world, tmp_path / "set", "xyz", consensus="dawid-skene")
    assert validate(tmp_path / "set").errors == 0
    assert report.notes == ()  # each image has one annotator: nothing is put to the vote
    world.coco("q.json", {"x.png": SIZE}, [("x.png", "car", (14, 8, 8, 8))])
    report = build(world, tmp_path / "more", "qxyz", consensus="dawid-skene")
    assert any("0 things that two people drew, of 2" in note for note in report.notes)


def test_a_person_called_as_a_method(world, tmp_path):
    aliases = {"bob": "majority"}
    report = build(world, tmp_path / "set", aliases=aliases)
    assert ["an annotator has that name" in note for note in report.notes] == [True]
    build(world, tmp_path / "plain")
    assert np.array_equal(root_map(tmp_path / "set")[0], root_map(tmp_path / "plain")[0])
    assert validate(tmp_path / "set").findings == ()


def test_nobody_and_no_method(world, tmp_path):
    with pytest.raises(UsageError, match=r"'zoe', one of majority.*dawid-skene or an annotator"):
        build(world, tmp_path / "set", consensus="zoe")
    build(world, tmp_path / "ada", ["ada"])
    with pytest.raises(UsageError, match="'zoe', one of majority"):
        merge_sets([tmp_path / "ada"], tmp_path / "no", MergeOptions(consensus="zoe"))


# ------------------------------------------------------------------------------- models, sessions


@pytest.mark.parametrize("method", METHODS)
def test_a_model_has_no_voice_among_persons(world, tmp_path, method):
    build(world, tmp_path / "with", consensus=method, model_annotators=("eve", "dan"))
    build(world, tmp_path / "without", ["ada", "bob", "cem"], consensus=method)
    _, _, one = root_map(tmp_path / "with")
    for stem in "abc":
        labels, undecided, numbers = root_map(tmp_path / "with", stem)
        alone, open_, other = root_map(tmp_path / "without", stem)
        for name in other:
            assert np.array_equal(labels == one[name], alone == other[name]), name
        assert set(np.unique(labels)) <= {0, *(numbers[name] for name in other)}
        assert np.array_equal(undecided, open_)
    assert validate(tmp_path / "with").findings == ()


def test_models_alone_decide_and_one_can_be_followed(world, tmp_path):
    build(world, tmp_path / "models", ["ada", "bob", "cem"], model_annotators=("ada", "bob", "cem"))
    build(world, tmp_path / "persons", ["ada", "bob", "cem"])
    assert np.array_equal(root_map(tmp_path / "models")[0], root_map(tmp_path / "persons")[0])
    build(world, tmp_path / "eve", consensus="eve", model_annotators=("eve",))
    labels, undecided, _ = root_map(tmp_path / "eve")
    own = read_codes(tmp_path / "eve/images/annotators/eve/images/a_object.png")
    assert np.array_equal(labels, own)
    assert not undecided.any()


@pytest.mark.parametrize("method", ["majority", "segment-vote"])
def test_an_image_that_only_a_model_saw(world, tmp_path, method):
    """It is in the model's index and not in the root, and that is right; repair leaves it so."""
    world.photograph("d.png", seed=9)
    world.coco("net.json", {"d.png": SIZE, "a.png": SIZE}, [("d.png", "car", (0, 0, 8, 8))])
    people = (*PEOPLE, "net")
    report = build(world, tmp_path / "set", people, consensus=method, model_annotators=("net",))
    assert "images/d.jpg" not in {row["image"] for row in rows(tmp_path / "set/index.csv")}
    own = rows(tmp_path / "set/annotators/net/index.csv")
    assert {row["image"] for row in own} == {"images/a.jpg", "images/d.jpg"}
    assert validate(tmp_path / "set").findings == ()
    assert any("1 image" in note for note in report.notes)
    before = tree(tmp_path / "set")
    assert repair_set(tmp_path / "set", tmp_path / "new", RepairOptions()).lost == 0
    after = tree(tmp_path / "new")
    assert {n for n in before if before[n] != after.get(n)} <= {"conceptset.json"}


@pytest.mark.parametrize("method", METHODS)
def test_a_second_session_has_no_vote(world, tmp_path, method):
    world.coco("ada2.json", {"a.png": SIZE}, [("a.png", "bus", (0, 0, 24, 16))])
    people = (*PEOPLE, "ada2")
    build(world, tmp_path / "set", people, consensus=method, aliases={"ada2": "ada#2"})
    build(world, tmp_path / "once", consensus=method)
    named = [root_map(tmp_path / name) for name in ("set", "once")]
    back = [{number: name for name, number in numbers.items()} for _, _, numbers in named]
    words = [
        [own.get(label, "") for label in labels.ravel().tolist()]
        for (labels, _, _), own in zip(named, back, strict=True)
    ]
    assert words[0] == words[1]
    assert np.array_equal(named[0][1], named[1][1])
    assert validate(tmp_path / "set").errors == 0


# ---------------------------------------------------------------------------- info, real material


def test_info_says_how_much_is_open(world, tmp_path):
    build(world, tmp_path / "set", consensus="plurality")
    text = CliRunner().invoke(app, ["info", str(tmp_path / "set")]).output
    assert "consensus: plurality" in text
    manifest = json.loads((tmp_path / "set/conceptset.json").read_text())
    undecided = [root_map(tmp_path / "set", stem)[1] for stem in "abc"]
    share = np.mean(undecided)
    assert manifest["counts"]["undecided_by_category"] == {"object": pytest.approx(share)}
    assert f"pixels without consensus: {share:.2%} (object {share:.2%})" in text
    facts = json.loads(CliRunner().invoke(app, ["info", str(tmp_path / "set"), "--json"]).output)
    assert facts["consensus"] == "plurality"
    build(world, tmp_path / "alone", ["ada"])
    text = CliRunner().invoke(app, ["info", str(tmp_path / "alone")]).output
    assert "consensus" not in text


@pytest.mark.real
@pytest.mark.parametrize("method", METHODS)
def test_four_people_and_cars(shared, tmp_path, method):
    home = shared / "samples/labelme_xml/multi_annotator_cars"
    options = BuildOptions(images=home / "Images", consensus=method, segmentation_size=(112, 112))
    report = build_set([home / "Annotations"], tmp_path / "set", options)
    assert validate(tmp_path / "set").errors == 0
    assert report.manifest.counts.annotators == 4
    own = [path.name for path in (tmp_path / "set/images/Images").glob("*_object.png")]
    assert len(own) in (9, 10)  # of one image most say car, and two another name each
    assert 0 <= report.manifest.counts.undecided < 0.2


@pytest.mark.real
def test_eight_dermatologists(shared, tmp_path):
    """Their photographs are not free: blank ones of the stated sizes stand for them."""
    home = shared / "samples/dermx/annotations"
    (tmp_path / "images").mkdir()
    for path in sorted(home.glob("*.json")):
        image = json.loads(path.read_bytes())["image"]
        place = tmp_path / "images" / image["filename"].partition("_")[2]
        if not place.exists():
            colour = (40 * len(list(place.parent.iterdir())), 90, 40)
            Image.new("RGB", (image["width"], image["height"]), colour).save(place)
    options = BuildOptions(images=tmp_path / "images", consensus="dawid-skene", on_error="collect")
    report = build_set([home], tmp_path / "set", options)
    assert validate(tmp_path / "set").errors == 0
    assert report.manifest.counts.annotators == 16
    assert report.manifest.counts.undecided_by_category.keys() >= {"object"}
