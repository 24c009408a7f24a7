"""Defects of index.csv."""

from __future__ import annotations

from breaking import breaks
from PIL import Image


@breaks("IDX001")
def row_twice(small):
    small.tables["index.csv"].append(small.tables["index.csv"][-1])


@breaks("IDX002")
def photograph_gone(small):
    small.removed.append("images/cam/c.jpg")


@breaks("IDX002", ours=False)
def foreign_photograph_gone(small):
    small.removed.append("images/cam/c.jpg")


@breaks("IDX003")
def photograph_cut_short(small):
    data = small.files["images/cam/c.jpg"]
    small.files["images/cam/c.jpg"] = data[: len(data) * 2 // 3]


@breaks("IDX003")
def photograph_is_text(small):
    small.files["images/cam/c.jpg"] = b"<html>not found</html>"


@breaks("IDX003")
def photograph_is_a_folder(small):
    del small.files["images/cam/c.jpg"]
    small.after.append(lambda root: (root / "images/cam/c.jpg").mkdir())


@breaks("IDX004")
def size_of_another(small):
    small.put_everywhere("index.csv", 2, "ih", 99)


@breaks("IDX005")
def size_with_unit(small):
    small.put("index.csv", 2, "ih", "8px")


@breaks("IDX005")
def size_zero(small):
    small.put("index.csv", 2, "sw", 0)


@breaks("IDX006")
def hole_in_cell(small):
    cell = small.cell("index.csv", 3, "object")
    small.put("index.csv", 3, "object", cell.replace(";", ";;"))


@breaks("IDX006")
def blank_in_cell(small):
    cell = small.cell("index.csv", 3, "object")
    small.put("index.csv", 3, "object", cell.replace(";", "; "))


@breaks("IDX007")
def label_zero(small):
    small.put("index.csv", 2, "scene", "0")


@breaks("IDX007", ours=False)
def foreign_label_zero(small):
    small.put("index.csv", 2, "scene", "0")


@breaks("IDX008")
def unknown_scene(small):
    small.put("index.csv", 4, "scene", "4;77")


@breaks("IDX009")
def rows_out_of_order(small):
    rows = small.tables["index.csv"]
    rows[1], rows[2] = rows[2], rows[1]


@breaks("IDX010")
def map_twice_in_cell(small):
    small.put("index.csv", 2, "part", "cam/a_part.png;cam/a_part.png")


@breaks("IDX010")
def label_twice_in_cell(small):
    small.put("index.csv", 4, "scene", "4;4")


@breaks("IDX011")
def map_of_the_neighbour(small):
    small.indexes[""][1]["part"] = "cam/a_part.png"
    small.count()


@breaks("IDX012")
def column_of_no_category(small):
    for row, text in zip(small.tables["index.csv"], ["weather", "", "", ""], strict=True):
        row.append(text)


@breaks("IDX012")
def column_of_bob_only(small):
    rows = small.tables["annotators/bob/index.csv"]
    for row, text in zip(rows, ["weather", "4", "", ""], strict=True):
        row.append(text)


@breaks("IDX013")
def column_lost(small):
    rows = small.tables["index.csv"]
    place = rows[0].index("part")
    small.tables["index.csv"] = [[*row[:place], *row[place + 1 :]] for row in rows]
    small.removed.append("images/cam/a_part.png")


@breaks("IDX014")
def labels_lost(small):
    small.indexes[""][2]["scene"] = ""
    small.count()


@breaks("IDX015")
def nothing_at_all(small):
    small.files.clear()
    small.maps.clear()
    small.names.clear()
    small.originals.clear()
    small.categories.clear()
    for rows in (*small.indexes.values(), *small.segments.values()):
        rows.clear()
    small.count()


@breaks("IDX016")
def photograph_lies_on_its_side(small):
    exif = Image.Exif()
    exif[0x0112] = 6
    small.photograph("cam/c.jpg", 3, exif=exif)


@breaks("IDX017")
def photograph_named_as_map(small):
    small.put("index.csv", 4, "object", "cam/b.jpg")
