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
from conceptset.present.outlines import from_words, inner_edge, to_words

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


@dataclass(frozen=True, slots=True)
class Ground:
    """A photograph prepared to be drawn on, (2 height, 2 width); RGBX pixels as one number each.

    Attributes:
        bright: As it is.
        dark: Grey and dark, for what lies outside.
        faded: Between the two, for lines of all colours.
        pale: Light grey for areas of colour, (2 height, 2 width) uint8.
    """

    bright: NDArray[np.uint32]
    dark: NDArray[np.uint32]
    faded: NDArray[np.uint32]
    pale: NDArray[np.uint8]


def prepare_ground(photograph: Image.Image | None, size: tuple[int, int]) -> Ground:
    """A photograph at the fine size; plain grey without one.

    Args:
        photograph: RGB, of any size.
        size: (height, width) of the picture.
    """
    shape = (size[1] * _FINE, size[0] * _FINE)
    if photograph is None:
        bright = Image.new("RGB", shape, _GROUND)
    else:
        bright = photograph.resize(shape, Image.Resampling.BICUBIC, reducing_gap=2.0)
    grey = bright.convert("L")
    dark = grey.point([round(value * 0.42 + 8) for value in range(256)]).convert("RGB")
    mixed = Image.blend(grey.convert("RGB"), bright, 0.55)
    faded = mixed.point([round(value * 0.85 + 24) for value in range(256)] * 3)
    pale = np.asarray(grey.point([round(value * 0.42 + 128) for value in range(256)]))
    return Ground(to_words(bright), to_words(dark), to_words(faded), pale)


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


def draw_person(ground: Ground, outlines: Outlines, colour: Rgb) -> Image.Image:
    """What one annotator drew: outlines, and everything else in the dark.

    Args:
        ground: The photograph.
        outlines: See `trace`.
        colour: Of the lines.
    """
    canvas = np.where(outlines.inside, ground.bright, ground.dark)
    canvas[outlines.casing] = _WHITE
    canvas[outlines.lines] = _word(colour)
    return _finished(canvas)


def draw_everybody(ground: Ground, people: Sequence[tuple[Outlines, Rgb]]) -> Image.Image:
    """The outlines of several people; where they coincide, colours take turns like dashes.

    Args:
        ground: The photograph.
        people: What each drew, and the colour.
    """
    canvas = ground.faded.copy()
    covered = np.zeros(canvas.shape, dtype=np.uint8)
    for outlines, _ in people:
        canvas[outlines.casing] = _WHITE
        covered += outlines.lines
    rows, columns = np.nonzero(covered)
    turn = ((rows + columns) // _DASH) % covered[rows, columns]
    passed = np.zeros_like(turn)
    for outlines, colour in people:
        is_on = outlines.lines[rows, columns]
        chosen = is_on & (passed == turn)
        canvas[rows[chosen], columns[chosen]] = _word(colour)
        passed += is_on
    return _finished(canvas)


def draw_kinds(ground: Ground, kinds: dict[str, NDArray[np.float32]]) -> Image.Image:
    """The pixels in disagreement, coloured by the kind that most pairs have there.

    Args:
        ground: The photograph.
        kinds: By kind, (h, w) share of the pairs that disagree in this way.
    """
    shares = np.stack([kinds[name] for name in KIND_COLOURS])
    total = shares.sum(axis=0)
    opacity = np.where(total > 0, 0.18 + 0.72 * np.minimum(total, 1), 0)
    palette = np.array(list(KIND_COLOURS.values()), dtype=np.uint8)
    cover = Image.fromarray(palette[shares.argmax(axis=0)])
    veil = Image.fromarray(np.rint(opacity * 255).astype(np.uint8))
    shape = (ground.pale.shape[1], ground.pale.shape[0])
    canvas = Image.fromarray(ground.pale).convert("RGB")
    nearest = Image.Resampling.NEAREST
    canvas.paste(cover.resize(shape, nearest), mask=veil.resize(shape, nearest))
    return canvas.reduce(_FINE)


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
        segments: (h, w) segment map of any size, numbered from 1, 0 is nothing.
        size: (height, width) of the picture.
    """
    shape = (size[0] * _FINE, size[1] * _FINE)
    lines, casing, inside = (np.zeros(shape, dtype=bool) for _ in range(3))
    scale = (shape[0] / segments.shape[0], shape[1] / segments.shape[1])
    boxes: Sequence[tuple[slice, ...] | None] = ndimage.find_objects(segments)
    for number, box in enumerate(boxes, start=1):
        if box is None:
            continue
        window, rest = _grown(segments, number, (box[0], box[1]), shape, scale)
        inside[window] |= rest
        rest, ring = _peeled(rest, _LINE)
        lines[window] |= ring
        casing[window] |= _peeled(rest, _CASING)[1]
    return Outlines(lines, casing & ~lines, inside)


def _grown(
    segments: IntArray,
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
    begin = (max(0, box[0].start - 2), max(0, box[1].start - 2))  # what is around it counts, too
    part = segments[begin[0] : box[0].stop + 2, begin[1] : box[1].stop + 2] == number
    picture = Image.fromarray(part.view(np.uint8) * np.uint8(255)).resize(
        (right - left, bottom - top),
        Image.Resampling.BILINEAR,
        box=(
            max(0.0, left / scale[1] - begin[1]),
            max(0.0, top / scale[0] - begin[0]),
            min(part.shape[1], right / scale[1] - begin[1]),
            min(part.shape[0], bottom / scale[0] - begin[0]),
        ),
    )
    return (slice(top, bottom), slice(left, right)), np.asarray(picture) >= 128


def _peeled(mask: BoolArray, depth: int) -> tuple[BoolArray, BoolArray]:
    """(what is left without its outer pixels, these); the end of the picture is no border."""
    rest = np.pad(mask, depth, mode="edge")
    for _ in range(depth):
        rest = rest & ~inner_edge(rest)
    rest = rest[depth:-depth, depth:-depth]
    return rest, mask & ~rest


def _word(colour: Rgb) -> np.uint32:
    return np.uint32(np.array([*colour, 255], dtype=np.uint8).view(np.uint32)[0])


_WHITE = _word((255, 255, 255))


def _finished(canvas: NDArray[np.uint32]) -> Image.Image:
    return from_words(canvas).reduce(_FINE).convert("RGB")
