"""The images that a unit answers to most, with its masks there: what a report shows of a unit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conceptset.io.atomic import write_file
from dissect.counts import IntArray, encode_arrays, read_arrays
from dissect.tally import draw_masks
from dissect.upsample import FloatArray, Grid


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


class TopMasks:
    """The masks of the chosen images, filled in one image at a time.

    Args:
        images: (units, k) int64, see `TopImages`.
        maxima: (units, k) float32.
        sizes: (height, width) of the label maps by row, of all rows chosen.
    """

    def __init__(
        self,
        images: IntArray,
        maxima: NDArray[np.float32],
        sizes: Mapping[int, tuple[int, int]],
    ) -> None:
        largest = max((height * width for height, width in sizes.values()), default=0)
        self._top = TopImages(
            images,
            maxima,
            np.zeros((*images.shape, 2), dtype=np.int64),
            np.zeros((*images.shape, (largest + 7) // 8), dtype=np.uint8),
        )
        self._places: dict[int, list[tuple[int, int]]] = {}
        for unit, place in np.argwhere(images >= 0).tolist():
            row = int(images[unit, place])
            self._top.sizes[unit, place] = sizes[row]
            self._places.setdefault(row, []).append((unit, place))

    @property
    def rows(self) -> list[int]:
        """The rows in any unit's list, rising."""
        return sorted(self._places)

    def add(
        self,
        row: int,
        units: IntArray,
        maps: NDArray[np.float32],
        *,
        thresholds: FloatArray,
        grid: Grid,
    ) -> None:
        """Fill in the masks of one image; threads may do so for several at once.

        Args:
            row: The image.
            units: (p,) int64, rising.
            maps: (p, h, w) float32 their maps.
            thresholds: (units,) float64 of all units.
            grid: The maps over the label maps of this image.
        """
        places = self._places.get(row, [])
        if not places:
            return
        wanted = np.array([unit for unit, _ in places], dtype=np.int64)
        chosen = maps[np.searchsorted(units, wanted)]
        masks = draw_masks(chosen, thresholds[wanted], grid=grid)
        for (unit, place), bits in zip(
            places, np.packbits(masks.reshape(len(masks), -1), axis=1), strict=True
        ):
            self._top.masks[unit, place, : len(bits)] = bits

    def finish(self) -> TopImages:
        """All of them."""
        return self._top


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
