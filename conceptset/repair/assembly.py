"""The whole repair: read what is there, make it right, write it beside the original."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from conceptset.build import checks
from conceptset.errors import LayoutError, UsageError
from conceptset.findings import Finding, Severity
from conceptset.io.atomic import check_target, new_directory
from conceptset.io.parallel import ordered_map
from conceptset.layout import names
from conceptset.repair.files import Files
from conceptset.repair.labels import find_categories, find_labels, rename_categories
from conceptset.repair.ledger import Ledger
from conceptset.repair.maps import MAX_CODE, Palette
from conceptset.repair.people import find_annotators
from conceptset.repair.pictures import Picture, PictureSettings, repair_picture
from conceptset.repair.planning import Planner
from conceptset.repair.provenance import OldManifest
from conceptset.repair.rows import Reading, columns_with_files, read_rows, without_photographs
from conceptset.repair.sheets import Sheet, Tables, load_sheet, load_tables
from conceptset.repair.writing import Old, write_tables
from conceptset.validate.views import required_columns

Step = Callable[[str], contextlib.AbstractContextManager[Callable[[int, int], None]]]

_SMALL = 48  # images below which starting worker processes costs more than it saves


class RepairOptions(BaseModel):
    """Every setting of a repair."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    split: dict[str, str] = Field(default_factory=lambda: {"train": "0.7", "val": "0.3"})
    split_by: str | None = None
    palette: Palette | None = None
    jobs: int = Field(default=1, ge=1)
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class RepairReport:
    """The outcome of a repair.

    Attributes:
        images: Photographs in the new set.
        labels: Labels in it.
        changes: (rule code, what was done, how often), sorted.
        findings: What was left out (errors) or should be looked at (warnings).
    """

    images: int
    labels: int
    changes: Sequence[tuple[str, str, int]]
    findings: Sequence[Finding]

    @property
    def lost(self) -> int:
        """How many findings are about something that is left out."""
        return sum(finding.severity is Severity.ERROR for finding in self.findings)


@contextlib.contextmanager
def silent(_label: str) -> Iterator[Callable[[int, int], None]]:
    """A `Step` that shows nothing."""
    yield lambda _done, _total: None


def repair_set(
    root: Path, out: Path, options: RepairOptions, *, step: Step = silent
) -> RepairReport:
    """Write a right copy of a set that breaks the layout; the original stays as it is.

    What can be counted again is counted again, from photographs and maps. What cannot be found out
    is left out and reported, never guessed.

    Args:
        root: The set: one of ours, or a foreign Broden layout, which stays foreign.
        out: The directory to write; it appears when everything is in it.
        options: See `RepairOptions`.
        step: Opens a progress display for a named step; it is told (done, total).

    Raises:
        UsageError: An option cannot be used, or the target exists or overlaps the set.
        LayoutError: Too little is left: no index, no name of a label, no photograph.
        OutputError: The new set cannot be written.
    """
    check_target(out, overwrite=options.overwrite)
    checks.check_replaceable(out)
    if not root.is_dir():
        raise UsageError("is no directory", path=root, hint="Give the directory of a concept set.")
    checks.check_inputs_outlast(out, [root])
    if out.resolve().is_relative_to(root.resolve()):
        raise UsageError("lies in the set that is repaired", path=out, hint="Choose another --out.")
    if ".partial-" in root.resolve().name:
        raise LayoutError(
            "is a build that never finished; nobody knows what is missing",
            path=root,
            hint="Build it again; the directory can be deleted.",
        )
    with new_directory(out, overwrite=options.overwrite) as folder:
        return _repair(root, folder, options, step)


def _repair(root: Path, folder: Path, options: RepairOptions, step: Step) -> RepairReport:
    ledger = Ledger()
    old = _read(root, ledger)
    planner = Planner(old, ledger)
    tasks = planner.tasks()
    lut = np.zeros(MAX_CODE + 1, dtype=np.int32)
    for number, new in old.labels.numbers.items():
        if number <= MAX_CODE:
            lut[number] = new
    target = folder / names.IMAGE_FOLDER
    target.mkdir()
    settings = PictureSettings(root / names.IMAGE_FOLDER, target, lut, options.palette)
    pictures: dict[str, Picture] = {}
    jobs = options.jobs if len(tasks) >= _SMALL else 1
    results = ordered_map(
        functools.partial(repair_picture, settings), list(tasks.values()), jobs=jobs
    )
    with step("repairing") as progress, contextlib.closing(results):
        for image, picture in zip(tasks, results, strict=True):
            ledger.extend(picture.notes)
            if picture.usable:
                pictures[image] = picture
            progress(len(pictures), len(tasks))
    if not pictures:
        raise LayoutError(
            "no photograph of the set can be used", path=root / names.INDEX, hint=ledger.first
        )
    planner.tell_left_behind(tasks)
    _tell_unnamed(pictures.values(), ledger)
    labels = write_tables(folder, old, tasks, pictures, options.split, options.split_by, ledger)
    return RepairReport(len(pictures), labels, ledger.changes, ledger.findings)


