"""What a build promises: rules of painting, people, splits, limits, identity, safety."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.build.fitting import fit_to
from conceptset.build.members import Layers
from conceptset.build.options import parse_aliases, parse_size, parse_split
from conceptset.build.splitting import draw_split, identity_of
from conceptset.build.vocabulary import Usage, number_concepts
from conceptset.consensus import METHODS
from conceptset.errors import (
    AnnotationError,
    ImageError,
    LayoutError,
    SourceError,
    TaxonomyError,
    UnsafeError,
    UsageError,
)
from conceptset.io.images import read_codes
from conceptset.layout.reading import open_concept_set
from conceptset.validate import validate

KEEP = {"image_size": None, "segmentation_size": None}
SIZE = (16, 24)


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def tree(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def pixels_of(path):
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def numbers(out):
    return {row["name"]: int(row["number"]) for row in rows_of(out / "label.csv")}


def same_size(**more):
    """Options under which maps have the photograph's own size."""
    return BuildOptions(image_size=SIZE, segmentation_size=SIZE, **more)


@pytest.fixture
def one(world):
    world.photograph("a.png")
    return world


def build_one(world, out, annotations, options=None, **extra):
    source = world.coco("coco.json", {"a.png": SIZE}, annotations, **extra)
    return build_set([source], out, options or same_size())


def test_larger_regions_are_painted_first_and_equal_ones_in_order(one, tmp_path):
    drawn = [("a.png", "small", (4, 4, 4, 4)), ("a.png", "big", (0, 0, 12, 12))]
    twins = [("a.png", "first", (14, 0, 4, 4)), ("a.png", "second", (16, 0, 4, 4))]
    build_one(one, tmp_path / "set", drawn + twins)
    label = numbers(tmp_path / "set")
    pixels = read_codes(tmp_path / "set/images/images/a_object.png")
    assert (pixels[4:8, 4:8] == label["small"]).all()
    assert (pixels == label["big"]).sum() == 144 - 16
    assert (pixels[0:4, 14:16] == label["first"]).all()
    assert (pixels[0:4, 16:20] == label["second"]).all()


def test_overlap_order_follows_the_document(one, tmp_path):
    drawn = [("a.png", "small", (4, 4, 4, 4)), ("a.png", "big", (0, 0, 12, 12))]
    build_one(one, tmp_path / "set", drawn, same_size(overlap="order"))
    assert set(numbers(tmp_path / "set")) == {"big"}  # small is hidden, so it has no image


def test_the_map_is_one_nearest_reduction_of_the_source(one, tmp_path):
    rng = np.random.default_rng(3)
    drawn = [
        ("a.png", f"n{place}", tuple(rng.integers(0, 12, 4) + np.array([0, 0, 1, 1])))
        for place in range(5)
    ]
    drawn = [(image, name, tuple(map(int, shape))) for image, name, shape in drawn]
    build_one(one, tmp_path / "full", drawn)
    build_one(
        one, tmp_path / "less", drawn, BuildOptions(image_size=(9, 10), segmentation_size=(5, 7))
    )
    full = read_codes(tmp_path / "full/images/images/a_object.png")
    less = read_codes(tmp_path / "less/images/images/a_object.png")
    names = {number: name for name, number in numbers(tmp_path / "full").items()}
    new = numbers(tmp_path / "less")
    translate = np.array([0] + [new.get(names[n], 0) for n in range(1, len(names) + 1)])
    expected = Image.fromarray(translate[full].astype(np.uint8)).resize(
        (7, 5), Image.Resampling.NEAREST
    )
    assert (less == np.asarray(expected)).all()


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_photograph_and_map_stay_aligned(one, tmp_path, fit):
    """A white box drawn as a region is where the map says it is, whatever the fit."""
    pixels = np.zeros((40, 60, 3), dtype=np.uint8)
    pixels[10:30, 20:40] = 255
    Image.fromarray(pixels).save(one.root / "images/a.png")
    source = one.coco("coco.json", {"a.png": (40, 60)}, [("a.png", "box", (20, 10, 20, 20))])
    options = BuildOptions(
        image_size=(48, 48), segmentation_size=(48, 48), fit=fit, image_format="png"
    )
    build_set([source], tmp_path / "set", options)
    photo = pixels_of(tmp_path / "set/images/images/a.png")[..., 0] > 127
    label = read_codes(tmp_path / "set/images/images/a_object.png") > 0
    if fit == "pad":
        photo[:8] = photo[40:] = False  # the grey margin
    assert (photo & label).sum() / (photo | label).sum() > 0.85


