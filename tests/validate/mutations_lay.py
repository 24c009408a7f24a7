"""Defects of the layout."""

from __future__ import annotations

import shutil

from breaking import breaks
from small_sets import label_pixels, png, table_bytes


def picture(small, name):
    """Label map as an array of (height, width, 3)."""
    return label_pixels(small.maps[name])


@breaks("LAY001")
def manifest_cut_short(small):
    small.after_seal.append(lambda root: (root / "conceptset.json").write_text('{"schema'))


@breaks("LAY001")
def manifest_without_counts(small):
    small.manifest_changes["counts"] = {}


@breaks("LAY002")
def no_manifest(small):
    small.after_seal.append(lambda root: (root / "conceptset.json").unlink())


@breaks("LAY003")
def manifest_of_tomorrow(small):
    small.manifest_changes["schema_version"] = 2


@breaks("LAY004")
def no_category_table(small):
    small.after_seal.append(lambda root: (root / "category.csv").unlink())


@breaks("LAY004")
def no_image_table(small):
    small.after_seal.append(lambda root: (root / "images.csv").unlink())


@breaks("LAY004")
def no_labels_of_bob(small):
    small.after_seal.append(lambda root: (root / "annotators/bob/label.csv").unlink())


@breaks("LAY004")
def no_segments_of_bob(small):
    small.after_seal.append(lambda root: (root / "annotators/bob/segments.jsonl").unlink())


@breaks("LAY004", ours=False)
def foreign_without_labels(small):
    del small.tables["label.csv"]


@breaks("LAY005")
def labels_in_latin_1(small):
    small.files["label.csv"] = "number,name\n1,Stra\xdfe\n".encode("latin-1")


@breaks("LAY005")
def index_with_nul(small):
    small.files["index.csv"] = b'image,split\n"a\n'


@breaks("LAY005")
def empty_annotators(small):
    small.files["annotators.csv"] = b""


@breaks("LAY006")
def category_without_first(small):
    small.put("category.csv", 1, "first", "erste")


@breaks("LAY006")
def index_without_split(small):
    small.tables["index.csv"] = [[*row[:1], *row[2:]] for row in small.tables["index.csv"]]


@breaks("LAY007")
def label_row_with_comma(small):
    small.tables["label.csv"][2].append("surplus")


@breaks("LAY007")
def index_row_cut_short(small):
    small.tables["index.csv"][2].pop()


@breaks("LAY007")
def annotator_row_cut_short(small):
    small.tables["annotators.csv"][2].pop()


@breaks("LAY008")
def column_scene_twice(small):
    rows = small.tables["index.csv"]
    small.tables["index.csv"] = [[*row, row[-1]] for row in rows]


@breaks("LAY009")
def labels_saved_by_another_program(small):
    data = table_bytes(small.tables["label.csv"], "\r\n")
    small.after_seal.append(lambda root: (root / "label.csv").write_bytes(data))


@breaks("LAY009")
def sealed_file_gone(small):
    small.manifest_changes["digests/tables/c_weather.csv"] = "0" * 64


@breaks("LAY010")
def map_saved_again(small):
    data = png(picture(small, "cam/a_part.png"), compress_level=0)
    small.after_seal.append(lambda root: (root / "images/cam/a_part.png").write_bytes(data))


@breaks("LAY010")
def photograph_swapped(small):
    data = small.files["images/cam/b.jpg"]
    small.after_seal.append(lambda root: (root / "images/cam/a.jpg").write_bytes(data))


@breaks("LAY011")
def stray_file(small):
    small.files["images/cam/Thumbs.db"] = b"x"


@breaks("LAY011")
def mask_of_no_row(small):
    small.flags("consensus/cam/zzz_object_undecided.png")


@breaks("LAY012")
def map_above_the_set(small):
    small.put("index.csv", 2, "part", "../cam/a_part.png")
    small.removed.append("images/cam/a_part.png")


@breaks("LAY012")
def map_with_backslash(small):
    small.put("index.csv", 2, "part", "cam\\a_part.png")
    small.removed.append("images/cam/a_part.png")


@breaks("LAY012", ours=False)
def map_on_a_drive(small):
    small.put("index.csv", 2, "part", "C:/cam/a_part.png")


@breaks("LAY013")
def link_to_outside(small):
    def link(root):
        path = root / "images/cam/a_part.png"
        target = root.parent / "elsewhere.png"
        shutil.move(path, target)
        path.symlink_to(target)

    small.after.append(link)


@breaks("LAY013")
def annotator_outside(small):
    def link(root):
        shutil.move(root / "annotators/bob", root.parent / "bob")
        (root / "annotators/bob").symlink_to(root.parent / "bob")

    small.after.append(link)


@breaks("LAY014")
def names_differ_in_case(small):
    small.photograph("cam/A.jpg", 9)
    small.originals.insert(0, ["cam/A.jpg", "cam", "A.png", "9" * 64])
    for folder in ("", "annotators/ada/"):
        small.indexes[folder].insert(0, {**small.row("cam/A.jpg", "train"), "scene": "4"})
    small.count()


@breaks("LAY015")
def interrupted_table(small):
    small.files[".index.csv.partial-1a2b"] = b"image,"


@breaks("LAY015")
def interrupted_map(small):
    small.files["images/cam/.a_part.png.partial-1a2b"] = b"\x89PNG"


@breaks("LAY016")
def manifest_says_nine_labels(small):
    small.manifest_changes["counts/labels"] = 9


@breaks("LAY016")
def manifest_says_nine_segments(small):
    small.manifest_changes["counts/segments"] = 9


@breaks("LAY017")
def origin_lost(small):
    small.tables["images.csv"].pop()


@breaks("LAY017")
def origin_of_nothing(small):
    small.tables["images.csv"].append(["cam/z.jpg", "cam", "z.jpg", "a" * 64])


@breaks("LAY018")
def origin_without_digest(small):
    small.put("images.csv", 2, "sha256", "unknown")


@breaks("LAY018")
def origin_twice(small):
    small.tables["images.csv"].append(small.tables["images.csv"][-1])


def rename_last(small, name):
    small.files[f"images/{name}"] = small.files.pop("images/cam/c.jpg")
    small.originals[2][0] = name
    for rows in small.indexes.values():
        rows[2]["image"] = name
    small.count()


@breaks("LAY019")
def photograph_with_blank(small):
    rename_last(small, "cam/c c.jpg")


@breaks("LAY019")
def photograph_in_reserved_folder(small):
    rename_last(small, "consensus/c.jpg")
    for table in ("", "annotators/ada/", "annotators/bob/"):
        small.tables[f"{table}index.csv"][1:] = sorted(small.tables[f"{table}index.csv"][1:])


def without(small, name, *columns):
    """Take columns out of a table."""
    header = small.tables[name][0]
    kept = [place for place, column in enumerate(header) if column not in columns]
    small.tables[name] = [[row[place] for place in kept] for row in small.tables[name]]


@breaks("LAY020", ours=False)
def foreign_as_the_book_has_it(small):
    without(small, "index.csv", "split")
    without(small, "label.csv", "syns")
    without(small, "category.csv", "first", "last")


@breaks("LAY020", ours=False)
def foreign_without_codes(small):
    without(small, "c_object.csv", "code")
