"""Who drew: annotators.csv, the folders behind it, and the segments in them."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from conceptset.errors import SourceError, UnsafeError, printable
from conceptset.io.paths import plain_size, resolve_inside
from conceptset.layout import names
from conceptset.layout.models import SegmentRow
from conceptset.layout.segments import shape_problem
from conceptset.repair.ledger import Ledger
from conceptset.repair.sheets import Row, Sheet, number_in

_DIRECTORY = re.compile(r"[A-Za-z0-9._-]+", re.ASCII)
_MAX_LINE = 64 << 20
_KINDS = ("person", "model")


@dataclass(frozen=True, slots=True)
class Annotator:
    """A person's session in the repaired set."""

    name: str
    session: int
    kind: str
    directory: str

    @property
    def folder(self) -> str:
        """Where its tables lie, relative to the set."""
        return f"{names.ANNOTATOR_FOLDER}/{self.directory}/"


def find_annotators(root: Path, table: Sheet, ledger: Ledger) -> list[Annotator]:
    """Everybody who has a folder of their own, in the order of annotators.csv."""
    folders = list(_folders(root, ledger))
    rows: list[Row] = []
    if table.has("annotator", "directory"):
        rows = list(table.rows)
    elif folders:
        code = "LAY004" if table.is_missing else "LAY005"
        text = "says nothing; the names of the annotators are those of their directories now"
        ledger.lost(code, text, table.path)
    found: list[Annotator] = []
    for row in rows:
        one = _annotator(row, table.path, folders, found, ledger)
        if one is not None:
            found.append(one)
    for folder in folders:
        if folder in {one.directory for one in found}:
            continue
        name = "" if folder == "unnamed" else folder
        if rows:
            text = f"is not in {names.ANNOTATORS}; its annotator is called {name!r} now"
            ledger.lost("ANN002", text, f"{names.ANNOTATOR_FOLDER}/{folder}")
        found.append(Annotator(name, _free_session(name, found), "person", folder))
    return found


def _folders(root: Path, ledger: Ledger) -> Iterator[str]:
    """Folders below annotators/ that lie in the set."""
    place = root / names.ANNOTATOR_FOLDER
    for path in sorted(place.iterdir()) if place.is_dir() else ():
        if not path.is_dir() or ".partial-" in path.name or not _DIRECTORY.fullmatch(path.name):
            continue
        try:
            resolve_inside(root, f"{names.ANNOTATOR_FOLDER}/{path.name}")
        except UnsafeError as error:
            text = f"{error.message}; the annotator is left out"
            ledger.lost("LAY013", text, f"{names.ANNOTATOR_FOLDER}/{path.name}")
            continue
        yield path.name


def _annotator(
    row: Row, path: str, folders: Sequence[str], found: Sequence[Annotator], ledger: Ledger
) -> Annotator | None:
    directory, name = row.cells["directory"], row.cells["annotator"]
    who = printable(name, 80)
    if not _DIRECTORY.fullmatch(directory) or not directory.strip("."):
        text = f"{directory[:120]!r} is no plain directory name; {who!r} is left out"
        ledger.lost("ANN003", text, path, row.line, "directory")
        return None
    if directory in {one.directory for one in found}:
        text = f"the directory {directory} belongs to an earlier row; {who!r} is left out"
        ledger.lost("ANN003", text, path, row.line, "directory")
        return None
    if directory not in folders:
        text = f"the directory of {who!r} does not exist in the set; the annotator is left out"
        ledger.lost("ANN001", text, path, row.line, "directory")
        return None
    if row.is_short:
        ledger.changed("LAY007", "rows of annotators.csv completed")
    kind = row.cells.get("kind", "")
    if kind not in _KINDS:
        text = f"kind is {kind[:40]!r}; {who!r} is taken for a person"
        ledger.lost("ANN010", text, path, row.line, "kind")
        kind = "person"
    session = number_in(row.cells.get("session", ""))
    taken = {(one.name, one.session) for one in found}
    if not session or (name, session) in taken:
        code = "ANN007" if session else "ANN010"
        said = row.cells.get("session", "")[:40]
        session = _free_session(name, found)
        text = f"session is {said!r}, which cannot be; it is session {session} of {who!r} now"
        ledger.lost(code, text, path, row.line, "session")
    return Annotator(name, session, kind, directory)


def _free_session(name: str, found: Sequence[Annotator]) -> int:
    return 1 + max((one.session for one in found if one.name == name), default=0)


@dataclass(frozen=True, slots=True)
class Renaming:
    """What is called otherwise in the repaired set; what is not listed keeps its name.

    Attributes:
        images: Photographs that the annotator's index lists, all of them, old name to new.
        concepts, categories: Old name to new.
        sizes: The size that segments of each image refer to, by old name; grows as segments are
            read, so that all annotators of an image get the first one's.
    """

    images: Mapping[str, str]
    concepts: Mapping[str, str]
    categories: Mapping[str, str]
    sizes: dict[str, tuple[int, int]]


