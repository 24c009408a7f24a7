"""Concept sets as annotations: regions from maps, people from their own indexes, round trips."""

from __future__ import annotations

import csv
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from conceptset.build import BuildOptions, build_set
from conceptset.cli import app
from conceptset.errors import ConceptsetError, SourceError
from conceptset.findings import Problems
from conceptset.formats import detect
from conceptset.formats.base import ReadContext
from conceptset.formats.broden import FORMAT
from conceptset.io.catalogue import ImageCatalogue
from conceptset.raster import rasterize
from conceptset.records import Person

FIXED = ("image", "split", "ih", "iw", "sh", "sw")


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def write(path, header, lines):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([header, *lines])


def labels_of(root, folder=""):
    """{end of the photograph's stem: {category: {name: where}}} of an index, by plain loops."""
    names = {int(row["number"]): row["name"] for row in rows(root / "label.csv")}
    found = {}
    for row in rows(root / folder / "index.csv"):
        image = found.setdefault(Path(row["image"]).stem.rpartition("-")[2], {})
        size = (int(row["sh"]), int(row["sw"]))
        for category in set(row) - set(FIXED):
            for entry in filter(None, row[category].split(";")):
                where = image.setdefault(category, {})
                if entry.isdigit():
                    where[names[int(entry)]] = np.ones(size, dtype=bool)
                    continue
                pixels = np.asarray(Image.open(root / "images" / entry)).astype(int)
                codes = pixels[..., 0] + 256 * pixels[..., 1]
                for number in set(codes.ravel().tolist()) - {0}:
                    before = where.get(names[number], np.zeros(size, dtype=bool))
                    where[names[number]] = before | (codes == number)
    return found


def same(one, other):
    assert one.keys() == other.keys()
    for image, categories in one.items():
        assert categories.keys() == other[image].keys()
        for category, labels in categories.items():
            assert labels.keys() == other[image][category].keys(), (image, category)
            for name, where in labels.items():
                assert (where == other[image][category][name]).all(), (image, category, name)


