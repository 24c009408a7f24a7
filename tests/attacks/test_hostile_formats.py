"""Hostile files of every format, through the command line: refused or left out, never harmful."""

from __future__ import annotations

import copy
import csv
import io
import json
import os
import random
import re
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from format_worlds import WORLDS, Lines, Rows, text_of, write
from typer.testing import CliRunner

from conceptset import findings
from conceptset.cli import app
from conceptset.errors import AnnotationError, SourceError, UnsafeError
from conceptset.findings import Problems, Silence
from conceptset.formats.base import Candidate
from conceptset.formats.labelme_xml import FORMAT as LABELME_XML
from conceptset.io import tables
from conceptset.parsing.defects import Spot
from conceptset.parsing.json_stream import MAX_OTHERS, JsonFile
from conceptset.parsing.values import MAX_NAME, clean_name, described
from conceptset.present import console
from conceptset.records import Person
from conceptset.taxonomy import as_cell, from_cell

HARMFUL = "a\x1b[2J\u202eb"
BUILD = ("--out", "set", "--jobs", "1", "--boxes", "--image-size", "32")


@contextmanager
def no_longer_than(seconds):
    """Fail instead of waiting: what hangs must not hang the tests."""

    def stop(*_):
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in an empty folder; whatever happens, what it says must be fit to be read."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        with no_longer_than(60):
            done = CliRunner().invoke(app, [str(one) for one in arguments])
        said = done.output
        where = f"{arguments}: {said[-2000:]!r}"
        if not isinstance(done.exception, SystemExit | None):
            raise AssertionError(where) from done.exception
        assert done.exit_code in (0, 1, 2, 3), where
        assert str(tmp_path) not in said, where
        assert not re.search(r"conceptset-\w{8}|\.partial-", said), where
        if arguments[0] != "taxonomy":  # which is data
            assert said.replace("\n", "").isprintable(), where
            assert max(map(len, said.splitlines()), default=0) < 1500, where
        if done.exit_code > 1:
            assert [line[:6] for line in said.splitlines()] == ["error:"], where
        return done.exit_code, said

    return call


def make(kind, root="src"):
    """The source of a format; its documents."""
    Path(root).mkdir(parents=True)
    documents = WORLDS[kind](Path(root))
    write(Path(root), documents)
    return documents


# Anything anywhere: every value of a document becomes something else


NASTY = "=cmd|'/c calc'!A1\u202e\n"
RAW = {  # JSON that json.dumps does not write
    "@infinite": "1e999",
    "@nan": "NaN",
    "@digits": "9" * 100_000,
    "@nested": "[" * 100_000,
    "@twice": '{"a": 1, "a": 2}',
}
JSON_VALUES = [
    *(None, True, 5, -1, 1.5, 0, 10**15, "text", "", "L" * 10_000, f"{NASTY}\x1b[2J\x00"),
    *("../../etc/passwd", "\ud800", [], [[1, None]], {}, {"a": None}, *RAW),
]
TEXTS = ["", "text", "-1", "5", "1.5", str(10**15), "1e999", "nan", "9" * 50_000, "L" * 10_000]
TEXTS += [NASTY, "../../etc/passwd", "1,1;" * 5_000, "9999999999999999999, " * 500, ";" * 9]


def places_of(value, place=()):
    yield place
    if isinstance(value, dict | list):
        keys = value if isinstance(value, dict) else range(len(value))
        for key in keys:
            yield from places_of(value[key], (*place, key))


def replaced(value, place, other):
    if not place:
        return other
    result = copy.copy(value)
    result[place[0]] = replaced(value[place[0]], place[1:], other)
    return result


def spoiled_json(document, rng):
    place = rng.choice(list(places_of(document)))
    other = replaced(document, place, rng.choice(JSON_VALUES))
    text = text_of(other) if isinstance(other, Lines) else json.dumps(other)
    for mark, raw in RAW.items():
        text = text.replace(json.dumps(mark), raw)
    return text.encode("utf-8", "surrogatepass")


def spoiled_rows(document, rng):
    rows = [list(row) for row in document]
    row = rng.choice(rows)
    row[rng.randrange(len(row))] = rng.choice([*TEXTS, "\x00", "1;" * 5_000])
    if rng.random() < 0.2:
        row.append("x")
    return Rows(rows)


def spoiled_xml(document, rng):
    root = ElementTree.fromstring(document)
    element = rng.choice(list(root.iter()))
    if element.attrib and rng.random() < 0.8:
        element.set(rng.choice(list(element.attrib)), rng.choice(TEXTS))
    elif len(element) == 0 or rng.random() < 0.2:
        element.text = rng.choice(TEXTS)
    elif rng.random() < 0.3:
        element.tag = "other"
    else:
        child = rng.choice(list(element))
        rng.choice([element.append, element.remove])(child)
    return ElementTree.tostring(root, encoding="unicode")


