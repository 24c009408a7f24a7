"""What verdicts rest on, and which of many claims survive that so many were looked at.

A claim is a difference with all its resamples. It is made only if the percentile interval of the
difference excludes nothing-at-all, if it is large enough to be worth a talk, and if it survives
the procedure of Benjamini and Hochberg (1995) over all claims that were tried: of two hundred
equal annotators a few would stand out by chance alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from conceptset.consistency.counts import Counts
from conceptset.consistency.document import PairEntry, Verdict
from conceptset.consistency.figures.estimates import Estimate, MeanOver, ratio, to_figures
from conceptset.consistency.figures.grouping import GroupedCounts, PairCounts
from conceptset.consistency.figures.report import Entries
from conceptset.consistency.figures.resampling import Resamples
from conceptset.consistency.figures.roster import Roster
from conceptset.consistency.material import Material
from conceptset.errors import printable

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

FALSE_SHARE = 0.05  # of the claims that are made, at most so many by chance
MAX_IMAGES = 6  # named by a verdict
_NAME = 48

Topic = Literal["quality", "naming", "quantity", "agreement", "sessions", "identity"]


@dataclass(frozen=True, slots=True)
class Claim:
    """Something that may be worth saying.

    Attributes:
        verdict: How it would be said; its interval is that of what it says.
        effect: In units of the least effect worth talking about; at least 1 to be said.
        is_certain: Whether the interval excludes that there is nothing.
        p: How probable such a difference is if there is nothing.
        weight: Of the effect when verdicts are put in order; below 1 for what is rare.
    """

    verdict: Verdict
    effect: float
    is_certain: bool
    p: float
    weight: float = 1.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that claims are drawn from.

    Attributes:
        entries: All figures.
        counts: Of all images.
        material: Its lists.
        roster: Who counts.
        grouped: The counts, pair by pair.
        pairs: Entries of pairs, by category and the two names.
    """

    entries: Entries
    counts: Counts
    material: Material
    roster: Roster
    grouped: GroupedCounts
    pairs: Mapping[tuple[str, str, str], PairEntry]

    @classmethod
    def of(cls, entries: Entries, counts: Counts, material: Material) -> Evidence:
        """Put in order."""
        return cls(
            entries,
            counts,
            material,
            Roster.of(material.annotators),
            GroupedCounts(counts, len(material.annotators)),
            {(e.category, e.a, e.b): e for e in (*entries.pairs, *entries.intra)},
        )

    @property
    def resamples(self) -> Resamples:
        """Of the images of the material."""
        return self.entries.estimates.resamples

    def name(self, annotator: int) -> str:
        """What reports call an annotator."""
        return self.roster.name(annotator)

    def is_person(self, annotator: int) -> bool:
        """Whether it is no model."""
        return annotator in self.roster.persons

    def held(self, category: int, annotator: int, figure: str) -> Estimate:
        """A figure of an annotator, in all resamples."""
        name = self.material.categories[category]
        return self.entries.estimates.held[name, self.name(annotator), figure]

    def mean_of(self, category: int, annotators: Sequence[int], figure: str) -> Estimate:
        """The mean over annotators of a figure of theirs, each equal."""
        mean = MeanOver(self.resamples.rows, self.resamples.images)
        for annotator in annotators:
            mean.add(self.held(category, annotator, figure))
        return mean.estimate("nobody to compare with")

    def pair_entry(self, category: int, a: int, b: int) -> PairEntry | None:
        """The figures of two annotators, given in the order of places."""
        name = self.material.categories[category]
        return self.pairs.get((name, self.name(a), self.name(b)))

    def others(self, annotator: int) -> list[int]:
        """All persons but this one, by place."""
        return [place for place in self.roster.persons if place != annotator]

    def pair(self, category: int, a: int, b: int) -> PairCounts:
        """The counts of two annotators, in either order; theirs are in the order of places."""
        return self.grouped.pair(category, min(a, b), max(a, b))

    def ratio(self, images: IntArray, above: FloatArray, below: FloatArray) -> Estimate:
        """A quotient of two sums over images, in every resample.

        Args:
            images: (n,) places, rising; an image may stand several times.
            above: (n,) what is added above.
            below: (n,) what is added below.
        """
        sums = self.resamples.totals(images, np.stack([above, below], axis=1))
        return Estimate(ratio(sums[0], sums[1]), np.unique(images[below > 0]), "nothing to count")

    def verdict(
        self,
        category: int,
        topic: Topic,
        about: str,
        text: str,
        figure: Assessed,
        scores: Mapping[int, float],
    ) -> Verdict:
        """A verdict with the images that show it best."""
        return Verdict(
            text=text,
            about=about,
            topic=topic,
            category=self.material.categories[category],
            value=figure.value,
            low=figure.low,
            high=figure.high,
            images=self.strongest_images(scores),
        )

    def strongest_images(self, scores: Mapping[int, float]) -> list[str]:
        """The images with the highest scores above 0, best first."""
        ranked = sorted(
            (image for image, score in scores.items() if score > 0),
            key=lambda image: (-scores[image], image),
        )
        return [self.material.images[image] for image in ranked[:MAX_IMAGES]]


