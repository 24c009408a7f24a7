"""The figures of an image counted pixel by pixel, from their definitions: slow, plain, apart.

Maps are dense: of a segment map, 0 is unlabelled, -1 ignored, and n the n-th segment.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field

import numpy as np

from conceptset.consistency.material import AnnotatedImage, Segment
from conceptset.geometry import Rle, decode_counts, encode_counts, mask_to_counts, rle_to_mask


def segment(order, mask, concept=1, *, kind="region", category=0, z_order=0):
    return Segment(
        order, kind, concept, category, f"n{concept}", encode_counts(mask_to_counts(mask)), z_order
    )


def image(size, drawn, number=0):
    return AnnotatedImage(number, f"image{number}.jpg", size, drawn)


def painted(segments, size, overlap="area"):
    """The segment map (numbers are places in `segments`, from 1) of one annotator and category."""
    masks = [rle_to_mask(Rle(size, decode_counts(s.counts))) for s in segments]
    if overlap == "area":
        order = sorted(range(len(masks)), key=lambda n: (-masks[n].sum(), segments[n].order))
    else:
        order = sorted(range(len(masks)), key=lambda n: (segments[n].z_order, segments[n].order))
    canvas = np.zeros(size, dtype=int)
    for n in order:
        canvas[masks[n]] = n + 1 if segments[n].kind == "region" else -1
    return canvas


@dataclass
class Reference:
    """One pair in one image."""

    kinds: np.ndarray  # of every pixel
    matched: list
    renamed: set
    found_a: dict = field(default_factory=dict)
    found_b: dict = field(default_factory=dict)


def iou(one, other):
    union = int((one | other).sum())
    return int((one & other).sum()) / union if union else 0.0


def best_assignment(pairs):
    """One to one, largest total; by trying all (few segments only)."""
    best, chosen = -1.0, []

    def extend(rest, used_a, used_b, total, taken):
        nonlocal best, chosen
        if total > best:
            best, chosen = total, taken
        for n, (s, u, value) in enumerate(rest):
            if s not in used_a and u not in used_b:
                extend(rest[n + 1 :], used_a | {s}, used_b | {u}, total + value, [*taken, (s, u)])

    extend(pairs, frozenset(), frozenset(), 0.0, [])
    return chosen


def compare_pixels(map_a, map_b, names_a, names_b, t):
    """Sections 2 and 3, word by word; `names_a[n]` is the concept of segment n from 1."""
    valid = (map_a >= 0) & (map_b >= 0)
    segments_a = {n: (map_a == n) & valid for n in names_a if ((map_a == n) & valid).any()}
    segments_b = {n: (map_b == n) & valid for n in names_b if ((map_b == n) & valid).any()}
    pairs = [
        (s, u, value)
        for s, u in itertools.product(segments_a, segments_b)
        if (value := iou(segments_a[s], segments_b[u])) > t
    ]
    matched = best_assignment(pairs)
    label_a = np.vectorize(lambda n: names_a.get(n, 0))(map_a)
    label_b = np.vectorize(lambda n: names_b.get(n, 0))(map_b)
    renamed = {
        (c, d)
        for c, d in itertools.product(set(names_a.values()), set(names_b.values()))
        if c != d and iou((label_a == c) & valid, (label_b == d) & valid) > t
    }
    result = Reference(np.full(map_a.shape, 5), matched, renamed)
    turned = {(d, c) for c, d in renamed}
    for found, mine, theirs, names, others, label, pairs_of_names, side in (
        (result.found_a, segments_a, segments_b, names_a, names_b, label_b, renamed, 0),
        (result.found_b, segments_b, segments_a, names_b, names_a, label_a, turned, 1),
    ):
        for s, mask in mine.items():
            found[s] = s in [pair[side] for pair in matched] or any(
                others[u] == names[s] and (mask & other).sum() > t * min(mask.sum(), other.sum())
                for u, other in theirs.items()
            )
            found[s] = found[s] or any(
                c == names[s] and (mask & (label == d)).sum() > t * mask.sum()
                for c, d in pairs_of_names
            )
    for place in zip(*np.nonzero(valid), strict=True):
        s, u = int(map_a[place]), int(map_b[place])
        result.kinds[place] = kind_of(s, u, result, names_a, names_b)
    return result


def kind_of(s, u, result, names_a, names_b):
    if s == 0 and u == 0:
        return 0
    if s and u:
        if names_a[s] == names_b[u]:
            return 1
        if (s, u) in result.matched or (names_a[s], names_b[u]) in result.renamed:
            return 2
    if (s and not result.found_a[s]) or (u and not result.found_b[u]):
        return 3
    return 4


def partition(map_a, map_b):
    """Section 4.5 over valid pixels: covering of a by b, of b by a, Rand, VI, GCE, LCE."""
    valid = (map_a >= 0) & (map_b >= 0)
    a, b = map_a[valid], map_b[valid]
    n = len(a)
    cover = [
        sum(
            (x == s).sum() / n * max(iou(x == s, y == u) for u in set(y.tolist()))
            for s in set(x.tolist())
        )
        for x, y in ((a, b), (b, a))
    ]
    ab = [  # of every pixel
        ((a == s).sum(), (b == u).sum(), ((a == s) & (b == u)).sum())
        for s, u in zip(a, b, strict=True)
    ]
    pairs = set(zip(a.tolist(), b.tolist(), strict=True))
    joint = {(s, u): int(((a == s) & (b == u)).sum()) for s, u in pairs}
    x = [int((a == s).sum()) for s in set(a.tolist())]
    y = [int((b == u).sum()) for u in set(b.tolist())]
    squares = [sum(v * v for v in table) for table in (x, y, joint.values())]
    rand = 1 - (squares[0] / 2 + squares[1] / 2 - squares[2]) / (n * (n - 1) / 2)

    def entropy(table):
        return -sum(v / n * math.log2(v / n) for v in table)

    information = entropy(x) + entropy(y) - entropy(joint.values())
    vi = entropy(x) + entropy(y) - 2 * information
    error_a = [1 - shared / row for row, _, shared in ab]
    error_b = [1 - shared / column for _, column, shared in ab]
    gce = min(sum(error_a), sum(error_b)) / n
    lce = sum(map(min, error_a, error_b)) / n
    return (*cover, rand, vi, gce, lce)


def alpha_parts(values):
    """Coincidences by Krippendorff's recipe: `values` is one list of values for each unit."""
    same, totals = {}, {}
    for unit in values:
        if len(unit) < 2:
            continue
        for i, j in itertools.permutations(range(len(unit)), 2):
            totals[unit[i]] = totals.get(unit[i], 0) + 1 / (len(unit) - 1)
            if unit[i] == unit[j]:
                same[unit[i]] = same.get(unit[i], 0) + 1 / (len(unit) - 1)
    return same, totals


def erode(mask):
    """By a 3 x 3 square; outside the image nothing is set."""
    height, width = mask.shape
    kept = np.zeros_like(mask)
    for row, column in np.ndindex(mask.shape):
        rows = range(row - 1, row + 2)
        columns = range(column - 1, column + 2)
        kept[row, column] = all(
            0 <= r < height and 0 <= c < width and mask[r, c] for r in rows for c in columns
        )
    return kept
