"""CVAT: XML for images and for video, backups of tasks and projects, annotations as JSON.

Outlines follow the corner convention, the photograph is seen upright. A box, turned or not, and
the hull of a cuboid are frames around an object (`box`); polygons, ellipses and masks are regions.
Shapes of one group stay apart: a group ties objects together, it does not make them one. The file
names at most one person, who drew everything in it and worked on every image it lists.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from conceptset.errors import ConceptsetError, SourceError
from conceptset.formats.base import Candidate, Detection, ReadContext
from conceptset.formats.cvat.backup import read_bundle
from conceptset.formats.cvat.bundle import backups
from conceptset.formats.cvat.detection import (
    detect_folder,
    detect_json,
    detect_xml,
    names_in_bundles,
    names_in_xml,
    no,
    refusal,
)
from conceptset.formats.cvat.document import read_xml
from conceptset.formats.cvat.rest import bundle_of_file
from conceptset.records import ImageRecord

__all__ = ["FORMAT", "CvatFormat"]


class CvatFormat:
    """The formats of CVAT, see `conceptset.formats.base.Format`."""

    name = "cvat"
    title = "CVAT"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether it is an XML file, a backup or a JSON file of CVAT, and whom it names."""
        try:
            if candidate.is_directory:
                return detect_folder(candidate.path)
            if candidate.suffix == ".xml":
                return detect_xml(candidate)
            if candidate.suffix == ".json":
                return detect_json(candidate)
        except ConceptsetError as error:
            return refusal(error)
        return no("is neither an XML nor a JSON file")

    def image_names(self, path: Path) -> Iterator[str]:
        """How the annotations call their first images.

        Raises:
            SourceError: The file cannot be read up to there.
        """
        if path.is_dir():
            return names_in_bundles(backups(path))
        if path.suffix.lower() == ".json":
            return names_in_bundles([bundle_of_file(path)])
        return names_in_xml(path)

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """One record per image or frame.

        Raises:
            SourceError: The file as a whole cannot be read.
            AnnotationError: A bad annotation, under the policy `raise`.
        """
        if path.is_dir():
            return _read_folder(path, context)
        if path.suffix.lower() == ".json":
            return _read_json(path, context)
        return read_xml(path, context)


def _read_folder(path: Path, context: ReadContext) -> Iterator[ImageRecord]:
    tasks = backups(path)
    if not tasks:
        raise SourceError("is no backup of CVAT", path=path)
    for task in tasks:
        label = f"{context.label}/{task.folder}{task.annotations}"
        yield from read_bundle(task, context, label, f"{context.label}/{task.folder}")


def _read_json(path: Path, context: ReadContext) -> Iterator[ImageRecord]:
    folder = context.label.rpartition("/")
    yield from read_bundle(bundle_of_file(path), context, context.label, folder[0] + folder[1])


FORMAT = CvatFormat()
