"""Two sets of the same images merged are the set that one build makes of both sources."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from plain_sets import rows, tree

from conceptset.build import BuildOptions, build_set
from conceptset.merge import MergeOptions, merge_sets
from conceptset.validate import validate

IMAGES = {f"{name}.png": (16, 24) for name in "abcd"}


@pytest.fixture
def people(new_world):
    """Three people, four images; somebody abstains, somebody found nothing, one comes twice."""
    world = new_world("one")
    for seed, name in enumerate(IMAGES):
        world.photograph(name, seed=seed)
    crowd = {
        "iscrowd": 1,
        "segmentation": {"size": [16, 24], "counts": [0, 100, 284]},
    }
    world.coco(
        "ada.json",
        {name: IMAGES[name] for name in ("a.png", "b.png", "c.png")},
        [
            ("a.png", "car", (0, 0, 12, 8)),
            ("a.png", "tree", (4, 4, 20, 12)),
            ("b.png", "tree", (0, 0, 24, 4), crowd),
            ("b.png", "car", (2, 2, 9, 9)),
        ],
    )
    world.coco(
        "bob.json",
        {name: IMAGES[name] for name in ("a.png", "b.png", "d.png")},
        [
            ("a.png", "car", (1, 0, 12, 8)),
            ("b.png", "lamp", (2, 2, 9, 9)),
            ("b.png", "tree", (0, 8, 24, 4)),
            ("d.png", "lamp", (2, 2, 4, 4)),
        ],
    )
    world.coco(
        "eve.json", IMAGES, [("a.png", "tree", (3, 4, 20, 12)), ("b.png", "lamp", (2, 2, 9, 9))]
    )
    world.coco("ada2.json", {"a.png": IMAGES["a.png"]}, [("a.png", "car", (0, 1, 12, 8))])
    return world


NAMES = {"ada.json": "ada", "bob.json": "bob", "eve.json": "eve", "ada2.json": "ada#2"}


def build(world, files, out, tmp_path, **options):
    table = tmp_path / "people.csv"
    table.write_text("file,annotator\n" + "".join(f"{f},{NAMES[f]}\n" for f in files))
    sources = [world.root / file for file in files]
    chosen = BuildOptions(annotator_from=str(table), image_size=None, **options)
    build_set(sources, out, chosen)
    return out


def described(root):
    """All files; of the manifest what does not say how the set came about."""
    files = tree(root)
    manifest = json.loads(files.pop("conceptset.json"))
    return files, manifest["counts"], manifest["digests"]


@pytest.mark.parametrize("colors", [False, True])
def test_like_one_build(people, tmp_path, colors):
    parts = [["ada.json"], ["bob.json", "ada2.json"], ["eve.json"]]
    sets = [
        build(people, files, tmp_path / f"set{place}", tmp_path, colors=colors)
        for place, files in enumerate(parts)
    ]
    whole = build(people, [*NAMES], tmp_path / "whole", tmp_path, colors=colors)
    report = merge_sets(sets, tmp_path / "merged", MergeOptions())
    assert described(tmp_path / "merged") == described(whole)
    assert validate(tmp_path / "merged").findings == validate(whole).findings
    assert (report.shared, report.twice) == (4, 0)
    assert (
        report.manifest.settings["colors"]
        == (json.loads((whole / "conceptset.json").read_text())["settings"]["colors"])
    )


def test_the_order_does_not_matter(people, tmp_path):
    sets = [
        build(people, [file], tmp_path / file.removesuffix(".json"), tmp_path)
        for file in ("ada.json", "bob.json", "eve.json")
    ]
    merge_sets(sets, tmp_path / "one", MergeOptions())
    merge_sets(sets[::-1], tmp_path / "other", MergeOptions())
    merge_sets([sets[1], sets[2], sets[0]], tmp_path / "third", MergeOptions())
    assert tree(tmp_path / "one") == tree(tmp_path / "other") == tree(tmp_path / "third")


def test_step_by_step_or_at_once(people, tmp_path):
    a, b, c = (
        build(people, [file], tmp_path / file.removesuffix(".json"), tmp_path)
        for file in ("ada.json", "bob.json", "eve.json")
    )
    merge_sets([a, b, c], tmp_path / "at_once", MergeOptions())
    merge_sets([a, b], tmp_path / "two", MergeOptions())
    merge_sets([tmp_path / "two", c], tmp_path / "steps", MergeOptions())
    assert described(tmp_path / "steps") == described(tmp_path / "at_once")


def test_a_set_and_its_copy(people, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setattr("conceptset.merge.assembly._SMALL", 1)
    whole = build(people, ["ada.json", "bob.json"], tmp_path / "whole", tmp_path)
    shutil.copytree(whole, tmp_path / "copy")
    report = merge_sets([whole, tmp_path / "copy"], tmp_path / "merged", MergeOptions(jobs=2))
    assert described(tmp_path / "merged") == described(whole)
    assert report.twice == sum(len(rows(Path(whole, "annotators", who, "index.csv")))
                               for who in ("ada", "bob"))  # fmt: skip


def test_one_set_alone(people, tmp_path):
    whole = build(people, ["ada.json", "bob.json"], tmp_path / "whole", tmp_path)
    merge_sets([whole], tmp_path / "merged", MergeOptions())
    assert described(tmp_path / "merged") == described(whole)


XML = """<annotation><filename>{image}.png</filename><folder>x</folder>
<imagesize><nrows>16</nrows><ncols>24</ncols></imagesize>{objects}</annotation>"""
OBJECT = """<object><name>{name}</name><deleted>0</deleted><verified>0</verified><id>{id}</id>
<parts><hasparts>{has}</hasparts><ispartof>{of}</ispartof></parts><polygon>
<username>{who}</username>{points}</polygon></object>"""


def labelme(world, who, image, objects):
    """A LabelMe XML file: (name, box, parts, whole) each."""
    texts = []
    for place, (name, (x, y, w, h), has, of) in enumerate(objects):
        corners = [(x, y), (x + w, y), (x + w, y + h), (x, y + h)]
        points = "".join(f"<pt><x>{a}</x><y>{b}</y></pt>" for a, b in corners)
        texts.append(OBJECT.format(name=name, id=place, has=has, of=of, who=who, points=points))
    path = world.root / who / f"{image}.xml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(XML.format(image=image, objects="".join(texts)))


def cvat(world, who, image, tags):
    """A CVAT file in which somebody gives an image tags."""
    listed = "".join(f'<tag label="{tag}" source="manual"></tag>' for tag in tags)
    text = f"""<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>
