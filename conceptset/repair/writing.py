"""The tables and the manifest of a repaired set, from what was counted in its pictures."""

from __future__ import annotations

import csv
import io
import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from conceptset.build import tables
from conceptset.build.splitting import draw_split, identity_of
from conceptset.build.vocabulary import Coverage, Vocabulary
from conceptset.errors import LayoutError
from conceptset.io.catalogue import hash_file
from conceptset.io.tables import digest, format_json, format_table
from conceptset.layout import names
from conceptset.layout.digests import digest_of_files
from conceptset.layout.models import Digests, ImageRow, Manifest, SetCounts
from conceptset.repair.files import Files
from conceptset.repair.labels import Labels
from conceptset.repair.ledger import Ledger
from conceptset.repair.people import Annotator, Renaming, repair_segments
from conceptset.repair.pictures import Picture, PictureTask
from conceptset.repair.provenance import OldManifest, find_origins, own_origin, tell_lost_origins
from conceptset.repair.rows import Listing, usual_splits
from conceptset.repair.sheets import load_sheet, number_in

_NOTHING = 10**12  # a pixel of so many: a label is listed, with a coverage of 0.000000000
_PEOPLE = f"{names.ANNOTATOR_FOLDER}/"  # where maps lie that a person drew, and nobody computed


@dataclass(frozen=True, slots=True)
class Old:
    """A set as its tables describe it.

    Attributes:
        root: Where it lies.
        ours: It follows our contract: annotators, manifest.
        manifest: What is left of it; None for a foreign layout.
        files: What lies below images/.
        labels: Names and numbers.
        categories: Old name to new, in order.
        annotators: Everybody.
        listings: By folder of the index (empty for the root), photograph to its row.
    """

    root: Path
    ours: bool
    manifest: OldManifest | None
    files: Files
    labels: Labels
    categories: Mapping[str, str]
    annotators: tuple[Annotator, ...]
    listings: dict[str, dict[str, Listing]]


def write_tables(
    folder: Path,
    old: Old,
    tasks: Mapping[str, PictureTask],
    pictures: Mapping[str, Picture],
    split: Mapping[str, str],
    split_by: str | None,
    ledger: Ledger,
) -> int:
    """Write everything but the pictures, the manifest last; returns the number of labels."""
    writer = _Writer(folder, old, tasks, pictures, ledger)
    writer.find_origins()
    writer.draw_splits(split, split_by)
    return writer.write()