class Hand:
    """A set made by hand: two photographs, maps of half their size, no manifest."""

    def __init__(self, root, size=(8, 12)):
        self.root = root
        self.size = size
        (root / "images/cam").mkdir(parents=True)
        for seed, name in enumerate("ab"):
            pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / f"images/cam/{name}.jpg")
        self.labels = np.zeros((size[0] // 2, size[1] // 2), dtype=int)
        self.labels[:2, :2] = 1
        self.labels[2:, 3:] = 300
        self.map("cam/a_object.png", self.labels)
        self.cells = {"a": ["cam/a_object.png", ""], "b": ["", "4;7"]}
        self.header = [*FIXED, "object", "scene"]
        self.lines = [[1, "cat"], [4, "street"], [7, "night"], [300, "dog"]]

    def map(self, name, labels):
        pixels = np.stack([labels % 256, labels // 256, 0 * labels], axis=-1).astype(np.uint8)
        Image.fromarray(pixels).save(self.root / "images" / name)

    def write(self):
        sides = (*self.size, *self.labels.shape)
        cells = [[f"cam/{n}.jpg", "train", *sides, *own] for n, own in self.cells.items()]
        write(self.root / "index.csv", self.header, cells)
        write(self.root / "label.csv", ["number", "name"], self.lines)
        write(self.root / "category.csv", ["name"], [["object"], ["scene"]])
        return self.root


@pytest.fixture
def hand(tmp_path):
    return Hand(tmp_path / "hand")


@pytest.fixture
def read(read_format):
    def run(root, **options):
        return read_format(FORMAT, root, root / "images", label="set", **options)

    return run


def test_regions_tags_and_places(hand, read):
    records, findings = read(hand.write())
    assert findings == []
    first, second = records
    assert (first.image, first.size, first.frame) == ("cam/a.jpg", (8, 12), "stored")
    assert (first.workers, first.file_person) == ((), None)
    assert [(r.name, r.kind, r.category, r.person) for r in first.regions] == [
        ("cat", "region", "object", None),
        ("dog", "region", "object", None),
    ]
    assert (first.origin.file, first.origin.pointer) == ("set/index.csv", "line 2")
    for region, number in zip(first.regions, (1, 300), strict=True):
        big = (hand.labels == number).repeat(2, axis=0).repeat(2, axis=1)
        assert (rasterize(region.geometry, (8, 12)) == big).all()
    assert [(r.name, r.kind, r.category, r.geometry) for r in second.regions] == [
        ("street", "tag", "scene", None),
        ("night", "tag", "scene", None),
    ]


def test_prefixed_paths_and_blanks(hand, read):
    hand.cells["a"] = ["images\\cam\\a_object.png; ;cam/a_object.png", "0"]
    hand.write()
    text = (hand.root / "index.csv").read_text().replace("cam/b.jpg", "images\\cam\\b.jpg")
    (hand.root / "index.csv").write_text("\ufeff" + text.replace("\n", "\r\n"))
    records, findings = read(hand.root)
    assert findings == []
    assert [len(record.regions) for record in records] == [2, 2]


def test_what_is_reported(hand, read):
    hand.cells = {"a": ["cam/a_object.png;cam/none.png", "99"], "b": ["cam/b_object.png", "../x"]}
    hand.header.append("Bad Name")
    for own in hand.cells.values():
        own.append("")
    hand.labels[0, 0] = 55
    hand.map("cam/a_object.png", hand.labels)
    (hand.root / "images/cam/b_object.png").write_bytes(b"no image")
    hand.lines += [["", "nothing"], [1, "again"], [0, "void"]]
    hand.write()
    rest = [8, 12, 4, 6, "", "", ""]
    lines = [[name, "val", *rest] for name in ("cam/a.jpg", "/etc/x", "cam/z.jpg")]
    with (hand.root / "index.csv").open("a", newline="") as stream:
        csv.writer(stream).writerows(lines)
    records, findings = read(hand.root)
    codes = sorted((finding.code, finding.path, finding.pointer) for finding in findings)
    assert codes == [
        ("SRC001", "set/index.csv", "line 6"),
        ("SRC006", "set/index.csv", "line 3"),
        ("SRC006", "set/index.csv", "line 5"),
        ("SRC025", "set/index.csv", "line 2"),
        ("SRC026", "set/index.csv", "line 3"),
        ("SRC095", "set/index.csv", "line 2"),
        ("SRC095", "set/index.csv", "line 2"),
        ("SRC096", "set/index.csv", "line 4"),
        ("SRC096", "set/label.csv", "line 6"),
        ("SRC096", "set/label.csv", "line 7"),
        ("SRC097", "set/index.csv", "line 1"),
    ]
    assert [region.name for region in records[0].regions] == ["cat", "dog"]


@pytest.mark.parametrize(
    ("file", "text"),
    [("label.csv", "number\n1\n"), ("index.csv", "photo\na\n"), ("label.csv", "number,name\n1\n")],
)
def test_tables_that_cannot_be_used(hand, read, file, text):
    (hand.write() / file).write_text(text)
    with pytest.raises(SourceError):
        read(hand.root)


def test_detection(hand, tmp_path):
    hand.write()
    (found,) = (one for one in detect(hand.root) if one.matches)
    assert (found.format, found.people) == ("broden", None)
    assert "validate, repair and merge" in found.reasons[1]
    (hand.root / "category.csv").unlink()
    said = {one.format: one for one in detect(hand.root)}["broden"]
    assert (said.matches, said.reasons) == (False, ("has no category.csv",))
    said = {one.format: one for one in detect(hand.root / "index.csv")}["broden"]
    assert not said.matches


def test_a_set_beside_other_annotations_is_no_source(hand, tmp_path):
    """Only who names a concept set gets it read."""
    world = tmp_path / "world"
    (world / "images").mkdir(parents=True)
    Image.new("RGB", (12, 8)).save(world / "images/x.png")
    document = {
        "images": [{"id": 1, "file_name": "x.png", "height": 8, "width": 12}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]]}
        ],
    }
    (world / "a.json").write_text(json.dumps(document))
    build_set([world / "a.json"], world / "set", BuildOptions(annotator="ann"))
    build_set([world], tmp_path / "new", BuildOptions(annotator="ann"))
    assert len(rows(tmp_path / "new/index.csv")) == 1
    report = build_set([world / "set"], tmp_path / "from_set", BuildOptions(image_size=None))
    assert [entry.format for entry in report.manifest.sources] == ["broden"]
    assert rows(tmp_path / "from_set/annotators.csv")[0]["annotator"] == "ann"


# round trips


def masks_of(root):
    """Ignored and undecided pixels, by where they lie."""
    return {
        path.relative_to(root / "images").as_posix().replace("images-", ""): np.asarray(
            Image.open(path)
        )
        for kind in ("ignore", "undecided")
        for path in root.rglob(f"*_{kind}.png")
    }


def polygons(root, people, size=(32, 48)):
    """COCO files of several people over the same photographs; crowds are abstentions."""
    (root / "images").mkdir(parents=True)
    for seed, name in enumerate("abc"):
        pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / f"images/{name}.png")
    for place, person in enumerate(people):
        chance = np.random.default_rng(100 + place)
        annotations = []
        for number in range(9):
            x, y = chance.integers(0, 30, 2)
            w, h = chance.integers(5, 18, 2)
            x, y, w, h = map(int, (x, y, w, h))
            ring = [x, y, x + w, y, x + w, y + h, x, y + h]
            crowd = number % 3 == 0
            counts = [0, 200 + number, size[0] * size[1] - 200 - number]
            shape = {"size": list(size), "counts": counts} if crowd else [ring]
            annotations.append(
                {"id": number, "image_id": number % 2 + 1, "category_id": number % 4,
                 "segmentation": shape, "iscrowd": int(crowd)}
            )  # fmt: skip
        document = {
            "images": [
                {"id": i, "file_name": f"{n}.png", "height": size[0], "width": size[1]}
                for i, n in enumerate("abc", start=1)
            ],
            "categories": [{"id": i, "name": n} for i, n in enumerate(["car", "sky", "cat", "x"])],
            "annotations": annotations,
        }
        (root / f"{person}.json").write_text(json.dumps(document))
    return [root / f"{person}.json" for person in people]


