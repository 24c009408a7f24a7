"""The pages of a run with annotators: numbers of its tables, links that lead somewhere, nothing
that a name could break."""

from __future__ import annotations

import csv
import json
import re
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from made_runs import plain_run

from conceptset.errors import LayoutError
from dissect.analysis import INTERVAL_COLUMNS, SCORE_COLUMNS
from dissect.annotators.document import UNIT_COLUMNS, AnnotatorReport
from dissect.report import write_report
from dissect.report.charts import span
from dissect.report.people import AXIS, read_people
from dissect.report.person import concepts_drawn, group_changes
from dissect.state import (
    CategoryCount,
    DetectorCounts,
    LayerRecord,
    Run,
    RunConfig,
    RunCounts,
    RunLayout,
    write_run,
)
from dissect.top import TopImages, write_top

UNITS = 8
NAMES = ["car", "wheel", "moth", "wing"]
HOSTILE = ["<script>document.title='owned'</script>", "\u202eevil", '"><img src=x>', "{{ 7 * 7 }}"]
SCORES = (*SCORE_COLUMNS, *INTERVAL_COLUMNS)


def figure(value, low=None, high=None, images=40):
    return {"value": value, "low": low, "high": high, "n_images": images, "reason": None}


def comparison(changes, before=5, after=5):
    def many(test):
        return sum(test(change) for change in changes)

    return {
        "n_images": 40,
        "detectors": before,
        "other_detectors": after,
        "gained": many(lambda c: c["concept"] is None),
        "lost": many(lambda c: c["other_concept"] is None),
        "renamed": many(lambda c: None not in (c["concept"], c["other_concept"])),
        "changes": changes,
    }


def change(unit, concept, iou, other, other_iou):
    return {
        "unit": unit,
        "concept": concept,
        "iou": iou,
        "other_concept": other,
        "other_iou": other_iou,
    }


def document(names, people):
    car, wheel, moth, wing = names
    changes = [
        change(2, moth, 0.11, wing, 0.08),
        change(0, car, 0.05, None, 0.03),
        change(5, None, 0.03, wheel, 0.3),
    ]
    pairs = [("ada", "ben", 0.8), ("ada", "cleo", 0.1), ("ben", "cleo", None)]
    persons = [
        {"directory": "ada", "name": people[0], "session": 1, "kind": "person", "images": 40},
        {"directory": "ben", "name": people[1], "session": 1, "kind": "person", "images": 30},
        {"directory": "cleo", "name": people[2], "session": 1, "kind": "person", "images": 40},
        {"directory": "net", "name": "net", "session": 1, "kind": "model", "images": 40},
    ]
    return {
        "schema_version": 1,
        "settings": {
            "iou_threshold": 0.04,
            "union": "annotated",
            "resamples": 1000,
            "seed": 1,
            "level": 0.95,
            "method": "majority",
        },
        "annotators": [one | {"compared": one["kind"] == "person"} for one in persons],
        "basis": [{"category": "object", "mode": "all", "n_images": 40, "pairs": []}],
        "concepts": [
            {
                "label_number": number,
                "concept": name,
                "category": "object",
                "human_reference": figure(0.45 + number / 10, 0.3, 0.7),
                "annotator_ceiling": 0.725 + number / 20,
                "pairs": [{"a": a, "b": b, "iou": iou} for a, b, iou in pairs],
            }
            for number, name in enumerate(names[:3], start=1)
        ],
        "layers": [
            {
                "name": "l",
                "directory": "l",
                "label_agreement": figure(0.7123, 0.6, 0.8),
                "label_stability": 0.9,
                "dependent_units": 2,
                "annotators": [
                    {
                        "directory": one["directory"],
                        "detectors": figure(5.0, 2.0, 9.0) if one["kind"] == "person" else None,
                        "unique_concepts": figure(3.0) if one["kind"] == "person" else None,
                        "against_consensus": comparison(changes, 6, 7),
                        "left_out": comparison(own) if own is not None else None,
                    }
                    for one, own in zip(persons, [changes, changes[:1], [], None], strict=True)
                ],
                "pairs": [
                    {"a": a, "b": b, "rank_stability": tau, "reason": None}
                    for a, b, tau in [
                        ("ada", "ben", 0.9),
                        ("ada", "cleo", 0.5),
                        ("ben", "cleo", None),
                    ]
                ],
                "concepts": [
                    {
                        "label_number": number,
                        "concept": name,
                        "category": "object",
                        "units": number % 3,
                        "best_unit": number,
                        "iou_min": 0.05,
                        "iou_mean": figure(0.0601 * number, 0.04, 0.1),
                        "iou_max": 0.15,
                        "relative_iou": None if number == 4 else 0.1234 * number,
                        "rank_stability": None if number == 4 else 0.8,
                        "rank_stability_min": None,
                        "rank_stability_max": None,
                    }
                    for number, name in enumerate(names, start=1)
                ],
            }
        ],
        "notes": ["Fewer than 10 images of category <part> were seen by everybody."],
    }


