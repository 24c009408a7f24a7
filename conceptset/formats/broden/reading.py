"""Reads the tables of a concept set, and makes records of what its maps hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from conceptset.errors import SourceError, UnsafeError
from conceptset.formats.base import ReadContext
from conceptset.formats.broden.scanning import Found, Maps, scan_image
from conceptset.geometry import CodedMask, Geometry, Pierced
from conceptset.io.paths import relative_name, resolve_inside
from conceptset.io.tables import Table, read_json, read_table
from conceptset.layout import names
from conceptset.parsing.defects import Spot
from conceptset.parsing.mask_files import find_mask
from conceptset.parsing.photographs import place_photograph
from conceptset.parsing.values import quoted, whole_number
from conceptset.records import ImageRecord, Origin, Person, Region, RegionKind
from conceptset.taxonomy import category_problem

_REPAIR = "'conceptset repair' writes a right copy of a set that breaks the layout."
_SMALL = 48  # photographs below which starting worker processes costs more than it saves


def image_path(root: Path, cell: str) -> str | None:
    """A name of the index as a path below images/, None if it leads out of that.

    Some indexes write `images/` in front, which is taken off unless there is such a folder in it.
    """
    try:
        name = relative_name(cell.strip())
    except UnsafeError:
        return None
    short = name.removeprefix(f"{names.IMAGE_FOLDER}/")
    folder = root / names.IMAGE_FOLDER
    return short if short != name and not (folder / name).is_file() else name


def read_columns(root: Path, name: str, *columns: str) -> Table:
    """A table that has these columns.

    Raises:
        SourceError: It cannot be read, or lacks one.
        UnsafeError: A link leads out of the set.
    """
    table = read_table(resolve_inside(root, name))
    missing = [column for column in columns if column not in table.header]
    if missing:
        raise SourceError(
            f"has no column {', '.join(missing)}", path=table.path, pointer="line 1", hint=_REPAIR
        )
    return table


@dataclass(frozen=True, slots=True)
class _Row:
    """A row of an index: where it stands, what it says."""

    spot: Spot
    cells: Mapping[str, str]


class SetReader:
    """One concept set being read."""

    def __init__(self, root: Path, context: ReadContext) -> None:
        self.root = root
        self.context = context
        self.labels = self._labels()
        self.people: list[Person | None] = []
        self.rows: list[dict[str, _Row]] = []  # by person: photograph to row
        self.folders: list[str | None] = []  # below annotators/
        self.nobody: dict[str, _Row] = {}
        self.categories: dict[str, None] = {}
        self._read_indexes()

    def records(self) -> Iterator[ImageRecord]:
        """One record per photograph, sorted by name."""
        images = sorted({image for rows in (*self.rows, self.nobody) for image in rows})
        engine = self.context.engine_for(len(images), _SMALL)
        tasks = (self._maps(image) for image in images)
        results = engine.ordered_map(scan_image, tasks)
        for image, found in zip(images, results, strict=True):
            record = self._record(image, found)
            if record is not None:
                yield record
                self.context.progress(1)

    def _labels(self) -> dict[int, str]:
        table = read_columns(self.root, names.LABELS, "number", "name")
        spot = Spot(self.context.problems, f"{self.context.label}/{names.LABELS}")
        found: dict[int, str] = {}
        for line, record in table.records():
            number, name = whole_number(record["number"]), record["name"].strip()
            here = Spot(spot.problems, spot.file, f"line {line}")
            if number and name and number not in found:
                found[number] = name
            elif number != 0:
                here.report("SRC096", f"the row names no label of its own: {quoted(name)}.")
        return found

    def _read_indexes(self) -> None:
        """The rows of everybody; in a foreign layout those of the root, whose author is unknown."""
        root_rows = self._index("")
        directories: list[tuple[Person | None, str | None]] = [(None, None)]
        if (self.root / names.ANNOTATORS).is_file():
            table = read_columns(self.root, names.ANNOTATORS, "annotator", "session", "directory")
            directories = [
                (Person(row["annotator"], whole_number(row["session"]) or 1), row["directory"])
                for _, row in table.records()
            ]
        skipped = {"color"} if self._has_computed_colors() else set()
        for person, directory in directories:
            self.people.append(person)
            self.folders.append(directory)
            prefix = "" if directory is None else f"{names.ANNOTATOR_FOLDER}/{directory}/"
            self.rows.append(root_rows if directory is None else self._index(prefix))
        known = {image for rows in self.rows for image in rows}
        self.nobody = {image: row for image, row in root_rows.items() if image not in known}
        self.categories = {name: None for name in self.categories if name not in skipped}

    def _has_computed_colors(self) -> bool:
        """Whether the set's colours come from the photographs: `build --colors` makes them anew."""
        try:
            document = read_json(self.root / names.MANIFEST)
        except SourceError:
            return False
        settings = document.get("settings") if isinstance(document, dict) else None
        return isinstance(settings, dict) and bool(settings.get("colors"))

    def _index(self, prefix: str) -> dict[str, _Row]:
        """The rows of an index by photograph; its columns become categories."""
        table = read_columns(self.root, f"{prefix}{names.INDEX}", "image")
        file = f"{self.context.label}/{prefix}{names.INDEX}"
        for column in table.header:
            if column in names.FIXED_COLUMNS or column in self.categories:
                continue
            problem = category_problem(column)
            if problem is None:
                self.categories[column] = None
            else:
                Spot(self.context.problems, file, "line 1").report("SRC097", f"{problem}.")
        rows: dict[str, _Row] = {}
        for line, record in table.records():
            spot = Spot(self.context.problems, file, f"line {line}")
            image = image_path(self.root, record["image"])
            if image is None:
                spot.report("SRC006", f"the photograph {quoted(record['image'])} is refused.")
            elif image in rows:
                spot.report("SRC096", f"{quoted(image)} is listed by an earlier row already.")
            else:
                rows[image] = _Row(spot, record)
        return rows

    def _maps(self, image: str) -> tuple[Maps, ...]:
        """The maps of a photograph, of everybody and every category."""
        found = []
        for place, rows in enumerate(self.rows):
            row = rows.get(image)
            for category in self.categories if row is not None else ():
                assert row is not None
                folder = self.root / names.IMAGE_FOLDER
                paths = [
                    find_mask(entry, [folder, self.root], row.spot)
                    for entry in _entries(row, category)
                    if whole_number(entry) is None
                ]
                kept = tuple(path for path in dict.fromkeys(paths) if path is not None)
                found.append(Maps(place, category, kept, self._ignore(place, image, category)))
        return tuple(found)

    def _ignore(self, place: int, image: str, category: str) -> Path | None:
        directory = self.folders[place]
        if directory is None:
            return None
        source, _, last = image.rpartition("/")
        name = names.ignore_mask(source, last.rpartition(".")[0], category, directory)
        try:
            path = resolve_inside(self.root / names.IMAGE_FOLDER, name)
        except UnsafeError:
            return None
        return path if path.is_file() else None

    def _record(
        self, image: str, found: list[tuple[Maps, list[Found] | str]]
    ) -> ImageRecord | None:
        own = [rows[image] for rows in self.rows if image in rows] or [self.nobody[image]]
        row = own[0]
        sides = [whole_number(row.cells.get(side, "")) for side in ("ih", "iw")]
        stated = (sides[0], sides[1]) if sides[0] and sides[1] else None
        placed = place_photograph(
            self.context.catalogue, image, stated, row.spot, beside=self.context.beside
        )
        if placed is None:
            return None
        regions: list[Region] = []
        for place, rows in enumerate(self.rows):
            if image in rows:
                maps = [(one, labels) for one, labels in found if one.person == place]
                self._add_regions(regions, rows[image], place, maps)
        workers = tuple(
            person
            for person, rows in zip(self.people, self.rows, strict=True)
            if person is not None and image in rows
        )
        origin = Origin(row.spot.file, row.spot.pointer)
        return ImageRecord(placed.key, placed.size, placed.frame, workers, tuple(regions), origin)

    def _add_regions(
        self,
        regions: list[Region],
        row: _Row,
        place: int,
        maps: list[tuple[Maps, list[Found] | str]],
    ) -> None:
        """What one person's maps and whole-image labels say."""
        person, origin = self.people[place], Origin(row.spot.file, row.spot.pointer)
        indices: dict[tuple[Path, int], int] = {}
        order = sorted(maps, key=lambda one: one[0].category == "part")  # wholes before parts
        for one, labels in order:
            if isinstance(labels, str):
                row.spot.report("SRC026", labels)
                continue
            for label in labels:
                name = self._name(label.code, row.spot, one.category)
                if name is None:
                    continue
                part_of = None if label.whole is None else indices.get(label.whole)
                indices[label.path, label.code] = len(regions)
                for kind, shape in _shapes(label, one.ignore):
                    regions.append(
                        Region(
                            name,
                            kind,
                            shape,
                            person,
                            origin,
                            part_of=part_of,
                            category=one.category,
                        )
                    )
        for category in self.categories:
            for entry in _entries(row, category):
                number = whole_number(entry)
                name = self._name(number, row.spot, category) if number else None
                if name is not None:
                    regions.append(Region(name, "tag", None, person, origin, category=category))

    def _name(self, number: int, spot: Spot, category: str) -> str | None:
        if number not in self.labels:
            spot.report("SRC095", f"{category} has the label {number}, which has no name.")
        return self.labels.get(number)


def _entries(row: _Row, category: str) -> list[str]:
    cell = row.cells.get(category, "")
    return [entry for text in cell.split(";") if (entry := text.strip())]


def _shapes(label: Found, ignore: Path | None) -> list[tuple[RegionKind, Geometry]]:
    """A label in a map as regions: what was drawn, and what the person abstained from."""
    whole = CodedMask(label.path, label.code, label.size, is_stretched=True)
    if ignore is None or not label.ignored:
        return [("region", whole)]
    if label.ignored == label.drawn:
        return [("ignore", whole)]
    yes, no = (CodedMask(ignore, code, label.size, is_stretched=True) for code in (255, 0))
    return [("region", Pierced(whole, (yes,))), ("ignore", Pierced(whole, (no,)))]
