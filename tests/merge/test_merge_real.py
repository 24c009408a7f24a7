"""Real photographs of two sources in one set, and a foreign layout among them: plain loops."""

from __future__ import annotations

import hashlib
import json

import pytest
from plain_sets import labels_of, renamed, rows, same_labels, tree
from typer.testing import CliRunner

from conceptset.build import BuildOptions, build_set
from conceptset.cli import app
from conceptset.merge import MergeOptions, merge_sets
from conceptset.validate import validate

pytestmark = pytest.mark.real

# MSRC calls people by their parts, CamVid by what they do; the street has two names
NAMES = {"face": "person", "body": "person", "pedestrian": "person", "pavement": "sidewalk"}


@pytest.fixture(scope="module")
def sets(shared, tmp_path_factory):
    root = tmp_path_factory.mktemp("sets")
    for name, size in (("msrc", None), ("camvid", (120, 160))):
        build_set(
            [shared / f"real/{name}/coco.json"],
            root / name,
            BuildOptions(annotator=f"team {name}", image_size=size, jobs=2),
        )
    return root


def numbering(root):
    """Numbers by the rule of the layout: images that carry the label, coverage, name."""
    frequency, coverage = {}, {}
    for categories in labels_of(root).values():
        for labels in categories.values():
            for name, where in labels.items():
                frequency[name] = frequency.get(name, 0) + 1
                coverage[name] = coverage.get(name, 0.0) + where.mean()
    return sorted(frequency, key=lambda name: (-frequency[name], -coverage[name], name)), frequency


def test_msrc_and_camvid(sets, tmp_path):
    taxonomy = tmp_path / "names.csv"
    lines = [f"{old},{new},object,\n" for old, new in NAMES.items()]
    taxonomy.write_text("name,concept,category,synonyms\n" + "".join(lines) + "bicyclist,,,\n")
    options = MergeOptions(taxonomy=taxonomy, aliases={"team msrc": "bill"}, jobs=2)
    merge_sets([sets / "msrc", sets / "camvid"], tmp_path / "both", options)
    both = tmp_path / "both"
    assert validate(both, jobs=2).findings == ()
    names = {**NAMES, "bicyclist": None}
    before = {}
    for name, person in (("msrc", "bill"), ("camvid", "team-camvid")):
        before[person] = renamed(labels_of(sets / name), names)
        after = labels_of(both, f"annotators/{person}")
        same_labels(
            {k: v for k, v in before[person].items() if v}, {k: v for k, v in after.items() if v}
        )
        assert before[person].keys() == after.keys()
    same_labels({**before["bill"], **before["team-camvid"]}, labels_of(both))
    order, frequency = numbering(both)
    table = rows(both / "label.csv")
    assert [row["name"] for row in table] == order
    assert [int(row["frequency"]) for row in table] == [frequency[name] for name in order]
    assert {"sky", "building", "road", "tree", "car", "person", "sidewalk"} <= set(order)
    assert {row["name"]: row["syns"] for row in table}["person"] == "body;face;pedestrian"
    # photographs, splits and origins
    index = {row["image"]: row for row in rows(both / "index.csv")}
    origins = {row["sha256"]: row for row in rows(both / "images.csv")}
    for name in ("msrc", "camvid"):
        splits = {row["image"]: row for row in rows(sets / name / "index.csv")}
        for row in rows(sets / name / "images.csv"):
            new = origins[row["sha256"]]
            assert new["original"] == row["original"]
            assert new["source"] == f"{name}-images"
            old_row, new_row = splits[row["image"]], index[new["image"]]
            assert [old_row[c] for c in ("split", "ih", "iw", "sh", "sw")] == [
                new_row[c] for c in ("split", "ih", "iw", "sh", "sw")
            ]
            photograph = (sets / name / "images" / row["image"]).read_bytes()
            assert (both / "images" / new["image"]).read_bytes() == photograph
    segments = {
        person: [json.loads(line) for line in
                 (both / f"annotators/{person}/segments.jsonl").read_text().splitlines()]
        for person in before
    }  # fmt: skip
    assert {line["concept"] for line in segments["bill"]} & {"face", "body"} == set()
    assert {line["name"] for line in segments["bill"]} >= {"face", "body"}
    dropped = sum(
        json.loads(line)["concept"] == "bicyclist"
        for line in (sets / "camvid/annotators/team-camvid/segments.jsonl").read_text().splitlines()
    )
    manifest = json.loads((both / "conceptset.json").read_text())
    assert manifest["counts"]["left_out"] == {"left out by the taxonomy": dropped}
    assert manifest["counts"]["segments"] == sum(map(len, segments.values()))
    assert [one["set"] for one in manifest["settings"]["merged"]] == ["camvid", "msrc"]
    assert (
        manifest["settings"]["merged"][1]["sha256"]
        == hashlib.sha256((sets / "msrc/conceptset.json").read_bytes()).hexdigest()
    )


def test_with_a_foreign_layout(shared, sets, tmp_path):
    """Maps in several planes, whole-image labels, a label twice on a pixel, gaps in the numbers."""
    foreign = shared / "parity/synth40/dataset"
    report = merge_sets([foreign, sets / "msrc"], tmp_path / "both", MergeOptions(jobs=2))
    other = merge_sets([sets / "msrc", foreign], tmp_path / "other", MergeOptions(jobs=2))
    assert tree(tmp_path / "both") == tree(tmp_path / "other")
    assert other == report
    both = tmp_path / "both"
    assert validate(both, jobs=2).findings == ()
    same_labels(labels_of(foreign), labels_of(both, "annotators/unnamed"))
    same_labels({**labels_of(foreign), **labels_of(sets / "msrc")}, labels_of(both))
    people = {row["directory"]: row for row in rows(both / "annotators.csv")}
    assert (people["unnamed"]["annotator"], people["unnamed"]["images"]) == ("", "40")
    assert people["unnamed"]["segments"] == "0"
    sources = {row["source"] for row in rows(both / "images.csv")}
    assert sources == {"dataset", "images"}
    assert report.sizes > 1
    order, _ = numbering(both)
    assert [row["name"] for row in rows(both / "label.csv")] == order


def test_on_the_command_line(sets, tmp_path):
    run = CliRunner()
    command = ["merge", str(sets / "msrc"), str(sets / "camvid"), "--out", str(tmp_path / "both")]
    result = run.invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "dissect needs --image-size" in result.output
    result = run.invoke(app, ["info", str(tmp_path / "both")])
    assert result.exit_code == 0
    assert "240 images" in result.output
    result = run.invoke(app, ["find", str(tmp_path / "both"), "car", "--json"])
    found = json.loads(result.stdout)
    assert {one["image"].split("/")[0] for one in found["images"]} == {
        "camvid-images", "msrc-images"
    }  # fmt: skip
    result = run.invoke(app, [*command, "--json"])
    assert result.exit_code == 2
    assert "exists already" in result.output
    result = run.invoke(app, [*command, "--json", "--overwrite", "--annotator-from", "folder"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["manifest"]["counts"]["images"] == 240
    wrong = [["--annotator-from", "file"], ["--jobs", "0"], ["--split", "a=2"]]
    for options in wrong:
        assert run.invoke(app, [*command, *options]).exit_code == 2
