"""Which concept a drawn name means, and in which category it counts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from conceptset.errors import TaxonomyError

COLUMNS = ("name", "concept", "category", "synonyms")
FIXED_COLUMNS = ("image", "split", "ih", "iw", "sh", "sw")
CATEGORY_NAME = re.compile(r"[a-z][a-z0-9_]*")
RESERVED_CATEGORIES = re.compile(r"(ignore|undecided)$")
_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet computes, and may run
_PLANE = re.compile(r"_[0-9]+$")  # part_1 is how the second map of the category part is called
WHOLE_IMAGE_CATEGORIES = ("scene", "texture")

Form = Literal["region", "part", "tag"]
_DEFAULT_CATEGORY: dict[Form, str] = {"region": "object", "part": "part", "tag": "scene"}


def concept_name(text: str) -> str:
    r"""The name of a concept as a set can hold it.

    White space becomes single blanks, characters that cannot be seen go, and `;`, which joins
    names in tables, becomes a comma. The drawn name stays verbatim in segments.jsonl.

    >>> concept_name(" traffic\n light\u200b"), concept_name("a;b")
    ('traffic light', 'a,b')
    """
    visible = (c if c.isprintable() else " " * c.isspace() for c in text.replace(";", ","))
    return " ".join("".join(visible).split())


def as_cell(name: str) -> str:
    """The name as a cell of a table that is opened in a spreadsheet: `'` before a formula.

    >>> as_cell("=1+1"), as_cell("door"), as_cell("'-x")
    ("'=1+1", 'door', "''-x")
    """
    return f"'{name}" if name.lstrip("'").startswith(_FORMULA) else name


def from_cell(cell: str) -> str:
    """The name that `as_cell` wrote.

    >>> from_cell("'=1+1"), from_cell("=1+1"), from_cell("'t"), from_cell("''-x")
    ('=1+1', '=1+1', "'t", "'-x")
    """
    quote = cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA)
    return cell[1:] if quote else cell


def category_problem(name: str) -> str | None:
    """Why `name` cannot be a category, None if it can.

    >>> category_problem("object"), category_problem("ih")
    (None, "the category name 'ih' is reserved")
    """
    if not CATEGORY_NAME.fullmatch(name):
        return (
            f"the category {name!r} is no column name: lower-case letters, digits and _ were "
            "expected, a letter first"
        )
    if name in FIXED_COLUMNS or RESERVED_CATEGORIES.search(name) or _PLANE.search(name):
        return f"the category name {name!r} is reserved"
    return None


@dataclass(frozen=True, slots=True)
class Meaning:
    """A concept in a category."""

    concept: str
    category: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A row of a taxonomy file; without a concept it leaves the name out."""

    name: str
    meaning: Meaning | None
    synonyms: tuple[str, ...] = ()


class Taxonomy:
    """From drawn names to concepts.

    A name without an entry means itself: a region is an `object`, a part of a region a `part`, an
    image-level tag a `scene`. A name with several entries (door: object and part) takes `part` if
    it was drawn as a part, `scene` or `texture` if it was stated for the whole image, else the
    first of the others.
    """

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        self._entries: dict[str, list[Meaning | None]] = {}
        self._synonyms: dict[str, set[str]] = {}
        listed = list(entries)
        for entry in listed:
            self._add(entry.name, entry.meaning)
        own = set(self._entries)
        for entry in listed:
            for synonym in entry.synonyms:
                if synonym not in own:  # a row of its own says what a name means
                    self._add(synonym, entry.meaning)
        for name, meanings in self._entries.items():
            for meaning in meanings:
                if meaning is not None:
                    self._synonyms.setdefault(meaning.concept, set()).add(name)

    def _add(self, name: str, meaning: Meaning | None) -> None:
        known = self._entries.setdefault(name, [])
        if meaning in known:
            return
        if known and (meaning is None or None in known):
            raise TaxonomyError(f"{name!r} is both kept and left out")
        for other in known:
            if other is not None and meaning is not None and other.category == meaning.category:
                raise TaxonomyError(
                    f"{name!r} means {other.concept!r} and {meaning.concept!r} in the category "
                    f"{meaning.category}"
                )
        known.append(meaning)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def meaning(self, name: str, form: Form, category: str | None = None) -> Meaning | None:
        """What a name means that was drawn or stated in this form; None if it is left out.

        Args:
            name: What it was called.
            form: How it was drawn or stated.
            category: The category it has where the taxonomy does not speak of the name; by
                default `object`, `part` or `scene`, by the form. Of several meanings, one in this
                category is taken.

        >>> Taxonomy().meaning("car", "region")
        Meaning(concept='car', category='object')
        """
        known = self._entries.get(name)
        if known is None:
            return Meaning(concept_name(name), category or _DEFAULT_CATEGORY[form])
        meanings = [meaning for meaning in known if meaning is not None]
        if not meanings:
            return None
        same = [m for m in meanings if m.category == category]
        if same:
            return same[0]
        parts = [m for m in meanings if m.category == "part"]
        whole = [m for m in meanings if m.category in WHOLE_IMAGE_CATEGORIES]
        others = [m for m in meanings if m not in parts and m not in whole]
        wanted = {"part": parts, "tag": whole, "region": others}[form]
        return (wanted or others or meanings)[0]

    def synonyms(self, concept: str) -> tuple[str, ...]:
        """Other names of a concept that the taxonomy lists, sorted."""
        return tuple(sorted(self._synonyms.get(concept, set()) - {concept}))


def parse_taxonomy(header: Sequence[str], rows: Iterable[tuple[int, dict[str, str]]]) -> Taxonomy:
    """A taxonomy from the rows of its file.

    Args:
        header: The column names; `name`, `concept` and `category` are needed.
        rows: (line, cells by column).

    Raises:
        TaxonomyError: A column is missing, or a row contradicts itself or another; the pointer
            names the line.
    """
    missing = [column for column in COLUMNS[:3] if column not in header]
    if missing:
        raise TaxonomyError(
            f"has no column {', '.join(missing)}; expected {','.join(COLUMNS)}", pointer="line 1"
        )
    entries = []
    for line, cells in rows:
        name, concept = from_cell(cells["name"].strip()), from_cell(cells["concept"].strip())
        category = cells["category"].strip()
        if not name:
            raise TaxonomyError("the name is empty", pointer=f"line {line}")
        problem = category_problem(category) if concept else None
        if problem:
            raise TaxonomyError(problem, pointer=f"line {line}")
        synonyms = tuple(
            from_cell(part.strip()) for part in cells.get("synonyms", "").split(";") if part.strip()
        )
        meaning = Meaning(concept_name(concept), category) if concept else None
        if meaning is not None and not meaning.concept:
            raise TaxonomyError("the concept cannot be seen", pointer=f"line {line}")
        entries.append(Entry(name, meaning, synonyms))
        try:
            Taxonomy(entries[-1:])
        except TaxonomyError as error:
            raise TaxonomyError(error.message, pointer=f"line {line}") from error
    return Taxonomy(entries)
