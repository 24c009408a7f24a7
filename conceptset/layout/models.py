"""The rows and documents of a concept set; the published schemas are generated from these."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

MAX_LABEL = 32_767  # a peer keeps label numbers in 16 bits with a sign

Number = Annotated[int, Field(ge=1, le=MAX_LABEL)]
CategoryName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Side = Annotated[int, Field(ge=1, le=65_535)]


class Row(BaseModel):
    """Base of everything that is written."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class IndexRow(Row):
    """A row of index.csv; one further column per category holds its `;` list of maps or labels."""

    model_config = ConfigDict(extra="allow", frozen=True)

    image: str = Field(description="Photograph, relative to images/.")
    split: str = Field(description="Part of the set: train, val, ...")
    ih: Side = Field(description="Height of the photograph in pixels.")
    iw: Side = Field(description="Width of the photograph in pixels.")
    sh: Side = Field(description="Height of the label maps in pixels.")
    sw: Side = Field(description="Width of the label maps in pixels.")


class LabelRow(Row):
    """A row of label.csv."""

    number: Number = Field(description="The integer in the label maps.")
    name: str
    category: str = Field(description="`name(frequency)` joined by `;`.")
    frequency: Count = Field(description="Images that carry the label.")
    coverage: float = Field(ge=0, description="Sum over images of the fraction of their pixels.")
    syns: str = Field(description="Other names, joined by `;`.")


class CategoryRow(Row):
    """A row of category.csv."""

    name: CategoryName
    first: Number = Field(description="Lowest label number of the category.")
    last: Number = Field(description="Highest label number of the category.")
    count: Count = Field(description="Labels of the category.")
    frequency: Count = Field(description="Sum of the image counts of its labels.")


class CategoryLabelRow(Row):
    """A row of c_<category>.csv."""

    code: int = Field(ge=1, description="Place within the category, from 1.")
    number: Number
    name: str
    frequency: Count
    coverage: float = Field(ge=0)


class ImageRow(Row):
    """A row of images.csv: where a photograph came from."""

    image: str = Field(description="Photograph, relative to images/.")
    source: str = Field(description="Slug of the image root.")
    original: str = Field(description="Path below the image root, as it was.")
    sha256: Sha256 = Field(description="Digest of the original file.")


class AnnotatorRow(Row):
    """A row of annotators.csv: one session of one person."""

    annotator: str
    session: int = Field(ge=1)
    kind: Literal["person", "model"]
    directory: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    images: Count = Field(description="Images worked on, also those left empty.")
    segments: Count = Field(description="Lines of segments.jsonl that are not interpolated.")


class Place(Row):
    """Where a segment stood in the annotations."""

    file: str
    pointer: str


class SegmentRow(Row):
    """A line of segments.jsonl: one thing one person drew or stated."""

    image: str
    order: Count
    kind: Literal["region", "tag", "ignore"]
    concept: str = Field(description="What the taxonomy calls it.")
    category: CategoryName
    name: str = Field(description="What the annotator called it.")
    size: tuple[Side, Side] = Field(description="(height, width) of the source image.")
    counts: str | None = Field(description="COCO compressed RLE at source size; null for a tag.")
    part_of: int | None = Field(default=None, description="`order` of the whole.")
    source: Place
    interpolated: bool = Field(
        default=False,
        description="The tool computed it between two frames that somebody drew; in no count of "
        "segments.",
    )
    z_order: int = Field(
        default=0,
        description="The tool's painting order, later on top; written where it is not 0, used with "
        "`--overlap order`.",
    )


class SourceEntry(Row):
    """One annotation file that went into a set."""

    file: str
    format: str
    sha256: Sha256
    images: Count
    regions: Count


class SetCounts(Row):
    """How much a set holds."""

    images: Count
    labels: Count
    categories: Count
    annotators: Count
    segments: Count
    undecided: float = Field(ge=0, le=1, description="Share of map pixels without consensus.")
    undecided_by_category: dict[str, Annotated[float, Field(ge=0, le=1)]] = Field(
        default_factory=dict,
        description="The same by category, of the images in which anyone used it; empty where that "
        "was not counted.",
    )
    left_out: dict[str, int] = Field(description="What did not enter, by reason.")


class Digests(Row):
    """SHA-256 of the files, so that a change after the build is seen.

    `maps` and `photographs` are digests over the sorted lines `digest  path` of their files.
    """

    tables: dict[str, Sha256]
    maps: Sha256
    photographs: Sha256


class Manifest(Row):
    """conceptset.json; written last, it makes the directory a concept set."""

    schema_version: Literal[1] = 1
    generator: str = Field(description="Program and version that wrote the set.")
    sources: list[SourceEntry]
    settings: dict[str, JsonValue]
    counts: SetCounts
    digests: Digests
