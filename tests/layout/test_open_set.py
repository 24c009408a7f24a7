"""Opening sets: strict about what is needed, clear about what is wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from conceptset.errors import ConceptsetError, LayoutError, UnsafeError, UsageError
from conceptset.io.images import encode_label_map
from conceptset.layout import names
from conceptset.layout.reading import Cell, open_concept_set, parse_cell
from conceptset.layout.search import find_concept, number_of

TABLES = {
    "index.csv": "image,split,ih,iw,sh,sw,object,scene\n"
    "a.jpg,train,8,8,4,4,a_object.png,3\nb.jpg,val,8,8,4,4,,\nc.jpg,val,8,8,4,4,c_object.png,3;0\n",
    "label.csv": "number,name,category,frequency,coverage,syns\n"
    "1,sky,object(1),1,0.5,\n2,tree,object(1),1,9e-05,\n3,beach,scene(2);object(0),2,2.0,\n",
    "category.csv": "name,first,last,count,frequency\nobject,1,3,3,2\nscene,3,3,1,2\n",
    "c_object.csv": "code,number,name,frequency,coverage\n1,1,sky,1,0.5\n2,2,tree,1,9e-05\n"
    "3,3,beach,0,0\n",
    "c_scene.csv": "code,number,name,frequency,coverage\n1,3,beach,2,2.0\n",
}


@pytest.fixture
def foreign(tmp_path):
    root = tmp_path / "broden"
    (root / "images").mkdir(parents=True)
    for name, text in TABLES.items():
        (root / name).write_text(text)
    for stem, label in (("a", 1), ("c", 2)):
        labels = np.zeros((4, 4), dtype=int)
        labels[:label] = label
        (root / f"images/{stem}_object.png").write_bytes(encode_label_map(labels))
    for stem in "abc":
        Image.new("RGB", (8, 8)).save(root / f"images/{stem}.jpg")
    return root


def test_a_foreign_layout_opens(foreign):
    opened = open_concept_set(foreign)
    assert opened.manifest is None
    assert opened.annotators == ()
    assert opened.categories == ("object", "scene")
    assert opened.entries[2].cells["scene"] == Cell(labels=(3,))
    assert opened.entries[1].cells == {}
    assert opened.primary() == {1: "object", 2: "object", 3: "scene"}
    assert opened.primary(["object"])[3] == "object"


def test_labels_of_no_enabled_category_go_to_the_last_one(foreign):
    assert open_concept_set(foreign).primary(["scene"])[1] == "scene"


def test_cells():
    assert parse_cell("") == Cell()
    assert parse_cell(";a.png;; 7 ;0;b.png") == Cell(("a.png", "b.png"), (7,))


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("index.csv", "8,8,4,4,a", "8,x,4,4,a", "index.csv line 2: iw is 'x'"),
        ("index.csv", ",scene\n", ",szene\n", "index.csv line 1: has no column scene"),
        ("label.csv", "2,tree", "-2,tree", "label.csv line 3: number is '-2'"),
        ("c_object.csv", "0.5", "nan", "c_object.csv line 2: coverage is 'nan'"),
        ("c_object.csv", "0.5", "half", "coverage is 'half', a number was expected"),
        ("category.csv", "name,first", "nom,first", "has no column name"),
        ("category.csv", TABLES["category.csv"][31:], "", "lists no category"),
    ],
)
def test_broken_tables_are_named_with_their_line(foreign, table, old, new, message):
    text = (foreign / table).read_text()
    assert old in text
    (foreign / table).write_text(text.replace(old, new, 1))
    with pytest.raises(LayoutError, match=message.replace("(", r"\(")):
        open_concept_set(foreign)


def test_what_is_no_set_is_refused(foreign, tmp_path):
    with pytest.raises(LayoutError, match="is no directory"):
        open_concept_set(tmp_path / "nowhere")
    with pytest.raises(LayoutError, match=r"neither conceptset\.json nor index\.csv"):
        open_concept_set(tmp_path)
    with pytest.raises(UsageError, match="no such index"):
        open_concept_set(foreign, "annotators/ada/index.csv")
    with pytest.raises(UnsafeError):
        open_concept_set(foreign, "../index.csv")
    partial = foreign.rename(tmp_path / "set.partial-x7")
    with pytest.raises(LayoutError, match="never finished"):
        open_concept_set(partial)


@pytest.mark.parametrize(
    ("document", "message"),
    [({"schema_version": 2}, "schema_version"), ([], "conceptset.json"), ({"x": 1}, "conceptset")],
)
def test_a_manifest_that_cannot_be_read(foreign, document, message):
    (foreign / names.MANIFEST).write_text(json.dumps(document))
    with pytest.raises(ConceptsetError, match=message):
        open_concept_set(foreign)


def test_find_and_number(foreign):
    opened = open_concept_set(foreign)
    assert number_of(opened, "beach") == number_of(opened, "3") == 3
    with pytest.raises(UsageError, match="Did you mean tree"):
        number_of(opened, "tee")
    with pytest.raises(UsageError, match="lists them"):
        number_of(opened, "zzz")
    assert [(o.image, o.pixels, o.share) for o in find_concept(opened, 2)] == [("c.jpg", 8, 0.5)]
    assert [(o.image, o.pixels) for o in find_concept(opened, 3)] == [("a.jpg", 16), ("c.jpg", 16)]
    with pytest.raises(UnsafeError):
        opened.file("../../secret.png")


def test_paths_of_a_set():
    assert names.ignore_mask("s", "a", "object", "ada") == "annotators/ada/s/a_object_ignore.png"
    assert names.undecided_mask("s", "a", "object") == "consensus/s/a_object_undecided.png"
    assert names.columns_of("label.csv")[:2] == ("number", "name")
    with pytest.raises(LayoutError, match="reserved"):
        names.check_category("ih")
    with pytest.raises(LayoutError, match="no column name"):
        names.check_category("Object")
