"""CSV and JSON text: read under limits with line numbers, written the same way every time."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conceptset.errors import SourceError, UnsafeError
from conceptset.io.paths import plain_size

MAX_TABLE_BYTES = 2 << 30
MAX_JSON_BYTES = 1 << 30
MAX_CELL = 1 << 20
MAX_CONTAINERS = 4_000_000  # lists and objects of one JSON document; each takes up to 250 bytes
MAX_DIGITS = 40  # of a whole number; a float still holds it


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file as text.

    Attributes:
        path: The file.
        header: Column names.
        rows: Cells per row; a row may have too few or too many.
        lines: The line of the file (from 1) that each row begins on.
    """

    path: Path
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    lines: tuple[int, ...]

    def records(self) -> Iterator[tuple[int, dict[str, str]]]:
        """(line, cells by column) of every row.

        Raises:
            SourceError: A row has more or fewer cells than the header, or a column comes twice.
        """
        if len(set(self.header)) < len(self.header):
            raise SourceError("has a column twice", path=self.path, pointer="line 1")
        for line, row in zip(self.lines, self.rows, strict=True):
            if len(row) != len(self.header):
                raise SourceError(
                    f"has {len(row)} cells, the header has {len(self.header)}",
                    path=self.path,
                    pointer=f"line {line}",
                    hint="Correct the row; a cell that holds a comma needs quotes.",
                )
            yield line, dict(zip(self.header, row, strict=True))


def read_bytes(path: Path, limit: int) -> bytes:
    """The whole file.

    Raises:
        SourceError: It cannot be read.
        UnsafeError: It is larger than `limit` bytes, or no plain file: a pipe may never end.
    """
    try:
        size = plain_size(path)
        if size > limit:
            raise UnsafeError(
                f"holds {size:,} bytes, at most {limit:,} are read",
                path=path,
                hint="Check how it was made, or split it.",
            )
        return path.read_bytes()
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})", path=path) from error


def read_table(path: Path) -> Table:
    """A CSV file; no judgement on its content.

    Raises:
        SourceError: It cannot be read, is not UTF-8, or is no CSV (NUL, a cell over 1 MiB).
    """
    data = read_bytes(path, MAX_TABLE_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceError("is not UTF-8 text", path=path, pointer=f"line {line}") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, ...]] = []
    lines: list[int] = []
    previous = csv.field_size_limit(MAX_CELL)
    try:
        begin = 1
        for row in reader:
            if row:
                rows.append(tuple(row))
                lines.append(begin)
            begin = reader.line_num + 1
    except csv.Error as error:
        raise SourceError(
            f"is no valid CSV ({error})", path=path, pointer=f"line {reader.line_num}"
        ) from error
    finally:
        csv.field_size_limit(previous)
    if not rows:
        raise SourceError("is empty, a header line was expected", path=path)
    return Table(path, rows[0], tuple(rows[1:]), tuple(lines[1:]))


def format_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> bytes:
    r"""The bytes of a CSV: UTF-8, `\n`, quoted only where needed; floats by `repr`.

    >>> format_table(["a", "b"], [[1, "x,y"], [0.5, ""]])
    b'a,b\n1,"x,y"\n0.5,\n'
    """
    return format_rows([header]) + format_rows(rows)


def format_rows(rows: Iterable[Sequence[object]]) -> bytes:
    """The same without a header, for a table that grows."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    quoting = csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL)
    for row in rows:
        # Python leaves a carriage return bare where it is no part of the line's end
        bare = any(isinstance(cell, str) and "\r" in cell for cell in row)
        (quoting if bare else writer).writerow(row)
    return stream.getvalue().encode("utf-8")


def fixed(value: float) -> str:
    """Fixed point with nine decimals, as peers of the layout read it; never an exponent.

    >>> fixed(9e-05)
    '0.000090000'
    """
    return f"{value:.9f}"


def _refuse_constant(text: str) -> float:
    raise ValueError(f"{text} is no JSON number")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"the number {text[:40]} is too large")
    return value


def _bounded_int(text: str) -> int:
    if len(text) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(text)} digits")
    return int(text)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} occurs twice in one object")
    return result


def json_decoder(*, allow_nan: bool = False, trust_digits: bool = False) -> json.JSONDecoder:
    """A decoder that refuses what `parse_json` refuses; it raises ValueError or RecursionError.

    Args:
        allow_nan: See `parse_json`.
        trust_digits: Whole numbers are known to be of at most `MAX_DIGITS` digits. They are then
            converted without a call for each.
    """
    return json.JSONDecoder(
        parse_constant=float if allow_nan else _refuse_constant,
        parse_float=float if allow_nan else _finite,
        parse_int=None if trust_digits else _bounded_int,
        object_pairs_hook=_unique_keys,
    )


def parse_json(data: bytes, *, path: Path, allow_nan: bool = False) -> Any:  # noqa: ANN401
    """A JSON document; NaN, infinities, repeated keys and endless nesting are refused.

    Args:
        data: The bytes of the file.
        path: The file; named in errors.
        allow_nan: Let NaN, infinities and numbers too large for a float pass, where one bad number
            must not cost the whole file. The caller then looks at every number it uses.

    Raises:
        SourceError: It is no JSON; the message has line and column.
        UnsafeError: It would take too much memory.
    """
    if data.count(b"[") + data.count(b"{") > MAX_CONTAINERS:
        raise UnsafeError(
            f"holds more than {MAX_CONTAINERS:,} lists and objects",
            path=path,
            hint="Check how it was made, or split it.",
        )
    try:
        return json_decoder(allow_nan=allow_nan).decode(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise SourceError("is not UTF-8 text", path=path, pointer=f"byte {error.start}") from error
    except json.JSONDecodeError as error:
        place = f"line {error.lineno} column {error.colno}"
        raise invalid_json(error, path=path, pointer=place) from error
    except (ValueError, RecursionError) as error:
        raise invalid_json(error, path=path, pointer=None) from error


def invalid_json(
    error: ValueError | RecursionError, *, path: Path, pointer: str | None
) -> SourceError:
    """What a decoder's complaint is for the person who has the file."""
    if isinstance(error, json.JSONDecodeError):
        return SourceError(f"is no valid JSON ({error.msg})", path=path, pointer=pointer)
    reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
    return SourceError(f"is refused as JSON: {reason}", path=path, pointer=pointer)


def read_json(path: Path, limit: int = MAX_JSON_BYTES, *, allow_nan: bool = False) -> Any:  # noqa: ANN401
    """The JSON document in a file; see `parse_json`."""
    return parse_json(read_bytes(path, limit), path=path, allow_nan=allow_nan)


def format_json(value: object) -> bytes:
    """The bytes of a JSON file: two spaces, sorted keys, UTF-8, a final newline."""
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal."""
    return hashlib.sha256(data).hexdigest()
