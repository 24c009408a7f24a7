"""Whole sets: figures against plain loops, any number of processes, real data, damaged data."""

from __future__ import annotations

import csv
import random
import shutil
import string

import numpy as np
import pytest
from PIL import Image
from small_sets import MAP_SIZE, SmallSet

from conceptset.errors import UsageError
from conceptset.validate import format_report, rules, validate
from conceptset.validate.gather import gather
from conceptset.validate.output import OUTPUT_FORMATS


def many(n, seed=0):
    """A set of ours with `n` images of random labels."""
    chance = np.random.default_rng(seed)
    small = SmallSet(("ada",))
    del small.names[5]
    small.files.clear()
    small.maps.clear()
    small.originals.clear()
    small.segments["ada"].clear()
    for rows in small.indexes.values():
        rows.clear()
    for place in range(n):
        name = f"cam/i{place:04}.jpg"
        small.photograph(name, place)
        small.originals.append([name, "cam", name, f"{place:064x}"])
        for rows in small.indexes.values():
            rows.append(small.row(name, "train" if place % 3 else "val"))
        for category, labels in (("object", [0, 1, 2]), ("part", [0, 0, 3])):
            drawing = chance.choice(labels, MAP_SIZE)
            if drawing.any():
                for rows in small.indexes.values():
                    rows[-1][category] = f"cam/i{place:04}_{category}.png"
                small.maps[f"cam/i{place:04}_{category}.png"] = drawing
        if place % 2:
            for rows in small.indexes.values():
                rows[-1]["scene"] = "4"
    small.count()
    return small


def test_figures_against_plain_loops(tmp_path):
    small = many(40, seed=7)
    root = small.write(tmp_path / "set")
    context = gather(root, jobs=1, progress=None)
    for view in context.views:
        count = context.counted[view.folder]
        expected = small.occurrences(view.folder)
        assert not count.broken
        for category in small.categories:
            figures = count.of(category)
            assert figures.frequency == {n: len(i) for n, i in expected[category].items()}
            for number, images in expected[category].items():
                total = sum(share for shares in images.values() for share in shares)
                assert figures.coverage[number] == pytest.approx(total, abs=1e-12)
    assert validate(root).findings == ()


def test_any_number_of_processes_gives_the_same_bytes(tmp_path):
    small = many(70)
    small.put("label.csv", 2, "frequency", 3)
    small.files["images/cam/i0003.jpg"] = small.files["images/cam/i0003.jpg"][:200]
    small.removed.append("images/cam/i0005_object.png")
    small.maps["cam/i0007_object.png"][1, 1] = 999
    root = small.write(tmp_path / "set")
    seen = []
    one = validate(root, jobs=1, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(done, 70) for done in range(1, 71)]
    assert {finding.code for finding in one.findings} >= {"IDX003", "SEG001", "SEG009"}
    for jobs in (2, None):
        other = validate(root, jobs=jobs)
        for name in OUTPUT_FORMATS:
            assert format_report(other, name) == format_report(one, name)


def test_progress_of_an_empty_directory(tmp_path):
    report = validate(tmp_path)
    assert {finding.code for finding in report.findings} == {"LAY004"}
    assert {finding.path for finding in report.findings} == {
        "category.csv", "index.csv", "label.csv"
    }  # fmt: skip


@pytest.mark.parametrize("name", ["missing", "file.txt"])
def test_no_directory(tmp_path, name):
    (tmp_path / "file.txt").write_text("")
    with pytest.raises(UsageError, match="is no directory"):
        validate(tmp_path / name)


def test_select_and_ignore(tmp_path):
    small = SmallSet()
    small.put("label.csv", 2, "frequency", 3)
    small.put("index.csv", 3, "split", "")
    root = small.write(tmp_path / "set")

    def codes(**options):
        return [finding.code for finding in validate(root, **options).findings]

    assert codes() == ["SPL001", "CAT023"]
    assert codes(select=["SPL"]) == ["SPL001"]
    assert codes(ignore=["SPL001"]) == ["CAT023"]
    assert codes(select=["SPL", "CAT"], ignore=["CAT02"]) == ["SPL001"]
    assert codes(select=["SEG"]) == []


@pytest.mark.parametrize("option", ["select", "ignore"])
@pytest.mark.parametrize("code", ["SEG999", "XYZ", "", "SRC001"])
def test_unknown_codes_are_wrong_use(tmp_path, option, code):
    with pytest.raises(UsageError, match="there is no rule"):
        validate(tmp_path, **{option: [code]})


def test_foreign_habits_are_no_errors(tmp_path):
    """What Broden itself contains: whole-image 0, exponents, holes in cells, no split."""
    small = SmallSet(ours=False)
    small.put("index.csv", 2, "scene", "0")
    small.put("index.csv", 3, "object", small.cell("index.csv", 3, "object").replace(";", ";;"))
    small.put("label.csv", 4, "coverage", "4.16667e-02")
    for rows in (small.tables["index.csv"],):
        for row in rows:
            del row[1]
    small.tables["label.csv"].insert(1, [0, "-", "", 0, "0.0", ""])
    report = validate(small.write(tmp_path / "set"))
    assert report.errors == 0
    assert {finding.code for finding in report.findings} <= {"IDX007", "CAT021", "LAY020"}


def test_figures_of_foreign_tables_may_be_absent(tmp_path):
    small = SmallSet(ours=False)
    for name, rows in small.tables.items():
        if name != "index.csv":
            keep = [i for i, column in enumerate(rows[0]) if column in ("number", "name")]
            small.tables[name] = [[row[i] for i in keep] for row in rows]
    report = validate(small.write(tmp_path / "set"))
    assert report.errors == 0
    assert {finding.code for finding in report.findings} == {"LAY020"}
    columns = {finding.pointer for finding in report.findings if finding.path == "label.csv"}
    assert columns == {"category", "frequency", "coverage", "syns"}


