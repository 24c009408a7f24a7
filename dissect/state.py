"""What a run is on disk: its options, its description in run.json, and where its files lie."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from conceptset import __version__
from conceptset.errors import IncompleteError, LayoutError, SourceError
from conceptset.io.atomic import write_file
from conceptset.io.paths import unique_slugs
from conceptset.io.tables import digest, format_json, read_json

Union = Literal["annotated", "lite"]
Upsample = Literal["half-pixel", "receptive-field"]
Precision = Literal["fp32", "bf16"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Triple = tuple[float, float, float]

AGREEMENT = "agreement.safetensors"
COMPARISON = "annotators.json"
RESERVED = ("annotators", "report", "shards", "photographs", "run.json", AGREEMENT, COMPARISON)
_DECIMAL = re.compile(r"0?\.\d{1,18}|\d(\.\d{1,12})?[eE]-0?\d{1}")


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RunConfig(_Record):
    """Every option that an outcome depends on, resolved: no `auto`, no paths of this machine."""

    layers: tuple[str, ...] = Field(min_length=1, description="Dotted names, in the order asked.")
    quantile: str = Field(default="0.005", description="Share above the threshold, as a decimal.")
    iou_threshold: float = Field(default=0.04, ge=0, lt=1, description="A detector lies above it.")
    union: Union = Field(
        default="annotated", description="Which images an activation is summed on."
    )
    upsample: Upsample = Field(default="half-pixel", description="Where a map's cells lie.")
    thresholds: dict[str, Sha256] | None = Field(
        default=None, description="Digest of the thresholds given, by layer; null: computed."
    )
    categories: tuple[str, ...] | None = Field(default=None, description="null: all of the set.")
    split: str | None = Field(default=None, description="Only images of this part of the set.")
    limit: int | None = Field(default=None, ge=1, description="Only the first so many images.")
    index: str = Field(default="index.csv", description="The index used, relative to the set.")
    image_size: tuple[int, int] | None = Field(
        default=None, description="(height, width) that photographs are squashed to; null: as is."
    )
    precision: Precision = "fp32"
    device: str = Field(default="cpu", description="Kind of device: cpu, cuda, mps.")
    memory_format: Literal["channels_last", "contiguous"] = "channels_last"
    batch_size: int = Field(default=16, ge=1)
    threads: int = Field(default=1, ge=1, description="Threads of one operation on the CPU.")
    top_images: int = Field(default=10, ge=0, description="Images kept per unit for the report.")
    annotators: tuple[str, ...] | None = Field(
        default=None,
        description="Annotators tallied beside the index, NAME or NAME#2, as the set lists them; "
        "null (not in run.json): all if the set has two people or more.",
    )

    @field_validator("layers")
    @classmethod
    def _once(cls, layers: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in layers if layers.count(name) > 1})
        if twice:
            raise ValueError(f"the layer {twice[0]} is named twice")
        return layers

    @field_validator("quantile")
    @classmethod
    def _share(cls, text: str) -> str:
        if not _DECIMAL.fullmatch(text) or not 0 < Fraction(text) < 1:
            raise ValueError(f"is {text[:40]!r}, a decimal between 0 and 1 was expected (0.005)")
        return f"{Decimal(text).normalize():f}"  # one spelling, one fingerprint

    @property
    def share(self) -> Fraction:
        """The quantile, exactly."""
        return Fraction(self.quantile)


class SetRecord(_Record):
    """The concept set that was used."""

    name: str = Field(description="Name of its directory.")
    digest: Sha256 = Field(description="Of its tables, maps and photographs.")


class ModelRecord(_Record):
    """The network that was dissected."""

    name: str
    source: str = Field(description="Where the architecture comes from: torchvision, a file, ...")
    weights: str = Field(description="Which weights, in words.")
    digest: Sha256 = Field(description="Of the names, shapes and bytes of all its tensors.")
    mean: Triple = Field(description="Subtracted from RGB in [0, 1].")
    std: Triple = Field(description="Divided by after that.")
    assumed: bool = Field(description="True if mean and std were not given by the user.")


class CategoryCount(_Record):
    """Detectors and distinct labels of one category."""

    detectors: int = Field(ge=0, description="Detectors whose best concept is of this category.")
    unique: int = Field(ge=0, description="Distinct labels that are some unit's best here.")


class DetectorCounts(_Record):
    """The three counts that go by the name `unique detectors`, and their shares of the units."""

    detectors: int = Field(ge=0, description="Units whose best concept is above the threshold.")
    unique_concepts: int = Field(ge=0, description="Distinct best concepts of the detectors.")
    unique_by_category: int = Field(ge=0, description="Sum of `unique` over the categories.")
    detectors_share: float
    unique_concepts_share: float
    unique_by_category_share: float
    categories: dict[str, CategoryCount]


class LayerRecord(_Record):
    """One dissected layer."""

    name: str = Field(description="Dotted name of the module.")
    directory: str = Field(description="Its folder in the run.")
    units: int = Field(ge=1)
    map_size: tuple[int, int] = Field(description="(height, width) of its activation maps.")
    kind: Literal["maps", "vector", "tokens"] = Field(description="What the layer put out.")
    thresholds_dtype: Literal["float32", "float64"]
    samples: int = Field(ge=1, description="Activations per unit: images times positions.")
    detectors: DetectorCounts


class RunCounts(_Record):
    """How much went into a run."""

    images: int = Field(ge=1)
    labels: int = Field(ge=0, description="Labels that occur in those images.")
    categories: tuple[str, ...] = Field(description="Those enabled, in the set's order.")


class AnnotatorRecord(_Record):
    """An annotator whose labels were tallied; its place in the list is its number."""

    name: str
    session: int = Field(ge=1)
    kind: Literal["person", "model"]
    directory: str = Field(description="Its folder below annotators/, in the set and in the run.")
    images: int = Field(ge=0, description="Images of the run that the annotator worked on.")
    votes: int | None = Field(
        description="Images of the run where the person has a vote in the consensus; the consensus "
        "without it was tallied there. null: it was not (a model, a further session)."
    )


class LeaveOneOut(_Record):
    """How the consensus without a person was formed."""

    method: str = Field(description="Of the consensus of the others.")
    root_method: str = Field(description="How the root index was formed: a method, or a name.")
    base: Literal["root", "consensus"] = Field(
        description="What it is compared with: the root index, or <layer>/consensus.safetensors, "
        "the consensus of everybody by `method`."
    )
    reason: str = Field(description="Why `method` is not that of the root index; empty if it is.")


class Run(_Record):
    """run.json; written last, it makes the directory a complete run."""

    schema_version: Literal[1] = 1
    generator: str = Field(description="Program and version that wrote the run.")
    name: str = Field(description="What reports call the run.")
    fingerprint: Sha256 = Field(description="Of the options, the set and the model.")
    config: RunConfig
    set: SetRecord
    model: ModelRecord
    counts: RunCounts
    layers: tuple[LayerRecord, ...]
    annotators: tuple[AnnotatorRecord, ...] = Field(
        default=(), description="Those tallied; agreement.safetensors numbers them from 0."
    )
    leave_one_out: LeaveOneOut | None = Field(
        default=None, description="null: nobody was left out."
    )
    environment: dict[str, JsonValue] = Field(description="May vary between equal runs.")
    timings: dict[str, JsonValue] = Field(description="May vary between equal runs.")

    def layer(self, name: str) -> LayerRecord:
        """The record of a layer.

        Raises:
            KeyError: It was not dissected.
        """
        for record in self.layers:
            if record.name == name:
                return record
        raise KeyError(name)


def fingerprint_of(config: RunConfig, concept_set: SetRecord, model: ModelRecord) -> str:
    """SHA-256 over everything that an outcome depends on.

    Names of directories are no part of it: a set that was moved is the same set.
    """
    options = config.model_dump(mode="json")
    if not options["annotators"]:
        del options["annotators"]  # such a run is the same as before the option existed
    content = {
        "schema_version": 1,
        "config": options,
        "set": concept_set.digest,
        "model": model.model_dump(mode="json", include={"digest", "mean", "std", "name"}),
    }
    return digest(json.dumps(content, sort_keys=True).encode())


def layer_directories(layers: Sequence[str]) -> dict[str, str]:
    """A folder name for each layer: the dotted name itself wherever that is a safe file name.

    >>> layer_directories(["layer4", "features.12", "report"])
    {'layer4': 'layer4', 'features.12': 'features.12', 'report': 'report-2'}
    """
    return dict(zip(layers, unique_slugs(layers, taken=RESERVED, fallback="layer"), strict=True))


@dataclass(frozen=True, slots=True)
class RunLayout:
    """Where everything lies in a run. No other module builds these paths.

    Attributes:
        root: The run's directory.
    """

    root: Path

    @property
    def manifest(self) -> Path:
        """run.json."""
        return self.root / "run.json"

    @property
    def shards(self) -> Path:
        """What a run in progress keeps; absent from a complete run."""
        return self.root / "shards"

    @property
    def pending(self) -> Path:
        """The fingerprint of a run in progress."""
        return self.shards / "fingerprint.json"

    @property
    def lock(self) -> Path:
        """Held by the process that writes the run."""
        return self.shards / "lock"

    @property
    def job(self) -> Path:
        """All that other processes must know to take part in a run in progress."""
        return self.shards / "job.json"

    @property
    def given(self) -> Path:
        """Thresholds that were given, for the same."""
        return self.shards / "given.safetensors"

    @property
    def floors(self) -> Path:
        """Bounds that all shards begin with."""
        return self.shards / "floors.safetensors"

    @property
    def distrusted(self) -> Path:
        """Units for which those bounds were too high."""
        return self.shards / "distrusted.json"

    @property
    def selected(self) -> Path:
        """The thresholds, once all shards are scanned."""
        return self.shards / "thresholds.safetensors"

    @property
    def report(self) -> Path:
        """The page to open."""
        return self.root / "report" / "index.html"

    @property
    def photographs(self) -> Path:
        """Reduced copies of the photographs in any list of top images."""
        return self.root / "photographs"

    def photograph(self, row: int) -> Path:
        """The reduced copy of the photograph in row `row` of the index."""
        return self.photographs / f"{row:07d}.jpg"

    def layer(self, directory: str, *, annotator: str | None = None) -> Path:
        """A layer's folder, `LayerRecord.directory`; `annotator` is a person's directory."""
        root = self.root if annotator is None else self.root / "annotators" / annotator
        return root / directory

    def thresholds(self, directory: str) -> Path:
        """(units,) float32, or float64 if so given."""
        return self.layer(directory) / "thresholds.npy"

    def tally(self, directory: str, *, annotator: str | None = None) -> Path:
        """The peers' table: one row per unit, its best label of each category."""
        return self.layer(directory, annotator=annotator) / "tally.csv"

    def scores(self, directory: str, *, annotator: str | None = None) -> Path:
        """Every unit and concept with a pixel in common."""
        return self.layer(directory, annotator=annotator) / "scores.csv"

    def counts(self, directory: str, *, annotator: str | None = None) -> Path:
        """Per-image counts; see `dissect.counts`."""
        return self.layer(directory, annotator=annotator) / "counts.safetensors"

    def without(self, directory: str, *, annotator: str) -> Path:
        """Per-image counts of the consensus without a person; see `dissect.counts.read_without`."""
        return self.layer(directory, annotator=annotator) / "without.safetensors"

    def consensus(self, directory: str) -> Path:
        """What `without` is compared with, if that is not the root index (`LeaveOneOut.base`)."""
        return self.layer(directory) / "consensus.safetensors"

    @property
    def agreement(self) -> Path:
        """Pixels that annotators share, per image and label; see `dissect.counts.Agreement`."""
        return self.root / AGREEMENT

    @property
    def comparison(self) -> Path:
        """The annotators compared; see `dissect.annotators.document`."""
        return self.root / COMPARISON

    def unit_figures(self, directory: str) -> Path:
        """Figures of every unit over all annotators: annotators.csv of the layer."""
        return self.layer(directory) / "annotators.csv"

    def top(self, directory: str) -> Path:
        """Top images per unit; see `dissect.top`."""
        return self.layer(directory) / "top.safetensors"