@pytest.mark.parametrize("people", [["ann"], ["ann", "ben", "cem"]])
@pytest.mark.parametrize("size", [None, (33, 47)])
def test_round_trip_of_our_own_sets(tmp_path, people, size):
    """Half-size maps, stretched over the photograph and halved again, are the same maps."""
    sources = polygons(tmp_path / "world", people)
    built = BuildOptions(annotator_from="file", image_size=size, colors=True)
    build_set(sources, tmp_path / "one", built)
    again = BuildOptions(image_size=None, colors=True)
    report = build_set([tmp_path / "one"], tmp_path / "two", again)
    assert report.findings == ()
    one, two = tmp_path / "one", tmp_path / "two"
    same(labels_of(one), labels_of(two))
    who = [row["annotator"] for row in rows(two / "annotators.csv")]
    assert who == people
    for person in people:
        folder = f"annotators/{person}"
        same(labels_of(one, folder), labels_of(two, folder))
        assert len(rows(two / folder / "index.csv")) == 3  # the third was looked at and left empty
    before, after = masks_of(one), masks_of(two)
    assert before.keys() == after.keys()
    assert all((before[name] == after[name]).all() for name in before)
    assert sum("ignore" in name for name in before) >= len(people)
    names = [(row["number"], row["name"]) for row in rows(one / "label.csv")]
    assert [(row["number"], row["name"]) for row in rows(two / "label.csv")] == names


XML = """<annotation><filename>a.png</filename><folder>x</folder>
<imagesize><nrows>32</nrows><ncols>48</ncols></imagesize>{}</annotation>"""
OBJECT = """<object><name>{0}</name><deleted>0</deleted><verified>0</verified><id>{1}</id>
<parts><hasparts>{2}</hasparts><ispartof>{3}</ispartof></parts><polygon><username>ann</username>
<pt><x>{4}</x><y>{5}</y></pt><pt><x>{6}</x><y>{5}</y></pt><pt><x>{6}</x><y>{7}</y></pt>
<pt><x>{4}</x><y>{7}</y></pt></polygon></object>"""


def test_round_trip_of_parts_of_parts(tmp_path):
    root = tmp_path / "world"
    (root / "images").mkdir(parents=True)
    Image.new("RGB", (48, 32)).save(root / "images/a.png")
    objects = [
        ("car", 0, "1,3", "", 0, 0, 30, 24),
        ("door", 1, "2", "0", 4, 4, 20, 20),
        ("handle", 2, "", "1", 6, 6, 12, 10),
        ("wheel", 3, "", "0", 20, 18, 28, 24),
        ("house", 4, "5", "", 32, 0, 46, 30),
        ("door", 5, "", "4", 36, 10, 42, 30),
    ]
    (root / "a.xml").write_text(XML.format("".join(OBJECT.format(*one) for one in objects)))
    build_set([root / "a.xml"], tmp_path / "one", BuildOptions(image_size=None))
    build_set([tmp_path / "one"], tmp_path / "two", BuildOptions(image_size=None))
    same(labels_of(tmp_path / "one"), labels_of(tmp_path / "two"))
    (row,) = rows(tmp_path / "two/index.csv")
    assert row["part"].count(".png") == 2
    text = (tmp_path / "two/annotators/ann/segments.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    whole = {
        line["concept"]: lines[line["part_of"]]["concept"]
        for line in lines
        if line["part_of"] is not None
    }
    assert whole["handle"] == "door"
    assert whole["wheel"] == "car"


