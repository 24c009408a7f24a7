"""What can be seen of one annotator's segments in one label layer: no pixel belongs to two.

Masks are run lengths and stay run lengths: an image is one line of pixels, column after column, and
a layer is cut where what is seen changes. A photograph of a quarter of a million pixels has a few
thousand such pieces, which is why nothing here, nor what is counted later, touches single pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.material import Segment
from conceptset.errors import SourceError
from conceptset.geometry import IntArray

IGNORED = -1  # in maps: an abstention

_AT_ONCE = 4_000_000  # bounds the memory of hostile masks that overlap in very many runs


@dataclass(frozen=True, slots=True)
class Flat:
    """One layer of one annotator, flattened.

    Regions are numbered: 0 is unlabelled, 1 .. `count` the visible segments in drawing order, and
    `count + 1` is what is ignored.

    Attributes:
        size: (height, width).
        ends: (n,) int64, where each piece of the line of pixels (column-major) ends, ascending; the
            last is height * width.
        regions: (n,) int64, the region that is seen in each piece.
        concepts: (count + 1,) int64 by region, 0 for region 0.
        orders: (count + 1,) int64 by region, `Segment.order`; -1 for region 0.
        hidden: Segments of which nothing is seen.
    """

    size: tuple[int, int]
    ends: IntArray
    regions: IntArray
    concepts: IntArray
    orders: IntArray
    hidden: int = 0

    @property
    def count(self) -> int:
        """How many segments are visible."""
        return len(self.concepts) - 1

    def areas(self) -> IntArray:
        """Pixels of each region, (count + 2,) int64: unlabelled, the segments, ignored."""
        lengths = np.diff(self.ends, prepend=0)
        seen = np.bincount(self.regions, weights=lengths, minlength=self.count + 2)
        return seen.astype(np.int64)

    def segment_map(self) -> NDArray[np.int32]:
        """The region of every pixel, (height, width) int32; `IGNORED` where it abstains."""
        numbers = np.arange(self.count + 2, dtype=np.int32)
        numbers[-1] = IGNORED
        return self._painted(numbers)

    def label_map(self) -> NDArray[np.int32]:
        """The concept of every pixel, (height, width) int32; 0 unlabelled, `IGNORED` likewise."""
        return self._painted(np.append(self.concepts, IGNORED).astype(np.int32))

    def _painted(self, values: NDArray[np.int32]) -> NDArray[np.int32]:
        line = np.repeat(values[self.regions], np.diff(self.ends, prepend=0))
        return line.reshape(self.size[1], self.size[0]).T


class Runs(NamedTuple):
    """The runs of several masks, one mask after the other.

    Attributes:
        begins: (n,) int64 first pixel, column-major.
        ends: (n,) int64 pixel after the last.
        owners: (n,) int64 which mask.
    """

    begins: IntArray
    ends: IntArray
    owners: IntArray


def decode_runs(codes: Sequence[str], size: tuple[int, int]) -> Runs:
    """The runs of many compressed masks at once.

    `conceptset.geometry.decode_counts` for one code; here the arithmetic is shared by all of them,
    which is several times quicker for the short codes of ordinary segments.

    Args:
        codes: COCO's compressed run lengths.
        size: (height, width) that each of them must fill.

    Raises:
        ValueError: A code that is broken, or does not add up to the pixels of the image; its
            second argument is the place of the code.

    >>> decode_runs(["52203"], (4, 4)).begins.tolist()
    [5, 9]
    """
    raw = [code.encode("utf-8", errors="surrogatepass") for code in codes]
    numbers, owners = _decode_numbers(raw)
    per_code = np.bincount(owners, minlength=len(codes))
    places = np.arange(len(owners)) - np.repeat(np.cumsum(per_code) - per_code, per_code)
    # a difference to the number two places earlier: two sums side by side from the second on
    for parity in (1, 0):
        chain = np.flatnonzero((places % 2 == parity) & (places > 0))
        sums = np.cumsum(numbers[chain])
        links = np.bincount(owners[chain], minlength=len(codes))
        before = np.append(0, sums)[np.cumsum(links) - links]  # sum when the code begins
        numbers[chain] = sums - np.repeat(before, links)
    if len(numbers) and (numbers.min() < 0 or numbers.max() > size[0] * size[1]):
        wrong = np.flatnonzero((numbers < 0) | (numbers > size[0] * size[1]))[0]
        raise ValueError("a run is outside the image", int(owners[wrong]))
    total = np.bincount(owners, weights=numbers, minlength=len(codes))
    if (total != size[0] * size[1]).any():
        wrong = int(np.argmax(total != size[0] * size[1]))
        told = f"its runs add up to {int(total[wrong])}, not to {size[0]} x {size[1]} pixels"
        raise ValueError(told, wrong)
    stops = np.cumsum(numbers) - owners * (size[0] * size[1])
    chosen = (places % 2 == 1) & (numbers > 0)
    return Runs((stops - numbers)[chosen], stops[chosen], owners[chosen])


def _decode_numbers(raw: Sequence[bytes]) -> tuple[IntArray, IntArray]:
    """The stored numbers of all codes and the place of the code each belongs to."""
    code = np.frombuffer(b"".join(raw), dtype=np.uint8).astype(np.int64) - 48
    lengths = np.array([len(text) for text in raw], dtype=np.int64)
    owner = np.repeat(np.arange(len(raw)), lengths)
    if ((code < 0) | (code > 63)).any():
        wrong = int(np.argmax((code < 0) | (code > 63)))
        raise ValueError("a character is outside '0'..'o'", int(owner[wrong]))
    last = (code & 32) == 0
    closing = np.cumsum(lengths)[lengths > 0] - 1
    if not last[closing].all():
        raise ValueError(
            "it breaks off inside a number", int(owner[closing[np.argmin(last[closing])]])
        )
    ends = np.flatnonzero(last)
    begins = np.append(0, ends[:-1] + 1)[: len(ends)]
    digits = ends - begins + 1
    if len(digits) and digits.max() > 7:
        raise ValueError("a number is too long", int(owner[ends[np.argmax(digits > 7)]]))
    if len(ends) == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)
    shift = 5 * (np.arange(len(code)) - np.repeat(begins, digits))
    numbers = np.add.reduceat((code & 31) << shift, begins)
    negative = (code[ends] & 16) != 0
    numbers[negative] -= np.int64(1) << (5 * digits[negative])
    return numbers, owner[ends]


def flatten(
    segments: Sequence[Segment], size: tuple[int, int], overlap: Literal["area", "order"]
) -> Flat:
    """What is seen of one annotator's segments in one label layer.

    Larger ones are painted first, equal ones in drawing order; with `order`, the tool's own
    painting order decides. What is ignored is painted like anything else.

    Args:
        segments: All of one annotator, image and category.
        size: (height, width) of the image.
        overlap: The rule.

    Raises:
        SourceError: A mask that does not fill the image.
    """
    try:
        runs = decode_runs([segment.counts for segment in segments], size)
    except ValueError as error:
        told, place = error.args
        raise SourceError(
            f'the mask of drawing {segments[place].order} ("{segments[place].name}") cannot be '
            f"read: {told}",
            hint="All segments of an image must have the size of that image.",
        ) from error
    return _flatten_runs(segments, runs, size, overlap)


def _flatten_runs(
    segments: Sequence[Segment],
    runs: Runs,
    size: tuple[int, int],
    overlap: Literal["area", "order"],
) -> Flat:
    areas = np.bincount(runs.owners, weights=runs.ends - runs.begins, minlength=len(segments))
    first = areas if overlap == "area" else -np.array([s.z_order for s in segments], dtype=float)
    painting = sorted(range(len(segments)), key=lambda n: (-first[n], segments[n].order))
    ranks = np.zeros(len(segments), dtype=np.int64)
    ranks[painting] = np.arange(1, len(segments) + 1)
    marks = np.concatenate(([0, size[0] * size[1]], runs.begins, runs.ends))
    points, places = np.unique(marks, return_inverse=True)
    low, high = places[2:].reshape(2, -1)
    top = np.zeros(len(points) - 1, dtype=np.int64)
    for part in _parts(high - low):
        spans = high[part] - low[part]
        pieces = np.arange(spans.sum()) + np.repeat(low[part] - np.cumsum(spans) + spans, spans)
        np.maximum.at(top, pieces, np.repeat(ranks[runs.owners[part]], spans))
    return _numbered(segments, painting, points[1:], top, size)


def _parts(spans: IntArray) -> Iterator[slice]:
    """Slices of runs that together cover at most about `_AT_ONCE` pieces."""
    group = np.cumsum(spans) // _AT_ONCE
    cuts = np.flatnonzero(np.diff(group)) + 1
    bounds = [0, *cuts.tolist(), len(spans)]
    for begin, end in itertools.pairwise(bounds):
        yield slice(begin, end)


def _numbered(
    segments: Sequence[Segment],
    painting: Sequence[int],
    ends: IntArray,
    top: IntArray,
    size: tuple[int, int],
) -> Flat:
    """Regions in drawing order instead of ranks in painting order."""
    is_seen = np.bincount(top, minlength=len(segments) + 1) > 0
    drawn = [(segments[n], rank) for rank, n in enumerate(painting, start=1)]
    regions = [pair for pair in drawn if pair[0].kind == "region"]
    visible = sorted((s.order, rank, s.concept) for s, rank in regions if is_seen[rank])
    numbers = np.full(len(segments) + 1, len(visible) + 1, dtype=np.int64)
    numbers[0] = 0
    numbers[[rank for _, rank, _ in visible]] = np.arange(1, len(visible) + 1)
    seen = numbers[top]
    keep = np.append(seen[1:] != seen[:-1], True)
    return Flat(
        size=size,
        ends=ends[keep],
        regions=seen[keep],
        concepts=np.array([0, *(concept for _, _, concept in visible)], dtype=np.int64),
        orders=np.array([-1, *(order for order, _, _ in visible)], dtype=np.int64),
        hidden=len(regions) - len(visible),
    )
