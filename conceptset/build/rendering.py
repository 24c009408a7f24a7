"""First pass over the images, one at a time on any core: photographs written, drawings painted.

Label numbers depend on every image, so maps are painted with provisional identifiers here; the
second pass (`conceptset.build.encoding`) turns those into numbers and files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from conceptset.build import colors
from conceptset.build.developing import Negative, develop
from conceptset.build.drawings import Drawn, unpack_drawings
from conceptset.build.fitting import Fitting, fit_to, half
from conceptset.build.gather import GatheredImage
from conceptset.build.members import EVERYBODY, Labels, Layers
from conceptset.build.options import BuildOptions
from conceptset.build.painting import (
    BadShape,
    Shape,
    fill_shapes,
    identifiers_of,
    paint,
    shape_code,
)
from conceptset.consensus import COMPARES_SEGMENTS
from conceptset.geometry import BoolArray
from conceptset.io.images import decode_rgb
from conceptset.io.spool import read_extents


@dataclass(frozen=True, slots=True)
class RenderTask:
    """One image to render.

    Attributes:
        image: What was gathered.
        name: The photograph's name in the set, relative to images/.
        people: Index of every person of the set, by person, in the order of `drawings`.
    """

    image: GatheredImage
    name: str
    people: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RenderSettings:
    """What all images share; sent to the workers.

    Attributes:
        folder: images/ of the set being written.
        spool: Where the drawings lie.
        options: See `BuildOptions`.
        identifiers: Concept to the positive integer that is painted.
    """

    folder: Path
    spool: Path
    options: BuildOptions
    identifiers: Mapping[str, int]


@dataclass(slots=True)
class Rendered:
    """What the first pass knows of one image.

    Attributes:
        layers: Its maps; None if the photograph could not be used.
        failure: Why it could not.
        size: (height, width) of the stored photograph.
        photograph: SHA-256 of the stored photograph.
        segments: Lines of segments.jsonl, by person.
        n_segments: Segments by person, tags included, what was interpolated not.
        bad: Regions that could not be filled.
    """

    layers: Layers | None = None
    failure: str | None = None
    size: tuple[int, int] = (1, 1)
    photograph: str = ""
    segments: dict[int, bytes] = field(default_factory=dict)
    n_segments: dict[int, int] = field(default_factory=dict)
    bad: list[BadShape] = field(default_factory=list)


def render_image(settings: RenderSettings, task: RenderTask) -> Rendered:
    """Write the photograph of one image and paint what everybody drew in it."""
    image, options = task.image, settings.options
    result = Rendered(size=options.image_size or image.size)
    place = settings.folder / task.name
    made = image.developed
    if made is None:
        made = develop(options, Negative(image.photograph, image.frame, image.size, place))
    if made.failure is not None:
        result.failure = made.failure
        return result
    if made.place != place:
        _put(made.place, place)
    result.photograph = made.digest
    size = options.segmentation_size or half(result.size)
    fitting = fit_to(image.size, size, options.fit)
    maps: dict[tuple[int, str, int], Labels] = {}
    if options.colors:
        maps[EVERYBODY, colors.CATEGORY, 0] = _color_map(place, fitting, settings.identifiers)
    segments: dict[tuple[int, str, int], Labels] | None = None
    if options.consensus in COMPARES_SEGMENTS:
        segments = {}
    ignores: dict[tuple[int, str], BoolArray] = {}
    tags: set[tuple[int, str, int]] = set()
    for person, blocks in zip(task.people, image.drawings.values(), strict=True):
        packed = read_extents(settings.spool, [block.extent for block in blocks])
        drawings = unpack_drawings(packed)
        shapes, bad = fill_shapes(drawings, image.size)
        result.bad += bad
        lines = _segment_lines(task.name, image.size, drawings, shapes)
        result.segments[person] = "".join(lines.values()).encode()
        result.n_segments[person] = sum(not drawings[order].interpolated for order in lines)
        canvases, ignored = paint(shapes, image.size, options.overlap)
        identifiers = identifiers_of(shapes, settings.identifiers)
        for (category, plane), canvas in sorted(canvases.items()):
            own = fitting.labels(canvas)
            maps[person, category, plane] = identifiers[own]
            if segments is not None:
                segments[person, category, plane] = own
        ignores |= {(person, name): fitting.flags(flags) for name, flags in ignored.items()}
        tags |= {
            (person, drawn.category, settings.identifiers[drawn.concept])
            for drawn in drawings
            if drawn.kind == "tag"
        }
    result.layers = Layers.of(
        size, maps, ignores=ignores, tags=tags, people=task.people, segments=segments
    )
    return result


def _put(made: Path, place: Path) -> None:
    """Move a photograph to its place, unless a worker did that and was lost before it could tell.

    Raises:
        OSError: It cannot be moved.
    """
    try:
        made.rename(place)
    except FileNotFoundError:
        if not place.is_file():
            raise


def _color_map(place: Path, fitting: Fitting, identifiers: Mapping[str, int]) -> Labels:
    """The colour terms of a photograph as the set stores it; padding is unlabelled.

    The photograph is brought to the map's size first, averaging as Pillow's bilinear filter does,
    and named then: a term is a judgement, and judgements have no average.
    """
    height, width = fitting.size
    picture = decode_rgb(place, frame="stored")
    small = picture.resize((width, height), Image.Resampling.BILINEAR)
    term = np.array([identifiers[concept] for concept in colors.CONCEPTS], dtype=np.int32)
    left, top, columns, rows = fitting.place
    shown = (slice(top, top + rows), slice(left, left + columns))
    labels = np.zeros(fitting.size, dtype=np.int32)
    labels[shown] = term[colors.name_colors(np.asarray(small)[shown])]
    return labels


def _segment_lines(
    name: str, size: tuple[int, int], drawings: Sequence[Drawn], shapes: Sequence[Shape]
) -> dict[int, str]:
    """The lines of segments.jsonl by drawing order; keys as `SegmentRow` has them."""
    codes = {shape.order: shape_code(shape) for shape in shapes}
    lines = {}
    for order, drawn in enumerate(drawings):
        if drawn.kind != "tag" and order not in codes:
            continue
        row: dict[str, object] = {
            "image": name,
            "order": order,
            "kind": drawn.kind,
            "concept": drawn.concept,
            "category": drawn.category,
            "name": drawn.name,
            "size": size,
            "counts": codes.get(order),
            "part_of": drawn.part_of,
            "source": {"file": drawn.origin.file, "pointer": drawn.origin.pointer},
        }
        if drawn.interpolated:
            row["interpolated"] = True
        if drawn.z_order:
            row["z_order"] = drawn.z_order
        lines[order] = json.dumps(row, ensure_ascii=False) + "\n"
    return lines
