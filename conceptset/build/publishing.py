"""The second half of a build: from painted members to a whole set on disk.

It does not know where members come from. Nothing here opens annotations or photographs; their
folders are made first, so that members can be drawn from an iterator that writes photographs.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import JsonValue

from conceptset import __version__
from conceptset.build import tables
from conceptset.build.encoding import ROOT, Encoded, EncodeSettings, EncodeTask, encode_image
from conceptset.build.growing import GrowingFiles
from conceptset.build.members import Member, Painted
from conceptset.build.steps import Step, silent
from conceptset.build.summary import counted, undetectable
from conceptset.build.vocabulary import Usage, Vocabulary, number_concepts
from conceptset.build.voting import Drawn, Electorate, Learning, things_drawn
from conceptset.consensus import METHODS
from conceptset.errors import SourceError
from conceptset.io.parallel import IN_PROCESS, Engine
from conceptset.io.spool import Extent, Spool, read_extents, remove_scratch, scratch_of
from conceptset.io.tables import digest, format_json, format_rows, format_table
from conceptset.layout import names
from conceptset.layout.digests import digest_of_files
from conceptset.layout.models import Digests, Manifest, SetCounts, SourceEntry
from conceptset.records import Person


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a set besides its images.

    Attributes:
        people: Everybody, sorted; members name them by index.
        models: Names of those who are no persons.
        sources: Slugs of the image roots.
        identifiers: The provisional identifier of each concept: all of 1, 2, ...
        synonyms: The other names of a concept, sorted.
        consensus: How the root's labels are formed; see `Electorate`.
        min_frequency: Images a label needs.
        min_coverage: Images' worth of pixels it needs.
        entries: What the set is made from, for the manifest.
        settings: Those that shape the result, for the manifest.
        left_out: What did not enter, by reason; may grow until the last member is taken.
    """

    people: tuple[Person, ...]
    models: frozenset[str]
    sources: tuple[str, ...]
    identifiers: Mapping[str, int]
    synonyms: Callable[[str], Sequence[str]]
    consensus: str
    min_frequency: int
    min_coverage: float
    entries: Sequence[SourceEntry]
    settings: Mapping[str, JsonValue]
    left_out: Counter[str]


@dataclass(frozen=True, slots=True)
class Published:
    """What was written.

    Attributes:
        manifest: Of the set.
        dropped: Concepts below the limits, sorted.
        undetectable: See `conceptset.build.summary.undetectable`.
        notes: What to tell of the consensus.
    """

    manifest: Manifest
    dropped: Sequence[str]
    undetectable: Sequence[tuple[str, float]]
    notes: Sequence[str]


def make_folders(folder: Path, plan: Plan) -> None:
    """Make every folder that photographs, maps and segments are written to."""
    images = folder / names.IMAGE_FOLDER
    directories = names.annotator_directories(map(str, plan.people))
    scopes = [names.CONSENSUS_FOLDER, *(f"{names.ANNOTATOR_FOLDER}/{d}" for d in directories)]
    for source in sorted(plan.sources):
        (images / source).mkdir(parents=True)
        for scope in scopes:
            (images / scope / source).mkdir(parents=True)
    for directory in directories:
        (folder / names.ANNOTATOR_FOLDER / directory).mkdir(parents=True)


def publish(
    folder: Path,
    plan: Plan,
    members: Iterable[Member],
    *,
    engine: Engine = IN_PROCESS,
    step: Step = silent,
) -> Published:
    """Number what members hold and write the set around their photographs; the manifest last.

    Args:
        folder: The set to be, as `make_folders` left it. Its scratch is removed.
        plan: What is known besides the images.
        members: The images, sorted by name; taken once, one by one. Only their places are kept.
        engine: Where maps are written.
        step: Opens a progress display.

    Raises:
        SourceError: There is no member, or no label is left.
        UsageError: More labels than the layout can number.
    """
    with Spool(scratch_of(folder) / "maps") as spool:
        publisher = _Publisher(folder, plan, spool)
        for member in members:
            publisher.take(member)
        return publisher.finish(engine, step)


