"""The page of a comparison: opens from disk, shows the figures, runs nothing of others."""

from __future__ import annotations

import csv
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote

import pytest
from PIL import Image
from snapshots import LAYERS, NAMES, write_sweep

from dissect.compare import compare_runs, gather_runs, write_comparison
from dissect.compare.charts import Series, Value, line_chart, round_scale
from dissect.report import write_report
from dissect.state import RunLayout

HOSTILE = {
    "thing 1": "<script>document.title='owned'</script>",
    "thing 2": '"><img src=x onerror=alert(1)>',
    "thing 3": "\u202eevil\u202c",
    "thing 4": "{{ 7 * 7 }}",
    "thing 5": "NA",
}
VOID = ("meta", "img", "input", "link", "br")


class Page(HTMLParser):
    """Every element with its attributes; every one is closed."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open = [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, name):
        return [values for tag, values in self.elements if tag == name]


@pytest.fixture(scope="module")
def sweep(tmp_path_factory, small_set):
    root = write_sweep(tmp_path_factory.mktemp("pages") / "my sweep", small_set)
    for name in NAMES[:2]:
        write_report(root / name)
    return root


@pytest.fixture(scope="module")
def page(sweep):
    compared = compare_runs(gather_runs([sweep]))
    return write_comparison(compared, sweep / "compare")


def test_page_holds_together(page, sweep):
    text = page.read_text(encoding="utf-8")
    assert not re.search(r"https?:|//[a-z]", text)
    assert str(sweep) not in text
    found = Page(text)
    ids = [values["id"] for _, values in found.elements if "id" in values]
    assert len(ids) == len(set(ids))
    assert not [values for _, values in found.elements if "style" in values]
    assert not [key for _, values in found.elements for key in values if key.startswith("on")]
    pages = {}
    for link in found.all("a"):
        path, _, anchor = link["href"].partition("#")
        if not path:
            assert anchor in ids
            continue
        target = page.parent / unquote(path)
        assert target.is_file()
        if target not in pages:
            elements = Page(target.read_text(encoding="utf-8")).elements
            pages[target] = {values.get("id") for _, values in elements}
        assert not anchor or anchor in pages[target]
    assert len(pages) == 2  # the third run has no report


def test_images_are_there(page):
    images = Page(page.read_text(encoding="utf-8")).all("img")
    assert images
    written = {p.relative_to(page.parent).as_posix() for p in page.parent.rglob("*.jpg")}
    assert {image["src"] for image in images} == written
    for image in images:
        with Image.open(page.parent / image["src"]) as opened:
            assert opened.size == (int(image["width"]), int(image["height"]))


def test_counts_are_shown(page):
    """Every count of the table stands in the tooltip of its dot, and once more in the page's."""
    text = page.read_text(encoding="utf-8")
    with (page.parent / "compare.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(LAYERS) * len(NAMES)
    for row in rows:
        short = row["run"].removeprefix("net_")
        for name in ("unique_concepts", "unique_by_category"):
            assert f"<title>{short}: {row[name]}</title>" in text
        low, high = float(row["detectors_low"]), float(row["detectors_high"])
        assert f"<title>{short}: {row['detectors']} ({low:.0f} to {high:.0f})</title>" in text


def test_same_bytes_wherever_it_lies(page, sweep, tmp_path):
    def everything(root):
        return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    moved = shutil.copytree(sweep, tmp_path / "elsewhere" / "my sweep")
    before = everything(moved / "compare")
    here = os.path.relpath(moved)
    write_comparison(
        compare_runs(gather_runs([Path(here)]), jobs=3), moved / "compare", overwrite=True
    )
    assert everything(moved / "compare") == before


@pytest.fixture
def hostile(sweep, tmp_path):
    for name in NAMES:
        copy = shutil.copytree(sweep / name, tmp_path / name)
        for layer in LAYERS:
            path = RunLayout(copy).scores(layer)
            with path.open(newline="", encoding="utf-8") as stream:
                rows = list(csv.reader(stream))
            with path.open("w", newline="", encoding="utf-8") as stream:
                writer = csv.writer(stream, lineterminator="\n")
                writer.writerows([[HOSTILE.get(cell, cell) for cell in row] for row in rows])
        manifest = RunLayout(copy).manifest
        text = manifest.read_text().replace('"name": "Net"', '"name": "</title><script>1"')
        manifest.write_text(text)
    return write_comparison(compare_runs(gather_runs([tmp_path])), tmp_path / "out")


def test_hostile_names(hostile):
    text = hostile.read_text(encoding="utf-8")
    found = Page(text)
    assert len(found.all("script")) == 1
    assert not [image for image in found.all("img") if image["src"] == "x"]
    assert "\u202e" not in text
    assert "{{ 7 * 7 }}" in text
    assert ">NA<" in text


@pytest.mark.browser
def test_in_a_browser(page, chromium, tmp_path):
    command = [
        *(chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000"),
        *(f"--user-data-dir={tmp_path}", "--dump-dom", f"{page.as_uri()}#layer-stem"),
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    found = Page(result.stdout)
    assert found.all("html")[0]["data-ready"] == "true"
    shown = [values.get("id") for values in found.all("section") if "hidden" not in values]
    assert [name for name in shown if name] == ["layer-stem"]


def test_a_line_breaks_where_a_run_has_no_figure():
    values = (Value(1), Value(3, 2, 4), Value(None), Value(2))
    chart = line_chart([Series("a", 0, values)], ["r1", "r2", "r3", "r4"])
    line = chart.lines[0]
    assert line.path.count("M") == 2
    assert [dot.place for dot in line.dots] == [0, 1, 3]
    heights = {dot.value: dot.y for dot in line.dots}
    assert heights[3] < heights[2] < heights[1] < chart.bottom
    assert chart.y[-1].text == "4"


@pytest.mark.parametrize("count", [1, 2, 7, 40, 300])
def test_names_of_runs_do_not_meet(count):
    names = [f"epoch{number:03d}" for number in range(count)]
    chart = line_chart([Series("a", None, tuple(Value(1) for _ in names))], names)
    places = [tick.at for tick in chart.x]
    assert all(b - a > 48 for a, b in pairwise(places))
    assert chart.x[-1].text == names[-1]


def test_names_at_lines_do_not_hide_one_another():
    series = [Series(f"c{n}", n % 8, (Value(n % 3), Value(5))) for n in range(8)]
    chart = line_chart(series, ["a", "b"], named=True)
    heights = sorted(line.label_y for line in chart.lines)
    assert all(b - a >= 13.9 for a, b in pairwise(heights))
    assert heights[-1] <= chart.height


@pytest.mark.parametrize("most", [0.013, 0.3, 1, 2, 9, 37, 366, 401, 16384])
@pytest.mark.parametrize("whole", [True, False])
def test_scales_hold_their_values(most, whole):
    top, marks = round_scale(most, whole=whole)
    assert marks[0] == 0
    assert marks[-1] == top >= most
    assert 2 <= len(marks) <= 6
    assert not whole or all(mark == int(mark) for mark in marks)
