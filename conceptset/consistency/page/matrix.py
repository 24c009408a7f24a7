"""Agreement of every pair as a table, people who agree side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conceptset.consistency.document import Cluster, Figure, PairEntry

MAX_SIDE = 40
MAX_LISTED = 15
_LEVELS = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """One pair in the table.

    Attributes:
        a: Whom the row is of.
        b: Whom the column is of.
        figure: Their agreement.
        level: From 0 (the lowest agreement of the table) to 7 (the highest); -1 without a value.
        n_images: Images that both worked on.
    """

    a: str
    b: str
    figure: Figure
    level: int
    n_images: int


@dataclass(frozen=True, slots=True)
class Matrix:
    """Pairs in the order of clusters.

    Attributes:
        names: Of rows and columns.
        rows: Cells; None on the diagonal and where the pair is not in the document.
        breaks: Names before which a new cluster begins.
        worst: The pairs that agree least, where the table would be too large.
        best: The pairs that agree most; likewise.
    """

    names: tuple[str, ...]
    rows: tuple[tuple[Cell | None, ...], ...]
    breaks: frozenset[str]
    worst: tuple[Cell, ...] = ()
    best: tuple[Cell, ...] = ()

    @property
    def side(self) -> int:
        """How many people."""
        return len(self.names)


def make_matrix(
    names: Sequence[str], pairs: Sequence[PairEntry], clusters: Sequence[Cluster]
) -> Matrix:
    """The table of one label layer; above 40 people only the pairs at either end.

    Args:
        names: Everybody in the layer, in the order that holds where clusters say nothing.
        pairs: Of the layer.
        clusters: Of the layer.
    """
    order, breaks = _order(names, clusters)
    cells = _cells(pairs)
    known = [cell for cell in cells.values() if cell.figure.value is not None]
    if len(order) > MAX_SIDE:
        ranked = sorted(known, key=lambda cell: (cell.figure.value, cell.a, cell.b))
        best = ranked[MAX_LISTED:][-MAX_LISTED:][::-1]
        return Matrix(order, (), breaks, tuple(ranked[:MAX_LISTED]), tuple(best))
    rows = tuple(tuple(_cell(cells, a, b) for b in order) for a in order)
    return Matrix(order, rows, breaks)


def _order(
    names: Sequence[str], clusters: Sequence[Cluster]
) -> tuple[tuple[str, ...], frozenset[str]]:
    present = set(names)
    groups = [[name for name in cluster.annotators if name in present] for cluster in clusters]
    grouped = {name for group in groups for name in group}
    groups.append([name for name in names if name not in grouped])
    groups = [group for group in groups if group]
    order = tuple(dict.fromkeys(name for group in groups for name in group))
    return order, frozenset(group[0] for group in groups[1:])


def _cells(pairs: Sequence[PairEntry]) -> dict[tuple[str, str], Cell]:
    figures = {(pair.a, pair.b): pair.pixels.any.mean.agreement for pair in pairs}
    values = [figure.value for figure in figures.values() if figure.value is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    # a narrow range is no reason for strong colours: ten points are the least that fill the scale
    low = min(low, high - 0.1)
    return {
        (pair.a, pair.b): Cell(
            pair.a,
            pair.b,
            figure := figures[pair.a, pair.b],
            -1
            if figure.value is None
            else min(_LEVELS - 1, int((figure.value - low) / (high - low) * _LEVELS)),
            pair.n_images,
        )
        for pair in pairs
    }


def _cell(cells: Mapping[tuple[str, str], Cell], a: str, b: str) -> Cell | None:
    return cells.get((a, b)) or cells.get((b, a))
