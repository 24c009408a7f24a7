"""The consistency report as a document: consistency.json, and the schema that is published."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Figure(_Record):
    """One number, how far it would move on other images, and what it rests on."""

    value: float | None = Field(description="null where it is undefined; see `reason`.")
    low: float | None = Field(default=None, description="Lower end of the 95 % interval.")
    high: float | None = Field(default=None, description="Upper end of the 95 % interval.")
    n_images: Count = Field(description="Images that it is computed from.")
    reason: str | None = Field(
        default=None, description="Why `value` is null, else why there is no interval."
    )


class Split(_Record):
    """Shares of pixels: they agree, or disagree in one of three ways; together 1."""

    agreement: Figure
    quality: Figure = Field(description="Both have the thing, the outlines differ.")
    naming: Figure = Field(description="Same region, different names.")
    quantity: Figure = Field(description="One of the two left it out.")


class SplitAggregates(_Record):
    """A split, summed up over images in three ways; `mean` is the main one."""

    mean: Split = Field(description="Mean over images, each image equal.")
    median: Split = Field(description="Median over images of each part; need not add up to 1.")
    pooled: Split = Field(description="Over the pixels of all images.")


class AgreementAggregates(_Record):
    """Agreement alone, where disagreement of the other kinds cannot be seen."""

    mean: Figure
    median: Figure
    pooled: Figure


class PixelSplits(_Record):
    """Splits by what they are a share of; `any` is the main one."""

    any: SplitAggregates = Field(description="Of the pixels labelled by at least one.")
    all: SplitAggregates = Field(description="Of all valid pixels, unlabelled ones included.")
    both: AgreementAggregates = Field(description="Of the pixels labelled by both.")


class Confusion(_Record):
    """Two names for the same thing."""

    name_a: str
    name_b: str
    matches: Count = Field(description="Matched segments that bear these names.")
    regions: Count = Field(description="Images where the two names mean the same region.")
    pixels: Count


class PairEntry(_Record):
    """Two annotators (or two sessions of one) in one label layer."""

    a: str
    b: str
    category: str
    kind: Literal["people", "model", "sessions"] = Field(
        description="`model`: one of the two is a model; `sessions`: the same person twice."
    )
    n_images: Count = Field(description="Images that both worked on.")
    pixels: PixelSplits
    sensitivity: dict[str, Split] = Field(
        description="The mean split of `any` at other thresholds of a match (0.25, 0.75)."
    )
    figures: dict[str, Figure] = Field(description="By name; see PAIR_FIGURES.")
    confusions: list[Confusion] = Field(description="Most frequent first.")


class AnnotatorEntry(_Record):
    """One annotator beside all others, in one label layer."""

    annotator: str
    kind: Literal["person", "model"]
    category: str
    n_images: Count = Field(description="Images worked on.")
    shared_images: Count = Field(description="Of these, images that others worked on too.")
    pixels: Split = Field(description="Mean over the pairs with others: mean split of `any`.")
    figures: dict[str, Figure] = Field(description="By name; see ANNOTATOR_FIGURES.")
    left_out: list[str] = Field(description="Others with fewer than 5 shared images.")
    place: tuple[Count, Count] | None = Field(
        default=None,
        description="Best and worst place among persons by agreement that the intervals of the "
        "differences allow; null without agreement, and for models.",
    )


class OtherName(_Record):
    """What others call it."""

    name: str
    pixels: Count


class ConceptEntry(_Record):
    """One concept over all pairs of persons."""

    concept: str
    category: str
    n_images: Count = Field(description="Shared images where anybody used it.")
    split: Split = Field(description="Of the pixels that any of a pair gave it; pooled.")
    figures: dict[str, Figure] = Field(description="By name; see CONCEPT_FIGURES.")
    other_names: list[OtherName] = Field(description="Most pixels first.")


class Presence(_Record):
    """What one annotator did in an image."""

    annotator: str
    segments: Count
    concepts: Count
    hidden: Count = Field(description="Segments wholly covered by others of the same person.")


class ImageEntry(_Record):
    """One image in one label layer; the document lists those to discuss first, images.csv all."""

    image: str
    category: str
    annotators: list[Presence]
    agreement: float | None = Field(description="Mean over pairs of `any`; null: all empty.")
    quality: float | None
    naming: float | None
    quantity: float | None
    disputed: Count = Field(description="Pixels in disagreement, summed over pairs.")


class LayerEntry(_Record):
    """What holds for all persons together in one label layer."""

    category: str
    figures: dict[str, Figure] = Field(description="By name; see LAYER_FIGURES.")
    jackknife: dict[str, tuple[float, float, float | None]] = Field(
        description="By name of a figure: lowest and highest value without one annotator, and the "
        "standard error (5 annotators or more)."
    )


class ConsensusEntry(_Record):
    """The consensus in one label layer."""

    method: str
    category: str
    undecided: Figure = Field(description="Share of the pixels without consensus; mean.")
    changed: dict[str, Figure] = Field(
        description="By annotator: share of the decided pixels where the consensus says otherwise."
    )


class Cluster(_Record):
    """People who agree among themselves more than with the others."""

    category: str
    annotators: list[str]
    within: float | None = Field(description="Mean agreement inside.")
    between: float | None = Field(description="Mean agreement with everybody else.")


class Verdict(_Record):
    """What can be said in words, only where its interval excludes chance."""

    text: str
    about: str = Field(description="Annotator whom it concerns; empty: the whole.")
    topic: Literal["quality", "naming", "quantity", "agreement", "sessions", "identity"]
    category: str
    value: float
    low: float | None
    high: float | None
    images: list[str] = Field(description="A few images that show it.")


class Settings(_Record):
    """What the figures depend on besides the annotations."""

    threshold: float
    sensitivity: list[float]
    overlap: Literal["area", "order"]
    resamples: int
    seed: int
    level: float
    boundary: bool = Field(description="Whether boundaries were measured.")
    taxonomy: str | None


class ConsistencyReport(_Record):
    """consistency.json."""

    schema_version: Literal[1] = 1
    generator: str
    title: str
    settings: Settings
    annotators_listed: list[str]
    n_images: Count
    shared_images: Count = Field(description="Images that two persons or more worked on.")
    layers: list[LayerEntry]
    pairs: list[PairEntry]
    annotators: list[AnnotatorEntry]
    concepts: list[ConceptEntry]
    images: list[ImageEntry]
    alone: list[str] = Field(description="Images by one annotator only; the first thousand.")
    intra: list[PairEntry] = Field(description="Sessions of the same person.")
    consensus: list[ConsensusEntry]
    clusters: list[Cluster]
    verdicts: list[Verdict]
    notes: list[str] = Field(description="What cannot be said, and why.")


# Names of figures and what they are, for tables, pages and readers of the document. (section of
# the definitions they stand in: 4.1 pairs, 4.2 annotators, 4.3 concepts, 4.5 partitions, 5 chance)
PAIR_FIGURES = {
    "sq": "segmentation quality: mean IoU of matched segments",
    "boundary_iou": "mean boundary IoU of matched segments (band 2 % of the diagonal)",
    "outline_bias": "median of ln(area a / area b) over matches; above 0: a draws larger",
    "surface_distance": "mean symmetric distance of matched outlines, pixels",
    "name_agreement": "share of the matches with equal names",
    "match_kappa": "Cohen's kappa of the names over matches",
    "match_ac1": "Gwet's AC1 of the names over matches",
    "rq": "2 matches / (segments of a + segments of b)",
    "miss_rate_a": "share of b's segments that a has no match for",
    "miss_rate_b": "share of a's segments that b has no match for",
    "not_found_a": "share of b's segments that a has not in any form",
    "not_found_b": "share of a's segments that b has not in any form",
    "segments_difference": "mean of segments of a - segments of b",
    "segments_absolute": "mean of |segments of a - segments of b|",
    "concepts_difference": "mean of concepts of a - concepts of b",
    "concepts_absolute": "mean of |concepts of a - concepts of b|",
    "concept_sets": "mean Jaccard index of the sets of concepts in an image",
    "pq": "panoptic quality, mean over concepts",
    "covering_a": "covering of a's partition by b's",
    "covering_b": "covering of b's partition by a's",
    "rand": "Rand index of the partitions",
    "vi": "variation of information of the partitions, bits",
    "gce": "global consistency error",
    "lce": "local consistency error",
    "pixel_kappa": "Cohen's kappa over pixels, unlabelled as a label",
    "pixel_alpha": "Krippendorff's alpha over pixels, unlabelled as a label",
    "pixel_ac1": "Gwet's AC1 over pixels, unlabelled as a label",
    "labelled_kappa": "Cohen's kappa over pixels labelled by both",
    "labelled_alpha": "Krippendorff's alpha over pixels labelled by both",
    "labelled_ac1": "Gwet's AC1 over pixels labelled by both",
}
ANNOTATOR_FIGURES = {
    "agreement": "mean agreement with the others (share of the pixels labelled by either)",
    "others": "agreement with the majority of the others",
    "sq": "segmentation quality with the others",
    "outline_bias": "mean ln of area ratio against the others; above 0: draws larger",
    "surface_distance": "mean distance to the others' outlines, pixels",
    "name_agreement": "share of matches with equal names",
    "rq": "detection agreement with the others",
    "miss_rate": "share of the others' segments without a match of this annotator's",
    "not_found": "share of the others' segments that this annotator has in no form",
    "extra": "share of this annotator's segments that the others have in no form",
    "segments": "segments per image, over all images worked on",
    "concepts": "concepts per image, over all images worked on",
    "vitality": "alpha of everybody - alpha without this annotator; above 0: raises agreement",
    "alpha_without": "Krippendorff's alpha over pixels without this annotator",
}
CONCEPT_FIGURES = {
    "iou": "IoU of two annotators' label maps, pooled over images; mean over pairs",
    "iou_min": "lowest pair",
    "iou_max": "highest pair",
    "dice": "specific agreement 2 IoU / (1 + IoU), mean over pairs",
    "presence_kappa": "Cohen's kappa of `occurs in the image`, mean over pairs",
}
LAYER_FIGURES = {
    "agreement": "mean over pairs of the agreement `any`",
    "quality": "mean over pairs",
    "naming": "mean over pairs",
    "quantity": "mean over pairs",
    "alpha": "Krippendorff's alpha over pixels, all persons, unlabelled as a label",
    "labelled_alpha": "Krippendorff's alpha over labelled pixels, all persons",
    "fleiss": "Fleiss' kappa over pixels, where every image has the same number of annotators",
    "objects_alpha": "Krippendorff's alpha over objects matched across annotators",
    "segments_variance": "variance over annotators of the number of segments; mean over images",
    "concepts_variance": "variance over annotators of the number of concepts; mean over images",
    "covering": "mean over pairs in an image, mean over images (segmentations without names)",
    "rand": "Rand index, likewise",
    "vi": "variation of information, likewise, bits",
    "gce": "global consistency error, likewise",
    "lce": "local consistency error, likewise",
}
