"""Who is compared with whom: persons by their first sessions, models, sessions of one person."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from conceptset.consistency.material import Annotator
from conceptset.records import first_sessions

PairKind = Literal["people", "model", "sessions"]


@dataclass(frozen=True, slots=True)
class Roster:
    """Everybody, and which of them count once.

    Attributes:
        annotators: In the order of the material; all others name them by place.
        first: Lowest session of each person or model.
        persons: Those of `first` who are persons.
    """

    annotators: tuple[Annotator, ...]
    first: tuple[int, ...]
    persons: tuple[int, ...]

    @classmethod
    def of(cls, annotators: tuple[Annotator, ...]) -> Roster:
        """Sorted out.

        >>> Roster.of((Annotator("A"), Annotator("A", 2), Annotator("net", kind="model"))).first
        (0, 2)
        """
        sessions = (((one.name, one.kind), one.session) for one in annotators)
        first = tuple(sorted(first_sessions(sessions)))
        return cls(annotators, first, tuple(p for p in first if annotators[p].kind == "person"))

    def name(self, place: int) -> str:
        """What reports call an annotator."""
        return str(self.annotators[place])

    def pairs(self) -> Iterator[tuple[int, int, PairKind]]:
        """Every pair to report, a < b; a later session only meets sessions of the same person."""
        first = set(self.first)
        for a, one in enumerate(self.annotators):
            for b in range(a + 1, len(self.annotators)):
                other = self.annotators[b]
                if (one.name, one.kind) == (other.name, other.kind):
                    yield a, b, "sessions"
                elif a in first and b in first:
                    yield a, b, "people" if one.kind == other.kind == "person" else "model"
