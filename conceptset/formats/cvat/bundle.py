"""Annotations as JSON, with what they refer to: names of labels, and which image a frame is.

A backup has all of that in one directory. What the REST interface gives is several answers; saved
beside each other they make a bundle, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from conceptset.errors import SourceError
from conceptset.io.tables import parse_json, read_bytes, read_json
from conceptset.parsing.values import clean_name, described, whole_number

TASK, ANNOTATIONS, PROJECT = "task.json", "annotations.json", "project.json"
MANIFEST = "manifest.jsonl"
LISTS = ("tags", "shapes", "tracks")
MAX_BYTES = 256 << 20  # of one JSON file; it is held as a whole, about ten times as large
_STEP = re.compile(r"\s*step\s*=\s*([1-9][0-9]{0,8})\s*")


@dataclass(frozen=True, slots=True)
class Frame:
    """The image of one frame.

    Attributes:
        name: Of its file.
        size: (height, width); None if it is not stated.
        line: Of the manifest, from 1; None if it stands elsewhere.
        pointer: Where it stands in a JSON file.
    """

    name: str
    size: tuple[int, int] | None
    line: int | None = None
    pointer: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One entry of the annotations.

    Attributes:
        entry: With tags, shapes and tracks.
        pointer: Where it stands.
        frames: Numbers of the frames it is about; None for all.
        kind: `annotation`, or what else the backup says.
    """

    entry: dict[str, Any]
    pointer: str
    frames: Sequence[int] | None = None
    kind: str = "annotation"


@dataclass(frozen=True, slots=True)
class Bundle:
    """What is needed to read one task.

    Attributes:
        folder: What names of files are relative to, with a slash at the end; empty for the folder
            that is read.
        media: Folder of the images, relative to that, with a slash at the end.
        annotations: Name of the file of annotations.
        listing: Name of the file that lists the images.
        jobs: The annotations.
        frames: Image of each frame, by number in the task; None for one that was not uploaded.
        labels: Name by id.
        deleted: Frames that were taken out of the task.
        video: Name of the video; empty if the frames are images.
    """

    folder: str
    media: str
    annotations: str
    listing: str
    jobs: tuple[Job, ...]
    frames: tuple[Frame | None, ...]
    labels: dict[str, str] = field(default_factory=dict)
    deleted: frozenset[int] = frozenset()
    video: str = ""


def is_task(folder: Path) -> bool:
    """Whether a directory is the backup of a task."""
    return (folder / TASK).is_file() and (folder / ANNOTATIONS).is_file()


def task_folders(folder: Path) -> list[Path]:
    """The directories of the tasks in the backup of a project, by number."""
    if not (folder / PROJECT).is_file():
        return []
    found = [one for one in folder.glob("task_*") if is_task(one)]
    return sorted(found, key=lambda one: (len(one.name), one.name))


def backups(path: Path) -> list[Bundle]:
    """The tasks in a backup.

    Raises:
        SourceError: One of them cannot be read.
    """
    if is_task(path):
        return [backup_of_task(path, "")]
    return [backup_of_task(one, f"{one.name}/") for one in task_folders(path)]


def backup_of_task(folder: Path, prefix: str) -> Bundle:
    """The backup of one task.

    Raises:
        SourceError: A part of it is missing or cannot be read.
    """
    task = read_json(folder / TASK, MAX_BYTES)
    if not isinstance(task, dict):
        raise SourceError(f"is {described(task)}, an object was expected", path=folder / TASK)
    stated = task.get("data")
    data: dict[str, Any] = stated if isinstance(stated, dict) else {}
    entries = load_annotations(folder / ANNOTATIONS)
    home = folder / "data" / MANIFEST
    media = "data/"
    if not home.is_file():
        home, media = folder / MANIFEST, ""
    if not home.is_file():
        raise SourceError(
            f"has no data/{MANIFEST}, which says what image a frame is",
            path=folder,
            hint="Export the task as CVAT for images 1.1, which names its images.",
        )
    frames, video = read_manifest(home)
    deleted = data.get("deleted_frames")
    return Bundle(
        folder=prefix,
        media=media,
        annotations=ANNOTATIONS,
        listing=f"{media}{MANIFEST}",
        jobs=tuple(jobs_from(entries, task.get("jobs"))),
        frames=_of_task(frames, data),
        deleted=frozenset(_whole(deleted)) if isinstance(deleted, list) else frozenset(),
        video=video,
    )


