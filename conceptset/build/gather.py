"""Records of all sources, joined by image and person, names turned into concepts."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from conceptset.build.absent import Listing, find_heads
from conceptset.build.developing import Darkroom, Developed
from conceptset.build.drawings import Block, Drawn, DrawnKind, depth_of, pack_drawings
from conceptset.build.options import BuildOptions
from conceptset.build.people import Aliases, AnnotatorTable
from conceptset.build.sources import Source
from conceptset.build.steps import Step
from conceptset.errors import ImageError, UsageError
from conceptset.findings import Problems
from conceptset.formats.base import ReadContext
from conceptset.io.catalogue import Photograph, hash_file
from conceptset.io.parallel import Engine, LocalEngine
from conceptset.io.spool import Spool
from conceptset.layout.models import SourceEntry
from conceptset.parsing.defects import Spot
from conceptset.parsing.values import quoted
from conceptset.records import Frame, ImageRecord, Person, Region, RegionKind
from conceptset.taxonomy import Form, Taxonomy

_ENTERS_AS: dict[RegionKind, DrawnKind] = {
    "region": "region",
    "box": "region",
    "ignore": "ignore",
    "tag": "tag",
}
_WITHOUT_AREA: dict[RegionKind, str] = {
    "mark": "points and lines, which have no area",
    "deleted": "objects deleted in the tool",
}


@dataclass(slots=True)
class GatheredImage:
    """One image of the set to be, and what each person drew in it.

    Attributes:
        photograph: The file.
        frame: Whether coordinates refer to the stored or the upright raster.
        size: (height, width) in that frame.
        sha256: Digest of the file, its identity.
        drawings: Where each person's lie in the spool; an empty list says: looked, found nothing.
        order: Its number in the darkroom.
        developed: Its photograph in the set, if that was made already.
        unsigned: The first file that lists it without saying who drew there.
        files: The annotation files that list it, where photographs may be missing.
    """

    photograph: Photograph
    frame: Frame
    size: tuple[int, int]
    sha256: str
    drawings: dict[Person, list[Block]] = field(default_factory=dict)
    order: int | None = None
    developed: Developed | None = None
    unsigned: str | None = None
    files: tuple[str, ...] = ()


@dataclass(slots=True)
class Gathered:
    """Everything that was read.

    Attributes:
        images: Sorted by image root and path.
        sources: One entry per annotation file.
        left_out: What did not enter, by reason.
        names: Drawn names of each concept.
        categories: Those that anything drawn or stated enters.
        outlined: Those that anything with a shape enters.
        notes: Options that met nothing, and files that may be of two people, to be told.
    """

    images: list[GatheredImage]
    sources: list[SourceEntry]
    left_out: Counter[str]
    names: dict[str, set[str]]
    categories: set[str]
    outlined: set[str]
    notes: tuple[str, ...] = ()


def gather(
    sources: Sequence[Source],
    options: BuildOptions,
    taxonomy: Taxonomy,
    *,
    problems: Problems,
    spool: Spool,
    darkroom: Darkroom,
    step: Step,
    engine: Engine | None = None,
) -> Gathered:
    """Read all sources and join them; drawings go to the spool as they come.

    Photographs go to the darkroom as soon as somebody is known to have worked on them.

    Raises:
        SourceError: A source cannot be read, or an annotation is bad under the policy `raise`.
        UsageError: Two sources disagree on an image.
    """
    table = AnnotatorTable(options.annotator_from)
    gatherer = _Gatherer(options, taxonomy, problems, spool, darkroom, engine)
    with step("reading") as progress, ThreadPoolExecutor(1) as beside:
        read = [
            _read(source, gatherer, table.person_of(source.called), beside, progress)
            for source in sources
        ]
        entries = [entry() for entry in read]
    spool.flush()
    with step("photographs") as progress:
        developed = darkroom.finish(progress)
    joined = gatherer.joined(developed)
    notes = (*table.notes(), *gatherer.aliases.notes(), *gatherer.doubts())
    return Gathered(
        images=joined,
        sources=entries,
        left_out=gatherer.left_out,
        names=gatherer.names,
        categories=gatherer.categories,
        outlined=gatherer.outlined,
        notes=notes,
    )


def _read(
    source: Source,
    gatherer: _Gatherer,
    fallback: Person | None,
    beside: ThreadPoolExecutor,
    progress: Callable[[int, int], None],
) -> Callable[[], SourceEntry]:
    """Read one source; its entry, once its digest, which is taken beside that, is known."""
    context = ReadContext(
        source.catalogue,
        gatherer.problems,
        source.label,
        source.beside,
        gatherer.options.jobs,
        engine=gatherer.engine,
    )
    if fallback is None and gatherer.options.annotator is not None:
        fallback = Person.parse(gatherer.options.annotator)
    sha256 = beside.submit(_digest_of, source.path)
    images = regions = 0
    for record in source.format.read(source.path, context):
        gatherer.add(source, record, fallback)
        images += 1
        regions += len(record.regions)
        progress(images, 0)
    return lambda: SourceEntry(
        file=source.label,
        format=source.format.name,
        sha256=sha256.result(),
        images=images,
        regions=regions,
    )


def _digest_of(path: Path) -> str:
    return hash_file(path) if path.is_file() else "0" * 64


class _Gatherer:
    """Collects records per photograph, then joins photographs with equal bytes."""

    def __init__(
        self,
        options: BuildOptions,
        taxonomy: Taxonomy,
        problems: Problems,
        spool: Spool,
        darkroom: Darkroom,
        engine: Engine | None,
    ) -> None:
        self.options = options
        self.taxonomy = taxonomy
        self.problems = problems
        self.spool = spool
        self.darkroom = darkroom
        self.engine = engine or LocalEngine(options.jobs)
        self.aliases = Aliases(options.aliases)
        self.left_out: Counter[str] = Counter()
        self.names: dict[str, set[str]] = {}
        self.categories: set[str] = set()
        self.outlined: set[str] = set()
        self._images: dict[tuple[Path, str], GatheredImage] = {}
        self._unsigned: tuple[str, str] | None = None
        self._overruled: tuple[str, Person, Person] | None = None

    def add(self, source: Source, record: ImageRecord, fallback: Person | None) -> None:
        photograph = source.catalogue.find(record.image)
        key = (photograph.collection, photograph.key)
        image = self._images.setdefault(
            key, GatheredImage(photograph, record.frame, record.size, "")
        )
        if source.catalogue.takes_absent and image.files[-1:] != (source.label,):
            image.files = (*image.files, source.label)
        if image.frame != record.frame or image.size != record.size:
            Spot(self.problems, record.origin.file, record.origin.pointer).report(
                "SRC032",
                f"{photograph.key} has {record.size[0]} x {record.size[1]} pixels here "
                f"({record.frame}), {image.size[0]} x {image.size[1]} ({image.frame}) in "
                "another listing",
            )
            return
        silent = fallback or record.file_person or Person("")
        people = [self.aliases.person(region.person or silent) for region in record.regions]
        workers = [self.aliases.person(worker) for worker in record.workers]
        if not people and not workers and fallback is not None:
            workers = [self.aliases.person(fallback)]
        for person in dict.fromkeys([*workers, *people]):
            image.drawings.setdefault(person, [])
        if any(region.person is None for region in record.regions):
            if not silent.name:
                self._sign(image, source.label)
            elif record.file_person not in (None, silent) and self._overruled is None:
                self._overruled = (source.label, record.file_person, silent)
        if image.drawings and image.order is None:
            image.order = self.darkroom.take(photograph, image.frame, image.size)
        for person in dict.fromkeys(people):
            own = [place for place, owner in enumerate(people) if owner == person]
            drawings = self._drawn(record.regions, own)
            if drawings:
                extent = self.spool.append(pack_drawings(drawings))
                image.drawings[person].append(Block(extent, len(drawings)))

    def _sign(self, image: GatheredImage, label: str) -> None:
        """Remember which file lists an image without a name, and two that list the same."""
        if image.unsigned is None:
            image.unsigned = label
        elif image.unsigned != label and self._unsigned is None:
            self._unsigned = (image.unsigned, label)

    def doubts(self) -> list[str]:
        """What to tell where two people may have been taken for one.

        Several files draw in one image and none says who did; or a file's weak word on who drew it
        all was set aside for what the options say.
        """
        doubts = []
        if self._unsigned is not None:
            one, other = map(quoted, self._unsigned)
            doubts.append(
                f"{one} and {other} draw in the same image and do not say who did: taken as one "
                "person. If they are two, --annotator-from tells them apart"
            )
        if self._overruled is not None:
            label, said, taken = self._overruled
            doubts.append(
                f"{quoted(label)} is of {quoted(str(said))} by its own word; the options say "
                f"{quoted(str(taken))}, which was taken. --annotator-from names them one by one"
            )
        return doubts

    def _drawn(self, regions: Sequence[Region], own: Sequence[int]) -> list[Drawn]:
        """What enters the set of one person's regions in one record."""
        places: dict[int, int] = {}
        entered: list[tuple[int | None, Drawn]] = []
        for place in own:
            region = regions[place]
            reason = self._reason_to_leave_out(region)
            if reason is not None:
                self.left_out[reason] += 1
                continue
            depth = depth_of(regions, place)
            form: Form = "tag" if region.kind == "tag" else ("part" if depth else "region")
            meaning = self.taxonomy.meaning(region.name, form, region.category)
            if meaning is None:
                self.left_out["left out by the taxonomy"] += 1
                continue
            places[place] = len(places)
            self.names.setdefault(meaning.concept, set()).add(region.name)
            self.categories.add(meaning.category)
            if region.geometry is not None:
                self.outlined.add(meaning.category)
            drawn = Drawn(
                meaning.concept,
                meaning.category,
                region.name,
                _ENTERS_AS[region.kind],
                region.geometry,
                max(0, depth - 1),
                region.z_order,
                None,
                region.origin,
                region.interpolated,
            )
            entered.append((region.part_of, drawn))
        return [  # a whole can be drawn after its part
            drawn if whole is None else replace(drawn, part_of=places.get(whole))
            for whole, drawn in entered
        ]

    def _reason_to_leave_out(self, region: Region) -> str | None:
        if region.kind == "box" and not self.options.boxes:
            return "boxes without an outline (--boxes takes them)"
        return _WITHOUT_AREA.get(region.kind)

    def joined(self, developed: Sequence[Developed]) -> list[GatheredImage]:
        """All images, those with equal bytes made one, sorted by path."""
        images = [image for _, image in sorted(self._images.items(), key=_path_order)]
        worked_on = [image for image in images if image.drawings]
        if len(worked_on) < len(images):
            self.left_out["images nobody worked on (--annotator names who did)"] += len(
                images
            ) - len(worked_on)
        for image in worked_on:
            if developed and image.order is not None:
                image.developed = developed[image.order]
        present = [image for image in worked_on if not image.photograph.is_absent]
        joined = self._join_equal(present)
        if len(present) == len(worked_on):
            return joined
        twice = {id(image) for image in present} - {id(image) for image in joined}
        return self._join_absent([image for image in worked_on if id(image) not in twice])

    def _join_absent(self, images: Sequence[GatheredImage]) -> list[GatheredImage]:
        """The images, those whose photographs are missing joined with others by their paths."""
        listings = [
            Listing(image.photograph.key, image.size, image.photograph.is_absent, image.files)
            for image in images
        ]
        heads = find_heads(listings, by_ending=self.options.match is None)
        for image, head in zip(images, heads, strict=True):
            if images[head] is not image:
                self._join(images[head], image)
        return [image for place, image in enumerate(images) if heads[place] == place]

    def _join_equal(self, images: Sequence[GatheredImage]) -> list[GatheredImage]:
        """The images, those whose photographs have equal bytes, or one path, made one."""
        with ThreadPoolExecutor(self.options.jobs) as pool:
            digests = list(pool.map(_digest_of_image, images))
        by_digest: dict[str, GatheredImage] = {}
        by_path: dict[str, tuple[Path, GatheredImage]] = {}
        result = []
        for image, digest in zip(images, digests, strict=True):
            image.sha256 = digest
            first = by_digest.get(digest) or self._same_path(image, by_path)
            if first is None:
                first = image
                result.append(image)
            else:
                self._join(first, image)
            by_digest.setdefault(digest, first)
            by_path.setdefault(image.photograph.key, (image.photograph.collection, first))
        return result

    def _same_path(
        self, image: GatheredImage, by_path: Mapping[str, tuple[Path, GatheredImage]]
    ) -> GatheredImage | None:
        if image.photograph.key not in by_path or self.options.match == "bytes":
            return None
        root, other = by_path[image.photograph.key]
        if self.options.match == "path":
            return other
        raise UsageError(
            f"{image.photograph.key} lies in {root} and in {image.photograph.collection} "
            "with different bytes",
            hint="--match path takes them as one image (equal sizes needed), --match bytes as two.",
        )

    def _join(self, first: GatheredImage, image: GatheredImage) -> None:
        is_absent = image.photograph.is_absent  # which way it was turned is not known then
        if first.size != image.size or (first.frame != image.frame and not is_absent):
            raise ImageError(
                f"has {image.size[0]} x {image.size[1]} pixels ({image.frame}), the same image "
                f"{first.photograph.path} has {first.size[0]} x {first.size[1]} ({first.frame})",
                path=image.photograph.path,
                hint="Annotators must have seen the image in one size and turned one way.",
            )
        if first.photograph.collection == image.photograph.collection and not is_absent:
            Spot(self.problems, image.photograph.key).report(
                "SRC033", f"has the same bytes as {first.photograph.key}; they are one image."
            )
        if image.unsigned is not None:
            self._sign(first, image.unsigned)
        for person, blocks in image.drawings.items():
            first.drawings.setdefault(person, []).extend(blocks)
        first.files = (*first.files, *image.files)


def _digest_of_image(image: GatheredImage) -> str:
    known = image.developed.original if image.developed is not None else ""
    return known or hash_file(image.photograph.path)


def _path_order(item: tuple[tuple[Path, str], GatheredImage]) -> tuple[str, str, str]:
    (root, key), _ = item
    return (root.name, key, os.fspath(root))
