"""Single decisions of a merge: names, synonyms, people, sizes, splits, and what is refused."""

from __future__ import annotations

import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_sets import labels_of, renamed, rows, same_labels, tree
from small_sets import SmallSet, grid, png

from conceptset.build.people import Aliases
from conceptset.errors import ConceptsetError, ImageError, LayoutError, SourceError, UsageError
from conceptset.merge import MergeOptions, merge_sets
from conceptset.merge.inputs import open_inputs
from conceptset.merge.meanings import Meanings
from conceptset.taxonomy import Entry, Meaning, Taxonomy
from conceptset.validate import validate


def foreign(seed=0, **names):
    """A foreign layout of three photographs of its own; labels can be called otherwise."""
    small = SmallSet(ours=False)
    for number, stem in enumerate("abc", start=1):
        small.photograph(f"cam/{stem}.jpg", seed + number)
    for old, new in names.items():
        number = next(n for n, name in small.names.items() if name == old)
        small.names[number] = new
    small.count()
    return small


@pytest.fixture
def merge(tmp_path):
    """Writes small sets and merges them: (merged set, report)."""

    def run(*sets, **options):
        roots = [one.write(tmp_path / f"set{place}") for place, one in enumerate(sets)]
        report = merge_sets(roots, tmp_path / "new", MergeOptions(**options))
        assert validate(tmp_path / "new").errors == 0, validate(tmp_path / "new").findings
        return tmp_path / "new", report

    return run


def syns(small, name, text):
    line = 1 + next(place for place, row in enumerate(small.tables["label.csv"]) if row[1] == name)
    small.put("label.csv", line, "syns", text)
    return small


# names


def test_equal_names_are_one_concept(merge, tmp_path):
    new, report = merge(foreign(0), foreign(10))
    assert (report.joined, report.doubts) == ([], [])
    before = {**labels_of(tmp_path / "set0"), **labels_of(tmp_path / "set1")}
    same_labels(before, labels_of(new))
    assert {row["name"]: row["frequency"] for row in rows(new / "label.csv")} == {
        "cat": "4", "dog": "2", "head": "2", "street": "2"
    }  # fmt: skip
    assert {row["source"] for row in rows(new / "images.csv")} == {"set0", "set1"}


def test_a_synonym_joins_its_label(merge, tmp_path):
    new, report = merge(syns(foreign(0), "cat", "puss;kitty"), foreign(10, cat="kitty"))
    assert [(one.name, one.concept) for one in report.joined] == [("kitty", "cat")]
    table = {row["name"]: row for row in rows(new / "label.csv")}
    assert (table["cat"]["frequency"], table["cat"]["syns"]) == ("4", "kitty;puss")
    assert "kitty" not in table
    other = renamed(labels_of(tmp_path / "set1"), {"kitty": "cat"})
    same_labels({**labels_of(tmp_path / "set0"), **other}, labels_of(new))


def test_two_labels_that_list_each_other(merge):
    """The one that more images carry gives its name; of equals the first in the alphabet."""
    one, other = syns(foreign(0), "cat", "kitty"), syns(foreign(10, cat="kitty"), "kitty", "cat")
    new, report = merge(one, other)
    assert [(one.name, one.concept) for one in report.joined] == [("kitty", "cat")]
    assert "kitty" in rows(new / "label.csv")[0]["syns"]


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (
            lambda: [syns(syns(foreign(0), "cat", "pet"), "dog", "pet"), foreign(10, cat="pet")],
            "several labels list it",
        ),
        (lambda: [syns(foreign(0), "cat", "dog"), foreign(10)], "a set has both as labels"),
        (
            lambda: [syns(foreign(0), "cat", "face"), foreign(10, head="face", cat="cow")],
            "different",
        ),
    ],
)
def test_synonyms_that_are_not_sure(merge, sets, reason):
    new, report = merge(*sets())
    assert report.joined == []
    (doubt,) = report.doubts
    assert reason in doubt.reason
    assert doubt.name in {row["name"] for row in rows(new / "label.csv")}
    assert "CAT017" not in {finding.code for finding in validate(new).findings}


