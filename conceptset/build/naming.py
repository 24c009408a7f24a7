"""The names photographs get in a set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from conceptset.build.gather import GatheredImage
from conceptset.io.paths import slug, unique_slugs
from conceptset.layout import names


def source_slugs(images: Sequence[GatheredImage]) -> dict[Path, str]:
    """A slug for each image root, after its folder's name."""
    roots = sorted(
        {image.photograph.root.resolve() for image in images},
        key=lambda root: (root.name, root.as_posix()),
    )
    taken = names.RESERVED_SOURCES
    return dict(zip(roots, unique_slugs([root.name for root in roots], taken=taken), strict=True))


def stems(images: Sequence[GatheredImage], categories: Sequence[str]) -> list[str]:
    """A stem for each image, unique (ignoring case) within its root.

    Sub-folders are joined by `-`. A stem that a label map of another image could have
    (`a_object` beside `a`) counts as a clash.
    """
    ending = re.compile(rf"_({'|'.join(map(re.escape, categories)) or '$'})(_\d+)?$", re.IGNORECASE)
    wanted = [_stem(image.photograph.key) for image in images]
    used: dict[Path, set[str]] = {}
    present: dict[Path, set[str]] = {}
    for image, stem in zip(images, wanted, strict=True):
        present.setdefault(image.photograph.root, set()).add(stem.lower())
    result = []
    for image, base in zip(images, wanted, strict=True):
        root = image.photograph.root
        taken = used.setdefault(root, set())
        map_like = ending.search(base)
        clashes = map_like is not None and base[: map_like.start()].lower() in present[root]
        stem, number = base, 1
        while stem.lower() in taken or (clashes and stem == base):
            number += 1
            stem = f"{base}-{number}"
        taken.add(stem.lower())
        result.append(stem)
    return result


def _stem(key: str) -> str:
    path = PurePosixPath(key)
    return slug("-".join([*path.parts[:-1], path.stem]), "image")
