"""The whole merge: sets opened, concepts unified, images joined, and published as a build is."""

from __future__ import annotations

import contextlib
import functools
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from conceptset.build import checks
from conceptset.build.members import Member
from conceptset.build.people import Aliases
from conceptset.build.publishing import Plan, make_folders, publish
from conceptset.build.steps import Step, silent
from conceptset.consensus import COMPARES_SEGMENTS
from conceptset.errors import LayoutError, UsageError
from conceptset.io.atomic import check_target, new_directory
from conceptset.io.parallel import LocalEngine, ordered_map
from conceptset.io.tables import read_table
from conceptset.layout import names
from conceptset.layout.models import Manifest
from conceptset.merge.agreement import consensus_of, entries_of, models_of, painting_of
from conceptset.merge.inputs import Input, Session, open_inputs
from conceptset.merge.joining import (
    JoinedImage,
    JoinSettings,
    JoinTask,
    Part,
    join_image,
)
from conceptset.merge.lines import Lines, find_lines
from conceptset.merge.meanings import Doubt, Joined, Meanings
from conceptset.merge.placing import Placed, find_holders, place_images
from conceptset.merge.translation import names_in_categories, translate
from conceptset.taxonomy import Form

_SMALL = 48  # images below which starting worker processes costs more than it saves