@dataclass(frozen=True, slots=True)
class _Filed:
    """What is kept of a member: where its maps lie, and what every index says alike of it."""

    source: str
    stem: str
    maps: Extent
    line: tables.IndexLine


def _called(filed: _Filed) -> str:
    return filed.line.image


def _encode_filed(spool: Path, settings: EncodeSettings, filed: _Filed) -> Encoded:
    (packed,) = read_extents(spool, [filed.maps])
    return encode_image(settings, EncodeTask(Painted.unpack(packed), filed.source, filed.stem))


def _draw_filed(
    spool: Path, electorate: Electorate, vocabulary: Vocabulary, filed: _Filed
) -> Drawn:
    (packed,) = read_extents(spool, [filed.maps])
    return things_drawn(electorate, vocabulary, Painted.unpack(packed))


class _Publisher:
    """The state of one set being written."""

    def __init__(self, folder: Path, plan: Plan, spool: Spool) -> None:
        self.folder = folder
        self.plan = plan
        self.spool = spool
        self.directories = tuple(names.annotator_directories(map(str, plan.people)))
        self.prefixes = {
            ROOT: "",
            **{i: f"{names.ANNOTATOR_FOLDER}/{d}/" for i, d in enumerate(self.directories)},
        }
        self.filed: list[_Filed] = []
        self.usage = Usage()
        self.segments: Counter[int] = Counter()
        self.photographs: dict[str, str] = {}
        self.maps: dict[str, str] = {}
        self.decided: Counter[str] = Counter()
        self.undecided: Counter[str] = Counter()
        self.electorate = Electorate(plan.people, plan.models, plan.consensus)
        self.notes = self.electorate.notes()
        self.figures = {scope: tables.Figures() for scope in self.prefixes}
        self.rows: Counter[int] = Counter()
        self.growing = GrowingFiles(folder)
        self.digests: dict[str, str] = {}
        for person in range(len(plan.people)):
            self.growing.add(f"{self.prefixes[person]}{names.SEGMENTS}", b"")
        self.growing.add(names.IMAGES, format_rows([names.columns_of(names.IMAGES)]))

    def take(self, member: Member) -> None:
        """Count a member and file its maps and segments."""
        self.usage.add(member.layers)
        self.segments.update(member.n_segments)
        for person, lines in member.segments.items():
            self.growing.add(f"{self.prefixes[person]}{names.SEGMENTS}", lines)
        origin = (member.name, member.source, member.original, member.sha256)
        self.growing.add(names.IMAGES, format_rows([origin]))
        self.photographs[member.name] = member.photograph
        painted = member.layers.painted
        line = tables.IndexLine(member.name, member.split, member.size, painted.size)
        place = self.spool.append(painted.pack())
        self.filed.append(_Filed(member.source, member.stem, place, line))

    def finish(self, engine: Engine, step: Step) -> Published:
        """Number, encode, and write what describes it all."""
        self.spool.close()
        if not self.filed:
            raise SourceError("none of the images could be used")
        vocabulary = self._vocabulary()
        if self.electorate.learns:
            self._learn(vocabulary, engine, step)
        self._encode(vocabulary, engine, step)
        self._tell_of_images_without_voter()
        self._write_tables(vocabulary)
        _remove_empty_folders(self.folder / names.IMAGE_FOLDER)
        remove_scratch(self.folder)
        manifest = self._manifest(vocabulary)
        (self.folder / names.MANIFEST).write_bytes(format_json(manifest.model_dump(mode="json")))
        rare = undetectable(vocabulary, self.figures[ROOT])
        return Published(manifest, vocabulary.dropped, rare, self.notes)

    def _vocabulary(self) -> Vocabulary:
        vocabulary = number_concepts(
            self.usage,
            self.plan.identifiers,
            min_frequency=self.plan.min_frequency,
            min_coverage=self.plan.min_coverage,
        )
        if not vocabulary.names:
            limits = {"concepts below the limits": len(vocabulary.dropped)}
            reasons = counted({**self.plan.left_out, **limits})
            raise SourceError(
                "no label is left",
                hint=f"Left out: {'; '.join(reasons)}." if reasons else "Nothing was drawn.",
            )
        return vocabulary

    def _learn(self, vocabulary: Vocabulary, engine: Engine, step: Step) -> None:
        """Learn from all images who confuses which names."""
        learning = Learning()
        draw = functools.partial(_draw_filed, self.spool.path, self.electorate, vocabulary)
        results = engine.ordered_map(draw, self.filed, name=_called)
        with step("comparing names") as progress, contextlib.closing(results):
            for done, drawn in enumerate(results, start=1):
                learning.add(drawn)
                progress(done, len(self.filed))
        skills, notes = learning.finish(vocabulary.categories, len(self.plan.people))
        self.electorate = replace(self.electorate, skills=skills)
        self.notes += notes

    def _tell_of_images_without_voter(self) -> None:
        """Models have no voice among persons: what only they saw is not in the root."""
        unseen = len(self.filed) - self.rows[ROOT]
        if unseen and self.plan.consensus in METHODS:
            images = "1 image" if unseen == 1 else f"{unseen:,} images"
            self.notes.append(f"{images} that only models labelled: not in the root index")

    def _encode(self, vocabulary: Vocabulary, engine: Engine, step: Step) -> None:
        """Write all maps, and the rows of all indexes."""
        settings = EncodeSettings(
            self.folder / names.IMAGE_FOLDER,
            vocabulary,
            self.electorate,
            self.directories,
        )
        header = tables.index_header(vocabulary.categories)
        for prefix in self.prefixes.values():
            self.growing.add(f"{prefix}{names.INDEX}", header)
        encode = functools.partial(_encode_filed, self.spool.path, settings)
        results = engine.ordered_map(encode, self.filed, name=_called)
        with step("writing maps") as progress, contextlib.closing(results):
            for done, (filed, encoded) in enumerate(zip(self.filed, results, strict=True), start=1):
                self._count(filed, encoded, vocabulary)
                progress(done, len(self.filed))

    def _count(self, filed: _Filed, encoded: Encoded, vocabulary: Vocabulary) -> None:
        """An image's rows and figures, in the indexes that list it."""
        self.maps.update(encoded.map_digests)
        self.decided.update(encoded.decided)
        self.undecided.update(encoded.undecided)
        for place, scope in encoded.scopes.items():
            self.rows[place] += 1
            self.figures[place].add(scope, filed.line.map_size)
            row = tables.index_row(filed.line, scope, vocabulary.categories)
            self.growing.add(f"{self.prefixes[place]}{names.INDEX}", row)

    def _write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)
        self.digests[name] = digest(data)

    def _write_tables(self, vocabulary: Vocabulary) -> None:
        """All tables that describe the whole set."""
        annotators = []
        for person, directory in enumerate(self.directories):
            who = self.plan.people[person]
            kind = "model" if who.name in self.plan.models else "person"
            counts = (self.rows[person], self.segments[person])
            annotators.append((who.name, who.session, kind, directory, *counts))
        self._write(names.ANNOTATORS, format_table(names.columns_of(names.ANNOTATORS), annotators))
        for scope, prefix in self.prefixes.items():
            for table, data in tables.label_tables(
                vocabulary, self.figures[scope], self.plan.synonyms, root=scope == ROOT
            ).items():
                self._write(f"{prefix}{table}", data)
        self.digests |= self.growing.finish()

    def _manifest(self, vocabulary: Vocabulary) -> Manifest:
        return Manifest(
            generator=f"conceptset {__version__}",
            sources=list(self.plan.entries),
            settings=dict(self.plan.settings),
            counts=SetCounts(
                images=len(self.filed),
                labels=len(vocabulary.names),
                categories=len(vocabulary.categories),
                annotators=len(self.plan.people),
                segments=sum(self.segments.values()),
                undecided=_share(self.undecided.total(), self.decided.total()),
                undecided_by_category={
                    category: _share(self.undecided[category], self.decided[category])
                    for category in vocabulary.categories
                    if self.decided[category]
                },
                left_out=dict(sorted(self.plan.left_out.items())),
            ),
            digests=Digests(
                tables=dict(sorted(self.digests.items())),
                maps=digest_of_files(self.maps),
                photographs=digest_of_files(self.photographs),
            ),
        )


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _remove_empty_folders(root: Path) -> None:
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
