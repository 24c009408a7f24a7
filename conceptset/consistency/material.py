"""What is compared: images, and what each annotator drew in them, wherever it came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from conceptset.records import Frame

UNLABELLED = 0  # the code of no concept


class Annotator(NamedTuple):
    """One session of one person, or a model that takes part like a person."""

    name: str
    session: int = 1
    kind: Literal["person", "model"] = "person"

    def __str__(self) -> str:
        return self.name if self.session == 1 else f"{self.name}#{self.session}"


@dataclass(frozen=True, slots=True)
class Segment:
    """One thing somebody drew.

    Attributes:
        order: Place among this annotator's drawings of the image; document order.
        kind: `ignore` is an abstention: its visible pixels leave every count.
        concept: Code of its concept: place in `Material.concepts`, from 1.
        category: Place in `Material.categories`.
        name: What the annotator called it.
        counts: COCO's compressed run lengths at the size of the image.
        z_order: The tool's painting order; only used where overlaps go by order.
    """

    order: int
    kind: Literal["region", "ignore"]
    concept: int
    category: int
    name: str
    counts: str
    z_order: int = 0


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """One image as everybody annotated it.

    Attributes:
        image: Its place among the images, from 0.
        name: What reports call it; in a set, the photograph relative to images/.
        size: (height, width) that segments refer to.
        drawn: By annotator (place in `Material.annotators`), everybody who worked on the image;
            an empty tuple says: looked, found nothing. Segments in drawing order.
        photograph: Where it lies, if it can be had; it may have another size (squashed).
        frame: Whether `size` is that of the photograph as stored or turned upright by EXIF.
    """

    image: int
    name: str
    size: tuple[int, int]
    drawn: Mapping[int, tuple[Segment, ...]]
    photograph: Path | None = None
    frame: Frame = "stored"


@dataclass(frozen=True, slots=True)
class Material:
    """Everything that is compared.

    Attributes:
        annotators: Everybody, sorted by name and session; images name them by place.
        concepts: Sorted; the code of a concept is its place + 1.
        categories: Label layers, in the order of the set.
        images: Their names, in order.
        overlap: How overlaps within a layer are resolved.
        title: Of the set, or the sources' names.
        stream: Every image, in order, or any one by its number; each is read when it is asked for.
    """

    annotators: tuple[Annotator, ...]
    concepts: tuple[str, ...]
    categories: tuple[str, ...]
    images: tuple[str, ...]
    overlap: Literal["area", "order"]
    title: str
    stream: Sequence[AnnotatedImage]
