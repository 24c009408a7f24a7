"""sample.json: which images several people annotate again, and who does what."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from conceptset.layout.models import Count, Row, Sha256


class SampleSettings(Row):
    """What was asked for."""

    repeat: str = Field(description="A share of the images (`10%`) or their number.")
    annotators: list[str]
    again: bool = Field(description="Second sessions are wanted as well.")
    seed: int


class SampledImage(Row):
    """One image of the sample; the most useful ones come first."""

    image: str = Field(description="Photograph, relative to images/ of the set.")
    source: str = Field(description="Slug of the image root.")
    original: str = Field(description="Path below the image root.")
    sha256: Sha256 = Field(description="Digest of the original file.")
    tasks: list[str] = Field(description="Who annotates it now; `ada#2` is a second session.")
    done: list[str] = Field(description="Who annotated it before, of those that were named.")


class TaskList(Row):
    """The work of one person in one session."""

    annotator: str
    session: int = Field(ge=1)
    known: bool = Field(description="The set has work of this person.")
    directory: str = Field(description="Name of the file below tasks/ and the folder in lists/.")
    images: Count


class SamplePair(Row):
    """Images that two people, or two sessions of one, have in common."""

    a: str
    b: str
    before: Count = Field(description="In the set.")
    added: Count = Field(description="When all tasks are done.")


class SampledConcept(Row):
    """How well the sample covers one concept; both names empty: images without any label."""

    category: str
    concept: str
    images: Count = Field(description="Images of the set where anybody used it.")
    finished: Count = Field(description="Of these, images with no task left for those named.")
    sampled: Count


class Sample(Row):
    """sample.json."""

    schema_version: Literal[1] = 1
    generator: str
    settings: SampleSettings
    images: list[SampledImage]
    tasks: list[TaskList]
    pairs: list[SamplePair] = Field(description="Those with at least one of the people named.")
    concepts: list[SampledConcept] = Field(description="Least covered first.")
    notes: list[str]
