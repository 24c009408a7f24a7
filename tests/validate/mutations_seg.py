"""Defects of label maps and masks."""

from __future__ import annotations

import io

import numpy as np
from breaking import breaks
from PIL import Image
from small_sets import deep_png, grid, label_pixels, png


def picture(small, name):
    """Label map as an array of (height, width, 3)."""
    return label_pixels(small.maps[name])


@breaks("SEG001")
def map_gone(small):
    small.removed.append("images/cam/a_part.png")


@breaks("SEG002")
def map_cut_short(small):
    small.files["images/cam/a_part.png"] = png(picture(small, "cam/a_part.png"))[:-30]


@breaks("SEG002")
def map_announces_a_bomb(small):
    data = bytearray(png(picture(small, "cam/a_part.png")))
    data[16:24] = (60_000).to_bytes(4, "big") * 2
    small.files["images/cam/a_part.png"] = bytes(data)


@breaks("SEG003")
def map_as_jpeg(small):
    stream = io.BytesIO()
    Image.fromarray(picture(small, "cam/a_part.png")).save(stream, "JPEG")
    small.files["images/cam/a_part.png"] = stream.getvalue()


@breaks("SEG004")
def map_in_grey(small):
    small.files["images/cam/a_part.png"] = png(small.maps["cam/a_part.png"].astype(np.uint8))


@breaks("SEG004")
def map_with_palette(small):
    image = Image.fromarray(small.maps["cam/a_part.png"].astype(np.uint8)).convert("P")
    stream = io.BytesIO()
    image.save(stream, "PNG")
    small.files["images/cam/a_part.png"] = stream.getvalue()


@breaks("SEG005")
def map_of_16_bits(small):
    small.files["images/cam/a_part.png"] = deep_png(small.maps["cam/a_part.png"])


@breaks("SEG005")
def grey_map_of_16_bits(small):
    labels = small.maps["cam/a_part.png"].astype(np.uint16)
    small.files["images/cam/a_part.png"] = png(labels)


@breaks("SEG006")
def map_with_alpha(small):
    pixels = picture(small, "cam/a_part.png")
    opaque = np.full((*pixels.shape[:2], 1), 255, dtype=np.uint8)
    small.files["images/cam/a_part.png"] = png(np.concatenate([pixels, opaque], axis=2))


@breaks("SEG007")
def map_of_another_size(small):
    pixels = picture(small, "cam/a_part.png")
    small.files["images/cam/a_part.png"] = png(pixels.repeat(2, axis=0).repeat(2, axis=1))


@breaks("SEG008")
def map_with_blue(small):
    pixels = picture(small, "cam/a_part.png")
    pixels[2, 3, 2] = 7
    small.files["images/cam/a_part.png"] = png(pixels)


@breaks("SEG009")
def map_with_unknown_label(small):
    labels = small.maps["cam/a_part.png"].copy()
    labels[2, 3:5] = 300
    small.files["images/cam/a_part.png"] = png(label_pixels(labels))


@breaks("SEG010")
def map_without_labels(small):
    small.maps["cam/c_object.png"] = np.zeros((4, 6), dtype=int)
    small.put("index.csv", 4, "object", "cam/c_object.png")


@breaks("SEG011")
def label_in_two_maps(small):
    small.maps["cam/a_part.png"] = grid(["hc....", "......", "......", "......"])
    small.count()


@breaks("SEG011")
def whole_label_of_two_categories(small):
    small.categories.append("texture")
    small.indexes[""][2]["texture"] = "4"
    small.count()


@breaks("SEG012")
def mask_cut_short(small):
    name = "images/consensus/cam/b_object_undecided.png"
    small.files[name] = small.files[name][:-30]


@breaks("SEG013")
def mask_in_colour(small):
    name = "images/consensus/cam/b_object_undecided.png"
    small.files[name] = png(np.zeros((4, 6, 3), dtype=np.uint8))


@breaks("SEG014")
def mask_of_another_size(small):
    name = "images/annotators/ada/cam/a_object_ignore.png"
    small.files[name] = png(np.zeros((8, 12), dtype=np.uint8))


@breaks("SEG015")
def mask_with_grey(small):
    name = "images/annotators/ada/cam/a_object_ignore.png"
    small.files[name] = png(np.full((4, 6), 128, dtype=np.uint8))


@breaks("SEG016")
def mask_in_a_cell(small):
    cell = small.cell("index.csv", 3, "object")
    small.put("index.csv", 3, "object", f"{cell};consensus/cam/b_object_undecided.png")
