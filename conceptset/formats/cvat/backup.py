"""Records from JSON annotations: shapes with the number of their frame, tracks with keyframes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from conceptset.errors import UnsafeError
from conceptset.formats.base import ReadContext
from conceptset.formats.cvat.bundle import Bundle, Frame, Job
from conceptset.formats.cvat.drawing import NOTHING, Canvas, Drawing, between
from conceptset.formats.cvat.elements import order_from
from conceptset.formats.cvat.entries import KINDS, drawing_from
from conceptset.formats.cvat.regions import NAME_IT, SILENT, Labels, Listing, owner_of, region_from
from conceptset.formats.cvat.tracks import FrameIndex, Listed
from conceptset.io.catalogue import NotFound
from conceptset.parsing.defects import Spot
from conceptset.parsing.photographs import Placed, first_found, place_photograph
from conceptset.parsing.values import canonical_id, clean_name, described, quoted, whole_number
from conceptset.records import ImageRecord, Origin, Region

_JOB = "annotation"
_TASK = re.compile(r"task_[0-9]+")
_NOWHERE = "which is in no job or has no image"


class _Entry(NamedTuple):
    """A shape or tag of one frame.

    Attributes:
        frame: Its number.
        label: What it is called.
        spot: Where it stands.
        entry: As it stands there; None for a tag.
    """

    frame: int
    label: str
    spot: Spot
    entry: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class _Shown:
    """An entry on one frame, with the later one it moves to."""

    frame: int
    entry: _Entry
    later: _Entry | None = None
    interpolated: bool = False


def read_bundle(
    bundle: Bundle, context: ReadContext, label: str, folder: str
) -> Iterator[ImageRecord]:
    """One record per frame that some job is about, in order.

    Args:
        bundle: The annotations and what they refer to.
        context: What the reader was handed.
        label: How messages call the file of annotations.
        folder: How messages call the folder that files are named relative to; with a slash.

    Raises:
        AnnotationError: A bad annotation, under the policy `raise`.
    """
    reader = _Reader(bundle, context, label)
    listing = Spot(context.problems, f"{folder}{bundle.listing}")
    if bundle.video:
        listing.report("SRC048", f"the task is about {quoted(bundle.video)}, not about images.")
        return
    for number, frame in reader.gather().items():
        image = bundle.frames[number]
        if image is not None:
            record = reader.record(image, frame, listing)
            if record is not None:
                yield record
                context.progress(1)


class _Reader:
    """Reads the jobs of one task."""

    def __init__(self, bundle: Bundle, context: ReadContext, label: str) -> None:
        self._bundle = bundle
        self._context = context
        self._file = Spot(context.problems, label)
        self._labels = Labels(self._file)
        self._count = len(bundle.frames)

    def gather(self) -> dict[int, list[_Shown]]:
        """What each frame shows that somebody had before them, by rising number."""
        shown: dict[int, list[_Shown]] = {}
        seen: set[int] = set()
        for job in self._bundle.jobs:
            spot = Spot(self._file.problems, self._file.file, job.pointer)
            if job.kind != _JOB:
                spot.report("SRC047", f"the job is of the type {quoted(job.kind)}.")
                continue
            frames = self._frames_of(job)
            common = seen.intersection(frames)
            if common:
                spot.report(
                    "SRC049", f"{len(common)} frames, such as {min(common)}, are in two jobs."
                )
            seen.update(frames)
            for frame in frames:
                shown.setdefault(frame, [])
            self._take_single(job, spot, shown)
            self._take_tracks(job, spot, frames, shown)
        return dict(sorted(shown.items()))

    def _frames_of(self, job: Job) -> list[int]:
        """The frames of a job that are still there, rising."""
        frames = range(self._count) if job.frames is None else job.frames
        if isinstance(frames, range):
            frames = range(frames.start, min(frames.stop, self._count))
        return [n for n in frames if n < self._count and n not in self._bundle.deleted]

    def _take_single(self, job: Job, spot: Spot, shown: dict[int, list[_Shown]]) -> None:
        for key in ("tags", "shapes"):
            for place, value in enumerate(job.entry.get(key, [])):
                here = spot.at(key, place)
                noun = "the tag" if key == "tags" else "the shape"
                if not isinstance(value, dict):
                    here.report("SRC015", f"{noun} is {described(value)}, not an object.")
                    continue
                frame = self._frame(value, here, noun)
                label = None if frame is None else self._label(value, here, noun)
                if frame is None or label is None or frame in self._bundle.deleted:
                    continue
                if frame not in shown:
                    here.report("SRC044", f"{noun} is on frame {frame}, {_NOWHERE}.")
                elif key == "tags":
                    shown[frame].append(_Shown(frame, _Entry(frame, label, here, None)))
                elif self._is_known(value, here) and value.get("outside") is not True:
                    shown[frame].append(_Shown(frame, _Entry(frame, label, here, value)))

    def _take_tracks(
        self, job: Job, spot: Spot, frames: list[int], shown: dict[int, list[_Shown]]
    ) -> None:
        index = FrameIndex(Path(self._file.file))
        entries: list[_Entry] = []
        for place, track in enumerate(job.entry.get("tracks", [])):
            here = spot.at("tracks", place)
            if not isinstance(track, dict) or not isinstance(track.get("shapes"), list):
                here.report("SRC015", f"the track is {described(track)}, with no list of shapes.")
                continue
            label = self._label(track, here, "the track")
            if label is not None:
                self._enter(track["shapes"], label, here, entries, index, frames)
        for number, several in index.frames():
            for one in several:
                entry = entries[one.number]
                later = None if one.later is None else entries[one.later]
                if number in shown:
                    shown[number].append(_Shown(number, entry, later, one.interpolated))
                elif number not in self._bundle.deleted:
                    entry.spot.report("SRC044", f"the shape is on frame {number}, {_NOWHERE}.")

    def _enter(
        self,
        shapes: list[Any],
        label: str,
        spot: Spot,
        entries: list[_Entry],
        index: FrameIndex,
        existing: list[int],
    ) -> None:
        """Enter the frames that one track is shown on."""
        listed = Listed()
        for place, value in enumerate(shapes):
            here = spot.at("shapes", place)
            if not isinstance(value, dict):
                here.report("SRC015", f"the shape is {described(value)}, not an object.")
                continue
            frame = self._frame(value, here, "the shape")
            if frame is not None and self._is_known(value, here):
                listed.append(frame, len(entries), hidden=_is_hidden(value))
                entries.append(_Entry(frame, label, here, value))
        repeated = index.add(listed, existing, until=existing[-1] if existing else -1)
        if repeated is not None:
            entry = entries[listed.numbers[repeated]]
            entry.spot.report(
                "SRC046", f"the track of {quoted(label)} has frame {entry.frame} twice."
            )

    def _frame(self, value: dict[str, Any], spot: Spot, noun: str) -> int | None:
        """The number of a frame; None after a report."""
        frame = whole_number(value.get("frame"))
        if frame is None:
            spot.report(
                "SRC044",
                f"the frame of {noun} is {described(value.get('frame'))}, a whole number was "
                "expected.",
            )
        return frame

    def _label(self, value: dict[str, Any], spot: Spot, noun: str) -> str | None:
        """What something is called; None after a report."""
        if "label" in value:
            name, said = clean_name(value["label"]), f"the label {described(value['label'])}"
        else:
            number = value.get("label_id")
            name = self._bundle.labels.get(canonical_id(number) or "")
            said = f"the label_id {described(number)}"
        if name is None:
            spot.report("SRC010", f"{noun} has {said}, a known label was expected.", hint=NAME_IT)
        return name

    def _is_known(self, value: dict[str, Any], spot: Spot) -> bool:
        """Whether the type of a shape is known."""
        kind = value.get("type")
        if isinstance(kind, str) and kind in KINDS:
            return True
        self._labels.report_element(kind if isinstance(kind, str) else described(kind), spot)
        return False

    def record(self, image: Frame, shown: list[_Shown], listing: Spot) -> ImageRecord | None:
        """The record of a frame; None after a report."""
        spot = listing.at(*image.pointer.split("/")[1:])
        if image.line is not None:
            spot = spot.on_line(image.line)
        placed = self._place(image, spot)
        if placed is None:
            return None
        canvas = Canvas(placed.size)
        regions = (_region(one, canvas) for one in shown)
        return ImageRecord(
            image=placed.key,
            size=placed.size,
            frame=placed.frame,
            workers=(),
            regions=tuple(region for region in regions if region is not None),
            origin=Origin(spot.file, spot.pointer or f"line {image.line}"),
        )

    def _place(self, image: Frame, spot: Spot) -> Placed | None:
        """The photograph where the backup has it, else by its name alone."""
        task, media = self._bundle.folder, self._bundle.media
        catalogue, beside = self._context.catalogue, self._context.beside
        names = (f"{task}{media}{image.name}", f"{task}{image.name}", image.name)
        name = first_found(catalogue, names, beside)
        try:
            found = catalogue.locate(name, beside)
        except UnsafeError:  # it is reported below
            found = NotFound.MISSING
        folders = PurePosixPath(found).parts[:-1] if isinstance(found, str) else ()
        if task and any(_TASK.fullmatch(one) and f"{one}/" != task for one in folders):
            spot.report(
                "SRC001",
                f"the photograph {quoted(names[0])} does not exist; that of another task is not "
                "taken.",
            )
            return None
        return place_photograph(catalogue, name, image.size, spot, beside=beside, habit="upright")


def _region(shown: _Shown, canvas: Canvas) -> Region | None:
    """The region of an entry; None after a report."""
    _, label, spot, value = shown.entry
    if value is None:
        owner, drawing = owner_of("tag", label), Drawing("tag", NOTHING)
        return region_from(drawing, Listing(label, owner, spot, None), canvas)
    owner = owner_of(value["type"], label)
    found = drawing_from(value, spot, owner)
    if found is None:
        return None
    if shown.later is not None and shown.later.entry is not None:
        begin, end = shown.entry.frame, shown.later.frame
        right = drawing_from(shown.later.entry, SILENT, "")
        found = between(found, right, (shown.frame - begin) / (end - begin))
    order = order_from(value.get("z_order"), spot, owner)
    listing = Listing(label, owner, spot, None, order, shown.interpolated)
    return region_from(found, listing, canvas)


def _is_hidden(value: dict[str, Any]) -> bool:
    """Whether the object leaves at this frame; a skeleton does when all its joints do."""
    joints = value.get("elements")
    if value.get("type") == "skeleton" and "outside" not in value and isinstance(joints, list):
        return bool(joints) and all(
            isinstance(joint, dict) and joint.get("outside") is True for joint in joints
        )
    return value.get("outside") is True
