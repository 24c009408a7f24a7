"""Photographs with what people drew on them, and with the pixels on which they disagree."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from conceptset.geometry import BoolArray, IntArray
from conceptset.present.outlines import inner_edge

RgbArray = NDArray[np.uint8]
Rgb = tuple[int, int, int]

SIDE = 560  # the longer one of a picture, pixels
_LEAST = 480
_FINE = 2  # drawn so many times larger, then reduced: smooth lines
_LINE, _CASING = 3, 1  # widths at the fine size
_DASH = 14  # at the fine size
_GROUND = (178, 182, 188)  # where there is no photograph
_QUALITY = 84
_MAP = 96  # longer side of the maps on which places for names are looked for
_LEAST_NAMED = 0.01  # of the image: smaller segments get no name
_MOST_NAMES = 9

# Told apart with every common kind of colour vision, on white and on grey (see the tests).
KIND_COLOURS: dict[str, Rgb] = {
    "quality": (0xE8, 0xA2, 0x00),
    "naming": (0xC2, 0x25, 0x5C),
    "quantity": (0x17, 0x69, 0xC4),
}


def picture_size(size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) at which an image is drawn: large ones reduced, tiny ones grown.

    >>> picture_size((2000, 4000)), picture_size((64, 64)), picture_size((400, 300))
    ((280, 560), (480, 480), (480, 360))
    """
    longer = max(size)
    target = min(SIDE, max(_LEAST, longer))
    return (max(1, round(size[0] * target / longer)), max(1, round(size[1] * target / longer)))


def fine_photograph(photograph: Image.Image | None, size: tuple[int, int]) -> RgbArray:
    """(2 height, 2 width, 3) the photograph at the fine size; plain grey without one."""
    shape = (size[1] * _FINE, size[0] * _FINE)
    if photograph is None:
        return np.asarray(Image.new("RGB", shape, _GROUND))
    return np.asarray(photograph.resize(shape, Image.Resampling.BICUBIC, reducing_gap=2.0))


@dataclass(frozen=True, slots=True)
class Outlines:
    """What somebody drew, at the fine size; all (2 height, 2 width).

    Attributes:
        lines: Along the inner side of every segment's border.
        casing: White beside them, so that they stand out from anything.
        inside: All segments.
    """

    lines: BoolArray
    casing: BoolArray
    inside: BoolArray


def draw_person(photograph: RgbArray, outlines: Outlines, colour: Rgb) -> Image.Image:
    """What one annotator drew: outlines, and everything else in the dark.

    Args:
        photograph: See `fine_photograph`.
        outlines: See `trace`.
        colour: Of the lines.
    """
    dark = (_grey(photograph) * 0.42 + 8).astype(np.uint8)
    canvas = np.where(outlines.inside[..., None], photograph, dark[..., None])
    canvas[outlines.casing] = 255
    canvas[outlines.lines] = colour
    return _reduced(canvas)


