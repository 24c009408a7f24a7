"""The one pass over the image files: each is read and decoded once, in worker processes."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from conceptset.errors import ConceptsetError, UnsafeError
from conceptset.io.images import check_decodes, decode_stored
from conceptset.io.paths import resolve_inside
from conceptset.io.tables import digest
from conceptset.validate.facts import (
    Double,
    Fault,
    ImageFacts,
    MapFacts,
    MaskFacts,
    PhotoFacts,
    Pixel,
    Spot,
)

MAX_IMAGE_BYTES = 1 << 30
_PNG = b"\x89PNG\r\n\x1a\n"
_DEPTH = 24  # offset of the bit depth in a PNG: signature, chunk length and name, width, height

Codes = NDArray[np.uint16]
Group = tuple[tuple[str, ...], tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class ScanItem:
    """One photograph and what lies beside it; all names are relative to images/ and safe.

    Attributes:
        image: The photograph; None if its name cannot be used.
        groups: Per index row: its label maps and its whole-image labels.
        masks: Masks of ignored or undecided pixels.
    """

    image: str | None
    groups: tuple[Group, ...]
    masks: tuple[str, ...] = ()


def scan_image(
    item: ScanItem, *, folder: Path, known: frozenset[int] | None, links: bool
) -> ImageFacts:
    """The facts of one photograph with its maps and masks.

    Args:
        item: What to look at.
        folder: The folder images/ of the set.
        known: Label numbers of label.csv; None where that table cannot be used.
        links: Whether the folder holds symbolic links, which are then followed with care.
    """
    photo = None if item.image is None else _scan_photo(folder, item.image, links=links)
    maps: dict[str, MapFacts] = {}
    codes: dict[str, Codes] = {}
    for name in dict.fromkeys(name for names, _ in item.groups for name in names):
        maps[name], found = _scan_map(folder, name, known, links=links)
        if found is not None:
            codes[name] = found
    masks = tuple(_scan_mask(folder, name, links=links) for name in item.masks)
    doubles = dict.fromkeys(
        double for names, numbers in item.groups for double in _doubles(names, numbers, maps, codes)
    )
    return ImageFacts(photo, tuple(maps.values()), masks, tuple(doubles))


def _read(folder: Path, name: str, *, links: bool) -> bytes | Fault:
    path = folder / name
    if links:
        try:
            resolve_inside(folder, name)
        except UnsafeError as error:
            return Fault("outside", error.message)
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            return Fault("broken", "is no file")
        if state.st_size > MAX_IMAGE_BYTES:
            return Fault("broken", f"holds {state.st_size:,} bytes, which is too much to read")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return Fault("missing", "does not exist")
    except OSError as error:
        return Fault("broken", f"cannot be read ({error.strerror})")


def _scan_photo(folder: Path, name: str, *, links: bool) -> PhotoFacts:
    data = _read(folder, name, links=links)
    if isinstance(data, Fault):
        return PhotoFacts(name, data)
    try:
        header = check_decodes(Path(name), data=data)
    except ConceptsetError as error:
        return PhotoFacts(name, Fault("broken", error.message), digest=digest(data))
    return PhotoFacts(name, None, header.size, header.orientation, digest(data))


def _scan_map(
    folder: Path, name: str, known: frozenset[int] | None, *, links: bool
) -> tuple[MapFacts, Codes | None]:
    data = _read(folder, name, links=links)
    if isinstance(data, Fault):
        return MapFacts(name, data), None
    try:
        header, pixels = decode_stored(Path(name), data=data)
    except ConceptsetError as error:
        return MapFacts(name, Fault("broken", error.message), digest=digest(data)), None
    deep = data.startswith(_PNG) and data[_DEPTH] > 8
    coded = header.format == "PNG" and header.mode in ("RGB", "RGBA") and not deep
    stated = (header.size, header.format, header.mode, deep, coded)
    if not coded:
        return MapFacts(name, None, *stated, digest=digest(data)), None
    codes = _codes(pixels)
    counts = np.bincount(codes.ravel())
    counts[0] = 0
    labels = np.flatnonzero(counts)
    unknown = () if known is None else tuple(n for n in labels.tolist() if n not in known)
    blue = pixels[..., 2]
    facts = MapFacts(
        name,
        None,
        *stated,
        labels=tuple(labels.tolist()),
        counts=tuple(counts[labels].tolist()),
        unknown=tuple(_spot(codes == number, number) for number in unknown),
        blue=_spot(blue != 0, int(blue.max())) if blue.any() else None,
        digest=digest(data),
    )
    return facts, codes


def _codes(pixels: NDArray[np.generic]) -> Codes:
    """R + 256 G of (height, width, channels) pixels, (height, width)."""
    pairs = np.empty((*pixels.shape[:2], 2), dtype=np.uint8)
    pairs[..., 0] = pixels[..., 0]
    pairs[..., 1] = pixels[..., 1]
    codes: Codes = pairs.view("<u2")[..., 0]
    return codes


def _scan_mask(folder: Path, name: str, *, links: bool) -> MaskFacts:
    data = _read(folder, name, links=links)
    if isinstance(data, Fault):
        return MaskFacts(name, data)
    try:
        header, pixels = decode_stored(Path(name), data=data)
    except ConceptsetError as error:
        return MaskFacts(name, Fault("broken", error.message), digest=digest(data))
    stray = None
    if header.mode == "L":
        values = np.flatnonzero(np.bincount(pixels.ravel()))
        odd = [value for value in values.tolist() if value not in (0, 255)]
        stray = _spot(pixels == odd[0], odd[0]) if odd else None
    return MaskFacts(name, None, header.size, header.format, header.mode, stray, digest(data))


def _spot(where: NDArray[np.bool_], value: int) -> Spot:
    return Spot(value, _pixel(int(where.argmax()), where.shape[1]), int(where.sum()))


def _pixel(place: int, width: int) -> Pixel:
    return place // width, place % width


def _doubles(
    names: tuple[str, ...],
    numbers: tuple[int, ...],
    maps: dict[str, MapFacts],
    codes: dict[str, Codes],
) -> list[Double]:
    """Labels that lie twice on one pixel; pixels are compared only where two maps share a label."""
    coded = [name for name in dict.fromkeys(names) if name in codes]
    result = []
    for first, second in combinations(coded, 2):
        a, b = codes[first], codes[second]
        if a.shape == b.shape and not set(maps[first].labels).isdisjoint(maps[second].labels):
            same = (a == b) & (a != 0)
            if same.any():
                place = int(same.argmax())
                spot = Spot(int(a.flat[place]), _pixel(place, a.shape[1]), int(same.sum()))
                result.append(Double(first, second, spot))
    for number in dict.fromkeys(numbers):
        result.extend(
            Double(name, "", _spot(codes[name] == number, number))
            for name in coded
            if number in maps[name].labels
        )
        if numbers.count(number) > 1:
            result.append(Double("", "", Spot(number, (0, 0), 0)))
    return result
