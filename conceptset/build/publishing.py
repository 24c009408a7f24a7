"""The second half of a build: from painted members to a whole set on disk.

It does not know where members come from. Nothing here opens annotations or photographs; their
folders are made first, so that members can be drawn from an iterator that writes photographs.
"""

from __future__ import annotations

import contextlib
import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from conceptset import __version__
from conceptset.build import tables
from conceptset.build.encoding import (
    ROOT,
    Encoded,
    EncodeSettings,
    EncodeTask,
    Scope,
    encode_image,
)
from conceptset.build.members import Member
from conceptset.build.summary import undetectable
from conceptset.build.vocabulary import Usage, Vocabulary, number_concepts
from conceptset.errors import SourceError
from conceptset.io.catalogue import hash_file
from conceptset.io.parallel import ordered_map
from conceptset.io.tables import digest, format_json, format_table
from conceptset.layout import names
from conceptset.layout.digests import digest_of_files
from conceptset.layout.models import Digests, Manifest, SetCounts, SourceEntry
from conceptset.records import Person

Step = Callable[[str], contextlib.AbstractContextManager[Callable[[int, int], None]]]

_LINES_AT_ONCE = 16 << 20  # bytes of segments.jsonl that wait to be written


@contextlib.contextmanager
def silent(_label: str) -> Iterator[Callable[[int, int], None]]:
    """A `Step` that shows nothing."""
    yield lambda _done, _total: None


@dataclass(frozen=True, slots=True)
class Plan:
    """What is known of a set besides its images.

    Attributes:
        people: Everybody, sorted; members name them by index.
        models: Names of those who are no persons.
        sources: Slugs of the image roots.
        identifiers: The provisional identifier of each concept: all of 1, 2, ...
        synonyms: The other names of a concept, sorted.
        consensus: `majority`, or the name of the annotator whose labels are the root's.
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
    """

    manifest: Manifest
    dropped: Sequence[str]
    undetectable: Sequence[tuple[str, float]]


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
    folder: Path, plan: Plan, members: Iterable[Member], *, jobs: int, step: Step = silent
) -> Published:
    """Number what members hold and write the set around their photographs; the manifest last.

    Args:
        folder: The set to be, as `make_folders` left it.
        plan: What is known besides the images.
        members: The images, sorted by name; taken once, one by one.
        jobs: Processes.
        step: Opens a progress display.

    Raises:
        SourceError: There is no member, or no label is left.
        UsageError: More labels than the layout can number.
    """
    publisher = _Publisher(folder, plan, jobs, step)
    for member in members:
        publisher.take(member)
    return publisher.finish()


