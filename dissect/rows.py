"""Rows of whole numbers, image after image: in memory, or in a file that is read by blocks.

The counts of a large set do not fit in memory: 63,305 images and 512 units have some 45 million
intersections. Whoever sums them takes them block by block, each with all rows of its images.
"""

from __future__ import annotations

import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from conceptset.errors import LayoutError
from dissect.upsample import IntArray

BLOCK = 1 << 17  # rows looked at together: 4 MiB of four columns


class Table(ABC):
    """Rows outside memory: (n, width) int64 by rising image, which is the first column.

    Attributes:
        width: Columns.
    """

    width: int

    @abstractmethod
    def __len__(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def pieces(self, size: int) -> Iterator[IntArray]:
        """All rows in order, about `size` at a time, cut anywhere."""


Rows = IntArray | Table


class StoredRows(Table):
    """Rows that lie one after the other in a file, 8 bytes a number, the lowest first."""

    def __init__(self, path: Path, *, width: int, count: int, offset: int = 0) -> None:
        """Nothing is read yet.

        Args:
            path: The file.
            width: Columns.
            count: Rows.
            offset: Bytes before the first one.
        """
        self.width = width
        self._path, self._count, self._offset = path, count, offset

    @classmethod
    def temporary(cls, path: Path, *, width: int, count: int) -> StoredRows:
        """Rows of a file that is removed when nobody holds them any more."""
        rows = cls(path, width=width, count=count)
        weakref.finalize(rows, path.unlink, missing_ok=True)
        return rows

    def __len__(self) -> int:
        """How many rows there are."""
        return self._count

    def pieces(self, size: int) -> Iterator[IntArray]:
        """All rows in order, `size` at a time.

        Raises:
            LayoutError: The file cannot be read, or ends too early.
        """
        try:
            with self._path.open("rb") as stream:
                stream.seek(self._offset)
                for begin in range(0, self._count, size):
                    yield self._read(stream, min(size, self._count - begin))
        except OSError as error:
            raise LayoutError(f"cannot be read ({error})", path=self._path) from error

    def _read(self, stream: BinaryIO, count: int) -> IntArray:
        values = np.fromfile(stream, dtype="<i8", count=count * self.width)
        if len(values) < count * self.width:
            raise LayoutError(f"ends before its {self._count} rows do", path=self._path)
        return values.reshape(count, self.width).astype(np.int64, copy=False)


class _SelectedRows(Table):
    """The rows of some images, or of all others."""

    def __init__(self, rows: Table, images: IntArray, *, keep: bool) -> None:
        self.width = rows.width
        self._rows, self._images, self._keep = rows, images, keep
        self._count: int | None = None

    def __len__(self) -> int:
        if self._count is None:
            self._count = sum(len(piece) for piece in self.pieces(BLOCK))
        return self._count

    def pieces(self, size: int) -> Iterator[IntArray]:
        for piece in self._rows.pieces(size):
            yield piece[np.isin(piece[:, 0], self._images, invert=not self._keep)]


class _MergedRows(Table):
    """The rows of several tables by rising image; of one image in the order of the tables."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self.width = width_of(parts[0])
        self._parts = parts

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def pieces(self, size: int) -> Iterator[IntArray]:
        for parts in side_by_side(self._parts, size):
            yield _by_image(parts)


def _by_image(parts: Sequence[IntArray]) -> IntArray:
    rows = np.concatenate(parts)
    return rows[np.argsort(rows[:, 0], kind="stable")]


def width_of(rows: Rows) -> int:
    """Columns of a table."""
    return rows.width if isinstance(rows, Table) else int(rows.shape[1])


def as_array(rows: Rows) -> IntArray:
    """All rows in memory, (n, width) int64."""
    if not isinstance(rows, Table):
        return rows
    result = np.empty((len(rows), rows.width), dtype=np.int64)
    begin = 0
    for piece in rows.pieces(BLOCK):
        result[begin : begin + len(piece)] = piece
        begin += len(piece)
    return result


def pieces(rows: Rows, size: int | None = None) -> Iterator[IntArray]:
    """All rows in order, about `size` (or `BLOCK`) at a time, cut anywhere."""
    size = BLOCK if size is None else size
    if isinstance(rows, Table):
        yield from rows.pieces(size)
    else:
        for begin in range(0, len(rows), size):
            yield rows[begin : begin + size]


def select_images(rows: Rows, images: IntArray, *, keep: bool = True) -> Rows:
    """The rows of these images; with `keep=False` those of all others."""
    if isinstance(rows, Table):
        return _SelectedRows(rows, images, keep=keep)
    return rows[np.isin(rows[:, 0], images, invert=not keep)]


def merge_rows(parts: Sequence[Rows]) -> Rows:
    """The rows of one or more tables by rising image; of one image in the order of the tables.

    >>> merge_rows([np.array([[0, 5], [9, 5]]), np.array([[3, 7]])]).tolist()
    [[0, 5], [3, 7], [9, 5]]
    """
    arrays = [part for part in parts if not isinstance(part, Table)]
    return _by_image(arrays) if len(arrays) == len(parts) else _MergedRows(parts)


def side_by_side(tables: Sequence[Rows], size: int | None = None) -> Iterator[tuple[IntArray, ...]]:
    """Blocks of several tables, each block with all rows that the tables have of its images.

    Args:
        tables: Their rows go by rising image.
        size: A block has about so many rows of the longest table, at least those of one image;
            None: `BLOCK`.

    >>> first, second = np.array([[0, 1], [0, 2], [4, 3]]), np.array([[2, 8], [4, 9]])
    >>> for own, other in side_by_side([first, second], 2):
    ...     print(own.tolist(), other.tolist())
    [[0, 1], [0, 2]] [[2, 8]]
    [[4, 3]] [[4, 9]]
    """
    cursors = [_Cursor(rows, BLOCK if size is None else size) for rows in tables]
    while any(cursor.holds for cursor in cursors):
        known = [reach for cursor in cursors if (reach := cursor.reach()) is not None]
        last = min(known, default=None)
        yield tuple(cursor.take(last) for cursor in cursors)


class _Cursor:
    """A place in a table, and the rows read from there on."""

    def __init__(self, rows: Rows, size: int) -> None:
        self._pieces = pieces(rows, size)
        self._held = np.empty((0, width_of(rows)), dtype=np.int64)
        self._more = len(rows) > size
        if not self._more:
            self._held = as_array(rows)

    @property
    def holds(self) -> bool:
        """Whether there are rows left."""
        return self._more or len(self._held) > 0

    def reach(self) -> int | None:
        """The last image whose rows are all at hand; None: all rows are."""
        while self._more and (len(self._held) == 0 or self._held[0, 0] == self._held[-1, 0]):
            piece = next(self._pieces, None)
            if piece is None:
                self._more = False
            else:
                self._held = np.concatenate([self._held, piece])
        return int(self._held[-1, 0]) - 1 if self._more else None

    def take(self, last: int | None) -> IntArray:
        """The rows up to an image, which are not held any longer; None: all that are."""
        end = len(self._held) if last is None else np.searchsorted(self._held[:, 0], last, "right")
        taken, self._held = self._held[:end], self._held[end:]
        return taken
