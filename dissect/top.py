"""The images that a unit answers to most, with its masks there: what a report shows of a unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conceptset.io.atomic import write_file
from dissect.counts import IntArray, encode_arrays, read_arrays
from dissect.drawing import draw_masks
from dissect.team import Team
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


@dataclass(frozen=True, slots=True)
class Chosen:
    """Which of many pairs of image and unit are among the unit's top images.

    Attributes:
        source: (n,) int64, places of the pairs.
        unit: (n,) int64, their units, rising.
        rank: (n,) int64, from 0, the largest activation first; equal ones by rising row.
    """

    source: IntArray
    unit: IntArray
    rank: IntArray


def choose_top(area: IntArray, maxima: NDArray[np.float32], *, count: int) -> Chosen:
    """The top images of every unit.

    Args:
        area: (n, 3) int64 rows (image, unit, pixels > 0).
        maxima: (n,) float32, the largest activation of each of these pairs.
        count: How many images per unit.

    >>> area = np.array([[4, 0, 9], [7, 0, 1]])
    >>> choose_top(area, np.float32([1, 2]), count=3).source.tolist()
    [1, 0]
    """
    order = np.lexsort((area[:, 0], -maxima, area[:, 1]))
    unit = area[order, 1]
    rank = np.arange(len(order)) - np.searchsorted(unit, unit)
    kept = rank < count
    return Chosen(order[kept], unit[kept], rank[kept])


class TopKeeper:
    """The top images of every unit among those seen so far, with the tiles their masks come from.

    Images are judged some hundreds at a time, and masks are drawn once, of those that are left in
    the end. Nobody has to look at the tiles of an image again.

    Args:
        tiling: Of the layer's maps.
        grids: The maps over label maps of every size.
        thresholds: (units,) float64.
        sizes: (height, width) of the label maps by row.
        count: Images per unit.
        team: Threads that draw; this one alone by itself.
    """

    def __init__(
        self,
        tiling: Tiling,
        grids: Mapping[tuple[int, int], Grid],
        thresholds: FloatArray,
        *,
        sizes: Mapping[int, tuple[int, int]],
        count: int,
        team: Team | None = None,
    ) -> None:
        self._tiling = tiling
        self._grids = grids
        self._thresholds = thresholds
        self._sizes = sizes
        self._team = team or Team(1)
        self._images = np.full((len(thresholds), count), -1, dtype=np.int64)
        self._maxima = np.zeros((len(thresholds), count), dtype=np.float32)
        self._tiles: dict[int, Chunk] = {}  # by row, of the units that it was a top image of
        self._waiting: list[tuple[IntArray, NDArray[np.float32], Chunk]] = []
        self._finished: TopImages | None = None

    def add(self, area: IntArray, maxima: NDArray[np.float32], chunk: Chunk) -> None:
        """Take an image.

        Args:
            area: (n, 3) int64 rows (image, unit, pixels > 0).
            maxima: (n,) float32.
            chunk: Tiles of the image.
        """
        self._waiting.append((area, maxima, chunk))
        if len(self._waiting) >= _BLOCK:
            self._judge()

    def _judge(self) -> None:
        """Compare the images that wait with those that are in their places."""
        if not self._waiting:
            return
        unit, place = np.nonzero(self._images >= 0)
        area = np.concatenate(
            [
                np.column_stack([self._images[unit, place], unit, unit]),
                *(area for area, _, _ in self._waiting),
            ]
        )
        maxima = np.concatenate(
            [self._maxima[unit, place], *(high for _, high, _ in self._waiting)]
        )
        chosen = choose_top(area, maxima, count=self._images.shape[1])
        self._images = np.full_like(self._images, -1)
        self._maxima = np.zeros_like(self._maxima)
        self._images[chosen.unit, chosen.rank] = area[chosen.source, 0]
        self._maxima[chosen.unit, chosen.rank] = maxima[chosen.source]
        left = set(np.unique(self._images).tolist())
        self._tiles = {row: chunk for row, chunk in self._tiles.items() if row in left}
        new = chosen.source >= len(unit)
        chunks = {int(chunk.rows[0]): chunk for _, _, chunk in self._waiting}
        wanted = np.zeros(len(self._thresholds), dtype=bool)
        for row, units in _by_row(area[chosen.source[new], 0], chosen.unit[new]):
            wanted[units] = True
            self._tiles[row] = chunks[row].only(np.flatnonzero(wanted[chunks[row].units]))
            wanted[units] = False
        self._waiting = []

    def finish(self) -> TopImages:
        """All of them, with their masks; nothing can be added afterwards."""
        if self._finished is None:
            self._judge()
            top = _no_images(*self._images.shape)
            top.images[:], top.maxima[:] = self._images, self._maxima
            unit, place = np.nonzero(self._images >= 0)
            sizes = [self._sizes[row] for row in self._images[unit, place].tolist()]
            top.sizes[unit, place] = np.reshape(sizes, (-1, 2))  # there may be none
            self._finished = _with_masks(top)
            self._draw(self._finished)
            self._tiles = {}
        return self._finished

    def _draw(self, top: TopImages) -> None:
        """Fill the masks in."""
        rows = sorted(self._tiles)
        if not rows:
            return
        tiles = _joined([self._tiles[row] for row in rows])
        unit, place = np.nonzero(top.images >= 0)
        units = len(self._thresholds)
        known = tiles.rows.astype(np.int64) * units + tiles.units
        keys = top.images[unit, place] * units + unit
        sizes = sorted({self._sizes[row] for row in rows})
        grid = {row: sizes.index(self._sizes[row]) for row in rows}
        wanted = np.column_stack(
            [
                np.searchsorted(known, keys),
                np.searchsorted(known, keys, side="right"),
                [grid[row] for row in top.images[unit, place].tolist()],
                unit * top.images.shape[1] + place,
            ]
        )
        draw_masks(
            *(tiles, wanted, self._thresholds[unit], [self._grids[size] for size in sizes]),
            top.masks.reshape(top.images.size, -1),
            tiling=self._tiling,
            team=self._team,
        )


def _joined(chunks: Sequence[Chunk]) -> Chunk:
    """The tiles of several images as one chunk."""
    return Chunk(
        np.concatenate([chunk.rows for chunk in chunks]),
        np.concatenate([chunk.units for chunk in chunks]),
        np.concatenate([chunk.tiles for chunk in chunks]),
        np.concatenate([chunk.patches for chunk in chunks]),
    )


def _by_row(rows: IntArray, values: IntArray) -> Iterator[tuple[int, IntArray]]:
    """Each row with its values, in the order in which they stand."""
    order = np.argsort(rows, kind="stable")
    heads = np.flatnonzero(np.diff(rows[order], prepend=-1))
    for own in np.split(order, heads[1:]) if len(order) else []:
        yield int(rows[own[0]]), values[own]


def _no_images(units: int, count: int) -> TopImages:
    """Room for the images, none of which is known."""
    return TopImages(
        np.full((units, count), -1, dtype=np.int64),
        np.zeros((units, count), dtype=np.float32),
        np.zeros((units, count, 2), dtype=np.int64),
        np.zeros((units, count, 0), dtype=np.uint8),
    )


def _with_masks(top: TopImages) -> TopImages:
    """The same, with room for masks as large as the largest among the images."""
    largest = int(top.sizes.prod(axis=2).max(initial=0))
    masks = np.zeros((*top.images.shape, (largest + 7) // 8), dtype=np.uint8)
    return TopImages(top.images, top.maxima, top.sizes, masks)


def join_top(parts: Sequence[TopImages]) -> TopImages:
    """The top images among those of several parts of the images."""
    units, count = parts[0].images.shape
    found = [np.nonzero(part.images >= 0) for part in parts]
    area = np.concatenate(
        [
            np.column_stack([part.images[unit, place], unit, unit])
            for part, (unit, place) in zip(parts, found, strict=True)
        ]
    )
    maxima = np.concatenate([part.maxima[own] for part, own in zip(parts, found, strict=True)])
    chosen = choose_top(area, maxima, count=count)
    top = _no_images(units, count)
    top.images[chosen.unit, chosen.rank] = area[chosen.source, 0]
    top.maxima[chosen.unit, chosen.rank] = maxima[chosen.source]
    heads = np.cumsum([0, *(len(unit) for unit, _ in found)])
    for copy_masks in (False, True):
        for number, (part, (unit, place)) in enumerate(zip(parts, found, strict=True)):
            own = (chosen.source >= heads[number]) & (chosen.source < heads[number + 1])
            source = chosen.source[own] - heads[number]
            into = chosen.unit[own], chosen.rank[own]
            if copy_masks:
                lines = part.masks[unit[source], place[source]][:, : top.masks.shape[2]]
                top.masks[*into, : lines.shape[1]] = lines
            else:
                top.sizes[into] = part.sizes[unit[source], place[source]]
        top = top if copy_masks else _with_masks(top)
    return top


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
