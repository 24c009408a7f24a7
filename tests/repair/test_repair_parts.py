"""Single decisions of a repair: numbers, names, maps, people, rows, splits, targets."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image
from small_sets import SmallSet, grid, label_pixels, png, segment

from conceptset.build.splitting import draw_split
from conceptset.errors import LayoutError, UsageError
from conceptset.io.catalogue import hash_file
from conceptset.layout.reading import open_concept_set
from conceptset.repair import RepairOptions, repair_set
from conceptset.validate import validate


def rows(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def numbers_in(path):
    pixels = np.asarray(Image.open(path)).astype(int)
    return pixels[..., 0] + 256 * pixels[..., 1]


@pytest.fixture
def repair(tmp_path):
    """Writes a small set, repairs it, checks the copy: (copy, report)."""

    def run(small, **options):
        root = small.write(tmp_path / "set")
        report = repair_set(root, tmp_path / "new", RepairOptions(**options))
        assert validate(tmp_path / "new").errors == 0, validate(tmp_path / "new").findings
        return tmp_path / "new", report

    return run


def lost(report):
    return [finding.code for finding in report.findings if finding.severity == "error"]


# numbers and names


def test_foreign_numbers_keep_their_gaps(repair):
    small = SmallSet(ours=False)
    small.names[300] = small.names.pop(2)
    for labels in small.maps.values():
        labels[labels == 2] = 300
    small.count()
    small.tables["category.csv"] = [["name"], ["object"], ["part"], ["scene"]]
    new, report = repair(small)
    assert sorted(open_concept_set(new).names) == [1, 3, 4, 300]
    assert 300 in numbers_in(new / "images/cam/b_object_1.png")
    assert lost(report) == []


def test_number_beyond_the_layout_gets_a_free_one(repair):
    small = SmallSet(ours=False)
    small.names[40_000] = small.names.pop(2)
    for labels in small.maps.values():
        labels[labels == 2] = 40_000
    small.count()
    new, report = repair(small)
    assert open_concept_set(new).names == {1: "cat", 2: "dog", 3: "head", 4: "street"}
    assert (numbers_in(new / "images/cam/b_object_2.png")[3, :3] == 2).all()
    assert ("CAT006", 1) in [(code, times) for code, _, times in report.changes]


def test_one_name_under_two_numbers_is_one_label(repair):
    small = SmallSet(ours=False)
    small.names[2] = "cat"
    small.count()
    new, report = repair(small)
    assert open_concept_set(new).names == {1: "cat", 3: "head", 4: "street"}
    assert set(numbers_in(new / "images/cam/b_object_1.png").ravel()) == {0, 1}
    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("CAT008", "warning")
    assert "'cat' has the numbers 1 and 2" in finding.message


def test_synonyms_are_kept_and_cleaned(repair):
    small = SmallSet(ours=False)
    small.put("label.csv", 2, "syns", " puss ;;cat;kitty;puss")
    new, _ = repair(small)
    assert rows(new / "label.csv")[0]["syns"] == "kitty;puss"


def test_two_names_for_a_number_follow_the_category_table(repair):
    small = SmallSet(ours=False)
    small.tables["label.csv"].insert(1, [1, "kat", "", 0, 0, ""])
    new, report = repair(small)
    assert open_concept_set(new).names[1] == "cat"
    assert lost(report) == ["CAT007"]


def test_without_any_name(tmp_path):
    small = SmallSet(ours=False)
    for table in ("label.csv", "c_object.csv", "c_part.csv", "c_scene.csv"):
        del small.tables[table]
    with pytest.raises(LayoutError, match="no table gives a label number a name"):
        repair_set(small.write(tmp_path / "set"), tmp_path / "new", RepairOptions())


# maps


def with_part(small, data):
    small.files["images/cam/a_part.png"] = data
    return small


def saved(image, kind="PNG", **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


HEAD = grid(["h.....", "......", "......", "......"])


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "I;16", "LA", "RGBA"])
def test_modes_of_one_reading(repair, mode):
    grey = HEAD.astype(np.uint8)
    images = {
        "L": Image.fromarray(grey),
        "P": Image.fromarray(grey).convert("P"),
        "RGB": Image.fromarray(np.stack([grey] * 3, axis=-1)),
        "I;16": Image.fromarray(grey.astype(np.uint16)),
        "LA": Image.fromarray(grey).convert("LA"),
        "RGBA": Image.fromarray(label_pixels(HEAD)).convert("RGBA"),
    }
    new, report = repair(with_part(SmallSet(ours=False), saved(images[mode])))
    assert lost(report) == []
    assert (numbers_in(new / "images/cam/a_part.png") == HEAD).all()


def test_grey_of_few_bits(repair):
    """Two bits a pixel: Pillow spreads them over 0..255, the number is what was stored."""
    import struct
    import zlib

    def chunk(kind, data):
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    raw = b"\0\xc0\x00" + b"\0\0\0" * 3  # 3 in the first of six pixels, three rows of nothing
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 6, 4, 2, 0, 0, 0, 0))
    data += chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")
    new, report = repair(with_part(SmallSet(ours=False), data))
    assert lost(report) == []
    assert (numbers_in(new / "images/cam/a_part.png") == HEAD).all()


def test_bitmap_of_another_format(repair):
    small = SmallSet(ours=False)
    small.removed.append("images/cam/a_part.png")
    small.files["images/cam/a_part.bmp"] = saved(Image.fromarray(label_pixels(HEAD)), "BMP")
    small.put("index.csv", 2, "part", "cam/a_part.bmp")
    new, report = repair(small)
    assert lost(report) == []
    assert rows(new / "index.csv")[0]["part"] == "cam/a_part.png"
    assert (numbers_in(new / "images/cam/a_part.png") == HEAD).all()


@pytest.mark.parametrize(("palette", "expected"), [("index", 3), ("color", 1)])
def test_palette_of_two_readings(tmp_path, palette, expected):
    """Index 3 has the colour of label 1: which is meant, only its author knows."""
    image = Image.fromarray(HEAD.astype(np.uint8))
    image.putpalette([0, 0, 0, 2, 0, 0, 4, 0, 0, 1, 0, 0])
    root = with_part(SmallSet(ours=False), saved(image)).write(tmp_path / "set")
    report = repair_set(root, tmp_path / "new", RepairOptions())
    assert lost(report) == ["SEG004"]
    assert "--palette" in report.findings[0].message
    assert rows(tmp_path / "new/index.csv")[0].get("part", "") == ""
    repair_set(root, tmp_path / "told", RepairOptions(palette=palette))
    labels = numbers_in(tmp_path / "told/images/cam/a_part.png")
    assert labels[0, 0] == expected


def test_sizes_follow_the_maps(repair):
    """sh and sw of a hand-made index are wrong; one of three maps is twice as large."""
    small = SmallSet(ours=False)
    big = label_pixels(small.maps["cam/b_object_2.png"]).repeat(2, axis=0).repeat(2, axis=1)
    small.files["images/cam/b_object_2.png"] = png(big)
    small.draw("", 1, part=[["h.....", "......", "......", "......"]])
    small.count()
    for line in (2, 3):
        small.put("index.csv", line, "sh", 999)
    new, report = repair(small)
    assert lost(report) == []
    assert [(row["sh"], row["sw"]) for row in rows(new / "index.csv")] == [("4", "6")] * 3
    smaller = numbers_in(new / "images/cam/b_object_2.png")
    assert (smaller == small.maps["cam/b_object_2.png"]).all()


def test_map_that_lies_on_its_side_is_left_out(repair):
    small = SmallSet(ours=False)
    small.draw("", 0, object=[["cc....", "cc....", "......", "......"]])
    turned = np.ascontiguousarray(label_pixels(HEAD).transpose(1, 0, 2))
    new, report = repair(with_part(small, png(turned)))
    assert lost(report) == ["SEG007"]
    assert "which is another shape" in report.findings[0].message
    assert not (new / "images/cam/a_part.png").exists()


def test_a_map_of_two_photographs_is_copied(repair):
    small = SmallSet(ours=False)
    small.indexes[""][1]["part"] = "cam/a_part.png"
    small.count()
    new, report = repair(small)
    names = [row["part"] for row in rows(new / "index.csv")]
    assert names == ["cam/a_part.png", "cam/a_part-2.png", ""]
    assert [finding.code for finding in report.findings] == ["IDX011"]


# rows


def test_rows_of_one_photograph_by_category(repair):
    """One row for objects, one for parts: hand-made sets list them so."""
    small = SmallSet(ours=False)
    table = small.tables["index.csv"]
    place = table[0].index("part")
    second = list(table[1])
    table[1] = [*table[1][:place], "", *table[1][place + 1 :]]
    second[table[0].index("object")] = ""
    second[0] = "images\\cam\\a.jpg"
    table.append(second)
    new, report = repair(small)
    assert lost(report) == []
    first = rows(new / "index.csv")[0]
    assert (first["object"], first["part"]) == ("cam/a_object.png", "cam/a_part.png")


def test_rows_that_contradict_each_other(repair):
    small = SmallSet(ours=False)
    other = list(small.tables["index.csv"][1])
    other[small.tables["index.csv"][0].index("object")] = "cam/b_object_2.png"
    small.tables["index.csv"].append(other)
    new, report = repair(small)
    assert lost(report) == ["IDX001"]
    assert rows(new / "index.csv")[0]["object"] == "cam/a_object.png"


@pytest.mark.parametrize(
    "text",
    [
        *("images/cam/a_part.png", "images\\cam\\a_part.png", "./cam//a_part.png", "a_part.png"),
        *("CAM/A_Part.PNG", "/home/me/set/images/cam/a_part.png", "C:\\set\\cam\\a_part.png"),
        *("../images/../images/cam/a_part.png", " cam/a_part.png ;"),
    ],
)
def test_paths_that_mean_the_map(repair, text):
    small = SmallSet(ours=False)
    small.put("index.csv", 2, "part", text)
    new, report = repair(small)
    assert lost(report) == []
    assert rows(new / "index.csv")[0]["part"] == "cam/a_part.png"


def test_numbers_as_a_spreadsheet_writes_them(repair):
    small = SmallSet(ours=False)
    small.put("index.csv", 4, "scene", "4.0")
    for line, number in enumerate((1, 2, 3, 4), start=2):
        small.put("label.csv", line, "number", f"{number}.0")
    new, report = repair(small)
    assert lost(report) == []
    assert rows(new / "index.csv")[2]["scene"] == "4"


def test_splits_are_drawn_from_the_bytes(repair):
    small = SmallSet(ours=False)
    for line in (2, 3, 4):
        small.put("index.csv", line, "split", "")
    new, report = repair(small, split={"a": "0.5", "b": "0.5"})
    for row in rows(new / "index.csv"):
        sha256 = hash_file(new / "images" / row["image"])
        assert row["split"] == draw_split(sha256, {"a": "0.5", "b": "0.5"})
    assert ("SPL001", 3) in [(code, times) for code, _, times in report.changes]


def test_a_column_that_is_no_category(repair):
    small = SmallSet(ours=False)
    for row, text in zip(small.tables["index.csv"], ["year", "1", "2", "3"], strict=True):
        row.append(text)
    new, report = repair(small)
    assert lost(report) == ["IDX012"]
    assert "year" not in rows(new / "index.csv")[0]


def test_without_category_table_columns_with_maps_are_categories(repair):
    small = SmallSet(ours=False)
    for table in ("category.csv", "c_object.csv", "c_part.csv", "c_scene.csv"):
        del small.tables[table]
    for line in range(2, 6):
        small.put("label.csv", line, "category", "")
    small.put("label.csv", 5, "category", "scene(1)")
    new, report = repair(small)
    assert lost(report) == []
    assert open_concept_set(new).categories == ("object", "part", "scene")


# people


def majority_of(votes):
    """By plain loops: what more than half say, 0 where nobody has that many."""
    result = np.zeros(votes[0].shape, dtype=int)
    for place in np.ndindex(result.shape):
        said = [int(vote[place]) for vote in votes]
        for label in set(said):
            if 2 * said.count(label) > len(said):
                result[place] = label
    return result


def test_a_row_that_only_annotators_have_is_voted_on(repair):
    small = SmallSet()
    drawings = {"ada": ["ccc...", "cc....", "......", "...h.."],
                "bob": ["cc....", "ccd...", "......", "......"]}  # fmt: skip
    small.indexes[""].pop()
    small.originals[2] = ["cam/c.jpg", "cam", "c.png", f"{3:064x}"]
    for person, drawing in drawings.items():
        small.draw(f"annotators/{person}/", 2, object=[drawing], scene="4")
    small.count()
    new, report = repair(small)
    votes = [grid(drawing) for drawing in drawings.values()]
    expected = majority_of(votes)
    assert (numbers_in(new / "images/cam/c_object.png") == expected).all()
    undecided = np.asarray(Image.open(new / "images/consensus/cam/c_object_undecided.png"))
    assert ((undecided == 255) == (votes[0] != votes[1])).all()
    row = rows(new / "index.csv")[2]
    assert (row["object"], row["scene"], row["split"]) == ("cam/c_object.png", "4", "val")
    assert ("ANN004", 1) in [(code, times) for code, _, times in report.changes]


def test_a_renamed_photograph_takes_everything_along(repair):
    small = SmallSet()
    old, new_name = "cam/a.jpg", "cam/a b.jpg"
    small.files = {name.replace("cam/a.", "cam/a b.").replace("cam/a_", "cam/a b_"): data
                   for name, data in small.files.items()}  # fmt: skip
    small.originals[0][0] = new_name
    for table in small.indexes.values():
        table[0]["image"] = new_name
    for lines in small.segments.values():
        for line in lines:
            line["image"] = line["image"].replace(old, new_name)
    small.count()
    new, report = repair(small)
    assert lost(report) == []
    first = rows(new / "index.csv")[0]
    assert (first["image"], first["object"]) == ("cam/a-b.jpg", "cam/a-b_object.png")
    assert rows(new / "images.csv")[0]["image"] == "cam/a-b.jpg"
    lines = (new / "annotators/ada/segments.jsonl").read_text().splitlines()
    assert json.loads(lines[0])["image"] == "cam/a-b.jpg"
    assert json.loads(lines[1])["part_of"] == 0
    assert (new / "images/annotators/ada/cam/a-b_object_ignore.png").is_file()


def test_segments_of_a_missing_photograph_are_counted(repair):
    small = SmallSet()
    small.removed.append("images/cam/b.jpg")
    new, report = repair(small)
    assert lost(report).count("ANN017") == 2
    assert [row["segments"] for row in rows(new / "annotators.csv")] == ["2", "2"]


def test_interpolated_segments_are_kept_and_not_counted(repair):
    small = SmallSet()
    small.segments["ada"].append({**segment("cam/b.jpg", 1, "dog"), "interpolated": True})
    small.put("annotators.csv", 2, "segments", 99)
    new, report = repair(small)
    assert lost(report) == []
    assert rows(new / "annotators.csv")[0]["segments"] == "3"
    assert len((new / "annotators/ada/segments.jsonl").read_text().splitlines()) == 4


def test_parts_follow_when_orders_are_written_anew(repair):
    small = SmallSet()
    small.segments["ada"] = [
        segment("cam/a.jpg", 5, "cat"),
        segment("cam/a.jpg", 7, "head", part_of=5),
        segment("cam/a.jpg", 7, "cat"),
        segment("cam/a.jpg", 9, "head", part_of=7),
    ]
    new, report = repair(small)
    assert lost(report) == ["ANN016"]  # two segments could be the whole of the last one
    lines = [json.loads(line) for line in
             (new / "annotators/ada/segments.jsonl").read_text().splitlines()]  # fmt: skip
    assert [(one["order"], one["part_of"]) for one in lines] == [
        (0, None), (1, 0), (2, None), (3, None)
    ]  # fmt: skip


def test_the_manifest_says_what_was_repaired(repair):
    small = SmallSet()
    small.put("label.csv", 2, "frequency", 9)
    small.manifest_changes["settings/fit"] = "pad"
    new, _ = repair(small)
    manifest = json.loads((new / "conceptset.json").read_text())
    assert manifest["settings"]["fit"] == "pad"
    assert any(key.startswith("CAT020") for key in manifest["settings"]["repaired"])
    assert manifest["generator"] == "a test"


# where to


def test_targets_that_would_do_harm(tmp_path):
    root = SmallSet().write(tmp_path / "set")
    for out in (root, root / "new", tmp_path):
        with pytest.raises(UsageError):
            repair_set(root, out, RepairOptions(overwrite=True))
    with pytest.raises(UsageError, match="is no directory"):
        repair_set(tmp_path / "nothing", tmp_path / "new", RepairOptions())
    partial = SmallSet().write(tmp_path / "set.partial-1a2b")
    with pytest.raises(LayoutError, match="never finished"):
        repair_set(partial, tmp_path / "new", RepairOptions())


@pytest.mark.parametrize("jobs", [1, 2])
def test_any_number_of_processes(tmp_path, tree, jobs, monkeypatch):
    monkeypatch.setattr("conceptset.repair.assembly._SMALL", 1)
    small = SmallSet()
    small.put("label.csv", 2, "frequency", 9)
    root = small.write(tmp_path / "set")
    repair_set(root, tmp_path / "one", RepairOptions())
    seen = []

    def step(label):
        from contextlib import nullcontext

        return nullcontext(lambda done, total: seen.append((label, done, total)))

    repair_set(root, tmp_path / "many", RepairOptions(jobs=jobs), step=step)
    assert tree(tmp_path / "one") == tree(tmp_path / "many")
    assert seen[-1] == ("repairing", 3, 3)