def test_interrupted_build_is_ours(tmp_path):
    small = SmallSet()
    root = small.write(tmp_path / "set.partial-x1y2")
    (root / "conceptset.json").unlink()
    (root / "images.csv").unlink()
    (root / "annotators.csv").unlink()
    codes = {finding.code for finding in validate(root).findings}
    assert codes == {"LAY002", "LAY004"}


def test_root_that_follows_one_annotator(tmp_path):
    """The other's images need not be in the root index then."""
    small = SmallSet()
    small.indexes[""].pop()
    small.manifest_changes["settings"] = {"consensus": "ada"}
    small.count()
    assert validate(small.write(tmp_path / "set")).findings == ()


def test_shared_folder_of_images_may_be_a_link(tmp_path):
    root = SmallSet(ours=False).write(tmp_path / "set")
    shutil.move(root / "images", tmp_path / "elsewhere")
    (root / "images").symlink_to(tmp_path / "elsewhere")
    assert validate(root).findings == ()


def test_stem_and_category_with_underscores(tmp_path):
    small = SmallSet()
    small.categories[0] = "street_object"
    for folder, rows in small.indexes.items():
        for row in rows:
            if "object" in row:
                row["street_object"] = row.pop("object")
            row["image"] = row["image"].replace("cam/", "cam/x_")
        small.tables.pop(f"{folder}c_object.csv", None)
    for row in small.originals:
        row[0] = row[0].replace("cam/", "cam/x_")
    for lines in small.segments.values():
        for line in lines:
            line["image"] = line["image"].replace("cam/", "cam/x_")
    small.files = {
        name.replace("cam/", "cam/x_").replace("object", "street_object"): data
        for name, data in small.files.items()
    }
    small.count()
    assert validate(small.write(tmp_path / "set")).findings == ()


def damage(chance, data):
    """The bytes of a file after an accident."""
    kind = chance.randrange(6)
    if not data or kind == 0:
        return chance.randbytes(40)
    place = chance.randrange(len(data))
    if kind == 1:
        return data[:place]
    if kind == 2:
        return data[:place] + bytes([chance.randrange(256)]) + data[place + 1 :]
    lines = data.split(b"\n")
    place = chance.randrange(len(lines))
    if kind == 3:
        lines[place : place + 1] = []
    elif kind == 4:
        lines.insert(place, lines[chance.randrange(len(lines))])
    else:
        cells = lines[place].split(b",")
        values = [b"", b"-1", b"99999999999999999999", b"0", b"nan", b"1e5", b"../../x", b";;",
                  b'"', "\u00b2\u0663".encode(), b"NUL.png", b"\x00", b"a" * 300]  # fmt: skip
        cells[chance.randrange(len(cells))] = chance.choice(values)
        lines[place] = b",".join(cells)
    return b"\n".join(lines)


@pytest.mark.parametrize("seed", range(60))
def test_damaged_sets_never_raise(tmp_path, seed):
    chance = random.Random(seed)
    root = SmallSet(ours=seed % 4 != 0).write(tmp_path / "set")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    tables = [path for path in files if path.suffix in (".csv", ".json", ".jsonl")]
    for path in chance.sample(tables, 2) + chance.sample(files, 1):
        for _ in range(chance.randint(1, 3)):
            path.write_bytes(damage(chance, path.read_bytes()))
    report = validate(root)
    for name in OUTPUT_FORMATS:
        format_report(report, name)


@pytest.mark.parametrize("letters", [string.ascii_lowercase, "./\\:;\x00\u202e\ud800"[:6]])
def test_hostile_names_never_raise(tmp_path, letters):
    chance = random.Random(letters)
    for number in range(10):
        small = SmallSet()
        text = "".join(chance.choice(letters) for _ in range(chance.choice([1, 5, 3000])))
        small.put("index.csv", chance.randint(2, 4), chance.choice(["image", "object"]), text)
        small.put("category.csv", 2, "name", text)
        small.put("annotators.csv", 3, "directory", text)
        assert validate(small.write(tmp_path / str(number))).failed()


@pytest.mark.real
def test_parity_set_has_no_errors(shared):
    report = validate(shared / "parity/synth40/dataset")
    assert (report.images, report.maps, report.errors) == (40, 116, 0)
    assert [finding.code for finding in report.findings] == ["SEG011"]
    (finding,) = report.findings
    map_a = np.asarray(Image.open(shared / "parity/synth40/dataset" / finding.path))
    other = finding.path.replace("_part_1", "_part_2")
    map_b = np.asarray(Image.open(shared / "parity/synth40/dataset" / other))
    same = (map_a == map_b).all(axis=2) & map_a.any(axis=2)
    assert finding.pixel == tuple(np.argwhere(same)[0])
    assert f"at {same.sum()} pixels" in finding.message


@pytest.mark.real
def test_parity_set_with_a_wrong_figure(shared, tmp_path):
    root = tmp_path / "set"
    shutil.copytree(shared / "parity/synth40/dataset", root, copy_function=shutil.copyfile)
    for path in (root, *root.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with (root / "c_color.csv").open(newline="") as stream:
        rows = list(csv.reader(stream))
    rows[1][4] = "5.556"
    (root / "c_color.csv").write_text("".join(",".join(row) + "\n" for row in rows))
    report = validate(root)
    assert [finding.code for finding in report.findings] == ["CAT026", "SEG011"]
    assert rules()["CAT026"].foreign == "warning"
