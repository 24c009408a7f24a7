"""From a directory to a context: tables read, files listed, every image scanned once."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from conceptset.errors import ConceptsetError, UnsafeError
from conceptset.io.catalogue import hash_file
from conceptset.io.parallel import IN_PROCESS, Engine, LocalEngine, usable_cores
from conceptset.io.paths import resolve_inside
from conceptset.io.tables import read_json
from conceptset.layout import names
from conceptset.layout.models import Manifest
from conceptset.validate.context import Context, ManifestFacts, is_mask, is_usable
from conceptset.validate.facts import ImageFacts
from conceptset.validate.people import (
    AnnotatorLine,
    SegmentFacts,
    load_segments,
    parse_annotators,
)
from conceptset.validate.scan import Group, ScanItem, scan_image
from conceptset.validate.sheets import Sheet, load_sheet
from conceptset.validate.views import (
    IndexRow,
    View,
    list_files,
    load_view,
    required_columns,
)

FIRST_IMAGES = 64  # scanned in this process, to see how long the others will take
START_SECONDS = 2.0  # what starting worker processes costs at most, on a busy machine
MUCH_TEXT = 8 << 20  # bytes of segments.jsonl worth starting them for
_PARTIAL = ".partial-"

Progress = Callable[[int, int], None]


def gather(
    root: Path, *, jobs: int | None, progress: Progress | None, engine: Engine | None = None
) -> Context:
    """Everything the rules look at."""
    if engine is not None:
        engine.check_sight([root])
    manifest = _read_manifest(root)
    ours = manifest.present or _was_begun_by_us(root)
    folder = root / names.IMAGE_FOLDER
    files, links = list_files(folder)
    view = load_view(root, "", ours=ours)
    singles = _load_singles(root, ours=ours)
    annotators = parse_annotators(singles[names.ANNOTATORS]) if ours else ()
    folders, outside = _list_people(root) if ours else ((), ())
    people = _load_people(root, annotators, folders, outside, above=view.categories)
    masks = _place_masks((view, *people.values()), files) if ours else {}
    items = _scan_items((view, *people.values()), masks)
    workers = engine or LocalEngine(usable_cores() if jobs is None else jobs)
    scan = partial(
        scan_image,
        folder=folder,
        known=frozenset(view.label_names) if view.lists_labels else None,
        links=bool(links),
    )
    images = _scan(scan, items, workers, progress, wait_and_see=jobs is None and engine is None)
    return Context(
        ours=ours,
        manifest=manifest,
        sealed=_digests_now(root, manifest.model),
        files=tuple(files),
        outside=tuple(sorted((*outside, *_leading_out(folder, links)))),
        leftovers=_leftovers(root, files) if ours else (),
        folders=folders,
        root=view,
        people=people,
        annotators=annotators,
        singles=singles,
        segments=_load_all_segments(root, people, workers),
        images=images,
        masks=tuple(
            (masks[facts.path], facts) for image in images.values() for facts in image.masks
        ),
    )


def _was_begun_by_us(root: Path) -> bool:
    """Files that only our writer makes, without the manifest that it writes last."""
    begun = (root / names.IMAGES).is_file() or (root / names.ANNOTATORS).is_file()
    return begun or _PARTIAL in root.resolve().name


def _read_manifest(root: Path) -> ManifestFacts:
    path = root / names.MANIFEST
    if not path.is_file():
        return ManifestFacts(present=False)
    try:
        document = read_json(path)
    except ConceptsetError as error:
        return ManifestFacts(present=True, problem=error.message, pointer=error.pointer)
    if not isinstance(document, dict):
        return ManifestFacts(present=True, problem="holds no JSON object", pointer="")
    version = document.get("schema_version")
    if isinstance(version, int) and version > Manifest.model_fields["schema_version"].default:
        return ManifestFacts(present=True, newer=str(version), pointer="/schema_version")
    try:
        return ManifestFacts(present=True, model=Manifest.model_validate(document))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        pointer = "".join(f"/{part}" for part in first["loc"])
        return ManifestFacts(present=True, problem=first["msg"], pointer=pointer)


def _load_singles(root: Path, *, ours: bool) -> dict[str, Sheet]:
    if not ours:
        return {}
    return {
        name: load_sheet(root, name, required_columns(name, ours=True))
        for name in (names.IMAGES, names.ANNOTATORS)
    }


def _list_people(root: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(directories below annotators/, links out of the set, relative to the set)."""
    place = root / names.ANNOTATOR_FOLDER
    if not place.is_dir():
        return (), ()
    folders: list[str] = []
    outside: list[str] = []
    for path in sorted(place.iterdir()):
        if path.is_symlink() and _leading_out(place, [path.name]):
            outside.append(f"{names.ANNOTATOR_FOLDER}/{path.name}")
        elif path.is_dir() and _PARTIAL not in path.name:
            folders.append(path.name)
    return tuple(folders), tuple(outside)


def _leading_out(folder: Path, links: Sequence[str]) -> list[str]:
    """Those links below a folder of the set that leave it, relative to the set."""
    result = []
    for name in links:
        try:
            resolve_inside(folder, name)
        except UnsafeError:
            result.append(f"{folder.name}/{name}")
    return result


