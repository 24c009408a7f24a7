"""compare.json: what a comparison of runs says. The models define the published schema."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from dissect.state import CategoryCount, Sha256

Place = Annotated[int, Field(ge=0, description="Of a run in `runs`, from 0.")]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ComparedRun(_Entry):
    """A run that was compared."""

    label: str = Field(description="What it is called here; no two are alike.")
    name: str = Field(description="What the run calls itself.")
    model: str
    source: str = Field(description="Where the architecture comes from.")
    weights: str = Field(description="Which weights, in words.")
    model_digest: Sha256
    set: str = Field(description="Name of the concept set's directory.")
    set_digest: Sha256
    images: int
    labels: int
    fingerprint: Sha256


class Difference(_Entry):
    """An option in which not all runs are alike."""

    option: str
    weight: Literal["meaning", "data", "treatment", "none"] = Field(
        description="meaning: a detector is something else, compared under --mixed only; data: "
        "other images or labels; treatment: figures move, their meaning stays; none: the last bits "
        "of an activation, if anything."
    )
    says: str = Field(description="What follows from it; empty: nothing.")
    values: tuple[str, ...] = Field(description="Of each run.")


class LayerFigures(_Entry):
    """A layer of one run."""

    run: Place
    layer: str
    units: int
    detectors: int = Field(description="Units whose best concept is above the IoU threshold.")
    detectors_share: float
    unique_concepts: int = Field(description="Distinct best concepts of the detectors.")
    unique_concepts_share: float
    unique_by_category: int = Field(description="See run.json; summed over categories.")
    unique_by_category_share: float
    categories: dict[str, CategoryCount]
    iou_mean: float = Field(description="Mean of the units' best IoUs; a unit without one has 0.")
    iou_median: float
    iou_quartiles: tuple[float, float] = Field(description="Between them lies half of the units.")
    expected_detectors: float | None = Field(
        description="Mean number of detectors over the resamples of the images: the sum of "
        "detector_probability. null: fewer than 10 images."
    )
    detectors_low: float | None = Field(
        description="95 % percentile interval of the number of detectors over those resamples."
    )
    detectors_high: float | None
    reason: str = Field(description="Why there is no interval; empty if there is.")


class ConceptFigures(_Entry):
    """A concept in a layer of one run."""

    run: Place
    layer: str
    units: int = Field(description="Detectors whose best concept it is.")
    best_iou: float = Field(description="Largest IoU of any unit, a detector or not.")
    best_unit: int | None = Field(description="That unit; null: none shares a pixel with it.")
    iou_low: float | None = Field(description="Interval of the best unit's IoU.")
    iou_high: float | None


class ComparedConcept(_Entry):
    """A concept in all runs."""

    concept: str
    category: str
    columns: tuple[ConceptFigures | None, ...] = Field(
        description="In the order of the layer's columns; null: the run's set lacks the concept."
    )


class Step(_Entry):
    """A layer in two consecutive runs."""

    before: Place
    after: Place
    detectors: int = Field(description="How many more detectors there are afterwards.")
    low: float | None = Field(
        description="95 % interval of that, both runs in the same resamples of the images; null "
        "where they did not see the same labels."
    )
    high: float | None
    appeared: tuple[str, ...] = Field(description="Concepts that have a detector only afterwards.")
    vanished: tuple[str, ...] = Field(description="Concepts that had a detector only before.")
    matched: bool = Field(
        description="Whether units of equal number were compared: one architecture, equal layers."
    )
    kept: int | None = Field(description="Detectors of the same concept before and after.")
    kept_by_chance: float | None = Field(
        description="The same, expected if the numbers of the units meant nothing."
    )
    renamed: int | None = Field(description="Detectors before and after, of different concepts.")
    gained: int | None = Field(description="Detectors only afterwards.")
    lost: int | None = Field(description="Detectors only before.")


class ComparedLayer(_Entry):
    """A layer in all runs that have it; or all layers that only one run has."""

    name: str | None = Field(description="null: layers that only one run has, side by side.")
    columns: tuple[LayerFigures, ...]
    concepts: tuple[ComparedConcept, ...] = Field(
        description="Concepts that any unit of any column shares a pixel with."
    )
    steps: tuple[Step, ...]


class Comparison(_Entry):
    """compare.json."""

    schema_version: Literal[1] = 1
    generator: str
    title: str
    iou_threshold: float | None = Field(description="Of a detector; null: not the same in all.")
    runs: tuple[ComparedRun, ...]
    differences: tuple[Difference, ...]
    notes: tuple[str, ...]
    layers: tuple[ComparedLayer, ...]
