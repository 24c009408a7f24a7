"""The colours of one mask image: which there are, where some of their pixels lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conceptset.errors import ConceptsetError
from conceptset.geometry import CodedMask, FloatArray, IntArray
from conceptset.io.images import decode_stored
from conceptset.parsing.defects import Spot
from conceptset.parsing.mask_files import find_mask, mask_header

MAX_COLOURS = 1 << 12  # B has 255 values; many more colours are noise, not objects
_MISSING = (
    "Put the mask beside its photograph: NAME_seg.png for objects, NAME_parts_1.png and so on "
    "for parts."
)


def class_of(code: int) -> int:
    """The class of a colour R + 256 G + 65536 B; 0 is no object.

    >>> class_of(110 + 256 * 20 + 65536 * 120)
    2836
    """
    return (code & 255) // 10 * 256 + (code >> 8 & 255)


@dataclass(frozen=True, slots=True, eq=False)
class LevelMask:
    """One mask image.

    Attributes:
        path: The PNG.
        codes: (height, width) int64, R + 256 G + 65536 B.
        colours: Codes of objects that occur, by rising B.
        pixels: How many pixels each has.
    """

    path: Path
    codes: IntArray
    colours: tuple[int, ...]
    pixels: dict[int, int]
    _runs: tuple[IntArray, IntArray, IntArray]

    def shape(self, code: int) -> CodedMask:
        """The pixels of a colour."""
        height, width = self.codes.shape
        return CodedMask(self.path, code, (height, width))

    def sample(self, code: int, count: int) -> IntArray:
        """At most `count` places of a colour, spread evenly, as indices into the flat image."""
        values, starts, lengths = self._runs
        mine = np.flatnonzero(values == code)
        ends = np.cumsum(lengths[mine])
        wanted = np.unique(np.linspace(0, ends[-1] - 1, count).astype(np.int64))
        run = np.searchsorted(ends, wanted, side="right")
        places: IntArray = starts[mine][run] + wanted - (ends[run] - lengths[mine][run])
        return places

    def centres(self, places: IntArray) -> FloatArray:
        """The centres of pixels, (n, 2) float64 of x, y."""
        row, column = np.divmod(places, self.codes.shape[1])
        return np.stack([column, row], axis=1) + 0.5


def level_mask(path: Path, codes: IntArray) -> LevelMask:
    """The colours of decoded codes.

    Raises:
        ValueError: There are more than any image can hold.
    """
    flat = codes.ravel()
    starts = np.flatnonzero(np.diff(flat, prepend=-1))
    values = flat[starts]
    lengths = np.diff(starts, append=flat.size)
    found, place = np.unique(values, return_inverse=True)
    if len(found) > MAX_COLOURS:
        raise ValueError(f"has {len(found)} colours, at most {MAX_COLOURS} were expected")
    counted = np.bincount(place.ravel(), weights=lengths).astype(np.int64)
    pixels = dict(zip(found.tolist(), counted.tolist(), strict=True))
    colours = sorted(
        (code for code in pixels if class_of(code)), key=lambda code: (code >> 16, code)
    )
    return LevelMask(path, codes, tuple(colours), pixels, (values, starts, lengths))


def read_level(name: str, root: Path, size: tuple[int, int], spot: Spot) -> LevelMask | None:
    """The mask image called `name`, which must have the size of its image; None after a report."""
    path = find_mask(name, [root], spot, hint=_MISSING)
    if path is None or mask_header(path, name, size, ("RGB",), spot) is None:
        return None
    try:
        _, pixels = decode_stored(path)
        red, green, blue = (pixels[..., channel].astype(np.int64) for channel in range(3))
        return level_mask(path, red + 256 * green + 65536 * blue)
    except (ConceptsetError, ValueError) as error:
        said = error.message if isinstance(error, ConceptsetError) else str(error)
        spot.report("SRC026", f"the mask {said}.")
        return None


def below(part: LevelMask, code: int, whole: LevelMask, among: Sequence[int]) -> int | None:
    """The colour of `whole`, of those given, that most of a part lies on; None without any."""
    places = part.sample(code, 256)
    found, counts = np.unique(whole.codes.ravel()[places], return_counts=True)
    votes = dict(zip(found.tolist(), counts.tolist(), strict=True))
    best = max(among, key=lambda other: votes.get(other, 0), default=None)
    return best if best is not None and votes.get(best, 0) else None
