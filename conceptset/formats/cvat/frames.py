"""The photographs of a video's frames: `frame_000010.png`, in any folder below the root."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from pathlib import PurePosixPath

from conceptset.formats.cvat.meta import Task
from conceptset.io.catalogue import ImageCatalogue

_STEM = re.compile(r"frame_([0-9]{6}|[1-9][0-9]{6,8})\.[^.]+")
SUFFIXES = (".PNG", ".png", ".jpg", ".jpeg", ".JPG")  # CVAT writes the first


@dataclass(frozen=True, slots=True)
class Frames:
    """The frames that have a photograph.

    Attributes:
        keys: Keys of the photographs of each frame, by number; more than one if it is ambiguous.
    """

    keys: Mapping[int, tuple[str, ...]]

    def of_task(self, task: Task) -> list[int]:
        """Numbers of the frames of a task that have a photograph, rising.

        Where nothing says which is its last frame, all that follow the first one.
        """
        end = inf if task.last is None else task.last
        return sorted(
            number
            for number in self.keys
            if task.first <= number <= end and (number - task.first) % task.step == 0
        )


def frames_of(catalogue: ImageCatalogue, subset: str, beside: str) -> Frames:
    """The frames below the root of a catalogue.

    Where several photographs have one frame's name, those in a folder called like the subset are
    meant, else those below the folder of the annotation file.
    """
    found: dict[int, list[str]] = {}
    for name, keys in catalogue.by_last_name().items():
        match = _STEM.fullmatch(name)
        if match:
            found.setdefault(int(match[1]), []).extend(keys)
    return Frames({number: _meant(keys, subset, beside) for number, keys in found.items()})


def _meant(keys: list[str], subset: str, beside: str) -> tuple[str, ...]:
    if len(keys) > 1 and subset:
        keys = [key for key in keys if PurePosixPath(key).parent.name == subset] or keys
    if len(keys) > 1 and beside:
        keys = [key for key in keys if key.startswith(f"{beside}/")] or keys
    return tuple(keys)


def frame_name(number: int) -> str:
    """What CVAT calls the photograph of a frame, without its ending.

    >>> frame_name(10)
    'frame_000010'
    """
    return f"frame_{number:06d}"
