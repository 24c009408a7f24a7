"""Whether something is CVAT's, what was looked for, and whom it names."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from conceptset.errors import ConceptsetError, SourceError
from conceptset.formats.base import Detection
from conceptset.formats.cvat.bundle import (
    ANNOTATIONS,
    LISTS,
    MAX_BYTES,
    PROJECT,
    TASK,
    Bundle,
    backups,
    is_annotations,
    is_task,
    task_folders,
)
from conceptset.formats.cvat.document import ROOT, opened
from conceptset.formats.cvat.frames import SUFFIXES, frame_name
from conceptset.formats.cvat.meta import MAX_FRAME, Meta, meta_from
from conceptset.formats.cvat.rest import REST_HINT, missing_in
from conceptset.io.tables import read_json
from conceptset.parsing.candidate import Candidate
from conceptset.parsing.values import described, whole_number
from conceptset.parsing.xml import stream_elements

_SILENT = "who annotated is not stored"
_LOOKED_AT = 8 << 20  # bytes; CVAT writes what is of interest first
_NAMES = 256
_FRAMES = 40


def detect_xml(candidate: Candidate) -> Detection:
    """What CVAT says about an XML file.

    Raises:
        ConceptsetError: It is no XML, or refused.
    """
    head = candidate.xml
    if head.root != ROOT:
        return no(f"the root is {described(head.root)}, {ROOT} was expected")
    kinds = [tag for tag in ("image", "track") if tag in head.tags]
    metas = [f"meta/{kind}" for kind in ("task", "project", "job") if f"meta/{kind}" in head.paths]
    if not kinds and not metas:
        return no(f"the root is {ROOT}, but neither image, track nor meta follows")
    meta, version = _read_meta(candidate.path)
    if version not in ("", "1.1"):
        return no(f"has the version {described(version)}, only 1.1 is read")
    found = [f"the root is {ROOT}", *(f"has {one}" for one in (*metas, *kinds))]
    return Detection("cvat", matches=True, reasons=(*found, *_said(meta)), people=_people(meta))


def no(*reasons: str) -> Detection:
    """It is not CVAT's."""
    return Detection("cvat", matches=False, reasons=reasons)


def _said(meta: Meta | None) -> Iterator[str]:
    """What `meta` says of itself."""
    if meta is None:
        yield f"meta is not complete within {_LOOKED_AT >> 20} MiB"
        return
    if meta.kind == "project":
        yield f"{len(meta.tasks)} tasks"
    if meta.labels:
        yield f"{len(meta.labels)} labels"
    if _people(meta) is None:
        yield "neither assignee nor owner is named"


def _people(meta: Meta | None) -> str | None:
    """Where the file names people: of a project, task by task."""
    namings = [] if meta is None else [task.naming for task in meta.tasks] or [meta.naming]
    shown = list(dict.fromkeys(str(naming) for naming in namings if naming is not None))
    more = f"; and {len(shown) - 5} more" if len(shown) > 5 else ""
    return "; ".join(shown[:5]) + more if shown else None


def _read_meta(path: Path) -> tuple[Meta | None, str]:
    """`meta` and the text of `version`, from the first 8 MiB; None if it breaks off before."""
    version = ""
    with opened(path) as stream:
        begin = io.BytesIO(stream.read(_LOOKED_AT))
    try:
        for _, element in stream_elements(begin, path=path, inside=("track",)):
            if element.tag == "version":
                version = (element.text or "").strip()
            elif element.tag == "meta":
                return meta_from(element), version
            else:
                break
    except SourceError:  # it is cut off here, or broken further on: the reader says where
        return None, version
    return Meta(), version


