"""The pictures of one disputed image: everybody, the dispute, and each annotator alone."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conceptset.consistency.counting.flattening import Flat, flatten
from conceptset.consistency.counting.splitting import Kind, classify_pixels
from conceptset.consistency.material import AnnotatedImage
from conceptset.consistency.page.choosing import Choice
from conceptset.consistency.page.drawing import (
    SIDE,
    Rgb,
    draw_everybody,
    draw_kinds,
    draw_person,
    jpeg,
    name_places,
    picture_size,
    prepare_ground,
    trace,
)
from conceptset.consistency.page.remarks import Remark, Seen, make_remarks
from conceptset.errors import ImageError
from conceptset.io.images import decode_rgb
from conceptset.present.page import shown_name
from conceptset.present.palette import PALETTE

MAX_PEOPLE = 6  # shown one by one
MAX_COMPARED = 12  # 66 pairs
_TAG_LENGTH = 18
_MANY = 2**31  # more than any code of a concept
TAGGED = 400  # width of the drawing that names stand in, whatever the picture's
_LETTER = 17  # of it; the style sheet writes at 30
KINDS = {"quality": Kind.QUALITY, "naming": Kind.NAMING, "quantity": Kind.QUANTITY}


@dataclass(frozen=True, slots=True)
class Task:
    """What has to be drawn; it is sent to a worker.

    Attributes:
        choice: Which image and why.
        number: Place on the page, from 1: the name of its files.
        image: What everybody drew in it.
        category: Place of the label layer.
        people: Place, name and colour of everybody who may be shown, those who must be first.
        concepts: Names of the concepts, by code.
        overlap: How overlaps are resolved.
    """

    choice: Choice
    number: int
    image: AnnotatedImage
    category: int
    people: tuple[tuple[int, str, int], ...]
    concepts: dict[int, str]
    overlap: Literal["area", "order"]


@dataclass(frozen=True, slots=True)
class Tag:
    """A name on a picture, in a drawing that is `TAGGED` wide."""

    x: int
    y: int
    text: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One picture.

    Attributes:
        sort: What it shows; `person` with the name in `annotator`.
        file: Name of the file.
        data: The file; empty once it is written.
        size: (height, width).
        annotator: Who drew.
        slot: Place of the colour.
        tags: Names to be written on it.
        counts: How many segments of each concept, the most frequent first.
    """

    sort: Literal["everybody", "kinds", "person"]
    file: str
    data: bytes
    size: tuple[int, int]
    annotator: str = ""
    slot: int = 0
    tags: tuple[Tag, ...] = ()
    counts: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A disputed image, ready for the page.

    Attributes:
        choice: Its figures and why it is shown.
        number: Place on the page.
        panels: Everybody, the dispute, then each annotator.
        remarks: What is in dispute, in words.
        left_out: Annotators of the image who are not shown.
        not_compared: How many of these are not part of the dispute either.
        has_photograph: False: drawn on grey.
    """

    choice: Choice
    number: int
    panels: tuple[Panel, ...]
    remarks: tuple[Remark, ...]
    left_out: int
    not_compared: int
    has_photograph: bool


def draw_task(task: Task) -> Drawn:
    """All pictures of one image."""
    image = task.image
    people = [person for person in task.people if person[0] in image.drawn]
    compared = people[:MAX_COMPARED]
    shown = sorted(compared[:MAX_PEOPLE])
    compared = [*shown, *compared[MAX_PEOPLE:]]
    flats = [_flat(task, place) for place, _, _ in compared]
    photograph = _photograph(image)
    size = picture_size(image.size)
    ground = prepare_ground(photograph, size)
    maps = [_thinned(flat.segment_map()).clip(min=0) for flat in flats[: len(shown)]]
    traced = [trace(segments, size) for segments in maps]
    colours = [colour_of(slot) for _, _, slot in shown]
    shares, seen = _classify(flats, [name for _, name, _ in compared], task.concepts)
    stem = f"{task.number:03d}"
    panels = [
        Panel(
            "everybody",
            f"{stem}-everybody.jpg",
            jpeg(draw_everybody(ground, list(zip(traced, colours, strict=True)))),
            size,
        ),
        Panel("kinds", f"{stem}-dispute.jpg", jpeg(draw_kinds(ground, shares)), size),
    ]
    for turn, ((_, name, slot), flat, segments) in enumerate(
        zip(shown, flats, maps, strict=False), start=1
    ):
        data = jpeg(draw_person(ground, traced[turn - 1], colours[turn - 1]))
        panels.append(
            Panel(
                "person",
                f"{stem}-{turn}.jpg",
                data,
                size,
                name,
                slot,
                _tags(segments, flat, task.concepts, size),
                _counts(flat, task.concepts),
            )
        )
    return Drawn(
        task.choice,
        task.number,
        tuple(panels),
        tuple(make_remarks(seen)),
        len(people) - len(shown),
        len(people) - len(compared),
        photograph is not None,
    )


def colour_of(slot: int) -> Rgb:
    """The colour of outlines, of a place in the palette."""
    code = PALETTE[slot].light
    return (int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16))


def _flat(task: Task, place: int) -> Flat:
    segments = [s for s in task.image.drawn[place] if s.category == task.category]
    return flatten(segments, task.image.size, task.overlap)


def _photograph(image: AnnotatedImage) -> Image.Image | None:
    """The photograph; None where it cannot be had, which is no reason to show nothing."""
    if image.photograph is None:
        return None
    try:
        return decode_rgb(image.photograph, frame=image.frame)
    except ImageError:
        return None


def _thinned(values: NDArray[np.int32]) -> NDArray[np.int64]:
    """A map of no more pixels than the finest drawing has."""
    step = max(1, max(values.shape) // (2 * SIDE))
    return values[step // 2 :: step, step // 2 :: step].astype(np.int64)


def _classify(
    flats: Sequence[Flat], names: Sequence[str], concepts: dict[int, str]
) -> tuple[dict[str, NDArray[np.float32]], list[Seen]]:
    """Shares of the pairs in each kind of disagreement, and who gave which label there."""
    labels = [_thinned(flat.label_map()) for flat in flats]
    shape = labels[0].shape if labels else (1, 1)
    shares = {kind: np.zeros(shape, dtype=np.float32) for kind in KINDS}
    seen: list[Seen] = []
    pairs = list(itertools.combinations(range(len(flats)), 2))
    for i, j in pairs:
        kinds = _thinned(classify_pixels(flats[i], flats[j]).astype(np.int32))
        for kind, code in KINDS.items():
            where = kinds == code
            shares[kind] += where / np.float32(len(pairs))
            if kind == "quality":
                continue
            met, pixels = np.unique(labels[i][where] * _MANY + labels[j][where], return_counts=True)
            seen += [
                Seen(
                    kind,
                    (names[i], names[j]),
                    (concepts.get(code // _MANY, ""), concepts.get(code % _MANY, "")),
                    count / where.size,
                )
                for code, count in zip(met.tolist(), pixels.tolist(), strict=True)
            ]
    return shares, seen


def _tags(
    segments: NDArray[np.int64], flat: Flat, concepts: dict[int, str], size: tuple[int, int]
) -> tuple[Tag, ...]:
    """Names of the larger segments that can be written without touching another one."""
    size = (round(size[0] * TAGGED / size[1]), TAGGED)
    tags: list[Tag] = []
    taken: list[tuple[float, float, float]] = []
    for place in name_places(segments, size):
        text = shown_name(concepts.get(int(flat.concepts[place.segment]), ""), _TAG_LENGTH)
        half = len(text) * _LETTER / 2
        x = min(max(place.x, half), size[1] - half)
        y = min(max(place.y, _LETTER), size[0] - _LETTER)
        if half * 2 > size[1] or any(
            abs(y - other_y) < 2 * _LETTER and abs(x - other_x) < half + other_half
            for other_x, other_y, other_half in taken
        ):
            continue
        taken.append((x, y, half))
        tags.append(Tag(round(x), round(y), text))
    return tuple(tags)


def _counts(flat: Flat, concepts: dict[int, str]) -> tuple[tuple[str, int], ...]:
    counts = Counter(concepts.get(int(code), "") for code in flat.concepts[1:])
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
