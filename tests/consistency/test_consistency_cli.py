"""`conceptset consistency` from end to end: what it says, writes and refuses."""

from __future__ import annotations

import csv
import itertools
import json
import shutil

import jsonschema
import numpy as np
import pytest
import three_exports as three
from typer.testing import CliRunner

import conceptset
from conceptset.build import BuildOptions, build_set
from conceptset.cli import app
from conceptset.consistency.document import ConsistencyReport
from conceptset.consistency.options import ConsistencyOptions
from conceptset.published import schema

TABLES = ("annotators", "concepts", "confusions", "images", "pairs")
COUNTS = ("cells", "coincidences", "compared", "drawn", "matches", "named", "objects", "others")
QUICK = ("--resamples", "0", "--no-boundary", "--jobs", "1")


def call(*arguments):
    return CliRunner().invoke(app, ["consistency", *map(str, arguments)])


def read_csv(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def tree(root):
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Photographs, three exports, who made them, a set of them, and the comparison of both."""
    root = tmp_path_factory.mktemp("world")
    three.write_photographs(root / "images")
    exports = three.write_exports(root / "exports")
    options = {"images": root / "images", "annotator_from": three.people_file(root)}
    build_set(exports, root / "set", BuildOptions.model_validate(options))
    result = call(*sources(root), "--out", root / "pages", "--jobs", "1", "--resamples", "200")
    assert result.exit_code == 0, result.output
    (root / "said.txt").write_text(result.stdout)
    return root


@pytest.fixture
def no_pictures(monkeypatch):
    """Pictures take most of the time of a small comparison; here others are looked at."""

    def write(folder, *_arguments, **_keywords):
        (folder / "index.html").touch()

    monkeypatch.setattr("conceptset.consistency.running.write_page", write)


def sources(root):
    exports = [root / "exports" / name for name in ("ada.json", "ben.xml", "cleo")]
    people = ("--annotator-from", root / "people.csv")
    return [*exports, "--images", root / "images", *people]


def means(one, other):
    """The mean agreement of two people, from their drawings, pixel by pixel."""
    return np.nanmean([three.agreement(one, other, place) for place in range(three.IMAGES)])


def test_the_agreement_is_that_of_the_pixels(world):
    pairs = read_csv(world / "pages/pairs.csv")
    assert [(row["a"], row["b"]) for row in pairs] == list(itertools.combinations(three.PEOPLE, 2))
    for row in pairs:
        assert float(row["agreement"]) == pytest.approx(means(row["a"], row["b"]), abs=1e-12)
        parts = sum(float(row[part]) for part in ("agreement", "quality", "naming", "quantity"))
        assert parts == pytest.approx(1, abs=1e-12)
        assert float(row["agreement_low"]) < float(row["agreement"]) < float(row["agreement_high"])


def test_each_kind_has_its_cause(world):
    """Ben's shifted outlines, his bushes, and what Cleo left out, each against Ada."""
    by_pair = {(row["a"], row["b"]): row for row in read_csv(world / "pages/pairs.csv")}
    ben, cleo = by_pair["ada", "ben"], by_pair["ada", "cleo"]
    assert float(ben["quality"]) > 0
    assert float(ben["naming"]) > 0
    assert float(ben["quantity"]) == 0
    assert (float(cleo["quality"]), float(cleo["naming"])) == (0, 0)
    assert float(cleo["quantity"]) > 0
    confusions = read_csv(world / "pages/confusions.csv")
    first = next(row for row in confusions if (row["a"], row["b"]) == ("ada", "ben"))
    named = (first["name_a"], first["name_b"], first["matches"], first["pixels"])
    bushes = sum(name == "bush" for p in range(three.IMAGES) for name, _ in three.drawn("ben", p))
    assert named == ("tree", "bush", str(bushes), str(bushes * 16 * 20))


def test_all_of_it_is_there_and_names_everybody(world):
    pages = world / "pages"
    files = {path.name for path in pages.iterdir()}
    expected = {"index.html", "consistency.json", "counts", "images"}
    assert files == expected | {f"{name}.csv" for name in TABLES}
    counted = {path.stem for path in (pages / "counts").iterdir()}
    assert counted == {*COUNTS, "renamed"}
    assert "ada" in (pages / "index.html").read_text()
    images = read_csv(pages / "images.csv")
    assert {row["image"] for row in images} == set(map(three.image_name, range(three.IMAGES)))
    empty = next(row for row in images if row["image"] == three.image_name(three.IMAGES - 1))
    assert empty["annotators"].split(";") == list(three.PEOPLE)
    assert empty["segments"].split(";") == ["2", "2", "0"]


def test_the_document_is_what_the_schema_says(world):
    document = json.loads((world / "pages/consistency.json").read_text())
    validator = jsonschema.Draft202012Validator(schema("consistency"))
    validator.validate(document)
    assert not validator.is_valid(document | {"pairs": None})
    report = ConsistencyReport.model_validate(document)
    assert report.annotators_listed == list(three.PEOPLE)
    assert (report.n_images, report.shared_images) == (three.IMAGES, three.IMAGES)
    assert report.generator == f"conceptset {conceptset.__version__}"
    printed = CliRunner().invoke(app, ["schema", "consistency"])
    assert json.loads(printed.stdout) == schema("consistency")
    unknown = CliRunner().invoke(app, ["schema", "consistence"])
    assert "Did you mean consistency" in unknown.stderr


def test_counts_are_enough_to_compute_everything_again(world):
    """The mean split of a pair from the rows of its images alone."""
    rows = read_csv(world / "pages/counts/compared.csv")
    table = {(row["a"], row["b"]): row for row in read_csv(world / "pages/pairs.csv")}
    for pair, figures in table.items():
        own = [row for row in rows if (row["a"], row["b"]) == pair]
        assert [row["image"] for row in own] == list(map(three.image_name, range(three.IMAGES)))
        labelled = [int(row["valid"]) - int(row["unlabelled"]) for row in own]
        for part, column in (("agreement", "same"), ("naming", "naming_0.5")):
            shares = [int(row[column]) / n for row, n in zip(own, labelled, strict=True)]
            assert np.mean(shares) == pytest.approx(float(figures[part]), abs=1e-12)
    cells = read_csv(world / "pages/counts/cells.csv")
    assert {row["name_a"] for row in cells} == {"", *three.NAMES}  # empty: unlabelled
    everybody = {row["without"] for row in read_csv(world / "pages/counts/coincidences.csv")}
    assert everybody == {"", *three.PEOPLE}


@pytest.mark.usefixtures("no_pictures")
def test_a_set_and_its_sources_have_the_same_figures(world, tmp_path):
    """Also their intervals; only what images are called differs."""
    out = tmp_path / "pages"
    result = call(world / "set", "--out", out, "--resamples", "200", "--jobs", "2")
    assert result.exit_code == 0, result.output
    for name in ("pairs", "annotators", "concepts", "confusions"):
        ours, theirs = out / f"{name}.csv", world / f"pages/{name}.csv"
        assert ours.read_bytes() == theirs.read_bytes()
    ours = (out / "counts/compared.csv").read_text()
    theirs = (world / "pages/counts/compared.csv").read_text()
    assert ours.replace("images/", "").replace(".jpg", ".png") == theirs
    assert read_csv(out / "images.csv")[0]["image"].startswith("images/")


@pytest.mark.usefixtures("no_pictures")
def test_the_same_bytes_for_any_number_of_processes(world, tmp_path):
    for jobs in (1, 3):
        result = call(*sources(world), "--out", tmp_path / f"{jobs}", *QUICK[:3], "--jobs", jobs)
        assert result.exit_code == 0, result.output
    assert tree(tmp_path / "1") == tree(tmp_path / "3")


def test_what_the_terminal_says(world):
    said = (world / "said.txt").read_text()
    assert said.startswith("ada.json, ben.xml, cleo: 12 images, 3 annotators; 12 images by two")
    agreement = np.mean([means("ada", "ben"), means("ada", "cleo")])
    row = next(line for line in said.splitlines() if line.split()[:1] == ["ada"])
    assert row.split()[1:3] == ["12", f"{agreement:.1%}"]
    assert "[" in row
    assert f"page: {world / 'pages/index.html'}" in said
    assert "Of the pixels that either of two people labelled" in said


def test_the_document_on_stdout_and_nothing_else(world, tmp_path):
    result = call(world / "set", "--json", "-", *QUICK)
    assert result.exit_code == 0
    document = json.loads(result.stdout)
    settings = document["settings"]
    assert (settings["boundary"], settings["resamples"]) == (False, 0)
    assert document["pairs"][0]["figures"]["boundary_iou"]["value"] is None
    assert document["pairs"][0]["pixels"]["any"]["mean"]["agreement"]["low"] is None
    path = tmp_path / "new/a.json"
    result = call(world / "set", "--json", path, *QUICK)
    assert json.loads(path.read_text()) == document
    assert "--out DIR writes a page to look at" in result.stdout
    assert sorted(tmp_path.rglob("*")) == [tmp_path / "new", path]


def test_layers_can_be_chosen(world, tmp_path):
    taxonomy = tmp_path / "t.csv"
    taxonomy.write_text("name,concept,category,synonyms\ntree,tree,part,\nbush,tree,part,\n")
    common = (*sources(world), "--taxonomy", taxonomy, *QUICK)
    assert " object " in call(*common).stdout
    only = call(*common, "--category", "part", "--json", "-")
    document = json.loads(only.stdout)
    assert [layer["category"] for layer in document["layers"]] == ["part"]
    assert document["settings"]["taxonomy"] == "t.csv"
    wrong = call(*common, "--category", "part,scene")
    assert wrong.exit_code == 2
    assert "--category is 'scene'" in wrong.stderr
    assert "object, part" in wrong.stderr


@pytest.mark.parametrize("kind", ["one person", "nobody", "apart", "nothing outlined"])
def test_what_cannot_be_said_is_said(world, tmp_path, kind):
    if kind == "one person":
        given, text = [world / "exports/ada.json"], "Only one person annotated"
    elif kind == "nobody":
        ours = ("conceptset.json", "annotators", "annotators.csv", "images.csv")
        shutil.copytree(world / "set", tmp_path / "broden", ignore=shutil.ignore_patterns(*ours))
        given, text = [tmp_path / "broden"], "does not say who annotated it"
    elif kind == "apart":
        ada = three.write_coco(tmp_path / "ada.json", prefix="monday/")
        ben = three.write_coco(tmp_path / "ben.json", "ben", prefix="tuesday/")
        given, text = [ada, ben], "No image was annotated by two persons"
    else:
        path = tmp_path / "a.json"
        image = {"id": 1, "file_name": "a.png", "height": 4, "width": 4}
        path.write_text(json.dumps({"images": [image], "annotations": [], "categories": []}))
        given, text = [path, "--annotator", "ada"], "Nobody outlined anything"
    result = call(*given, *QUICK, "--out", tmp_path / "pages")
    assert result.exit_code == 0, result.output
    assert text in result.stdout
    document = json.loads((tmp_path / "pages/consistency.json").read_text())
    assert any(text in note for note in document["notes"])
    assert (tmp_path / "pages/index.html").is_file()


def test_sessions_and_models(world):
    aliases = ("--alias", "ben=ada#2", "--model-annotator", "cleo")
    result = call(world / "set", *aliases, *QUICK)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    again = next(line for line in lines if line[:2] == ["ada,", "ada#2"])
    assert again[2:] == ["object", "12", f"{means('ada', 'ben'):.1%}"]
    document = json.loads(call(world / "set", *aliases, *QUICK, "--json", "-").stdout)
    assert [(one["a"], one["b"]) for one in document["intra"]] == [("ada", "ada#2")]
    assert {one["kind"] for one in document["pairs"]} == {"model"}


def test_who_has_a_later_session_alone_is_a_person_like_others(world, tmp_path):
    """Session 2 without session 1: counts, figures and page are the same."""

    def compared(out, *aliases):
        result = call(*sources(world), *aliases, *QUICK, "--out", tmp_path / out)
        assert result.exit_code == 0, result.output
        files = tree(tmp_path / out)
        return {name: data.replace(b"ada#2", b"ada") for name, data in files.items()}

    assert compared("again", "--alias", "ada=ada#2") == compared("first")


def test_names_that_a_spreadsheet_would_run(tmp_path):
    ada = three.write_coco(tmp_path / "ada.json", "=cmd|x")
    document = json.loads(ada.read_text())
    document["categories"][0]["name"] = "+1;\u202e"
    ada.write_text(json.dumps(document))
    ben = three.write_coco(tmp_path / "ben.json", "ben")
    result = call(ada, ben, *QUICK, "--out", tmp_path / "pages")
    assert result.exit_code == 0, result.output
    assert "\u202e" not in result.stdout
    for path in (tmp_path / "pages").rglob("*.csv"):
        for row in read_csv(path):
            assert not any(cell[:1] in ("=", "+", "@") for cell in row.values()), path
    assert "'=cmd|x" in (tmp_path / "pages/annotators.csv").read_text()
    assert "\u202e" not in (tmp_path / "pages/index.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nothing"], 3, "nothing: does not exist"),
        (["images"], 3, "no annotations in a known format"),
        (["set", "--resamples", "-1"], 2, "--resamples is -1"),
        (["set", "--jobs", "0"], 2, "--jobs is 0"),
        (["set", "--overlap", "up"], 2, "--overlap is 'up'"),
        (["set", "--taxonomy", "people.csv"], 2, "--taxonomy says how annotation files are read"),
        (["set", "--out", "images"], 2, "the output exists already"),
        (["set", "--out", "images", "--overwrite"], 2, "is no comparison of annotators"),
        (["set", "--json", "people.csv"], 2, "the file exists already"),
        (["set", "--json", "images", "--overwrite"], 2, "is a directory, --json names a file"),
        (["pages", "--out", "pages", "--overwrite"], 2, "lies in the directory"),
        (["set", "--alias", "ada"], 2, "--alias is 'ada'"),
        (["set", "set"], 2, "is named twice"),
    ],
)
def test_one_message_and_the_exit_code(world, monkeypatch, arguments, code, message):
    monkeypatch.chdir(world)
    before = tree(world)
    result = call(*arguments, *(option for option in QUICK if arguments[1:2] != [option]))
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output
    assert tree(world) == before