def repair_segments(
    source: Path, target: Path, path: str, renaming: Renaming, ledger: Ledger
) -> int:
    """Write the lines of a segments.jsonl that can be used.

    The file is read twice: what a line is a part of may come after it.

    Args:
        source: The segments.jsonl as it is.
        target: The file to write.
        path: How findings call it.
        renaming: What is called otherwise now.
        ledger: Where notes go.

    Returns:
        How many segments somebody drew there are now.
    """
    orders: dict[str, list[int]] = {}
    bad: set[int] = set()
    try:
        for line, text in _lines(source):
            row = _row(path, line, text, renaming, ledger)
            if row is None:
                bad.add(line)
            else:
                orders.setdefault(row.image, []).append(row.order)
    except OSError as error:
        code = "LAY004" if isinstance(error, FileNotFoundError) else "ANN013"
        ledger.lost(code, f"the segments cannot be read ({error.strerror}) and are lost", path)
        target.touch()
        return 0
    except SourceError as error:
        ledger.lost("ANN013", f"{error.message}; no segment of the file is kept", path)
        target.touch()
        return 0
    repeated = [image for image, own in orders.items() if len(set(own)) < len(own)]
    ledger.changed("ANN015", "segments of an image numbered as their lines follow", len(repeated))
    drawn = 0
    places: Counter[str] = Counter()
    with target.open("wb") as stream:
        for line, text in _lines(source):
            if line in bad:
                continue
            row = SegmentRow.model_validate_json(text)
            place, own = places[row.image], orders[row.image]
            places[row.image] += 1
            part_of = _whole(row, place, own, (path, line), ledger)
            stream.write(_rewritten(text, row, place, own, part_of, renaming))
            drawn += not row.interpolated
    return drawn


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    plain_size(path)
    with path.open("rb") as stream:
        number = 0
        while text := stream.readline(_MAX_LINE):
            number += 1
            if len(text) == _MAX_LINE:
                raise SourceError(f"line {number} is longer than {_MAX_LINE} bytes", path=path)
            if text.strip():
                yield number, text


def _row(
    path: str, line: int, text: bytes, renaming: Renaming, ledger: Ledger
) -> SegmentRow | None:
    try:
        row = SegmentRow.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = "".join(f"/{part}" for part in first["loc"]) or None
        ledger.lost("ANN013", f"{first['msg']}; the line is left out", path, line, pointer)
        return None
    if row.image not in renaming.images:
        message = f"{printable(row.image, 120)} is not in the annotator's index; left out"
        ledger.lost("ANN017", message, path, line, "/image")
        return None
    problem = shape_problem(row)
    if problem is not None:
        ledger.lost("ANN014", f"{problem}; the line is left out", path, line, "/counts")
        return None
    size = renaming.sizes.setdefault(row.image, row.size)
    if row.size != size:
        shown = f"{row.size[0]} x {row.size[1]}, others of the image are {size[0]} x {size[1]}"
        ledger.lost("ANN020", f"size is {shown}; the line is left out", path, line, "/size")
        return None
    return row


def _whole(
    row: SegmentRow, place: int, orders: Sequence[int], at: tuple[str, int], ledger: Ledger
) -> int | None:
    """Place among the lines of its image of what a segment is a part of."""
    if row.part_of is None:
        return None
    wholes = [own for own, order in enumerate(orders) if order == row.part_of and own != place]
    if len(wholes) == 1:
        return wholes[0]
    what = "which does not exist" if not wholes else "of which there are several"
    text = f"is a part of segment {row.part_of}, {what}; it is no part now"
    ledger.lost("ANN016", text, *at, "/part_of")
    return None


def _rewritten(
    text: bytes,
    row: SegmentRow,
    place: int,
    orders: Sequence[int],
    whole: int | None,
    renaming: Renaming,
) -> bytes:
    """A line; as it was where nothing about it changes."""
    numbers = range(len(orders)) if len(set(orders)) < len(orders) else orders
    changed: dict[str, object] = {
        "order": numbers[place],
        "part_of": None if whole is None else numbers[whole],
        "concept": renaming.concepts.get(row.concept, row.concept),
        "category": renaming.categories.get(row.category, row.category),
        "image": renaming.images[row.image],
    }
    document = row.model_dump(mode="json")
    if changed.items() <= document.items():
        return text if text.endswith(b"\n") else text + b"\n"
    for key in ("interpolated", "z_order"):  # written where they say something
        if not document[key]:
            del document[key]
    return (json.dumps(document | changed, ensure_ascii=False) + "\n").encode()
