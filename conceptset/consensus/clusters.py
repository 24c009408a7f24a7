"""Segments of several annotators that are one thing, and the labels that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from conceptset.consensus.ballots import (
    ABSTAINED,
    Ballots,
    cast_ballots,
    count_equal,
    rank_values,
)
from conceptset.consensus.votes import Decision, Unnamed, Votes
from conceptset.geometry import BoolArray, IntArray

THRESHOLD = 0.5  # IoU above which two segments are one thing
_NOTHING = -1  # no segment here
_SILENT = -2  # abstains here


@dataclass(frozen=True, slots=True)
class Clusters:
    """Things that were drawn in one image, each by some of its annotators.

    Attributes:
        names: (clusters, annotators) int32, the label that each gave it; 0: did not draw it.
        cells: (ballots, annotators) int32, the cluster that each has there, or a negative value.
        counts: (ballots,) pixels.
        of_pixel: (height, width), the ballot of each pixel.
    """

    names: NDArray[np.int32]
    cells: NDArray[np.int32]
    counts: IntArray
    of_pixel: IntArray

    @property
    def sizes(self) -> IntArray:
        """(clusters,) annotators who drew it."""
        drawn: IntArray = (self.names > 0).sum(axis=1)
        return drawn


def cluster_segments(votes: Votes) -> Clusters:
    """Find which segments of different annotators are one thing.

    Pairs of different annotators with an IoU above 0.5 are joined in the order of falling IoU
    (equal ones in the order of annotators, then of segments) as long as a cluster holds at most one
    segment of each annotator. Pixels that either of a pair ignores are not counted for it. A
    segment without a pixel that its annotator does not ignore is none.

    O(annotators * pixels) for the ballots, then O(annotators² * (ballots + segments²)).
    """
    numbers, labels = _number_segments(votes)
    starts = np.cumsum([0, *map(len, labels)])
    owners = np.repeat(np.arange(len(labels)), np.diff(starts))
    ballots = cast_ballots(Votes(numbers, votes.abstained))
    pairs = sorted(_overlaps(ballots, ballots.counts, starts.tolist()))
    groups = join_segments(owners.tolist(), ((s, u) for _, s, u in pairs))
    group = np.empty(len(owners), dtype=np.int64)
    for place, members in enumerate(groups):
        group[members] = place
    names = np.zeros((len(groups), len(votes.labels)), dtype=np.int32)
    names[group, owners] = np.concatenate(labels)
    choices = ballots.choices
    segments = np.where(choices > 0, choices - 1 + starts[:-1], -1)
    cells = np.where(choices == ABSTAINED, _SILENT, np.append(group, _NOTHING)[segments])
    return Clusters(names, cells.astype(np.int32), ballots.counts, ballots.of_pixel)


def _number_segments(votes: Votes) -> tuple[NDArray[np.int32], list[NDArray[np.int32]]]:
    """Maps of each annotator's segments, numbered from 1, and the labels of those."""
    numbers = np.empty(votes.labels.shape, dtype=np.int32)
    found = []
    shown = (votes.labels != 0) & ~votes.abstained
    source = votes.labels if votes.segments is None else votes.segments
    for annotator, (own, here) in enumerate(zip(source, shown, strict=True)):
        ranks, kept = rank_values(np.where(here, own, 0))
        missing = int(kept[0] > 0)  # nothing is left unlabelled
        numbers[annotator] = ranks + missing
        labels = np.zeros(len(kept) + missing, dtype=np.int32)
        labels[numbers[annotator]] = votes.labels[annotator]
        found.append(labels[1:])
    return numbers, found


def _overlaps(
    ballots: Ballots, counts: IntArray, starts: list[int]
) -> Iterator[tuple[float, int, int]]:
    """(-IoU, segment, segment) of all pairs above the threshold, numbered through all annotators.

    Args:
        ballots: Of the segments.
        counts: Pixels of each ballot.
        starts: The number of each annotator's first segment, and how many there are.
    """
    everybody = np.ascontiguousarray(ballots.choices.T, dtype=np.int64)
    pixels = counts.astype(float)
    silent = (everybody == ABSTAINED).any(axis=1)
    for b, right in enumerate(everybody):
        for a, left in enumerate(everybody[:b]):
            height, width = starts[a + 1] - starts[a] + 1, starts[b + 1] - starts[b] + 1
            codes, weights = left * width + right, pixels
            if silent[a] or silent[b]:
                valid = (left != ABSTAINED) & (right != ABSTAINED)
                codes, weights = codes[valid], pixels[valid]
            table = np.bincount(codes, weights, height * width).reshape(height, width)
            total = table.sum(axis=1)[1:, np.newaxis] + table.sum(axis=0)[1:]
            shared = table[1:, 1:]
            for s, u in np.argwhere(shared > THRESHOLD * (total - shared)).tolist():
                iou = shared[s, u] / (total[s, u] - shared[s, u])
                yield -float(iou), starts[a] + s, starts[b] + u


