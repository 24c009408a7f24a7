"""Activations made in code, through scanners into stores."""

from __future__ import annotations

import numpy as np

from dissect.scanning import Scanner
from dissect.store import TileStore
from dissect.team import Team
from dissect.tiles import Tiling


def units_last(values):
    """(images, units, h, w) as a layer with the units last leaves it: (images, h * w, units)."""
    images, units = values.shape[:2]
    return np.ascontiguousarray(values.transpose(0, 2, 3, 1)).reshape(images, -1, units)


def cut_tiles(values, bound, *, tiling=None, rows=None, threads=2):
    """The tiles of (images, units, h, w) above the bound, as one chunk."""
    tiling = tiling or Tiling.of(values.shape[2:])
    rows = np.asarray(range(len(values)) if rows is None else rows, dtype=np.int32)
    scanner = Scanner(tiling, values.shape[1], Team(threads))
    found = scanner.scan(units_last(values), 0, rows, bound)
    assert found.bad == -1
    return found.chunk


def fill_store(values, quantile, *, batch=3, kind=TileStore, tiling=None, samples=None, **options):
    """A store that has seen (images, units, h, w), in batches."""
    cut = tiling or Tiling.of(values.shape[2:])
    if kind is TileStore:
        options["tiling"] = cut
    store = kind(
        units=values.shape[1],
        samples=samples or len(values) * values.shape[2] * values.shape[3],
        quantile=quantile,
        **options,
    )
    for start in range(0, len(values), batch):
        part = values[start : start + batch]
        ties = None
        if store.counts_ties:
            ties = (part == store.bound[:, None, None]).sum(axis=(0, 2, 3))
        rows = range(start, start + len(part))
        store.add(cut_tiles(part, store.bound, tiling=cut, rows=rows), ties)
    return store


def paste(chunk, tiling):
    """{(row, unit): its map} from tiles, NaN where nothing was kept; edges must agree."""
    height, width = tiling.map_size
    maps = {}
    for row, unit, tile, patch in zip(
        chunk.rows.tolist(), chunk.units.tolist(), chunk.tiles.tolist(), chunk.patches, strict=True
    ):
        one = maps.setdefault((row, unit), np.full((height, width), np.nan, np.float32))
        top, left = (
            tile // tiling.count[1] * tiling.side[0],
            tile % tiling.count[1] * tiling.side[1],
        )
        part = one[top : top + tiling.patch[0], left : left + tiling.patch[1]]
        ours = patch[: part.shape[0], : part.shape[1]]
        assert np.all(np.isnan(part) | (part == ours))
        part[...] = ours
        # beyond the map its edge goes on
        assert np.all(patch[part.shape[0] :] == patch[part.shape[0] - 1])
        assert np.all(patch[:, part.shape[1] :] == patch[:, part.shape[1] - 1 : part.shape[1]])
    return maps
