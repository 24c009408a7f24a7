"""From shapes to objects: pieces of a group united, what was drawn over them taken away."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from conceptset.formats.labelme.shapes import Bounds, Outline, ShapeKind
from conceptset.geometry import Geometry, Pierced, Rings, Simple, United
from conceptset.parsing.defects import Spot
from conceptset.records import Origin, Person, Region

IGNORE = "__ignore__"
NO_CONCEPT = ("_background_", IGNORE)

MAX_ERASERS = 1_000
MAX_HOLES = 100_000


@dataclass(slots=True)
class _Piece:
    """One shape with an area, and what was taken away from it later."""

    geometry: Simple
    holes: list[Simple] = field(default_factory=list)

    def final(self) -> Simple | Pierced:
        return Pierced(self.geometry, tuple(self.holes)) if self.holes else self.geometry


@dataclass(frozen=True, slots=True)
class _Object:
    """One object: a shape, or the shapes of one group."""

    name: str
    kind: ShapeKind
    person: Person | None
    origin: Origin
    pieces: list[_Piece]


class Objects:
    """Collects the shapes of an image in document order.

    Args:
        spot: The file.
    """

    def __init__(self, spot: Spot) -> None:
        self._spot = spot
        self._objects: list[_Object] = []
        self._groups: dict[tuple[str, str, str, Person | None], _Object] = {}
        self._pieces: list[_Piece] = []
        self._bounds: list[Bounds] = []
        self._erasers: list[tuple[int, Simple, Bounds]] = []
        self._ignored = 0
        self._is_full = False

    def add(
        self, name: str, outline: Outline, *, group: str | None, person: Person | None, origin: Spot
    ) -> None:
        """One more shape, drawn after all others.

        Args:
            name: Its label.
            outline: What it encloses.
            group: Its `group_id`, if it has one.
            person: Who drew it.
            origin: Where it stands.
        """
        if name in NO_CONCEPT:
            self._ignored += name == IGNORE
            if outline.geometry is not None:
                self._erase(outline.geometry, outline.bounds, origin)
            return
        pieces = []
        if outline.geometry is not None:
            pieces.append(_Piece(outline.geometry))
            self._pieces += pieces
            self._bounds.append(outline.bounds)
        key = (name, outline.kind, group or "", person)
        known = self._groups.get(key) if group is not None and pieces else None
        if known is not None:
            known.pieces.extend(pieces)
            return
        place = Origin(origin.file, origin.pointer)
        self._objects.append(_Object(name, outline.kind, person, place, pieces))
        if group is not None and pieces:
            self._groups[key] = self._objects[-1]

    def _erase(self, geometry: Simple, bounds: Bounds, spot: Spot) -> None:
        if len(self._erasers) < MAX_ERASERS:
            self._erasers.append((len(self._pieces), geometry, bounds))
        elif not self._is_full:
            self._is_full = True
            spot.report(
                "SRC059",
                f"more than {MAX_ERASERS:,} shapes are called {' or '.join(NO_CONCEPT)}; this one "
                "and those after it take nothing away.",
            )

    def regions(self) -> list[Region]:
        """The objects, in the order of their first pieces; what was set aside is reported."""
        self._take_away()
        if self._ignored:
            noun = "shape is" if self._ignored == 1 else "shapes are"
            self._spot.at("shapes").report(
                "SRC056",
                f"{self._ignored} {noun} called {IGNORE}; the pixels below are left unlabelled.",
            )
        return [
            Region(
                one.name,
                one.kind,
                _united([piece.final() for piece in one.pieces]),
                one.person,
                one.origin,
            )
            for one in self._objects
        ]

    def _take_away(self) -> None:
        """Note with each piece what was drawn over it and takes it away."""
        bounds = np.array(self._bounds, dtype=np.float64).reshape(-1, 4)
        holes = 0
        for earlier, geometry, (left, top, right, bottom) in self._erasers:
            before = bounds[:earlier]
            meets = (before[:, 0] < right) & (before[:, 2] > left)
            meets &= (before[:, 1] < bottom) & (before[:, 3] > top)
            holes += int(np.count_nonzero(meets))
            if holes > MAX_HOLES:
                self._spot.at("shapes").report(
                    "SRC059",
                    f"shapes called {' or '.join(NO_CONCEPT)} lie over others more than "
                    f"{MAX_HOLES:,} times; not all of them take something away.",
                )
                return
            for place in np.flatnonzero(meets).tolist():
                self._pieces[place].holes.append(geometry)


def _united(pieces: list[Simple | Pierced]) -> Geometry | None:
    """One geometry of all pieces; None where there are none."""
    if len(pieces) <= 1:
        return pieces[0] if pieces else None
    rings = [piece.rings for piece in pieces if isinstance(piece, Rings)]
    if len(rings) == len(pieces):
        return Rings(tuple(ring for several in rings for ring in several))
    return United(tuple(pieces))
