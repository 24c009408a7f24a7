"""From drawings to regions, under the names of a file."""

from __future__ import annotations

from dataclasses import dataclass, field

from conceptset.findings import Silence
from conceptset.formats.cvat.drawing import Canvas, Drawing, shape_of
from conceptset.parsing.defects import Spot
from conceptset.parsing.values import clean_name, described, quoted
from conceptset.records import Origin, Person, Region

SILENT = Spot(Silence(), "")  # for what is reported elsewhere
NAME_IT = "Give it a label, or take it out."
_REMEMBERED = 1000  # labels and odd things; a file that has more of them is told more than once
_SHORT = 200  # characters of what is remembered


def owner_of(tag: str, name: str) -> str:
    """What messages call a shape.

    >>> owner_of("polygon", "door")
    'the polygon of "door"'
    """
    return f"the {tag} of {quoted(name)}"


def is_short(text: str) -> bool:
    """Whether a text may be kept in memory: there may be many of them."""
    return len(text) < _SHORT


@dataclass(slots=True)
class Labels:
    """The labels of one file, each looked at once; what is odd about a file is said once.

    Attributes:
        file: The file as a whole.
        declared: The labels it declares; empty if it declares none.
    """

    file: Spot
    declared: frozenset[str] = frozenset()
    _known: dict[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    _said: set[str] = field(default_factory=set)

    def of(self, tag: str, label: str | None, spot: Spot) -> tuple[str, str] | None:
        """The name that a label is, and what messages call a shape with it; None after a report."""
        known = self._known.get((tag, label or ""))
        if known is not None:
            return known
        name = clean_name(label)
        if name is None:
            said = f"has the label {described(label)}" if label else "has no label"
            spot.report("SRC010", f"the {tag} {said}, a name was expected.", hint=NAME_IT)
            return None
        if self.declared and name not in self.declared and self._is_new(f"label {name}"):
            spot.report(
                "SRC043", f"the label {quoted(name)} is not in the list of labels of the file."
            )
        found = name, owner_of(tag, name)
        if is_short(name) and len(self._known) < _REMEMBERED:
            self._known[tag, label or ""] = found
        return found

    def report_element(self, tag: str, spot: Spot) -> None:
        """Say of an element that it is not read, the first time it is met."""
        if self._is_new(f"element {tag}"):
            spot.report("SRC041", f"{quoted(tag)} is no shape of CVAT 1.1; it is not read.")

    def _is_new(self, what: str) -> bool:
        if what in self._said:
            return False
        if len(self._said) < _REMEMBERED and is_short(what):
            self._said.add(what)
        return True


@dataclass(frozen=True, slots=True)
class Listing:
    """What is known of a drawing beside its numbers.

    Attributes:
        name: Its label.
        owner: What messages call it.
        spot: Where it stands.
        person: Who drew it.
        order: Painting order.
        interpolated: Whether the tool computed it.
    """

    name: str
    owner: str
    spot: Spot
    person: Person | None
    order: int = 0
    interpolated: bool = False


def region_from(drawing: Drawing, listing: Listing, canvas: Canvas) -> Region | None:
    """The region of a drawing on an image; None after a report."""
    shape = shape_of(drawing, canvas, listing.spot, listing.owner)
    if shape is None:
        return None
    kind, geometry = shape
    return Region(
        name=listing.name,
        kind=kind,
        geometry=geometry,
        person=listing.person,
        origin=Origin(listing.spot.file, listing.spot.pointer),
        z_order=listing.order,
        interpolated=listing.interpolated,
    )