def open_run(root: Path) -> Run:
    """The description of a complete run.

    Raises:
        IncompleteError: It stopped half-way.
        SourceError: There is no run, or run.json breaks its schema.
    """
    layout = RunLayout(root)
    if not layout.manifest.is_file():
        if layout.pending.is_file():
            raise IncompleteError(
                "the run is not complete",
                path=root,
                hint="Give the same 'dissect run' command again to finish it.",
            )
        raise SourceError("is no run", path=root, hint="A directory with run.json was expected.")
    return parse_run(read_json(layout.manifest), path=layout.manifest)


def parse_run(document: object, *, path: Path) -> Run:
    """A `Run` from the content of run.json.

    Raises:
        LayoutError: It breaks the schema.
    """
    try:
        return Run.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise LayoutError(
            first["msg"], path=path, pointer="/" + "/".join(map(str, first["loc"]))
        ) from error


def write_run(layout: RunLayout, run: Run) -> None:
    """Write run.json: the commit of the run."""
    write_file(layout.manifest, format_json(run.model_dump(mode="json")))


def generator() -> str:
    """Program and version, as run.json names it."""
    return f"conceptset {__version__}"


def state_metadata(kind: str, *, layer: str, fingerprint: str) -> Mapping[str, str]:
    """The one metadata key of our safetensors files."""
    content = {"schema_version": 1, "kind": kind, "layer": layer, "run": fingerprint}
    return {"fingerprint": json.dumps(content, sort_keys=True)}