def test_a_failure_leaves_nothing_behind(world, tmp_path):
    broken = shutil.copytree(world / "set", tmp_path / "set")
    path = broken / "annotators/ben/segments.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:-1], lines[-1].replace('"counts": "', '"counts": "zz')]))
    result = call(broken, *QUICK, "--out", tmp_path / "pages")
    assert result.exit_code == 3
    assert 'images/0011.jpg annotator "ben": the mask of drawing 1' in result.stderr
    assert [child.name for child in tmp_path.iterdir()] == ["set"]
    earlier = shutil.copytree(world / "pages", tmp_path / "pages")
    result = call(broken, *QUICK, "--out", earlier, "--overwrite")
    assert result.exit_code == 3
    assert tree(earlier) == tree(world / "pages")


@pytest.mark.usefixtures("no_pictures")
def test_an_earlier_comparison_can_be_replaced(world, tmp_path):
    out = shutil.copytree(world / "pages", tmp_path / "pages")
    (out / "own.txt").touch()
    assert call(world / "set", *QUICK, "--out", out, "--overwrite").exit_code == 0
    assert not (out / "own.txt").exists()
    assert [child.name for child in tmp_path.iterdir()] == ["pages"]


def test_what_was_collected_makes_exit_code_1(tmp_path):
    path = three.write_coco(tmp_path / "ada.json")
    document = json.loads(path.read_text())
    document["annotations"][0]["segmentation"] = [[1, 1, 2, 2]]
    path.write_text(json.dumps(document))
    result = call(path, *QUICK, "--on-error", "collect")
    assert result.exit_code == 1
    assert "SRC017" in result.stdout
    assert "bad annotations: 1" in result.stdout
    assert call(path, *QUICK, "--on-error", "skip").exit_code == 0


def test_from_python(world):
    options = ConsistencyOptions(resamples=0, boundary=False)
    comparison = conceptset.measure_consistency(world / "set", options)
    one = comparison.report.pairs[0]
    assert one.pixels.any.mean.agreement.value == pytest.approx(means(one.a, one.b), abs=1e-12)
    assert (comparison.findings, comparison.skipped, comparison.notes) == ((), 0, ())
