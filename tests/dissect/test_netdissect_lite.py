"""Results as NetDissect-Lite lays them out: what its users' scripts find there."""

from __future__ import annotations

import csv
import re
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from snapshots import LAYERS, NAMES, write_sweep
from typer.testing import CliRunner

from dissect.cli import app
from dissect.state import RunLayout, open_run
from dissect.top import read_top

TILE, GAP = 224, 3


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, small_set):
    return write_sweep(tmp_path_factory.mktemp("lite"), small_set, top_images=4) / NAMES[0]


@pytest.fixture(scope="module")
def exported(run_dir):
    out = run_dir.parent / "pytorch_net_small"
    command = ["export", str(run_dir), "--to", "netdissect-lite", "--out", str(out)]
    result = CliRunner().invoke(app, [*command, "--jobs", "1"])
    assert result.exit_code == 0, result.output
    return out


class Units(HTMLParser):
    """What scripts take from the page: order, label, category and IoU of each unit."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.units, self.images, self._field = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        names = values.get("class", "").split()
        if "unit" in names:
            order = [int(number) for number in values["data-order"].split()]
            self.units.append({"order": order, "low": "lowscore" in names})
        known = {"unitlabel", "unitnum", "category", "iou"} & set(names)
        self._field = known.pop() if known else None
        if tag == "img":
            self.images.append(values["src"])

    def handle_data(self, data):
        if self._field:
            self.units[-1][self._field] = data
            self._field = None


def test_numbers_are_copied(run_dir, exported):
    for layer in LAYERS:
        layout = RunLayout(run_dir)
        assert (exported / f"tally_{layer}.csv").read_bytes() == layout.tally(layer).read_bytes()
        thresholds = np.load(exported / f"quantile_{layer}.npy", allow_pickle=False)
        assert np.array_equal(thresholds, np.load(layout.thresholds(layer)))
    assert not (exported / "tally.csv").exists()  # which of the two layers would it be


@pytest.mark.parametrize("layer", LAYERS)
def test_page_orders_units_as_the_table_says(run_dir, exported, layer):
    page = Units((exported / "html" / f"{layer}.html").read_text(encoding="utf-8"))
    with (exported / f"tally_{layer}.csv").open(newline="") as stream:
        rows = {int(row["unit"]): row for row in csv.DictReader(stream)}
    assert sorted(unit["order"][2] for unit in page.units) == sorted(rows)
    assert [unit["order"][0] for unit in page.units] == list(range(len(rows)))
    by_score = sorted(page.units, key=lambda unit: unit["order"][1])
    scores = [float(rows[unit["order"][2]]["score"]) for unit in by_score]
    assert scores == sorted(scores, reverse=True)
    record = open_run(run_dir).layer(layer)
    assert sum(not unit["low"] for unit in page.units) == record.detectors.detectors
    for unit in page.units:
        row = rows[unit["order"][2]]
        assert unit["unitnum"] == f"unit {row['unit']}"
        assert unit["unitlabel"] == row["label"]
        assert unit["category"] == f"({row['category']})"
        assert unit["iou"] == f"IoU {float(row['score']):.2f}"
    labels = [unit["unitlabel"] for unit in page.units if not unit["low"]]
    groups = [label for place, label in enumerate(labels) if labels[place - 1 : place] != [label]]
    assert len(groups) == len(set(groups))  # units of one concept stand together
    assert all((exported / "html" / name).is_file() for name in page.images)


@pytest.mark.parametrize("layer", LAYERS)
def test_strips_show_the_masks(run_dir, exported, layer):
    top = read_top(RunLayout(run_dir).top(layer))
    for unit, rows in enumerate(top.images):
        path = exported / "html" / "image" / f"{layer}-{unit:04d}.jpg"
        shown = int((rows >= 0).sum())
        assert path.is_file() == (shown > 0)
        if not shown:
            continue
        with Image.open(path) as image:
            strip = np.asarray(image.convert("L")).astype(float)
        assert strip.shape == (TILE, 4 * (TILE + GAP) - GAP)
        assert shown == 4 or strip[:, shown * (TILE + GAP) + 8 :].min() > 250
        for place in range(shown):
            tile = strip[:, place * (TILE + GAP) :][:, :TILE]
            with Image.open(RunLayout(run_dir).photograph(int(rows[place]))) as photograph:
                grey = photograph.convert("L").resize((TILE, TILE), Image.Resampling.BILINEAR)
            mask = Image.fromarray(top.mask(unit, place)).resize((TILE, TILE), 0)
            factor = np.where(np.asarray(mask), 1.0, 0.2)
            assert np.abs(tile - np.asarray(grey) * factor).mean() < 6  # JPEG


def test_bar_graph_counts_units(run_dir, exported):
    for layer in LAYERS:
        path = exported / "html" / "image" / f"{layer}-bargraph.svg"
        titles = [
            node.text for node in ElementTree.parse(path).iter() if node.tag.endswith("title")
        ]
        counts = [int(re.search(r": (\d+)$", title)[1]) for title in titles]
        detectors = open_run(run_dir).layer(layer).detectors
        assert sum(counts) == detectors.detectors
        assert len(counts) == detectors.unique_concepts


def test_one_layer_has_the_plain_names_too(small_net_run, tmp_path):
    out = tmp_path / "out"
    command = ["export", str(small_net_run), "--to", "netdissect-lite", "--out", str(out), "--json"]
    result = CliRunner().invoke(app, [*command, "--jobs", "1"])
    assert result.exit_code == 0, result.output
    assert (out / "tally.csv").read_bytes() == (out / "tally_stem.csv").read_bytes()
    assert (out / "quantile.npy").read_bytes() == (out / "quantile_stem.npy").read_bytes()
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2
    assert "--overwrite" in again.stderr


@pytest.fixture
def small_net_run(run):
    return run(layers=("stem",)).root


def test_another_layout_is_not_known(run_dir, tmp_path):
    command = ["export", str(run_dir), "--to", "broden", "--out", str(tmp_path / "out")]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2
    assert "netdissect-lite was expected" in result.stderr
