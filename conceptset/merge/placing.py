"""Which rows of which sets are one image, and what it is called in the merged set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from conceptset.build.naming import unique_stems
from conceptset.build.splitting import draw_split, identity_of
from conceptset.errors import ImageError, UsageError, printable
from conceptset.io.paths import slug, unique_slugs
from conceptset.layout import names
from conceptset.layout.models import ImageRow
from conceptset.layout.reading import IndexEntry
from conceptset.merge.inputs import Input

_SUFFIXES = {"jpg": "jpg", "jpeg": "jpg", "png": "png"}


@dataclass(frozen=True, slots=True)
class Holder:
    """An image as one set holds it.

    Attributes:
        place: Which set, by its place among the inputs.
        image: What it is called there.
        entry: A row about it, for its sizes and its split.
        sessions: Which of the set's sessions worked on it, by their places.
    """

    place: int
    image: str
    entry: IndexEntry
    sessions: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Placed:
    """One image of the merged set.

    Attributes:
        holders: Who holds it; sizes agree.
        origin: Where it came from.
        source, stem: What it is called.
        suffix: `jpg` or `png`.
        split: The part of the set it belongs to.
    """

    holders: tuple[Holder, ...]
    origin: ImageRow
    source: str
    stem: str
    suffix: str
    split: str

    @property
    def name(self) -> str:
        """The photograph, relative to images/."""
        return names.photograph(self.source, self.stem, self.suffix)


def find_holders(inputs: Sequence[Input], left_out: Counter[str]) -> list[tuple[Holder, ...]]:
    """The images, each with the sets that hold it: those with the same original file.

    A set that has one original twice keeps both images.
    """
    found: defaultdict[tuple[str, int], list[Holder]] = defaultdict(list)
    for place, one in enumerate(inputs):
        seen: Counter[str] = Counter()
        for image, origin in sorted(one.origins.items()):
            sessions = tuple(i for i, s in enumerate(one.sessions) if image in s.entries)
            if not sessions:
                left_out["images nobody worked on"] += 1
                continue
            entry = one.sessions[sessions[0]].entries[image]
            key = (origin.sha256, seen[origin.sha256])
            seen[origin.sha256] += 1
            found[key].append(Holder(place, image, entry, sessions))
    return [tuple(holders) for holders in found.values()]


def place_images(
    inputs: Sequence[Input],
    groups: Sequence[tuple[Holder, ...]],
    categories: Sequence[str],
    shares: Mapping[str, str] | None,
    default: Mapping[str, str],
) -> list[Placed]:
    """The images of the merged set, sorted by name.

    Args:
        inputs: The sets.
        groups: The images with their holders.
        categories: All categories of the merged set; no stem may look like a map's name.
        shares: Draw all splits anew with these shares; None keeps them.
        default: Shares for images that have no split.

    Raises:
        ImageError: Two sets hold an image at different sizes.
        UsageError: Two sets put an image into different splits.
    """
    sources = _source_names(inputs)
    rows = []
    for holders in groups:
        _check_sizes(inputs, holders)
        first = holders[0]
        origin = inputs[first.place].origins[first.image]
        rows.append((sources[first.place, origin.source], origin, holders))
    rows.sort(key=lambda row: (row[0], row[1].original, row[1].sha256, row[2][0].image))
    stems = unique_stems([(source, origin.original) for source, origin, _ in rows], categories)
    placed = []
    for (source, origin, holders), stem in zip(rows, stems, strict=True):
        suffix = _SUFFIXES.get(holders[0].image.rpartition(".")[2].lower(), "png")
        split = _split(inputs, holders, origin, shares, default)
        placed.append(Placed(holders, origin, source, stem, suffix, split))
    return sorted(placed, key=lambda one: one.name)


def _check_sizes(inputs: Sequence[Input], holders: Sequence[Holder]) -> None:
    first = holders[0]
    for other in holders[1:]:
        for what, here, there in (
            ("photographs", first.entry.image_size, other.entry.image_size),
            ("label maps", first.entry.map_size, other.entry.map_size),
        ):
            if here != there:
                raise ImageError(
                    f"is in {inputs[first.place].name} with {what} of {here[0]} x {here[1]} pixels "
                    f"(height x width) and in {inputs[other.place].name}, as "
                    f"{printable(other.image)}, with {there[0]} x {there[1]}",
                    path=first.image,
                    hint="Build both sets with the same --image-size and --segmentation-size.",
                )


def _split(
    inputs: Sequence[Input],
    holders: Sequence[Holder],
    origin: ImageRow,
    shares: Mapping[str, str] | None,
    default: Mapping[str, str],
) -> str:
    stated = {holder.entry.split: holder for holder in holders if holder.entry.split.strip()}
    if shares is not None or not stated:
        identity = identity_of(origin.original, origin.sha256, None)
        return draw_split(identity, default if shares is None else shares)
    if len(stated) > 1:
        (one, first), (other, second) = sorted(stated.items())[:2]
        raise UsageError(
            f"the photograph is in {one!r} in {inputs[first.place].name} and in {other!r}, as "
            f"{printable(second.image)}, in {inputs[second.place].name}",
            path=first.image,
            hint="--split NAME=SHARE,... draws all splits anew.",
        )
    return next(iter(stated))


def _source_names(inputs: Sequence[Input]) -> dict[tuple[int, str], str]:
    """The name of each set's image roots: (place of the set, name there) to name.

    Roots of one name are one if the sets share an image there and contradict each other in none;
    else each is called after its set as well.
    """
    roots: defaultdict[str, list[tuple[int, dict[str, str]]]] = defaultdict(list)
    for place, one in enumerate(inputs):
        own: defaultdict[str, dict[str, str]] = defaultdict(dict)
        for origin in one.origins.values():
            own[origin.source][origin.original] = origin.sha256
        for source, files in own.items():
            roots[source].append((place, files))
    wanted: list[tuple[str, list[tuple[int, str]]]] = []
    for source, held in sorted(roots.items()):
        clusters = list(_clusters(held))
        for places in clusters:
            name = source if len(clusters) == 1 else f"{slug(inputs[places[0]].name)}-{source}"
            wanted.append((name, [(place, source) for place in places]))
    slugs = unique_slugs([name for name, _ in wanted], taken=names.RESERVED_SOURCES)
    return {key: name for name, (_, keys) in zip(slugs, wanted, strict=True) for key in keys}


def _clusters(held: Sequence[tuple[int, dict[str, str]]]) -> Iterator[list[int]]:
    """Sets whose roots of one name are the same folder."""
    clusters: list[tuple[list[int], dict[str, str]]] = []
    for place, files in held:
        for places, known in clusters:
            common = known.keys() & files.keys()
            if common and all(known[path] == files[path] for path in common):
                places.append(place)
                known.update(files)
                break
        else:
            clusters.append(([place], dict(files)))
    return (places for places, _ in clusters)
