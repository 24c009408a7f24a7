"""Batches of photographs and label maps of an image."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from PIL import Image

from conceptset.errors import ImageError, LayoutError, UnsafeError, UsageError
from conceptset.layout.reading import open_concept_set
from dissect.ahead import map_ahead
from dissect.labels import read_labels
from dissect.loader import load_batches
from dissect.selecting import (
    check_categories,
    check_files,
    digest_set,
    input_size,
    read_used,
    select_entries,
)

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def batches_of(concept_set, entries=None, size=(32, 32), batch_size=4, workers=2):
    return list(
        load_batches(
            concept_set,
            concept_set.entries if entries is None else entries,
            size=size,
            batch_size=batch_size,
            mean=MEAN,
            std=STD,
            workers=workers,
        )
    )


def test_batches_are_full_and_in_order(small_set):
    concept_set = open_concept_set(small_set)
    batches = batches_of(concept_set)
    assert [[entry.row for entry in b.entries] for b in batches] == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
        [8, 9, 10],
    ]
    assert {b.pixels.shape for b in batches} == {(4, 3, 32, 32)}
    assert all(b.pixels.is_contiguous(memory_format=torch.channels_last) for b in batches)
    assert torch.equal(batches[2].pixels[3], batches[2].pixels[2])
    photograph = np.asarray(Image.open(small_set / "images/src/p005.png"))
    expected = (photograph.astype(np.float32) / 255 - np.float32(MEAN)) / np.float32(STD)
    assert np.array_equal(batches[1].pixels[1].permute(1, 2, 0).numpy(), expected)
    assert batches[0].pixels.dtype == torch.float32


def test_the_number_of_workers_changes_nothing(small_set):
    concept_set = open_concept_set(small_set)
    one, five = (batches_of(concept_set, workers=n, batch_size=3) for n in (1, 5))
    for a, b in zip(one, five, strict=True):
        assert torch.equal(a.pixels, b.pixels)


def test_photographs_are_squashed_as_pillow_does(small_set):
    concept_set = open_concept_set(small_set)
    batch = batches_of(concept_set, size=(20, 48), batch_size=2)[0]
    photograph = Image.open(small_set / "images/src/p001.png")
    small = np.asarray(photograph.resize((48, 20), Image.Resampling.BILINEAR), np.float32)
    expected = (small / 255 - np.float32(MEAN)) / np.float32(STD)
    assert np.array_equal(batch.pixels[1].permute(1, 2, 0).numpy(), expected)


def test_choosing_images(small_set):
    concept_set = open_concept_set(small_set)
    assert [e.row for e in select_entries(concept_set, split="val", limit=None)] == [3, 7]
    assert [e.row for e in select_entries(concept_set, split=None, limit=2)] == [0, 1]
    with pytest.raises(UsageError, match=r"split 'test'.*train, val"):
        select_entries(concept_set, split="test", limit=None)


def test_choosing_categories(small_set):
    concept_set = open_concept_set(small_set)
    assert check_categories(concept_set, ["scene", "object"]) == ("object", "scene")
    with pytest.raises(UsageError, match=r"no category colour.*object, part, scene"):
        check_categories(concept_set, ["object", "colour"])
    with pytest.raises(UsageError, match="no category is named"):
        check_categories(concept_set, [])


def test_unequal_photographs_need_a_size(build_set, make_pictures):
    pictures = [*make_pictures(2), *make_pictures(1, size=(24, 32))]
    entries = open_concept_set(build_set(pictures)).entries
    assert input_size(entries[:2], None) == (32, 32)
    assert input_size(entries, (16, 16)) == (16, 16)
    with pytest.raises(UsageError, match=r"p000\.png has 32x32.*p002\.png has 24x32.*--image-size"):
        input_size(entries, None)


def test_label_maps_and_whole_image_labels(small_set):
    concept_set = open_concept_set(small_set)
    planes, whole = read_labels(concept_set, concept_set.entries[5], concept_set.categories)
    assert [plane.shape for plane in planes] == [(16, 16)] * 3
    assert {plane.dtype for plane in planes} == {np.dtype(np.uint16)}
    assert whole == [300]
    assert read_labels(concept_set, concept_set.entries[5], ["part"])[1] == []


def test_defects_are_named(build_set, make_pictures, picture_type):
    root = build_set(make_pictures(2))
    concept_set = open_concept_set(root)
    Image.new("RGB", (5, 5)).save(root / "images/src/p000.png")
    with pytest.raises(ImageError, match=r"p000\.png: is 5x5, the index says 32x32"):
        batches_of(concept_set)
    Image.new("RGB", (16, 9)).save(root / "images/src/p001_object_1.png")
    with pytest.raises(ImageError, match=r"p001_object_1\.png: is 9x16, the index says 16x16"):
        read_labels(concept_set, concept_set.entries[1], ["object"])
    Image.new("RGB", (16, 16), (99, 0, 0)).save(root / "images/src/p001_object_1.png")
    with pytest.raises(LayoutError, match=r"set/images/src/p001_object_1\.png: holds the label 99"):
        read_labels(concept_set, concept_set.entries[1], ["object"])
    (root / "images/src/p001_part_1.png").unlink()
    with pytest.raises(ImageError, match="does not exist; row 1 of the index names it"):
        check_files(concept_set, concept_set.entries, concept_set.categories)
    check_files(concept_set, concept_set.entries, ["object"])


def test_files_that_need_a_closer_look(build_set, make_pictures, tmp_path):
    """Links and odd names are found as `ConceptSet.file` finds them; what leads out is refused."""
    root = build_set(make_pictures(2))
    concept_set = open_concept_set(root)
    _, second = concept_set.entries

    def look(name):
        check_files(concept_set, [dataclasses.replace(second, image=name, cells={})], [])

    folder = root / "images" / "src"
    (folder / "ünal (1).png").write_bytes(b"")
    (folder / "a_folder.png").mkdir()
    (folder / "link.png").symlink_to(folder / "p000.png")
    (folder / "nowhere.png").symlink_to(folder / "p999.png")
    (folder / "out.png").symlink_to(tmp_path / "secret.png")
    (tmp_path / "secret.png").write_bytes(b"")
    (root / "images" / "far").symlink_to(tmp_path)
    (root / "images" / "near").symlink_to(folder)
    (root / "images" / "top.png").write_bytes(b"")
    good = ["p000.png", "./p000.png", "ünal (1).png", "link.png"]
    for name in [*(f"src/{name}" for name in good), "src\\p000.png", "near/p001.png", "top.png"]:
        look(name)
    for name in ["src/a_folder.png", "src/nowhere.png", "src/P000.png", "other/p000.png", "src"]:
        with pytest.raises(ImageError, match="does not exist; row 1 of the index names it"):
            look(name)
    for name in ["src/out.png", "far/secret.png", "../images/src/p000.png", "/etc/passwd", ""]:
        with pytest.raises(UnsafeError):
            look(name)
    assert [read_used(concept_set, name) for name in ("src\\p000.png", "src/p000.png")] == [
        (folder / "p000.png").read_bytes()
    ] * 2


def test_the_digest_follows_the_content(build_set, make_pictures):
    root = build_set(make_pictures(3))

    def digest(limit=3):
        concept_set = open_concept_set(root)
        entries = concept_set.entries[:limit]
        return digest_set(
            concept_set, entries, concept_set.categories, index="index.csv", workers=2
        )

    first = digest()
    assert first == digest()
    assert first != digest(2)
    moved = root.rename(root.parent / "moved")
    root = moved
    assert first == digest()
    Image.new("RGB", (32, 32)).save(root / "images/src/p000.png")
    second = digest()
    assert second != first
    with (root / "c_part.csv").open("a") as stream:
        stream.write("9,7,thing 7,1,0.7\n")
    assert digest() != second


def test_results_come_in_order_and_errors_come_out():
    assert list(map_ahead(lambda n: n * n, range(50), workers=4)) == [n * n for n in range(50)]
    assert list(map_ahead(str, [], workers=2)) == []
    with pytest.raises(ZeroDivisionError):
        list(map_ahead(lambda n: 1 // n, [1, 0, 2], workers=2))
