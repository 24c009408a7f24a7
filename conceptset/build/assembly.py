"""The whole build: read, render, number, encode, write; nothing is visible before it is whole."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptset import __version__
from conceptset.build import checks, tables
from conceptset.build.encoding import (
    ROOT,
    Encoded,
    EncodeSettings,
    EncodeTask,
    Scope,
    encode_image,
)
from conceptset.build.gather import Gathered, GatheredImage, gather
from conceptset.build.naming import source_slugs, stems
from conceptset.build.options import BuildOptions
from conceptset.build.rendering import Rendered, RenderSettings, RenderTask, render_image
from conceptset.build.sources import find_sources, passed_over
from conceptset.build.splitting import draw_split, identity_of
from conceptset.build.summary import BuildReport, undetectable
from conceptset.build.vocabulary import Vocabulary, number_concepts
from conceptset.errors import SourceError
from conceptset.findings import Problems
from conceptset.io.atomic import check_target, new_directory
from conceptset.io.catalogue import hash_file
from conceptset.io.parallel import ordered_map
from conceptset.io.tables import digest, format_json, format_table
from conceptset.layout import names
from conceptset.layout.digests import digest_of_files
from conceptset.layout.models import Digests, Manifest, SetCounts
from conceptset.parsing.defects import Spot
from conceptset.records import Person
from conceptset.taxonomy import Taxonomy, concept_name

Step = Callable[[str], contextlib.AbstractContextManager[Callable[[int, int], None]]]

_SMALL = 48  # images below which starting worker processes costs more than it saves
_LINES_AT_ONCE = 16 << 20  # bytes of segments.jsonl that wait to be written


@dataclass(frozen=True, slots=True)
class _Member:
    """One image that is in the set."""

    image: GatheredImage
    rendered: Rendered
    source: str
    stem: str
    name: str
    split: str


@dataclass(frozen=True, slots=True)
class _People:
    """Everybody, by index."""

    persons: tuple[Person, ...]
    directories: tuple[str, ...]

    @classmethod
    def of(cls, images: Sequence[GatheredImage]) -> _People:
        persons = tuple(sorted({person for image in images for person in image.drawings}))
        return cls(persons, tuple(names.annotator_directories(map(str, persons))))


@contextlib.contextmanager
def _silent(_label: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda _done, _total: None


def build_set(
    sources: Sequence[Path], out: Path, options: BuildOptions, *, step: Step = _silent
) -> BuildReport:
    """Build a concept set from annotation files.

    Args:
        sources: Files or directories of annotations.
        out: The directory to write; it appears when everything is in it.
        options: See `BuildOptions`.
        step: Opens a progress display for a named step; it is told (done, total).

    Returns:
        What was built, left out and found.

    Raises:
        UsageError: An option cannot be used, or the target exists.
        SourceError: Something cannot be read; bad annotations by the policy.
        OutputError: The set cannot be written. In every case nothing is left behind.
    """
    check_target(out, overwrite=options.overwrite)
    checks.check_replaceable(out)
    checks.check_method(options.consensus)
    taxonomy = checks.load_taxonomy(options.taxonomy)
    problems = Problems(options.on_error)
    found = find_sources(sources, format_name=options.format, images=options.images)
    for source in found:
        checks.check_inputs_outlast(out, (source.path, source.catalogue.root))
    with step("reading") as progress:
        gathered = gather(found, options, taxonomy, problems, progress)
    if unread := passed_over(sources, found):
        gathered.left_out["files of no known format ('conceptset detect FILE' says why)"] = unread
    if not gathered.images:
        raise SourceError(
            "there is no image that anybody worked on",
            hint="--annotator NAME says who looked at images without any object.",
        )
    people = _People.of(gathered.images)
    checks.check_voter(options.consensus, people.persons)
    checks.check_models(options.model_annotators, people.persons)
    checks.check_sequences(
        options.split_by, ((image.photograph.key, image.sha256) for image in gathered.images)
    )
    jobs = options.jobs if len(gathered.images) >= _SMALL else 1
    with new_directory(out, overwrite=options.overwrite) as folder:
        builder = _Builder(folder, options, taxonomy, problems, people, gathered, step, jobs)
        return builder.build()


class _Builder:
    """The state of one build inside its directory-to-be."""

    def __init__(
        self,
        folder: Path,
        options: BuildOptions,
        taxonomy: Taxonomy,
        problems: Problems,
        people: _People,
        gathered: Gathered,
        step: Step,
        jobs: int,
    ) -> None:
        self.folder = folder
        self.options = options
        self.taxonomy = taxonomy
        self.problems = problems
        self.people = people
        self.gathered = gathered
        self.step = step
        self.jobs = jobs
        self.identifiers = {name: place for place, name in enumerate(sorted(gathered.names), 1)}
        self.digests: dict[str, str] = {}
        self.segments: Counter[int] = Counter()
        self.lines: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.waiting = 0

    def build(self) -> BuildReport:
        members = self._render()
        if not members:
            raise SourceError("none of the images could be used")
        vocabulary = number_concepts(
            (member.rendered for member in members),
            self.identifiers,
            min_frequency=self.options.min_frequency,
            min_coverage=self.options.min_coverage,
        )
        if not vocabulary.names:
            reasons = [f"{count} {why}" for why, count in self.gathered.left_out.items()]
            if vocabulary.dropped:
                reasons.append(f"{len(vocabulary.dropped)} concepts below the limits")
            raise SourceError(
                "no label is left",
                hint=f"Left out: {'; '.join(reasons)}." if reasons else "Nothing was drawn.",
            )
        encoded = self._encode(members, vocabulary)
        figures = self._write_tables(members, encoded, vocabulary)
        maps = dict(pair for one in encoded for pair in one.map_digests)
        photographs = {member.name: member.rendered.photograph for member in members}
        decided = sum(one.decided for one in encoded)
        undecided = sum(one.undecided for one in encoded) / decided if decided else 0.0
        manifest = Manifest(
            generator=f"conceptset {__version__}",
            sources=self.gathered.sources,
            settings=self.options.recorded(),
            counts=SetCounts(
                images=len(members),
                labels=len(vocabulary.names),
                categories=len(vocabulary.categories),
                annotators=len(self.people.persons),
                segments=sum(self.segments.values()),
                undecided=undecided,
                left_out=dict(sorted(self.gathered.left_out.items())),
            ),
            digests=Digests(
                tables=dict(sorted(self.digests.items())),
                maps=digest_of_files(maps),
                photographs=digest_of_files(photographs),
            ),
        )
        _remove_empty_folders(self.folder / names.IMAGE_FOLDER)
        (self.folder / names.MANIFEST).write_bytes(format_json(manifest.model_dump(mode="json")))
        return BuildReport(
            manifest=manifest,
            findings=tuple(self.problems.findings),
            skipped=self.problems.skipped,
            dropped=vocabulary.dropped,
            undetectable=undetectable(vocabulary, figures),
        )

    def _render(self) -> list[_Member]:
        images = self.gathered.images
        slugs = source_slugs(images)
        categories = {
            drawn.category
            for image in images
            for drawings in image.drawings.values()
            for drawn in drawings
        }
        index = {person: place for place, person in enumerate(self.people.persons)}
        rows = []
        for image, stem in zip(images, stems(images, sorted(categories)), strict=True):
            source = slugs[image.photograph.root.resolve()]
            name = names.photograph(source, stem, self.options.image_format)
            task = RenderTask(image, name, tuple(index[person] for person in image.drawings))
            rows.append((source, stem, task))
        self._make_folders({source for source, _, _ in rows})
        settings = RenderSettings(self.folder / names.IMAGE_FOLDER, self.options, self.identifiers)
        render = functools.partial(render_image, settings)
        members: list[_Member] = []
        # in the order of the finished index, so that segments.jsonl is sorted by image
        rows.sort(key=lambda row: row[2].name)
        results = ordered_map(render, [task for _, _, task in rows], jobs=self.jobs)
        with self.step("painting") as progress, contextlib.closing(results):
            for done, ((source, stem, task), result) in enumerate(
                zip(rows, results, strict=True), start=1
            ):
                progress(done, len(rows))
                if self._is_usable(task, result):
                    self._take_lines(result)
                    members.append(self._member(task, result, source, stem))
        self._write_lines()
        return members

    def _take_lines(self, result: Rendered) -> None:
        """Collect an image's lines of segments.jsonl; they are written many at a time."""
        self.segments.update(result.n_segments)
        for person, lines in result.segments.items():
            self.lines[person] += lines
            self.waiting += len(lines)
        result.segments = {}
        if self.waiting > _LINES_AT_ONCE:
            self._write_lines()

    def _write_lines(self) -> None:
        """Append what was collected, file by file: of a thousand, not all may be open at once."""
        for person, lines in self.lines.items():
            with self._segments_file(person).open("ab") as stream:
                stream.write(lines)
        self.lines.clear()
        self.waiting = 0

    def _member(self, task: RenderTask, result: Rendered, source: str, stem: str) -> _Member:
        image = task.image
        identity = identity_of(image.photograph.key, image.sha256, self.options.split_by)
        split = draw_split(identity, self.options.split)
        return _Member(image, result, source, stem, task.name, split)

    def _is_usable(self, task: RenderTask, result: Rendered) -> bool:
        """Report what went wrong with an image; False if it cannot be in the set."""
        if result.failure is not None:
            Spot(self.problems, task.image.photograph.key).report("SRC003", result.failure)
            self.gathered.left_out["images that cannot be decoded"] += 1
            return False
        for bad in result.bad:
            origin = bad.drawn.origin
            Spot(self.problems, origin.file, origin.pointer).report("SRC026", bad.message)
            self.gathered.left_out["regions that cannot be filled"] += 1
        return True

    def _make_folders(self, sources: set[str]) -> None:
        images = self.folder / names.IMAGE_FOLDER
        scopes = [names.CONSENSUS_FOLDER] + [
            f"{names.ANNOTATOR_FOLDER}/{directory}" for directory in self.people.directories
        ]
        for source in sorted(sources):
            (images / source).mkdir(parents=True)
            for scope in scopes:
                (images / scope / source).mkdir(parents=True)
        for person in range(len(self.people.persons)):
            self._segments_file(person).parent.mkdir(parents=True)
            self._segments_file(person).touch()

    def _segments_file(self, person: int) -> Path:
        return self.folder / names.annotator_file(self.people.directories[person], names.SEGMENTS)

    def _encode(self, members: Sequence[_Member], vocabulary: Vocabulary) -> list[Encoded]:
        settings = EncodeSettings(
            self.folder / names.IMAGE_FOLDER,
            vocabulary,
            self.people.persons,
            self.people.directories,
            self.options.consensus,
        )
        tasks = (
            EncodeTask(member.rendered.painted, member.source, member.stem)
            for member in members
            if member.rendered.painted is not None
        )
        encoded = []
        results = ordered_map(functools.partial(encode_image, settings), tasks, jobs=self.jobs)
        with self.step("writing maps") as progress, contextlib.closing(results):
            for result in results:
                encoded.append(result)
                progress(len(encoded), len(members))
        return encoded

    def _write(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)
        self.digests[name] = digest(data)

    def _write_tables(
        self, members: Sequence[_Member], encoded: Sequence[Encoded], vocabulary: Vocabulary
    ) -> tables.Figures:
        """All tables of all indexes; returns the figures of the root's."""
        annotators = []
        for person, directory in enumerate(self.people.directories):
            lines = _lines(members, encoded, person)
            self._write_scope(lines, vocabulary, f"{names.ANNOTATOR_FOLDER}/{directory}/", person)
            path = names.annotator_file(directory, names.SEGMENTS)
            self.digests[path] = hash_file(self.folder / path)
            who = self.people.persons[person]
            kind = "model" if who.name in self.options.model_annotators else "person"
            row = (who.name, who.session, kind, directory, len(lines), self.segments[person])
            annotators.append(row)
        self._write(names.ANNOTATORS, format_table(names.columns_of(names.ANNOTATORS), annotators))
        origins = [(m.name, m.source, m.image.photograph.key, m.image.sha256) for m in members]
        self._write(names.IMAGES, format_table(names.columns_of(names.IMAGES), origins))
        return self._write_scope(_lines(members, encoded, ROOT), vocabulary, "", ROOT)

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
            vocabulary, figures, self._synonyms, root=scope == ROOT
        ).items():
            self._write(f"{prefix}{table}", data)
        return figures

    def _synonyms(self, concept: str) -> list[str]:
        drawn = self.gathered.names.get(concept, set())
        known = map(concept_name, (*drawn, *self.taxonomy.synonyms(concept)))
        return sorted({*known} - {concept, ""})


def _lines(
    members: Sequence[_Member], encoded: Sequence[Encoded], scope: int
) -> list[tuple[tables.IndexLine, Scope]]:
    """The rows of one index: exactly the images its person worked on."""
    lines = []
    for member, one in zip(members, encoded, strict=True):
        painted = member.rendered.painted
        if painted is None or scope not in one.scopes:
            continue
        line = tables.IndexLine(member.name, member.split, member.rendered.size, painted.size)
        lines.append((line, one.scopes[scope]))
    return lines


def _remove_empty_folders(root: Path) -> None:
    for folder in sorted((path for path in root.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()