class MergeOptions(BaseModel):
    """Every setting of a merge."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    taxonomy: Path | None = None
    aliases: dict[str, str] = Field(default_factory=dict)
    annotator_from: str | None = Field(default=None, pattern="^folder$")
    split: dict[str, str] | None = None
    consensus: str | None = None
    jobs: int = Field(default=1, ge=1)
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class MergeReport:
    """The outcome of a merge.

    Attributes:
        manifest: Of the merged set.
        joined: Names that are another one now, because it lists them as synonyms.
        doubts: Synonyms that might have joined two labels and did not.
        shared: Images that several sets hold.
        twice: Sessions of one person that two sets hold alike, taken once.
        drawn: Splits drawn because a set had none.
        unused: Labels that no image carries; they are not in the merged set.
        sizes: How many different sizes the photographs have.
        notes: What else to tell.
    """

    manifest: Manifest
    joined: Sequence[Joined]
    doubts: Sequence[Doubt]
    shared: int
    twice: int
    drawn: int
    unused: Sequence[str]
    sizes: int
    notes: Sequence[str]


def merge_sets(
    roots: Sequence[Path], out: Path, options: MergeOptions, *, step: Step = silent
) -> MergeReport:
    """Make one concept set of several, foreign Broden layouts included.

    The order of the sets does not matter. Labels are unified by name, synonym and taxonomy and
    numbered anew; images with the same original are one; everybody keeps what they drew, and the
    root's labels are formed from everybody again.

    Args:
        roots: The sets.
        out: The directory to write; it appears when everything is in it.
        options: See `MergeOptions`.
        step: Opens a progress display for a named step; it is told (done, total).

    Raises:
        UsageError: The sets contradict each other, or an option cannot be used.
        SourceError: A set cannot be used as it is; `repair` writes a right one.
        OutputError: The merged set cannot be written.
    """
    check_target(out, overwrite=options.overwrite)
    checks.check_replaceable(out)
    taxonomy = checks.load_taxonomy(options.taxonomy)
    for root in roots:
        checks.check_inputs_outlast(out, [root])
        if out.resolve().is_relative_to(root.resolve()):
            raise UsageError("lies in a set that is merged", path=out, hint="Choose another --out.")
    aliases = Aliases(options.aliases)
    by_folder = options.annotator_from == "folder"
    inputs = open_inputs(roots, aliases, by_folder=by_folder, jobs=options.jobs)
    merger = _Merger(inputs, options, Meanings(inputs, taxonomy))
    with new_directory(out, overwrite=options.overwrite) as folder:
        return merger.merge(folder, step, aliases.notes())


class _Merger:
    """The state of one merge."""

    def __init__(self, inputs: Sequence[Input], options: MergeOptions, meanings: Meanings) -> None:
        self.inputs = inputs
        self.options = options
        self.meanings = meanings
        self.left_out: Counter[str] = Counter()
        for one in inputs:
            if one.manifest is not None:
                self.left_out.update(one.manifest.counts.left_out)
        self.consensus = consensus_of(inputs, options.consensus)
        sessions = [session for one in inputs for session in one.sessions]
        self.people = tuple(sorted({session.person for session in sessions}))
        self.models = models_of(inputs)
        self.identifiers: dict[str, int] = {}
        self.categories: set[str] = set()
        self._number()
        groups = find_holders(inputs, self.left_out)
        default = {"train": "0.7", "val": "0.3"}
        self.images = place_images(inputs, groups, sorted(self.categories), options.split, default)
        self.twice = 0

    def merge(self, folder: Path, step: Step, notes: Sequence[str]) -> MergeReport:
        """Write the set."""
        if not self.images:
            raise LayoutError("no set holds an image that anybody worked on")
        plan = self._plan()
        make_folders(folder, plan)
        jobs = self.options.jobs if len(self.images) >= _SMALL else 1
        with contextlib.closing(self._members(folder, jobs, step)) as members:
            published = publish(folder, plan, members, engine=LocalEngine(jobs), step=step)
        empty = sum(
            not any(holder.entry.split.strip() for holder in image.holders) for image in self.images
        )
        return MergeReport(
            manifest=published.manifest,
            joined=self.meanings.joined,
            doubts=self.meanings.doubts,
            shared=sum(len(image.holders) > 1 for image in self.images),
            twice=self.twice,
            drawn=empty if self.options.split is None else len(self.images),
            unused=sorted(self.identifiers.keys() - _listed(folder)),
            sizes=len({image.holders[0].entry.image_size for image in self.images}),
            notes=(*notes, *published.notes),
        )

    def _number(self) -> None:
        """Give every concept of every set its provisional identifier."""
        concepts: set[str] = set()
        forms: tuple[Form, ...] = ("region", "tag")
        for one in self.inputs:
            for name, category in names_in_categories(one):
                for form in forms:
                    meant = self.meanings.meaning(name, category, form)
                    if meant is not None:
                        concepts.add(meant.concept)
                        self.categories.add(meant.category)
        self.identifiers = {name: place for place, name in enumerate(sorted(concepts), start=1)}

    def _plan(self) -> Plan:
        settings: dict[str, JsonValue] = {
            "consensus": self.consensus,
            "merged": [{"set": one.name, "sha256": one.sha256} for one in self.inputs],
            "taxonomy": None if self.options.taxonomy is None else self.options.taxonomy.name,
            "aliases": dict(self.options.aliases),
            "annotator_from": self.options.annotator_from,
            "colors": self._color_method(),
            "fit": self._alike("fit"),
            "overlap": self._alike("overlap"),
        }
        if self.options.split is not None:
            shares = self.options.split.items()
            settings["split"] = ",".join(f"{name}={share}" for name, share in shares)
        return Plan(
            people=self.people,
            models=self.models,
            sources=tuple(sorted({image.source for image in self.images})),
            identifiers=self.identifiers,
            synonyms=self.meanings.synonyms,
            consensus=self.consensus,
            min_frequency=1,
            min_coverage=0.0,
            entries=[entry for one in self.inputs for entry in entries_of(one)],
            settings=settings,
            left_out=self.left_out,
        )

    def _alike(self, setting: str) -> str | None:
        """How all sets that have segments were painted; None if they differ."""
        manifests = [one.manifest for one in self.inputs if one.manifest is not None]
        said = {str(manifest.settings.get(setting)) for manifest in manifests}
        return next(iter(said - {"None"})) if len(said) == 1 and said != {"None"} else None

    def _color_method(self) -> str | None:
        """How all colours of the merged set were computed; None if some were drawn."""
        with_colors = [one for one in self.inputs if "color" in one.concepts.categories]
        methods = {one.color_method for one in with_colors}
        return next(iter(methods)) if len(methods) == 1 else None

    def _members(self, folder: Path, jobs: int, step: Step) -> Generator[Member]:
        """Every image, in the order of the finished index, its photograph written."""
        settings = JoinSettings(
            folder / names.IMAGE_FOLDER,
            tuple(translate(one, self.meanings, self.identifiers) for one in self.inputs),
            self.meanings,
            tuple(map(str, self.people)),
            self.identifiers,
            tuple(map(painting_of, self.inputs)) if self.consensus in COMPARES_SEGMENTS else (),
        )
        lines = [[find_lines(one, session) for session in one.sessions] for one in self.inputs]
        tasks = (self._task(image, lines) for image in self.images)
        results = ordered_map(functools.partial(join_image, settings), tasks, jobs=jobs)
        with step("joining") as progress, contextlib.closing(results):
            for done, (image, result) in enumerate(zip(self.images, results, strict=True), start=1):
                progress(done, len(self.images))
                self.left_out.update(result.left_out)
                self.twice += result.twice
                yield _member(image, result)

    def _task(self, image: Placed, lines: Sequence[Sequence[Mapping[str, Lines]]]) -> JoinTask:
        parts = []
        for holder in image.holders:
            one = self.inputs[holder.place]
            for place in holder.sessions:
                session = one.sessions[place]
                entry = session.entries[holder.image]
                cells = tuple(
                    (category, tuple(map(one.concepts.file, cell.maps)), cell.labels)
                    for category, cell in entry.cells.items()
                )
                part = Part(
                    set_name=one.name,
                    translation=holder.place,
                    person=self.people.index(session.person),
                    cells=cells,
                    ignores=tuple(_ignores(one, session, holder.image)),
                    segments=lines[holder.place][place].get(holder.image),
                )
                parts.append(part)
        first = image.holders[0].entry
        photographs = tuple(
            (self.inputs[holder.place].concepts.file(holder.image), holder.image)
            for holder in image.holders
        )
        return JoinTask(image.name, photographs, first.image_size, first.map_size, tuple(parts))


def _ignores(one: Input, session: Session, image: str) -> Iterator[tuple[str, Path]]:
    """(category, mask) of what a session left undecided in an image."""
    if session.directory is None:
        return
    source, _, last = image.rpartition("/")
    for category in one.concepts.categories:
        name = names.ignore_mask(source, last.rpartition(".")[0], category, session.directory)
        path = one.concepts.file(name)
        if path.is_file():
            yield category, path


def _member(image: Placed, joined: JoinedImage) -> Member:
    return Member(
        name=image.name,
        source=image.source,
        stem=image.stem,
        split=image.split,
        original=image.origin.original,
        sha256=image.origin.sha256,
        photograph=joined.photograph,
        size=image.holders[0].entry.image_size,
        layers=joined.layers,
        segments=joined.segments,
        n_segments=joined.n_segments,
    )


def _listed(folder: Path) -> set[str]:
    """The labels that the merged set has."""
    table = read_table(folder / names.LABELS)
    return {record["name"] for _, record in table.records()}
