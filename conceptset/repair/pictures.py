"""One photograph with its maps and masks, made right and written, on any core."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conceptset.build.encoding import Scope
from conceptset.build.fitting import half
from conceptset.consensus import Votes, decide, majority_tags
from conceptset.errors import ConceptsetError, ImageError
from conceptset.geometry import BoolArray
from conceptset.io.images import (
    check_decodes,
    decode_stored,
    encode_flags,
    encode_label_map,
    image_bytes,
)
from conceptset.io.tables import digest
from conceptset.layout import names
from conceptset.repair.ledger import Note
from conceptset.repair.maps import Codes, MapReading, Palette, read_map, resized

Size = tuple[int, int]


class MapName(NamedTuple):
    """A map under its old and its new name, both relative to images/; or a whole-image label."""

    old: str
    new: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class MaskName:
    """A mask of ignored or undecided pixels, old and new name."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class PictureTask:
    """What is to be done about one photograph.

    Attributes:
        old, new: Its name, relative to images/.
        stated: (height, width) of its maps as the index says.
        cells: By index (its folder) and category, the entries of the cell.
        masks: Its masks, by index and category.
        voters: Folders of those whose labels make the root's cells, where the root has no row.
        consensus: By which method.
    """

    old: str
    new: str
    stated: Size | None
    cells: Mapping[str, Mapping[str, Sequence[MapName]]]
    masks: Mapping[tuple[str, str], MaskName]
    voters: tuple[str, ...] = ()
    consensus: str = "majority"


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """What all photographs share; sent to the workers.

    Attributes:
        source: images/ of the old set.
        target: images/ of the new one.
        numbers: (65536,) int32, old number to new; 0 for one without a name.
        palette: What palette images hold, if the user said so.
    """

    source: Path
    target: Path
    numbers: NDArray[np.int32]
    palette: Palette | None

    @property
    def known(self) -> BoolArray:
        """(65536,) whether a number can stand in a map."""
        flags: BoolArray = self.numbers > 0
        flags[0] = True
        return flags


@dataclass(slots=True)
class Picture:
    """What became of one photograph.

    Attributes:
        notes: What was done, and why it could not be used.
        usable: Whether it is in the new set.
        size: (height, width) of the photograph.
        map_size: (height, width) of its maps.
        photograph: SHA-256 of the file.
        scopes: Cells and pixel counts by index.
        usage: (number, category) to pixels that anyone labelled so.
        digests: (name, SHA-256) of each map and mask.
        undecided: Pixels without consensus, by category.
        unnamed: (number, pixels, map) of every label without a name.
    """

    notes: list[Note] = field(default_factory=list)
    usable: bool = True
    size: Size = (1, 1)
    map_size: Size = (1, 1)
    photograph: str = ""
    scopes: dict[str, Scope] = field(default_factory=dict)
    usage: dict[tuple[int, str], int] = field(default_factory=dict)
    digests: list[tuple[str, str]] = field(default_factory=list)
    undecided: Counter[str] = field(default_factory=Counter)
    unnamed: list[tuple[int, int, str]] = field(default_factory=list)


def repair_picture(settings: PictureSettings, task: PictureTask) -> Picture:
    """Copy a photograph and write its maps and masks as the layout wants them."""
    result = Picture()
    data = _bytes(settings.source / task.old)
    try:
        if isinstance(data, ImageError):
            raise data
        result.size = check_decodes(Path(task.old), data=data).size
    except ConceptsetError as error:
        text = f"the photograph {error.message}; its rows and maps are left out"
        result.notes.append(Note("lost", "IDX003", text, f"images/{task.old}"))
        result.usable = False
        return result
    _write(settings, task.new, data)
    result.photograph = digest(data)
    return _Labels(settings, task, result).repair()


def _bytes(path: Path) -> bytes | ImageError:
    try:
        return image_bytes(path)
    except ImageError as error:
        return error


def _write(settings: PictureSettings, name: str, data: bytes) -> None:
    path = settings.target / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