def test_a_chain_that_would_unite_two_labels_of_one_set(merge):
    """a is b in one set and b is c in another, but a third has a and c."""
    one = syns(foreign(0, dog="hound"), "cat", "lynx")
    two = syns(foreign(10, cat="feline", dog="wolf"), "feline", "cat")
    three = foreign(20, cat="lynx", dog="feline")
    new, report = merge(one, two, three)
    assert any("two of them as labels" in doubt.reason for doubt in report.doubts)
    assert {"cat", "lynx", "feline"} <= {row["name"] for row in rows(new / "label.csv")}


def test_the_taxonomy_is_asked_first(merge, tmp_path):
    table = tmp_path / "names.csv"
    table.write_text(
        "name,concept,category,synonyms\ncat,animal,object,beast\ndog,animal,object,\n"
        "head,head,anatomy,\nstreet,,,\n"
    )
    new, report = merge(syns(foreign(0), "cat", "kitty"), foreign(10, cat="kitty"), taxonomy=table)
    names = {"cat": "animal", "dog": "animal", "kitty": "animal", "street": None}
    before = {**labels_of(tmp_path / "set0"), **labels_of(tmp_path / "set1")}
    after = labels_of(new)
    wanted = renamed(before, names, {"part": "anatomy"})
    same_labels(wanted, after)
    (animal, head) = rows(new / "label.csv")
    assert animal["syns"] == "beast;cat;dog;kitty"
    assert head["category"] == "anatomy(2)"
    assert report.manifest.counts.left_out == {"left out by the taxonomy": 2}


def test_two_categories_become_one(merge, tmp_path):
    """What lay on one pixel in two categories lies in two maps of one."""
    table = tmp_path / "names.csv"
    table.write_text("name,concept,category,synonyms\nhead,head,object,\n")
    new, _ = merge(foreign(0), foreign(10), taxonomy=table)
    before = {**labels_of(tmp_path / "set0"), **labels_of(tmp_path / "set1")}
    same_labels(renamed(before, {}, {"part": "object"}), labels_of(new))
    assert rows(new / "index.csv")[0]["object"].count(".png") == 2


def test_a_meaning_in_the_labels_own_category_is_taken():
    door = [Entry("door", Meaning("door", "object")), Entry("door", Meaning("gate", "material"))]
    assert Taxonomy(door).meaning("door", "region", "material") == Meaning("gate", "material")
    assert Taxonomy(door).meaning("door", "region") == Meaning("door", "object")
    assert Taxonomy(door).meaning("door", "region", "texture") == Meaning("door", "object")


# people


def test_two_foreign_sets_are_one_unnamed_person(merge):
    new, _ = merge(foreign(0), foreign(10))
    assert [(row["annotator"], row["images"]) for row in rows(new / "annotators.csv")] == [
        ("", "6")
    ]


def test_nameless_people_called_after_their_sets(merge):
    new, _ = merge(foreign(0), foreign(10), annotator_from="folder", aliases={"set1": "Broden"})
    people = [(row["annotator"], row["images"]) for row in rows(new / "annotators.csv")]
    assert people == [("Broden", "3"), ("set0", "3")]


