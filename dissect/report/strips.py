"""The images a unit answers to most, side by side, with its mask drawn on each."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conceptset.errors import ImageError
from conceptset.io.images import decode_rgb
from conceptset.io.parallel import ordered_map
from conceptset.present.outlines import Backdrop, prepare_backdrop
from dissect.state import LayerRecord, RunLayout
from dissect.top import TopImages, read_top

TILE = 112
_GAP = 3
_BETWEEN = (118, 123, 130)
_QUALITY = 82
_WIDEST = 2 * TILE
_MISSING = (150, 150, 150)
_KEPT = 512  # photographs in memory, about 300 KB each


@dataclass(frozen=True, slots=True)
class Strip:
    """A file with the images of one unit.

    Attributes:
        file: Relative to the report's folder.
        width: In pixels.
        height: In pixels.
        images: How many it shows.
    """

    file: str
    width: int
    height: int
    images: int


@dataclass(frozen=True, slots=True)
class _Tile:
    """One image of a strip: its photograph, and the mask as rows of bits."""

    row: int
    size: tuple[int, int]
    bits: NDArray[np.uint8]


def write_strips(
    layout: RunLayout,
    record: LayerRecord,
    folder: Path,
    *,
    jobs: int,
    advance: Callable[[], None],
) -> dict[int, Strip]:
    """Write `units/<layer>/<unit>.jpg` for each unit that has images.

    Args:
        layout: The run.
        record: The layer.
        folder: The report's folder.
        jobs: Processes.
        advance: Called after each unit.

    Returns:
        The strips by unit; a unit whose mask is empty everywhere has none.
    """
    path = layout.top(record.directory)
    if not path.is_file():
        return {}
    top = read_top(path)
    target = folder / "units" / record.directory
    target.mkdir(parents=True)
    strips: dict[int, Strip] = {}
    draw = partial(_draw_unit, layout)
    for unit, drawn in enumerate(ordered_map(draw, _tiles(top), jobs=jobs)):
        if drawn is not None:
            data, width, height, images = drawn
            file = target / f"{unit:04d}.jpg"
            file.write_bytes(data)
            name = f"units/{record.directory}/{file.name}"
            strips[unit] = Strip(name, width, height, images)
        advance()
    return strips


def draw_strip(layout: RunLayout, top: TopImages, unit: int) -> tuple[bytes, int, int, int] | None:
    """(JPEG, width, height, images) of one unit's strip; None without images.

    Args:
        layout: The run.
        top: Of the unit's layer.
        unit: From 0.
    """
    return _draw_unit(layout, _tiles_of(top, unit))


def _tiles(top: TopImages) -> Iterator[list[_Tile]]:
    """The tiles of each unit."""
    return (_tiles_of(top, unit) for unit in range(len(top.images)))


def _tiles_of(top: TopImages, unit: int) -> list[_Tile]:
    own = zip(top.images[unit], top.sizes[unit], top.masks[unit], strict=True)
    return [
        _Tile(int(row), (int(size[0]), int(size[1])), bits) for row, size, bits in own if row >= 0
    ]


def _draw_unit(layout: RunLayout, tiles: list[_Tile]) -> tuple[bytes, int, int, int] | None:
    """(JPEG, width, height, images) of a strip; None without images."""
    if not tiles:
        return None
    drawn = [_draw_tile(layout, tile) for tile in tiles]
    width = sum(image.width for image in drawn) + _GAP * (len(drawn) - 1)
    canvas = Image.new("RGB", (width, TILE), _BETWEEN)
    left = 0
    for image in drawn:
        canvas.paste(image, (left, 0))
        left += image.width + _GAP
    stream = io.BytesIO()
    canvas.save(stream, "JPEG", quality=_QUALITY, optimize=True)
    return stream.getvalue(), width, TILE, len(drawn)


def _draw_tile(layout: RunLayout, tile: _Tile) -> Image.Image:
    height, width = tile.size
    mask = np.unpackbits(tile.bits, count=height * width).astype(np.bool_).reshape(height, width)
    return _backdrop(layout.photograph(tile.row), tile.size).draw(mask)


@lru_cache(maxsize=_KEPT)
def _backdrop(path: Path, size: tuple[int, int]) -> Backdrop:
    """The reduced photograph, or grey of the label map's shape where it is not to be had."""
    try:
        photograph = decode_rgb(path, frame="stored")
    except ImageError:
        photograph = Image.new("RGB", (size[1], size[0]), _MISSING)
    width = round(TILE * photograph.width / photograph.height)
    return prepare_backdrop(photograph, (TILE, min(max(width, TILE // 2), _WIDEST)))
