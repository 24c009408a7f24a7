"""Which numbers have which names: taken from every table that says so, never invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from conceptset.errors import LayoutError, printable
from conceptset.layout import names
from conceptset.layout.models import MAX_LABEL
from conceptset.repair.ledger import Ledger
from conceptset.repair.sheets import Row, Sheet, Tables, number_in
from conceptset.taxonomy import category_problem, concept_name


@dataclass(slots=True)
class Labels:
    """The labels of the repaired set.

    Attributes:
        names: By their new number.
        numbers: Old number to new; what is not in it has no name.
        synonyms: Other names, by new number.
        renamed: A name as it was to the name as it is, where they differ.
    """

    names: dict[int, str] = field(default_factory=dict)
    numbers: dict[int, int] = field(default_factory=dict)
    synonyms: dict[int, tuple[str, ...]] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)


def find_labels(root: Tables, people: Sequence[Tables], *, ours: bool, ledger: Ledger) -> Labels:
    """Names and numbers from all tables; label.csv is stronger than the tables beside it.

    A number keeps its name and its value while the layout allows it. Two numbers of one name
    become the lower one. A number above 32767 gets the lowest that is free. In a set of ours,
    where numbers run without a gap, higher ones move down.

    Raises:
        LayoutError: No table names a label, or there are more than the layout can number.
    """
    raw = _claims(root, people, ledger)
    labels = Labels()
    by_name: dict[str, int] = {}
    for number in sorted(raw):
        name = concept_name(raw[number])
        if not name:
            text = f"the label {number} has no name that can be seen; its pixels are left out"
            ledger.lost("CAT009", text, root.label.path)
            continue
        if name != raw[number]:
            ledger.changed("CAT009", "names of labels written so that lists can hold them")
            labels.renamed[raw[number]] = name
        kept = by_name.setdefault(name, number)
        if kept != number:
            text = f"{printable(name, 80)!r} has the numbers {kept} and {number}; both are {kept}"
            ledger.doubtful("CAT008", f"{text} now, in the maps too", root.label.path)
        labels.numbers[number] = kept
    moved = _renumbered(sorted(by_name.values()), ours=ours, ledger=ledger)
    labels.numbers = {old: moved[kept] for old, kept in labels.numbers.items()}
    labels.names = {moved[number]: name for name, number in sorted(by_name.items())}
    labels.synonyms = _synonyms(root.label, labels)
    _compare(root, people, raw, ledger)
    return labels


def _claims(root: Tables, people: Sequence[Tables], ledger: Ledger) -> dict[int, str]:
    """Number to name as written, 0 left out."""
    stated = _of_label_table(root, ledger)
    silent = not root.label.has("number", "name")
    if silent:
        _tell_silent(root.label, ledger)
    others = [*root.concepts.values(), *(sheet for one in people for sheet in one.named())]
    for sheet in others:
        for number, name, _ in _pairs(sheet):
            if number and number not in stated and name:
                stated[number] = name
                where = "names of labels taken from the other tables"
                ledger.changed("LAY004" if silent else "CAT011", where)
    if not stated:
        raise LayoutError(
            "no table gives a label number a name",
            path=names.LABELS,
            hint="Write label.csv with the columns number and name; names cannot be recomputed.",
        )
    return stated


def _tell_silent(sheet: Sheet, ledger: Ledger) -> None:
    """Synonyms stand nowhere else: a table that is gone takes them with it."""
    code = "LAY004" if sheet.is_missing else "LAY005" if sheet.fault else "LAY006"
    what = sheet.fault or "lacks number or name"
    text = f"the table {what}; names come from the c_ tables, synonyms are lost"
    ledger.lost(code, text, sheet.path)


def _pairs(sheet: Sheet) -> Iterator[tuple[int, str, Row]]:
    """(number, name, row) of every row that has both columns and a number."""
    if sheet.has("number", "name"):
        for row in sheet.rows:
            number = number_in(row.cells["number"])
            if number is not None:
                yield number, row.cells["name"], row


def _of_label_table(root: Tables, ledger: Ledger) -> dict[int, str]:
    sheet = root.label
    elsewhere = {number: name for one in root.concepts.values() for number, name, _ in _pairs(one)}
    found: dict[int, list[tuple[str, int]]] = {}
    for row in sheet.rows if sheet.has("number", "name") else ():
        number = number_in(row.cells["number"])
        if number is None:
            text = f"number is {row.cells['number'][:40]!r}; the row is left out"
            ledger.lost("CAT006", text, sheet.path, row.line, "number")
        elif number == 0:
            ledger.changed("CAT006", "rows of the label 0, which means unlabelled, taken out")
        else:
            found.setdefault(number, []).append((row.cells["name"], row.line))
    for line in sheet.broken:
        text = "has more cells than the header, so no cell is sure; the row is left out"
        ledger.lost("LAY007", text, sheet.path, line)
    result: dict[int, str] = {}
    for number, claims in found.items():
        said = dict.fromkeys(name for name, _ in claims)
        confirmed = elsewhere.get(number)
        result[number] = confirmed if confirmed in said else next(iter(said))
        for name, line in claims:
            if name != result[number]:
                text = f"{name[:80]!r} is left out: the number {number} is {result[number][:80]!r}"
                ledger.lost("CAT007", text, sheet.path, line, "name")
        same = len(claims) - len(said)
        ledger.changed("CAT007", "rows that repeat a label taken out", same)
    return result


def _renumbered(numbers: Sequence[int], *, ours: bool, ledger: Ledger) -> dict[int, int]:
    if len(numbers) > MAX_LABEL:
        raise LayoutError(
            f"lists {len(numbers)} labels, the layout can number {MAX_LABEL}", path=names.LABELS
        )
    if ours:
        moved = {number: place for place, number in enumerate(numbers, start=1)}
        gaps = sum(old != new for old, new in moved.items())
        ledger.changed("CAT010", "labels moved down to close gaps, in the maps too", gaps)
        return moved
    moved = {number: number for number in numbers if number <= MAX_LABEL}
    free = (number for number in range(1, MAX_LABEL + 1) if number not in moved)
    for number in numbers[len(moved) :]:
        moved[number] = next(free)
        ledger.changed("CAT006", "labels above 32767 numbered anew, in the maps too")
    return moved


def _synonyms(sheet: Sheet, labels: Labels) -> dict[int, tuple[str, ...]]:
    found: dict[int, set[str]] = {}
    for number, _, row in _pairs(sheet):
        new = labels.numbers.get(number)
        if new is not None:
            said = map(concept_name, row.cells.get("syns", "").split(";"))
            found.setdefault(new, set()).update(said)
    return {
        number: tuple(sorted(said - {"", labels.names[number]})) for number, said in found.items()
    }


def _compare(root: Tables, people: Sequence[Tables], raw: dict[int, str], ledger: Ledger) -> None:
    """Count the rows elsewhere that give a number another name than it has."""
    for sheets, code in (
        (list(root.concepts.values()), "CAT012"),
        ([one.label for one in people], "ANN011"),
        ([sheet for one in people for sheet in one.concepts.values()], "CAT012"),
    ):
        differ = sum(
            number in raw and raw[number] != name
            for sheet in sheets
            for number, name, _ in _pairs(sheet)
        )
        ledger.changed(code, "names of labels written as in label.csv", differ)


def find_categories(root: Tables, people: Sequence[Tables], maps: set[str]) -> list[str]:
    """The columns that are categories, in the order of category.csv, as they are called now.

    A column is one if category.csv lists it, if it has a c_ table, if label.csv says that a label
    occurs in it, or, where there is no category.csv to ask, if it names files of the set.

    Args:
        root: The root's tables.
        people: Everybody else's.
        maps: Columns of the root index whose cells name files.
    """
    listed = [row.cells["name"] for row in root.category.rows] if root.category.has("name") else []
    stated = Counter(
        part.rpartition("(")[0].strip()
        for row in root.label.rows
        for part in row.cells.get("category", "").split(";")
    )
    tables = [*root.concepts, *(name for one in people for name in one.concepts)]
    columns = [*root.index.header, *(name for one in people for name in one.index.header)]
    known = {*tables, *stated} if listed else {*tables, *stated, *maps}
    others = {name for name in columns if name in known and name not in names.FIXED_COLUMNS}
    others |= {name for name in root.concepts if name not in listed}
    fixed = set(names.FIXED_COLUMNS)
    return [*dict.fromkeys(filter(None, listed)), *names.in_order(others - {*listed} - fixed)]


def rename_categories(categories: Sequence[str], ledger: Ledger) -> dict[str, str]:
    """Each category to the name it can have: lower case, letters first, nothing reserved."""
    result: dict[str, str] = {}
    taken = {name for name in categories if category_problem(name) is None}
    for name in categories:
        if name in taken:
            result[name] = name
            continue
        new = "".join(c if c.isascii() and c.isalnum() else "_" for c in name.lower()).lstrip(
            "_0123456789"
        )
        new = new or "category"
        while new in taken or category_problem(new) is not None:
            new = f"{new.rstrip('_')}_category"
        taken.add(new)
        result[name] = new
        text = f"the category {printable(name, 80)!r} is called {new!r} now"
        ledger.doubtful("CAT003", text, names.CATEGORIES)
    return result
