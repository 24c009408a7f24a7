"""A layer in two consecutive runs: which concepts came and went, and what became of each unit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from conceptset.consistency.intervals import percentile_interval
from dissect.compare.columns import Column
from dissect.compare.document import Step
from dissect.compare.reading import Concept


def compare_pair(before: Column, after: Column) -> Step:
    """What changed from one run to the next.

    Units are matched by number where both layers are the same place of one architecture. That
    alone does not make them the same units: two trainings from different seeds share nothing but
    the numbers. `kept_by_chance` tells the two apart.
    """
    old, new = before.table.labels(), after.table.labels()
    was, now = set(filter(None, old)), set(filter(None, new))
    low, high = _bound_change(before, after)
    matched = before.matches(after)
    return Step(
        before=before.place,
        after=after.place,
        detectors=after.record.detectors.detectors - before.record.detectors.detectors,
        low=low,
        high=high,
        appeared=tuple(name for name, _ in sorted(now - was)),
        vanished=tuple(name for name, _ in sorted(was - now)),
        matched=matched,
        kept=_count(old, new, kind="kept") if matched else None,
        kept_by_chance=expect_kept(old, new) if matched else None,
        renamed=_count(old, new, kind="renamed") if matched else None,
        gained=_count(old, new, kind="gained") if matched else None,
        lost=_count(old, new, kind="lost") if matched else None,
    )


def kind_of(before: Concept | None, after: Concept | None) -> str:
    """What became of a unit: kept, renamed, gained, lost, or `none` (no detector in either).

    >>> kind_of(("cow", "object"), ("sheep", "object"))
    'renamed'
    """
    if before is None:
        return "none" if after is None else "gained"
    if after is None:
        return "lost"
    return "kept" if before == after else "renamed"


def _count(old: Sequence[Concept | None], new: Sequence[Concept | None], *, kind: str) -> int:
    return sum(kind_of(a, b) == kind for a, b in zip(old, new, strict=True))


def expect_kept(old: Sequence[Concept | None], new: Sequence[Concept | None]) -> float:
    """How many units keep their concept on average over all orders of the second run's units.

    A unit has the concept c before with a share n1(c) / units and after, independently, with a
    share n2(c) / units: the sum over concepts of n1(c) n2(c) / units.

    >>> expect_kept([("a", "x"), ("a", "x"), None, None], [("a", "x"), None, None, None])
    0.5
    """
    before = Counter(filter(None, old))
    after = Counter(filter(None, new))
    return sum(number * after[concept] for concept, number in before.items()) / len(old)


def _bound_change(before: Column, after: Column) -> tuple[float | None, float | None]:
    """The interval of the difference, within each resample; None where they saw other labels."""
    a, b = before.samples, after.samples
    if not len(a.counts) or not len(b.counts) or a.basis != b.basis:
        return None, None
    interval = percentile_interval(
        (b.counts - a.counts).astype(np.float64), images=before.member.run.counts.images
    )
    return interval.low, interval.high