def join_segments(owners: Sequence[int], pairs: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Groups of segments, at most one of each annotator, by joining one pair after the other.

    A pair whose groups both hold a segment of the same annotator is passed over.

    Args:
        owners: The annotator of each segment.
        pairs: Places of two segments in `owners`, those to be joined first in front.

    Returns:
        The places of each group, first those of the group that the first of a pair was in.

    >>> join_segments([0, 0, 1, 2], [(1, 2), (0, 2), (2, 3)])
    [[0], [1, 2, 3]]
    """
    group = list(range(len(owners)))
    members = [[segment] for segment in group]
    drawn_by = [1 << owner for owner in owners]
    for first, second in pairs:
        one, other = group[first], group[second]
        if one == other or drawn_by[one] & drawn_by[other]:
            continue
        joined = members[one] + members[other]
        if len(members[one]) < len(members[other]):
            one, other = other, one
        for segment in members[other]:
            group[segment] = one
        members[one] = joined
        drawn_by[one] |= drawn_by[other]
    return [members[place] for place in sorted(set(group))]


def labels_of(clusters: Clusters, names: NDArray[np.int32]) -> Decision:
    """The labels of the pixels from those of the clusters.

    A cluster exists if more than half of the annotators drew it; who did not and ignores more than
    half of its pixels is not asked. Its pixels are those in more than half of its segments; where
    several claim a pixel, the one with more votes there has it. A pixel of none is unlabelled if
    most of those who vote there left it so; else, as where clusters tie or have no name, there is
    no consensus.

    Args:
        clusters: Of the image.
        names: (clusters,) int32, the label of each, 0 for no consensus on it.
    """
    cells = clusters.cells
    values, members = count_equal(cells)
    members[values < 0] = 0
    cluster = np.where(values < 0, len(names), values)  # none is the one after the last
    covers = (2 * members > _voting_members(clusters, cluster)) & (members > 0)
    areas = np.zeros(len(names), dtype=np.int64)
    ballot, place = np.nonzero(covers)
    np.add.at(areas, cluster[ballot, place], clusters.counts[ballot])
    exists = _exist(clusters, areas, cluster[ballot, place], ballot)
    claims = np.where(covers & np.append(exists, False)[cluster], members, 0)
    best = claims.max(axis=1, initial=0)
    leads = (claims == best[:, np.newaxis]) & (claims > 0)
    named = np.append(names, 0)[cluster]
    label = np.where(leads, named, 0).max(axis=1, initial=0)
    wins = (best > 0) & (label > 0) & (~leads | (named == label[:, np.newaxis])).all(axis=1)
    left_so, voters = (cells == _NOTHING).sum(axis=1), (cells != _SILENT).sum(axis=1)
    unlabelled = (best == 0) & (2 * left_so > voters)
    decided = np.where(wins, label, 0).astype(np.int32)
    unclear = ~(wins | unlabelled)
    unnamed = tuple(
        Unnamed(_tally(clusters.names[place]), int(areas[place]))
        for place in np.flatnonzero(exists & (names == 0)).tolist()
    )
    return Decision(decided[clusters.of_pixel], unclear[clusters.of_pixel], unnamed)


def _voting_members(clusters: Clusters, cluster: NDArray[np.integer[Any]]) -> IntArray:
    """How many of those who drew a cluster have a vote where a ballot names it."""
    sizes: IntArray = np.append(clusters.sizes, 0)[cluster]
    silent = clusters.cells == _SILENT
    some = np.flatnonzero(silent.any(axis=1))
    if some.size:
        drawn = np.pad(clusters.names > 0, ((0, 1), (0, 0))).astype(np.float32)
        missing = silent[some].astype(np.float32) @ drawn.T
        sizes[some] -= np.take_along_axis(missing, cluster[some], axis=1).astype(int)
    return sizes


def _exist(
    clusters: Clusters, areas: IntArray, claimed: NDArray[np.integer[Any]], ballot: IntArray
) -> BoolArray:
    """Whether enough people drew each cluster."""
    ignored = np.zeros(clusters.names.shape, dtype=np.int64)
    silent = clusters.cells[ballot] == _SILENT
    some = silent.any(axis=1)
    pixels = clusters.counts[ballot[some], np.newaxis] * silent[some]
    np.add.at(ignored, claimed[some], pixels)
    excused = (clusters.names == 0) & (2 * ignored > areas[:, np.newaxis])
    exists: BoolArray = 2 * clusters.sizes > clusters.names.shape[1] - excused.sum(axis=1)
    return exists


def _tally(names: NDArray[np.int32]) -> tuple[tuple[int, int], ...]:
    labels, votes = np.unique(names[names > 0], return_counts=True)
    return tuple(sorted(zip(labels.tolist(), votes.tolist(), strict=True), key=lambda x: -x[1]))