def test_the_same_photographs_drawn_twice(tmp_path):
    """Two foreign sets over the same photographs, one drawing differs: whose is it?"""
    one, other = foreign(0), foreign(0)
    other.maps["cam/a_part.png"] = grid(["hh....", "......", "......", "......"])
    other.count()
    roots = [one.write(tmp_path / "one"), other.write(tmp_path / "other")]
    with pytest.raises(UsageError, match="the annotator without a name has labels for") as caught:
        merge_sets(roots, tmp_path / "new", MergeOptions())
    assert "--annotator-from folder" in str(caught.value)
    assert not (tmp_path / "new").exists()
    report = merge_sets(roots, tmp_path / "new", MergeOptions(annotator_from="folder"))
    assert (report.shared, report.twice) == (3, 0)
    assert validate(tmp_path / "new").errors == 0
    for name in ("one", "other"):
        same_labels(labels_of(tmp_path / name), labels_of(tmp_path / "new", f"annotators/{name}"))
    undecided = list((tmp_path / "new/images/consensus").rglob("*.png"))
    assert [path.name.rpartition("_")[0].rpartition("_")[2] for path in undecided] == ["part"]


def ours(seed=0, **people):
    small = SmallSet(tuple(people) or ("ada", "bob"))
    for number, stem in enumerate("abc", start=1):
        small.photograph(f"cam/{stem}.jpg", seed + number)
        small.originals[number - 1][3] = f"{seed + number:064x}"
    small.count()
    return small


def test_models_stay_models(merge, tmp_path):
    one, other = ours(0), ours(10)
    for small in (one, other):
        small.put("annotators.csv", 3, "kind", "model")
    new, _ = merge(one, other)
    assert [row["kind"] for row in rows(new / "annotators.csv")] == ["person", "model"]
    one.put("annotators.csv", 3, "kind", "person")
    with pytest.raises(UsageError, match="'bob' is a person in one set and a model in another"):
        merge_sets(
            [one.write(tmp_path / "x"), other.write(tmp_path / "y")],
            tmp_path / "z",
            MergeOptions(),
        )