def test_sessions_and_people_keep_their_names(tmp_path, read):
    sources = polygons(tmp_path / "world", ["ann", "ann2"])
    table = tmp_path / "who.csv"
    table.write_text("file,annotator\nann.json,ann\nann2.json,ann#2\n")
    build_set(sources, tmp_path / "one", BuildOptions(annotator_from=str(table)))
    records, findings = read(tmp_path / "one")
    assert findings == []
    assert records[0].workers == (Person("ann", 1), Person("ann", 2))
    assert {region.person for region in records[0].regions} == set(records[0].workers)
    assert {region.kind for region in records[0].regions} == {"region", "ignore"}


def test_the_taxonomy_of_a_set_changes_nothing(tmp_path, hand):
    hand.cells["a"] = ["cam/a_object.png", ""]
    hand.header.append("material")
    for own in hand.cells.values():
        own.append("")
    hand.map("cam/a_material.png", np.where(hand.labels == 300, 0, 300 * (hand.labels == 1)))
    hand.cells["a"][2] = "cam/a_material.png"
    hand.write()
    run = CliRunner()
    result = run.invoke(app, ["taxonomy", str(hand.root), "--out", str(tmp_path / "names.csv")])
    assert result.exit_code == 0, result.output
    listed = {(row["name"], row["category"]) for row in rows(tmp_path / "names.csv")}
    assert {("dog", "object"), ("dog", "material"), ("street", "scene")} <= listed
    plain = BuildOptions(annotator="ann", image_size=None)
    build_set([hand.root], tmp_path / "one", plain)
    told = BuildOptions(annotator="ann", image_size=None, taxonomy=tmp_path / "names.csv")
    build_set([hand.root], tmp_path / "two", told)
    same(labels_of(tmp_path / "one"), labels_of(tmp_path / "two"))


@pytest.mark.real
def test_the_peers_own_layout(shared, tmp_path, read):
    """Maps in several planes, whole-image labels, gaps in the numbers; by plain loops."""
    root = shared / "parity/synth40/dataset"
    records, findings = read(root)
    assert findings == []
    assert len(records) == 40
    expected = labels_of(root)
    for record in records:
        mine = {}
        for region in record.regions:
            assert region.person is None
            size = record.size
            where = np.ones(size, dtype=bool)
            if region.kind != "tag":
                where = rasterize(region.geometry, size)
            own = mine.setdefault(region.category, {})
            own[region.name] = own.get(region.name, np.zeros(size, dtype=bool)) | where
        wanted = {
            category: {n: w.repeat(2, axis=0).repeat(2, axis=1) for n, w in labels.items()}
            for category, labels in expected[Path(record.image).stem].items()
        }
        same({"": mine}, {"": wanted})
    build_set([root], tmp_path / "set", BuildOptions(image_size=None, annotator="broden"))
    before, after = expected, labels_of(tmp_path / "set")
    for categories in (*before.values(), *after.values()):
        categories.pop("part", None)  # two maps of it lie over each other, whole or not
    same(
        {f"synth-{k}": v for k, v in before.items()} if "synth-im_0000" in after else before, after
    )


# hostile input

CELL = st.sampled_from(
    [
        *("", "0", "1", "-1", "4;300", "99999999999999999999", "nan", "1e5", "\x00", '"', ";;"),
        *("cam/a_object.png", "cam/a.jpg", "../../etc/passwd", "C:\\x.png", "cam", "\u202e"),
        *("a\n", "a" * 300),
    ]
)


@settings(max_examples=150)
@given(
    table=st.sampled_from(["index.csv", "label.csv", "category.csv"]),
    changes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 9), CELL), max_size=4),
    blob=st.one_of(st.none(), st.binary(max_size=120)),
    on_error=st.sampled_from(["collect", "raise", "skip"]),
)
def test_only_our_errors_come_out(table, changes, blob, on_error):
    with tempfile.TemporaryDirectory() as folder:
        root = Hand(Path(folder, "set")).write()
        path = root / table
        lines = path.read_bytes().split(b"\n")
        for line, column, text in changes:
            cells = lines[line % len(lines)].split(b",")
            cells[column % len(cells)] = text.encode()
            lines[line % len(lines)] = b",".join(cells)
        path.write_bytes(b"\n".join(lines) if blob is None else blob)
        detect(root)
        try:
            FORMAT.image_names(root)
            context = ReadContext(ImageCatalogue(root / "images"), Problems(on_error), "set")
            for record in FORMAT.read(root, context):
                for region in record.regions:
                    if region.geometry is not None:
                        rasterize(region.geometry, record.size)
        except ConceptsetError:
            return
