"""From a COCO file to records."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from conceptset.formats.base import ReadContext
from conceptset.formats.coco.document import Document, refuse_fractions
from conceptset.formats.coco.entries import is_other, stated_size
from conceptset.formats.coco.lists import (
    by_image,
    category_names,
    list_images,
    report_repeated_ids,
)
from conceptset.formats.coco.panoptic import mask_folder, segments_of
from conceptset.formats.coco.people import (
    annotator_of,
    file_person,
    image_default,
    image_workers,
)
from conceptset.formats.coco.results import load
from conceptset.formats.coco.shapes import region_kind, shape_of
from conceptset.parsing.defects import Spot
from conceptset.parsing.json_stream import ElementReader
from conceptset.parsing.photographs import Placed, place_photograph
from conceptset.parsing.values import canonical_id, described, quoted
from conceptset.records import ImageRecord, Origin, Person, Region


def read_file(path: Path, context: ReadContext) -> Iterator[ImageRecord]:
    """One record per image entry, in order.

    The file is passed twice: once to learn where everything stands, then image by image.

    Raises:
        SourceError: It cannot be read, is no COCO file, or its coordinates are fractions.
        AnnotationError: A bad annotation, under the policy `raise`.
    """
    document = load(path)
    refuse_fractions(document)
    with document.home.reopened() as home, document.file.reopened() as own:
        yield from _records(document, context, home, own)


def _records(
    document: Document, context: ReadContext, home: ElementReader, own: ElementReader
) -> Iterator[ImageRecord]:
    file = Spot(context.problems, context.label)
    annotations = file if document.is_results else file.at("annotations")
    lists = Spot(context.problems, _home_label(document, context.label))
    names = category_names(document.categories, lists)
    images = list_images(document, home, lists)
    places_of = by_image(document, images, own, annotations)
    report_repeated_ids(document, own, annotations)
    _report_other_kinds(document, annotations)
    masks = mask_folder(document.file.path, document.annotations.masks)
    reader = _Reader(document, context, annotations, names, masks, own)
    for place in images.places:
        entry = home.read(*document.images[place])
        number = document.numbers.of(str(canonical_id(entry["id"])))
        record = reader.record(entry, lists.at("images", place), places_of(number))
        if record is not None:
            yield record
            context.progress(1)


def _home_label(document: Document, label: str) -> str:
    """How messages call the file that lists the images."""
    if not document.is_results:
        return label
    return (PurePosixPath(label).parent / document.home.path.name).as_posix()


def _report_other_kinds(document: Document, spot: Spot) -> None:
    count = document.annotations.others
    if count:
        noun = "annotation is" if count == 1 else "annotations are"
        spot.report("SRC031", f"{count} {noun} a caption or keypoints without a region, not read.")


@dataclass(frozen=True, slots=True)
class _Reader:
    """What every image of one file needs."""

    document: Document
    context: ReadContext
    annotations: Spot
    names: dict[str, str | None]
    masks: Path
    file: ElementReader

    def record(self, entry: dict[str, Any], spot: Spot, places: list[int]) -> ImageRecord | None:
        """The record of one image entry; None after a report."""
        is_results = self.document.is_results
        workers = () if is_results else image_workers(entry, spot)
        if workers is None:
            return None
        placed = place_photograph(
            self.context.catalogue,
            entry["file_name"],
            stated_size(entry),
            spot,
            beside=self.context.beside,
        )
        if placed is None:
            return None
        default = None if is_results else image_default(entry, workers)
        present = dict.fromkeys(workers)
        regions: list[Region] = []
        for place in places:
            annotation = self.file.read(*self.document.annotations.ranges[place])
            here = self.annotations.at(place)
            person, known = annotator_of(annotation, here)
            if not known:
                continue
            if person is not None:
                present[person] = None
            if not is_other(annotation):
                regions.extend(self._regions(annotation, here, placed, person or default))
        return ImageRecord(
            image=placed.key,
            size=placed.size,
            frame=placed.frame,
            workers=tuple(present),
            regions=tuple(regions),
            origin=Origin(spot.file, spot.pointer),
            file_person=None if is_results else file_person(self.document.contributor),
        )

    def _regions(
        self, annotation: dict[str, Any], spot: Spot, placed: Placed, person: Person | None
    ) -> Iterator[Region]:
        """The regions of one annotation: one, or one per segment."""
        if "segments_info" in annotation:
            for segment in segments_of(annotation, self.masks, placed.size, spot):
                own, known = annotator_of(segment.entry, segment.spot)
                name = self._name(segment.entry, segment.spot) if known else None
                if name is not None:
                    kind = region_kind(segment.entry, segment.spot)
                    origin = Origin(spot.file, segment.spot.pointer)
                    yield Region(name, kind, segment.mask, own or person, origin)
            return
        name = self._name(annotation, spot)
        shape = None if name is None else shape_of(annotation, name, placed.size, spot)
        if name is not None and shape is not None:
            yield Region(name, *shape, person, Origin(spot.file, spot.pointer))

    def _name(self, annotation: dict[str, Any], spot: Spot) -> str | None:
        """What the category of an annotation is called; None after a report."""
        value = annotation.get("category_id")
        key = canonical_id(value)
        if key is None:
            spot.report("SRC010", f"category_id is {described(value)}, an id was expected.")
        elif key not in self.names:
            spot.report(
                "SRC010", f"category_id is {quoted(key)}, but no category of the file has this id."
            )
        else:
            return self.names[key]
        return None
