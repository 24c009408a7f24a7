"""Runs side by side: their figures against plain recomputation, and what is refused."""

from __future__ import annotations

import csv
import itertools
import json
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from snapshots import LAYERS, NAMES, write_sweep
from typer.testing import CliRunner

from conceptset.consistency.intervals import draw_resamples
from conceptset.errors import IncompleteError, LayoutError, SourceError, UsageError
from dissect.cli import app
from dissect.compare import compare_runs, gather_runs, write_comparison
from dissect.compare.gathering import name_runs, natural_key, shorten
from dissect.compare.matching import expect_kept, kind_of
from dissect.compare.resampling import UNKNOWN
from dissect.counts import read_counts
from dissect.state import RunLayout, open_run


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, small_set):
    return write_sweep(tmp_path_factory.mktemp("compared") / "sweep", small_set)


@pytest.fixture(scope="module")
def compared(sweep):
    return compare_runs(gather_runs([sweep]))


def rows_of(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def detectors_by_plain_sums(run_dir, layer):
    """(resamples,) detectors: dense tables, one resample after the other, one division each."""
    run, layout = open_run(run_dir), RunLayout(run_dir)
    record = run.layer(layer)
    counts = read_counts(layout.counts(record.directory))
    category = {}
    for own in run.layers:
        for row in rows_of(layout.scores(own.directory)):
            category[int(row["label_number"])] = run.counts.categories.index(row["category"])
    images = counts.pixels[:, 0].tolist()
    labels = 1 + int(counts.truth[:, 1].max())
    shared = np.zeros((len(images), record.units, labels), int)
    area = np.zeros((len(images), record.units), int)
    truth = np.zeros((len(images), labels), int)
    for image, unit, label, pixels in counts.intersection.tolist():
        shared[images.index(image), unit, label] = pixels
    for image, unit, pixels in counts.area.tolist():
        area[images.index(image), unit] = pixels
    for image, label, pixels in counts.truth.tolist():
        truth[images.index(image), label] = pixels
    carries = np.zeros((len(images), len(run.counts.categories)), bool)
    for label, place in category.items():
        carries[:, place] |= truth[:, label] > 0
    found = []
    for weights in draw_resamples(len(images), resamples=1000).astype(int):
        active = (weights[:, None, None] * area[:, :, None] * carries[:, None, :]).sum(axis=0)
        common = (weights[:, None, None] * shared).sum(axis=0)
        whole = weights @ truth
        best = np.zeros(record.units)
        for label, place in category.items():
            either = active[:, place] + whole[label] - common[:, label]
            best = np.maximum(best, common[:, label] / np.maximum(either, 1))
        found.append(int((best > run.config.iou_threshold).sum()))
    return np.array(found)


def test_intervals_are_those_of_plain_sums(sweep, compared):
    for layer in compared.document.layers:
        plain = [detectors_by_plain_sums(sweep / name, layer.name) for name in NAMES]
        assert len({tuple(counts) for counts in plain}) > 1
        for figures, counts in zip(layer.columns, plain, strict=True):
            assert figures.expected_detectors == pytest.approx(counts.mean(), abs=1e-9)
            low, high = np.quantile(counts, [0.025, 0.975])
            assert (figures.detectors_low, figures.detectors_high) == pytest.approx((low, high))
            assert figures.reason == ""
        for step, (before, after) in zip(layer.steps, itertools.pairwise(plain), strict=True):
            low, high = np.quantile(after - before, [0.025, 0.975])
            assert (step.low, step.high) == pytest.approx((low, high))


def test_figures_are_those_of_the_scores(sweep, compared):
    document = compared.document
    assert tuple(run.label for run in document.runs) == NAMES
    assert tuple(layer.name for layer in document.layers) == LAYERS
    for layer in document.layers:
        best = {}
        for place, name in enumerate(NAMES):
            run = open_run(sweep / name)
            record = run.layer(layer.name)
            rows = rows_of(RunLayout(sweep / name).scores(record.directory))
            first = [row for row in rows if row["rank"] == "1"]
            figures = layer.columns[place]
            assert figures.detectors == record.detectors.detectors
            ious = [float(row["iou"]) for row in first]
            ious += [0.0] * (record.units - len(ious))
            assert figures.iou_mean == pytest.approx(np.mean(ious))
            assert figures.iou_median == pytest.approx(np.median(ious))
            best[place] = {
                int(row["unit"]): (row["concept"], row["category"])
                for row in first
                if row["detector"] == "True"
            }
            for entry in layer.concepts:
                own = [row for row in rows if row["concept"] == entry.concept]
                cell = entry.columns[place]
                concept = (entry.concept, entry.category)
                assert cell.units == sum(found == concept for found in best[place].values())
                assert cell.best_iou == max((float(row["iou"]) for row in own), default=0.0)
        for place, step in enumerate(layer.steps):
            old, new = best[place], best[place + 1]
            assert step.matched
            assert step.detectors == len(new) - len(old)
            assert step.kept == sum(new.get(unit) == concept for unit, concept in old.items())
            assert step.kept + step.renamed == len(old.keys() & new.keys())
            assert (step.gained, step.lost) == (
                len(new.keys() - old.keys()),
                len(old.keys() - new.keys()),
            )
            appeared = {name for name, _ in set(new.values()) - set(old.values())}
            assert set(step.appeared) == appeared


concepts = st.lists(st.sampled_from([None, ("a", "x"), ("b", "x"), ("a", "y")]), min_size=5)


@given(concepts, concepts)
def test_chance_is_the_mean_over_all_orders(old, new):
    old, new = old[:5], new[:5]
    orders = [
        sum(kind_of(a, b) == "kept" for a, b in zip(old, order, strict=True))
        for order in itertools.permutations(new)
    ]
    assert expect_kept(old, new) == pytest.approx(sum(orders) / len(orders))


@given(st.lists(st.integers(0, 10**6), unique=True), st.sampled_from(["epoch", "e-", "Model_"]))
def test_numbers_in_names_count(numbers, stem):
    names = sorted((f"{stem}{number}" for number in numbers), key=natural_key)
    assert names == [f"{stem}{number}" for number in sorted(numbers)]


def test_natural_order_of_odd_names():
    names = ["B2", "a10", "9", "10", "a", "", "a9b"]
    assert sorted(names, key=natural_key) == ["", "9", "10", "a", "a9b", "a10", "B2"]


def test_labels():
    roots = [Path("/x/a/run"), Path("/x/b/run")]
    assert name_runs(roots, ["one", "two"]) == ["one", "two"]
    assert name_runs(roots, ["net", "net"]) == ["a/run", "b/run"]
    assert shorten(["a/run", "b/run"]) == ["a/run", "b/run"]
    assert shorten(["net_1", "net_1_more"]) == ["1", "1_more"]
    assert shorten(["net_", "net_2"]) == ["net_", "net_2"]


def test_order_of_arguments_is_kept(sweep):
    gathered = gather_runs([sweep / NAMES[2], sweep / NAMES[0]])
    assert [member.root.name for member in gathered.members] == [NAMES[2], NAMES[0]]
    assert gathered.title == "2 runs"


def test_an_incomplete_run_of_a_sweep_is_left_out(sweep, tmp_path):
    copy = shutil.copytree(sweep, tmp_path / "sweep")
    layout = RunLayout(copy / NAMES[1])
    layout.manifest.unlink()
    layout.shards.mkdir()
    layout.pending.write_text("{}")
    gathered = gather_runs([copy])
    assert [member.root.name for member in gathered.members] == [NAMES[0], NAMES[2]]
    assert gathered.notes == (f"sweep/{NAMES[1]} is not complete and was left out",)
    with pytest.raises(IncompleteError):
        gather_runs([copy / NAMES[0], copy / NAMES[1]])


def test_what_is_no_comparison(sweep, tmp_path):
    with pytest.raises(UsageError, match="named twice"):
        gather_runs([sweep, sweep / NAMES[0]])
    with pytest.raises(UsageError, match="nothing to compare with"):
        gather_runs([sweep / NAMES[0]])
    with pytest.raises(SourceError, match="is no run"):
        gather_runs([tmp_path])


def changed(sweep, target, edit):
    """Two of the runs, the second one with another run.json."""
    for name in NAMES[:2]:
        shutil.copytree(sweep / name, target / name)
    path = RunLayout(target / NAMES[1]).manifest
    document = json.loads(path.read_text())
    edit(document)
    path.write_text(json.dumps(document))
    return gather_runs([target])


@pytest.mark.parametrize(
    ("option", "value"), [("quantile", "0.01"), ("iou_threshold", 0.05), ("union", "lite")]
)
def test_another_meaning_of_detector_is_refused(sweep, tmp_path, option, value):
    gathered = changed(sweep, tmp_path, lambda run: run["config"].update({option: value}))
    with pytest.raises(UsageError, match=f"--{option.replace('_', '-')} is .* and {value}"):
        compare_runs(gathered, intervals=False)
    document = compare_runs(gathered, mixed=True, intervals=False).document
    assert [entry.option for entry in document.differences] == [option]
    assert document.differences[0].weight == "meaning"
    assert len(document.notes) == 1
    assert (document.iou_threshold is None) == (option == "iou_threshold")


def test_another_set_is_said(sweep, tmp_path):
    gathered = changed(sweep, tmp_path, lambda run: run["set"].update(digest="0" * 64))
    blind = compare_runs(gathered, intervals=False).document
    assert blind.notes == (
        "The runs differ in their concept set: not all of its files are the same, so IoUs may be "
        "of other pixels.",
    )
    assert "equal pixels in every image" in compare_runs(gathered).document.notes[0]


def test_sets_with_nothing_in_common(sweep, tmp_path):
    gathered = changed(sweep, tmp_path, lambda _: None)
    for path in (tmp_path / NAMES[1]).rglob("scores.csv"):
        path.write_text(path.read_text().replace("thing ", "sache "))
    with pytest.raises(UsageError, match="a concept in common"):
        compare_runs(gathered, intervals=False)


def test_counts_that_say_something_else_give_no_interval(sweep, tmp_path):
    """Probabilities of the scores are checked in every unit before an interval is given."""
    gathered = changed(sweep, tmp_path, lambda run: run["config"].update(iou_threshold=0.3))
    layer = compare_runs(gathered, mixed=True).document.layers[0]
    assert [column.reason for column in layer.columns] == ["", UNKNOWN]
    assert layer.columns[1].detectors_low is None
    assert layer.steps[0].low is None


def test_layers_with_other_units_are_not_matched(sweep, tmp_path):
    def edit(run):
        run["model"]["name"] = "Other"

    step = compare_runs(changed(sweep, tmp_path, edit), intervals=False).document.layers[0].steps[0]
    assert not step.matched
    assert step.kept is step.kept_by_chance is step.lost is None


def test_layers_of_one_run_stand_side_by_side(sweep, tmp_path):
    def edit(run):
        run["layers"][1]["name"] = "trunk"

    gathered = changed(sweep, tmp_path / "two", edit)
    compared = compare_runs(gathered, intervals=False)
    last = compared.document.layers[-1]
    assert [layer.name for layer in compared.document.layers] == [LAYERS[0], None]
    assert [(column.run, column.layer) for column in last.columns] == [(0, "stem"), (1, "trunk")]
    assert last.steps == ()
    page = write_comparison(compared, tmp_path / "out").read_text()
    assert "Layers of a single run" in page


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text.replace(",detector,", ",other,"), "has no column detector"),
        (lambda text: text.replace("\nstem,0,1,", "\nstem,zero,1,"), "no table of scores"),
        (lambda text: text.replace("\nstem,0,", "\nstem,77,"), "a unit outside"),
        (lambda text: text.replace("\nstem,0,2,", "\nstem,0,1,"), "two concepts of rank 1"),
    ],
)
def test_damaged_scores(sweep, tmp_path, damage, message):
    gathered = changed(sweep, tmp_path, lambda _: None)
    path = RunLayout(tmp_path / NAMES[0]).scores("stem")
    path.write_text(damage(path.read_text()))
    with pytest.raises(LayoutError, match=message):
        compare_runs(gathered, intervals=False)


