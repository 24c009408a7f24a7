"""First pass over the images, one at a time on any core: photographs written, drawings painted.

Label numbers depend on every image, so maps are painted with provisional integers here; the second
pass (`conceptset.build.encoding`) turns those into numbers and files.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conceptset.build.fitting import Fitting, fit_to, half
from conceptset.build.gather import Drawn, GatheredImage
from conceptset.build.options import BuildOptions
from conceptset.build.painting import BadShape, Shape, fill_shapes, paint, shape_code
from conceptset.errors import SourceError
from conceptset.geometry import BoolArray
from conceptset.io.images import decode_rgb, encode_photograph
from conceptset.io.tables import digest

_PILLOW_FORMAT = {"jpg": "JPEG", "png": "PNG"}


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
    """What all images share; sent to the workers."""

    folder: Path
    options: BuildOptions
    identifiers: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Painted:
    """The maps of one image at the size of the set, before numbering.

    Attributes:
        size: (height, width) of the maps.
        keys: (person, category, plane) of each map.
        maps: zlib of the (len(keys), height, width) int32 maps.
        ignore_keys: (person, category) of each ignore mask.
        ignores: zlib of the packed (len(ignore_keys), height, width) masks.
        tags: (person, category, identifier) of whole-image statements, sorted, each once.
        people: Index of everybody who worked on the image.
    """

    size: tuple[int, int]
    keys: tuple[tuple[int, str, int], ...]
    maps: bytes
    ignore_keys: tuple[tuple[int, str], ...]
    ignores: bytes
    tags: tuple[tuple[int, str, int], ...]
    people: tuple[int, ...]

    def open_maps(self) -> NDArray[np.int32]:
        """(len(keys), height, width) int32."""
        flat = np.frombuffer(zlib.decompress(self.maps), dtype=np.int32)
        return flat.reshape(len(self.keys), *self.size)

    def open_ignores(self) -> BoolArray:
        """(len(ignore_keys), height, width) bool."""
        packed = np.frombuffer(zlib.decompress(self.ignores), dtype=np.uint8)
        shape = (len(self.ignore_keys), *self.size)
        return np.unpackbits(packed, count=int(np.prod(shape))).astype(bool).reshape(shape)


@dataclass(slots=True)
class Rendered:
    """What the first pass knows of one image.

    Attributes:
        painted: Its maps; None if the photograph could not be used.
        failure: Why it could not.
        size: (height, width) of the stored photograph.
        photograph: SHA-256 of the stored photograph.
        segments: Lines of segments.jsonl, by person.
        n_segments: Segments by person, tags included.
        usage: (identifier, category) to pixels that anyone labelled so; tags count as all pixels.
        union: identifier to pixels that anyone labelled so in any category.
        bad: Regions that could not be filled.
    """

    painted: Painted | None = None
    failure: str | None = None
    size: tuple[int, int] = (1, 1)
    photograph: str = ""
    segments: dict[int, bytes] = field(default_factory=dict)
    n_segments: dict[int, int] = field(default_factory=dict)
    usage: dict[tuple[int, str], int] = field(default_factory=dict)
    union: dict[int, int] = field(default_factory=dict)
    bad: list[BadShape] = field(default_factory=list)


def render_image(settings: RenderSettings, task: RenderTask) -> Rendered:
    """Write the photograph of one image and paint what everybody drew in it."""
    image, options = task.image, settings.options
    result = Rendered(size=options.image_size or image.size)
    try:
        data = _photograph(image, options, fit_to(image.size, result.size, options.fit))
    except SourceError as error:
        result.failure = error.message
        return result
    (settings.folder / task.name).write_bytes(data)
    result.photograph = digest(data)
    size = options.segmentation_size or half(result.size)
    fitting = fit_to(image.size, size, options.fit)
    keys: list[tuple[int, str, int]] = []
    maps: list[NDArray[np.int32]] = []
    ignores: dict[tuple[int, str], BoolArray] = {}
    tags: set[tuple[int, str, int]] = set()
    for person, drawings in zip(task.people, image.drawings.values(), strict=True):
        shapes, bad = fill_shapes(drawings, image.size)
        result.bad += bad
        lines = _segment_lines(task.name, image.size, drawings, shapes)
        result.segments[person] = "".join(lines).encode()
        result.n_segments[person] = len(lines)
        canvases, ignored = paint(shapes, image.size, settings.identifiers, options.overlap)
        for (category, plane), canvas in sorted(canvases.items()):
            keys.append((person, category, plane))
            maps.append(fitting.labels(canvas))
        ignores |= {(person, name): fitting.flags(flags) for name, flags in ignored.items()}
        tags |= {
            (person, drawn.category, settings.identifiers[drawn.concept])
            for drawn in drawings
            if drawn.kind == "tag"
        }
    stack = np.stack(maps) if maps else np.zeros((0, *size), dtype=np.int32)
    _count_usage(result, keys, stack, tags)
    kept = {key: flags for key, flags in sorted(ignores.items()) if flags.any()}
    packed = np.packbits(np.stack(list(kept.values()))) if kept else np.zeros(0, dtype=np.uint8)
    result.painted = Painted(
        size,
        tuple(keys),
        zlib.compress(stack.tobytes(), 1),
        tuple(kept),
        zlib.compress(packed.tobytes(), 1),
        tuple(sorted(tags)),
        task.people,
    )
    return result


def _photograph(image: GatheredImage, options: BuildOptions, fitting: Fitting) -> bytes:
    """The bytes to store; the file's own where nothing about it changes."""
    path = image.photograph.path
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})", path=path) from error
    picture = decode_rgb(path, frame=image.frame, data=data)
    if (picture.height, picture.width) != image.size:
        raise SourceError("changed its size while the set was built", path=path)
    header = image.photograph.header
    unchanged = (
        fitting.is_identity
        and header.format == _PILLOW_FORMAT[options.image_format]
        and header.mode == "RGB"
        and header.orientation == 1
    )
    return (
        data if unchanged else encode_photograph(fitting.photograph(picture), options.image_format)
    )


def _segment_lines(
    name: str, size: tuple[int, int], drawings: Sequence[Drawn], shapes: Sequence[Shape]
) -> list[str]:
    """The lines of segments.jsonl, in drawing order; keys as `SegmentRow` has them."""
    codes = {shape.order: shape_code(shape) for shape in shapes}
    lines = []
    for order, drawn in enumerate(drawings):
        if drawn.kind != "tag" and order not in codes:
            continue
        row = {
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
        lines.append(json.dumps(row, ensure_ascii=False) + "\n")
    return lines


def _count_usage(
    result: Rendered,
    keys: Sequence[tuple[int, str, int]],
    stack: NDArray[np.int32],
    tags: set[tuple[int, str, int]],
) -> None:
    """Fill in how many pixels anyone gave each concept."""
    pixels = stack.shape[1] * stack.shape[2]
    categories = np.array([category for _, category, _ in keys])
    for identifier in np.unique(stack).tolist():
        if identifier == 0:
            continue
        seen: BoolArray = stack == identifier
        result.union[identifier] = int(seen.any(axis=0).sum())
        for category in sorted(set(categories[seen.any(axis=(1, 2))].tolist())):
            mine = seen[categories == category].any(axis=0)
            result.usage[identifier, category] = int(mine.sum())
    for _, category, identifier in sorted(tags):
        result.union[identifier] = pixels
        result.usage[identifier, category] = pixels