def test_a_photograph_of_the_right_size_and_format_is_copied(world, tmp_path):
    path = world.photograph("a.jpg", quality=80)
    source = world.coco("coco.json", {"a.jpg": SIZE}, [("a.jpg", "x", (0, 0, 9, 9))])
    build_set([source], tmp_path / "set", same_size())
    assert (tmp_path / "set/images/images/a.jpg").read_bytes() == path.read_bytes()


def test_a_photograph_that_exif_turns_is_stored_as_it_was_annotated(world, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = world.photograph("a.jpg", (16, 24), exif=exif, quality=95)
    upright = world.coco("u.json", {"a.jpg": (24, 16)}, [("a.jpg", "x", (0, 0, 8, 24))])
    raster = world.coco("s.json", {"a.jpg": (16, 24)}, [("a.jpg", "x", (0, 0, 8, 16))])
    keep = BuildOptions(image_size=None, image_format="png")
    build_set([upright], tmp_path / "u", keep)
    build_set([raster], tmp_path / "s", keep)
    raw = pixels_of(stored)
    assert (pixels_of(tmp_path / "u/images/images/a.png") == np.rot90(raw, -1)).all()
    assert (pixels_of(tmp_path / "s/images/images/a.png") == raw).all()
    with pytest.raises(AnnotationError, match=r"\[SRC032\]"):
        build_set([upright, raster], tmp_path / "both", keep)


def test_crowds_are_painted_and_marked(one, tmp_path):
    crowd = {"iscrowd": 1, "segmentation": {"size": [16, 24], "counts": [0, 16 * 8, 16 * 16]}}
    drawn = [("a.png", "people", crowd), ("a.png", "man", (2, 2, 3, 3))]
    report = build_one(one, tmp_path / "set", drawn, same_size(annotator="ada"))
    label = numbers(tmp_path / "set")
    pixels = read_codes(tmp_path / "set/images/images/a_object.png")
    ignored = read_codes(tmp_path / "set/images/annotators/ada/images/a_object_ignore.png")
    assert ((ignored == 255) == (pixels == label["people"])).all()
    assert (pixels == label["people"]).sum() == 16 * 8 - 9
    lines = (tmp_path / "set/annotators/ada/segments.jsonl").read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["ignore", "region"]
    assert report.manifest.counts.segments == 2


def test_boxes_enter_only_if_asked_for(one, tmp_path):
    drawn = [("a.png", "x", {"bbox": [2, 3, 4, 5]}), ("a.png", "y", (10, 10, 4, 4))]
    report = build_one(one, tmp_path / "without", drawn)
    assert list(report.manifest.counts.left_out.values()) == [1]
    assert set(numbers(tmp_path / "without")) == {"y"}
    build_one(one, tmp_path / "with", drawn, same_size(boxes=True))
    label = numbers(tmp_path / "with")["x"]
    assert (read_codes(tmp_path / "with/images/images/a_object.png") == label).sum() == 20


def test_a_tag_holds_when_more_than_half_gave_it(one, tmp_path):
    files = [
        one.coco(f"{who}.json", {"a.png": SIZE}, [("a.png", "x", (0, 0, 4, 4)), *tags])
        for who, tags in {
            "ada": [("a.png", "dark", {}), ("a.png", "wet", {})],
            "ben": [("a.png", "dark", {})],
            "cy": [],
        }.items()
    ]
    build_set(files, tmp_path / "set", same_size(annotator_from="file"))
    label = numbers(tmp_path / "set")
    (root,) = rows_of(tmp_path / "set/index.csv")
    (ada,) = rows_of(tmp_path / "set/annotators/ada/index.csv")
    assert root["scene"] == str(label["dark"])
    assert ada["scene"] == f"{label['dark']};{label['wet']}"
    (wet,) = [row for row in rows_of(tmp_path / "set/c_scene.csv") if row["name"] == "wet"]
    assert (wet["frequency"], wet["coverage"]) == ("0", "1.000000000")


def test_one_person_is_not_written_twice(one, tmp_path):
    build_one(one, tmp_path / "set", [("a.png", "x", (0, 0, 4, 4))], same_size(annotator="ada"))
    assert (tmp_path / "set/annotators/ada/index.csv").read_bytes() == (
        tmp_path / "set/index.csv"
    ).read_bytes()
    assert not (tmp_path / "set/images/annotators").exists()


def test_whoever_looked_and_found_nothing_has_the_image_in_the_index(world, tmp_path):
    for name in ("a.png", "b.png", "c.png"):
        world.photograph(name)
    images = dict.fromkeys(["a.png", "b.png"], SIZE)
    ada = world.coco("ada.json", images, [("a.png", "x", (0, 0, 9, 9))])
    document = json.loads(ada.read_text())
    for entry in document["images"]:
        entry["annotator"] = "ada"
    ada.write_text(json.dumps(document))
    ben = world.coco("ben.json", {**images, "c.png": SIZE}, [("a.png", "x", (0, 0, 9, 9))])
    report = build_set([ada, ben], tmp_path / "set", same_size())
    index = {p: [r["image"] for r in rows_of(tmp_path / f"set/annotators/{p}/index.csv")]
             for p in ("ada", "unnamed")}  # fmt: skip
    assert index == {"ada": ["images/a.jpg", "images/b.jpg"], "unnamed": ["images/a.jpg"]}
    assert len(rows_of(tmp_path / "set/index.csv")) == 2  # b is empty but was looked at
    assert sum(report.manifest.counts.left_out.values()) == 1  # nobody worked on c


def test_aliases_join_two_spellings(one, tmp_path):
    files = [
        one.coco(f"{who}.json", {"a.png": SIZE}, [("a.png", "x", (place, 0, 4, 4))])
        for place, who in enumerate(["ada", "Ada L."])
    ]
    options = same_size(annotator_from="file", aliases={"Ada L.": "ada"})
    build_set(files, tmp_path / "set", options)
    assert [row["annotator"] for row in rows_of(tmp_path / "set/annotators.csv")] == ["ada"]


def test_hostile_annotator_names_become_safe_directories(one, tmp_path):
    names = ["../../etc", "a/b", "A-B", "con", "=cmd|x", "\u202egpj", "x" * 5000]
    for place, name in enumerate(names):
        path = one.coco(f"f{place}.json", {"a.png": SIZE}, [("a.png", "x", (0, 0, 4, 4))])
        document = json.loads(path.read_text())
        document["images"][0]["annotator"] = name
        path.write_text(json.dumps(document))
    build_set(sorted(one.root.glob("f*.json")), tmp_path / "set", same_size())
    directories = [row["directory"] for row in rows_of(tmp_path / "set/annotators.csv")]
    assert len({name.lower() for name in directories}) == len(names)
    for name in directories:
        assert (tmp_path / "set/annotators" / name / "index.csv").is_file()
        assert len(name) < 130


def test_a_label_in_two_categories_is_painted_once(one, tmp_path):
    """`door` is an object and a part; where one person drew both, the primary category keeps it."""
    taxonomy = tmp_path / "t.csv"
    taxonomy.write_text(
        "name,concept,category\nDOOR,door,object\ngate,door,material\nwall,wall,material\n"
    )
    drawn = [
        ("a.png", "DOOR", (0, 0, 10, 10)),
        ("a.png", "gate", (5, 5, 8, 8)),
        ("a.png", "wall", (14, 0, 4, 4)),
    ]
    build_one(one, tmp_path / "set", drawn, same_size(taxonomy=taxonomy))
    label = numbers(tmp_path / "set")["door"]
    objects = read_codes(tmp_path / "set/images/images/a_object.png") == label
    materials = read_codes(tmp_path / "set/images/images/a_material.png") == label
    assert objects.sum() == 100
    assert materials.sum() == 64 - 25
    assert not (objects & materials).any()
    assert open_concept_set(tmp_path / "set").primary()[label] == "object"


def test_limits_and_taxonomy_leave_concepts_out(one, tmp_path):
    one.photograph("b.png")
    images = {"a.png": SIZE, "b.png": SIZE}
    drawn = [("a.png", "often", (0, 0, 4, 4)), ("b.png", "often", (0, 0, 4, 4)),
             ("a.png", "once", (8, 8, 4, 4)), ("b.png", "junk", (8, 0, 2, 2))]  # fmt: skip
    source = one.coco("coco.json", images, drawn)
    taxonomy = tmp_path / "t.csv"
    taxonomy.write_text("name,concept,category\njunk,,\n")
    report = build_set([source], tmp_path / "set", same_size(min_frequency=2, taxonomy=taxonomy))
    assert set(numbers(tmp_path / "set")) == {"often"}
    assert report.dropped == ("once",)
    assert report.manifest.counts.left_out == {"left out by the taxonomy": 1}
    with pytest.raises(SourceError, match="no label is left"):
        build_set([source], tmp_path / "none", same_size(min_frequency=3))
    assert not (tmp_path / "none").exists()


def test_more_labels_than_the_layout_can_number_are_refused():
    """Peers keep labels in 16 bits with a sign: 32767 is the last one."""
    many = [f"n{place:05}" for place in range(32_768)]
    identifiers = {name: place for place, name in enumerate(many, start=1)}
    everywhere = Layers.of((1, 1), {}, ignores={}, tags=(), people=())
    usage = Usage()
    usage.add(replace(everywhere, union=dict.fromkeys(identifiers.values(), 1)))
    with pytest.raises(UsageError, match=r"32768 concepts.*32767.*--taxonomy"):
        number_concepts(usage, identifiers, min_frequency=1, min_coverage=0)
    del identifiers["n32767"], usage.frequency[32_768]
    names = number_concepts(usage, identifiers, min_frequency=1, min_coverage=0).names
    assert len(names) == 32_767


def test_numbers_fall_with_use_and_do_not_depend_on_the_consensus(world, tmp_path):
    images = {f"{place}.png": SIZE for place in range(4)}
    for name in images:
        world.photograph(name)
    files = []
    for who, words in {"ada": "aab", "ben": "bca"}.items():
        drawn = [
            (image, word, (3 * place, 0, 3, 3 + place))
            for image in list(images)[: 4 if who == "ada" else 3]
            for place, word in enumerate(words)
        ]
        files.append(world.coco(f"{who}.json", images, drawn))
    tables = []
    for method in (*METHODS, "ada", "ben"):
        out = tmp_path / method
        build_set(files, out, same_size(annotator_from="file", consensus=method))
        tables.append(numbers(out))
        rows = rows_of(out / "annotators/ada/label.csv") if method == "ada" else []
        assert [r["frequency"] for r in rows] == [
            r["frequency"] for r in rows_of(out / "label.csv")
        ][: len(rows)]
        assert validate(out).errors == 0
    assert all(table == tables[0] for table in tables)
    assert list(tables[0]) == ["a", "b", "c"]


def test_the_split_is_drawn_from_the_image_alone(world, tmp_path):
    names = [f"seq{place % 3}/{place}.png" for place in range(12)]
    for name in names:
        world.photograph(name)
    drawn = [(name, "x", (0, 0, 9, 9)) for name in names]
    few = world.coco("few.json", dict.fromkeys(names[:6], SIZE), drawn[:6])
    all_ = world.coco("all.json", dict.fromkeys(names, SIZE), drawn)
    build_set([few], tmp_path / "few", same_size())
    build_set([all_], tmp_path / "all", same_size())
    first = {row["image"]: row["split"] for row in rows_of(tmp_path / "few/index.csv")}
    second = {row["image"]: row["split"] for row in rows_of(tmp_path / "all/index.csv")}
    assert first.items() <= second.items()
    build_set([all_], tmp_path / "seq", same_size(split={"a": "0.5", "b": "0.5"}, split_by="."))
    parts = {}
    for row in rows_of(tmp_path / "seq/index.csv"):
        parts.setdefault(row["image"].split("/")[1][:4], set()).add(row["split"])
    assert all(len(splits) == 1 for splits in parts.values())


def test_the_split_has_the_shares_it_was_told():
    shares = {"train": "0.7", "val": "0.2", "test": "0.1"}
    drawn = [draw_split(str(place), shares) for place in range(5000)]
    for name, share in shares.items():
        assert drawn.count(name) / 5000 == pytest.approx(float(share), abs=0.02)
    assert identity_of("videos/7/a.png", "ff", "videos") == "folder videos/7"
    assert identity_of("stills/a.png", "ff", "videos") == "ff"


def test_equal_bytes_are_one_image_and_unequal_ones_are_refused(world, tmp_path):
    other = world.root / "copy"
    other.mkdir()
    path = world.photograph("a.png")
    (other / "a.png").write_bytes(path.read_bytes())
    mine = world.coco("coco.json", {"a.png": SIZE}, [("a.png", "x", (0, 0, 4, 4))])
    (other / "ben.json").write_text(mine.read_text())
    options = same_size(annotator_from="file")
    report = build_set([mine, other / "ben.json"], tmp_path / "one", options)
    assert report.manifest.counts.images == 1
    Image.new("RGB", (24, 16)).save(other / "a.png")
    with pytest.raises(UsageError, match=r"different bytes.*--match path"):
        build_set([mine, other / "ben.json"], tmp_path / "no", options)
    joined = build_set(
        [mine, other / "ben.json"], tmp_path / "path", options.model_copy(update={"match": "path"})
    )
    apart = build_set(
        [mine, other / "ben.json"],
        tmp_path / "bytes",
        options.model_copy(update={"match": "bytes"}),
    )
    assert (joined.manifest.counts.images, apart.manifest.counts.images) == (1, 2)
    Image.new("RGB", (23, 16)).save(other / "a.png")
    document = json.loads(mine.read_text())
    document["images"][0]["width"] = 23
    (other / "ben.json").write_text(json.dumps(document))
    with pytest.raises(ImageError, match=r"16 x 24 pixels \(stored\), .*a.png has 16 x 23"):
        build_set(
            [mine, other / "ben.json"],
            tmp_path / "size",
            options.model_copy(update={"match": "path"}),
        )


def test_two_names_of_one_photograph_in_one_folder_are_reported(world, tmp_path):
    path = world.photograph("a.png")
    (world.root / "images/b.png").write_bytes(path.read_bytes())
    source = world.coco("coco.json", dict.fromkeys(["a.png", "b.png"], SIZE),
                        [("a.png", "x", (0, 0, 4, 4)), ("b.png", "y", (8, 0, 4, 4))])  # fmt: skip
    report = build_set([source], tmp_path / "set", same_size())
    assert [finding.code for finding in report.findings] == ["SRC033"]
    assert report.manifest.counts.images == 1


def test_names_that_clash_stay_apart(world, tmp_path):
    names = ["a.png", "A.jpg", "a_object.png", "d/e.png", "d-e.png", "ü.png", "u.png"]
    for name in names:
        world.photograph(name)
    source = world.coco(
        "coco.json", dict.fromkeys(names, SIZE), [(n, "x", (0, 0, 9, 9)) for n in names]
    )
    build_set([source], tmp_path / "set", same_size(image_format="png"))
    files = [p.name.lower() for p in (tmp_path / "set/images/images").iterdir()]
    assert len(files) == len(set(files)) == 2 * len(names)
    originals = {row["original"] for row in rows_of(tmp_path / "set/images.csv")}
    assert originals == set(names)


def test_same_input_same_bytes_for_any_number_of_jobs(world, tmp_path):
    images = {f"{place}.png": SIZE for place in range(60)}
    for name in images:
        world.photograph(name)
    drawn = [(name, f"n{place % 7}", (place % 9, 0, 5, 6)) for place, name in enumerate(images)]
    source = world.coco("coco.json", images, drawn)
    trees = []
    for name, jobs in [("a", 1), ("b", 1), ("c", 2)]:
        build_set([source], tmp_path / name, same_size(jobs=jobs))
        trees.append(tree(tmp_path / name))
    assert trees[0] == trees[1] == trees[2]


def test_an_existing_set_is_left_alone_unless_told(one, tmp_path):
    drawn = [("a.png", "x", (0, 0, 4, 4))]
    build_one(one, tmp_path / "set", drawn)
    before = tree(tmp_path / "set")
    with pytest.raises(UsageError, match="exists already"):
        build_one(one, tmp_path / "set", drawn)
    with pytest.raises(AnnotationError):
        build_one(
            one,
            tmp_path / "set",
            [("a.png", "x", {"segmentation": [[1, 2]]})],
            same_size(overwrite=True),
        )
    assert tree(tmp_path / "set") == before
    build_one(one, tmp_path / "set", [("a.png", "y", (0, 0, 4, 4))], same_size(overwrite=True))
    assert set(numbers(tmp_path / "set")) == {"y"}
    assert [p.name for p in tmp_path.iterdir() if "partial" in p.name] == []


def test_overwrite_never_removes_what_is_no_concept_set(one, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="replaces concept sets only"):
        build_one(one, home, [("a.png", "x", (0, 0, 4, 4))], same_size(overwrite=True))
    assert (home / "thesis.txt").read_text() == "years of work"


def truncated(world):
    path = world.photograph("a.jpg", (64, 64), quality=95)
    path.write_bytes(path.read_bytes()[:-900])
    return "a.jpg", (64, 64)


def bomb(world):
    import struct
    import zlib

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    (world.root / "images/a.png").write_bytes(data)
    return "a.png", (60_000, 60_000)


def text(world):
    (world.root / "images/a.jpg").write_text("not an image")
    return "a.jpg", (16, 24)


def missing(_world):
    return "a.jpg", (16, 24)


@pytest.mark.parametrize(
    ("make", "code", "message"),
    [
        (truncated, "SRC003", "cannot be decoded"),
        (bomb, "SRC003", "89478485 pixels"),
        (text, "SRC003", "not an image of a known format"),
        (missing, "SRC001", "does not exist"),
    ],
    ids=["truncated", "bomb", "text", "missing"],
)
def test_a_bad_photograph_is_named_and_can_be_left_out(world, tmp_path, make, code, message):
    bad, size = make(world)
    world.photograph("good.png")
    source = world.coco("coco.json", {bad: size, "good.png": SIZE},
                        [(bad, "x", (0, 0, 9, 9)), ("good.png", "x", (0, 0, 9, 9))])  # fmt: skip
    options = same_size(images=world.root / "images")
    with pytest.raises((AnnotationError, UnsafeError), match=message) as caught:
        build_set([source], tmp_path / "set", options)
    assert caught.value.exit_code == 3
    assert bad in str(caught.value)
    assert list(tmp_path.glob("set*")) == []
    report = build_set(
        [source], tmp_path / "set", options.model_copy(update={"on_error": "collect"})
    )
    assert [finding.code for finding in report.findings] == [code]
    assert report.manifest.counts.images == 1


def test_links_that_lead_out_of_the_image_folder_are_refused(world, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("RGB", (24, 16)).save(secret)
    (world.root / "images/a.png").symlink_to(secret)
    source = world.coco("coco.json", {"a.png": SIZE}, [("a.png", "x", (0, 0, 9, 9))])
    with pytest.raises(SourceError, match=r"link|leads out|outside") as caught:
        build_set([source], tmp_path / "set", same_size(images=world.root / "images"))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,concept\nx,y\n", "line 1: has no column category"),
        ("name,concept,category\nx,y,Object\n", "line 2: the category 'Object' is no column"),
        ("name,concept,category\nx,y,split\n", "line 2: the category name 'split' is reserved"),
        ("name,concept,category\nx,y,my_ignore\n", "reserved"),
        ("name,concept,category\nx,y,object\nx,z,object\n", "means 'y' and 'z'"),
        ("name,concept,category\nx,y,object\nx,,\n", "both kept and left out"),
        ("name,concept,category\n,y,object\n", "line 2: the name is empty"),
        ("", "is empty"),
    ],
)
def test_a_taxonomy_that_cannot_be_used_is_refused(one, tmp_path, text, message):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(TaxonomyError, match=message) as caught:
        build_one(one, tmp_path / "set", [("a.png", "x", (0, 0, 4, 4))], same_size(taxonomy=path))
    assert caught.value.exit_code == 2
    assert str(path) in str(caught.value)


