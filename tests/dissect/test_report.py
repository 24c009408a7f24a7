"""The report: from a run directory alone to a page that opens from disk."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from made_runs import plain_run
from PIL import Image

from conceptset.errors import LayoutError, OutputError, SourceError
from dissect.report import write_report
from dissect.report.charts import MAX_CONCEPTS, concept_chart
from dissect.report.facts import list_facts
from dissect.report.reading import ConceptCount, count_concepts, read_units
from dissect.state import (
    CategoryCount,
    DetectorCounts,
    LayerRecord,
    RunConfig,
    RunCounts,
    RunLayout,
    write_run,
)
from dissect.top import TopImages, write_top

HOSTILE = [
    "<script>document.title='owned'</script>",
    "\u202eevil\u202c",
    '"><img src=x onerror=alert(1)>',
    "a" * 400,
    "nul\x07bell",
    "{{ 7 * 7 }}",
    "&lt;b&gt;",
]
CATEGORIES = ("object", "material", "own_category")
COLUMNS = [
    "layer",
    "unit",
    "rank",
    "label_number",
    "concept",
    "category",
    "iou",
    "intersection",
    "activation",
    "truth",
    "precision",
    "recall",
    "f1",
    "size_ceiling",
    "lift",
    "detector",
]


def score_rows(layer, units, names, rng):
    """Every unit but the last has five concepts; the last has none."""
    rows = []
    for unit in range(units - 1):
        ious = (
            np.sort(rng.random(5) * 0.3)[::-1] if unit % 3 else np.sort(rng.random(5) * 0.03)[::-1]
        )
        for rank, (iou, label) in enumerate(
            zip(ious, rng.permutation(len(names))[:5], strict=True), start=1
        ):
            figures = rng.random(5).tolist()
            concept = [label + 1, names[label], CATEGORIES[label % 3]]
            pixels = [3, 4, 5, *figures[:4], 10 * figures[4]]
            detector = rank == 1 and iou > 0.04
            rows.append([layer, unit, rank, *concept, float(iou), *pixels, detector])
    return rows


def count(rows):
    best = [row for row in rows if row[-1]]
    per = {
        name: CategoryCount(
            detectors=sum(row[5] == name for row in best),
            unique=len({row[4] for row in best if row[5] == name}),
        )
        for name in CATEGORIES
    }
    numbers = {
        "detectors": len(best),
        "unique_concepts": len({row[4] for row in best}),
        "unique_by_category": sum(entry.unique for entry in per.values()),
    }
    shares = {f"{name}_share": value / 12 for name, value in numbers.items()}
    return DetectorCounts(**numbers, **shares, categories=per)


def make_top(path, units, rng):
    images = rng.integers(0, 6, (units, 4))
    images[-1] = -1
    images[0, 2:] = -1
    sizes = np.full((units, 4, 2), 16, dtype=np.int64)
    masks = np.packbits(rng.random((units, 4, 256)) < 0.3, axis=-1)
    maxima = rng.random((units, 4)).astype(np.float32)
    write_top(path, TopImages(images, maxima, sizes, masks), {})


def make_run(root: Path, *, layers=("a.b", "c"), names=None, units=12, **config) -> Path:
    """A complete run without photograph 5."""
    rng = np.random.default_rng(11)
    layout = RunLayout(root)
    names = names or [f"thing {number}" for number in range(7)]
    layout.photographs.mkdir(parents=True)
    for row in range(5):
        pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 32)).save(layout.photograph(row))
    records = []
    for layer in layers:
        folder = layout.layer(layer)
        folder.mkdir()
        rows = score_rows(layer, units, names, rng)
        with layout.scores(layer).open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream, lineterminator="\n").writerows([COLUMNS, *rows])
        make_top(layout.top(layer), units, rng)
        records.append(
            LayerRecord(
                name=layer,
                directory=layer,
                units=units,
                map_size=(7, 7),
                kind="maps",
                thresholds_dtype="float32",
                samples=100,
                detectors=count(rows),
            )
        )
    run = plain_run(
        source="torchvision",
        config=RunConfig(layers=layers, **config),
        counts=RunCounts(images=1234, labels=7, categories=CATEGORIES),
        layers=tuple(records),
        environment={"host": "SECRET-HOST"},
        timings={"total": 123.456789},
    )
    write_run(layout, run)
    return root


@pytest.fixture
def run_dir(tmp_path):
    return make_run(tmp_path / "run")


@pytest.fixture
def hostile(tmp_path):
    return make_run(tmp_path / "hostile", names=HOSTILE)


class Page(HTMLParser):
    """Elements as (tag, attributes), and the text of table cells."""

    VOID = frozenset(["meta", "img", "input", "link", "br"])

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open = [], []
        self.rows: dict[str, list[tuple[str | None, str]]] = {}
        self._row = self._cell = None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.elements.append((tag, values))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "tr" and "id" in values:
            self._row = self.rows[values["id"]] = []
        if tag == "td" and self._row is not None:
            self._cell = values.get("data-v")
            self._row.append((self._cell, ""))

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag == "tr":
            self._row = None

    def handle_data(self, data):
        if self._row and "td" in self.open:
            value, text = self._row[-1]
            self._row[-1] = (value, text + data)

    def all(self, tag):
        return [values for name, values in self.elements if name == tag]


def read(run_dir):
    path = write_report(run_dir)
    assert path == run_dir / "report" / "index.html"
    return path.read_text(encoding="utf-8")


def test_page_holds_together(run_dir):
    text = read(run_dir)
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]", text)
    assert "SECRET-HOST" not in text
    assert "123.456789" not in text
    assert str(run_dir) not in text
    ids = [values["id"] for _, values in page.elements if "id" in values]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        assert link["href"].startswith("#")
        assert link["href"][1:] in ids
    assert not [values for _, values in page.elements if "style" in values]
    assert not [key for _, values in page.elements for key in values if key.startswith("on")]


def test_linked_files_exist(run_dir):
    page = Page(read(run_dir))
    files = {image["src"] for image in page.all("img")}
    files |= {row["data-strip"] for row in page.all("tr") if "data-strip" in row}
    written = {
        str(path.relative_to(run_dir / "report"))
        for path in (run_dir / "report" / "units").rglob("*.jpg")
    }
    assert files == written
    assert len(files) == 2 * 11
    for row in page.all("tr"):
        if "data-strip" in row:
            with Image.open(run_dir / "report" / row["data-strip"]) as image:
                assert image.size == (int(row["data-width"]), int(row["data-height"]))
    assert all(image["loading"] == "lazy" for image in page.all("img"))


def test_numbers_are_those_of_the_table(run_dir):
    page = Page(read(run_dir))
    for layer in ("a.b", "c"):
        with RunLayout(run_dir).scores(layer).open(newline="") as stream:
            best = {row["unit"]: row for row in csv.DictReader(stream) if row["rank"] == "1"}
        assert len(best) == 11
        for unit, row in best.items():
            cells = page.rows[f"layer-{layer}-u{unit}"]
            names = ("iou", "size_ceiling", "precision", "recall", "f1", "lift")
            for (value, text), name in zip(cells[3:9], names, strict=True):
                assert value == row[name]
                assert text.strip() == f"{float(row[name]):.{1 if name == 'lift' else 3}f}"
            assert cells[1][1] == row["concept"]
        assert page.rows[f"layer-{layer}-u11"][1][1] == "touches no concept"
        order = [key for key in page.rows if key.startswith(f"layer-{layer}-")]
        shown = [float(page.rows[key][3][0] or 0) for key in order]
        assert shown == sorted(shown, reverse=True)


def test_counts_are_those_of_the_run(run_dir):
    text = read(run_dir)
    for record in json.loads((run_dir / "run.json").read_text())["layers"]:
        for name in ("detectors", "unique_concepts", "unique_by_category"):
            assert f"<b>{record['detectors'][name]}</b>" in text


def test_same_bytes(run_dir):
    def everything():
        root = run_dir / "report"
        return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}

    write_report(run_dir)
    first = everything()
    document = json.loads((run_dir / "run.json").read_text())
    document |= {"environment": {"other": 1}, "timings": {}}
    (run_dir / "run.json").write_text(json.dumps(document))
    write_report(run_dir, jobs=2)
    assert everything() == first


def test_hostile_names(hostile):
    text = read(hostile)
    page = Page(text)
    assert len(page.all("script")) == 1
    assert "\u202e" not in text
    assert "\x07" not in text
    assert "{{ 7 * 7 }}" in text
    assert "<script>document" not in text
    assert not [image for image in page.all("img") if image["src"] == "x"]
    names = {cells[1][1] for cells in page.rows.values()}
    assert HOSTILE[0] in names
    assert "&lt;b&gt;" in names
    assert all(len(name) <= 60 for name in names)


def test_progress_and_a_second_report(run_dir):
    calls = []
    write_report(run_dir, progress=lambda done, total: calls.append((done, total)))
    assert calls == [(number, 24) for number in range(1, 25)]
    (run_dir / "report" / "stale.txt").write_text("")
    write_report(run_dir)
    assert not (run_dir / "report" / "stale.txt").exists()
    assert not list(run_dir.glob("report.partial*"))


def test_without_images(run_dir):
    for layer in ("a.b", "c"):
        RunLayout(run_dir).top(layer).unlink()
    shutil.rmtree(run_dir / "photographs")
    page = Page(read(run_dir))
    assert page.all("img") == []
    assert not (run_dir / "report" / "units").exists()


def test_without_detectors_and_one_layer(tmp_path):
    root = make_run(tmp_path / "run", layers=("only",))
    layout = RunLayout(root)
    layout.scores("only").write_text(",".join(COLUMNS) + "\n")
    text = read(root)
    assert "No unit of this layer is a detector" in text
    assert "tablist" not in text
    assert '<nav class="tabs' not in text


def test_broken_photograph_is_grey(run_dir):
    RunLayout(run_dir).photograph(0).write_bytes(b"broken")
    write_report(run_dir)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("unit,rank\n", "has no column"),
        (",".join(COLUMNS) + "\n1,2\n", "has 2 cells"),
        (",".join(COLUMNS) + "\n" + ",".join(["x"] * 16) + "\n", "not expected"),
        (",".join(COLUMNS) + '\n"a', "no valid CSV"),
    ],
)
def test_broken_tables(run_dir, content, text):
    RunLayout(run_dir).scores("c").write_text(content)
    with pytest.raises(LayoutError, match=text):
        write_report(run_dir)
    assert not (run_dir / "report").exists()


def test_absent_table_and_incomplete_run(run_dir, tmp_path):
    RunLayout(run_dir).scores("c").unlink()
    with pytest.raises(LayoutError, match="cannot be read"):
        write_report(run_dir)
    with pytest.raises(SourceError, match="is no run"):
        write_report(tmp_path)


def test_nowhere_to_write(run_dir, monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dissect.report.strips.Path.write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        write_report(run_dir)
    assert not (run_dir / "report").exists()


def test_neither_torch_nor_pandas(run_dir, repository):
    code = (
        "import sys; from pathlib import Path; from dissect.report import write_report; "
        "write_report(Path(sys.argv[1])); print({'torch', 'pandas'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, run_dir], cwd=repository, capture_output=True, check=True
    )
    assert result.stdout.strip() == b"set()"


def test_facts(tmp_path):
    from dissect.state import open_run

    plain = {fact.term: fact for fact in list_facts(open_run(make_run(tmp_path / "plain")))}
    assert plain["Images"].text == "1\u202f234"
    assert "assumed" in plain["Preprocessing"].note
    assert not {"Split", "Precision", "Image size", "Index", "Limited to"} & set(plain)
    options = {
        "union": "lite",
        "upsample": "receptive-field",
        "split": "val",
        "limit": 9,
        "precision": "bf16",
        "image_size": (100, 200),
        "index": "annotators/x/index.csv",
        "thresholds": {"a.b": "0" * 64, "c": "0" * 64},
        "categories": ("object",),
    }
    full = {
        fact.term: fact.text for fact in list_facts(open_run(make_run(tmp_path / "f", **options)))
    }
    assert full["Split"] == "val"
    assert full["Image size"] == "100 × 200, squashed"
    assert full["Threshold of a unit"] == "given"
    assert full["Precision"] == "bf16"
    assert full["Limited to"] == "the first 9 images"


def test_concept_chart():
    counts = [ConceptCount(f"c{n}", "object", 300 - n) for n in range(200)]
    chart = concept_chart(counts, {"object": 0})
    assert len(chart.bars) == MAX_CONCEPTS
    assert chart.left_out == 80
    assert all(bar.x + bar.width <= chart.width for bar in chart.bars)
    assert all(bar.y < chart.height for bar in chart.bars)
    assert len({(bar.x, bar.y) for bar in chart.bars}) == MAX_CONCEPTS
    assert concept_chart([], {}).bars == ()


def test_concepts_are_counted(run_dir):
    from dissect.state import open_run

    record = open_run(run_dir).layers[0]
    units = read_units(RunLayout(run_dir), record)
    counts = count_concepts(units)
    assert sum(entry.units for entry in counts) == record.detectors.detectors
    assert len(counts) == record.detectors.unique_concepts
    assert [entry.units for entry in counts] == sorted(
        (entry.units for entry in counts), reverse=True
    )
    assert len(units) == 12
    assert all(len(unit.scores) <= 4 for unit in units)


DRIVER = """
(() => {
  const section = document.getElementById("layer-a.b");
  const out = document.documentElement.dataset;
  const heads = section.querySelectorAll("table.units thead th");
  const rows = () => [...section.querySelectorAll("table.units tbody tr:not(.detail)")];
  const column = (n) => rows().map((row) => row.cells[n].dataset.v ?? row.cells[n].textContent);
  heads[0].querySelector("button").click();
  heads[0].querySelector("button").click();
  out.units = column(0).join();
  out.sorted = heads[0].getAttribute("aria-sort") + heads[3].hasAttribute("aria-sort");
  heads[7].querySelector("button").click();
  out.f1 = column(7).join();
  const button = rows()[0].querySelector("button.open");
  button.click();
  out.image = section.querySelector("tr.detail img").src.split("/").slice(-3).join("/");
  heads[0].querySelector("button").click();
  out.follows = section.querySelector("tr.detail").previousElementSibling.querySelector("button")
    .getAttribute("aria-expanded");
  button.click();
  out.closed = section.querySelectorAll("tr.detail").length;
  const form = section.querySelector("form");
  const set = (name, value) => {
    const field = form.elements[name];
    if (typeof value === "boolean") field.checked = value; else field.value = value;
    form.dispatchEvent(new Event("input", {bubbles: true}));
    return rows().filter((row) => !row.hidden).length;
  };
  out.detectors = set("detectors", true);
  set("detectors", false);
  out.quoted = set("concept", '"THING 1"');
  out.part = set("concept", "thing");
  out.runners = set("runners", true);
  out.none = set("concept", "no such thing");
  out.output = form.querySelector("output").value;
  set("concept", ""); set("runners", false);
  out.category = set("category", "material");
  set("category", "");
  set("images", true);
  out.images = section.querySelectorAll("tr.detail").length;
  set("images", false);
  section.querySelector(".charts a[data-concept]").dispatchEvent(new Event("click"));
  out.chart = form.elements.concept.value;
  out.title = document.title;
})();
"""


def browse(chromium, page, tmp_path, fragment=""):
    """(DOM after the scripts ran, log) of a page opened from disk."""
    result = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'browser'}",
            "--virtual-time-budget=4000",
            "--dump-dom",
            f"{page.as_uri()}{fragment}",
        ],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return result.stdout, [line for line in result.stderr.splitlines() if "CONSOLE" in line]


@pytest.mark.browser
def test_scripts_run_from_disk(chromium, run_dir, tmp_path):
    page = write_report(run_dir)
    dom, log = browse(chromium, page, tmp_path, "#layer-c-u3")
    assert log == []
    html = re.search(r"<html[^>]*>", dom).group(0)
    assert 'data-ready="true"' in html
    sections = dict(re.findall(r'<section class="layer" id="(layer-[^"]*)"([^>]*)>', dom))
    assert "hidden" in sections["layer-a.b"]
    assert "hidden" not in sections["layer-c"]
    assert re.search(r'<a[^>]*href="#layer-c"[^>]*aria-current="true"', dom)
    assert dom.count('class="detail"') == 1
    assert 'src="units/c/0003.jpg"' in dom


@pytest.mark.browser
def test_sorting_and_filters(chromium, run_dir, tmp_path, monkeypatch):
    from dissect.report import writing

    original = writing.read_asset
    monkeypatch.setattr(
        writing,
        "read_asset",
        lambda package, name: original(package, name) + (DRIVER if name.endswith(".js") else ""),
    )
    dom, log = browse(chromium, write_report(run_dir), tmp_path)
    assert log == []
    found = dict(re.findall(r'data-([a-z0-9]+)="([^"]*)"', re.search("<html[^>]*>", dom).group(0)))
    units = read_units(RunLayout(run_dir), _first(run_dir))
    assert found["units"] == ",".join(str(number) for number in range(12))
    assert found["sorted"] == "ascendingfalse"
    values = [value for value in found["f1"].split(",") if value]
    assert [float(value) for value in values] == sorted(
        (unit.best.f1 for unit in units if unit.best), reverse=True
    )
    assert found["f1"].endswith(",")
    assert found["image"].startswith("units/a.b/")
    assert (found["follows"], found["closed"]) == ("true", "0")
    assert int(found["detectors"]) == sum(unit.detector for unit in units)
    best = [unit.best for unit in units if unit.best]
    assert int(found["quoted"]) == sum(score.concept == "thing 1" for score in best)
    assert int(found["part"]) == int(found["runners"]) == 11
    assert found["none"] == "0"
    assert found["output"] == "0 of 12 units"
    assert int(found["category"]) == sum(score.category == "material" for score in best)
    assert found["images"] == "11"
    assert found["chart"].startswith("&quot;thing ")


def _first(run_dir):
    from dissect.state import open_run

    return open_run(run_dir).layers[0]


@pytest.mark.browser
def test_hostile_names_do_nothing(chromium, hostile, tmp_path):
    page = write_report(hostile)
    dom, log = browse(chromium, page, tmp_path)
    assert log == []
    assert "<title>a run: network dissection</title>" in dom
    # The same page, had something slipped in: the policy stops it.
    text = page.read_text(encoding="utf-8")
    page.write_text(
        text.replace("<main>", "<main><script>document.title='owned'</script>"), encoding="utf-8"
    )
    dom, log = browse(chromium, page, tmp_path)
    assert "<title>a run: network dissection</title>" in dom
    assert any("Content Security Policy" in line for line in log)
