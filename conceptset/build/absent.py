"""Which listings of photographs that are missing mean one image: bytes cannot say, paths must."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Listing:
    """One photograph as annotations list it.

    Attributes:
        key: Its path.
        size: (height, width).
        is_absent: Whether it is missing.
        files: The annotation files that list it.
    """

    key: str
    size: tuple[int, int]
    is_absent: bool
    files: tuple[str, ...]


def find_heads(listings: Sequence[Listing], *, by_ending: bool) -> list[int]:
    """For each listing the place of the one that stands for its image; its own where it does.

    A missing photograph is the one of the same path. Tools write that path from folders of their
    own, so one that ends another (`a.jpg`, `images/a.jpg`) is the same too, if sizes agree, no
    annotation file lists both, and only one of them is at hand. Two that are at hand stay two.

    Args:
        listings: In order.
        by_ending: Whether paths that end one another are compared.

    >>> ada, ben = Listing("a.jpg", (4, 4), True, ("x",)), Listing("i/a.jpg", (4, 4), True, ("y",))
    >>> find_heads([ada, ben], by_ending=True), find_heads([ada, ben], by_ending=False)
    ([0, 0], [0, 1])
    """
    heads = list(range(len(listings)))
    buckets: defaultdict[str, list[int]] = defaultdict(list)
    for place, listing in enumerate(listings):
        buckets[_parts(listing.key)[-1]].append(place)
    for places in buckets.values():
        if not any(listings[place].is_absent for place in places):
            continue
        by_key: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
        for place in places:
            by_key[_parts(listings[place].key)].append(place)
        groups = list(by_key.values())
        if by_ending and len(by_key) > 1:
            groups = list(_groups(by_key, listings))
        for group in groups:
            head = min(group, key=lambda place: (listings[place].is_absent, place))
            for place in group:
                if listings[place].is_absent:
                    heads[place] = head
    return heads


def _parts(key: str) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", key).split("/"))


def _groups(
    by_key: dict[tuple[str, ...], list[int]], listings: Sequence[Listing]
) -> Iterator[list[int]]:
    """Places by image, paths that end one another together where nothing speaks against it."""
    for keys in _related(by_key):
        groups = [by_key[key] for key in keys]
        if _is_one(groups, listings):
            yield sorted(place for group in groups for place in group)
        else:
            yield from groups


def _related(keys: Iterable[tuple[str, ...]]) -> list[list[tuple[str, ...]]]:
    """Paths that end one another, directly or by way of a third."""
    known = dict.fromkeys(keys)
    shortest: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for key in known:
        endings = (key[start:] for start in range(len(key) - 1, -1, -1))
        shortest.setdefault(next(one for one in endings if one in known), []).append(key)
    return list(shortest.values())


def _is_one(groups: Sequence[Sequence[int]], listings: Sequence[Listing]) -> bool:
    members = [listings[place] for group in groups for place in group]
    files = [
        file
        for group in groups
        for file in {file for place in group for file in listings[place].files}
    ]
    return (
        len({one.size for one in members}) == 1
        and len(set(files)) == len(files)
        and sum(not one.is_absent for one in members) <= 1
    )
