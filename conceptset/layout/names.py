"""Where everything lies in a concept set. No other module builds these paths."""

from __future__ import annotations

from collections.abc import Iterable

from conceptset.errors import LayoutError
from conceptset.io.paths import unique_slugs
from conceptset.layout.models import (
    AnnotatorRow,
    CategoryLabelRow,
    CategoryRow,
    ImageRow,
    LabelRow,
    Row,
)
from conceptset.taxonomy import FIXED_COLUMNS as _FIXED_COLUMNS
from conceptset.taxonomy import category_problem

MANIFEST = "conceptset.json"
INDEX = "index.csv"
LABELS = "label.csv"
CATEGORIES = "category.csv"
IMAGES = "images.csv"
ANNOTATORS = "annotators.csv"
SEGMENTS = "segments.jsonl"
IMAGE_FOLDER = "images"
ANNOTATOR_FOLDER = "annotators"
CONSENSUS_FOLDER = "consensus"

FIXED_COLUMNS = _FIXED_COLUMNS
RESERVED_SOURCES = (ANNOTATOR_FOLDER, CONSENSUS_FOLDER)
CATEGORY_ORDER = ("color", "object", "part", "material", "scene", "texture")

_TABLES: dict[str, type[Row]] = {
    LABELS: LabelRow,
    CATEGORIES: CategoryRow,
    IMAGES: ImageRow,
    ANNOTATORS: AnnotatorRow,
}


def columns_of(table: str) -> tuple[str, ...]:
    """The columns of a table by its file name, as we write them.

    >>> columns_of("c_object.csv")
    ('code', 'number', 'name', 'frequency', 'coverage')
    """
    model = CategoryLabelRow if table.startswith("c_") else _TABLES[table]
    return tuple(model.model_fields)


def category_table(category: str) -> str:
    """File name of a category's own table.

    >>> category_table("object")
    'c_object.csv'
    """
    return f"c_{category}.csv"


def check_category(name: str) -> None:
    """Refuse a category name that cannot be a column.

    Raises:
        LayoutError: Not `[a-z][a-z0-9_]*`, one of the fixed columns, or reserved.
    """
    problem = category_problem(name)
    if problem:
        raise LayoutError(problem)


def in_order(categories: Iterable[str]) -> list[str]:
    """Categories as Broden orders them, others after that by name.

    >>> in_order(["texture", "weather", "object"])
    ['object', 'texture', 'weather']
    """
    known = {name: place for place, name in enumerate(CATEGORY_ORDER)}
    return sorted(set(categories), key=lambda name: (known.get(name, len(known)), name))


def photograph(source: str, stem: str, suffix: str) -> str:
    """A photograph, relative to images/.

    >>> photograph("street", "a-1", "jpg")
    'street/a-1.jpg'
    """
    return f"{source}/{stem}.{suffix}"


def label_map(
    source: str, stem: str, category: str, *, plane: int | None = None, directory: str | None = None
) -> str:
    """A label map, relative to images/; `directory` names an annotator, `plane` runs from 1.

    >>> label_map("street", "a", "part", plane=2, directory="ada")
    'annotators/ada/street/a_part_2.png'
    """
    ending = "" if plane is None else f"_{plane}"
    folder = source if directory is None else f"{ANNOTATOR_FOLDER}/{directory}/{source}"
    return f"{folder}/{stem}_{category}{ending}.png"


def ignore_mask(source: str, stem: str, category: str, directory: str) -> str:
    """The mask of pixels an annotator abstained from, relative to images/."""
    return f"{ANNOTATOR_FOLDER}/{directory}/{source}/{stem}_{category}_ignore.png"


def undecided_mask(source: str, stem: str, category: str) -> str:
    """The mask of pixels without consensus, relative to images/."""
    return f"{CONSENSUS_FOLDER}/{source}/{stem}_{category}_undecided.png"


def annotator_directories(people: Iterable[str]) -> list[str]:
    """A safe, unique directory for each annotator (and session, `NAME#2`), in order.

    >>> annotator_directories(["", "Ada", "ada", "Ada#2"])
    ['unnamed', 'Ada', 'ada-2', 'Ada-2-2']
    """
    return unique_slugs(people, fallback="unnamed")


def annotator_file(directory: str, table: str) -> str:
    """A table of one annotator, relative to the set."""
    return f"{ANNOTATOR_FOLDER}/{directory}/{table}"
