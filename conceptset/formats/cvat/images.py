"""CVAT for images: one `image` element is one record."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from xml.etree.ElementTree import Element

from conceptset.errors import UnsafeError
from conceptset.formats.base import ReadContext
from conceptset.formats.cvat.drawing import Canvas
from conceptset.formats.cvat.elements import (
    KINDS,
    drawing_from,
    order_from,
)
from conceptset.formats.cvat.meta import Meta, Task
from conceptset.formats.cvat.regions import Labels, Listing, region_from
from conceptset.parsing.defects import Spot
from conceptset.parsing.photographs import Placed, place_photograph
from conceptset.parsing.values import quoted, whole_number
from conceptset.records import ImageRecord, Origin, Region


@dataclass(slots=True)
class Images:
    """Reads the images of one file.

    Attributes:
        meta: What the file says of itself.
        context: What the reader was handed.
        labels: Those of the file.
    """

    meta: Meta
    context: ReadContext
    labels: Labels
    _owners: dict[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)

    def record(self, element: Element, spot: Spot) -> ImageRecord | None:
        """The record of an image; None after a report."""
        name = element.get("name", "").strip()
        if not name:
            spot.report("SRC007", "the image has no name.")
            return None
        subset = element.get("subset", "")
        task = self.meta.task_of(element.get("task_id"), subset)
        placed = self._place(name, subset, _stated_size(element), spot)
        if placed is None or not self._is_alone(placed, name, (subset, task.id), spot):
            return None
        return ImageRecord(
            image=placed.key,
            size=placed.size,
            frame=placed.frame,
            workers=task.people,
            regions=tuple(self._regions(element, task, placed, spot)),
            origin=Origin(spot.file, spot.pointer),
        )

    def _place(
        self, name: str, subset: str, stated: tuple[int, int] | None, spot: Spot
    ) -> Placed | None:
        """The photograph: SUBSET/NAME as CVAT exports it, else NAME.

        That of another subset is not taken in its place.
        """
        chosen = name
        others = self.meta.subsets - {subset}
        if subset or others:
            try:
                if subset and self._is_in(subset, name):
                    chosen = f"{subset}/{name}"
                elif self._is_of_another(others, name):
                    spot.report(
                        "SRC001",
                        f"the photograph {quoted(name)} of the subset {quoted(subset)} does not "
                        "exist; that of another subset is not taken.",
                    )
                    return None
            except UnsafeError:
                chosen = name  # it is reported below
        return place_photograph(
            self.context.catalogue,
            chosen,
            stated,
            spot,
            beside=self.context.beside,
            habit="upright",
        )

    def _is_in(self, subset: str, name: str) -> bool:
        """Whether there is such a photograph in a folder of the subset's name."""
        found = self.context.catalogue.locate(f"{subset}/{name}", self.context.beside)
        tail = _parts(f"{subset}/{name}")
        return isinstance(found, str) and _parts(found)[-len(tail) :] == tail

    def _is_of_another(self, others: frozenset[str], name: str) -> bool:
        """Whether the name alone leads to a photograph in the folder of another subset."""
        found = self.context.catalogue.locate(name, self.context.beside)
        if not isinstance(found, str):
            return False
        return not others.isdisjoint(_parts(found)[: -len(_parts(name))])

    def _is_alone(self, placed: Placed, name: str, owner: tuple[str, str], spot: Spot) -> bool:
        """Whether a photograph belongs to one image only, or to one of several tasks."""
        owners = self._owners.get(placed.key, ())
        if owners and owners[0][0] != owner[0]:
            spot.report(
                "SRC045",
                f"the photograph {quoted(name)} of the subset {quoted(owner[0])} is the one that "
                f"an image of {quoted(owners[0][0])} has.",
            )
            return False
        if owner in owners:
            spot.report("SRC046", f"the image {quoted(name)} is listed twice; both are read.")
        else:
            self._owners[placed.key] = (*owners, owner)
        return True

    def _regions(self, image: Element, task: Task, placed: Placed, spot: Spot) -> Iterator[Region]:
        counts: dict[str, int] = {}
        person = None if task.naming is None else task.naming.person
        canvas = Canvas(placed.size)
        for element in image:
            tag = element.tag
            counts[tag] = counts.get(tag, 0) + 1
            here = spot.at(f"{tag}[{counts[tag]}]")
            if tag not in KINDS:
                self.labels.report_element(tag, here)
                continue
            named = self.labels.of(tag, element.get("label"), here)
            if named is None:
                continue
            name, owner = named
            drawing = drawing_from(tag, element.attrib, here, owner)
            if drawing is None:
                continue
            order = order_from(element.get("z_order"), here, owner)
            region = region_from(drawing, Listing(name, owner, here, person, order), canvas)
            if region is not None:
                yield region


def _stated_size(element: Element) -> tuple[int, int] | None:
    height, width = whole_number(element.get("height")), whole_number(element.get("width"))
    return (height, width) if height and width else None


def _parts(path: str) -> tuple[str, ...]:
    """The components of a path, in one form of Unicode."""
    return PurePosixPath(unicodedata.normalize("NFC", path)).parts
