"""A built set as material: the same as its sources, whatever the order of its lines."""

from __future__ import annotations

import csv
import json
import random
import shutil
import tracemalloc

import numpy as np
import pytest
import three_exports as three

from conceptset.build import BuildOptions, build_set
from conceptset.build.steps import silent
from conceptset.consistency.material import Annotator
from conceptset.consistency.options import ConsistencyOptions
from conceptset.consistency.reading.from_set import is_set, open_set
from conceptset.consistency.reading.from_sources import open_annotations
from conceptset.consistency.reading.sessions import Scan
from conceptset.errors import LayoutError, UsageError
from conceptset.layout.models import AnnotatorRow
from conceptset.merge import MergeOptions, merge_sets
from conceptset.repair import RepairOptions, repair_set
from conceptset.validate import validate

PLAIN = ConsistencyOptions()


def built(root, sources=None, out="set", **options):
    """A set of the three people's files, photographs squashed to another size."""
    if not (root / "images").exists():
        three.write_photographs(root / "images")
    sources = three.write_exports(root / "exports") if sources is None else sources
    named = {"annotator_from": three.people_file(root)} if len(sources) == 3 else {}
    options = {"images": root / "images", "image_size": (32, 32)} | named | options
    build_set(sources, root / out, BuildOptions.model_validate(options))
    return root / out


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return built(tmp_path_factory.mktemp("original"))


@pytest.fixture
def concepts(original, tmp_path):
    """A set that a test may spoil."""
    return shutil.copytree(original, tmp_path / "set")


def segments_of(root, person):
    return root / "annotators" / person / "segments.jsonl"


def rewrite(root, person, change):
    """Change the lines of a segments.jsonl, each a dictionary; `change` returns the new list."""
    path = segments_of(root, person)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    changed = change(lines)
    lines = lines if changed is None else changed
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def test_a_set_says_what_its_sources_say(original):
    root = original.parent
    exports = [root / "exports" / name for name in ("ada.json", "ben.xml", "cleo")]
    options = ConsistencyOptions(
        images=root / "images", annotator_from=str(root / "people.csv"), match="bytes"
    )
    ours = open_set(original, PLAIN).material
    assert ours.annotators == tuple(map(Annotator, three.PEOPLE))
    assert ours.title == "set"
    with open_annotations(exports, options, near=None, step=silent) as opened:
        theirs = opened.material
        for name in ("annotators", "concepts", "categories", "overlap"):
            assert getattr(ours, name) == getattr(theirs, name)
        assert len(ours.stream) == three.IMAGES
        for one, other in zip(ours.stream, theirs.stream, strict=True):
            assert one.drawn == other.drawn
            assert one.name == f"images/{other.name.replace('.png', '.jpg')}"
            empty = not any(one.drawn.values())
            assert one.size == ((32, 32) if empty else other.size)
            assert one.photograph == original / "images" / one.name


def test_lines_may_lie_in_any_order(original, concepts):
    expected = list(open_set(original, PLAIN).material.stream)
    rng = random.Random(0)
    for person in three.PEOPLE:
        rewrite(concepts, person, rng.shuffle)
    path = segments_of(concepts, "ada")
    path.write_text(path.read_text().replace("\n", "\n\n"))  # blank lines say nothing
    found = open_set(concepts, PLAIN).material.stream
    assert [one.drawn for one in found] == [one.drawn for one in expected]
    assert found[7].drawn == expected[7].drawn


def test_lines_need_not_look_as_we_write_them(concepts):
    """Keys in another order, names with quotes and letters beyond ASCII, escaped or not."""

    def call_it(line):
        return line | {"concept": 'a "b" \\ \u00e9', "name": "x"} if line["order"] else line

    rewrite(concepts, "ada", lambda lines: list(map(call_it, lines)))
    path = segments_of(concepts, "ada")
    escaped = open_set(concepts, PLAIN).material
    expected = list(escaped.stream)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert 'a "b" \\ \u00e9' in escaped.concepts
    for options in ({"ensure_ascii": False}, {"sort_keys": True}, {"separators": (",", ":")}):
        path.write_text("".join(f"{json.dumps(line, **options)}\n" for line in lines))
        other = open_set(concepts, PLAIN).material
        assert other.concepts == escaped.concepts
        assert list(other.stream) == expected


def test_looked_and_found_nothing_is_not_the_same_as_not_looked(original, concepts):
    index = concepts / "annotators/cleo/index.csv"
    with index.open(newline="") as stream:
        rows = list(csv.reader(stream))
    with index.open("w", newline="") as stream:  # cleo never saw the last image
        csv.writer(stream, lineterminator="\n").writerows(rows[:-1])
    last = three.IMAGES - 1
    assert open_set(original, PLAIN).material.stream[last].drawn[2] == ()
    assert sorted(open_set(concepts, PLAIN).material.stream[last].drawn) == [0, 1]