def write_tables(layout, names, rng):
    rows = []
    for unit in range(UNITS - 1):
        ious = np.sort(rng.random(4) * 0.2)[::-1].tolist()
        for rank, (iou, label) in enumerate(zip(ious, rng.permutation(4).tolist(), strict=True), 1):
            interval = [iou * 0.8, iou * 1.2, 0.9 if rank == 1 else 0.02] if unit else ["", "", 0.1]
            figures = [3, 4, 5, *rng.random(4).tolist(), 2.0]
            place = ["l", unit, rank, label + 1, names[label], "object", iou]
            rows.append([*place, *figures, rank == 1 and iou > 0.04, *interval])
    with layout.scores("l").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([SCORES, *rows])
    table = [
        [0, names[0], 0.04, 0.05, 0.06, 1 / 3, "ada", 0.1, 0.5, 0.75, 0.04, 0.06, 40],
        [1, names[1], 0.06, 0.07, 0.08, 1.0, "", 0.1, 0.6, 0.8, "", "", 9],
        [2, names[2], 0.0, 0.07, 0.12, 2 / 3, "ada;ben", 0.1, 0.7, 0.85, 0.05, 0.09, 40],
        *[[unit, "", "", "", "", 1.0, "", "", "", "", "", "", ""] for unit in range(3, UNITS)],
    ]
    table[-1][5] = ""
    with layout.unit_figures("l").open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([UNIT_COLUMNS, *table])


def make_run(root, *, names=None, people=("ada", "ben", "")):
    rng = np.random.default_rng(3)
    names = names or NAMES
    layout = RunLayout(root)
    layout.layer("l").mkdir(parents=True)
    layout.photographs.mkdir()
    write_tables(layout, names, rng)
    report = document(names, people)
    AnnotatorReport.model_validate(report)
    layout.comparison.write_text(json.dumps(report))
    images = np.zeros((UNITS, 2), np.int64)
    images[-1] = -1
    masks = np.packbits(rng.random((UNITS, 2, 64)) < 0.3, axis=-1)
    sizes = np.full((UNITS, 2, 2), 8, np.int64)
    write_top(layout.top("l"), TopImages(images, np.ones((UNITS, 2), np.float32), sizes, masks), {})
    counts = {"detectors": 4, "unique_concepts": 3, "unique_by_category": 3}
    shares = {f"{name}_share": 0.5 for name in counts}
    run = plain_run(
        assumed=False,
        config=RunConfig(layers=("l",)),
        counts=RunCounts(images=40, labels=4, categories=("object",)),
        layers=(
            LayerRecord(
                name="l",
                directory="l",
                units=UNITS,
                map_size=(4, 4),
                kind="maps",
                thresholds_dtype="float32",
                samples=1,
                detectors=DetectorCounts(
                    **counts, **shares, categories={"object": CategoryCount(detectors=4, unique=3)}
                ),
            ),
        ),
    )
    write_run(layout, run)
    return root


