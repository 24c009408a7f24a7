"""Defects of splits and annotators."""

from __future__ import annotations

import shutil

from breaking import breaks
from small_sets import BUS, CAT_DOG, DOG, segment


@breaks("SPL001")
def no_split(small):
    small.put("index.csv", 2, "split", "")


@breaks("SPL002")
def split_in_capitals(small):
    small.put_everywhere("index.csv", 3, "split", "Train")


@breaks("SPL003")
def picture_in_two_splits(small):
    small.files["images/cam/c.jpg"] = small.files["images/cam/a.jpg"]


@breaks("SPL003")
def original_in_two_splits(small):
    small.put("images.csv", 4, "sha256", small.cell("images.csv", 2, "sha256"))


@breaks("SPL004")
def split_of_ada_differs(small):
    small.put("annotators/ada/index.csv", 2, "split", "val")


@breaks("ANN001")
def bob_is_gone(small):
    def remove(root):
        shutil.rmtree(root / "annotators/bob")
        shutil.rmtree(root / "images/annotators/bob")

    small.after_seal.append(remove)


@breaks("ANN002")
def bob_is_not_listed(small):
    small.tables["annotators.csv"].pop()


@breaks("ANN003")
def directory_above(small):
    small.tables["annotators.csv"].append(["eve", 1, "person", "../eve", 0, 0])


@breaks("ANN003")
def directory_shared(small):
    small.tables["annotators.csv"].append(["eve", 1, "person", "bob", 3, 3])


@breaks("ANN004")
def root_without_last_image(small):
    small.indexes[""].pop()
    small.count()


@breaks("ANN005")
def image_of_nobody(small):
    for folder in small.indexes:
        if folder:
            small.indexes[folder].pop()
    small.count()


@breaks("ANN006")
def second_session_alone(small):
    small.put("annotators.csv", 2, "session", 2)


@breaks("ANN007")
def session_twice(small):
    small.put("annotators.csv", 3, "annotator", "ada")


@breaks("ANN008")
def nine_images(small):
    small.put("annotators.csv", 2, "images", 9)


@breaks("ANN009")
def nine_segments(small):
    small.put("annotators.csv", 2, "segments", 9)


@breaks("ANN010")
def robot(small):
    small.put("annotators.csv", 2, "kind", "robot")


@breaks("ANN010")
def session_one_and_a_half(small):
    small.put("annotators.csv", 2, "session", "1.5")


@breaks("ANN011")
def other_name_for_ada(small):
    small.put("annotators/ada/label.csv", 2, "name", "kat")
    small.put("annotators/ada/c_object.csv", 2, "name", "kat")


@breaks("ANN012")
def other_size_for_bob(small):
    small.put("annotators/bob/index.csv", 4, "sh", 8)


@breaks("ANN013")
def segment_cut_short(small):
    small.segments["ada"][2] = '{"image": "cam/b.jpg"'


@breaks("ANN013")
def segment_without_size(small):
    del small.segments["ada"][2]["size"]


@breaks("ANN014")
def runs_too_long(small):
    small.segments["ada"][2]["counts"] = "1234"


@breaks("ANN014")
def region_without_runs(small):
    small.segments["ada"][2]["counts"] = None


@breaks("ANN014")
def tag_with_runs(small):
    small.segments["ada"][2]["kind"] = "tag"


@breaks("ANN015")
def order_twice(small):
    small.segments["ada"][1]["order"] = 0


@breaks("ANN016")
def part_of_nothing(small):
    small.segments["ada"][1]["part_of"] = 99


@breaks("ANN017")
def segment_on_unknown_image(small):
    small.segments["ada"][2] = segment("cam/zzz.jpg", 0, "dog")


@breaks("ANN018")
def cyd_has_no_images(small):
    small.tables["annotators.csv"].append(["cyd", 1, "person", "cyd", 0, 0])
    small.segments["cyd"] = []
    for table in ("index.csv", "label.csv", "category.csv"):
        small.tables[f"annotators/cyd/{table}"] = small.tables[f"annotators/bob/{table}"][:1]
    label = small.tables["annotators/bob/label.csv"]
    rows = [[number, name, "", 0, "0.000000000", ""] for number, name, *_ in label[1:]]
    small.tables["annotators/cyd/label.csv"] = [label[0], *rows]


@breaks("ANN019")
def cyd_shares_no_image(small):
    """Ada and bob share one photograph; what bob drew in another is cyd's, and nobody else's."""
    ada, bob, cyd = (f"annotators/{person}/" for person in ("ada", "bob", "cyd"))
    small.people = (*small.people, "cyd")
    taken = dict(small.indexes[bob][1])
    taken["object"] = f"{cyd}cam/b_object.png"
    small.maps[taken["object"]] = small.maps.pop(f"{bob}cam/b_object.png")
    small.indexes[cyd] = [taken]
    small.indexes[ada] = [small.indexes[ada][place] for place in (0, 2)]
    small.indexes[bob] = [small.indexes[bob][0]]
    del small.maps[f"{ada}cam/b_object.png"]
    small.segments["cyd"] = small.segments["bob"][2:]
    small.segments["ada"], small.segments["bob"] = (small.segments[p][:2] for p in ("ada", "bob"))
    small.draw("", 1, object=[CAT_DOG])
    del small.files["images/consensus/cam/b_object_undecided.png"]
    del small.maps["cam/b_object_1.png"], small.maps["cam/b_object_2.png"]
    small.count()


@breaks("ANN020")
def photograph_turned_by_bob(small):
    small.segments["bob"][2]["size"] = [3, 2]


@breaks("ANN020")
def photograph_turned_half_way(small):
    small.segments["ada"][1]["size"] = [3, 2]


@breaks("ANN021")
def bus_that_nobody_drew(small):
    small.draw("", 1, object=[CAT_DOG, BUS])
    small.count()


@breaks("ANN021")
def dogs_that_all_have_alike(small):
    del small.files["images/consensus/cam/b_object_undecided.png"]


@breaks("ANN021")
def dog_of_one_annotator(small):
    small.indexes["annotators/bob/"].pop()
    small.draw("annotators/ada/", 2, object=[DOG])
    small.count()
