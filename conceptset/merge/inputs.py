"""The sets that are merged, opened strictly: what is broken is for `repair`, not for a guess."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from conceptset.build.people import Aliases
from conceptset.errors import LayoutError, UsageError
from conceptset.io.catalogue import hash_file
from conceptset.io.paths import slug
from conceptset.io.tables import read_table
from conceptset.layout import names
from conceptset.layout.models import AnnotatorRow, ImageRow, Manifest
from conceptset.layout.reading import ConceptSet, IndexEntry, open_concept_set, require
from conceptset.records import Person
from conceptset.taxonomy import category_problem, concept_name

HINT = "'conceptset validate' lists the defects of the set, 'conceptset repair' writes a right one."


@dataclass(frozen=True, slots=True)
class Session:
    """What one person did in one session in one set.

    Attributes:
        person: Who, as everybody is called after the merge.
        kind: `person` or `model`.
        directory: The folder below annotators/; None in a foreign layout.
        entries: The rows of the index, by photograph.
    """

    person: Person
    kind: str
    directory: str | None
    entries: Mapping[str, IndexEntry]


@dataclass(frozen=True)
class Input:
    """One set.

    Attributes:
        root: Where it lies.
        name: What its folder is called.
        sha256: Digest of its manifest; of its index in a foreign layout.
        concepts: It, opened by its root index.
        synonyms: Other names of its labels, by name.
        sessions: Who drew what.
        origins: Where each photograph came from.
    """

    root: Path
    name: str
    sha256: str
    concepts: ConceptSet
    synonyms: Mapping[str, Sequence[str]]
    sessions: tuple[Session, ...]
    origins: Mapping[str, ImageRow]

    @property
    def manifest(self) -> Manifest | None:
        """None for a foreign layout."""
        return self.concepts.manifest

    @property
    def color_method(self) -> str | None:
        """How its machine-made colours were computed, if it has any."""
        value = None if self.manifest is None else self.manifest.settings.get("colors")
        return value if isinstance(value, str) else None


def open_inputs(
    roots: Sequence[Path], aliases: Aliases, *, by_folder: bool, jobs: int
) -> list[Input]:
    """The sets, in an order that does not depend on how they were named.

    Args:
        roots: Their directories.
        aliases: Two spellings of one person.
        by_folder: Somebody without a name is called as the set's folder.
        jobs: Threads that compute digests.

    Raises:
        UsageError: One is named twice.
        LayoutError: One cannot be used.
    """
    seen: set[Path] = set()
    for root in roots:
        if root.resolve() in seen:
            raise UsageError("is named twice among the sets", path=root)
        seen.add(root.resolve())
    opened = [_open(root, aliases, by_folder=by_folder, jobs=jobs) for root in roots]
    return sorted(opened, key=lambda one: (one.name, one.sha256))


def _open(root: Path, aliases: Aliases, *, by_folder: bool, jobs: int) -> Input:
    concepts = open_concept_set(root)
    for category in concepts.categories:
        problem = category_problem(category)
        if problem is not None:
            raise LayoutError(problem, path=root / names.CATEGORIES, hint=HINT)
    name = root.resolve().name
    manifest = names.INDEX if concepts.manifest is None else names.MANIFEST
    return Input(
        root,
        name,
        hash_file(root / manifest),
        concepts,
        _synonyms(root),
        tuple(_sessions(root, concepts, aliases, name if by_folder else "")),
        _origins(root, concepts, slug(name, "set"), jobs),
    )


def _synonyms(root: Path) -> dict[str, tuple[str, ...]]:
    table = read_table(root / names.LABELS)
    found: dict[str, tuple[str, ...]] = {}
    for _, record in require(table, "name").records():
        name = concept_name(record["name"])
        said = {concept_name(part) for part in record.get("syns", "").split(";")}
        found[name] = tuple(sorted(said - {"", name}))
    return found


def _sessions(root: Path, concepts: ConceptSet, aliases: Aliases, unnamed: str) -> list[Session]:
    """Everybody who drew; a foreign layout is the work of one person without a name."""
    if concepts.manifest is None:
        person = aliases.person(Person(unnamed))
        return [Session(person, "person", None, _by_image(root, concepts.entries))]
    result = []
    for row in _annotators(concepts):
        index = names.annotator_file(row.directory, names.INDEX)
        own = open_concept_set(root, index)
        person = aliases.person(Person(row.annotator or unnamed, row.session))
        entries = _by_image(root, own.entries)
        result.append(Session(person, row.kind, row.directory, entries))
    return result


def _annotators(concepts: ConceptSet) -> Sequence[AnnotatorRow]:
    try:
        rows = concepts.annotators
    except ValidationError as error:
        raise _invalid(concepts.root / names.ANNOTATORS, error) from error
    if len({row.directory for row in rows}) < len(rows) or not rows:
        raise LayoutError(
            "lists nobody, or a directory twice", path=concepts.root / names.ANNOTATORS, hint=HINT
        )
    return rows


def _invalid(path: Path, error: ValidationError) -> LayoutError:
    first = error.errors(include_url=False)[0]
    return LayoutError(first["msg"], path=path, pointer=str(first["loc"][0]), hint=HINT)


def _by_image(root: Path, entries: Sequence[IndexEntry]) -> dict[str, IndexEntry]:
    found = {entry.image: entry for entry in entries}
    if len(found) < len(entries):
        raise LayoutError("lists a photograph twice", path=root / names.INDEX, hint=HINT)
    return found


def _origins(root: Path, concepts: ConceptSet, source: str, jobs: int) -> dict[str, ImageRow]:
    """The rows of images.csv; in a foreign layout a photograph is its own origin."""
    if concepts.manifest is not None:
        table = require(read_table(root / names.IMAGES), *names.columns_of(names.IMAGES))
        try:
            rows = [ImageRow.model_validate(record) for _, record in table.records()]
        except ValidationError as error:
            raise _invalid(root / names.IMAGES, error) from error
        return {row.image: row for row in rows}
    images = [entry.image for entry in concepts.entries]
    with ThreadPoolExecutor(jobs) as pool:
        digests = list(pool.map(lambda image: hash_file(concepts.file(image)), images))
    return {
        image: ImageRow(image=image, source=source, original=image, sha256=digest)
        for image, digest in zip(images, digests, strict=True)
    }
