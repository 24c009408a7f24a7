"""From one image, as everybody annotated it, to its rows of the core record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from conceptset.consistency.counts import Counts
from conceptset.consistency.material import AnnotatedImage, Annotator, Material


@dataclass(frozen=True, slots=True)
class CountSettings:
    """What counting needs to know besides the image; small, and can be sent to a worker.

    Attributes:
        annotators: Everybody; images name them by place.
        categories: Label layers; segments name them by place.
        overlap: How overlaps within a layer are resolved.
        boundary: Whether outlines are measured: bands and distances of matches.
    """

    annotators: tuple[Annotator, ...]
    categories: tuple[str, ...]
    overlap: Literal["area", "order"] = "area"
    boundary: bool = True

    @classmethod
    def of(cls, material: Material, *, boundary: bool = True) -> CountSettings:
        """The settings that fit some material."""
        return cls(material.annotators, material.categories, material.overlap, boundary)


def count_image(image: AnnotatedImage, setting: CountSettings) -> Counts:
    """Everything that is counted in one image."""
    raise NotImplementedError
