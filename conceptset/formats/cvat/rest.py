"""Answers of the REST interface, saved beside each other.

Annotations have numbers in place of names, for labels and for images. What the numbers mean stands
in other answers; they are looked for in the JSON files of the same folder: the labels (a list of
objects with id and name, also under `labels` or `results`), and the images (`frames` of a task's
data description, or `manifest.jsonl`). Nothing is guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from conceptset.errors import ConceptsetError, SourceError, printable
from conceptset.formats.cvat.bundle import (
    ANNOTATIONS,
    LISTS,
    MANIFEST,
    Bundle,
    Frame,
    backup_of_task,
    frame_from,
    is_task,
    jobs_from,
    load_annotations,
    read_manifest,
)
from conceptset.io.tables import read_json
from conceptset.parsing.values import canonical_id, clean_name, whole_number

_MAX_BYTES = 64 << 20  # of a file that may say what numbers mean
_MAX_FILES = 64
REST_HINT = (
    "Save the task's labels (/api/labels?task_id=N) as labels.json and its data description "
    "(/api/tasks/N/data/meta) as meta.json into the same folder."
)


class Beside:
    """What the files beside an annotation file say.

    Attributes:
        labels: Name by id.
        frames: Image of each frame; None if nothing lists them.
        listing: Name of the file that lists them.
        problems: What contradicts itself or cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self.labels: dict[str, str] = {}
        self.frames: tuple[Frame | None, ...] | None = None
        self.listing = ""
        self.video = ""
        self.problems: list[str] = []
        for other in sorted(path.parent.glob("*.json"))[:_MAX_FILES]:
            if other != path and other.is_file():
                self._look_at(other)
        for name in (MANIFEST, f"data/{MANIFEST}"):
            if self.frames is None and not self.video and (path.parent / name).is_file():
                frames, self.video = read_manifest(path.parent / name)
                self.frames, self.listing = tuple(frames), name

    def _look_at(self, path: Path) -> None:
        try:
            data = read_json(path, _MAX_BYTES)
        except ConceptsetError:  # it may be anything
            return
        for key, name in _labels_in(data):
            if self.labels.setdefault(key, name) != name:
                self.problems.append(f"the label {key} has two names, one in {path.name}")
        frames = data.get("frames") if isinstance(data, dict) else None
        if isinstance(frames, list) and frames and all(map(_is_image, frames)):
            self._take_frames(data, frames, path.name)

    def _take_frames(self, data: dict[str, Any], frames: list[Any], name: str) -> None:
        size = whole_number(data.get("size"))
        if self.frames is not None:
            self.problems.append(f"both {self.listing} and {name} list frames")
        elif size is not None and size > len(frames) == 1:
            self.video = str(frames[0]["name"])
        elif data.get("included_frames") or whole_number(data.get("start_frame") or 0) != 0:
            self.problems.append(
                f"{name} describes a part of the data; frame numbers could count from its first "
                "frame or from that of the task"
            )
        else:
            self.listing = name
            self.frames = tuple(
                frame_from(frame, pointer=f"/frames/{place}") for place, frame in enumerate(frames)
            )


def _is_image(frame: object) -> bool:
    return isinstance(frame, dict) and isinstance(frame.get("name"), str)


def _labels_in(data: object) -> Iterator[tuple[str, str]]:
    """(id, name) of the labels a parsed file lists; nothing if it lists something else."""
    found = data
    if isinstance(data, dict):
        found = data.get("results", data.get("labels"))
    if not isinstance(found, list) or not found:
        return
    labels = [label for label in found if isinstance(label, dict)]
    named = [(canonical_id(label.get("id")), clean_name(label.get("name"))) for label in labels]
    if len(labels) < len(found) or any(None in pair for pair in named):
        return
    for label, (key, name) in zip(labels, named, strict=True):
        if key is not None and name is not None and "frame" not in label:
            yield key, name
            yield from _labels_in(label.get("sublabels"))


def label_ids(entries: Iterable[dict[str, Any]]) -> set[str | None]:
    """The label ids that name something; None among them where one is missing."""
    return {
        canonical_id(one.get("label_id"))
        for entry in entries
        for key in LISTS
        for one in entry.get(key, [])
        if isinstance(one, dict) and "label" not in one
    }


def missing_in(path: Path, entries: Iterable[dict[str, Any]]) -> tuple[Beside, list[str]]:
    """What is said beside an annotation file, and what would have to be known to read it."""
    beside = Beside(path)
    missing = list(beside.problems)
    ids = label_ids(entries)
    unknown = sorted(one for one in ids if one is not None and one not in beside.labels)
    if ids == {None}:
        missing.append("label_id is null everywhere: nothing says what was drawn")
    elif unknown:
        listed = ", ".join(printable(one, 40) for one in unknown[:5])
        missing.append(f"no JSON file beside it names the label {listed}")
    if beside.frames is None and not beside.video:
        missing.append("no file beside it says which image a frame is")
    return beside, missing


def bundle_of_file(path: Path) -> Bundle:
    """The annotations of a file with what stands beside it.

    Raises:
        SourceError: It cannot be read, or something is not known.
    """
    if is_task(path.parent) and path.name == ANNOTATIONS:
        return backup_of_task(path.parent, "")
    entries = load_annotations(path)
    beside, missing = missing_in(path, entries.values())
    if missing:
        raise SourceError(f"cannot be read: {'; '.join(missing)}", path=path, hint=REST_HINT)
    return Bundle(
        folder="",
        media="",
        annotations=path.name,
        listing=beside.listing,
        jobs=tuple(jobs_from(entries, None)),
        frames=beside.frames or (),
        labels=beside.labels,
        video=beside.video,
    )
