"""COCO JSON: instances, stuff, panoptic, keypoints, image tags, and bare lists of results.

Outlines follow the corner convention. Rings of one annotation are united. Category names are taken
verbatim but stripped; supercategories are ignored. Ids are compared by `canonical_id`: `1`, `1.0`
and `"1"` are one id. Annotators are looked for where custom exports put them, see `people`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from conceptset.formats.base import Candidate, Detection, ReadContext
from conceptset.formats.coco.detection import detect
from conceptset.formats.coco.image_names import names_in
from conceptset.formats.coco.reader import read_file
from conceptset.records import ImageRecord

__all__ = ["FORMAT", "CocoFormat"]


class CocoFormat:
    """The COCO format, see `conceptset.formats.base.Format`."""

    name = "coco"
    title = "COCO"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether it is a COCO JSON file, what was looked for, and where it names people."""
        return detect(candidate)

    def image_names(self, path: Path) -> list[str]:
        """The file names of the images, in order; of those a list of results refers to.

        Of a large file the first few hundred.

        Raises:
            SourceError: The file cannot be read as COCO.
        """
        return names_in(path)

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """One record per entry of `images`, in their order, annotations in document order.

        Raises:
            SourceError: The file as a whole cannot be read; its coordinates are fractions.
            AnnotationError: A bad annotation, under the policy `raise`.
        """
        return read_file(path, context)


FORMAT = CocoFormat()
