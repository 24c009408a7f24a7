"""Colours that everybody can tell apart, and regions drawn on photographs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from conceptset.present.outlines import LINE, inner_edge, prepare_backdrop
from conceptset.present.palette import PALETTE, category_slots, palette_css

PAGES = {"light": "#fcfcfb", "dark": "#121519"}
# Machado, Oliveira and Fernandes 2009, severity 1, on linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "tritanopia": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def linear(colour):
    channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def contrast(first, second):
    low, high = sorted((TO_XYZ @ linear(colour))[1] for colour in (first, second))
    return (high + 0.05) / (low + 0.05)


def lab(rgb):
    ratio = TO_XYZ @ np.clip(rgb, 0, 1) / (TO_XYZ @ np.ones(3))
    x, y, z = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("page", PAGES)
def test_colours_stand_out_from_the_page(page):
    for colour in PALETTE:
        assert contrast(getattr(colour, page), PAGES[page]) >= 3


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("vision", VISION)
def test_colours_differ(page, vision):
    seen = [lab(VISION[vision] @ linear(getattr(colour, page))) for colour in PALETTE[:8]]
    nearest = min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2))
    assert nearest >= 19


def test_slots():
    assert category_slots(["part", "object"]) == {"part": 1, "object": 0}
    many = [f"c{number}" for number in range(12)]
    slots = category_slots(["object", *many])
    assert slots["object"] == 0
    assert [slots[name] for name in many[:7]] == [1, 2, 3, 4, 5, 6, 7]
    assert {slots[name] for name in many[7:]} == {8}
    assert category_slots([]) == {}


def test_palette_css():
    css = palette_css()
    assert all(colour.light in css and colour.dark in css for colour in PALETTE)


def test_inner_edge_against_loops():
    rng = np.random.default_rng(3)
    mask = rng.random((9, 7)) < 0.6
    expected = np.zeros_like(mask)
    for row, column in np.argwhere(mask):
        for i, j in ((row - 1, column), (row + 1, column), (row, column - 1), (row, column + 1)):
            outside = not (0 <= i < 9 and 0 <= j < 7)
            expected[row, column] |= outside or not mask[i, j]
    assert np.array_equal(inner_edge(mask), expected)
    for shape in ((1, 1), (1, 5), (2, 2)):
        assert inner_edge(np.ones(shape, dtype=bool)).all()


@pytest.mark.parametrize("shape", [(8, 8), (16, 32), (5, 7), (32, 64), (50, 90), (1, 1)])
def test_a_region_is_drawn_as_if_all_of_it_were_drawn_at_once(shape):
    """Against the whole mask enlarged by Pillow, and every pixel drawn; the line in between."""
    rng = np.random.default_rng(shape[0])
    bright = rng.integers(100, 256, (32, 64, 3), dtype=np.uint8)
    backdrop = prepare_backdrop(Image.fromarray(bright), (16, 32))
    for _ in range(20):
        mask = np.zeros(shape, dtype=bool)
        top, left = (int(rng.integers(size)) for size in shape)
        mask[top : top + 1 + shape[0] // 3, left : left + 1 + shape[1] // 4] = True
        mask &= rng.random(shape) < 0.9
        grey = Image.fromarray(mask.view(np.uint8) * np.uint8(255))
        fine = np.asarray(grey.resize((64, 32), Image.Resampling.BILINEAR)) >= 128
        core = ndimage.binary_erosion(fine, iterations=2)
        dark = (bright.astype(int) * 87 // 256).astype(np.uint8)
        expected = np.where(fine[..., None], bright, dark)
        expected[fine & ~core] = LINE
        expected = np.asarray(Image.fromarray(expected).reduce(2))
        assert np.array_equal(np.asarray(backdrop.draw(mask)), expected)


def test_backdrop():
    photograph = Image.new("RGB", (64, 32), (200, 100, 50))
    backdrop = prepare_backdrop(photograph, (16, 32))
    mask = np.zeros((8, 16), dtype=bool)
    mask[2:6, 4:12] = True
    drawn = np.asarray(backdrop.draw(mask))
    assert drawn.shape == (16, 32, 3)
    assert drawn[0, 0].tolist() == [67, 33, 16]
    assert drawn[8, 16].tolist() == [200, 100, 50]
    assert drawn[4, 16].tolist() == list(LINE)
    assert np.asarray(backdrop.draw(~mask & mask)).max() == 67
    whole = np.asarray(backdrop.draw(np.ones((8, 16), dtype=bool)))
    assert whole[0, 0].tolist() == list(LINE)
    assert whole[8, 16].tolist() == [200, 100, 50]