@pytest.fixture
def run_dir(tmp_path):
    return make_run(tmp_path / "run")


class Page(HTMLParser):
    """Elements, balanced; rows of tables as texts, by the table's class."""

    VOID = frozenset(["meta", "img", "input", "link", "br"])

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.tables, self.text = [], [], {}, []
        self.cell = None
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.elements.append((tag, values))
        if tag not in self.VOID:
            self.open.append(tag)
        if tag == "table":
            self.rows = self.tables.setdefault((values.get("class") or "").split(" ")[0], [])
        elif tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")
            self.cell = self.rows[-1]

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag
        if tag in ("td", "th"):
            self.cell = None

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text.append(data)
        if self.cell is not None:
            self.cell[-1] = " ".join([*self.cell[-1].split(), *data.split()])


def read_pages(run_dir):
    index = write_report(run_dir)
    folder = index.parent
    return {
        path.relative_to(folder).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in sorted(folder.rglob("*.html"))
    }


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A run whose report was written, and its pages; nothing of it is changed."""
    root = make_run(tmp_path_factory.mktemp("shown") / "run")
    return root, read_pages(root)


def test_pages_and_their_links(shown):
    run_dir, pages = shown
    assert sorted(pages) == ["annotators/ada.html", "annotators/ben.html", "annotators/cleo.html",
                             "annotators/net.html", "index.html"]  # fmt: skip
    ids = {
        name: [values["id"] for _, values in page.elements if "id" in values]
        for name, page in pages.items()
    }
    for name, page in pages.items():
        assert len(ids[name]) == len(set(ids[name]))
        assert not [values for _, values in page.elements if "style" in values]
        folder = "annotators/" if name.startswith("annotators") else ""
        for tag, values in page.elements:
            if tag == "a":
                file, _, anchor = values["href"].partition("#")
                target = re.sub(r"annotators/\.\./", "", folder + file) if file else name
                assert target in pages, values["href"]
                assert not anchor or anchor in ids[target], values["href"]
            if tag == "img":
                source = re.sub(r"annotators/\.\./", "", folder + values["src"])
                assert (run_dir / "report" / source).is_file()


def test_the_unit_table_says_how_sure_it_is(shown):
    run_dir, pages = shown
    rows = {row[0]: row for row in pages["index.html"].tables["units"][1:]}
    with RunLayout(run_dir).scores("l").open(newline="") as stream:
        best = {row["unit"]: row for row in csv.DictReader(stream) if row["rank"] == "1"}
    head = pages["index.html"].tables["units"][0]
    assert head[3:7] == ["IoU", "Holds", "Stable", "Ceiling"]
    assert rows["0"][4:6] == ["10 %", "33 %"]
    assert rows["1"][3:6] == [f"{float(best['1']['iou']):.3f}", "90 %", "100 %"]
    assert rows["2"][5] == "67 %"
    assert rows["7"][1] == "touches no concept"
    assert all(len(row) == len(head) for row in rows.values())
    text = (run_dir / "report/index.html").read_text()
    assert text.count('<path class="span"') == 6  # units 1 to 6
    assert text.count(" data-dependent") == 2
    assert 'title="67\u202f% of the annotators: moth"' in text


def test_units_that_hang_on_a_person(shown):
    _, pages = shown
    page = pages["index.html"]
    rows = page.tables["dependent"]
    assert rows[0] == ["Unit", "By the consensus", "without ada", "without ben", "without unnamed",
                       "IoU by annotators"]  # fmt: skip
    assert rows[1:] == [
        ["5", "no detector 0.030", "wheel 0.300", "the same", "the same", "–"],
        ["2", "moth 0.110", "wing 0.080", "wing 0.080", "the same", "0.000–0.120"],
        ["0", "car 0.050", "no detector 0.030", "the same", "the same", "0.040–0.060"],
    ]


def test_annotators_beside_one_another(shown):
    _, pages = shown
    page = pages["index.html"]
    rows = {row[0]: row[1:] for row in page.tables["persons"][1:]}
    assert list(rows) == ["ada", "ben", "unnamed", "net model"]
    assert rows["ada"] == ["40", "", "5 2–9", "3", "1", "1", "1", "3", "0.70"]
    assert rows["unnamed"][-2:] == ["0", "0.50"]
    assert rows["net model"] == ["40", "", "not compared", "–", "1", "1", "1", "–", "–"]
    said = " ".join("".join(page.text).split())
    assert "1 of 3 detectors The same by everybody" in said
    assert "0.71 0.60–0.80 Label agreement" in said
    assert "category <part> were seen by everybody" in said


def test_concepts_beside_people(shown):
    run_dir, pages = shown
    page = pages["index.html"]
    rows = page.tables["beside"][1:]
    assert [row[0] for row in rows] == ["wheel", "wing", "car", "moth"]
    assert rows[0][3:] == ["0.650", "2", "0.120", "25 %", "0.80"]
    assert rows[1][3:] == ["–", "4", "0.240", "–", "–"]
    text = (run_dir / "report/index.html").read_text()
    ceiling = round(0.825 * AXIS, 1) + 8
    assert f'<path class="ceiling" d="M{ceiling} 6v10"/>' in text
    assert text.count('<circle class="unit" cx="') == 4  # three units and the legend
    assert (
        'title="0.300 to 0.700; ada and ben 0.800, ada and unnamed 0.100, ben and unnamed –"'
        in text
    )


def test_a_page_for_each(shown):
    _, pages = shown
    page = pages["annotators/ada.html"]
    said = " ".join("".join(page.text).split())
    assert "7 detectors; by the consensus 6" in said
    assert "1 gained, 1 lost, 1 renamed" in said
    assert "1 unit: another concept (a detector either way, of something else)" in said
    assert said.index("another concept") < said.index("no detector any more")
    assert page.tables["drawn"][0][2:] == ["with ben", "with unnamed", "The others"]
    assert page.tables["drawn"][1][2:] == ["0.800", "0.100", "–"]
    model = " ".join("".join(pages["annotators/net.html"].text).split())
    assert "models stand beside the consensus only" in model
    assert "Hang on net" not in model


def test_groups_and_concepts(shown):
    run_dir, _ = shown
    report = AnnotatorReport.model_validate_json(RunLayout(run_dir).comparison.read_bytes())
    groups = group_changes(report.layers[0].annotators[0].against_consensus)
    assert [[one.unit for one in group.changes] for group in groups] == [[2], [0], [5]]
    assert group_changes(report.layers[0].annotators[2].left_out) == ()
    cleo = concepts_drawn(report, report.annotators[2])
    assert [concept.own for concept in cleo] == [0.1] * 3
    assert [concept.others for concept in cleo] == [0.8] * 3
    assert concepts_drawn(report, report.annotators[3]) == []


def test_hostile_names(tmp_path):
    run_dir = make_run(tmp_path / "run", names=HOSTILE, people=HOSTILE[:3])
    for name, page in read_pages(run_dir).items():
        text = (run_dir / "report" / name).read_text(encoding="utf-8")
        assert "<script>document" not in text
        assert "\u202e" not in text
        assert not [v for t, v in page.elements if t == "img" and v["src"] == "x"]
        assert sum(tag == "script" for tag, _ in page.elements) == 1
        assert "{{ 7 * 7 }}" in text


def test_without_annotators_only_the_intervals_are_new(run_dir):
    layout = RunLayout(run_dir)
    layout.comparison.unlink()
    layout.unit_figures("l").unlink()
    pages = read_pages(run_dir)
    assert list(pages) == ["index.html"]
    assert pages["index.html"].tables["units"][0][3:6] == ["IoU", "Holds", "Ceiling"]
    said = "".join(pages["index.html"].text)
    assert "nnotator" not in said.replace("not of other annotators", "")
    assert not {"dependent", "persons", "beside"} & set(pages["index.html"].tables)


def test_the_same_bytes_and_no_heavy_import(run_dir, repository):
    write_report(run_dir)
    folder = run_dir / "report"
    first = {path: path.read_bytes() for path in folder.rglob("*.html")}
    code = (
        "import sys; from pathlib import Path; from dissect.report import write_report; "
        "write_report(Path(sys.argv[1])); print({'torch', 'pandas'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, run_dir], cwd=repository, capture_output=True, check=True
    )
    assert result.stdout.strip() == b"set()"
    assert {path: path.read_bytes() for path in folder.rglob("*.html")} == first


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("unit\n0\n", "has no column"),
        (",".join(UNIT_COLUMNS) + "\nx" + "," * 12 + "\n", "not expected"),
    ],
)
def test_broken_tables(run_dir, content, text):
    RunLayout(run_dir).unit_figures("l").write_text(content)
    with pytest.raises(LayoutError, match=text):
        write_report(run_dir)


def test_a_broken_document(run_dir):
    RunLayout(run_dir).comparison.write_text('{"schema_version": 2}')
    with pytest.raises(LayoutError, match=r"annotators\.json /"):
        write_report(run_dir)


def test_a_layer_without_figures(run_dir):
    layout = RunLayout(run_dir)
    report = json.loads(layout.comparison.read_text())
    report["layers"] = []
    layout.comparison.write_text(json.dumps(report))
    read_pages(run_dir)
    record = Run.model_validate_json(layout.manifest.read_bytes()).layers[0]
    assert read_people(layout, record, AnnotatorReport.model_validate(report)) is None
    assert read_people(layout, record, None) is None


def test_spans():
    assert span(0.5, 0.25, 2.0, largest=1, length=100) == span(
        0.5, 0.25, 1.0, largest=1, length=100
    )
    alone = span(0.5, None, None, largest=1, length=100)
    assert (alone.at, alone.low, alone.high) == (50.0, 50.0, 50.0)


DRIVER = """
(() => {
  const out = document.documentElement.dataset;
  const section = document.getElementById("layer-l");
  const rows = () => [...section.querySelectorAll("table.units tbody tr:not(.detail)")];
  const form = section.querySelector("form");
  form.elements.dependent.checked = true;
  form.dispatchEvent(new Event("input", {bubbles: true}));
  out.dependent = rows().filter((row) => !row.hidden).map((row) => row.id).sort().join();
  form.elements.dependent.checked = false;
  form.dispatchEvent(new Event("input", {bubbles: true}));
  out.all = rows().filter((row) => !row.hidden).length;
  const table = section.querySelector("table.beside");
  table.tHead.rows[0].cells[3].querySelector("button").click();
  out.agree = [...table.tBodies[0].rows].map((row) => row.cells[3].dataset.v).join();
})();
"""


@pytest.mark.browser
def test_scripts_in_a_browser(chromium, run_dir, tmp_path, monkeypatch):
    from dissect.report import writing

    original = writing.read_asset
    monkeypatch.setattr(
        writing,
        "read_asset",
        lambda package, name: original(package, name) + (DRIVER if name.endswith(".js") else ""),
    )
    page = write_report(run_dir)
    for address in (page.as_uri() + "#layer-l-d2", (page.parent / "annotators/ada.html").as_uri()):
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu",
                   "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'browser'}",
                   "--virtual-time-budget=3000", "--dump-dom", address]  # fmt: skip
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        assert not [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        if "#" in address:
            html = re.search("<html[^>]*>", done.stdout).group(0)
            found = dict(re.findall(r'data-([a-z0-9]+)="([^"]*)"', html))
    assert found["dependent"] == "layer-l-u0,layer-l-u2"
    assert found["all"] == str(UNITS)
    assert found["agree"] == "0.75,0.65,0.55,"
