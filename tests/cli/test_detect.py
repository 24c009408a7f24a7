"""`conceptset detect`: a file, a directory, an archive; for people and for machines."""

from __future__ import annotations

import json
import tempfile
import zipfile

import pytest
from PIL import Image
from typer.testing import CliRunner

from conceptset.cli import app

COCO = {
    "images": [{"id": 1, "file_name": "a.png", "height": 8, "width": 8}],
    "categories": [{"id": 1, "name": "car"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[0, 0, 4, 0, 4, 4]]}
    ],
}


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path):
    """Three COCO files, of which one names its annotators, one broken file, a photograph."""
    root = tmp_path / "export"
    (root / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(root / "images/a.png")
    named = json.loads(json.dumps(COCO))
    named["annotations"][0]["annotator"] = "ada"
    for name, document in (("a.json", COCO), ("b.json", COCO), ("c.json", named)):
        (root / name).write_text(json.dumps(document))
    (root / "cut.json").write_text('{"images": [')
    return root


def zipped(folder, path):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder))
    return path


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """The system's folder for temporary files, empty before and after."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    yield place
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("kind", ["directory", "archive"])
def test_a_directory_or_archive_for_people(folder, tmp_path, kind):
    source = folder if kind == "directory" else zipped(folder, tmp_path / "export.zip")
    result = call("detect", source)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[:3] == [
        "coco: 3 of 4 files",
        "  annotators: not named; use --annotator or --annotator-from (in 2 files)",
        "  annotators: named by annotations[].annotator (in 1 file)",
    ]
    assert "in no known format: 1 file, such as" in lines
    assert f"  {source.name}/cut.json" in lines
    assert "    coco: is no valid JSON (Expecting value)" in lines
    others = [line for line in lines if line.startswith("labelme: no: no file in it; ")]
    assert others == [line for line in others if f"{source.name}/a.json: " in line] != []
    assert str(tmp_path / "tmp") not in result.stdout


@pytest.mark.parametrize("kind", ["directory", "archive"])
def test_a_directory_or_archive_for_machines(folder, tmp_path, kind):
    source = folder if kind == "directory" else zipped(folder, tmp_path / "export.zip")
    result = call("detect", source, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["source"], said["kind"], said["as_a_whole"]) == (source.name, kind, None)
    assert (said["files"], said["others"], said["archives"]) == (4, 1, [])
    assert said["formats"] == [
        {
            "format": "coco",
            "files": 3,
            "people": [
                {"named_by": None, "files": 2},
                {"named_by": "annotations[].annotator", "files": 1},
            ],
        }
    ]
    (example,) = said["examples"]
    assert example["file"] == f"{source.name}/cut.json"
    assert {one["format"]: one["matches"] for one in example["detections"]}["coco"] is False
    assert {one["format"] for one in said["detections"]} >= {"coco", "labelme", "cvat"}


def test_a_file_says_what_it_always_said(folder):
    said = json.loads(call("detect", folder / "a.json", "--json").stdout)
    assert said[0]["format"] == "coco"
    assert set(said[0]) == {"format", "matches", "reasons", "people", "on_request"}
    assert [one["matches"] for one in said] == [True] + [False] * (len(said) - 1)


def test_nothing_to_read_is_exit_1(folder, tmp_path):
    for name in ("a.json", "b.json", "c.json"):
        (folder / name).unlink()
    (folder / "inner.zip").write_bytes(zipped(folder, tmp_path / "x.zip").read_bytes())
    for source in (folder, zipped(folder, tmp_path / "y.zip"), folder / "cut.json"):
        result = call("detect", source)
        assert result.exit_code == 1, result.output
        assert "coco: no" in result.stdout
    assert "not opened: 1 archives in it" in call("detect", folder).stdout


def test_what_is_refused_is_one_line(tmp_path):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../evil.json", "{}")
    for source, code in ((tmp_path / "x.zip", 3), (tmp_path / "none", 3)):
        result = call("detect", source)
        assert result.exit_code == code
        assert result.stderr.startswith(f"error: {source}")
        assert len(result.stderr.splitlines()) == 1


def test_a_directory_read_as_a_whole(tmp_path):
    """Index masks with a class list, inside the one folder of an archive."""
    root = tmp_path / "voc"
    for name, mode in (("JPEGImages/a.jpg", "RGB"), ("SegmentationClass/a.png", "L")):
        (root / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, (8, 8), 1 if mode == "L" else (9, 9, 9)).save(root / "x" / name)
    (root / "x" / "class_names.txt").write_text("_background_\ncar\n")
    result = call("detect", zipped(root, tmp_path / "e.zip"))
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith("masks: yes, all of e.zip/x: ")
    said = json.loads(call("detect", tmp_path / "e.zip", "--json").stdout)
    assert said["as_a_whole"] == "e.zip/x"
    inside = json.loads(call("detect", root / "x", "--json").stdout)
    assert inside["as_a_whole"] == "x"


def test_options_from_a_file(folder, tmp_path):
    """Every verb that reads annotations takes --config."""
    config = tmp_path / "c.toml"
    config.write_text('[detect]\njson = true\n[taxonomy]\nformat = "coco"\n')
    result = call("detect", folder / "a.json", "--config", config)
    assert json.loads(result.stdout)[0]["format"] == "coco"
    result = call("taxonomy", folder / "a.json", "--config", config)
    assert result.stdout.splitlines()[1] == "car,car,object,,1"


def test_taxonomy_and_build_read_archives(folder, tmp_path):
    archive = zipped(folder, tmp_path / "e.zip")
    result = call("taxonomy", archive)
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1] == "car,car,object,,3"
    alias = ("--alias", "nobody=ada", "--annotator", "ada")
    result = call("build", archive, "--out", tmp_path / "set", *alias)
    assert result.exit_code == 0, result.output
    assert result.stderr == ('note: --alias nobody=ada: nobody is called "nobody"; there are ada\n')
    quiet = call("build", archive, "--out", tmp_path / "set", "--overwrite", "--quiet", *alias)
    assert quiet.stderr == ""
    told = call("build", archive, "--out", tmp_path / "set", "--overwrite", "--json", *alias)
    assert len(json.loads(told.stdout)["notes"]) == 1
    (tmp_path / "t.csv").write_text("name,concept,category\ncar,,\nroad,road,object\n")
    left = call("build", archive, "--out", tmp_path / "less", "--taxonomy", tmp_path / "t.csv")
    assert "by the taxonomy: 3" in left.stdout + left.stderr


def test_many_people_and_an_unclear_folder(folder):
    for place in range(9):
        document = json.loads(json.dumps(COCO))
        document["images"][0]["annotator"] = "ada"
        key = {"annotator": "x"} if place % 2 else {"rater_id": "x"}
        document["annotations"][0] |= key
        document["images"][0]["rater_list"] = ["x"] * (place % 3)
        document["info"] = {"contributor": "ada"} if place > 4 else {}
        (folder / f"d{place}.json").write_text(json.dumps(document))
    result = call("detect", folder)
    assert result.exit_code == 0, result.output
    lines = [line for line in result.stdout.splitlines() if line.startswith("  annotators")]
    assert len(lines) == 6
    (more,) = [line for line in result.stdout.splitlines() if "more ways" in line]
    total = len(json.loads(call("detect", folder, "--json").stdout)["formats"][0]["people"])
    assert more == f"  ... and {total - 6} more ways; --json has all"
