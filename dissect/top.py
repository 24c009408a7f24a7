"""The images that a unit answers to most, with its masks there: what a report shows of a unit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conceptset.io.atomic import write_file
from dissect.counts import IntArray, encode_arrays, read_arrays
from dissect.tally import draw_masks
from dissect.tiles import Chunk, Tiling
from dissect.upsample import FloatArray, Grid

_BLOCK = 256  # images that are judged together


@dataclass(frozen=True, slots=True)
class TopImages:
    """Up to `k` images per unit, the largest activation first; equal ones by rising row.

    Attributes:
        images: (units, k) int64 rows of index.csv, -1 where a unit has fewer.
        maxima: (units, k) float32, the unit's largest activation there; 0 where there is none.
        sizes: (units, k, 2) int64, (height, width) of the label maps there.
        masks: (units, k, bytes) uint8, the mask there, row by row, eight pixels a byte, the
            first in the highest bit (`numpy.packbits`), zeros to the end.
    """

    images: IntArray
    maxima: NDArray[np.float32]
    sizes: IntArray
    masks: NDArray[np.uint8]

    def mask(self, unit: int, place: int) -> NDArray[np.bool_]:
        """(height, width) the mask of a unit on its `place`-th image, from 0."""
        height, width = self.sizes[unit, place].tolist()
        bits = np.unpackbits(self.masks[unit, place], count=height * width)
        return bits.astype(np.bool_).reshape(height, width)


def choose_top(
    area: IntArray, maxima: NDArray[np.float32], *, units: int, count: int
) -> tuple[IntArray, NDArray[np.float32]]:
    """The images and maxima of `TopImages`.

    Args:
        area: (n, 3) int64 rows (image, unit, pixels > 0).
        maxima: (n,) float32, the largest activation of each of these pairs.
        units: Units of the layer.
        count: How many images per unit.

    >>> area = np.array([[4, 0, 9], [7, 0, 1]])
    >>> images, _ = choose_top(area, np.float32([1, 2]), units=1, count=3)
    >>> images.tolist()
    [[7, 4, -1]]
    """
    images = np.full((units, count), -1, dtype=np.int64)
    values = np.zeros((units, count), dtype=np.float32)
    order = np.lexsort((area[:, 0], -maxima, area[:, 1]))
    unit = area[order, 1]
    place = np.arange(len(order)) - np.searchsorted(unit, unit)
    kept = place < count
    images[unit[kept], place[kept]] = area[order[kept], 0]
    values[unit[kept], place[kept]] = maxima[order[kept]]
    return images, values


class TopKeeper:
    """The top images of every unit among those seen so far, with their masks.

    Images are judged some hundreds at a time: few of them displace another, and only these are
    drawn. Nobody has to look at the tiles of an image again.

    Args:
        tiling: Of the layer's maps.
        grids: The maps over label maps of every size.
        thresholds: (units,) float64.
        sizes: (height, width) of the label maps by row.
        count: Images per unit.
    """

    def __init__(
        self,
        tiling: Tiling,
        grids: Mapping[tuple[int, int], Grid],
        thresholds: FloatArray,
        *,
        sizes: Mapping[int, tuple[int, int]],
        count: int,
    ) -> None:
        self._tiling = tiling
        self._grids = grids
        self._thresholds = thresholds
        self._sizes = sizes
        self._top = _no_images(len(thresholds), count)
        self._waiting: list[tuple[IntArray, NDArray[np.float32], Chunk]] = []

    def add(self, area: IntArray, maxima: NDArray[np.float32], chunk: Chunk) -> None:
        """Take an image.

        Args:
            area: (n, 3) int64 rows (image, unit, pixels > 0).
            maxima: (n,) float32.
            chunk: Tiles of the image.
        """
        self._waiting.append((area, maxima, chunk))
        if len(self._waiting) >= _BLOCK:
            self.settle()

    def settle(self) -> None:
        """Judge the images that wait."""
        if not self._waiting:
            return
        units, count = self._top.images.shape
        old_unit, old_place = np.nonzero(self._top.images >= 0)
        old = np.column_stack([self._top.images[old_unit, old_place], old_unit, old_unit])
        area = np.concatenate([old, *(area for area, _, _ in self._waiting)])
        maxima = np.concatenate(
            [self._top.maxima[old_unit, old_place], *(maxima for _, maxima, _ in self._waiting)]
        )
        images, values = choose_top(area, maxima, units=units, count=count)
        drawn = _no_images(units, count)
        new = TopImages(images, values, drawn.sizes, self._widened(images))
        where = {
            (int(self._top.images[unit, place]), int(unit)): int(place)
            for unit, place in zip(old_unit, old_place, strict=True)
        }
        wanted: dict[int, list[tuple[int, int]]] = {}
        for unit, place in np.argwhere(images >= 0).tolist():
            row = int(images[unit, place])
            new.sizes[unit, place] = self._sizes[row]
            before = where.get((row, unit))
            if before is None:
                wanted.setdefault(row, []).append((unit, place))
            else:
                kept = self._top.masks[unit, before][: new.masks.shape[2]]
                new.masks[unit, place, : len(kept)] = kept
        for _, _, chunk in self._waiting:
            row = int(chunk.rows[0])
            if row in wanted:
                self._draw(row, chunk, wanted[row], new.masks)
        self._top, self._waiting = new, []

    def _widened(self, images: IntArray) -> NDArray[np.uint8]:
        """Room for masks as large as the largest among the images."""
        sizes = [self._sizes[row] for row in np.unique(images[images >= 0]).tolist()]
        largest = max((height * width for height, width in sizes), default=0)
        return np.zeros((*images.shape, (largest + 7) // 8), dtype=np.uint8)

    def _draw(
        self,
        row: int,
        chunk: Chunk,
        places: Sequence[tuple[int, int]],
        masks: NDArray[np.uint8],
    ) -> None:
        units = np.array([unit for unit, _ in places], dtype=np.int64)
        part = chunk.only(np.isin(chunk.units, units))
        grid = self._grids[self._sizes[row]]
        pixels = draw_masks(part, self._thresholds, tiling=self._tiling, grid=grid)
        bits = np.packbits(pixels.reshape(len(pixels), -1), axis=1)
        for (unit, place), line in zip(places, bits, strict=True):  # both by rising unit
            masks[unit, place, : bits.shape[1]] = line

    def finish(self) -> TopImages:
        """All of them."""
        self.settle()
        return self._top


def _no_images(units: int, count: int) -> TopImages:
    """Room for the images, none of which is known."""
    return TopImages(
        np.full((units, count), -1, dtype=np.int64),
        np.zeros((units, count), dtype=np.float32),
        np.zeros((units, count, 2), dtype=np.int64),
        np.zeros((units, count, 0), dtype=np.uint8),
    )


def join_top(parts: Sequence[TopImages]) -> TopImages:
    """The top images among those of several parts of the images, in order of rows."""
    units, count = parts[0].images.shape
    rows, maxima, origin = [], [], []
    for number, part in enumerate(parts):
        unit, place = np.nonzero(part.images >= 0)
        rows.append(np.column_stack([part.images[unit, place], unit, unit]))
        maxima.append(part.maxima[unit, place])
        origin.append(np.column_stack([np.full(len(unit), number), place]))
    area, source = np.concatenate(rows), np.concatenate(origin)
    images, values = choose_top(area, np.concatenate(maxima), units=units, count=count)
    found = {(int(a[0]), int(a[1])): b for a, b in zip(area, source, strict=True)}
    result = _no_images(units, count)
    chosen = [
        (unit, place, *found[int(images[unit, place]), unit].tolist())
        for unit, place in np.argwhere(images >= 0).tolist()
    ]
    largest = max((int(np.prod(parts[n].sizes[u, p])) for u, _, n, p in chosen), default=0)
    masks = np.zeros((units, count, (largest + 7) // 8), dtype=np.uint8)
    for unit, place, number, before in chosen:
        result.sizes[unit, place] = parts[number].sizes[unit, before]
        line = parts[number].masks[unit, before][: masks.shape[2]]
        masks[unit, place, : len(line)] = line
    return TopImages(images, values, result.sizes, masks)


def write_top(path: Path, top: TopImages, metadata: Mapping[str, str]) -> None:
    """Write top.safetensors."""
    arrays: dict[str, NDArray[Any]] = {
        "images": top.images,
        "maxima": top.maxima,
        "sizes": top.sizes,
    }
    arrays["masks"] = top.masks
    write_file(path, encode_arrays(arrays, metadata))


def read_top(path: Path) -> TopImages:
    """The top images of a layer.

    Raises:
        LayoutError: The file is no such record.
    """
    arrays, _ = read_arrays(path, ("images", "maxima", "sizes", "masks"))
    return TopImages(
        arrays["images"].astype(np.int64),
        arrays["maxima"].astype(np.float32),
        arrays["sizes"].astype(np.int64),
        arrays["masks"].astype(np.uint8),
    )
