"""What a build says of itself when it is done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conceptset.build.tables import Figures
from conceptset.build.vocabulary import Vocabulary
from conceptset.findings import Finding
from conceptset.layout.models import Manifest

QUANTILE = 0.005
DETECTOR_IOU = 0.04


@dataclass(frozen=True, slots=True)
class BuildReport:
    """The outcome of a build.

    Attributes:
        manifest: What was written.
        findings: Defects of the sources that were left out, and warnings.
        skipped: Errors that were left out.
        dropped: Concepts below the limits.
        undetectable: (concept, share of pixels) that no unit can reach IoU .04 on at the default
            quantile, by falling share.
        notes: Options that met nothing: an alias of nobody, a row for no file.
    """

    manifest: Manifest
    findings: Sequence[Finding]
    skipped: int
    dropped: Sequence[str]
    undetectable: Sequence[tuple[str, float]]
    notes: Sequence[str] = ()


def undetectable(vocabulary: Vocabulary, figures: Figures) -> list[tuple[str, float]]:
    """Concepts whose size rules a detector out.

    A unit's mask holds about 0.5 % of the pixels. Its IoU with a concept that fills a share s of
    the same images is at most min(s, .005) / max(s, .005), so s must lie between .02 % and 12.5 %.
    """
    result = []
    for number, concept in enumerate(vocabulary.names, start=1):
        categories = [c for c in vocabulary.categories if figures.frequency[number, c]]
        if not categories:
            continue
        pixels = max(figures.carriers[category] for category in categories)
        share = figures.pixels[number] / pixels
        if min(share, QUANTILE) <= DETECTOR_IOU * max(share, QUANTILE):
            result.append((concept, share))
    return sorted(result, key=lambda item: (-item[1], item[0]))


def counted(left_out: Mapping[str, int]) -> list[str]:
    """What was left out, by reason; the number stands last, so that it may be one or many.

    >>> counted({"boxes": 1, "left out by the taxonomy": 1200, "bad annotations": 0})
    ['boxes: 1', 'by the taxonomy: 1,200']
    """
    return [
        f"{reason.removeprefix('left out ')}: {number:,}"
        for reason, number in left_out.items()
        if number
    ]