def test_segments_follow_their_image(merge):
    new, _ = merge(ours(0), ours(10))
    for person in ("ada", "bob"):
        text = (new / f"annotators/{person}/segments.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        assert [line["image"] for line in lines] == sorted(line["image"] for line in lines)
        assert {line["image"].split("/")[0] for line in lines} == {"set0-cam", "set1-cam"}
        assert len(lines) == 6
        assert [line["part_of"] for line in lines if line["concept"] == "head"] == [0, 0]
    assert [row["segments"] for row in rows(new / "annotators.csv")] == ["6", "6"]


def test_ways_to_form_a_consensus(merge, tmp_path):
    one, other = ours(0), ours(10)
    one.manifest_changes["settings/consensus"] = "majority"
    other.manifest_changes["settings/consensus"] = "ada"
    roots = [one.write(tmp_path / "x"), other.write(tmp_path / "y")]
    with pytest.raises(UsageError, match="in different ways"):
        merge_sets(roots, tmp_path / "z", MergeOptions())
    one.manifest_changes["settings/consensus"] = "ada"
    roots[0] = one.write(tmp_path / "x2")
    with pytest.raises(UsageError, match="does not speak for other sets"):
        merge_sets(roots, tmp_path / "z", MergeOptions())
    report = merge_sets(roots, tmp_path / "z", MergeOptions(consensus="majority"))
    assert report.manifest.settings["consensus"] == "majority"
    merge_sets(roots, tmp_path / "by_ada", MergeOptions(consensus="ada"))
    root, ada = rows(tmp_path / "by_ada/index.csv"), rows(
        tmp_path / "by_ada/annotators/ada/index.csv"
    )  # fmt: skip
    assert [row["image"] for row in root] == [row["image"] for row in ada]
    with pytest.raises(UsageError, match="dawid-skene or an annotator"):
        merge_sets(roots, tmp_path / "no", MergeOptions(consensus="zoe"))


# images


def test_splits(merge, tmp_path):
    one, other = foreign(0), foreign(0)
    other.put("index.csv", 2, "split", "val")
    roots = [one.write(tmp_path / "x"), other.write(tmp_path / "y")]
    with pytest.raises(UsageError, match="is in 'train' in x and in 'val'"):
        merge_sets(roots, tmp_path / "z", MergeOptions())
    report = merge_sets(roots, tmp_path / "z", MergeOptions(split={"all": "1"}))
    assert {row["split"] for row in rows(tmp_path / "z/index.csv")} == {"all"}
    assert report.drawn == 3
    bare = foreign(20)
    bare.tables["index.csv"] = [[row[0], *row[2:]] for row in bare.tables["index.csv"]]
    _, report = merge(foreign(10), bare)
    assert report.drawn == 3


@pytest.mark.parametrize("side", ["photographs", "label maps"])
def test_sizes_of_one_image(tmp_path, side):
    one, other = foreign(0), foreign(0)
    columns = ("ih", "iw") if side == "photographs" else ("sh", "sw")
    for column in columns:
        other.put("index.csv", 2, column, 2 * int(other.cell("index.csv", 2, column)))
    roots = [one.write(tmp_path / "x"), other.write(tmp_path / "y")]
    with pytest.raises(ImageError, match=f"in x with {side} of") as caught:
        merge_sets(roots, tmp_path / "z", MergeOptions())
    assert "cam/a.jpg" in str(caught.value)


def test_one_original_with_other_bytes(tmp_path):
    """Squashed in one set, cropped in the other: the same original is not the same picture."""
    one, other = ours(0), ours(0)
    other.photograph("cam/a.jpg", 99)
    roots = [one.write(tmp_path / "x"), other.write(tmp_path / "y")]
    with pytest.raises(ImageError, match="with other bytes"):
        merge_sets(roots, tmp_path / "z", MergeOptions())


def test_one_picture_twice_in_one_set(merge, tmp_path):
    small = foreign(0)
    small.files["images/cam/b.jpg"] = small.files["images/cam/a.jpg"]
    new, report = merge(small, foreign(10))
    assert report.manifest.counts.images == 6
    assert sorted(row["original"] for row in rows(new / "images.csv"))[:2] == ["cam/a.jpg"] * 2


def test_a_bitmap_is_kept_without_loss(merge, tmp_path):
    from PIL import Image

    small = foreign(0)
    stream = io.BytesIO()
    pixels = np.random.default_rng(5).integers(0, 256, (8, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "BMP")
    del small.files["images/cam/c.jpg"]
    small.files["images/cam/c.bmp"] = stream.getvalue()
    small.indexes[""][2]["image"] = "cam/c.bmp"
    small.count()
    new, _ = merge(small, foreign(10))
    (row,) = (row for row in rows(new / "images.csv") if row["original"] == "cam/c.bmp")
    assert row["image"].endswith(".png")
    assert (np.asarray(Image.open(new / "images" / row["image"])) == pixels).all()


# what is refused


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.put("index.csv", 4, "scene", "77"), "the label 77 in scene"),
        (lambda s: s.removed.append("images/cam/a_part.png"), "cannot be read|does not exist"),
        (lambda s: s.files.update({"images/cam/a_part.png": b"x"}), "known format"),
        (lambda s: s.maps["cam/a_part.png"].fill(40), "holds the label 40"),
        (lambda s: s.maps["cam/a_part.png"].fill(4000), "holds the label 4000"),
        (
            lambda s: s.files.update(
                {"images/cam/a_part.png": png(s.maps["cam/a_part.png"].astype(np.uint8))}
            ),
            "is no label map",
        ),
        (lambda s: s.put("index.csv", 2, "sh", 9), "its row says 9 x 6"),
        (lambda s: s.put("index.csv", 2, "ih", 9), "its row says 9 x 12"),
        (lambda s: s.tables["index.csv"].append(s.tables["index.csv"][-1]), "photograph twice"),
        (lambda s: s.put("index.csv", 2, "image", "../a.jpg"), "leaves its folder"),
        (lambda s: s.tables.pop("c_part.csv"), "cannot be read"),
    ],
)
def test_broken_sets(tmp_path, change, message):
    small = foreign(0)
    change(small)
    roots = [small.write(tmp_path / "x"), foreign(10).write(tmp_path / "y")]
    with pytest.raises(SourceError, match=message):
        merge_sets(roots, tmp_path / "z", MergeOptions())
    assert not (tmp_path / "z").exists()