def test_the_size_of_an_image_that_nobody_drew_in(concepts):
    """Only the stored photograph can say it; a tag's line says it too."""
    name = "images/0011.jpg"
    for person in three.PEOPLE:
        rewrite(concepts, person, lambda lines: [one for one in lines if one["image"] != name])
    assert open_set(concepts, PLAIN).material.stream[11].size == (32, 32)
    tag = {
        "image": name,
        "order": 0,
        "kind": "tag",
        "concept": "street",
        "category": "scene",
        "name": "street",
        "size": [40, 60],
        "counts": None,
        "source": {"file": "x", "pointer": ""},
    }
    rewrite(concepts, "ben", lambda lines: [*lines, tag])
    material = open_set(concepts, PLAIN).material
    assert material.stream[11].size == (40, 60)
    assert material.categories == ("object",)
    assert not any(material.stream[11].drawn.values())


def test_images_come_in_the_order_of_the_set(concepts):
    index = concepts / "index.csv"
    header, *rows = index.read_text().splitlines()
    index.write_text("\n".join([header, *reversed(rows)]) + "\n")
    material = open_set(concepts, PLAIN).material
    assert material.images[0] == "images/0011.jpg"
    assert material.stream[0].name == "images/0011.jpg"
    assert len(material.stream[0].drawn) == 3


def test_photographs_need_not_be_there(concepts):
    (concepts / "images/images/0003.jpg").unlink()
    stream = open_set(concepts, PLAIN).material.stream
    assert stream[3].photograph is None
    assert stream[4].photograph is not None


def test_people_by_other_names(concepts):
    options = ConsistencyOptions(aliases={"ben": "ada#2"}, model_annotators=("cleo",))
    material = open_set(concepts, options).material
    assert material.annotators == (
        Annotator("ada"),
        Annotator("ada", 2),
        Annotator("cleo", kind="model"),
    )
    options = ConsistencyOptions(aliases={"ben": "ada"})
    image = open_set(concepts, options).material.stream[0]
    assert [segment.order for segment in image.drawn[0]] == [0, 1, 2, 3]  # one after the other
    assert open_set(concepts, ConsistencyOptions(aliases={"zoe": "x"})).notes
    with pytest.raises(UsageError, match=r"--model-annotator is 'zoe'.*set was expected"):
        open_set(concepts, ConsistencyOptions(model_annotators=("zoe",)))


def test_models_are_what_annotators_csv_says(tmp_path):
    material = open_set(built(tmp_path, model_annotators=("ben",)), PLAIN).material
    assert [one.kind for one in material.annotators] == ["person", "model", "person"]


def test_colours_that_a_program_named_stay_out(tmp_path):
    root = built(tmp_path, colors=True)
    rewrite(root, "ada", lambda lines: [*lines, lines[-1] | {"order": 9, "category": "color"}])
    material = open_set(root, PLAIN).material
    assert material.categories == ("object",)
    assert all(segment.category == 0 for one in material.stream for segment in one.drawn[0])


def test_the_painting_order_goes_with_a_set(tmp_path, original):
    """CVAT's z_order is in the lines, and stays there through merge, repair and validate."""
    first = built(tmp_path, overlap="order")
    line = json.loads(segments_of(first, "ben").read_text().splitlines()[1])
    assert line["z_order"] == -1
    assert "z_order" not in segments_of(first, "ada").read_text()
    merge_sets([first], tmp_path / "merged", MergeOptions())
    repair_set(first, tmp_path / "repaired", RepairOptions())
    assert validate(first).findings == ()
    for root in (first, tmp_path / "merged", tmp_path / "repaired"):
        drawn = open_set(root, PLAIN).material.stream[0].drawn[1]
        assert [segment.z_order for segment in drawn] == [0, -1]
    assert open_set(first, PLAIN).material.overlap == "order"
    assert open_set(tmp_path / "repaired", PLAIN).material.overlap == "order"
    assert open_set(original, PLAIN).material.overlap == "area"
    chosen = ConsistencyOptions(overlap="order")
    assert open_set(original, chosen).material.overlap == "order"


def test_merging_two_peoples_sets_is_building_from_both(tmp_path):
    """Also where lines have a painting order."""
    three.write_photographs(tmp_path / "images")
    exports = three.write_exports(tmp_path / "exports")[:2]
    both = built(tmp_path, exports)
    alone = [built(tmp_path, [one], out=f"set{place}") for place, one in enumerate(exports)]
    merge_sets(alone, tmp_path / "merged", MergeOptions())
    for person in ("ada", "ben"):
        ours, theirs = segments_of(tmp_path / "merged", person), segments_of(both, person)
        assert ours.read_bytes() == theirs.read_bytes()


