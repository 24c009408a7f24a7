"""Rows of many tables that grow side by side, more than memory should hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from dissect.upsample import IntArray


class RowSpool:
    """Tables of whole numbers that are added to at their ends and taken out one by one.

    What is in memory moves to a file per table whenever it is more than the budget.

    Attributes:
        width: Columns of every table.
    """

    def __init__(self, *, width: int, folder: Path | None, budget: int) -> None:
        """No table has a row yet.

        Args:
            width: Columns of every table.
            folder: Where files go, made when it is needed; None keeps everything in memory.
            budget: Bytes that memory may hold.
        """
        self.width = width
        self._folder = folder
        self._budget = budget
        self._loose: dict[int, list[IntArray]] = {}
        self._held = 0

    def add(self, table: int, rows: IntArray) -> None:
        """Put rows, (n, width) int64, at the end of a table."""
        if not len(rows):
            return
        self._loose.setdefault(table, []).append(rows)
        self._held += rows.nbytes
        if self._folder is not None and self._held > self._budget:
            self._write(self._folder)

    def take(self, table: int) -> IntArray:
        """All rows of a table, (n, width) int64, which has none afterwards."""
        loose = self._loose.pop(table, [])
        self._held -= sum(rows.nbytes for rows in loose)
        parts = [np.empty((0, self.width), dtype=np.int64), *loose]
        if self._folder is not None and (path := self._path(self._folder, table)).is_file():
            parts.insert(0, np.fromfile(path, dtype="<i8").reshape(-1, self.width).astype(np.int64))
            path.unlink()
        return np.concatenate(parts)

    def _write(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        for table, parts in self._loose.items():
            path = self._path(folder, table)
            data = np.concatenate(parts).astype("<i8").tobytes()
            with path.open("ab") as stream:
                stream.write(data)
        self._loose = {}
        self._held = 0

    @staticmethod
    def _path(folder: Path, table: int) -> Path:
        return folder / f"rows-{table:06d}.i64"