def test_targets_and_names(tmp_path):
    root = foreign(0).write(tmp_path / "x")
    other = foreign(10).write(tmp_path / "y")
    with pytest.raises(UsageError, match="named twice"):
        merge_sets([root, other, tmp_path / "y/../x"], tmp_path / "z", MergeOptions())
    for out in (root, root / "in", tmp_path):
        with pytest.raises(UsageError):
            merge_sets([root, other], out, MergeOptions(overwrite=True))
    before = tree(root)
    merge_sets([root, other], tmp_path / "z", MergeOptions())
    assert tree(root) == before
    small = foreign(0)
    small.categories = ["Object" if c == "object" else c for c in small.categories]
    for row in small.indexes[""]:
        if "object" in row:
            row["Object"] = row.pop("object")
    small.tables.clear()
    small.count()
    with pytest.raises(LayoutError, match=r"'Object' is no column name.*repair"):
        merge_sets([small.write(tmp_path / "w"), other], tmp_path / "v", MergeOptions())


def test_more_than_two_and_notes(merge):
    new, report = merge(foreign(0), foreign(10), foreign(20), aliases={"nobody": "somebody"})
    assert len(rows(new / "index.csv")) == 9
    assert any("nobody" in text for text in report.notes)


def test_meanings_do_not_depend_on_the_order(tmp_path):
    roots = [
        syns(foreign(0), "cat", "kitty;pet").write(tmp_path / "a"),
        syns(foreign(10, cat="kitty", dog="hound"), "hound", "dog;pet").write(tmp_path / "b"),
        foreign(20, dog="pet").write(tmp_path / "c"),
    ]
    results = []
    for order in ([0, 1, 2], [2, 1, 0], [1, 0, 2]):
        inputs = open_inputs([roots[i] for i in order], Aliases({}), by_folder=False, jobs=1)
        meanings = Meanings(inputs, Taxonomy())
        results.append((meanings.joined, meanings.doubts))
    assert results[0] == results[1] == results[2]
    joined, doubts = results[0]
    assert [(one.name, one.concept) for one in joined] == [("hound", "dog"), ("kitty", "cat")]
    assert [(doubt.name, doubt.others) for doubt in doubts] == [("pet", ("cat", "hound"))]


TEXT = st.sampled_from(
    [*("", "0", "-1", "2.5", "9" * 12, "nan", "\x00", "../x", "cam/a.jpg", "cam/a_part.png", "4;4"),
     *("\u00b2", "=cmd", "a;b", "model", "scene", '"', "train", "\u202e", "5", "cat")]
)  # fmt: skip


@settings(max_examples=120)
@given(
    table=st.sampled_from(
        ["index.csv", "label.csv", "category.csv", "c_object.csv", "images.csv", "annotators.csv",
         "conceptset.json", "annotators/ada/index.csv", "annotators/ada/segments.jsonl"]
    ),
    changes=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9), TEXT), min_size=1, max_size=3),
    mine=st.booleans(),
)  # fmt: skip
def test_damaged_tables_raise_our_errors_only(table, changes, mine):
    with tempfile.TemporaryDirectory() as folder:
        root = (ours(0) if mine else foreign(0)).write(Path(folder, "x"))
        path = root / table
        if not path.is_file():
            return
        lines = path.read_bytes().split(b"\n")
        for line, column, text in changes:
            cells = lines[line % len(lines)].split(b",")
            cells[column % len(cells)] = text.encode()
            lines[line % len(lines)] = b",".join(cells)
        path.write_bytes(b"\n".join(lines))
        other = foreign(10).write(Path(folder, "y"))
        try:
            merge_sets([root, other], Path(folder, "z"), MergeOptions())
        except ConceptsetError:
            assert not Path(folder, "z").exists()