def spoiled_text(document, rng):
    word = rng.choice(list(re.finditer(r"[^\s:#,]+", document)))
    return f"{document[: word.start()]}{rng.choice([*TEXTS, chr(0)])}{document[word.end() :]}"


def spoiled(document, rng):
    if isinstance(document, Rows):
        return spoiled_rows(document, rng)
    if not isinstance(document, str):
        return spoiled_json(document, rng)
    return (spoiled_xml if document.startswith("<") else spoiled_text)(document, rng)


@pytest.mark.parametrize("kind", [kind for kind in WORLDS if kind != "binary-masks"])
def test_any_value_can_be_anything(run, kind):
    rng = random.Random(kind)
    documents = make(kind)
    for round_ in range(16):
        name = rng.choice(list(documents))
        write(Path("src"), {**documents, name: spoiled(documents[name], rng)})
        code, said = run("build", "src", *BUILD, "--on-error", "collect")
        if code == 3:
            assert "src" in said
        if code == 1:
            assert re.search(r": SRC\d\d\d ", said)
            assert run("build", "src", *BUILD[2:], "--out", "never")[0] == 3
        if code < 2:
            assert run("validate", "set")[0] == 0
            shutil.rmtree("set")
        if round_ % 5 == 0:
            run("detect", "src")
            run("taxonomy", "src")
        if kind == "broden":
            run("validate", "src")
            if run("repair", "src", "--out", "set", "--jobs", "1")[0] < 2:
                assert run("validate", "set")[0] == 0
                shutil.rmtree("set")
            run("merge", "src", "--out", "set", "--jobs", "1")
            shutil.rmtree("set", ignore_errors=True)
    assert not Path("never").exists()
    assert [path.name for path in Path().iterdir()] == ["src"]


# Names


NAMES = {
    "formula": "=cmd|'/c calc'!A1",
    "newline": "a\nb",
    "control": "a\x1b[2J\x07\x9b31mb",
    "direction": "a\u202eb\u2066c",
    "long": "L" * 10_000,
    "quotes": "\"a\";<b>&c,'d'[/e]",
}


def renamed(document, old, new):
    if isinstance(document, str) and document.startswith("<"):
        root = ElementTree.fromstring(document)
        for element in root.iter():
            element.text = new if element.text == old else element.text
            element.attrib.update({key: new for key, value in element.items() if value == old})
        return ElementTree.tostring(root, encoding="unicode")
    if isinstance(document, list):
        return type(document)(renamed(one, old, new) for one in document)
    if isinstance(document, dict):
        return {key: renamed(one, old, new) for key, one in document.items()}
    return new if document == old else document


