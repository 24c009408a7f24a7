"""Sets as a widely read book has people make them by hand, from real labels."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conceptset.cli import app
from conceptset.errors import LayoutError
from conceptset.layout.reading import open_concept_set
from conceptset.repair import RepairOptions, repair_set
from conceptset.validate import validate

pytestmark = pytest.mark.real


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def table(path: Path, header, lines, *, end="\n", bom=False):
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator=end).writerows([header, *lines])
    path.write_bytes((b"\xef\xbb\xbf" if bom else b"") + stream.getvalue().encode())


def colours(labels):
    return np.stack([labels % 256, labels // 256, np.zeros_like(labels)], axis=-1).astype(np.uint8)


class Book:
    """Twelve photographs with their label maps and the tables that the book describes."""

    def __init__(self, source: Path, root: Path) -> None:
        self.root = root
        self.classes = {
            int(number): name
            for number, name in json.loads((source / "classes.json").read_text()).items()
            if number != "0"
        }
        (root / "images/street").mkdir(parents=True)
        self.labels = {}
        for path in sorted((source / "labels").iterdir())[:12]:
            labels = np.asarray(Image.open(path)).astype(int)
            name = f"street/{path.stem}.jpg"
            photograph = (source / "images" / f"{path.stem}.jpg").read_bytes()
            (root / "images" / name).write_bytes(photograph)
            self.labels[name] = labels
            Image.fromarray(colours(labels)).save(self.map(name))

    def map(self, name):
        return self.root / "images" / f"{name[:-4]}_object.png"

    def write(self, **changes):
        used = sorted({int(n) for labels in self.labels.values() for n in np.unique(labels) if n})
        cells = [[name, 113, 113, 56, 56, f"{name[:-4]}_object.png"] for name in self.labels]
        index = ["image", "ih", "iw", "sh", "sw", "object"]
        table(self.root / "index.csv", index, cells[::-1], **changes)
        lines = [[n, self.classes[n], "object(1)", 1, "9e-05"] for n in used]
        header = ["number", "name", "category", "frequency", "coverage"]
        table(self.root / "label.csv", header, lines, **changes)
        table(self.root / "category.csv", ["name", "count"], [["object", 3]], **changes)
        return used


@pytest.fixture
def book(shared, tmp_path):
    return Book(shared / "real/msrc", tmp_path / "book")


def check(book, out, used):
    """The repaired set against plain loops over the labels it was made from."""
    report = validate(out)
    assert report.errors == 0, report.findings
    index = rows(out / "index.csv")
    assert [row["image"] for row in index] == sorted(book.labels)
    frequency, coverage = dict.fromkeys(used, 0), dict.fromkeys(used, 0.0)
    for row in index:
        labels = book.labels[row["image"]]
        sizes = [int(row[side]) for side in ("ih", "iw", "sh", "sw")]
        assert sizes == [*labels.shape, *labels.shape]
        pixels = np.asarray(Image.open(out / "images" / row["object"])).astype(int)
        assert (pixels[..., 0] + 256 * pixels[..., 1] == labels).all()
        assert not pixels[..., 2].any()
        photograph = (out / "images" / row["image"]).read_bytes()
        assert photograph == (book.root / "images" / row["image"]).read_bytes()
        for number in used:
            count = int((labels == number).sum())
            frequency[number] += count > 0
            coverage[number] += count / labels.size
    for row in rows(out / "label.csv"):
        number = int(row["number"])
        assert row["name"] == book.classes[number]
        assert row["syns"] == ""
        assert int(row["frequency"]) == frequency[number]
        assert float(row["coverage"]) == pytest.approx(coverage[number], abs=1e-9)
        assert row["category"] == f"object({frequency[number]})"
        assert "e" not in row["coverage"]
    assert [int(row["number"]) for row in rows(out / "label.csv")] == used
    (category,) = rows(out / "category.csv")
    assert category == {
        "name": "object",
        "first": str(used[0]),
        "last": str(used[-1]),
        "count": str(len(used)),
        "frequency": str(sum(frequency.values())),
    }
    assert {int(row["number"]) for row in rows(out / "c_object.csv")} == set(used)
    return index


def test_as_the_book_has_it(book, tmp_path):
    used = book.write()
    before = validate(book.root)
    assert before.errors
    lacking = {finding.pointer for finding in before.findings if finding.code == "LAY020"}
    assert lacking == {"split", "syns", "first", "last", "frequency"}
    report = repair_set(book.root, tmp_path / "new", RepairOptions())
    assert report.lost == 0
    index = check(book, tmp_path / "new", used)
    assert {row["split"] for row in index} == {"train", "val"}
    codes = {code for code, _, _ in report.changes}
    assert codes >= {"CAT001", "LAY020", "SPL001", "IDX004", "IDX005", "IDX009"}


def test_as_a_spreadsheet_saves_it(book, tmp_path):
    used = book.write(end="\r\n", bom=True)
    text = (book.root / "index.csv").read_text(encoding="utf-8")
    text = text.replace("street/", "images\\street\\").replace("_object.png", "_object.png;;0")
    (book.root / "index.csv").write_text(text, encoding="utf-8")
    report = repair_set(book.root, tmp_path / "new", RepairOptions())
    assert report.lost == 0
    check(book, tmp_path / "new", used)
    assert {"IDX006", "IDX007", "LAY012"} <= {code for code, _, _ in report.changes}


@pytest.mark.parametrize("kind", ["palette", "grey", "grey-rgb", "rgba", "colour-palette"])
def test_maps_saved_otherwise(book, tmp_path, kind):
    used = book.write()
    for name, labels in book.labels.items():
        image = Image.fromarray(labels.astype(np.uint8))
        if kind == "palette":
            image = Image.fromarray(labels.astype(np.uint8)).convert("P")
        elif kind == "grey-rgb":
            image = image.convert("RGB")
        elif kind == "rgba":
            image = Image.fromarray(colours(labels)).convert("RGBA")
        elif kind == "colour-palette":
            image = Image.fromarray(colours(labels)).quantize(256)
            assert (np.asarray(image.convert("RGB")) == colours(labels)).all()
        image.save(book.map(name))
    wanted = None
    if kind == "colour-palette":  # its indices are labels as well
        wanted = "color"
        with pytest.raises(LayoutError, match="--palette index or --palette color"):
            repair_set(book.root, tmp_path / "new", RepairOptions())
    report = repair_set(book.root, tmp_path / "new", RepairOptions(palette=wanted))
    assert report.lost == 0
    check(book, tmp_path / "new", used)


def test_only_what_the_maps_hold_is_needed(book, tmp_path):
    """No sizes, no split, no figures: names, photographs and maps."""
    used = book.write()
    cells = [[name, f"{name[:-4]}_object.png"] for name in book.labels]
    table(book.root / "index.csv", ["image", "object"], cells)
    table(book.root / "label.csv", ["number", "name"], [[n, book.classes[n]] for n in used])
    table(book.root / "category.csv", ["name"], [["object"]])
    report = repair_set(book.root, tmp_path / "new", RepairOptions())
    assert report.lost == 0
    check(book, tmp_path / "new", used)


def test_split_of_another_kind(book, tmp_path):
    book.write()
    repair_set(book.root, tmp_path / "a", RepairOptions(split={"all": "1"}))
    assert {row["split"] for row in rows(tmp_path / "a/index.csv")} == {"all"}


def test_a_label_without_a_name(book, tmp_path):
    used = book.write()
    gone = used[0]
    text = (book.root / "label.csv").read_text().splitlines(keepends=True)
    (book.root / "label.csv").write_text("".join(text[:1] + text[2:]))
    report = repair_set(book.root, tmp_path / "new", RepairOptions())
    pixels = sum(int((labels == gone).sum()) for labels in book.labels.values())
    maps = sum(int((labels == gone).any()) for labels in book.labels.values())
    (finding,) = report.findings
    assert finding.code == "SEG009"
    where = f"{maps} maps" if maps > 1 else "one map"
    assert f"the label {gone} has no name; its {pixels} pixels in {where}" in finding.message
    for labels in book.labels.values():
        labels[labels == gone] = 0
    assert validate(tmp_path / "new").errors == 0


def test_on_the_command_line(book, tmp_path):
    from typer.testing import CliRunner

    book.write()
    run = CliRunner()
    result = run.invoke(app, ["repair", str(book.root), "--out", str(tmp_path / "new")])
    assert result.exit_code == 0, result.output
    assert "new: 12 images" in result.output
    assert "missing c_ tables written" in result.output
    for verb in (["validate"], ["info"], ["find"]):
        more = ["sky"] if verb == ["find"] else []
        result = run.invoke(app, [*verb, str(tmp_path / "new"), *more])
        assert result.exit_code == 0, result.output
    (tmp_path / "book/images/street/1_9_s.jpg").unlink(missing_ok=True)
    next((book.root / "images/street").glob("*.jpg")).unlink()
    result = run.invoke(app, ["repair", str(book.root), "--out", str(tmp_path / "b"), "--json"])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["images"] in (10, 11)
    assert {one["code"] for one in document["findings"]} == {"IDX002"}
    assert open_concept_set(tmp_path / "b").manifest is None


def test_parity_set_only_changes_its_digits(shared, tmp_path, tree):
    root = shared / "parity/synth40/dataset"
    report = repair_set(root, tmp_path / "new", RepairOptions())
    assert [(code, times) for code, _, times in report.changes] == [("CAT020", 1)]
    assert report.findings == []
    before, after = (
        {row["name"]: row["frequency"] for row in rows(one / "label.csv")}
        for one in (root, tmp_path / "new")
    )
    # one image carries it as object and as material: images are counted, not occurrences
    assert before.pop("fabric") == "15"
    assert after.pop("fabric") == "14"
    assert before == after
    old, new = tree(root), tree(tmp_path / "new")
    assert new.keys() == old.keys()
    same = {name for name in old if old[name] == new[name]}
    assert {name for name in old if name not in same} <= {
        name for name in old if name.endswith(".csv")
    }
    assert rows(root / "index.csv") == rows(tmp_path / "new/index.csv")
    assert rows(root / "category.csv") == rows(tmp_path / "new/category.csv")
    assert [f.code for f in validate(tmp_path / "new").findings] == ["SEG011"]
    primary = open_concept_set(root).primary()
    assert open_concept_set(tmp_path / "new").primary() == primary
