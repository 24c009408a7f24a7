"""The reader on docs/adding-a-format.md works as printed, installed as somebody else's package."""

from __future__ import annotations

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

PAGE = Path(__file__).parents[2] / "docs" / "adding-a-format.md"


@pytest.fixture
def package(tmp_path):
    """A folder as pip would leave it: the module of the page and a distribution that names it."""
    text = PAGE.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    entry = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert code is not None
    assert entry is not None
    home = tmp_path / "site"
    (home / "my_package").mkdir(parents=True)
    (home / "my_package" / "__init__.py").touch()
    (home / "my_package" / "polygon_table.py").write_text(code[1], encoding="utf-8")
    points = entry[1].replace('[project.entry-points."conceptset.formats"]', "[conceptset.formats]")
    information = home / "my_package-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(points.replace('"', ""))
    return home


def run(package, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "conceptset", *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{Path(__file__).parents[2]}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "drawn"
    folder.mkdir()
    for name, colour in (("a.png", (90, 120, 30)), ("b.png", (30, 90, 120))):
        Image.new("RGB", (8, 6), colour).save(folder / name)
    (folder / "polygons.csv").write_text(
        "image,label,points,annotator\n"
        'a.png,door,"1,1 5,1 5,4 1,4",ada\n'
        'a.png,door,"1,1 4,1 4,4 1,4",ben\n'
        "b.png,,,ada\n"
    )
    return folder


def test_the_page_shows_a_reader_that_is_found_and_builds(package, source, tmp_path):
    found = run(package, "detect", source / "polygons.csv")
    assert found.returncode == 0, found.stderr
    assert "polygon-table: yes: has all columns" in found.stdout
    built = run(
        package, "build", source, "--out", tmp_path / "set", "--image-size", "keep",
        "--segmentation-size", "6x8", "--image-format", "png",
    )  # fmt: skip
    assert built.returncode == 0, built.stderr
    with (tmp_path / "set" / "annotators.csv").open(newline="") as stream:
        people = {row["annotator"]: row for row in csv.DictReader(stream)}
    assert {name: row["images"] for name, row in people.items()} == {"ada": "2", "ben": "1"}
    areas = {}
    for name, row in people.items():
        table = tmp_path / "set" / "annotators" / row["directory"] / "c_object.csv"
        with table.open(newline="") as stream:
            areas[name] = [float(line["coverage"]) for line in csv.DictReader(stream)]
    assert areas == {"ada": [12 / 48], "ben": [9 / 48]}
    checked = run(package, "validate", tmp_path / "set")
    assert checked.returncode == 0, checked.stdout


def test_the_reader_of_the_page_reports_what_is_wrong(package, source, tmp_path):
    table = source / "polygons.csv"
    table.write_text(table.read_text() + 'b.png,door,"1,1 nan,2 3,3",ada\n')
    built = run(package, "build", source, "--out", tmp_path / "set")
    assert built.returncode == 3
    assert "drawn/polygons.csv line 5: coordinate 2 of the outline of" in built.stderr
    assert not (tmp_path / "set").exists()