def test_option_texts():
    assert parse_size("keep", "--image-size") is None
    for bad in ("0", "-3", "12x", "big", "99999"):
        with pytest.raises(UsageError, match="--image-size"):
            parse_size(bad, "--image-size")
    assert sum(map(Fraction, parse_split("a=1/3,b=2/3").values())) == 1
    for bad in ("a=0.5", "a", "a=0.5,a=0.5", "a=2,b=-1", "a b=1"):
        with pytest.raises(UsageError, match="--split"):
            parse_split(bad)
    with pytest.raises(UsageError, match="--alias"):
        parse_aliases(["ada"])


def test_sources_that_cannot_be_used(one, tmp_path):
    with pytest.raises(SourceError, match="does not exist"):
        build_set([tmp_path / "no.json"], tmp_path / "set", same_size())
    (tmp_path / "x.json").write_text("{}")
    with pytest.raises(SourceError, match="no known annotation format"):
        build_set([tmp_path / "x.json"], tmp_path / "set", same_size())
    with pytest.raises(UsageError, match="there is no format 'nope'"):
        build_set([tmp_path / "x.json"], tmp_path / "set", same_size(format="nope"))
    source = one.coco("c.json", {"a.png": SIZE}, [("a.png", "x", (0, 0, 4, 4))])
    with pytest.raises(UsageError, match="named twice"):
        build_set([source, source], tmp_path / "set", same_size())
    with pytest.raises(UsageError, match="an annotator was expected"):
        build_set([source], tmp_path / "set", same_size(consensus="nobody"))


