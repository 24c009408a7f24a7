"""Index masks: one image of class codes, or class colours, per photograph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from conceptset.errors import ConceptsetError, SourceError, printable
from conceptset.formats.base import ReadContext
from conceptset.formats.masks.arranging import Arrangement, Matcher, arrange, class_list, is_jpeg
from conceptset.formats.masks.class_lists import IGNORE, ClassList, key_text
from conceptset.formats.masks.listing import (
    Picture,
    below_images,
    folder_kind,
    image_files,
    photographs_around,
)
from conceptset.formats.masks.scanning import (
    VOID_COLOUR,
    Found,
    IndexScan,
    IndexTask,
    scan_index,
)
from conceptset.io.catalogue import NotFound
from conceptset.io.images import read_header
from conceptset.io.paths import resolve_inside
from conceptset.parsing.defects import Spot
from conceptset.parsing.photographs import Placed, place_photograph
from conceptset.parsing.values import quoted
from conceptset.records import ImageRecord, Origin, Region

FEW = 64  # masks that are looked into without starting processes


@dataclass(frozen=True, slots=True)
class _Pair:
    """A mask and its photograph."""

    mask: Picture
    placed: Placed
    task: IndexTask


def index_names(path: Path) -> list[str]:
    """The photographs of a folder of index masks, below their own folder if they have one."""
    arrangement = arrange(path, image_files(path))
    if arrangement.photographs:
        return below_images(arrangement.photographs)
    return photographs_around(path.absolute()) or [f"{mask.stem}.jpg" for mask in arrangement.masks]


def read_index_masks(path: Path, context: ReadContext) -> Iterator[ImageRecord]:
    """One record per mask, sorted by name; classes in the order of their codes.

    Raises:
        SourceError: There is no mask, or no class list that can be used.
        AnnotationError: A bad mask or list, under the policy `raise`.
    """
    arrangement = arrange(path, image_files(path))
    if not arrangement.masks:
        raise SourceError("holds no masks", path=path)
    classes = class_list(path, arrangement)
    for code, place, message in classes.troubles:
        Spot(context.problems, f"{context.label}/{classes.path.name}", place).report(code, message)
    reader = _Reader(path, context, classes)
    pairs = list(reader.pairs(arrangement))
    tasks = [pair.task for pair in pairs]
    engine = context.engine_for(len(tasks), FEW + 1)
    with closing(engine.ordered_map(scan_index, tasks)) as stream:
        scans = reader.checked(stream) if classes.is_uncertain else stream
        for pair, scan in zip(pairs, scans, strict=True):
            record = reader.record(pair, scan)
            if record is not None:
                yield record
                context.progress(1)
    reader.report_ignored()


class _Reader:
    """What every mask of one folder needs."""

    def __init__(self, path: Path, context: ReadContext, classes: ClassList) -> None:
        self.path = path
        self.context = context
        self.classes = classes
        self._ignored = 0
        self._ignored_masks = 0

    def pairs(self, arrangement: Arrangement) -> Iterator[_Pair]:
        """Every mask with its photograph; what cannot be paired is reported."""
        home, root = self.path.resolve(), self.context.catalogue.root
        own = {f"{home}/{mask.name}" for mask in arrangement.masks}
        names = [
            name
            for name in image_files(root)
            if folder_kind(name) is None and f"{self.context.catalogue.home}/{name}" not in own
        ]
        matcher = Matcher(names)
        taken: dict[str, str] = {}
        for mask in arrangement.masks:
            spot = spot_of(self.context, mask.name)
            if is_jpeg(mask):
                spot.report("SRC075", "the mask is a JPEG file.")
                continue
            name = matcher.match(mask)
            if isinstance(name, NotFound):
                _report_unmatched(name, mask, spot)
                continue
            if taken.setdefault(name, mask.name) != mask.name:
                spot.report("SRC074", f"{quoted(name)} has the mask {quoted(taken[name])} already.")
                continue
            pair = self._pair(mask, name, arrangement.objects.get(mask.parts), spot)
            if pair is not None:
                yield pair
        report_without_mask([name for name in names if name not in taken], len(names), self.context)

    def _pair(self, mask: Picture, name: str, objects: str | None, spot: Spot) -> _Pair | None:
        """A mask on its photograph; None after a report."""
        try:
            path = resolve_inside(self.path, mask.name)
            object_path = None if objects is None else resolve_inside(self.path, objects)
        except ConceptsetError as error:
            spot.report("SRC006", f"the mask is refused: {error.message}.")
            return None
        try:
            size = read_header(path).size
        except ConceptsetError as error:
            spot.report("SRC026", f"the mask {error.message}.")
            return None
        placed = place_mask(self.context, name, size, spot)
        if placed is None:
            return None
        return _Pair(mask, placed, IndexTask(path, object_path, self.classes.is_colours))

    def checked(self, stream: Iterator[IndexScan]) -> Iterator[IndexScan]:
        """The scans, all at once, where codes are line numbers that perhaps begin at 1.

        Raises:
            SourceError: A mask has a code that the list would only have if it began at 1.
        """
        scans = list(stream)
        entries = len(self.classes.names)
        codes = {found.key for scan in scans for found in scan.found} - {IGNORE}
        spot = Spot(self.context.problems, f"{self.context.label}/{self.classes.path.name}")
        first = quoted(self.classes.names[0] or "")
        if max(codes, default=0) >= entries:
            raise SourceError(
                f"lists {entries} names without codes, the first is {first}, and the masks hold "
                f"the code {max(codes)}: nothing says whether {first} is code 0 or 1",
                path=self.classes.path,
                hint="Write the code before each name, as in '1 door'.",
            )
        spot.report("SRC076", f"the first name, {first}, is taken as code 0.")
        return iter(scans)

    def record(self, pair: _Pair, scan: IndexScan) -> ImageRecord | None:
        """The record of one mask; None after a report."""
        spot = spot_of(self.context, pair.mask.name)
        if scan.failure is not None:
            spot.report("SRC026", f"the mask {scan.failure}.")
            return None
        if scan.objects_failure is not None:
            spot.report("SRC026", f"its mask of objects {scan.objects_failure}.")
        regions = []
        unnamed: Counter[int] = Counter()
        for found in scan.found:
            name = self.classes.names.get(found.key)
            if name is not None:
                origin = Origin(spot.file, _pointer(found))
                regions.append(Region(name, "region", found.geometry, None, origin))
            elif found.key not in self.classes.names:
                unnamed[found.key] += found.pixels
        self._report_unnamed(unnamed, spot)
        return ImageRecord(
            image=pair.placed.key,
            size=pair.placed.size,
            frame=pair.placed.frame,
            workers=(),
            regions=tuple(regions),
            origin=Origin(spot.file, ""),
        )

    def _report_unnamed(self, unnamed: Counter[int], spot: Spot) -> None:
        """Report codes that the list lacks; 0 means unlabelled, another one ignored by custom."""
        for key, pixels in sorted(unnamed.items()):
            if key == (VOID_COLOUR if self.classes.is_colours else IGNORE):
                self._ignored += pixels
                self._ignored_masks += 1
            elif key:
                spot.report(
                    "SRC071",
                    f"{pixels} pixels have {key_text(self.classes, key)}, which "
                    f"{quoted(self.classes.path.name)} does not list.",
                )

    def report_ignored(self) -> None:
        """Say how many pixels were left out because their code says so by custom."""
        if self._ignored:
            ignored = "the colour 224,224,192" if self.classes.is_colours else "the code 255"
            Spot(self.context.problems, self.context.label).report(
                "SRC072",
                f"{self._ignored} pixels in {self._ignored_masks} masks have {ignored}, which "
                f"{quoted(self.classes.path.name)} does not list.",
            )


def spot_of(context: ReadContext, name: str) -> Spot:
    """The place of a file below the source; what cannot be printed of its name is escaped."""
    return Spot(context.problems, f"{context.label}/{printable(name, 2048)}")


def _pointer(found: Found) -> str:
    return f"/{found.key}" if found.number == 0 else f"/{found.key}/{found.number}"


def _report_unmatched(reason: NotFound, mask: Picture, spot: Spot) -> None:
    if reason is NotFound.AMBIGUOUS:
        spot.report("SRC002", f"several photographs are called {quoted(mask.stem)}.")
    else:
        spot.report("SRC001", f"no photograph is called {quoted(mask.stem)}.")


def report_without_mask(names: Sequence[str], total: int, context: ReadContext) -> None:
    """Say how many photographs have no mask."""
    if names:
        Spot(context.problems, context.label).report(
            "SRC073",
            f"{len(names)} of {total} photographs have no mask, such as {quoted(names[0])}.",
        )


def place_mask(context: ReadContext, name: str, size: tuple[int, int], spot: Spot) -> Placed | None:
    """The photograph under a mask of `size`; None after a report.

    The pixels of a mask are those of the stored photograph, unless only the photograph turned
    upright has its size.
    """
    try:
        header = context.catalogue.find(name).header
    except ConceptsetError:  # reported below, for what it is
        header = None
    if header is not None and size not in (header.size, header.upright_size):
        spot.report(
            "SRC024",
            f"the mask has {size[0]} x {size[1]} pixels (height x width), its photograph "
            f"{quoted(name)} {header.size[0]} x {header.size[1]}.",
        )
        return None
    return place_photograph(context.catalogue, name, size, spot)
