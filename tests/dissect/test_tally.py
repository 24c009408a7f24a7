"""Masks against labels: the kernels against plain loops and torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_scans import cut_tiles
from PIL import Image
from torch.nn import functional as F

from dissect.drawing import draw_masks
from dissect.regions import join_labels
from dissect.tally import tally_image
from dissect.team import Team
from dissect.tiles import Tiling, as_float32
from dissect.upsample import Placement, lay_grid


def tiles_of(maps, units, thresholds, grid):
    """One image's tiles, whole maps if they are reduced, with thresholds for all units."""
    every = np.full((1, max(units) + 1, *maps.shape[1:]), -9, np.float32)
    limits = np.full(max(units) + 1, 100.0)
    every[0, units], limits[units] = maps, thresholds
    tiling = Tiling.whole(maps.shape[1:]) if grid.reduces else Tiling.of(maps.shape[1:])
    chunk = cut_tiles(every, as_float32(limits), tiling=tiling)
    return {"chunk": chunk, "thresholds": limits, "tiling": tiling, "grid": grid}


def draw_mask(one, threshold, *, grid):
    cut = tiles_of(one[None], [0], [threshold], grid)
    size = (len(grid.vertical.weights), len(grid.horizontal.weights))
    bits = np.full((size[0] * size[1] + 7) // 8, 0xFF, np.uint8)  # overwritten
    wanted = np.array([[0, len(cut["chunk"].rows), 0, 1]])
    lines = np.stack([bits, bits])
    draw_masks(
        *(cut["chunk"], wanted, np.array([threshold], np.float64), [grid], lines),
        tiling=cut["tiling"],
        team=Team(2),
    )
    assert np.array_equal(lines[0], bits)
    bits = lines[1]
    return np.unpackbits(bits, count=size[0] * size[1]).reshape(size).astype(bool)


def dense_masks(maps, thresholds, size):
    """The definition: everything brought to the label maps' size, in float64, then compared."""
    height, width = maps.shape[1:]
    if height > size[0] or width > size[1]:
        full = [
            np.asarray(Image.fromarray(m).resize(size[::-1], Image.Resampling.BILINEAR))
            for m in maps
        ]
    else:
        tensor = torch.from_numpy(np.ascontiguousarray(maps))[None].double()
        full = F.interpolate(tensor, size, mode="bilinear", align_corners=False)[0].numpy()
    masks = []
    for one, source, threshold in zip(full, maps, thresholds, strict=True):
        masks.append((one > threshold) & bool(source.max() > threshold))
    return np.array(masks)


def count_plainly(masks, units, planes, whole):
    """(unit, label, pixels) and (unit, pixels), pixel by pixel."""
    shared, areas = {}, {}
    for mask, unit in zip(masks, units, strict=True):
        for y, x in np.argwhere(mask).tolist():
            areas[unit] = areas.get(unit, 0) + 1
            for label in [*(int(plane[y, x]) for plane in planes), *whole]:
                if label:
                    shared[unit, label] = shared.get((unit, label), 0) + 1
    return (
        [[unit, label, n] for (unit, label), n in sorted(shared.items())],
        [[unit, n] for unit, n in sorted(areas.items())],
    )


def true_pixels(planes, whole, size):
    truth = dict.fromkeys(sorted(set(whole)), 0)
    for plane in planes:
        for label in plane.reshape(-1).tolist():
            if label:
                truth[label] = truth.get(label, 0) + 1
    for label in whole:
        truth[label] += size[0] * size[1]
    return sorted(truth.items())


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("cells", [(1, 1), (4, 3), (12, 12), (16, 16), (31, 18)])
def test_counts_equal_plain_loops(cells, seed):
    rng = np.random.default_rng(seed)
    size = (12, 14) if cells[0] <= 12 else (16, 16)
    maps = np.maximum(rng.normal(size=(9, *cells)), -0.2).astype(np.float32)
    maps[3] = 0.5  # constant
    thresholds = np.quantile(maps.reshape(9, -1), 0.8, axis=1)
    thresholds[3] = 0.5
    thresholds[4] = -1.0  # everything is above
    units = np.array([0, 2, 3, 5, 6, 7, 8, 11, 40])
    planes = [rng.integers(0, 4, size).astype(np.uint16) * 100 for _ in range(seed % 4)]
    whole = [9, 9, 700][: seed % 4]
    labels = join_labels(planes, whole, size)
    tally = tally_image(**tiles_of(maps, units, thresholds, lay_grid(cells, size)), labels=labels)
    masks = dense_masks(maps, thresholds, size)
    shared, areas = count_plainly(masks, units.tolist(), planes, whole)
    assert tally.intersections[0].tolist() == [[0, *row] for row in shared]
    assert tally.area.tolist() == [[0, *row] for row in areas]
    assert tally.maxima.tolist() == [maps[units == unit].max() for unit, _ in areas]
    assert tally.intersections[0].dtype == tally.area.dtype == np.int64
    truth = list(zip(labels.labels.tolist(), labels.truth.tolist(), strict=True))
    assert truth == true_pixels(planes, whole, size)
    for mask, one, threshold in zip(masks, maps, thresholds, strict=True):
        assert np.array_equal(draw_mask(one, threshold, grid=lay_grid(cells, size)), mask)


@pytest.mark.parametrize("seed", range(4))
def test_receptive_field_masks_equal_the_matrix(seed):
    rng = np.random.default_rng(seed)
    placement = Placement((-3.25, 1.5), (9.0, 11.0))
    grid = lay_grid((7, 6), (32, 32), placement=placement, photograph=(64, 64))
    for one in rng.normal(size=(5, 7, 6)).astype(np.float32):
        assert np.array_equal(draw_mask(one, 0.7, grid=grid), grid.spread(one[None])[0] > 0.7)


def test_a_label_in_two_maps_counts_twice():
    plane = np.array([[7, 0], [7, 7]], np.uint16)
    labels = join_labels([plane, plane], [], (2, 2))
    maps = np.ones((1, 1, 1), np.float32)
    tally = tally_image(**tiles_of(maps, [0], [0.0], lay_grid((1, 1), (2, 2))), labels=labels)
    assert tally.intersections[0].tolist() == [[0, 0, 7, 6]]
    assert tally.area.tolist() == [[0, 0, 4]]
    assert labels.truth.tolist() == [6]


def test_the_mask_is_strict_and_zeros_are_equal():
    grid = lay_grid((2, 2), (4, 4))
    assert not draw_mask(np.full((2, 2), 3, np.float32), 3.0, grid=grid).any()
    assert not draw_mask(np.full((2, 2), 0.0, np.float32), -0.0, grid=grid).any()
    assert draw_mask(np.full((2, 2), 3, np.float32), np.nextafter(3.0, 0), grid=grid).all()


def test_thresholds_are_compared_in_float64():
    value = np.float32(0.1)
    grid = lay_grid((1, 1), (1, 1))
    above = np.array([[value]])
    assert draw_mask(above, float(value) - 1e-12, grid=grid).all()
    assert not draw_mask(above, float(value) + 1e-12, grid=grid).any()


@given(st.lists(st.lists(st.integers(0, 65535), min_size=6, max_size=6), max_size=4))
def test_regions_hold_every_combination(planes):
    arrays = [np.array(plane, np.uint16).reshape(2, 3) for plane in planes]
    joined = join_labels(arrays, [], (2, 3))
    for pixel, region in enumerate(joined.region.reshape(-1).tolist()):
        wanted = {}
        for plane in planes:
            if plane[pixel]:
                wanted[plane[pixel]] = wanted.get(plane[pixel], 0) + 1
        row = joined.weights[region]
        assert {int(n): int(w) for n, w in zip(joined.labels, row, strict=True) if w} == wanted
