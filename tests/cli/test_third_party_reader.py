"""A reader of somebody else's, registered by entry point: found, listed, chosen, built with."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import textwrap
import zipfile

import pytest
from PIL import Image

READER = """
    from conceptset.formats.base import Detection
    from conceptset.geometry import Rings, box_ring
    from conceptset.parsing.defects import Spot
    from conceptset.parsing.photographs import place_photograph
    from conceptset.records import ImageRecord, Origin, Person, Region


    class Boxes:
        '''NAME LEFT TOP RIGHT BOTTOM WHO per line; the image has the name of the file.'''

        name, title = "{name}", "Boxes"

        def detect(self, candidate):
            if candidate.suffix != ".{suffix}":
                return Detection(self.name, matches=False, reasons=("is not called .{suffix}",))
            asked = candidate.head.startswith(b"#")
            return Detection(
                self.name, matches=not asked, reasons=("is called so",), people="each line",
                on_request=asked,
            )

        def image_names(self, path):
            return [path.stem + ".png"]

        def read(self, path, context):
            spot = Spot(context.problems, context.label)
            placed = place_photograph(
                context.catalogue, path.stem + ".png", (8, 8), spot, beside=context.beside
            )
            regions = []
            for line in path.read_text().splitlines():
                if line.startswith("#"):
                    continue
                name, left, top, right, bottom, who = line.split()
                ring = box_ring(float(left), float(top), float(right), float(bottom))
                origin = Origin(context.label, line)
                regions.append(Region(name, "region", Rings((ring,)), Person(who), origin))
            yield ImageRecord(
                placed.key, placed.size, placed.frame, (), tuple(regions), Origin(context.label, "")
            )


    FORMAT = Boxes()
"""


def distribution(site, package, name, suffix="boxes", value=None):
    """What pip leaves of a package that registers one format."""
    site.mkdir(exist_ok=True)
    text = textwrap.dedent(READER).replace("{name}", name).replace("{suffix}", suffix)
    (site / f"{package}.py").write_text(text)
    information = site / f"{package}-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    point = value or f"{package}:FORMAT"
    (information / "entry_points.txt").write_text(f"[conceptset.formats]\n{name} = {point}\n")


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture
def run(tmp_path, repository):
    def call(*arguments):
        path = os.pathsep.join([str(tmp_path / "site"), str(repository)])
        return subprocess.run(
            [sys.executable, "-m", "conceptset", *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return call


@pytest.fixture
def source(tmp_path):
    """Two photographs with boxes by two people, each in a sub-folder, side by side."""
    folder = tmp_path / "drawn"
    for name, colour in (("d/a", (90, 10, 10)), ("e/b", (10, 10, 90))):
        (folder / name).parent.mkdir(parents=True)
        Image.new("RGB", (8, 8), colour).save(folder / f"{name}.png")
        boxes = "car 0 0 4 2 ada#2\ncar 0 0 3 2 ada\nbus 4 4 8 8 ben\n"
        (folder / f"{name}.boxes").write_text(boxes)
    return folder


def test_it_is_found_and_builds(tmp_path, run, source):
    distribution(tmp_path / "site", "boxes_reader", "boxes")
    with zipfile.ZipFile(tmp_path / "drawn.zip", "w") as archive:
        for path in sorted(source.rglob("*.*")):
            archive.write(path, path.relative_to(source))
    said = run("detect", source)
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("boxes: 2 of 2 files\n  annotators: named by each line\n")
    listed = json.loads(run("detect", source / "d/a.boxes", "--json").stdout)
    assert listed[0]["format"] == "boxes"
    assert {one["format"] for one in listed} >= {"boxes", "coco"}
    for given, out in ((source, "plain"), (tmp_path / "drawn.zip", "zipped")):
        built = run(
            *("build", given, "--out", tmp_path / out, "--image-size", "keep"),
            *("--segmentation-size", "8", "--image-format", "png"),
        )
        assert built.returncode == 0, built.stderr
    people = rows_of(tmp_path / "zipped/annotators.csv")
    assert [(row["annotator"], row["session"], row["segments"]) for row in people] == [
        *(("ada", "1", "2"), ("ada", "2", "2"), ("ben", "1", "2"))
    ]
    for table in ("index.csv", "images.csv", "annotators/ada-2/c_object.csv"):
        assert (tmp_path / "plain" / table).read_bytes() == (
            tmp_path / "zipped" / table
        ).read_bytes()
    (row,) = rows_of(tmp_path / "plain/annotators/ada-2/c_object.csv")
    assert float(row["coverage"]) == 2 * 8 / 64
    manifest = json.loads((tmp_path / "plain/conceptset.json").read_text())
    assert [(entry["file"], entry["format"]) for entry in manifest["sources"]] == [
        *(("drawn/d/a.boxes", "boxes"), ("drawn/e/b.boxes", "boxes"))
    ]
    assert run("validate", tmp_path / "plain").returncode == 0


def test_it_is_chosen_where_it_would_rather_be_asked(tmp_path, run, source):
    distribution(tmp_path / "site", "boxes_reader", "boxes")
    for file in source.rglob("*.boxes"):
        file.write_text(f"# perhaps\n{file.read_text()}")
    assert run("detect", source).returncode == 1
    assert "boxes: only with --format" in run("detect", source / "d/a.boxes").stdout
    refused = run("build", source, "--out", tmp_path / "set")
    assert refused.returncode == 3
    assert "holds no annotations in a known format" in refused.stderr
    built = run("build", source, "--format", "boxes", "--out", tmp_path / "set")
    assert built.returncode == 0, built.stderr


def test_two_formats_that_take_one_file(tmp_path, run, source):
    distribution(tmp_path / "site", "one_reader", "one")
    distribution(tmp_path / "site", "two_reader", "two")
    refused = run("build", source, "--out", tmp_path / "set")
    assert refused.returncode == 2
    assert "drawn/d/a.boxes: could be one or two. Choose with --format NAME." in refused.stderr
    said = run("detect", source).stdout
    assert "several formats take drawn/d/a.boxes; choose with --format NAME" in said
    assert run("build", source, "--format", "two", "--out", tmp_path / "set").returncode == 0


def test_what_is_registered_and_is_no_format(tmp_path, run, source):
    distribution(tmp_path / "site", "boxes_reader", "boxes", value="boxes_reader:READ")
    failed = run("detect", source)
    assert failed.returncode == 2, failed.stderr
    assert failed.stderr.startswith("error: ")
    assert "boxes = boxes_reader:READ of an installed package cannot be imported" in failed.stderr
    assert len(failed.stderr.splitlines()) == 1


def test_what_calls_itself_differently(tmp_path, run, source):
    distribution(tmp_path / "site", "boxes_reader", "boxes")
    points = tmp_path / "site/boxes_reader-1.0.dist-info/entry_points.txt"
    points.write_text(points.read_text().replace("boxes =", "crates ="))
    failed = run("detect", source)
    assert failed.returncode == 2
    assert "is no annotation format of this name" in failed.stderr


def test_two_packages_with_one_name(tmp_path, run, source):
    distribution(tmp_path / "site", "one_reader", "coco")
    failed = run("detect", source)
    assert failed.returncode == 2
    assert "register the format 'coco'" in failed.stderr
    assert "Uninstall one of them." in failed.stderr
