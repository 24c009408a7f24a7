"""The seam in the middle of a build: images of a set, painted but not numbered yet.

The first half makes members, from annotations (`conceptset.build.assembly`) or from sets that
exist; the second half (`conceptset.build.publishing`) numbers their concepts and writes the set.
Label numbers depend on every image, so maps hold provisional identifiers here: positive integers,
one per concept.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conceptset.geometry import BoolArray
from conceptset.io.spool import pack, unpack

Labels = NDArray[np.int32]

EVERYBODY = -1  # whose maps are computed from the photograph: every index has the same ones


@dataclass(frozen=True, slots=True)
class Painted:
    """The maps of one image at the size of the set, before numbering.

    Attributes:
        size: (height, width) of the maps.
        keys: (person, category, plane) of each map; the person may be `EVERYBODY`.
        maps: zlib of the (len(keys), height, width) int32 maps of identifiers; 0 is unlabelled.
        ignore_keys: (person, category) of each ignore mask.
        ignores: zlib of the packed (len(ignore_keys), height, width) masks.
        tags: (person, category, identifier) of whole-image statements, sorted, each once.
        people: Index of everybody who worked on the image.
        segments: zlib of a stack like that of the maps, with the number of the segment that each
            pixel belongs to, each annotator's own; empty if nobody asks.
    """

    size: tuple[int, int]
    keys: tuple[tuple[int, str, int], ...]
    maps: bytes
    ignore_keys: tuple[tuple[int, str], ...]
    ignores: bytes
    tags: tuple[tuple[int, str, int], ...]
    people: tuple[int, ...]
    segments: bytes = b""

    def pack(self) -> bytes:
        """Its form in a spool."""
        header = (self.size, self.keys, self.ignore_keys, self.tags, self.people)
        return pack(header, (self.maps, self.ignores, self.segments))

    @classmethod
    def unpack(cls, data: bytes) -> Painted:
        """The inverse of `pack`."""
        header, (maps, ignores, segments) = unpack(data)
        size, keys, ignore_keys, tags, people = header
        return cls(
            tuple(size),
            tuple(map(tuple, keys)),
            bytes(maps),
            tuple(map(tuple, ignore_keys)),
            bytes(ignores),
            tuple(map(tuple, tags)),
            tuple(people),
            bytes(segments),
        )

    def open_maps(self) -> Labels:
        """(len(keys), height, width) int32."""
        flat = np.frombuffer(zlib.decompress(self.maps), dtype=np.int32)
        return flat.reshape(len(self.keys), *self.size)

    def open_segments(self) -> Labels | None:
        """(len(keys), height, width) int32, None if there are none."""
        if not self.segments:
            return None
        flat = np.frombuffer(zlib.decompress(self.segments), dtype=np.int32)
        return flat.reshape(len(self.keys), *self.size)

    def open_ignores(self) -> BoolArray:
        """(len(ignore_keys), height, width) bool."""
        packed = np.frombuffer(zlib.decompress(self.ignores), dtype=np.uint8)
        shape = (len(self.ignore_keys), *self.size)
        return np.unpackbits(packed, count=int(np.prod(shape))).astype(bool).reshape(shape)


@dataclass(frozen=True, slots=True)
class Layers:
    """What everybody gave one image, and how much of it.

    Attributes:
        painted: The maps.
        usage: (identifier, category) to pixels that anyone labelled so; tags count as all pixels.
        union: identifier to pixels that anyone labelled so in any category.
    """

    painted: Painted
    usage: dict[tuple[int, str], int]
    union: dict[int, int]

    @classmethod
    def of(
        cls,
        size: tuple[int, int],
        maps: Mapping[tuple[int, str, int], Labels],
        *,
        ignores: Mapping[tuple[int, str], BoolArray],
        tags: Iterable[tuple[int, str, int]],
        people: Sequence[int],
        segments: Mapping[tuple[int, str, int], Labels] | None = None,
    ) -> Layers:
        """The layers of one image, packed.

        Args:
            size: (height, width) of all maps.
            maps: (height, width) identifiers by (person, category, plane); planes run from 0, the
                first holds whatever has only one place in the category. The maps of `EVERYBODY`
                have a category of their own, one plane, and concepts that no one else has.
            ignores: (height, width) True where the person abstains, by (person, category).
            tags: (person, category, identifier) of whole-image statements.
            people: Index of everybody who worked on the image, also who drew nothing.
            segments: The segment of each pixel, for maps as those above; who has none in a map that
                is given has one per concept. None if the consensus does not look at segments.
        """
        keys = tuple(maps)
        stack = np.stack(list(maps.values())) if maps else np.zeros((0, *size), dtype=np.int32)
        kept = {key: flags for key, flags in sorted(ignores.items()) if flags.any()}
        packed = np.packbits(np.stack(list(kept.values()))) if kept else np.zeros(0, dtype=np.uint8)
        stated = tuple(sorted(set(tags)))
        apart = [segments.get(key, own) for key, own in maps.items()] if segments else []
        painted = Painted(
            size,
            keys,
            zlib.compress(stack.tobytes(), 1),
            tuple(kept),
            zlib.compress(packed.tobytes(), 1),
            stated,
            tuple(people),
            zlib.compress(np.stack(apart).tobytes(), 1) if apart else b"",
        )
        return cls(painted, *_count_usage(keys, stack, stated))


@dataclass(frozen=True, slots=True)
class Member:
    """One image of a set; its photograph stands in the set already.

    Attributes:
        name: The photograph, relative to images/; members come sorted by it.
        source: Slug of the image root.
        stem: Its stem in the set: how its maps are called.
        split: The part of the set it falls into.
        original: Path below the image root, as it was.
        sha256: Digest of the original file.
        photograph: Digest of the photograph in the set.
        size: (height, width) of that photograph.
        layers: What everybody gave it.
        segments: Lines of segments.jsonl, by person.
        n_segments: How many each person has of what is counted.
    """

    name: str
    source: str
    stem: str
    split: str
    original: str
    sha256: str
    photograph: str
    size: tuple[int, int]
    layers: Layers
    segments: Mapping[int, bytes]
    n_segments: Mapping[int, int]


def _count_usage(
    keys: Sequence[tuple[int, str, int]], stack: Labels, tags: Iterable[tuple[int, str, int]]
) -> tuple[dict[tuple[int, str], int], dict[int, int]]:
    """How many pixels anyone gave each concept, in each category and in any."""
    usage: dict[tuple[int, str], int] = {}
    union: dict[int, int] = {}
    pixels = stack.shape[1] * stack.shape[2]
    categories = np.array([category for _, category, _ in keys])
    for identifier in np.unique(stack).tolist():
        if identifier == 0:
            continue
        seen: BoolArray = stack == identifier
        union[identifier] = int(seen.any(axis=0).sum())
        for category in sorted(set(categories[seen.any(axis=(1, 2))].tolist())):
            mine = seen[categories == category].any(axis=0)
            usage[identifier, category] = int(mine.sum())
    for _, category, identifier in tags:
        union[identifier] = pixels
        usage[identifier, category] = pixels
    return usage, union