def load_annotations(path: Path) -> dict[str, dict[str, Any]]:
    """The entries of an annotation file by their pointers: one per job, or just one.

    Raises:
        SourceError: It cannot be read, or is something else.
    """
    data = read_json(path, MAX_BYTES, allow_nan=True)
    entries = {f"/{n}": one for n, one in enumerate(data)} if isinstance(data, list) else {"": data}
    for pointer, entry in entries.items():
        if not is_annotations(entry):
            raise SourceError(
                f"is {described(entry)} where an object with tags, shapes and tracks was expected",
                path=path,
                pointer=pointer,
            )
    return entries


def is_annotations(entry: object) -> bool:
    """Whether an object holds the annotations of a job or a task."""
    if not isinstance(entry, dict):
        return False
    lists = [entry[key] for key in LISTS if key in entry]
    return len(lists) >= 2 and all(isinstance(value, list) for value in lists)


def jobs_from(entries: dict[str, dict[str, Any]], jobs: object) -> Iterator[Job]:
    """The annotations of each job with its frames; both are listed in the same order."""
    listed = jobs if isinstance(jobs, list) and len(jobs) == len(entries) else [{}] * len(entries)
    for (pointer, entry), about in zip(entries.items(), listed, strict=True):
        job = about if isinstance(about, dict) else {}
        kind = job.get("type")
        stated = kind if isinstance(kind, str) and kind else "annotation"
        yield Job(entry, pointer, _frames_of_job(job), stated)


def _frames_of_job(job: dict[str, Any]) -> Sequence[int] | None:
    chosen = job.get("frames")
    if isinstance(chosen, list) and chosen:
        return sorted(set(_whole(chosen)))
    start, stop = whole_number(job.get("start_frame")), whole_number(job.get("stop_frame"))
    return None if start is None or stop is None else range(start, stop + 1)


def _whole(values: list[Any]) -> Iterator[int]:
    return (number for value in values if (number := whole_number(value)) is not None)


def _of_task(frames: list[Frame | None], data: dict[str, Any]) -> tuple[Frame | None, ...]:
    """The images of the task among those that were uploaded."""
    start = whole_number(data.get("start_frame")) or 0
    stated = data.get("frame_filter")
    match = _STEP.fullmatch(stated) if isinstance(stated, str) else None
    stop = whole_number(data.get("stop_frame"))
    end = len(frames) if stop is None else min(stop + 1, len(frames))
    return tuple(frames[start : end : int(match[1]) if match else 1])


def read_manifest(path: Path) -> tuple[list[Frame | None], str]:
    """The images that a manifest lists; the name of the video if it is about one.

    Raises:
        SourceError: It cannot be read, or a line is no JSON object.
    """
    frames: list[Frame | None] = []
    video = ""
    for number, line in enumerate(read_bytes(path, MAX_BYTES).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            entry = parse_json(line, path=path)
        except SourceError as error:
            raise SourceError(error.message, path=path, pointer=f"line {number}") from error
        if not isinstance(entry, dict):
            raise SourceError(
                f"is {described(entry)}, an object was expected",
                path=path,
                pointer=f"line {number}",
            )
        if entry.get("type") == "video":
            video = "a video"
        elif isinstance(entry.get("properties"), dict):
            return [], clean_name(entry["properties"].get("name")) or "a video"
        elif "version" not in entry and "type" not in entry:
            frames.append(frame_from(entry, line=number))
    return ([], video) if video else (frames, "")


def frame_from(
    entry: dict[str, Any], *, line: int | None = None, pointer: str = ""
) -> Frame | None:
    """An image; None for an entry that only keeps a place."""
    name, ending = entry.get("name"), entry.get("extension", "")
    if not isinstance(name, str) or not isinstance(ending, str) or not name.strip():
        return None
    height, width = whole_number(entry.get("height")), whole_number(entry.get("width"))
    size = (height, width) if height and width else None
    return Frame(f"{name}{ending}", size, line, pointer)
