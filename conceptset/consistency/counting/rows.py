"""Tables of counts that grow column by column."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from conceptset.consistency.counts import Table


class Rows:
    """Rows of one table, in groups that share their key; an array is only made at the end.

    >>> rows = Rows(np.dtype([("image", "<i4"), ("concept", "<i4"), ("pixels", "<i8")]), keys=1)
    >>> rows.add((7,), [1, 2], [30, 40])
    >>> rows.table().tolist()
    [(7, 1, 30), (7, 2, 40)]
    """

    def __init__(self, dtype: np.dtype[np.void], *, keys: int) -> None:
        self._table = np.zeros(0, dtype)
        self._fields = dtype.names or ()
        self._n_keys = keys
        self._keys: list[Sequence[int]] = []
        self._groups: list[tuple[NDArray[np.generic], ...]] = []

    def add(self, key: Sequence[int], *columns: ArrayLike) -> None:
        """A group of rows.

        Args:
            key: The first fields, the same for all of them.
            columns: The other fields, each with one entry (or one vector) for each row.
        """
        self._keys.append(key)
        self._groups.append(tuple(np.asarray(column) for column in columns))

    def table(self) -> Table:
        """All rows, groups in the order in which they came."""
        lengths = [len(group[0]) for group in self._groups]
        table = np.zeros(sum(lengths), self._table.dtype)
        if len(table) == 0:
            return table
        keys = np.repeat(np.array(self._keys), lengths, axis=0)
        for place, field in enumerate(self._fields[: self._n_keys]):
            table[field] = keys[:, place]
        rest = self._fields[self._n_keys :]
        for field, column in zip(rest, zip(*self._groups, strict=True), strict=True):
            table[field] = np.concatenate(column)
        return table