def names_in_xml(path: Path) -> Iterator[str]:
    """How an XML file calls its first images: SUBSET/NAME, then NAME; frames with each ending.

    Raises:
        SourceError: The file cannot be read up to there.
    """
    names: list[tuple[str, str]] = []
    frames: dict[int, None] = {}
    meta = Meta()
    with opened(path) as stream:
        for _, element in stream_elements(stream, path=path, inside=("track",)):
            if element.tag == "meta":
                meta = meta_from(element)
            elif element.tag == "image" and (name := element.get("name", "").strip()):
                names.append((element.get("subset", ""), name))
            elif (frame := whole_number(element.get("frame"))) is not None:
                frames[min(frame, MAX_FRAME)] = None
            if len(names) >= _NAMES or len(frames) >= _FRAMES:
                break
    if names:
        yield from (f"{subset}/{name}" for subset, name in names if subset)
        yield from (name for _, name in names)
        return
    frames.update(dict.fromkeys(_some_frames(meta)))
    subsets = sorted(meta.subsets) if meta.kind == "project" else []
    for folder in (*(f"{subset}/" for subset in subsets[:10]), ""):
        for suffix in SUFFIXES:
            yield from (f"{folder}{frame_name(frame)}{suffix}" for frame in islice(frames, _FRAMES))


def _some_frames(meta: Meta) -> Iterator[int]:
    """Frames of the tasks in which perhaps nothing was drawn, evenly spread."""
    for task in meta.tasks[:10]:
        if task.last is not None and task.last >= task.first:
            frames = range(task.first, task.last + 1, task.step)
            yield from frames[:: -(-len(frames) // _FRAMES)]


def detect_folder(folder: Path) -> Detection:
    """What CVAT says about a directory.

    Raises:
        ConceptsetError: A file in it cannot be read.
    """
    if not is_task(folder) and not task_folders(folder):
        return no(
            f"is a directory, {TASK} and {ANNOTATIONS} of a backup, or {PROJECT} and task_N/ were "
            "expected in it"
        )
    tasks = backups(folder)
    what = f"a project ({len(tasks)} tasks)" if (folder / PROJECT).is_file() else "a task"
    videos = sum(bool(task.video) for task in tasks)
    found = [f"is the backup of {what}, {sum(len(task.jobs) for task in tasks)} jobs", _SILENT]
    if videos:
        found.append(f"{videos} of the tasks are videos, which are not read")
    return Detection("cvat", matches=True, reasons=tuple(found))


def detect_json(candidate: Candidate) -> Detection:
    """What CVAT says about a JSON file.

    Raises:
        ConceptsetError: It cannot be read.
    """
    if candidate.is_large and not all(candidate.has_key(key) for key in LISTS):
        return no("has no tags, shapes and tracks")
    data = load_json(candidate)
    entries = data if isinstance(data, list) else [data]
    if not entries or not all(map(is_annotations, entries)):
        inner = data.values() if isinstance(data, dict) else ()
        several = sum(map(is_annotations, inner))
        more = (f"holds {several} of them by name, not one",) if several else ()
        return no("tags, shapes and tracks of a task were expected", *more)
    found = f"has tags, shapes and tracks of {len(entries)} jobs"
    if is_task(candidate.path.parent) and candidate.path.name == ANNOTATIONS:
        return Detection("cvat", matches=True, reasons=(found, f"{TASK} is beside it", _SILENT))
    beside, missing = missing_in(candidate.path, entries)
    if missing:
        return no(found, *missing, REST_HINT)
    said = f"{len(beside.labels)} labels and {beside.listing or beside.video} stand beside it"
    return Detection("cvat", matches=True, reasons=(found, said, _SILENT))


def load_json(candidate: Candidate) -> Any:  # noqa: ANN401
    """The parsed file, up to the limit of the reader."""
    return (
        read_json(candidate.path, MAX_BYTES, allow_nan=True)
        if candidate.is_large
        else (candidate.json)
    )


def names_in_bundles(bundles: Iterable[Bundle]) -> Iterator[str]:
    """How some tasks call their images: with the folders of a backup, then without."""
    listed = [(bundle, frame) for bundle in bundles for frame in bundle.frames[:_NAMES] if frame]
    yield from (f"{bundle.folder}{bundle.media}{frame.name}" for bundle, frame in listed)
    yield from (frame.name for bundle, frame in listed if bundle.folder or bundle.media)


def refusal(error: ConceptsetError) -> Detection:
    """It cannot even be looked at."""
    return no(error.message)
