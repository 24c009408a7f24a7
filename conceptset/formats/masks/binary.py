"""Binary masks: one black and white image per photograph and concept.

Beside `{stem}.jpg`, or in a folder of masks, lies `{stem}_{concept}.png` or `.jpg`; white (grey 128
and more) is the concept. Which file is what:

* In a folder called like one of masks every image is a mask.
* Elsewhere a file is a mask if the stem of a photograph in the same folder and `_` begin its
  stem, and it is black and white: at most 1 % of its pixels are coloured and at most 5 % of them
  neither dark (below 64) nor light (from 192). Shorter stems are decided first, so a mask is never
  taken for a photograph: with `a`, `a_b`, `a_b_c` the last is `b_c` of `a` if `a_b` is a mask, and
  `c` of `a_b` if that is a photograph.
* The longest stem that fits is the photograph; what follows its `_` is the concept, verbatim.
* A black and white file whose photograph is missing is noticed if its stem ends like that of a
  mask: in `_` and a concept that occurs elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from conceptset.errors import ConceptsetError, SourceError
from conceptset.formats.base import ReadContext
from conceptset.formats.masks.arranging import Matcher
from conceptset.formats.masks.indexed import FEW, place_mask, report_without_mask, spot_of
from conceptset.formats.masks.listing import (
    Picture,
    below_images,
    folder_kind,
    image_files,
    photographs_around,
    picture,
)
from conceptset.formats.masks.scanning import GreyScan, scan_grey
from conceptset.geometry import BinaryMask
from conceptset.io.catalogue import NotFound
from conceptset.io.paths import resolve_inside
from conceptset.parsing.defects import Spot
from conceptset.parsing.photographs import Placed
from conceptset.parsing.values import quoted
from conceptset.records import ImageRecord, Origin, Region

UNCLEAR = 0.01  # share of pixels between dark and light from which a mask is worth a look
READABLE = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True, slots=True)
class _Mask:
    """A mask of one concept.

    Attributes:
        name: The file, below the source.
        concept: What follows the photograph's stem.
        scan: How black and white it is.
    """

    name: str
    concept: str
    scan: GreyScan


@dataclass(slots=True)
class _Told:
    """The images of a source, told apart by name and look.

    Attributes:
        photographs: Names below the root of the photographs, sorted.
        masks: The masks of each photograph.
    """

    photographs: list[str] = field(default_factory=list)
    masks: dict[str, list[_Mask]] = field(default_factory=dict)


def binary_names(path: Path) -> list[str]:
    """The photographs of a folder of binary masks, as far as names alone tell them."""
    names = image_files(path)
    pictures = [picture(name) for name in names if folder_kind(name) is None]
    matcher = Matcher(one.name for one in pictures)
    photographs = [one.name for one in pictures if matcher.owner(one) is None]
    if len(photographs) == len(names):  # no mask among them: they are the masks
        photographs = photographs_around(path.absolute()) or photographs
    return below_images(photographs)


def read_binary_masks(path: Path, context: ReadContext) -> Iterator[ImageRecord]:
    """One record per photograph that has a mask, sorted by name.

    Raises:
        SourceError: There is no mask.
        AnnotationError: A bad mask, under the policy `raise`.
    """
    told = _Teller(path, context).tell()
    if not told.masks:
        raise SourceError(
            "holds no binary masks: black and white images called like a photograph, '_' and a "
            "concept, as in a_door.png for a.jpg",
            path=path,
        )
    without = [name for name in told.photographs if name not in told.masks]
    report_without_mask(without, len(told.photographs), context)
    _report_levels([mask for masks in told.masks.values() for mask in masks], context)
    for name, masks in sorted(told.masks.items()):
        record = _record(path, context, name, masks)
        if record is not None:
            yield record
            context.progress(1)


class _Teller:
    """Tells masks from photographs, see the module."""

    def __init__(self, path: Path, context: ReadContext) -> None:
        self.path = path
        self.context = context
        root = context.catalogue.root
        home, own = root.resolve(), path.resolve()
        photographs = [name for name in image_files(root) if folder_kind(name) is None]
        by_place = {(home / name).as_posix(): name for name in photographs}
        #: Images that are masks by where they lie, and images that could be either with the name
        #: that they have as photographs.
        self.sure: list[Picture] = []
        self.either: dict[str, Picture] = {}
        self.elsewhere: list[Picture] = []
        for name in image_files(path):
            kind = folder_kind(name)
            known = by_place.get((own / name).as_posix())
            if kind == "mask":
                self.sure.append(picture(name))
            elif known is not None:
                self.either[known] = picture(name)
            elif kind is None:
                self.elsewhere.append(picture(name))
        if not self.either:  # the photographs lie elsewhere: what lies here are masks
            self.sure += self.elsewhere
            self.elsewhere = []
        self.photographs = photographs
        self.told = _Told()

    def tell(self) -> _Told:
        """Photographs and masks; what is wrong is reported."""
        every = Matcher(self.photographs)
        open_names = [name for name, one in self.either.items() if _could_be(one, every)]
        maybe = [one for one in self.elsewhere if _could_be(one, every)]
        looked_at = [*self.sure, *maybe, *(self.either[name] for name in open_names)]
        scans = self._scans(looked_at)
        matcher = Matcher(set(self.photographs) - set(open_names))
        for name in sorted(open_names, key=lambda name: (len(self.either[name].stem), name)):
            if not self._is_mask(self.either[name], scans, matcher):
                matcher.add(picture(name))
                self.told.photographs.append(name)
        for one in maybe:
            self._is_mask(one, scans, matcher)
        for one in self.sure:
            if one.name in scans:
                self._take(one, scans[one.name], matcher)
        self.told.photographs += set(self.photographs) - set(open_names)
        self.told.photographs.sort()
        self._report_orphans()
        return self.told

    def _scans(self, images: Sequence[Picture]) -> dict[str, GreyScan]:
        """How black and white images are, by name."""
        paths = []
        for one in images:
            try:
                paths.append(resolve_inside(self.path, one.name))
            except ConceptsetError as error:
                spot_of(self.context, one.name).report(
                    "SRC006", f"the mask is refused: {error.message}."
                )
        engine = self.context.engine_for(len(paths), FEW + 1)
        with closing(engine.ordered_map(scan_grey, paths, name=str)) as stream:
            return {
                path.relative_to(self.path).as_posix(): scan
                for path, scan in zip(paths, stream, strict=True)
            }

    def _is_mask(self, one: Picture, scans: dict[str, GreyScan], matcher: Matcher) -> bool:
        """Whether an image that is called like a mask is one; it is taken then."""
        scan = scans.get(one.name)
        owner = matcher.owner(one)
        if scan is None or owner is None:
            return scan is None  # what was refused is no photograph either
        spot = spot_of(self.context, one.name)
        if scan.failure is not None:
            spot.report("SRC026", f"the image {scan.failure}.")
        elif scan.is_two_level:
            self._add(one, scan, owner)
        elif scan.is_grey:
            spot.report(
                "SRC077",
                f"it is called like a mask of {quoted(str(owner[0]))} and grey, but "
                f"{scan.unclear / scan.pixels:.1%} of its pixels are neither dark nor light: it "
                "is taken as a photograph.",
            )
        return scan.is_two_level or scan.failure is not None

    def _take(self, one: Picture, scan: GreyScan, matcher: Matcher) -> None:
        """Take an image that is a mask by where it lies."""
        spot = spot_of(self.context, one.name)
        owner = matcher.owner(one)
        if scan.failure is not None:
            spot.report("SRC026", f"the mask {scan.failure}.")
        elif owner is None:
            spot.report(
                "SRC001", f"no photograph's name and '_' begin the name {quoted(one.stem)}."
            )
        elif not scan.is_grey:
            spot.report("SRC026", "the mask has colours, black and white was expected.")
        else:
            self._add(one, scan, owner)

    def _add(self, one: Picture, scan: GreyScan, owner: tuple[str | NotFound, str]) -> None:
        """Give a mask to its photograph."""
        photograph, concept = owner
        spot = spot_of(self.context, one.name)
        if isinstance(photograph, NotFound):
            spot.report("SRC002", f"several photographs begin the name {quoted(one.stem)}.")
            return
        masks = self.told.masks.setdefault(photograph, [])
        same = [mask.name for mask in masks if mask.concept == concept]
        if same:
            spot.report(
                "SRC074",
                f"{quoted(photograph)} has a mask of {quoted(concept)} already: {quoted(same[0])}.",
            )
        else:
            masks.append(_Mask(one.name, concept, scan))

    def _report_orphans(self) -> None:
        """Report what looks like a mask and has no photograph."""
        concepts = {mask.concept for masks in self.told.masks.values() for mask in masks}
        alone = [
            self.either[name]
            for name in self.told.photographs
            if name not in self.told.masks and name in self.either
        ]
        named = [one for one in alone if one.suffix in READABLE and _endings(one.stem) & concepts]
        scans = self._scans(named)
        for one in named:
            if one.name in scans and scans[one.name].is_two_level:
                spot_of(self.context, one.name).report(
                    "SRC001",
                    f"{quoted(one.stem)} looks like a mask, and no photograph's name and '_' begin "
                    "its name.",
                )


def _could_be(one: Picture, photographs: Matcher) -> bool:
    """Whether an image is called like a mask of another."""
    return one.suffix in READABLE and photographs.owner(one) is not None


def _endings(stem: str) -> set[str]:
    """What follows each `_` of a stem.

    >>> sorted(_endings("a_b_c"))
    ['b_c', 'c']
    """
    return {stem[place + 1 :] for place, letter in enumerate(stem) if letter == "_"}


def _record(
    path: Path, context: ReadContext, name: str, masks: Sequence[_Mask]
) -> ImageRecord | None:
    """The record of a photograph; None if none of its masks lies on it."""
    placed: Placed | None = None
    regions = []
    for mask in sorted(masks, key=lambda mask: (mask.concept, mask.name)):
        spot = spot_of(context, mask.name)
        own = place_mask(context, name, mask.scan.size, spot)
        if own is None:
            continue
        placed = placed or own
        if own != placed:
            spot.report("SRC024", f"another mask of {quoted(name)} lies the other way round.")
        elif mask.scan.light:
            shape = BinaryMask(path / mask.name, "light", mask.scan.size)
            regions.append(Region(mask.concept, "region", shape, None, Origin(spot.file, "")))
    if placed is None:
        return None
    return ImageRecord(
        image=placed.key,
        size=placed.size,
        frame=placed.frame,
        workers=(),
        regions=tuple(regions),
        origin=Origin(f"{context.label}/{masks[0].name}", ""),
    )


def _report_levels(masks: Sequence[_Mask], context: ReadContext) -> None:
    """Say how sharp the masks are, one by one and together, and whether they are inverted."""
    for mask in masks:
        if mask.scan.unclear > UNCLEAR * mask.scan.pixels:
            spot_of(context, mask.name).report(
                "SRC077",
                f"{mask.scan.unclear / mask.scan.pixels:.1%} of its pixels are neither dark nor "
                f"light (64 to 191), at most {UNCLEAR:.0%} was expected.",
            )
    spot = Spot(context.problems, context.label)
    jpegs = sum(mask.scan.is_jpeg for mask in masks)
    unclear = sum(mask.scan.unclear for mask in masks)
    if jpegs or unclear:
        pixels = sum(mask.scan.pixels for mask in masks)
        share = f"{unclear} of {pixels} pixels ({100 * unclear / pixels:.2g}%)"
        spot.report(
            "SRC077",
            f"{share} are neither dark nor light (64 to 191), in {len(masks)} masks, "
            f"{jpegs} of them JPEG.",
        )
    white = sum(2 * mask.scan.light > mask.scan.pixels for mask in masks)
    if 2 * white > len(masks):
        spot.report("SRC079", f"{white} of {len(masks)} masks are mostly white.")