<meta><task><assignee><username>{who}</username></assignee></task></meta>
<image id="0" name="{image}.png" width="24" height="16">{listed}</image></annotations>"""
    path = world.root / who / "tags.xml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def test_parts_of_parts_and_tags(new_world, tmp_path):
    """Planes, whole-image labels, parts of parts, a name in two categories."""
    world = new_world("two")
    for seed, name in enumerate("ab"):
        world.photograph(f"{name}.png", seed=seed)
    car = [
        ("car", (0, 0, 20, 12), "1", ""),
        ("door", (2, 2, 10, 8), "2", "0"),
        ("handle", (4, 4, 3, 2), "", "1"),
        ("door", (14, 2, 4, 8), "", ""),
    ]
    moved = [(name, (x + 1, y, w, h), has, of) for name, (x, y, w, h), has, of in car]
    labelme(world, "ann", "a", car)
    labelme(world, "ben", "a", moved)
    labelme(world, "cem", "a", car[:3])
    cvat(world, "ann", "b", ["street", "night"])
    cvat(world, "ben", "b", ["street"])
    options = BuildOptions(images=world.root / "images", image_size=None)
    for who in ("ann", "ben", "cem"):
        build_set([world.root / who], tmp_path / who, options)
    everybody = [world.root / who for who in ("ann", "ben", "cem")]
    build_set(everybody, tmp_path / "whole", options)
    merge_sets([tmp_path / who for who in ("cem", "ben", "ann")], tmp_path / "new", MergeOptions())
    assert described(tmp_path / "new") == described(tmp_path / "whole")
    (row,) = (row for row in rows(tmp_path / "new/index.csv") if row["image"].endswith("a.jpg"))
    assert row["part"].count(".png") == 2  # the handle lies on the door
    assert validate(tmp_path / "new").errors == 0