class _Labels:
    """The maps and masks of one photograph."""

    def __init__(self, settings: PictureSettings, task: PictureTask, result: Picture) -> None:
        self.settings = settings
        self.task = task
        self.result = result
        self.codes: dict[str, Codes] = {}  # by old name, with new numbers, at the final size

    def repair(self) -> Picture:
        """Write everything; the picture with its counts."""
        files = {
            entry.old: entry.new
            for cells in self.task.cells.values()
            for entries in cells.values()
            for entry in entries
            if entry.old
        }
        readings = {old: self._read(old) for old in files}
        self.result.map_size = self._map_size(readings)
        for old, (reading, data) in readings.items():
            self._keep(old, files[old], reading, data)
        for folder, cells in self.task.cells.items():
            self.result.scopes[folder] = self._scope(cells)
        self._masks()
        if self.task.voters:
            self._vote()
        self._count()
        return self.result

    def _read(self, old: str) -> tuple[MapReading, bytes]:
        data = _bytes(self.settings.source / old)
        path = f"{names.IMAGE_FOLDER}/{old}"
        if isinstance(data, ImageError):
            note = Note("lost", "SEG002", f"the label map {data.message}; it is left out", path)
            return MapReading(None, (note,)), b""
        settings = self.settings
        reading = read_map(
            settings.source / old, path, data, known=settings.known, palette=settings.palette
        )
        return reading, data

    def _map_size(self, readings: Mapping[str, tuple[MapReading, bytes]]) -> Size:
        """sh and sw: as stated if a map has that size, else the size most maps have."""
        shapes = [one.codes.shape for one, _ in readings.values() if one.codes is not None]
        sizes = Counter((int(height), int(width)) for height, width in shapes)
        stated = self.task.stated
        if stated is not None and (stated in sizes or not sizes):
            return stated
        if not sizes:
            return half(self.result.size)
        return max(sizes, key=lambda size: (sizes[size], size))

    def _keep(self, old: str, new: str, reading: MapReading, data: bytes) -> None:
        """Bring a map to size and to the new numbers, and write it if it says anything."""
        notes = self.result.notes
        notes += reading.notes
        if reading.codes is None:
            return
        path = f"{names.IMAGE_FOLDER}/{old}"
        codes = reading.codes
        if codes.shape != self.result.map_size:
            smaller = resized(codes, self.result.map_size)
            if smaller is None:
                shape, size = reading.codes.shape, self.result.map_size
                text = (
                    f"the label map is {shape[0]} x {shape[1]} (height x width), the others are "
                    f"{size[0]} x {size[1]}, which is another shape; it is left out"
                )
                notes.append(Note("lost", "SEG007", text, path))
                return
            text = "label maps brought to the size of the others (nearest neighbour)"
            notes.append(Note("changed", "SEG007", text))
            codes = smaller
        labels: Codes = self.settings.numbers[codes]
        self._tell_unknown(codes, labels, path)
        if not labels.any():
            notes.append(Note("changed", "SEG010", "label maps without any label taken out"))
            return
        same = reading.is_clean and codes is reading.codes and np.array_equal(codes, labels)
        if not same:
            data = encode_label_map(labels)
        self.codes[old] = labels
        _write(self.settings, new, data)
        self.result.digests.append((new, digest(data)))

    def _tell_unknown(self, codes: Codes, labels: Codes, path: str) -> None:
        odd = (labels == 0) & (codes != 0)
        if not odd.any():
            return
        values, counts = np.unique(codes[odd], return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist(), strict=True):
            self.result.unnamed.append((value, count, path))

    def _scope(self, cells: Mapping[str, Sequence[MapName]]) -> Scope:
        """The cells of one index and what they count, as the validator counts it."""
        scope = Scope()
        area = self.result.map_size[0] * self.result.map_size[1]
        for category, entries in cells.items():
            kept = [entry for entry in entries if entry.number or entry.old in self.codes]
            if not kept:
                continue
            scope.cells[category] = ";".join(e.new or str(e.number) for e in kept)
            for entry in kept:
                if not entry.number:
                    _add_counts(scope, category, self.codes[entry.old])
            for entry in kept:
                if entry.number:
                    scope.pixels[entry.number, category] = area
        return scope

    def _masks(self) -> None:
        """Write the masks; a pixel that is neither yes nor no is one nobody should count."""
        for (folder, category), name in self.task.masks.items():
            path = f"{names.IMAGE_FOLDER}/{name.old}"
            data = _bytes(self.settings.source / name.old)
            flags, notes = _read_flags(path, data, self.result.map_size)
            self.result.notes += notes
            if flags is None or isinstance(data, ImageError):
                continue
            data = encode_flags(flags) if notes else data
            _write(self.settings, name.new, data)
            self.result.digests.append((name.new, digest(data)))
            if not folder:
                self.result.undecided[category] += int(flags.sum())

    def _vote(self) -> None:
        """The root's cells from those who worked on the photograph."""
        source, _, last = self.task.new.rpartition("/")
        stem = last.rpartition(".")[0]
        size = self.result.map_size
        scope = Scope()
        given = [self.task.cells[folder] for folder in self.task.voters]
        empty = np.zeros(size, dtype=np.int32)
        for category in dict.fromkeys(category for cells in given for category in cells):
            planes = [
                [self.codes[e.old] for e in cells.get(category, ()) if e.old in self.codes]
                for cells in given
            ]
            depth = max(map(len, planes))
            unclear = np.zeros(size, dtype=bool)
            entries = []
            abstained = np.stack([self._abstained(f, category) for f in self.task.voters])
            for plane in range(depth):
                votes = np.stack([own[plane] if plane < len(own) else empty for own in planes])
                decision = decide(self.task.consensus, Votes(votes, abstained))
                labels = decision.labels
                unclear |= decision.undecided
                if labels.any():
                    number = plane + 1 if depth > 1 else None
                    entries.append(names.label_map(source, stem, category, plane=number))
                    self._write_new(entries[-1], encode_label_map(labels))
                    _add_counts(scope, category, labels)
            if unclear.any():
                name = names.undecided_mask(source, stem, category)
                self._write_new(name, encode_flags(unclear))
                self.result.undecided[category] += int(unclear.sum())
            whole = majority_tags(
                [[e.number for e in cells.get(category, ()) if e.number] for cells in given]
            )
            scope.pixels.update({(number, category): size[0] * size[1] for number in whole})
            if entries or whole:
                scope.cells[category] = ";".join([*entries, *map(str, whole)])
        self.result.scopes[""] = scope
        text = f"rows of index.csv formed by {self.task.consensus} from everybody's maps"
        self.result.notes.append(Note("changed", "ANN004", text))

    def _abstained(self, folder: str, category: str) -> BoolArray:
        name = self.task.masks.get((folder, category))
        written = {new for new, _ in self.result.digests}
        if name is None or name.new not in written:
            return np.zeros(self.result.map_size, dtype=bool)
        _, pixels = decode_stored(self.settings.target / name.new)
        flags: BoolArray = pixels == 255
        return flags

    def _write_new(self, name: str, data: bytes) -> None:
        _write(self.settings, name, data)
        self.result.digests.append((name, digest(data)))

    def _count(self) -> None:
        """How many pixels anyone gave each label: over everybody, or the root where it is alone."""
        folders = [folder for folder in self.task.cells if folder] or list(self.task.cells)
        area = self.result.map_size[0] * self.result.map_size[1]
        seen: dict[tuple[int, str], BoolArray] = {}
        for folder in folders:
            for category, entries in self.task.cells[folder].items():
                for entry in entries:
                    if entry.number:
                        self.result.usage[entry.number, category] = area
                    elif entry.old in self.codes:
                        codes = self.codes[entry.old]
                        for number in np.unique(codes[codes != 0]).tolist():
                            key = (number, category)
                            seen[key] = seen.get(key, False) | (codes == number)
        for key, flags in seen.items():
            self.result.usage.setdefault(key, int(flags.sum()))


