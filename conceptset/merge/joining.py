"""One image of the merged set: its photograph copied, everybody's maps in one set of concepts."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conceptset.build.colors import CATEGORY as COLOR
from conceptset.build.members import EVERYBODY, Labels, Layers
from conceptset.errors import ImageError, LayoutError, UsageError
from conceptset.geometry import BoolArray
from conceptset.io.images import (
    check_decodes,
    decode_rgb,
    decode_stored,
    encode_photograph,
    image_bytes,
)
from conceptset.io.tables import digest
from conceptset.merge.inputs import HINT
from conceptset.merge.lines import LEFT_OUT, Lines, read_lines
from conceptset.merge.meanings import Meanings
from conceptset.merge.outlines import Painting, segments_of
from conceptset.merge.translation import Translation

_PLANE = re.compile(r"_([0-9]+)\.png$")


@dataclass(frozen=True, slots=True)
class Part:
    """What one session holds of an image.

    Attributes:
        set_name: The set, for messages.
        translation: Which set's, by place.
        person: Index among everybody.
        cells: (category, label maps, whole-image labels).
        ignores: (category, mask).
        segments: Its lines.
    """

    set_name: str
    translation: int
    person: int
    cells: tuple[tuple[str, tuple[Path, ...], tuple[int, ...]], ...]
    ignores: tuple[tuple[str, Path], ...]
    segments: Lines | None


@dataclass(frozen=True, slots=True)
class JoinTask:
    """One image.

    Attributes:
        name: Its photograph in the merged set.
        photographs: (file, how the set calls it) in each set that holds it.
        size: (height, width) of the photograph.
        map_size: (height, width) of its maps.
        parts: What everybody has of it.
    """

    name: str
    photographs: tuple[tuple[Path, str], ...]
    size: tuple[int, int]
    map_size: tuple[int, int]
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class JoinSettings:
    """What all images share; sent to the workers.

    Attributes:
        folder: images/ of the set being written.
        translations: By place of the set.
        meanings: What names mean; for segments.
        people: Everybody, for messages.
        identifiers: Of each concept.
        paintings: By place of the set, how it was painted; empty if nobody asks for segments.
    """

    folder: Path
    translations: tuple[Translation, ...]
    meanings: Meanings
    people: tuple[str, ...]
    identifiers: Mapping[str, int]
    paintings: tuple[Painting, ...]


@dataclass(slots=True)
class JoinedImage:
    """What became of one image.

    Attributes:
        layers: Everybody's maps.
        photograph: Digest of the photograph.
        segments: Lines of segments.jsonl, by person.
        n_segments: Those that are counted, by person.
        left_out: What did not enter, by reason.
        twice: Sessions that two sets hold alike, taken once.
    """

    layers: Layers
    photograph: str
    segments: dict[int, bytes]
    n_segments: dict[int, int]
    left_out: Counter[str]
    twice: int


@dataclass(slots=True)
class _Drawn:
    """One session's maps of an image."""

    maps: dict[tuple[str, int], Labels] = field(default_factory=dict)
    ignores: dict[str, BoolArray] = field(default_factory=dict)
    tags: set[tuple[str, int]] = field(default_factory=set)
    lines: list[dict[str, Any]] = field(default_factory=list)
    segments: dict[tuple[str, int], Labels] = field(default_factory=dict)

    def is_like(self, other: _Drawn) -> bool:
        """Whether two sets say the same."""

        def bare(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
            return [{k: v for k, v in line.items() if k != "source"} for line in lines]

        return (
            self.maps.keys() == other.maps.keys()
            and all(np.array_equal(labels, other.maps[k]) for k, labels in self.maps.items())
            and self.ignores.keys() == other.ignores.keys()
            and all(np.array_equal(flags, other.ignores[k]) for k, flags in self.ignores.items())
            and self.tags == other.tags
            and bare(self.lines) == bare(other.lines)
        )


def join_image(settings: JoinSettings, task: JoinTask) -> JoinedImage:
    """Copy the photograph of one image and bring everybody's maps together.

    Raises:
        SourceError: A file is missing, broken or not as its index says.
        UsageError: One person has two different drawings of it.
    """
    photograph = _copy(settings, task)
    left_out: Counter[str] = Counter()
    shared: dict[tuple[str, int], Labels] = {}
    drawn: dict[int, tuple[_Drawn, str]] = {}
    twice = 0
    for part in task.parts:
        translation = settings.translations[part.translation]
        own = _read(part, translation, task, settings.meanings, left_out)
        if translation.colors:
            shared |= {k: own.maps.pop(k) for k in list(own.maps) if k[0] == COLOR}
        if settings.paintings:
            painting = settings.paintings[part.translation]
            own.segments = segments_of(own.maps, own.lines, settings.identifiers, painting)
        first = drawn.setdefault(part.person, (own, part.set_name))
        if first[0] is not own:
            _check_same(first, (own, part.set_name), settings.people[part.person], task.name)
            twice += 1
    if shared and any(category == COLOR for own, _ in drawn.values() for category, _ in own.maps):
        raise UsageError(
            f"the colours of {task.name} were computed in one set and drawn in another",
            hint=f"Leave the category {COLOR} of one set out with --taxonomy.",
        )
    maps = {(p, *key): m for p, (own, _) in sorted(drawn.items()) for key, m in own.maps.items()}
    maps |= {(EVERYBODY, *key): labels for key, labels in shared.items()}
    layers = Layers.of(
        task.map_size,
        maps,
        ignores={(p, c): f for p, (own, _) in drawn.items() for c, f in own.ignores.items()},
        tags=[(p, *tag) for p, (own, _) in drawn.items() for tag in own.tags],
        people=sorted(drawn),
        segments={(p, *k): s for p, (own, _) in drawn.items() for k, s in own.segments.items()},
    )
    lines = {person: own.lines for person, (own, _) in drawn.items()}
    return JoinedImage(
        layers,
        photograph,
        {person: b"".join(map(_line, own)) for person, own in lines.items()},
        {person: sum(not x.get("interpolated") for x in own) for person, own in lines.items()},
        left_out,
        twice,
    )


def _check_same(
    first: tuple[_Drawn, str], second: tuple[_Drawn, str], person: str, name: str
) -> None:
    if not first[0].is_like(second[0]):
        who = repr(person) if person else "the annotator without a name"
        raise UsageError(
            f"{who} has labels for {name} in {first[1]} and other labels in {second[1]}",
            hint="One person's drawings of an image cannot be two. --annotator-from folder calls "
            "whoever has no name after the set; --alias OLD=NEW renames a person.",
        )


def _line(line: dict[str, Any]) -> bytes:
    return (json.dumps(line, ensure_ascii=False) + "\n").encode()


def _copy(settings: JoinSettings, task: JoinTask) -> str:
    """Put the photograph into the set, byte for byte; its digest."""
    found: dict[str, tuple[Path, bytes]] = {}
    for path, image in task.photographs:
        data = _bytes(path)
        header = check_decodes(path, data=data)
        if header.size != task.size:
            raise LayoutError(
                f"the photograph {image} is {header.size[0]} x {header.size[1]} (height x width), "
                f"its row says {task.size[0]} x {task.size[1]}",
                path=path,
                hint=HINT,
            )
        found.setdefault(digest(data), (path, data))
    if len(found) > 1:
        (path, _), (other, _) = [found[key] for key in sorted(found)][:2]
        raise ImageError(
            f"shows the same original as {other}, with other bytes",
            path=path,
            hint="Build both sets with the same --fit and --image-format: labels of a cropped "
            "image do not fit a squashed one.",
        )
    ((path, data),) = found.values()
    if path.suffix.lower() not in (".jpg", ".jpeg", ".png"):
        data = encode_photograph(decode_rgb(path, frame="stored", data=data), "png")
    (settings.folder / task.name).write_bytes(data)
    return digest(data)


def _bytes(path: Path) -> bytes:
    try:
        return image_bytes(path)
    except ImageError as error:
        raise ImageError(error.message, path=path, hint=HINT) from error


def _read(
    part: Part,
    translation: Translation,
    task: JoinTask,
    meanings: Meanings,
    left_out: Counter[str],
) -> _Drawn:
    """What a session has of an image, in the concepts of the merged set."""
    result = _Drawn()
    for category, paths, labels in part.cells:
        for plane, path in enumerate(_in_order(paths)):
            codes = _codes(path, task.map_size)
            for target, offset, lut in translation.maps[category]:
                painted = _translated(codes, lut, path)
                if painted.any():
                    result.maps[target, offset + plane] = painted
        for number in labels:
            meant = _tag(translation, category, number, part)
            if meant is None:
                left_out[LEFT_OUT] += 1
            else:
                result.tags.add(meant)
    for category, path in part.ignores:
        flags = _flags(path, task.map_size)
        for target, _, _ in translation.maps.get(category, ()):
            before = result.ignores.get(target, np.zeros(task.map_size, dtype=bool))
            result.ignores[target] = before | flags
    if part.segments is not None:
        result.lines = read_lines(part.segments, task.name, meanings, left_out)
    return result


def _in_order(paths: Sequence[Path]) -> list[Path]:
    """Maps by their plane, which their names count; a cell names the dominant one first."""
    planes = [_PLANE.search(path.name) for path in paths]
    if any(plane is None for plane in planes):
        return list(paths)
    pairs = [(int(p[1]), path) for p, path in zip(planes, paths, strict=True) if p]
    return [path for _, path in sorted(pairs)]


def _codes(path: Path, size: tuple[int, int]) -> NDArray[np.int32]:
    header, pixels = decode_stored(path, data=_bytes(path))
    if header.format != "PNG" or header.mode not in ("RGB", "RGBA") or pixels[..., 2].any():
        raise LayoutError("is no label map: R + 256 G in an RGB PNG, B = 0", path=path, hint=HINT)
    if header.size != size:
        raise LayoutError(
            f"is {header.size[0]} x {header.size[1]} (height x width), its row says {size[0]} x "
            f"{size[1]}",
            path=path,
            hint=HINT,
        )
    codes: NDArray[np.int32] = pixels[..., 0].astype(np.int32) + 256 * pixels[..., 1].astype(
        np.int32
    )
    return codes


def _translated(codes: NDArray[np.int32], lut: NDArray[np.int32], path: Path) -> Labels:
    known = codes < len(lut)
    labels: Labels = lut[np.where(known, codes, 0)]
    bad = ~known | (labels < 0)
    if bad.any():
        raise LayoutError(
            f"holds the label {int(codes[bad].min())}, which label.csv does not list",
            path=path,
            hint=HINT,
        )
    return labels


def _tag(
    translation: Translation, category: str, number: int, part: Part
) -> tuple[str, int] | None:
    try:
        return translation.tags[category, number]
    except KeyError:
        raise LayoutError(
            f"a whole image of {part.set_name} has the label {number} in {category}, which "
            "label.csv does not list",
            hint=HINT,
        ) from None


def _flags(path: Path, size: tuple[int, int]) -> BoolArray:
    header, pixels = decode_stored(path, data=_bytes(path))
    if header.mode != "L" or header.size != size:
        raise LayoutError("is no grey mask of the size of its maps", path=path, hint=HINT)
    flags: BoolArray = pixels == 255
    return flags