class _Writer:
    """The state of a set whose pictures are written."""

    def __init__(
        self,
        folder: Path,
        old: Old,
        tasks: Mapping[str, PictureTask],
        pictures: Mapping[str, Picture],
        ledger: Ledger,
    ) -> None:
        self.folder = folder
        self.old = old
        self.tasks = tasks
        self.pictures = dict(sorted(pictures.items(), key=lambda item: tasks[item[0]].new))
        self.ledger = ledger
        self.digests: dict[str, str] = {}
        self.origins: dict[str, ImageRow] = {}
        self.splits: dict[str, str] = {}
        self.synonyms = {
            old.labels.names[number]: words for number, words in old.labels.synonyms.items()
        }

    def find_origins(self) -> None:
        """Where each photograph came from; in a foreign layout nobody says."""
        if not self.old.ours:
            return
        table = load_sheet(self.old.root, names.IMAGES, self.ledger)
        images = {image: self.tasks[image].new for image in self.pictures}
        found = find_origins(table, images, self.ledger)
        tell_lost_origins([i for i in images if i not in found], table, self.ledger)
        for image, new in images.items():
            one = found.get(image) or own_origin(new, self.pictures[image].photograph)
            self.origins[image] = one.model_copy(update={"image": new})

    def draw_splits(self, shares: Mapping[str, str], split_by: str | None) -> None:
        """The split of each photograph: as some index says, else drawn from its identity."""
        listings = self.old.listings
        usual = usual_splits([one.split for one in listings[""].values()])
        for image, picture in self.pictures.items():
            said = [rows[image].split for rows in listings.values() if image in rows]
            stated = next(filter(None, said), "")
            if not stated:
                origin = self.origins.get(image)
                key = origin.original if origin else image
                sha256 = origin.sha256 if origin else picture.photograph
                stated = draw_split(identity_of(key, sha256, split_by), shares)
                self.ledger.changed("SPL001", "splits drawn from the identity of the photographs")
            elif not said[0]:
                self.ledger.changed("SPL001", "splits taken from an annotator's index")
            if usual.get(stated, stated) != stated:
                self.ledger.changed("SPL002", "splits spelt as elsewhere")
            self.splits[image] = usual.get(stated, stated)
            differ = sum(bool(own) and own != stated for own in said[1:])
            self.ledger.changed("SPL004", "splits of annotators written as the root's", differ)

    def write(self) -> int:
        """All tables; the number of labels."""
        vocabulary = self._vocabulary()
        for folder in [*(one.folder for one in self.old.annotators), ""]:
            self._write_scope(folder, vocabulary)
        self._tell_sizes()
        if self.old.ours:
            segments = self._write_people()
            rows = [tuple(one.model_dump().values()) for one in self.origins.values()]
            self._write(names.IMAGES, format_table(names.columns_of(names.IMAGES), rows))
            self._write_manifest(vocabulary, segments)
        return sum(name != "" for name in vocabulary.names)

    def _vocabulary(self) -> Vocabulary:
        """The labels, with everybody's coverage."""
        coverage: defaultdict[tuple[int, str], Coverage] = defaultdict(Coverage)
        for picture in self.pictures.values():
            area = picture.map_size[0] * picture.map_size[1]
            for key, pixels in picture.usage.items():
                coverage[key].add(pixels, area)
        if len(self.old.annotators) == 1:
            root = {
                k for p in self.pictures.values() if "" in p.scopes for k in p.scopes[""].pixels
            }
            for key in coverage.keys() - root:
                coverage[key] = Coverage()
                coverage[key].add(1, _NOTHING)
        used = {category for _, category in coverage}
        used |= {c for p in self.pictures.values() for s in p.scopes.values() for c in s.cells}
        if not used:
            raise LayoutError(
                "no photograph carries a label that could be kept",
                path=self.old.root,
                hint=self.ledger.first,
            )
        categories = tuple(name for name in self.old.categories.values() if name in used)
        empty = len(self.old.categories) - len(categories)
        self.ledger.changed("CAT005", "categories without labels taken out", empty)
        last = max(self.old.labels.names)
        return Vocabulary(
            names=tuple(self.old.labels.names.get(number, "") for number in range(1, last + 1)),
            numbers=np.zeros(0, dtype=np.int32),
            categories=categories,
            union={key: float(value) for key, value in coverage.items()},
            shared=frozenset(),
            primary={},
            dropped=(),
        )

    def _write_scope(self, folder: str, vocabulary: Vocabulary) -> None:
        """The index of the root or of one person, with its tables."""
        index = [tables.index_header(vocabulary.categories)]
        figures = tables.Figures()
        for image, picture in self.pictures.items():
            if folder not in picture.scopes:
                continue
            line = tables.IndexLine(
                self.tasks[image].new, self.splits[image], picture.size, picture.map_size
            )
            index.append(tables.index_row(line, picture.scopes[folder], vocabulary.categories))
            figures.add(picture.scopes[folder], picture.map_size)
        (self.folder / folder).mkdir(parents=True, exist_ok=True)
        self._write(f"{folder}{names.INDEX}", b"".join(index))
        for table, data in tables.label_tables(
            vocabulary, figures, self._synonyms, root=folder == ""
        ).items():
            self._write(f"{folder}{table}", data)
            self._compare(f"{folder}{table}", data)

    def _compare(self, table: str, data: bytes) -> None:
        """Count tables that do not say the same any more, up to the digits they are written in."""
        before = load_sheet(self.old.root, table, Ledger())
        if before.fault is not None or before.broken:
            return
        after = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
        same = len(after) == len(before.rows) and all(
            _alike(old.get(column, ""), cell)
            for old, new in zip(
                _in_order([row.cells for row in before.rows]), _in_order(after), strict=True
            )
            for column, cell in new.items()
        )
        self.ledger.changed("CAT020", "label tables that now say something else", int(not same))

    def _synonyms(self, concept: str) -> Sequence[str]:
        return self.synonyms.get(concept, ())

    def _tell_sizes(self) -> None:
        for rows in self.old.listings.values():
            for image, listing in rows.items():
                picture = self.pictures.get(image)
                if picture is None:
                    continue
                if listing.image_size != picture.size:
                    self.ledger.changed("IDX004", "ih and iw written as the photographs are")
                if listing.map_size != picture.map_size:
                    self.ledger.changed("IDX005", "sh and sw written as the label maps are")

    def _write_people(self) -> Counter[str]:
        """annotators.csv and everybody's segments; how many segments each directory has."""
        counts: Counter[str] = Counter()
        rows = []
        sizes: dict[str, tuple[int, int]] = {}
        for one in self.old.annotators:
            listed = self.old.listings[one.folder]
            images = {i: self.tasks[i].new for i in listed if i in self.pictures}
            renaming = Renaming(images, self.old.labels.renamed, self.old.categories, sizes)
            path = f"{one.folder}{names.SEGMENTS}"
            counts[one.directory] = repair_segments(
                self.old.root / path, self.folder / path, path, renaming, self.ledger
            )
            self.digests[path] = hash_file(self.folder / path)
            row = (one.name, one.session, one.kind, one.directory, len(images))
            rows.append((*row, counts[one.directory]))
        table = format_table(names.columns_of(names.ANNOTATORS), rows)
        self._write(names.ANNOTATORS, table)
        self._compare(names.ANNOTATORS, table)
        return counts

    def _write_manifest(self, vocabulary: Vocabulary, segments: Counter[str]) -> None:
        manifest = self.old.manifest
        assert manifest is not None
        settings = dict(manifest.settings)
        counts, digests = self._counts(vocabulary, segments), self._digests()
        if manifest.document is not None and (
            (counts, digests) != (manifest.document.counts, manifest.document.digests)
        ):
            self.ledger.changed("LAY009", "digests and counts of the manifest written anew")
        if self.ledger.changes or self.ledger.findings:
            settings["repaired"] = {f"{code}: {text}": n for code, text, n in self.ledger.changes}
        document = Manifest(
            generator=manifest.generator,
            sources=manifest.sources,
            settings=settings,
            counts=counts,
            digests=digests,
        )
        (self.folder / names.MANIFEST).write_bytes(format_json(document.model_dump(mode="json")))

    def _counts(self, vocabulary: Vocabulary, segments: Counter[str]) -> SetCounts:
        manifest = self.old.manifest
        undecided, decided = self._undecided()
        return SetCounts(
            images=len(self.pictures),
            labels=len(vocabulary.names),
            categories=len(vocabulary.categories),
            annotators=len(self.old.annotators),
            segments=sum(segments.values()),
            undecided=undecided.total() / decided.total() if decided else 0.0,
            undecided_by_category={
                category: undecided[category] / decided[category]
                for category in vocabulary.categories
                if category in decided
            },
            left_out={} if manifest is None else manifest.left_out,
        )

    def _digests(self) -> Digests:
        maps = dict(pair for picture in self.pictures.values() for pair in picture.digests)
        photographs = {self.tasks[i].new: p.photograph for i, p in self.pictures.items()}
        return Digests(
            tables=dict(sorted(self.digests.items())),
            maps=digest_of_files(maps),
            photographs=digest_of_files(photographs),
        )

    def _undecided(self) -> tuple[Counter[str], Counter[str]]:
        """Pixels without consensus, and those that were put to the vote, by category."""
        undecided: Counter[str] = Counter()
        decided: Counter[str] = Counter()
        if len(self.old.annotators) < 2:
            return undecided, decided
        for picture in self.pictures.values():
            drawn = {
                category
                for folder, scope in picture.scopes.items()
                for category, cell in scope.cells.items()
                if folder and any(own.startswith(_PEOPLE) for own in cell.split(";"))
            }
            decided.update(dict.fromkeys(drawn, picture.map_size[0] * picture.map_size[1]))
            undecided.update(picture.undecided)
        return undecided, decided

    def _write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)
        self.digests[name] = digest(data)


def _in_order(rows: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
    """Rows in an order that does not depend on how they were sorted.

    Codes, which only number the rows, are taken out where they do that.
    """
    codes = [row.get("code", "") for row in rows]
    counted = codes == [str(place) for place in range(1, len(rows) + 1)]
    kept = [{c: "" if c == "code" and counted else cell for c, cell in r.items()} for r in rows]
    return sorted(kept, key=lambda row: (number_in(row.get("number", "")) or 0, *row.values()))


def _alike(before: str, after: str) -> bool:
    """Whether two cells say the same: the same text, or figures that differ in digits only."""
    if before == after:
        return True
    try:
        return "e" not in before.lower() and math.isclose(
            float(before), float(after), rel_tol=5e-6, abs_tol=5e-6
        )
    except ValueError:
        return False