def _add_counts(scope: Scope, category: str, labels: Codes) -> None:
    counts = np.bincount(labels.ravel())
    for number in np.flatnonzero(counts).tolist():
        if number:
            key = (number, category)
            scope.pixels[key] = scope.pixels.get(key, 0) + int(counts[number])


def _read_flags(
    path: str, data: bytes | ImageError, size: Size
) -> tuple[BoolArray | None, list[Note]]:
    """A mask at its size; with notes if that is not how the file has it."""
    try:
        if isinstance(data, ImageError):
            raise data
        header, pixels = decode_stored(Path(path), data=data)
    except ConceptsetError as error:
        return None, [Note("lost", "SEG012", f"the mask {error.message}; it is left out", path)]
    grey = pixels.astype(np.int64)
    notes: list[Note] = []
    if header.mode in ("RGB", "RGBA", "LA"):
        channels = grey[..., :3] if header.mode != "LA" else grey[..., :1]
        if (channels != channels[..., :1]).any():
            text = "the mask has colours, which say neither yes nor no; it is left out"
            return None, [Note("lost", "SEG013", text, path)]
        grey = channels[..., 0]
    elif header.mode not in ("L", "1"):
        text = f"the mask has mode {header.mode}, grey was expected; it is left out"
        return None, [Note("lost", "SEG013", text, path)]
    if (header.format, header.mode) != ("PNG", "L"):
        notes.append(Note("changed", "SEG013", "masks written as grey PNG"))
    flags: BoolArray = grey > 0
    if not np.isin(grey, (0, 1 if header.mode == "1" else 255)).all():
        text = "the mask has greys between no and yes; such pixels count as yes: nobody counts them"
        notes.append(Note("doubtful", "SEG015", text, path))
    if flags.shape != size:
        smaller = resized(flags.astype(np.int32), size)
        if smaller is None:
            text = (
                f"the mask is {flags.shape[0]} x {flags.shape[1]} (height x width), which is "
                f"another shape than {size[0]} x {size[1]}; it is left out"
            )
            return None, [*notes, Note("lost", "SEG014", text, path)]
        flags = smaller > 0
        notes.append(Note("changed", "SEG014", "masks brought to the size of the label maps"))
    return flags, notes
