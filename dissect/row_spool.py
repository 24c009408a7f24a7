"""Rows of many tables that grow side by side, more than memory should hold."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from dissect.rows import Rows, StoredRows
from dissect.upsample import IntArray


@dataclass(slots=True)
class _Growing:
    """A table: its rows in memory come after those in its file, if it has one."""

    loose: list[IntArray] = field(default_factory=list)
    path: Path | None = None
    stored: int = 0


class RowSpool:
    """Tables of whole numbers that are added to at their ends and read or taken out one by one.

    What is in memory moves to a file per table whenever it is more than the budget.

    Attributes:
        width: Columns of every table.
    """

    def __init__(self, *, width: int, folder: Path | None, budget: int) -> None:
        """No table has a row yet.

        Args:
            width: Columns of every table.
            folder: Where files go, made when it is needed; None keeps everything in memory. What
                another spool left there is written over.
            budget: Bytes that memory may hold.
        """
        self.width = width
        self._folder = folder
        self._budget = budget
        self._tables: dict[int, _Growing] = {}
        self._held = 0
        self._files = 0

    def add(self, table: int, rows: IntArray) -> None:
        """Put rows, (n, width) int64, at the end of a table."""
        if not len(rows):
            return
        self._tables.setdefault(table, _Growing()).loose.append(rows)
        self._held += rows.nbytes
        if self._folder is not None and self._held > self._budget:
            for growing in self._tables.values():
                self._write(self._folder, growing)

    def read(self, table: int) -> Rows:
        """All rows of a table, (n, width) int64, which may grow on.

        A table that has moved to a file stays there.
        """
        growing = self._tables.get(table, _Growing())
        if self._folder is None or growing.path is None:
            whole = np.concatenate([np.empty((0, self.width), dtype=np.int64), *growing.loose])
            growing.loose[:] = [whole]
            return whole
        self._write(self._folder, growing)
        return StoredRows(growing.path, width=self.width, count=growing.stored)

    def take(self, table: int) -> Rows:
        """All rows of a table, (n, width) int64, which has none afterwards.

        A table that has moved to a file stays there; the file is removed when nobody holds the
        rows any longer.
        """
        rows = self.read(table)
        growing = self._tables.pop(table, _Growing())
        if growing.path is not None:
            return StoredRows.temporary(growing.path, width=self.width, count=growing.stored)
        self._held -= sum(part.nbytes for part in growing.loose)
        return rows

    def _write(self, folder: Path, growing: _Growing) -> None:
        if growing.path is None:
            folder.mkdir(exist_ok=True)
            growing.path = folder / f"rows-{self._files:06d}.i64"
            growing.path.write_bytes(b"")
            self._files += 1
        with growing.path.open("ab") as stream:
            for rows in growing.loose:
                stream.write(np.ascontiguousarray(rows, dtype="<i8").data)
                growing.stored += len(rows)
                self._held -= rows.nbytes
        growing.loose.clear()