def _load_people(
    root: Path,
    annotators: Sequence[AnnotatorLine],
    folders: Sequence[str],
    outside: Sequence[str],
    *,
    above: Sequence[str],
) -> dict[str, View]:
    return {
        line.directory: load_view(root, line.folder, ours=True, above=above)
        for line in annotators
        if line.safe and line.directory in folders and line.folder.rstrip("/") not in outside
    }


def _place_masks(views: Sequence[View], files: Sequence[str]) -> dict[str, IndexRow]:
    """The masks on disk that belong to a row of an index."""
    waiting = [name for name in files if is_mask(name)]
    placed: dict[str, IndexRow] = {}
    for view in views if waiting else ():
        place = view.folder or f"{names.CONSENSUS_FOLDER}/"
        stems = {row.image.rpartition(".")[0]: row for row in view.rows}
        for name in waiting:
            if name.startswith(place):
                row = _row_of_mask(name.removeprefix(place), stems, view.columns)
                if row is not None:
                    placed[name] = row
    return placed


def _row_of_mask(
    name: str, stems: Mapping[str, IndexRow], columns: Sequence[str]
) -> IndexRow | None:
    """The row of `source/stem_category_ignore.png`; both stem and category may hold `_`."""
    parts = name.rpartition("_")[0].split("_")
    found = [
        ("_".join(parts[cut:]), stems["_".join(parts[:cut])])
        for cut in range(len(parts) - 1, 0, -1)
        if "_".join(parts[:cut]) in stems
    ]
    known = [row for category, row in found if category in columns]
    return next(iter((*known, *(row for _, row in found))), None)


def _scan_items(views: Sequence[View], masks: Mapping[str, IndexRow]) -> dict[str, ScanItem]:
    """One item per photograph, in the order of the root index; the others' images after that."""
    groups: dict[str, dict[Group, None]] = {}
    images = {row.image for view in views for row in view.rows}
    for view in views:
        for row in view.rows:
            maps = tuple(
                dict.fromkeys(
                    name
                    for _, name in row.maps()
                    if is_usable(name) and not is_mask(name) and name not in images
                )
            )
            numbers = tuple(number for _, number in dict.fromkeys(row.numbers()))
            groups.setdefault(row.image, {})[maps, numbers] = None
    owned: dict[str, list[str]] = {}
    for name, row in masks.items():
        owned.setdefault(row.image, []).append(name)
    return {
        image: ScanItem(
            image if is_usable(image) else None, tuple(found), tuple(owned.get(image, ()))
        )
        for image, found in groups.items()
    }


def _scan(
    scan: Callable[[ScanItem], ImageFacts],
    items: Mapping[str, ScanItem],
    workers: Engine,
    progress: Progress | None,
    *,
    wait_and_see: bool,
) -> dict[str, ImageFacts]:
    """The facts of every item.

    `wait_and_see` starts the workers only if the time of the first images says that they pay.
    """
    result: dict[str, ImageFacts] = {}

    def take(names: Sequence[str], engine: Engine) -> None:
        with closing(engine.ordered_map(scan, [items[name] for name in names])) as found:
            for name, facts in zip(names, found, strict=True):
                result[name] = facts
                if progress is not None:
                    progress(len(result), len(items))

    rest = list(items)
    if wait_and_see:
        begin = time.perf_counter()
        take(rest[:FIRST_IMAGES], IN_PROCESS)
        rest = rest[FIRST_IMAGES:]
        expected = (time.perf_counter() - begin) / FIRST_IMAGES * len(rest)
        if expected * (1 - 1 / usable_cores()) < START_SECONDS:
            workers = IN_PROCESS
    if rest:
        take(rest, workers)
    return result


def _load_all_segments(
    root: Path, people: Mapping[str, View], workers: Engine
) -> dict[str, SegmentFacts]:
    folders = [view.folder for view in people.values()]
    paths = [root / folder / names.SEGMENTS for folder in folders]
    size = sum(path.stat().st_size for path in paths if path.is_file())
    engine = workers if size > MUCH_TEXT else IN_PROCESS
    with closing(engine.ordered_map(partial(load_segments, root=root), folders, name=str)) as found:
        return dict(zip(people, found, strict=True))


def _digests_now(root: Path, manifest: Manifest | None) -> dict[str, str | None]:
    result: dict[str, str | None] = {}
    for name in manifest.digests.tables if manifest is not None else ():
        try:
            path = resolve_inside(root, name)
            result[name] = hash_file(path) if path.is_file() else None
        except ConceptsetError:
            result[name] = None
    return result


def _leftovers(root: Path, files: Sequence[str]) -> tuple[str, ...]:
    tables = [path.name for path in root.iterdir()]
    people = root / names.ANNOTATOR_FOLDER
    if people.is_dir():
        tables += [path.relative_to(root).as_posix() for path in people.rglob("*")]
    below = [f"{names.IMAGE_FOLDER}/{name}" for name in files]
    return tuple(sorted(name for name in (*tables, *below) if _PARTIAL in name))