def test_a_foreign_layout_names_nobody(original, tmp_path):
    root = tmp_path / "broden"
    ours = ("conceptset.json", "annotators", "annotators.csv", "images.csv")
    shutil.copytree(original, root, ignore=shutil.ignore_patterns(*ours))
    assert is_set(root)
    material = open_set(root, PLAIN).material
    assert (material.annotators, material.categories) == ((), ())
    assert len(material.images) == three.IMAGES
    assert material.stream[2].drawn == {}
    assert material.stream[2].size == (32, 32)
    assert not is_set(tmp_path)


def test_an_unfinished_set_is_refused(concepts):
    (concepts / "conceptset.json").unlink()
    with pytest.raises(LayoutError, match="its build never finished"):
        open_set(concepts, PLAIN)


def change_line(number, **values):
    def change(lines):
        lines[number] |= values

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (change_line(2, size=[41, 60]), "0001.jpg has 40 x 60 pixels .* 41 x 60 in an earlier"),
        (change_line(2, image="images/none.jpg"), "line 3: is of images/none.jpg, which no index"),
        (change_line(2, image=["images/0001.jpg"]), "line 3: is no segment"),
        (change_line(2, order=1), "0001.jpg has order 1, which another one has too"),
        (change_line(2, counts=None), "0001.jpg is a region without counts"),
        (change_line(2, kind="tag"), "0001.jpg is a tag with counts"),
        (change_line(2, kind="poem"), "/kind: a line of images/0001.jpg is no segment"),
        (change_line(2, more=1), "/more: a line of images/0001.jpg is no segment"),
        (change_line(2, order=-1), "/order: a line of images/0001.jpg is no segment"),
        (lambda lines: [[], *lines], "line 1: is no segment"),
    ],
)
def test_a_line_that_cannot_be_used(concepts, change, message):
    rewrite(concepts, "ada", change)
    with pytest.raises(LayoutError, match=message) as caught:
        list(open_set(concepts, PLAIN).material.stream)
    assert "conceptset" in str(caught.value) or "build the set again" in str(caught.value)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "line 1: is no segment"),
        (b"\xff\n", "line 1: is no segment"),
        (b"[" * 100_000 + b"\n", "line 1: is no segment"),
        (b'{"image": "images/0001.jpg", "image": 7}\n', "line 1: is no segment"),
    ],
)
def test_bytes_that_are_no_lines(concepts, data, message):
    segments_of(concepts, "ada").write_bytes(data)
    with pytest.raises(LayoutError, match=message):
        open_set(concepts, PLAIN)


def test_two_people_in_images_of_two_sizes(concepts):
    def change(lines):
        for line in lines:
            line["size"] = [20, 30]

    rewrite(concepts, "ben", change)
    message = r"has 20 x 30 pixels .* and 40 x 60 in ada/segments\.jsonl\. Outlines of different"
    with pytest.raises(LayoutError, match=message):
        list(open_set(concepts, PLAIN).material.stream)


def test_tables_that_cannot_be_used(concepts):
    index = concepts / "annotators/ben/index.csv"
    text = index.read_text()
    lines = text.splitlines(keepends=True)
    index.write_text("".join([*lines, lines[-1]]))
    with pytest.raises(LayoutError, match=r"lists images/0011\.jpg twice"):
        open_set(concepts, PLAIN)
    index.write_text("".join(line for line in lines if "0002" not in line))
    with pytest.raises(LayoutError, match=r"segments of images/0002\.jpg, which the annotator's"):
        open_set(concepts, PLAIN)
    index.unlink()
    with pytest.raises(LayoutError, match=r"ben/index\.csv: does not exist"):
        open_set(concepts, PLAIN)
    index.write_text(text)
    segments_of(concepts, "ben").unlink()
    with pytest.raises(LayoutError, match=r"ben/segments\.jsonl: cannot be read"):
        open_set(concepts, PLAIN)


def test_places_are_kept_and_not_the_lines(tmp_path):
    """Five people can draw a million things: only where each image begins may stay in memory."""
    folder = tmp_path / "annotators/ada"
    folder.mkdir(parents=True)
    images, each = 200, 20
    with (folder / "segments.jsonl").open("w") as stream:
        for image in range(images):
            for order in range(each):
                line = {"image": f"{image}.jpg", "order": order, "kind": "region"}
                line |= {"concept": f"c{order}", "category": "object", "counts": "0" * 2000}
                stream.write(f"{json.dumps(line)}\n")
    scan = Scan({f"{image}.jpg": image for image in range(images)})
    row = AnnotatorRow(
        annotator="ada", session=1, kind="person", directory="ada", images=1, segments=1
    )
    tracemalloc.start()
    session = scan.session(tmp_path, row, 0, np.arange(images))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (folder / "segments.jsonl").stat().st_size > 5_000_000
    assert peak < 200_000
    assert len(session.begins) == images
    (extent,) = session.extents(images - 1)
    assert sum(extent) == (folder / "segments.jsonl").stat().st_size
    assert len(scan.concepts) == each
