"""Maps brought to the size of label maps, against torch and Pillow."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from dissect.upsample import Placement, axis_table, lay_grid

RNG = np.random.default_rng(11)


@pytest.mark.parametrize("cells", [(1, 1), (7, 7), (3, 5), (16, 16), (13, 1)])
def test_half_pixel_is_torch_without_align_corners(cells):
    maps = RNG.normal(size=(4, *cells)).astype(np.float32)
    ours = lay_grid(cells, (16, 24)).spread(maps)
    theirs = F.interpolate(
        torch.from_numpy(maps)[None].double(), (16, 24), mode="bilinear", align_corners=False
    )[0].numpy()
    assert np.abs(ours - theirs).max() < 1e-12


@pytest.mark.parametrize(
    ("cells", "pixels"),
    [((112, 112), (56, 56)), ((30, 20), (16, 16)), ((17, 8), (16, 16)), ((50, 50), (7, 9))],
)
def test_larger_maps_are_reduced_as_pillow_does(cells, pixels):
    maps = RNG.normal(size=(3, *cells)).astype(np.float32)
    grid = lay_grid(cells, pixels)
    assert grid.reduces
    for ours, source in zip(grid.spread(maps), maps, strict=True):
        theirs = Image.fromarray(source).resize(pixels[::-1], Image.Resampling.BILINEAR)
        assert np.abs(ours - np.asarray(theirs)).max() < 2e-6


def test_equal_sizes_change_nothing():
    maps = RNG.normal(size=(2, 9, 9)).astype(np.float32)
    assert np.array_equal(lay_grid((9, 9), (9, 9)).spread(maps), maps.astype(np.float64))


def test_receptive_field_centres_carry_the_cells_own_values():
    """16 photograph pixels a cell, the first centre at 4.5: 2.25 in a label map half as large."""
    placement = Placement((-3.5, -3.5), (16.0, 16.0))
    grid = lay_grid((4, 4), (32, 32), placement=placement, photograph=(64, 64))
    rows = grid.vertical.rows()
    assert np.allclose(rows.sum(axis=1), 1)
    centres = (np.arange(4) + 0.5) * 8 - 1.75
    positions = np.arange(32) + 0.5
    ramp = np.interp(positions, centres, np.arange(4.0))  # interp clamps outside
    assert np.abs(rows @ np.arange(4.0) - ramp).max() < 1e-12


def test_half_pixel_is_the_placement_that_fills_the_photograph():
    plain = lay_grid((7, 7), (112, 112))
    placed = lay_grid(
        (7, 7), (112, 112), placement=Placement((0, 0), (32, 32)), photograph=(224, 224)
    )
    assert np.array_equal(plain.vertical.weights, placed.vertical.weights)
    assert np.array_equal(plain.vertical.starts, placed.vertical.starts)


def test_fields_that_lie_beside_the_photograph_are_clamped():
    table = axis_table(3, 4, offset=100.0, stride=2.0)
    assert np.array_equal(table.rows(), [[1, 0, 0]] * 4)
    reduced = axis_table(8, 4, offset=100.0, stride=0.5)
    assert np.allclose(reduced.rows().sum(axis=1), 1)