def draw_everybody(photograph: RgbArray, people: Sequence[tuple[Outlines, Rgb]]) -> Image.Image:
    """The outlines of several people; where they coincide, colours take turns like dashes.

    Args:
        photograph: See `fine_photograph`.
        people: What each drew, and the colour.
    """
    grey = _grey(photograph)[..., None]
    canvas = (photograph * np.float32(0.45) + grey * np.float32(0.4) + 24).astype(np.uint8)
    covered = np.zeros(canvas.shape[:2], dtype=np.int8)
    for outlines, _ in people:
        canvas[outlines.casing] = 255
        covered += outlines.lines
    rows, columns = np.arange(covered.shape[0])[:, None], np.arange(covered.shape[1])
    turn = ((rows + columns) // _DASH) % np.maximum(covered, 1)
    passed = np.zeros_like(covered)
    for outlines, colour in people:
        canvas[outlines.lines & (passed == turn)] = colour
        passed += outlines.lines
    return _reduced(canvas)


def draw_kinds(photograph: RgbArray, kinds: dict[str, NDArray[np.float32]]) -> Image.Image:
    """The pixels in disagreement, coloured by the kind that most pairs have there.

    Args:
        photograph: See `fine_photograph`.
        kinds: By kind, (h, w) share of the pairs that disagree in this way.
    """
    shape = photograph.shape[:2]
    canvas = np.repeat((_grey(photograph) * 0.42 + 128)[..., None], 3, axis=2)
    names = list(KIND_COLOURS)
    shares = np.stack([_resized(kinds[name], shape) for name in names])
    most, total = shares.argmax(axis=0), shares.sum(axis=0)
    colours = np.array([KIND_COLOURS[name] for name in names], dtype=np.float32)[most]
    opacity = np.where(total > 0, 0.18 + 0.72 * np.minimum(total, 1), 0)[..., None]
    canvas = canvas * (1 - opacity) + colours * opacity
    return _reduced(canvas.astype(np.uint8))


def jpeg(picture: Image.Image) -> bytes:
    """The picture as a file; colours at full resolution, for thin lines."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY, subsampling=0, optimize=True)
    return stream.getvalue()


@dataclass(frozen=True, slots=True)
class Place:
    """Where the name of a segment can be written, in pixels of a picture."""

    x: int
    y: int
    segment: int


def name_places(segments: IntArray, size: tuple[int, int]) -> list[Place]:
    """A place well inside each of the larger segments, the largest first.

    Args:
        segments: (h, w) segment map, 0 is nothing.
        size: (height, width) of the picture.
    """
    step = max(1, max(segments.shape) // _MAP)
    small = segments[step // 2 :: step, step // 2 :: step]
    numbers, areas = np.unique(small[small > 0], return_counts=True)
    order = np.argsort(-areas, kind="stable")[:_MOST_NAMES]
    places = []
    for number in numbers[order[areas[order] >= _LEAST_NAMED * small.size]]:
        depth = ndimage.distance_transform_edt(np.pad(small == number, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        x = (int(column) + 0.5) / small.shape[1] * size[1]
        y = (int(row) + 0.5) / small.shape[0] * size[0]
        places.append(Place(round(x), round(y), int(number)))
    return places


def trace(segments: IntArray, size: tuple[int, int]) -> Outlines:
    """The outlines of a segment map, smooth where the map is coarser than the picture.

    Args:
        segments: (h, w) segment map of any size, 0 is nothing.
        size: (height, width) of the picture.
    """
    shape = (size[0] * _FINE, size[1] * _FINE)
    lines, casing, inside = (np.zeros(shape, dtype=bool) for _ in range(3))
    scale = (shape[0] / segments.shape[0], shape[1] / segments.shape[1])
    numbers, dense = np.unique(segments, return_inverse=True)
    dense = dense.reshape(segments.shape) + (numbers[0] != 0)  # 0 stays nothing
    for place, box in enumerate(ndimage.find_objects(dense), start=1):
        window, rest = _grown(dense, place, (box[0], box[1]), shape, scale)
        inside[window] |= rest
        rest, ring = _peeled(rest, _LINE)
        lines[window] |= ring
        casing[window] |= _peeled(rest, _CASING)[1]
    return Outlines(lines, casing & ~lines, inside)


def _grown(
    dense: IntArray,
    number: int,
    box: tuple[slice, slice],
    shape: tuple[int, int],
    scale: tuple[float, float],
) -> tuple[tuple[slice, slice], BoolArray]:
    """(where it lies at the other size, the mask there) of one segment."""
    (top, bottom), (left, right) = (
        (max(0, int(side.start * by) - 1), min(end, math.ceil(side.stop * by) + 1))
        for side, by, end in zip(box, scale, shape, strict=True)
    )
    grey = Image.fromarray((dense == number).view(np.uint8) * np.uint8(255))
    picture = grey.resize(
        (right - left, bottom - top),
        Image.Resampling.BILINEAR,
        box=(left / scale[1], top / scale[0], right / scale[1], bottom / scale[0]),
    )
    return (slice(top, bottom), slice(left, right)), np.asarray(picture) >= 128


def _peeled(mask: BoolArray, depth: int) -> tuple[BoolArray, BoolArray]:
    """(what is left without its outer pixels, these); the end of the picture is no border."""
    rest = np.pad(mask, depth, mode="edge")
    for _ in range(depth):
        rest = rest & ~inner_edge(rest)
    rest = rest[depth:-depth, depth:-depth]
    return rest, mask & ~rest


def _resized(values: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    picture = Image.fromarray(values.astype(np.float32))
    grown = picture.resize((shape[1], shape[0]), Image.Resampling.NEAREST)
    return np.asarray(grown, dtype=np.float32)


def _grey(photograph: RgbArray) -> NDArray[np.float32]:
    weights = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    grey: NDArray[np.float32] = photograph @ weights
    return grey


def _reduced(canvas: RgbArray) -> Image.Image:
    return Image.fromarray(canvas).reduce(_FINE)
