"""Who calls what others call what: the confusions of all pairs, by the two names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from conceptset.consistency.document import PairEntry


@dataclass(slots=True)
class _Tally:
    matches: int = 0
    regions: int = 0
    pixels: int = 0
    said: tuple[Counter[str], Counter[str]] = field(default_factory=lambda: (Counter(), Counter()))


@dataclass(frozen=True, slots=True)
class Clash:
    """Two names that meet on the same things.

    Attributes:
        names: The two, in alphabetical order.
        matches: Matched segments, summed over pairs of annotators.
        regions: Images where the names mean the same region; likewise.
        pixels: Likewise.
        said: For each of the names, who used it where another used the other one, and how often;
            most frequent first.
    """

    names: tuple[str, str]
    matches: int
    regions: int
    pixels: int
    said: tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]

    @property
    def count(self) -> int:
        """Matched segments; where there are none, regions."""
        return self.matches or self.regions


def list_clashes(pairs: Iterable[PairEntry]) -> list[Clash]:
    """The confusions of all pairs put together, the most frequent first.

    Args:
        pairs: Of one label layer. Sessions of one person are left out.
    """
    tallies: dict[tuple[str, str], _Tally] = {}
    for pair in pairs:
        if pair.kind == "sessions":
            continue
        for found in pair.confusions:
            first, second = sorted((found.name_a, found.name_b))
            if first == second:
                continue
            tally = tallies.setdefault((first, second), _Tally())
            tally.matches += found.matches
            tally.regions += found.regions
            tally.pixels += found.pixels
            count = found.matches or found.regions
            a_side = 0 if found.name_a == first else 1
            tally.said[a_side][pair.a] += count
            tally.said[1 - a_side][pair.b] += count
    clashes = [
        Clash(
            names,
            tally.matches,
            tally.regions,
            tally.pixels,
            (_by_count(tally.said[0]), _by_count(tally.said[1])),
        )
        for names, tally in tallies.items()
    ]
    return sorted(clashes, key=lambda c: (-c.matches, -c.regions, -c.pixels, c.names))


def _by_count(counts: Counter[str]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(counts.items(), key=lambda item: (-item[1], item[0])))