def test_annotators_from_a_table(one, tmp_path):
    drawn = [("a.png", "x", (0, 0, 4, 4))]
    files = [one.coco(name, {"a.png": SIZE}, drawn) for name in ("f.json", "g.json")]
    table = tmp_path / "who.csv"
    table.write_text("file,annotator\nf.json,Ada\ng.json,Ben\n")
    build_set(files, tmp_path / "set", same_size(annotator_from=str(table)))
    assert [r["annotator"] for r in rows_of(tmp_path / "set/annotators.csv")] == ["Ada", "Ben"]
    table.write_text("file,annotator\nf.json,Ada\n")
    with pytest.raises(UsageError, match=r"has no row for g\.json"):
        build_set(files, tmp_path / "no", same_size(annotator_from=str(table)))
    build_set(files[:1], tmp_path / "folder", same_size(annotator_from="folder"))
    assert [r["annotator"] for r in rows_of(tmp_path / "folder/annotators.csv")] == ["world"]


def test_an_unfinished_set_does_not_open(one, tmp_path):
    build_one(one, tmp_path / "set", [("a.png", "x", (0, 0, 4, 4))])
    (tmp_path / "set/conceptset.json").unlink()
    with pytest.raises(LayoutError, match="never finished"):
        open_concept_set(tmp_path / "set")


@pytest.mark.parametrize("fit", ["squash", "crop", "pad"])
def test_fitting_never_leaves_the_image(fit):
    for source in [(1, 1), (3, 1000), (999, 2), (213, 320)]:
        for target in [(1, 1), (224, 224), (5, 90)]:
            fitting = fit_to(source, target, fit)
            left, top, right, bottom = fitting.box
            assert 0 <= left < right <= source[1]
            assert 0 <= top < bottom <= source[0]
            labels = fitting.labels(np.ones(source, dtype=np.int32))
            assert labels.shape == target
            assert labels.any()
