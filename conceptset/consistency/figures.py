"""All figures of an annotator comparison, from the counts of its images."""

from __future__ import annotations

from dataclasses import dataclass, field

from conceptset.consistency.counts import Counts
from conceptset.consistency.document import (
    AnnotatorEntry,
    Cluster,
    ConceptEntry,
    ConsensusEntry,
    ImageEntry,
    LayerEntry,
    PairEntry,
    Verdict,
)
from conceptset.consistency.intervals import RESAMPLES, SEED
from conceptset.consistency.material import Material


@dataclass(slots=True)
class Entries:
    """What a report lists; clusters, verdicts and consensus are filled in by others.

    Attributes:
        images: All images that two persons or more worked on, most disagreement first.
        alone: Images of one annotator only.
        shared_images: How many images two persons or more worked on.
    """

    layers: list[LayerEntry]
    pairs: list[PairEntry]
    annotators: list[AnnotatorEntry]
    concepts: list[ConceptEntry]
    images: list[ImageEntry]
    alone: list[str]
    intra: list[PairEntry]
    shared_images: int
    notes: list[str] = field(default_factory=list)
    consensus: list[ConsensusEntry] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def compute(
    counts: Counts, material: Material, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Entries:
    """Every entry of the report.

    Args:
        counts: Of all images.
        material: Its lists (annotators, concepts, categories, images); its stream is not read.
        resamples: Of the bootstrap over images.
        seed: Likewise.
    """
    raise NotImplementedError
