"""When an object is there: from the frames a track lists to the frames it is shown on."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import NamedTuple

import numpy as np

from conceptset.errors import UnsafeError

NONE = 0xFFFFFFFF  # no later listing
MAX_FILLED = 20_000_000


class Listed:
    """The frames one track lists, in any order; 17 bytes for each.

    Attributes:
        frames: Their numbers.
        numbers: Where the shapes are kept.
        flags: 1 if the object leaves at this frame (`outside`), plus 2 if nobody drew it there
            (no `keyframe`).
    """

    __slots__ = ("flags", "frames", "numbers")

    def __init__(self) -> None:
        self.frames = array("q")
        self.numbers = array("q")
        self.flags = bytearray()

    def append(self, frame: int, number: int, *, hidden: bool, drawn: bool = True) -> None:
        """Take one more."""
        self.frames.append(frame)
        self.numbers.append(number)
        self.flags.append(hidden + 2 * (not drawn))

    def in_order(self) -> tuple[Sequence[int], int | None]:
        """Places of the listings by rising frame; that of the first that repeats a frame.

        Of one frame the first listing counts.
        """
        if all(one < other for one, other in pairwise(self.frames)):
            return range(len(self.frames)), None
        places: dict[int, int] = {}
        repeated = None
        for place, frame in enumerate(self.frames):
            if places.setdefault(frame, place) != place and repeated is None:
                repeated = place
        return [places[frame] for frame in sorted(places)], repeated


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

    def add(
        self, track: Listed, existing: Sequence[int], key: int = 0, until: int = -1
    ) -> int | None:
        """Enter the frames a track is shown on.

        From one listed frame to the next it is shown on every frame that exists between, unless it
        has left; behind the last one up to `until`.

        Args:
            track: What it lists.
            existing: Numbers of the frames that can be shown, rising.
            key: Added to the numbers of the frames.
            until: Frames behind it do not show a track that has not left.

        Returns:
            Place of the first listing that repeats a frame; None if there is none.

        Raises:
            UnsafeError: The tracks of the file are shown far more often than drawn.
        """
        order, repeated = track.in_order()
        for place, following in zip_longest(order, order[1:]):
            flags, frame = track.flags[place], track.frames[place]
            if flags & 1:
                continue
            number = track.numbers[place]
            self._enter(frame + key, number, NONE, flags >> 1)
            end = until + 1 if following is None else track.frames[following]
            if end <= frame + 1:
                continue
            later = NONE if following is None else track.numbers[following]
            first = bisect_right(existing, frame)
            gap = existing[first : bisect_left(existing, end, first)]
            self._filled += len(gap)
            if self._filled > MAX_FILLED:
                raise UnsafeError(
                    f"shows objects on more than {MAX_FILLED:,} frames for which nothing is listed",
                    path=self._path,
                    hint="Export fewer frames, or split the file.",
                )
            for between in gap:
                self._enter(between + key, number, later, 1)
        return repeated

    def _enter(self, key: int, number: int, later: int, interpolated: int) -> None:
        self._keys.append(key)
        self._numbers.append(number)
        self._later.append(later)
        self._interpolated.append(interpolated)

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
