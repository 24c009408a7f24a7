"""When an object is there: from the frames a track lists to the frames it is shown on."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from conceptset.errors import UnsafeError
from conceptset.geometry import BoolArray, IntArray

NONE = 0xFFFFFFFF  # no later listing
MAX_FILLED = 20_000_000


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """What one track lists, in any order.

    Attributes:
        frames: (n,) int64.
        hidden: (n,) bool, the object leaves at that frame (`outside`).
        drawn: (n,) bool, somebody drew it there (`keyframe`).
        numbers: (n,) int64, where the shapes are kept.
    """

    frames: IntArray
    hidden: BoolArray
    drawn: BoolArray
    numbers: IntArray


class Shown(NamedTuple):
    """One object on one frame.

    Attributes:
        number: Of the shape that is shown, or of the earlier one of two.
        later: Of the later one of two; None if the shape is listed, or holds on to the end.
        interpolated: Nobody drew it on this frame.
    """

    number: int
    later: int | None
    interpolated: bool


class FrameIndex:
    """Which shapes each frame shows: 17 bytes for each, until frames are asked for.

    Args:
        path: The file, for errors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._keys = array("q")
        self._numbers = array("I")
        self._later = array("I")
        self._interpolated = array("B")
        self._filled = 0

    def add(self, track: Listed, existing: IntArray, key: int = 0, until: int = -1) -> None:
        """Enter the frames a track is shown on.

        From one listed frame to the next it is shown on every frame that exists between, unless it
        has left; behind the last one up to `until`.

        Args:
            track: No frame comes twice.
            existing: (n,) int64, the frames of the task that have a photograph, rising.
            key: Added to the numbers of the frames.
            until: Frames behind it do not show a track that has not left.

        Raises:
            UnsafeError: The tracks of the file are shown far more often than drawn.
        """
        order = np.argsort(track.frames, kind="stable")
        frames, numbers = track.frames[order], track.numbers[order]
        shown = ~track.hidden[order]
        self._enter(
            frames[shown] + key,
            numbers[shown],
            np.full(int(shown.sum()), NONE),
            ~track.drawn[order][shown],
        )
        ends = np.append(frames[1:], max(until + 1, int(frames[-1]) + 1))
        later = np.append(numbers[1:], NONE)
        first = np.searchsorted(existing, frames, side="right")
        counts = np.where(shown, np.searchsorted(existing, ends, side="left") - first, 0).clip(0)
        self._filled += int(counts.sum())
        if self._filled > MAX_FILLED:
            raise UnsafeError(
                f"shows objects on more than {MAX_FILLED:,} frames for which nothing is listed",
                path=self._path,
                hint="Export fewer frames, or split the file.",
            )
        gaps = np.flatnonzero(counts)
        counts, first = counts[gaps], first[gaps]
        places = np.arange(counts.sum()) + np.repeat(first - np.cumsum(counts) + counts, counts)
        self._enter(
            existing[places] + key,
            np.repeat(numbers[gaps], counts),
            np.repeat(later[gaps], counts),
            np.ones(len(places), dtype=bool),
        )

    def _enter(
        self, keys: IntArray, numbers: IntArray, later: IntArray, interpolated: BoolArray
    ) -> None:
        self._keys.frombytes(keys.astype(np.int64).tobytes())
        self._numbers.frombytes(numbers.astype(np.uint32).tobytes())
        self._later.frombytes(later.astype(np.uint32).tobytes())
        self._interpolated.frombytes(interpolated.astype(np.uint8).tobytes())

    def frames(self) -> Iterator[tuple[int, list[Shown]]]:
        """(frame plus key, what it shows in the order it was entered), rising."""
        keys = np.frombuffer(self._keys, dtype=np.int64)
        order = np.argsort(keys, kind="stable")
        ranked = keys[order]
        starts = np.flatnonzero(np.diff(ranked, prepend=-1)).tolist()
        for start, stop in pairwise([*starts, len(order)]):
            yield int(ranked[start]), [self._shown(place) for place in order[start:stop].tolist()]

    def _shown(self, place: int) -> Shown:
        later = self._later[place]
        return Shown(
            self._numbers[place],
            None if later == NONE else later,
            bool(self._interpolated[place]),
        )


def without_repeats(frames: IntArray) -> tuple[IntArray, int | None]:
    """Places of the first listing of each frame, in order, and that of the first repetition.

    >>> without_repeats(np.array([4, 2, 4, 9]))
    (array([0, 1, 3]), 2)
    """
    _, first = np.unique(frames, return_index=True)
    first.sort()
    if len(first) == len(frames):
        return first, None
    kept = np.zeros(len(frames), dtype=bool)
    kept[first] = True
    return first, int(np.argmin(kept))
