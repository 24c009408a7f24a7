"""The CSV files of a set, from counts."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from conceptset.build.encoding import Scope
from conceptset.build.vocabulary import Coverage, Vocabulary
from conceptset.io.tables import fixed, format_rows, format_table
from conceptset.layout import names


@dataclass(frozen=True, slots=True)
class IndexLine:
    """What every index says alike about an image."""

    image: str
    split: str
    image_size: tuple[int, int]
    map_size: tuple[int, int]


class Figures:
    """Frequency and coverage of every label, as one index counts them."""

    def __init__(self) -> None:
        self.frequency: Counter[tuple[int, str]] = Counter()
        self.images: Counter[int] = Counter()
        self.pixels: Counter[int] = Counter()
        self.carriers: Counter[str] = Counter()
        self._coverage: defaultdict[tuple[int, str], Coverage] = defaultdict(Coverage)
        self._total: defaultdict[int, Coverage] = defaultdict(Coverage)

    def add(self, scope: Scope, map_size: tuple[int, int]) -> None:
        """Count one image."""
        size = map_size[0] * map_size[1]
        for (number, category), pixels in scope.pixels.items():
            self.frequency[number, category] += 1
            self._coverage[number, category].add(pixels, size)
            self._total[number].add(pixels, size)
            self.pixels[number] += pixels
        for number in {number for number, _ in scope.pixels}:
            self.images[number] += 1
        for category in {category for _, category in scope.pixels}:
            self.carriers[category] += size

    def coverage(self, number: int, category: str | None = None) -> float:
        """Sum over images of the fraction that bears the label, in one category or in all."""
        if category is None:
            return float(self._total[number]) if number in self._total else 0.0
        key = (number, category)
        return float(self._coverage[key]) if key in self._coverage else 0.0


def index_header(categories: Sequence[str]) -> bytes:
    """The first line of an index.csv."""
    return format_rows([(*names.FIXED_COLUMNS, *categories)])


def index_row(line: IndexLine, scope: Scope, categories: Sequence[str]) -> bytes:
    """An image's line of an index.csv."""
    cells = (scope.cells.get(category, "") for category in categories)
    return format_rows([(line.image, line.split, *line.image_size, *line.map_size, *cells)])


def label_tables(
    vocabulary: Vocabulary,
    figures: Figures,
    synonyms: Callable[[str], Sequence[str]],
    *,
    root: bool,
) -> dict[str, bytes]:
    """label.csv, category.csv and every c_<category>.csv of one index.

    In the root's tables a concept that the root index does not use, because only single annotators
    did, keeps its place in its categories with frequency 0: with its coverage over everyone, so
    that no reader takes another category for its primary one.
    """
    members = _members(vocabulary, figures, root=root)
    rows = []
    for number, concept in enumerate(vocabulary.names, start=1):
        if not concept:
            continue
        places = [
            f"{category}({figures.frequency[number, category]})"
            for category in vocabulary.categories
            if number in members[category]
        ]
        others = ";".join(synonyms(concept))
        rows.append(
            (
                number,
                concept,
                ";".join(places),
                figures.images[number],
                fixed(figures.coverage(number)),
                others,
            )
        )
    tables = {names.LABELS: format_table(names.columns_of(names.LABELS), rows)}
    category_rows = []
    for category, labels in members.items():
        if not labels:
            continue
        table = names.category_table(category)
        ordered = sorted(labels, key=lambda number: (-figures.frequency[number, category], number))
        tables[table] = format_table(
            names.columns_of(table),
            [
                (
                    code,
                    number,
                    vocabulary.names[number - 1],
                    figures.frequency[number, category],
                    fixed(_listed_coverage(vocabulary, figures, number, category)),
                )
                for code, number in enumerate(ordered, start=1)
            ],
        )
        frequency = sum(figures.frequency[number, category] for number in labels)
        category_rows.append((category, min(labels), max(labels), len(labels), frequency))
    tables[names.CATEGORIES] = format_table(names.columns_of(names.CATEGORIES), category_rows)
    return tables


def _members(vocabulary: Vocabulary, figures: Figures, *, root: bool) -> Mapping[str, list[int]]:
    """The labels each category lists."""
    used = figures.frequency if not root else vocabulary.union
    return {
        category: [
            number
            for number in range(1, len(vocabulary.names) + 1)
            if used.get((number, category), 0) or figures.frequency[number, category]
        ]
        for category in vocabulary.categories
    }


def _listed_coverage(vocabulary: Vocabulary, figures: Figures, number: int, category: str) -> float:
    if figures.images[number] == 0:
        return vocabulary.union.get((number, category), 0.0)
    return figures.coverage(number, category)
