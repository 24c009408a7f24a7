"""Defects of categories and labels."""

from __future__ import annotations

from breaking import breaks


@breaks("CAT001")
def part_table_lost(small):
    small.after_seal.append(lambda root: (root / "c_part.csv").unlink())


@breaks("CAT002")
def part_row_lost(small):
    small.tables["category.csv"] = [row for row in small.tables["category.csv"] if row[0] != "part"]


@breaks("CAT003")
def category_in_capitals(small):
    small.categories = ["object", "Part", "scene"]
    for folder, rows in small.indexes.items():
        if "part" in rows[0]:
            rows[0]["Part"] = rows[0].pop("part")
        small.tables.pop(f"{folder}c_part.csv", None)
    small.count()


@breaks("CAT003")
def category_reserved(small):
    small.categories = ["object", "part_ignore", "scene"]
    for rows in small.indexes.values():
        if "part" in rows[0]:
            rows[0]["part_ignore"] = rows[0].pop("part")
    small.count()


@breaks("CAT004")
def category_twice(small):
    small.tables["category.csv"].append(small.tables["category.csv"][-1])


@breaks("CAT005")
def category_without_labels(small):
    small.tables["category.csv"].append(["texture", 1, 1, 0, 0])
    small.tables["c_texture.csv"] = [["code", "number", "name", "frequency", "coverage"]]
    for row, text in zip(small.tables["index.csv"], ["texture", "", "", ""], strict=True):
        row.append(text)


@breaks("CAT006")
def label_number_zero(small):
    small.tables["label.csv"].append([0, "void", "", 0, "0.000000000", ""])


@breaks("CAT006")
def label_number_too_large(small):
    small.tables["label.csv"].append([40000, "void", "", 0, "0.000000000", ""])


@breaks("CAT006")
def label_number_as_float(small):
    small.put("c_part.csv", 2, "number", "3.0")


@breaks("CAT007")
def number_twice(small):
    small.tables["label.csv"].append([5, "lorry", "", 0, "0.000000000", ""])


@breaks("CAT008")
def name_twice(small):
    small.names[2] = "cat"
    small.count()


@breaks("CAT009")
def name_with_semicolon(small):
    small.names[2] = "dog;hound"
    small.count()


@breaks("CAT009")
def name_empty(small):
    small.names[2] = ""
    small.count()


@breaks("CAT009")
def name_with_newline(small):
    small.names[2] = "dog\nhouse"
    small.count()


@breaks("CAT010")
def number_gap(small):
    small.names[9] = small.names.pop(5)
    for labels in small.maps.values():
        labels[labels == 5] = 9
    small.count()


@breaks("CAT011")
def concept_without_label(small):
    small.tables["c_part.csv"].append([2, 77, "tail", 0, "0.000000000"])


@breaks("CAT012")
def concept_misspelt(small):
    small.put("c_part.csv", 2, "name", "haed")


@breaks("CAT013")
def concept_twice(small):
    row = small.tables["c_part.csv"][1]
    small.tables["c_part.csv"].append([2, *row[1:]])


@breaks("CAT014")
def concept_lost(small):
    rows = small.tables["c_object.csv"]
    small.tables["c_object.csv"] = [rows[0], *([i, *row[1:]] for i, row in enumerate(rows[2:], 1))]


@breaks("CAT015")
def codes_from_zero(small):
    for line, row in enumerate(small.tables["c_object.csv"][1:], start=2):
        small.put("c_object.csv", line, "code", int(row[0]) - 1)


@breaks("CAT016")
def label_of_nobody(small):
    small.tables["label.csv"].append([6, "unicorn", "", 0, "0.000000000", ""])


@breaks("CAT017")
def synonym_is_a_name(small):
    small.put("label.csv", 2, "syns", "puss;dog")


@breaks("CAT018")
def cat_as_a_scene(small):
    for folder in ("", "annotators/ada/"):
        small.indexes[folder][2]["scene"] = "1;4"
    small.count()


@breaks("CAT020")
def frequency_in_words(small):
    small.put("c_object.csv", 2, "frequency", "two")


@breaks("CAT020")
def coverage_nan(small):
    small.put("label.csv", 2, "coverage", "nan")


@breaks("CAT021")
def coverage_with_exponent(small):
    for table in ("label.csv", "c_part.csv"):
        line = 4 if table == "label.csv" else 2
        small.put(table, line, "coverage", f"{float(small.cell(table, line, 'coverage')):.9e}")


@breaks("CAT021", ours=False)
def foreign_coverage_with_exponent(small):
    small.put("label.csv", 4, "coverage", "4.16667e-02")


@breaks("CAT022")
def wrong_categories(small):
    small.put("label.csv", 2, "category", "object(3)")


@breaks("CAT022")
def missing_categories(small):
    small.put("label.csv", 2, "category", "")


@breaks("CAT023")
def wrong_label_frequency(small):
    small.put("label.csv", 2, "frequency", 3)


@breaks("CAT023", ours=False)
def foreign_label_frequency(small):
    small.put("label.csv", 2, "frequency", 3)


@breaks("CAT024")
def wrong_label_coverage(small):
    small.put("label.csv", 2, "coverage", "0.333334333")


@breaks("CAT025")
def wrong_concept_frequency(small):
    small.put("annotators/bob/c_object.csv", 2, "frequency", 3)


@breaks("CAT026")
def wrong_concept_coverage(small):
    small.put("c_part.csv", 2, "coverage", "0.5")


@breaks("CAT026", ours=False)
def foreign_concept_coverage(small):
    small.put("c_part.csv", 2, "coverage", "0.5")


@breaks("CAT027")
def wrong_count(small):
    small.put("category.csv", 2, "count", 7)


@breaks("CAT027")
def wrong_last(small):
    small.put("category.csv", 2, "last", 4)