DRAWN = {  # a label and an annotator of each kind of document
    "coco": ("door", "bob"),
    "cvat": ("door", "ada"),
    "cvat-video": ("door", "ada"),
    "cvat-backup": ("door", None),
    "labelme": ("door", None),
    "labelme-xml": ("car", "ada"),
    "darwin": ("door", None),
    "broden": ("cat", None),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", DRAWN)
def test_names_can_be_anything(run, kind, name):
    text = NAMES[name]
    documents = make(kind)
    if name == "control" and any(str(one).startswith("<") for one in documents.values()):
        text = "a\x9b31mb"  # the others are no XML
    for old in filter(None, DRAWN[kind]):
        documents = {file: renamed(one, old, text) for file, one in documents.items()}
    write(Path("src"), documents)
    who = [] if DRAWN[kind][1] else ["--annotator", text]
    assert run("build", "src", *BUILD, *who, "--on-error", "collect")[0] == 0
    assert run("validate", "set")[0] == 0
    run("detect", "src")
    run("info", "set")
    run("find", "set", "2")
    assert run("repair", "set", "--out", "repaired", "--jobs", "1")[0] == 0
    assert run("merge", "set", "--out", "merged", "--jobs", "1")[0] == 0
    assert run("validate", "merged")[0] == 0
    files = [path.relative_to("set").as_posix() for path in Path("set").rglob("*")]
    assert all(re.fullmatch(r"[A-Za-z0-9._/-]+", file) for file in files)
    # what the table of names says comes back to the same set
    Path("t.csv").write_text(run("taxonomy", "src")[1], encoding="utf-8", newline="")
    again = ("--taxonomy", "t.csv", "--on-error", "collect", *who)
    assert run("build", "src", *BUILD[2:], "--out", "again", *again)[0] == 0
    assert Path("again/label.csv").read_bytes() == Path("set/label.csv").read_bytes()


def test_a_spreadsheet_computes_nothing_in_the_table_of_names(run):
    documents = make("coco")
    write(Path("src"), {"a.json": renamed(documents["a.json"], "door", "=1+1")})
    rows = list(csv.DictReader(io.StringIO(run("taxonomy", "src")[1])))
    assert {row["name"] for row in rows} == {"'=1+1", "wall"}
    assert {row["concept"] for row in rows} == {"'=1+1", "wall"}
    for name in ("=a", "+a", "-a", "@a", "'=a", "''-a", "a", "'a", "'"):
        assert from_cell(as_cell(name)) == name
        assert as_cell(name)[0] not in "=+-@"


def test_a_long_name_is_refused_where_no_table_takes_it(run):
    documents = make("coco")
    write(Path("src"), {"a.json": renamed(documents["a.json"], "door", "x" * 2_000_000)})
    code, said = run("build", "src", *BUILD, "--on-error", "collect")
    assert code == 1
    assert "/categories/0: SRC011" in said
    assert "of 2,000,000 characters" in said
    assert run("validate", "set")[0] == 0
    assert clean_name(" " + "x" * MAX_NAME) == "x" * MAX_NAME
    assert clean_name("x" * (MAX_NAME + 1)) is None
    assert len(described("x" * 20_000)) < 100


@pytest.mark.parametrize("text", ["1" * 200_000, "#" * 200_000, " " * 200_000 + "x#100"])
def test_a_long_annotator_is_parsed_at_once(text):
    begin = time.process_time()
    assert Person.parse(text) == Person(text.strip())
    assert time.process_time() - begin < 1


def test_a_username_that_never_ends_is_looked_at_once(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<annotation><object><polygon><username>" + " " * 60_000)
    with no_longer_than(10):
        assert LABELME_XML.detect(Candidate(path)).matches


def test_a_terminal_gets_no_control_characters(monkeypatch, capsys):
    console.show(f"{HARMFUL},1\nb\n")
    assert capsys.readouterr().out == f"{HARMFUL},1\nb\n"  # a file gets what is there
    console.say(HARMFUL)
    console.note(HARMFUL)
    console.show_table([("name", "left")], [("[/x]",)], title=f"[/{HARMFUL}]")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    console.show(f"{HARMFUL},1\nb\n")
    shown, told = capsys.readouterr()
    assert shown.count("a\\x1b[2J\\u202eb") == 3
    assert told == "a\\x1b[2J\\u202eb\n"
    assert "[/x]" in shown
    assert (shown + told).replace("\n", "").isprintable()


# Files that are none


MAIN = {
    "coco": ("a.json", "images/a.png"),
    "coco-panoptic": ("p.json", "p/a.png"),
    "cvat": ("annotations.xml", "images/a.png"),
    "cvat-backup": ("task.json", "annotations.json", "data/manifest.jsonl", "data/a.png"),
    "cvat-rest": ("labels.json", "meta.json"),
    "labelme": ("a.json",),
    "labelme-xml": ("Annotations/w/a.xml", "Masks/w/a_mask_0.png"),
    "darwin": ("a.json",),
    "masks": ("classes.txt", "masks/a.png"),
    "binary-masks": ("a_door.png",),
    "image-folders": ("labels/labels_joint_anno.txt",),
    "ade20k": ("a.json", "a_seg.png", "a_parts_1.png"),
    "broden": ("index.csv", "label.csv", "category.csv", "images/cam/a_object.png"),
}


@pytest.mark.parametrize(("kind", "file"), [(kind, file) for kind in MAIN for file in MAIN[kind]])
def test_pipes_and_devices_are_not_read(run, kind, file):
    make(kind)
    path = Path("src", file)
    path.unlink()
    os.mkfifo(path)
    run("build", "src", *BUILD, "--on-error", "collect")
    run("detect", "src")
    if kind == "broden":
        run("validate", "src")
        run("repair", "src", "--out", "repaired", "--jobs", "1")
        run("merge", "src", "--out", "merged", "--jobs", "1")
    code, said = run("build", path, *BUILD[2:], "--out", "other")
    assert code == 3
    assert f"{path}: is no plain file. Pipes, devices" in said
    path.unlink()
    path.symlink_to("/dev/zero")
    run("build", "src", *BUILD[2:], "--out", "third", "--on-error", "collect")
    run("detect", path)


@pytest.mark.parametrize("kind", ["coco", "labelme-xml"])
def test_segments_and_photographs_of_a_set_can_be_pipes(run, kind):
    make(kind)
    run("build", "src", *BUILD)
    for pattern in ("segments.jsonl", "*.jpg"):
        shutil.copytree("set", "spoiled")
        place = next(Path("spoiled").rglob(pattern))
        place.unlink()
        os.mkfifo(place)
        assert run("validate", "spoiled")[0] == 1
        run("repair", "spoiled", "--out", "repaired", "--jobs", "1")
        run("merge", "spoiled", "--out", "merged", "--jobs", "1")
        for folder in ("spoiled", "repaired", "merged"):
            shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize(
    ("kind", "file"), [("masks", "classes.txt"), ("image-folders", "labels/labels_joint_anno.txt")]
)
def test_lines_of_other_files_do_not_become_labels(run, kind, file):
    documents = make(kind)
    Path("other").write_text(documents[file])
    Path("src", file).unlink()
    Path("src", file).symlink_to(Path("other").resolve())
    code, said = run("build", "src", "--format", kind, *BUILD, "--on-error", "collect")
    assert code == 3
    assert "leads out of its folder" in said


@pytest.mark.parametrize("data", [b"", b"\x00" * 5000, b"PK\x03\x04", "utf-16"])
def test_masks_of_a_damaged_file_are_not_taken_for_concepts(run, data):
    documents = make("labelme-xml")
    if isinstance(data, str):
        data = documents["Annotations/w/a.xml"].encode(data)
    Path("src/Annotations/w/a.xml").write_bytes(data)
    code, _ = run("build", "src", *BUILD)
    assert code == (0 if b"c\0a\0r\0" in data else 3)
    if code == 0:
        rows = csv.DictReader(io.StringIO(Path("set/label.csv").read_text()))
        assert {row["name"] for row in rows} == {"car", "wheel", "sky"}


# Too much of it


def test_json_that_would_fill_the_memory_is_refused(run, monkeypatch):
    monkeypatch.setattr(tables, "MAX_CONTAINERS", 1000)
    for kind, file in (("labelme", "a.json"), ("cvat-backup", "task.json"), ("darwin", "a.json")):
        shutil.rmtree("src", ignore_errors=True)
        documents = make(kind)
        text = text_of(documents[file]).replace("{", '{"zz": [' + "[]," * 1000 + "[]],", 1)
        write(Path("src"), {file: text})
        code, said = run("detect", f"src/{file}")
        assert code == 1
        assert "holds more than 1,000 lists and objects" in said
    write(Path("src"), {"a.json": "[" + "[]," * 998 + "[]]"})
    assert "lists and objects" not in run("detect", "src/a.json")[1]


def test_a_list_of_small_things_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"images": [' + "{}, 1, " * MAX_OTHERS + '1], "more": 1}')
    with pytest.raises(UnsafeError, match=r"byte 700012: holds a list of more than 100,000 things"):
        list(JsonFile(path).members())
    path.write_text('{"images": [' + "{}, 1, " * (MAX_OTHERS - 1) + '1], "more": 1}')
    assert [member.key for member in JsonFile(path).members()] == ["images", "more"]


def test_findings_are_bounded(run, monkeypatch):
    monkeypatch.setattr(findings, "MAX_KEPT", 3)
    monkeypatch.setattr(findings, "MAX_ERRORS", 9)
    for count in (9, 10):
        problems = Problems("collect")
        for place in range(count):
            spot = Spot(problems, "a.json").at(place)
            spot.report("SRC013", "a warning.")
            if place == 9:
                with pytest.raises(
                    SourceError, match=r"^a\.json: has more than 9 errors. .*/0: SRC"
                ):
                    spot.report("SRC015", "an error.")
            else:
                spot.report("SRC015", "an error.")
        assert problems.skipped == count
        assert len(problems.findings) == 3
    other = Problems("skip")
    for place in range(30):
        Spot(other, f"{place}.json").report("SRC015", "an error.")
    assert (other.skipped, other.findings) == (30, [])
    quiet = Silence()
    for _ in range(30):
        Spot(quiet, "").report("SRC015", "an error.")
    assert (quiet.skipped, quiet.findings) == (0, [])
    documents = make("cvat")
    text = documents["annotations.xml"].replace("<image ", "<image/>" * 10 + "<image ", 1)
    write(Path("src"), {"annotations.xml": text})
    code, said = run("build", "src", *BUILD, "--on-error", "collect")
    assert code == 3
    assert "src/annotations.xml: has more than 9 errors" in said
    assert "/image[1]: SRC007" in said


@pytest.mark.parametrize("policy", ["skip", "collect"])
def test_where_nothing_is_left_the_first_reason_is_told(run, policy):
    documents = make("coco")
    for entry in documents["a.json"]["images"]:
        entry["width"] = 7
    write(Path("src"), documents)
    code, said = run("build", "src", *BUILD, "--on-error", policy)
    assert code == 3
    assert "there is no image that anybody worked on" in said
    assert "Left out: 2 bad annotations; the first: src/a.json /images/0: SRC004 24 x 7" in said
    with pytest.raises(AnnotationError):
        Spot(Problems("raise"), "a").report("SRC015", "bad.")
