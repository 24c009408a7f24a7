"""CVAT for video: tracks, one after the other, turned into one record per frame.

The shapes go to a temporary file as they are read; an index of 25 bytes per shape says which frame
shows which. Then frame after frame is put together, so memory holds the index and one frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import merge
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree.ElementTree import Element

from conceptset.formats.base import ReadContext
from conceptset.formats.cvat.drawing import Canvas, Drawing, between
from conceptset.formats.cvat.elements import (
    KINDS,
    drawing_from,
    flag_from,
    needed_attributes,
    order_from,
)
from conceptset.formats.cvat.frames import Frames, frame_name, frames_of
from conceptset.formats.cvat.meta import MAX_FRAME, Meta, Task
from conceptset.formats.cvat.regions import SILENT, Labels, Listing, is_short, owner_of, region_from
from conceptset.formats.cvat.scratch import Scratch
from conceptset.formats.cvat.tracks import FrameIndex, Listed, Shown
from conceptset.parsing.defects import Spot
from conceptset.parsing.photographs import place_photograph
from conceptset.parsing.values import described, quoted, whole_number
from conceptset.records import ImageRecord, Origin, Region

_TASK = 1 << 30  # above every frame number: a key is frame + _TASK * task
_REMEMBERED = 4096  # tracks whose labels are in memory


@dataclass(slots=True)
class _Track:
    """The track that is being read.

    Attributes:
        spot: Where it stands.
        label: What it is called.
        task: Place of its task.
        header: Number of what is kept of it.
    """

    spot: Spot
    label: str
    task: int
    header: int
    counts: dict[str, int] = field(default_factory=dict)
    listed: Listed = field(default_factory=Listed)


class _Tasks:
    """The tasks of a file in order, and which of their frames have a photograph."""

    def __init__(self, meta: Meta, context: ReadContext) -> None:
        self._meta = meta
        self._context = context
        self._places = {(task.id, task.subset): n for n, task in enumerate(meta.tasks)}
        self._frames: dict[str, Frames] = {}
        self._existing: dict[int, list[int]] = {}
        self.all = list(meta.tasks)

    def place_of(self, element: Element) -> int:
        """Place of the task a track belongs to."""
        task = self._meta.task_of(element.get("task_id"), element.get("subset"))
        place = self._places.setdefault((task.id, task.subset), len(self.all))
        if place == len(self.all):
            self.all.append(task)
        return place

    def photographs(self, place: int) -> Frames:
        """The photographs of the frames of a task."""
        subset = self.all[place].subset
        if subset not in self._meta.subsets:
            subset = ""
        if subset not in self._frames:
            self._frames[subset] = frames_of(self._context.catalogue, subset, self._context.beside)
        return self._frames[subset]

    def existing(self, place: int) -> list[int]:
        """Numbers of the frames of a task that have a photograph, rising."""
        if place not in self._existing:
            self._existing[place] = self.photographs(place).of_task(self.all[place])
        return self._existing[place]


class Video:
    """Takes the tracks of a file, gives the records of its frames.

    Args:
        meta: What the file says of itself.
        context: What the reader was handed.
        labels: Those of the file.
        path: The file, for errors.
    """

    def __init__(self, meta: Meta, context: ReadContext, labels: Labels, path: Path) -> None:
        self._context = context
        self._labels = labels
        self._file = labels.file
        self._tasks = _Tasks(meta, context)
        self._scratch = Scratch()
        self._index = FrameIndex(path)
        self._track: _Track | None = None
        self._last: dict[int, int] = {}  # listed frame of each task
        self._headers: dict[int, tuple[str, str]] = {}
        self._owners: dict[tuple[str, str], str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._scratch.close()

    def begin(self, element: Element, number: int) -> None:
        """Start a track; the `number`-th of the file, from 1."""
        spot = self._file.at(f"track[{number}]")
        named = self._labels.of("track", element.get("label"), spot)
        self._track = None
        if named is not None:
            label = named[0]
            header = self._scratch.put([spot.pointer, label])
            self._track = _Track(spot, label, self._tasks.place_of(element), header)

    def add(self, element: Element) -> None:
        """Take one listed shape of the track."""
        track, tag = self._track, element.tag
        if track is None:  # it has no name, which was reported
            return
        track.counts[tag] = track.counts.get(tag, 0) + 1
        step = f"{tag}[{track.counts[tag]}]"
        spot = track.spot.at(step)
        if tag not in KINDS or tag == "tag":
            self._labels.report_element(tag, spot)
            return
        frame = whole_number(element.get("frame"))
        if frame is None or frame > MAX_FRAME:
            spot.report(
                "SRC044",
                f"the frame of {owner_of(tag, track.label)} is {described(element.get('frame'))}, "
                "a whole number was expected.",
            )
            return
        attributes = needed_attributes(tag, element.attrib)
        number = self._scratch.put([track.header, step, frame, attributes])
        hidden, drawn = _flags(element, spot, self._owner(tag, track.label))
        track.listed.append(frame, number, hidden=hidden, drawn=drawn)

    def end(self) -> None:
        """Finish the track."""
        track, self._track = self._track, None
        if track is None or not track.listed.frames:
            return
        frames, existing = track.listed.frames, self._tasks.existing(track.task)
        repeated = self._index.add(track.listed, existing, _TASK * track.task)
        if repeated is not None:
            track.spot.report(
                "SRC046",
                f"the track of {quoted(track.label)} lists frame {frames[repeated]} twice; the "
                "first listing is read.",
            )
        last = max(frames)
        self._last[track.task] = max(self._last.get(track.task, last), last)

    def records(self) -> Iterator[ImageRecord]:
        """One record per frame: every frame of the tasks that has a photograph, or shapes."""
        worked_on: Iterator[tuple[int, list[Shown]]] = ((key, []) for key in self._worked_on())
        merged = merge(self._index.frames(), worked_on, key=itemgetter(0))
        for key, found in groupby(merged, key=itemgetter(0)):
            record = self._record(key, [shown for _, several in found for shown in several])
            if record is not None:
                yield record

    def _worked_on(self) -> Iterator[int]:
        """Keys of the frames that somebody had before them, rising."""
        for place, task in enumerate(self._tasks.all):
            last = self._last.get(place, -1) if task.last is None else task.last
            existing = self._tasks.existing(place)
            yield from (frame + _TASK * place for frame in existing if frame <= last)

    def _record(self, key: int, shown: list[Shown]) -> ImageRecord | None:
        place, frame = divmod(key, _TASK)
        task = self._tasks.all[place]
        spot = self._file.at(f'track/*[@frame="{frame}"]')
        keys = self._tasks.photographs(place).keys.get(frame, ())
        if len(keys) > 1:
            spot.report("SRC002", f"several photographs are called {quoted(frame_name(frame))}.")
            return None
        placed = place_photograph(
            self._context.catalogue,
            keys[0] if keys else frame_name(frame),
            task.size,
            spot,
            habit="upright",
        )
        if placed is None:
            return None
        canvas = Canvas(placed.size)
        regions = (self._region(one, frame, task, canvas) for one in shown)
        return ImageRecord(
            image=placed.key,
            size=placed.size,
            frame=placed.frame,
            workers=task.people,
            regions=tuple(region for region in regions if region is not None),
            origin=Origin(spot.file, spot.pointer),
        )

    def _region(self, shown: Shown, frame: int, task: Task, canvas: Canvas) -> Region | None:
        header, step, begin, attributes = self._scratch.get(shown.number)
        pointer, label = self._header(header)
        spot = Spot(self._file.problems, self._file.file, f"{pointer}/{step}")
        tag = step.partition("[")[0]
        owner = self._owner(tag, label)
        drawing = drawing_from(tag, attributes, spot, owner)
        if drawing is None:
            return None
        if shown.later is not None:
            drawing = self._moved(drawing, shown.later, begin, frame)
        person = None if task.naming is None else task.naming.person
        order = order_from(attributes.get("z_order"), spot, owner)
        listing = Listing(label, owner, spot, person, order, shown.interpolated)
        return region_from(drawing, listing, canvas)

    def _moved(self, drawing: Drawing, later: int, begin: int, frame: int) -> Drawing:
        """What is shown on the way to a later listing."""
        _, step, end, attributes = self._scratch.get(later)
        right = drawing_from(step.partition("[")[0], attributes, SILENT, "")
        return between(drawing, right, (frame - begin) / (end - begin))

    def _header(self, number: int) -> tuple[str, str]:
        """Pointer and label of a track."""
        found = self._headers.get(number)
        if found is None:
            pointer, label = self._scratch.get(number)
            found = pointer, label
            if is_short(label):
                if len(self._headers) >= _REMEMBERED:
                    self._headers.clear()
                self._headers[number] = found
        return found

    def _owner(self, tag: str, label: str) -> str:
        """What messages call a shape."""
        found = self._owners.get((tag, label))
        if found is None:
            found = owner_of(tag, label)
            if is_short(label) and len(self._owners) < _REMEMBERED:
                self._owners[tag, label] = found
        return found


def _flags(element: Element, spot: Spot, owner: str) -> tuple[bool, bool]:
    """Whether the object leaves here, and whether somebody drew it here."""
    hidden = flag_from(element.attrib, "outside", spot, owner)
    if hidden is None and element.tag == "skeleton":
        joints = [child for child in element if child.tag in KINDS]
        hidden = bool(joints) and all(joint.get("outside") == "1" for joint in joints)
    return bool(hidden), flag_from(element.attrib, "keyframe", spot, owner) is not False
