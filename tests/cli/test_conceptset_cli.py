"""The command line as a person meets it: results, messages, exit codes, where options come from."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from conceptset.cli import app


@pytest.fixture
def world(tmp_path):
    (tmp_path / "images").mkdir()
    names = [f"{place}.png" for place in range(6)]
    for place, name in enumerate(names):
        pixels = np.random.default_rng(place).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / name)
    square = [2, 2, 12, 2, 12, 12, 2, 12]
    document = {
        "images": [
            {"id": place, "file_name": name, "height": 20, "width": 20}
            for place, name in enumerate(names)
        ],
        "categories": [{"id": 1, "name": "car"}, {"id": 2, "name": "bus"}],
        "annotations": [
            {"id": place, "image_id": place, "category_id": 1 + place % 2, "segmentation": [square]}
            for place in range(6)
        ],
    }
    (tmp_path / "coco.json").write_text(json.dumps(document))
    return tmp_path


def call(*arguments, **environment):
    runner = CliRunner(env=environment)
    return runner.invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def built(world):
    result = call("build", world / "coco.json", "--out", world / "set")
    assert result.exit_code == 0, result.output
    return world / "set"


def test_build_says_what_it_built_and_what_to_do_next(world):
    result = call("build", world / "coco.json", "--out", world / "set", "--annotator", "ada")
    assert result.exit_code == 0
    assert re.search(r"images +6", result.stdout)
    assert "too large or small for any unit" in result.stdout
    assert f"next: conceptset validate {world / 'set'}" in result.stdout
    assert result.stderr == ""


def test_json_of_every_verb_is_json(world, built):
    for arguments in (
        ("build", world / "coco.json", "--out", world / "again", "--json"),
        ("detect", world / "coco.json", "--json"),
        ("validate", built, "--json"),
        ("find", built, "car", "--json"),
        ("info", built, "--json"),
    ):
        result = call(*arguments)
        assert result.exit_code == 0, result.output
        json.loads(result.stdout)


def test_find_lists_most_pixels_first(built):
    result = call("find", built, "car", "--json")
    found = json.loads(result.stdout)["images"]
    pixels = [image["pixels"] for image in found]
    assert len(found) == 3
    assert pixels == sorted(pixels, reverse=True)
    near = call("find", built, "cra")
    assert near.exit_code == 2
    assert "Did you mean car" in near.stderr


def test_taxonomy_round_trip_changes_nothing(world, built):
    table = world / "names.csv"
    assert call("taxonomy", world / "coco.json", "--out", table).exit_code == 0
    result = call("build", world / "coco.json", "--out", world / "again", "--taxonomy", table)
    assert result.exit_code == 0, result.output
    for name in ("index.csv", "label.csv", "c_object.csv"):
        assert (world / "again" / name).read_bytes() == (built / name).read_bytes()
    refused = call("taxonomy", world / "coco.json", "--out", table)
    assert refused.exit_code == 2
    assert "exists already" in refused.stderr


def test_options_come_from_flag_then_environment_then_file(world):
    config = world / "build.toml"
    config.write_text('image-size = "8"\nsplit = "all=1"\n[build]\nfit = "pad"\n')

    def size(*flags, **environment):
        out = world / f"set{os.urandom(4).hex()}"
        arguments = ("build", world / "coco.json", "--out", out, "--config", config, *flags)
        result = call(*arguments, "--json", **environment)
        assert result.exit_code == 0, result.output
        settings = json.loads(result.stdout)["manifest"]["settings"]
        assert (settings["fit"], settings["split"]) == ("pad", "all=1")
        return settings["image_size"]

    assert size() == [8, 8]
    assert size(CONCEPTSET_BUILD_IMAGE_SIZE="10") == [10, 10]
    assert size("--image-size", "12", CONCEPTSET_BUILD_IMAGE_SIZE="10") == [12, 12]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('image_siez = "8"', "has no option 'image_siez' to set. Did you mean image-size"),
        ("image-size = ", "is no TOML"),
        (None, "cannot be read"),
    ],
)
def test_a_config_that_cannot_be_used(world, text, message):
    config = world / "build.toml"
    if text is not None:
        config.write_text(text)
    result = call("build", world / "coco.json", "--out", world / "set", "--config", config)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not (world / "set").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["build", "coco.json", "--out", "set", "--fit", "stretch"], 2, "--fit is 'stretch'"),
        (["build", "coco.json", "--out", "set", "--jobs", "0"], 2, "--jobs is 0"),
        (["build", "coco.json", "--out", "set", "--split", "a=2"], 2, "adds up to 2"),
        (["build", "coco.json", "--out", "coco.json"], 2, "exists already"),
        (["build", "nothing.json", "--out", "set"], 3, "nothing.json: does not exist"),
        (
            ["build", "coco.json", "--out", "set", "--images", "nowhere"],
            2,
            "no directory of images",
        ),
        (["validate", "nowhere"], 2, "nowhere"),
        (["info", "images"], 3, "neither conceptset.json nor index.csv"),
        (["rule", "SEG999"], 2, "SEG999"),
        (["schema", "manifst"], 2, "manifest"),
        (["detect", "nowhere"], 3, "does not exist"),
    ],
)
def test_one_message_and_the_exit_code(world, monkeypatch, arguments, code, message):
    monkeypatch.chdir(world)
    result = call(*arguments)
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.output


def test_findings_make_exit_code_1(world, built):
    document = json.loads((world / "coco.json").read_text())
    document["annotations"][0]["segmentation"] = [[1, 1, 2, 2]]
    (world / "bad.json").write_text(json.dumps(document))
    arguments = ("build", world / "bad.json", "--out", world / "collected", "--on-error")
    assert call(*arguments, "raise").exit_code == 3
    result = call(*arguments, "collect")
    assert result.exit_code == 1
    assert "SRC017" in result.stdout
    assert "/annotations/0" in result.stdout
    assert call(*arguments, "skip", "--overwrite").exit_code == 0
    (built / "label.csv").write_text((built / "label.csv").read_text().replace("car", "cat"))
    result = call("validate", built)
    assert result.exit_code == 1
    assert "label.csv" in result.stdout


def test_detect_explains_itself(world):
    result = call("detect", world / "coco.json")
    assert result.exit_code == 0
    assert "coco: yes" in result.stdout
    assert "--annotator" in result.stdout
    (world / "other.json").write_text('{"shapes": []}')
    refused = call("detect", world / "other.json")
    assert refused.exit_code == 1
    assert "coco: no" in refused.stdout


def test_rules_and_schemas_explain_themselves():
    assert "run-length" in call("rule", "SRC023").stdout
    assert json.loads(call("schema", "manifest").stdout)["type"] == "object"


def test_a_bug_says_so_and_interruption_has_its_code(world):
    script = (
        "import sys, conceptset.cli as c, conceptset.build as b\n"
        "def fail(*a, **k): raise {}\n"
        "b.build_set = fail\n"
        f"sys.argv = ['conceptset', 'build', {str(world / 'coco.json')!r}, '--out', 'x']\n"
        "c.main()\n"
    )
    for error, code, message in (
        ("ZeroDivisionError('oops')", 70, "this is a bug"),
        ("KeyboardInterrupt()", 130, "interrupted"),
        ("OSError(28, 'No space left on device')", 3, "No space left on device"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script.format(error)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert message in done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[bild]\njobs = 1\n", r"has a section \[bild\]; known are .*\[build\]"),
        ("build = 3\n", r"has build = 3, a section \[build\] was expected"),
        ("split = { train = 1 }\n", r"has a section \[split\]"),
    ],
)
def test_a_section_that_no_command_reads_is_refused(world, text, message):
    (world / "b.toml").write_text(text)
    result = call(
        "build", world / "coco.json", "--out", world / "set", "--config", world / "b.toml"
    )
    assert result.exit_code == 2
    assert re.search(message, result.stderr)


def test_sections_of_other_commands_are_left_to_them(world):
    (world / "t.csv").write_text("name,concept,category\ncar,auto,object\n")
    (world / "b.toml").write_text(f'taxonomy = "{world / "t.csv"}"\n[validate]\njobs = 1\n')
    result = call(
        "build", world / "coco.json", "--out", world / "set", "--config", world / "b.toml"
    )
    assert result.exit_code == 0
    assert "auto" in (world / "set/label.csv").read_text()


def spoken(arguments, **environment):
    """Exit code and bytes of a process of its own."""
    command = [sys.executable, "-m", "conceptset", *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, check=False, env={**os.environ, **environment}
    )
    return done.returncode, done.stdout, done.stderr


def test_results_are_utf8_whatever_the_locale_says(world):
    document = json.loads((world / "coco.json").read_text())
    document["categories"][0]["name"] = "tr\u00e4d"
    (world / "coco.json").write_text(json.dumps(document))
    code, said, _ = spoken(["taxonomy", world / "coco.json"], PYTHONIOENCODING="ascii")
    assert code == 0
    assert "tr\u00e4d" in said.decode()
    out = ["build", world / "coco.json", "--out", world / "set"]
    assert spoken(out, PYTHONIOENCODING="ascii")[0] == 0


def test_a_reader_that_has_seen_enough_is_no_failure(built):
    pipe = f"{sys.executable} -m conceptset info {built} | head -c 1 >/dev/null"
    code = f"{pipe}; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("0", "")
