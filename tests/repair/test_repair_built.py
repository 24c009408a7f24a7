"""Sets that `build` made: there is nothing to repair, and what is broken comes back."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "merge"))

from plain_sets import World, rows, tree

from conceptset.build import BuildOptions, build_set
from conceptset.repair import RepairOptions, repair_set
from conceptset.validate import validate

SIZES = {f"{name}.png": (16, 24) for name in "abcd"}


@pytest.fixture(params=[["ada"], ["ada", "bob", "ada#2"]], ids=["alone", "several"])
def built(request, tmp_path):
    """A set of one person or of three sessions, with abstentions and computed colours."""
    world = World(tmp_path / "world")
    for seed, name in enumerate(SIZES):
        world.photograph(name, seed=seed)
    table = [["file", "annotator"]]
    for place, who in enumerate(request.param):
        crowd = {"iscrowd": 1, "segmentation": {"size": [16, 24], "counts": [0, 100, 284]}}
        world.coco(
            f"{place}.json",
            SIZES,
            [
                ("a.png", "car", (place, 0, 12, 8)),
                ("a.png", "tree", (4, 4, 20, 12)),
                ("b.png", "tree", (0, 0, 24, 4), crowd),
                ("b.png", "lamp" if place == 1 else "car", (2, 2, 9, 9)),
                ("d.png", "car", (0, 0, 4, 4 + 4 * place)),
            ],
        )
        table.append([f"{place}.json", who])
    (tmp_path / "who.csv").write_text("".join(f"{a},{b}\n" for a, b in table))
    options = BuildOptions(
        annotator_from=str(tmp_path / "who.csv"), image_size=None, colors=True, split_by=None
    )
    sources = [world.root / f"{place}.json" for place in range(len(request.param))]
    build_set(sources, tmp_path / "set", options)
    return tmp_path / "set"


def test_nothing_changes(built, tmp_path):
    report = repair_set(built, tmp_path / "new", RepairOptions())
    assert (list(report.changes), list(report.findings)) == ([], [])
    assert tree(tmp_path / "new") == tree(built)


def test_all_tables_of_figures_lost(built, tmp_path):
    """label.csv keeps the names; everything else that can be counted is counted."""
    before = tree(built)
    lost = [
        *built.rglob("c_*.csv"),
        *built.rglob("category.csv"),
        built / "annotators/ada/label.csv",
    ]
    for path in lost:
        path.unlink()
    text = (built / "label.csv").read_text().splitlines()
    names = [line.split(",")[:2] for line in text]
    (built / "label.csv").write_text("".join(f"{a},{b}\n" for a, b in names))
    report = repair_set(built, tmp_path / "new", RepairOptions())
    assert report.lost == 0, report.findings
    after = tree(tmp_path / "new")
    assert {name: data for name, data in after.items() if name != "conceptset.json"} == {
        name: data for name, data in before.items() if name != "conceptset.json"
    }


def test_the_root_from_its_annotators(built, tmp_path):
    """Rows of the root that are gone are formed again, to the byte, as the build forms them."""
    before = tree(built)
    lines = (built / "index.csv").read_text().splitlines(keepends=True)
    (built / "index.csv").write_text("".join([*lines[:1], *lines[2:]]))
    gone = lines[1].split(",")[0]
    stem = gone.rpartition("/")[2].rpartition(".")[0]
    people = rows(built / "annotators.csv")
    if len(people) > 1:
        for path in (built / "images").rglob(f"{stem}_object*.png"):
            if "annotators" not in path.parts:
                path.unlink()
    report = repair_set(built, tmp_path / "new", RepairOptions())
    assert report.lost == 0, report.findings
    after = tree(tmp_path / "new")
    differ = {name for name in before if before[name] != after.get(name)}
    assert differ <= {"conceptset.json"}
    counts = [json.loads(one["conceptset.json"])["counts"] for one in (before, after)]
    assert counts[0] == counts[1]
    assert validate(tmp_path / "new").findings == validate(built.parent / "new").findings


def test_methods_that_compare_segments_are_not_repeated(built, tmp_path):
    if len(rows(built / "annotators.csv")) == 1:
        return
    manifest = json.loads((built / "conceptset.json").read_text())
    manifest["settings"]["consensus"] = "segment-vote"
    (built / "conceptset.json").write_text(json.dumps(manifest))
    lines = (built / "index.csv").read_text().splitlines(keepends=True)
    (built / "index.csv").write_text("".join([*lines[:1], *lines[2:]]))
    report = repair_set(built, tmp_path / "new", RepairOptions())
    assert {finding.code for finding in report.findings} >= {"ANN004"}
    assert validate(tmp_path / "new").errors == 0