def test_document_keeps_its_schema(compared, repository):
    schema = json.loads((repository / "schemas" / "v1" / "run-comparison.schema.json").read_text())
    jsonschema.validate(compared.document.model_dump(mode="json"), schema)


def test_tables_say_what_the_document_says(sweep, compared, tmp_path):
    write_comparison(compared, tmp_path / "out")
    rows = rows_of(tmp_path / "out" / "compare.csv")
    assert [(row["layer"], row["run"]) for row in rows] == list(itertools.product(LAYERS, NAMES))
    units = rows_of(tmp_path / "out" / "units.csv")
    for row in rows:
        own = [u for u in units if (u["layer"], u["run"]) == (row["layer"], row["run"])]
        assert len(own) == int(row["units"])
        assert sum(unit["detector"] == "True" for unit in own) == int(row["detectors"])
        chances = sum(float(unit["probability"]) for unit in own)
        assert float(row["expected_detectors"]) == pytest.approx(chances)
    cells = rows_of(tmp_path / "out" / "concepts.csv")
    for row in rows:
        own = [c for c in cells if (c["layer"], c["run"]) == (row["layer"], row["run"])]
        assert sum(int(cell["units"]) for cell in own) == int(row["detectors"])
        assert sum(cell["units"] != "0" for cell in own) == int(row["unique_concepts"])


def test_command(sweep, tmp_path):
    out = tmp_path / "out"
    result = CliRunner().invoke(app, ["compare", str(sweep), "--out", str(out)])
    assert result.exit_code == 0, result.output
    assert "stem, 6 units" in result.stdout
    assert "epoch9 to epoch10" in result.stdout
    assert max(map(len, result.stdout.splitlines())) < 200
    again = CliRunner().invoke(app, ["compare", str(sweep), "--out", str(out)])
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr
    machine = CliRunner().invoke(app, ["compare", str(sweep), "--json", "--no-intervals"])
    assert machine.exit_code == 0, machine.output
    assert json.loads(machine.stdout)["title"] == "sweep"
    written = json.loads((out / "compare.json").read_text())
    assert written["layers"][0]["columns"][0]["detectors_low"] is not None


def test_torch_is_not_needed(sweep, repository):
    code = (
        "import sys; from pathlib import Path; "
        "from dissect.compare import compare_runs, gather_runs; "
        "compare_runs(gather_runs([Path(sys.argv[1])])); print('torch' in sys.modules)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(sweep)],
        cwd=repository,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "False\n"
