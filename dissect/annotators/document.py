"""annotators.json, and the columns of a layer's annotators.csv."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=0)]

# Of <layer>/annotators.csv, one row for each unit. `concept` is the modal one: what most of the
# annotators have as the unit's best concept; empty: no detector, and then no IoU.
UNIT_COLUMNS = (
    "unit",
    "concept",
    "iou_min",  # over annotators
    "iou_mean",
    "iou_max",
    "label_stability",  # share of the annotators with this concept
    "depends_on",  # directories, joined by ";": without one of them the unit's concept is another
    "relative_iou",  # iou_mean / human_reference
    "human_reference",  # mean IoU of two annotators with one another
    "annotator_ceiling",  # (1 + human_reference) / 2: iou_mean cannot be above it
    "iou_low",  # of iou_mean, over resamples of the images
    "iou_high",
    "n_images",
)


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Record):
    """One number, how far it would move on other images, and what it rests on."""

    value: float | None = Field(description="null where it is undefined; see `reason`.")
    low: float | None = Field(default=None, description="Lower end of the interval.")
    high: float | None = Field(default=None, description="Upper end of the interval.")
    n_images: Count = Field(description="Images that it is computed from.")
    reason: str | None = Field(default=None, description="Why `value` or the interval is null.")


class Settings(_Record):
    """What the figures depend on besides the counts."""

    iou_threshold: float
    union: Literal["annotated", "lite"]
    resamples: int
    seed: int
    level: float
    method: str | None = Field(description="Of the consensus that leaves one person out.")


class ComparedAnnotator(_Record):
    """An annotator of the run."""

    directory: str = Field(description="Names the annotator in all other places.")
    name: str
    session: int = Field(ge=1)
    kind: Literal["person", "model"]
    images: Count = Field(description="Images of the run that the annotator worked on.")
    compared: bool = Field(
        description="Whether the figures over people include it; models and further sessions of "
        "one person are only set beside the consensus."
    )


class PairImages(_Record):
    """Images of a category that two people share."""

    a: str
    b: str
    n_images: Count


class CategoryBasis(_Record):
    """The images on which annotators are compared in the concepts of one category."""

    category: str
    mode: Literal["all", "pairs", "none"] = Field(
        description="`all`: images that everybody worked on; `pairs`: those are fewer than 10, so "
        "every pair on the images it shares, then the mean over pairs; `none`: nothing is shared."
    )
    n_images: Count
    pairs: tuple[PairImages, ...] = Field(description="Only where the mode is `pairs`.")


class PairIou(_Record):
    """How far two people's labels of a concept cover one another."""

    a: str
    b: str
    iou: float | None = Field(description="null: neither used the concept.")


class HumanReference(_Record):
    """A concept, and how well people agree on its pixels."""

    label_number: int
    concept: str
    category: str
    human_reference: Figure
    annotator_ceiling: float | None = Field(
        description="(1 + reference) / 2; a unit's mean IoU over annotators cannot be above it."
    )
    pairs: tuple[PairIou, ...]


class Change(_Record):
    """A unit that is labelled differently by two indices."""

    unit: Count
    concept: str | None = Field(description="By the first; null: no detector.")
    iou: float = Field(description="Of its best concept by the first.")
    other_concept: str | None = Field(description="By the second.")
    other_iou: float


class Comparison(_Record):
    """The units by two indices, on the same images."""

    n_images: Count
    detectors: Count = Field(description="By the first.")
    other_detectors: Count = Field(description="By the second.")
    gained: Count = Field(description="Detectors by the second only.")
    lost: Count = Field(description="Detectors by the first only.")
    renamed: Count = Field(description="Detectors by both, of different concepts.")
    changes: tuple[Change, ...] = Field(description="By unit.")


class LayerAnnotator(_Record):
    """A layer by the labels of one annotator."""

    directory: str
    detectors: Figure | None = Field(description="null: not among those compared.")
    unique_concepts: Figure | None = Field(description="Distinct concepts of these detectors.")
    against_consensus: Comparison = Field(
        description="First the set's own index, second the annotator's, on the images that the "
        "annotator worked on."
    )
    left_out: Comparison | None = Field(
        description="First the consensus of everybody, second the one without this person, on the "
        "images that somebody else worked on, too. null: not left out."
    )


class LayerPair(_Record):
    """Two people's order of a layer's units."""

    a: str
    b: str
    rank_stability: float | None = Field(description="Kendall's tau-b of the units' best IoU.")
    reason: str | None = None


class LayerConcept(_Record):
    """A concept in a layer."""

    label_number: int
    concept: str
    category: str
    units: Count = Field(description="Units whose modal concept it is.")
    best_unit: Count = Field(description="The unit of largest mean IoU over the annotators.")
    iou_min: float | None = Field(description="Of that unit, over annotators.")
    iou_mean: Figure
    iou_max: float | None
    relative_iou: float | None
    rank_stability: float | None = Field(
        description="Kendall's tau-b of its IoU over units, mean over pairs of annotators."
    )
    rank_stability_min: float | None
    rank_stability_max: float | None


class LayerFigures(_Record):
    """What the annotators make of one layer."""

    name: str
    directory: str
    label_agreement: Figure = Field(
        description="Krippendorff's alpha over units and annotators, of the best concept."
    )
    label_stability: float | None = Field(description="Mean over units.")
    dependent_units: Count = Field(description="Units whose concept depends on one person.")
    annotators: tuple[LayerAnnotator, ...]
    pairs: tuple[LayerPair, ...]
    concepts: tuple[LayerConcept, ...] = Field(description="Those that a unit has a pixel of.")


class AnnotatorReport(_Record):
    """annotators.json of a run."""

    schema_version: Literal[1] = 1
    settings: Settings
    annotators: tuple[ComparedAnnotator, ...]
    basis: tuple[CategoryBasis, ...]
    concepts: tuple[HumanReference, ...]
    layers: tuple[LayerFigures, ...]
    notes: tuple[str, ...] = Field(description="What cannot be said, and why.")

    def layer(self, directory: str) -> LayerFigures | None:
        """The figures of a layer."""
        return next((layer for layer in self.layers if layer.directory == directory), None)
