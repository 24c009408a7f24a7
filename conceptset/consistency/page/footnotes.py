"""Why a figure or its interval is missing: numbered remarks below a table."""

from __future__ import annotations

from conceptset.consistency.document import Figure


class Footnotes:
    """The reasons met so far in one table; equal reasons share a number."""

    def __init__(self) -> None:
        """Without reasons."""
        self._numbers: dict[str, int] = {}

    def mark(self, figure: Figure) -> str:
        """The number of a figure's reason; empty where nothing is missing.

        >>> notes = Footnotes()
        >>> notes.mark(Figure(value=None, n_images=0, reason="no shared image"))
        '1'
        >>> notes.mark(Figure(value=1.0, low=0.9, high=1.0, n_images=30))
        ''
        """
        if figure.value is not None and figure.low is not None:
            return ""
        reason = figure.reason or ("undefined" if figure.value is None else "no interval")
        return str(self._numbers.setdefault(reason, len(self._numbers) + 1))

    def listed(self) -> list[tuple[int, str]]:
        """(number, reason) of all, in order."""
        return [(number, reason) for reason, number in self._numbers.items()]