class _Publisher:
    """The state of one set being written."""

    def __init__(self, folder: Path, plan: Plan, jobs: int, step: Step) -> None:
        self.folder = folder
        self.plan = plan
        self.jobs = jobs
        self.step = step
        self.directories = tuple(names.annotator_directories(map(str, plan.people)))
        self.members: list[Member] = []
        self.usage = Usage()
        self.digests: dict[str, str] = {}
        self.segments: Counter[int] = Counter()
        self.lines: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.waiting = 0
        for person in range(len(plan.people)):
            self._segments_file(person).touch()

    def take(self, member: Member) -> None:
        """Count a member and write its segments."""
        self.usage.add(member.layers)
        self.segments.update(member.n_segments)
        for person, lines in member.segments.items():
            self.lines[person] += lines
            self.waiting += len(lines)
        if self.waiting > _LINES_AT_ONCE:
            self._write_lines()
        self.members.append(member)

    def finish(self) -> Published:
        """Number, encode, and write what describes it all."""
        self._write_lines()
        if not self.members:
            raise SourceError("none of the images could be used")
        vocabulary = self._vocabulary()
        encoded = self._encode(vocabulary)
        figures = self._write_tables(encoded, vocabulary)
        manifest = self._manifest(vocabulary, encoded)
        _remove_empty_folders(self.folder / names.IMAGE_FOLDER)
        (self.folder / names.MANIFEST).write_bytes(format_json(manifest.model_dump(mode="json")))
        return Published(manifest, vocabulary.dropped, undetectable(vocabulary, figures))

    def _vocabulary(self) -> Vocabulary:
        vocabulary = number_concepts(
            self.usage,
            self.plan.identifiers,
            min_frequency=self.plan.min_frequency,
            min_coverage=self.plan.min_coverage,
        )
        if not vocabulary.names:
            reasons = [f"{count} {why}" for why, count in self.plan.left_out.items()]
            if vocabulary.dropped:
                reasons.append(f"{len(vocabulary.dropped)} concepts below the limits")
            raise SourceError(
                "no label is left",
                hint=f"Left out: {'; '.join(reasons)}." if reasons else "Nothing was drawn.",
            )
        return vocabulary

    def _manifest(self, vocabulary: Vocabulary, encoded: Sequence[Encoded]) -> Manifest:
        maps = dict(pair for one in encoded for pair in one.map_digests)
        decided = sum(one.decided for one in encoded)
        undecided = sum(one.undecided for one in encoded) / decided if decided else 0.0
        return Manifest(
            generator=f"conceptset {__version__}",
            sources=list(self.plan.entries),
            settings=dict(self.plan.settings),
            counts=SetCounts(
                images=len(self.members),
                labels=len(vocabulary.names),
                categories=len(vocabulary.categories),
                annotators=len(self.plan.people),
                segments=sum(self.segments.values()),
                undecided=undecided,
                left_out=dict(sorted(self.plan.left_out.items())),
            ),
            digests=Digests(
                tables=dict(sorted(self.digests.items())),
                maps=digest_of_files(maps),
                photographs=digest_of_files({m.name: m.photograph for m in self.members}),
            ),
        )

    def _write_lines(self) -> None:
        """Append what was collected, file by file: of a thousand, not all may be open at once."""
        for person, lines in self.lines.items():
            with self._segments_file(person).open("ab") as stream:
                stream.write(lines)
        self.lines.clear()
        self.waiting = 0

    def _segments_file(self, person: int) -> Path:
        return self.folder / names.annotator_file(self.directories[person], names.SEGMENTS)

    def _encode(self, vocabulary: Vocabulary) -> list[Encoded]:
        settings = EncodeSettings(
            self.folder / names.IMAGE_FOLDER,
            vocabulary,
            self.plan.people,
            self.directories,
            self.plan.consensus,
        )
        tasks = (EncodeTask(m.layers.painted, m.source, m.stem) for m in self.members)
        encoded = []
        results = ordered_map(functools.partial(encode_image, settings), tasks, jobs=self.jobs)
        with self.step("writing maps") as progress, contextlib.closing(results):
            for result in results:
                encoded.append(result)
                progress(len(encoded), len(self.members))
        return encoded

    def _write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)
        self.digests[name] = digest(data)

    def _write_tables(self, encoded: Sequence[Encoded], vocabulary: Vocabulary) -> tables.Figures:
        """All tables of all indexes; returns the figures of the root's."""
        annotators = []
        for person, directory in enumerate(self.directories):
            lines = _lines(self.members, encoded, person)
            self._write_scope(lines, vocabulary, f"{names.ANNOTATOR_FOLDER}/{directory}/", person)
            path = names.annotator_file(directory, names.SEGMENTS)
            self.digests[path] = hash_file(self.folder / path)
            who = self.plan.people[person]
            kind = "model" if who.name in self.plan.models else "person"
            row = (who.name, who.session, kind, directory, len(lines), self.segments[person])
            annotators.append(row)
        self._write(names.ANNOTATORS, format_table(names.columns_of(names.ANNOTATORS), annotators))
        origins = [(m.name, m.source, m.original, m.sha256) for m in self.members]
        self._write(names.IMAGES, format_table(names.columns_of(names.IMAGES), origins))
        return self._write_scope(_lines(self.members, encoded, ROOT), vocabulary, "", ROOT)

    def _write_scope(
        self,
        lines: Sequence[tuple[tables.IndexLine, Scope]],
        vocabulary: Vocabulary,
        prefix: str,
        scope: int,
    ) -> tables.Figures:
        figures = tables.Figures()
        for line, counts in lines:
            figures.add(counts, line.map_size)
        self._write(f"{prefix}{names.INDEX}", tables.index_table(lines, vocabulary.categories))
        for table, data in tables.label_tables(
            vocabulary, figures, self.plan.synonyms, root=scope == ROOT
        ).items():
            self._write(f"{prefix}{table}", data)
        return figures


def _lines(
    members: Sequence[Member], encoded: Sequence[Encoded], scope: int
) -> list[tuple[tables.IndexLine, Scope]]:
    """The rows of one index: exactly the images its person worked on."""
    lines = []
    for member, one in zip(members, encoded, strict=True):
        if scope not in one.scopes:
            continue
        line = tables.IndexLine(member.name, member.split, member.size, member.layers.painted.size)
        lines.append((line, one.scopes[scope]))
    return lines


def _remove_empty_folders(root: Path) -> None:
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
