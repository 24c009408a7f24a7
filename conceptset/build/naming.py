"""The names photographs get in a set."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path, PurePosixPath

from conceptset.build.gather import GatheredImage
from conceptset.io.paths import slug, unique_slugs
from conceptset.layout import names


def source_slugs(images: Sequence[GatheredImage]) -> dict[Path, str]:
    """A slug for each image root, after its folder's name."""
    roots = sorted(
        {image.photograph.collection for image in images},
        key=lambda root: (root.name, root.as_posix()),
    )
    taken = names.RESERVED_SOURCES
    return dict(zip(roots, unique_slugs([root.name for root in roots], taken=taken), strict=True))


def stems(images: Sequence[GatheredImage], categories: Sequence[str]) -> list[str]:
    """A stem for each image, see `unique_stems`."""
    keys = [(image.photograph.collection, image.photograph.key) for image in images]
    return unique_stems(keys, categories)


def unique_stems(keys: Sequence[tuple[Hashable, str]], categories: Sequence[str]) -> list[str]:
    """A stem for each (root, path below it) of an image, unique (ignoring case) within its root.

    Sub-folders are joined by `-`. Two stems of which one could be, or could share, a label map's
    name of the other (`a_object` and `a`) count as a clash too; the later one yields.
    """
    ending = _map_ending(categories)
    taken: dict[Hashable, set[str]] = {}
    owners: dict[Hashable, set[str]] = {}  # stems that would have a taken name among their maps'
    result = []
    for root, key in keys:
        used, blocked = taken.setdefault(root, set()), owners.setdefault(root, set())
        base = stem = _stem(key)
        number = 1
        while (
            stem.lower() in used
            or stem.lower() in blocked
            or not used.isdisjoint(_owners(stem, ending))
        ):
            number += 1
            stem = f"{base}-{number}"
        used.add(stem.lower())
        blocked.update(_owners(stem, ending))
        result.append(stem)
    return result


def _map_ending(categories: Sequence[str]) -> re.Pattern[str]:
    """What stands between `_` and the end where one stem is another one's and more.

    That is a category and perhaps a number; or `x`, where `x_part` and `part` are categories: then
    `a` and `a_x` would share the map `a_x_part`.
    """
    bare = {category: re.sub(r"(_\d+)+$", "", category) for category in categories}
    between = {
        one.removesuffix(f"_{other}")
        for one in bare.values()
        for other in bare.values()
        if one.endswith(f"_{other}")
    }
    words = sorted({*bare.values(), *between})
    return re.compile(rf"({'|'.join(map(re.escape, words))})(_\d+)*")


def _owners(stem: str, ending: re.Pattern[str]) -> Iterator[str]:
    """The stems, in lower case, among whose maps' names this stem could be."""
    text = stem.lower()
    for place, letter in enumerate(text):
        if letter == "_" and ending.fullmatch(text, place + 1):
            yield text[:place]


def _stem(key: str) -> str:
    path = PurePosixPath(key)
    return slug("-".join([*path.parts[:-1], path.stem]), "image")