def screen(claims: Sequence[Claim]) -> list[Claim]:
    """The claims that are made, strongest first.

    Args:
        claims: All that were looked at, also those without an effect.
    """
    limit = _largest_p([claim.p for claim in claims])
    kept = [
        claim for claim in claims if claim.is_certain and claim.effect >= 1 and claim.p <= limit
    ]
    return sorted(
        kept, key=lambda c: (-c.effect * c.weight, c.p, c.verdict.category, c.verdict.text)
    )


def _largest_p(values: Sequence[float]) -> float:
    """The largest p that is still accepted; Benjamini and Hochberg 1995, procedure (1).

    >>> _largest_p([0.001, 0.02, 0.9]), _largest_p([0.04, 0.5])
    (0.02, -1.0)
    """
    ranked = sorted(value for value in values if not math.isnan(value))
    total = len(ranked)
    accepted = [p for rank, p in enumerate(ranked, start=1) if p <= rank / total * FALSE_SHARE]
    return max(accepted, default=-1.0)


@dataclass(frozen=True, slots=True)
class Assessed:
    """A figure, its interval, and how probable it is by chance.

    Attributes:
        value: NaN where undefined.
        low: None without an interval.
        high: Likewise.
        p: Two-sided; 1 without an interval.
    """

    value: float
    low: float | None
    high: float | None
    p: float

    def excludes(self, null: float) -> bool:
        """Whether the interval does not hold a value."""
        if self.low is None or self.high is None:
            return False
        return self.low > null or self.high < null


def assess(estimate: Estimate, *, null: float = 0.0) -> Assessed:
    """The interval of an estimate, and the probability of its distance from `null`.

    The probability is Student's, with the spread of the resamples as standard error and a degree
    of freedom for each image but one: percentiles of two thousand resamples end at one thousandth,
    which is not enough where thousands of claims are looked at.
    """
    figure = to_figures({"figure": estimate})["figure"]
    if figure.value is None or figure.low is None or figure.high is None:
        return Assessed(math.nan if figure.value is None else figure.value, None, None, 1.0)
    spread = float(np.nanstd(estimate.values[1:]))
    distance = abs(figure.value - null)
    if distance == 0:
        p = 1.0
    elif spread == 0:
        p = 0.0
    else:
        p = 2 * float(stats.t.sf(distance / spread, df=len(estimate.images) - 1))
    return Assessed(figure.value, figure.low, figure.high, p)


def named(text: str) -> str:
    """A name from a file inside a sentence."""
    return printable(text, _NAME) if text else "(unnamed)"


def listed(names: Sequence[str], most: int = 3) -> str:
    """Names in a row.

    >>> listed(["A"]), listed(["A", "B", "C", "D"]), listed(["A", "B", "C", "D", "E"])
    ('A', 'A, B, C and D', 'A, B, C and 2 others')
    """
    if len(names) > most + 1:
        first = ", ".join(named(name) for name in names[:most])
        return f"{first} and {len(names) - most} others"
    shown = [named(name) for name in names]
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def percent(share: float) -> str:
    """A share in words; a digit after the point below ten.

    >>> percent(0.1234), percent(0.0512)
    ('12 %', '5.1 %')
    """
    value = share * 100
    return f"{value:.{0 if value >= 9.95 or value == 0 else 1}f} %"


def difference(first: Estimate, second: Estimate) -> Estimate:
    """What the first is more than the second, in every resample."""
    reason = first.reason if math.isnan(first.values[0]) else second.reason
    images = np.intersect1d(first.images, second.images)
    return Estimate(first.values - second.values, images, reason)


def sum_images(images: IntArray, values: FloatArray | IntArray) -> dict[int, float]:
    """Sums by image.

    >>> sum_images(np.array([3, 3, 5]), np.array([1.0, 2.0, 4.0]))
    {3: 3.0, 5: 4.0}
    """
    places, inverse = np.unique(images, return_inverse=True)
    sums = np.bincount(inverse, values, len(places))
    return {int(place): float(total) for place, total in zip(places, sums, strict=True)}


def beside_most(effects: Sequence[float]) -> float:
    """What holds beside more than half of the others: the effect that so many reach at least.

    Somebody far off moves the mean of everybody else, but not this.

    >>> beside_most([0.25, 0.01]), beside_most([0.3, 0.2, 0.0])
    (0.01, 0.2)
    """
    ranked = sorted(effects, reverse=True)
    return ranked[len(ranked) // 2] if ranked else 0.0