def _tell_unnamed(pictures: Iterable[Picture], ledger: Ledger) -> None:
    """Report labels without a name, each once, however many maps hold it."""
    pixels: Counter[int] = Counter()
    maps: defaultdict[int, list[str]] = defaultdict(list)
    for picture in pictures:
        for number, count, path in picture.unnamed:
            pixels[number] += count
            maps[number].append(path)
    for number, paths in sorted(maps.items()):
        where = f"{len(paths)} maps" if len(paths) > 1 else "one map"
        text = f"the label {number} has no name; its {pixels[number]} pixels in {where} are "
        ledger.lost("SEG009", f"{text}unlabelled now", paths[0])


def _read(root: Path, ledger: Ledger) -> Old:
    """Everything that stands in the tables of the set."""
    ours = any((root / name).is_file() for name in (names.MANIFEST, names.IMAGES, names.ANNOTATORS))
    manifest = OldManifest(root, ledger) if ours else None
    files = Files(root)
    table = load_sheet(root, names.ANNOTATORS, ledger)
    annotators = find_annotators(root, table, ledger) if ours else []
    tables = load_tables(root, "", ledger)
    people = [load_tables(root, one.folder, ledger) for one in annotators]
    if not tables.index.has("image"):
        raise LayoutError(
            tables.index.fault or "has no column image",
            path=root / names.INDEX,
            hint="Without its rows nothing says what belongs together; it cannot be recomputed.",
        )
    _tell_tables(tables, people, ledger, ours=ours)
    labels = find_labels(tables, people, ours=ours, ledger=ledger)
    found = find_categories(tables, people, columns_with_files(tables.index, files))
    categories = rename_categories(found, ledger)
    if ours:
        places = {name: place for place, name in enumerate(names.in_order(categories.values()))}
        categories = dict(sorted(categories.items(), key=lambda item: places[item[1]]))
    reading = Reading(files, labels, categories, ours=ours, ledger=ledger)
    listings = [read_rows(one, reading) for one in (tables, *people)]
    without_photographs(listings, ledger)
    return Old(
        root=root,
        ours=ours,
        manifest=manifest,
        files=files,
        labels=labels,
        categories=categories,
        annotators=tuple(annotators),
        listings=dict(zip(["", *(one.folder for one in annotators)], listings, strict=True)),
    )


def _tell_columns(name: str, sheet: Sheet, ledger: Ledger, *, ours: bool) -> None:
    wanted = names.FIXED_COLUMNS if name == names.INDEX else names.columns_of(name)
    required = required_columns(name, ours=ours)
    for column in wanted:
        if column not in sheet.header:
            code = "LAY006" if column in required else "LAY020"
            ledger.changed(code, "missing columns written")


def _tell_tables(root: Tables, people: Sequence[Tables], ledger: Ledger, *, ours: bool) -> None:
    """Count tables and columns that are missing and can be written anew."""
    needed = (names.LABELS, names.CATEGORIES, names.INDEX)
    for one in (root, *people):
        for name, sheet in zip(needed, (one.label, one.category, one.index), strict=True):
            if sheet.is_missing:
                ledger.changed("LAY004", "missing tables written anew")
            elif sheet.fault is not None:
                ledger.changed("LAY005", "unreadable tables written anew")
            else:
                _tell_columns(name, sheet, ledger, ours=ours)
        for category, sheet in one.concepts.items():
            if sheet.fault is None:
                _tell_columns(names.category_table(category), sheet, ledger, ours=ours)
        listed = [row.cells["name"] for row in one.category.rows if one.category.has("name")]
        lost = sum(name not in one.concepts for name in listed if name)
        ledger.changed("CAT001", "missing c_ tables written", lost)
        again = len(listed) - len(set(listed))
        ledger.changed("CAT004", "repeated rows of category.csv taken out", again)
        if ours and one is not root and not one.index.has("image"):
            ledger.lost(
                (one.index.is_missing and "LAY004") or "LAY005",
                f"{one.index.fault or 'has no column image'}: what this annotator did is lost",
                one.index.path,
            )
