"""Photographs as the network wants them and label maps as numbers, decoded ahead of their use."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conceptset.errors import ImageError, LayoutError, UsageError
from conceptset.io.catalogue import hash_file
from conceptset.io.images import decode_rgb, read_codes
from conceptset.io.tables import digest
from conceptset.layout.names import CATEGORIES, LABELS, category_table
from conceptset.layout.reading import ConceptSet, IndexEntry

Item = TypeVar("Item")
Result = TypeVar("Result")
PixelArray = NDArray[np.float32]
LabelArray = NDArray[np.uint16]


def select_entries(
    concept_set: ConceptSet, *, split: str | None, limit: int | None
) -> tuple[IndexEntry, ...]:
    """The rows of the index to dissect, in its order.

    Raises:
        UsageError: None is left.
    """
    entries = concept_set.entries
    if split is not None:
        entries = tuple(entry for entry in entries if entry.split == split)
        if not entries:
            known = sorted({entry.split for entry in concept_set.entries})
            raise UsageError(
                f"no image belongs to the split {split!r}",
                hint=f"The index has: {', '.join(known) or 'none'}.",
            )
    if not entries:
        raise UsageError("the index lists no image", path=concept_set.root)
    return entries[:limit]


def check_categories(concept_set: ConceptSet, wanted: Sequence[str] | None) -> tuple[str, ...]:
    """The enabled categories, in the set's order.

    Raises:
        UsageError: One is not in the set.
    """
    if wanted is None:
        return concept_set.categories
    unknown = [name for name in wanted if name not in concept_set.categories]
    if unknown or not wanted:
        raise UsageError(
            f"the set has no category {', '.join(unknown)}" if unknown else "no category is named",
            hint=f"It has: {', '.join(concept_set.categories)}.",
        )
    return tuple(name for name in concept_set.categories if name in wanted)


def input_size(
    entries: Sequence[IndexEntry], image_size: tuple[int, int] | None
) -> tuple[int, int]:
    """(height, width) at which every photograph enters the network.

    Raises:
        UsageError: The photographs differ in size and none was asked for.
    """
    if image_size is not None:
        return image_size
    first = entries[0]
    for entry in entries:
        if entry.image_size != first.image_size:
            raise UsageError(
                f"the photographs differ in size: {first.image} has {_size(first.image_size)}, "
                f"{entry.image} has {_size(entry.image_size)} (height x width)",
                hint="Give --image-size N to squash all of them to one size.",
            )
    return first.image_size


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def check_files(
    concept_set: ConceptSet,
    entries: Iterable[IndexEntry],
    categories: Sequence[str],
    *,
    index: str = "the index",
) -> None:
    """Look for every file that will be needed, before any work is done.

    Args:
        concept_set: Where they lie.
        entries: The images.
        categories: Those whose label maps are needed.
        index: What messages call the index that names them.

    Raises:
        ImageError: One is missing.
        UnsafeError: A name leads out of the set.
    """
    for entry in entries:
        for name in used_files(entry, categories):
            path = concept_set.file(name)
            if not path.is_file():
                raise ImageError(
                    f"the file does not exist; row {entry.row} of {index} names it",
                    path=path,
                    hint="Run 'conceptset validate' on the set.",
                )


def used_files(entry: IndexEntry, categories: Sequence[str]) -> list[str]:
    """The photograph and the label maps of an image, relative to images/."""
    cells = [entry.cells[name] for name in categories if name in entry.cells]
    return [entry.image, *(name for cell in cells for name in cell.maps)]


def read_photograph(
    concept_set: ConceptSet, entry: IndexEntry, size: tuple[int, int]
) -> NDArray[np.uint8]:
    """(height, width, 3) uint8 RGB, squashed to `size` with Pillow's BILINEAR if it differs.

    Raises:
        ImageError: It cannot be decoded, or has another size than the index says.
    """
    path = concept_set.file(entry.image)
    image = decode_rgb(path, frame="stored")
    if (image.height, image.width) != entry.image_size:
        raise ImageError(
            f"is {image.height}x{image.width}, the index says {_size(entry.image_size)} "
            "(height x width)",
            path=path,
            hint="Run 'conceptset validate' on the set.",
        )
    if entry.image_size != size:
        image = image.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(image)


def read_labels(
    concept_set: ConceptSet, entry: IndexEntry, categories: Sequence[str]
) -> tuple[list[LabelArray], list[int]]:
    """The label maps of an image, (sh, sw) uint16 each, and its whole-image labels.

    Raises:
        ImageError: A map cannot be decoded or has another size than the index says.
        LayoutError: A label that the set does not list.
    """
    planes: list[LabelArray] = []
    whole: list[int] = []
    for category in categories:
        cell = entry.cells.get(category)
        if cell is None:
            continue
        whole.extend(cell.labels)
        planes += [
            read_map(concept_set, concept_set.file(name), entry.map_size) for name in cell.maps
        ]
    check_labels(concept_set, whole, concept_set.file(entry.image))
    return planes, whole


def read_map(concept_set: ConceptSet, path: Path, size: tuple[int, int]) -> LabelArray:
    """(sh, sw) uint16, one label map.

    Args:
        concept_set: Whose labels it holds.
        path: The file.
        size: (sh, sw) as the index says.

    Raises:
        ImageError: It cannot be decoded or has another size.
        LayoutError: A label that the set does not list.
    """
    codes = _read_codes(path, size) & 0xFFFF  # R + 256 G
    present = np.flatnonzero(np.bincount(codes.reshape(-1)))  # quicker than a sort
    check_labels(concept_set, present.tolist(), path)
    return codes.astype(np.uint16)


def read_abstention(path: Path, size: tuple[int, int]) -> LabelArray:
    """(sh, sw) uint16, 1 where an annotator abstained.

    Raises:
        ImageError: It cannot be decoded or has another size.
    """
    return np.asarray(_read_codes(path, size) != 0, dtype=np.uint16)


def _read_codes(path: Path, size: tuple[int, int]) -> NDArray[np.int64]:
    codes = read_codes(path)
    if codes.shape != size:
        raise ImageError(
            f"is {_size(codes.shape)}, the index says {_size(size)} (height x width)",
            path=path,
            hint="Run 'conceptset validate' on the set.",
        )
    return codes


def check_labels(concept_set: ConceptSet, labels: Iterable[int], path: Path) -> None:
    """Refuse a label that the set does not list.

    Raises:
        LayoutError: One is not in label.csv.
    """
    for label in labels:
        if label and label not in concept_set.names:
            raise LayoutError(
                f"holds the label {label}, which label.csv does not list",
                path=path,
                hint="Run 'conceptset validate' on the set.",
            )


@dataclass(frozen=True, slots=True)
class Batch:
    """Photographs for one forward pass.

    Attributes:
        entries: Their rows of the index; the last batch may have fewer than the batch size.
        pixels: (batch size, height, width, 3) float32, normalised; a batch that is not full is
            filled up with its last photograph, so that every batch is computed alike.
    """

    entries: tuple[IndexEntry, ...]
    pixels: PixelArray


def load_batches(
    concept_set: ConceptSet,
    entries: Sequence[IndexEntry],
    *,
    size: tuple[int, int],
    batch_size: int,
    mean: Sequence[float],
    std: Sequence[float],
    workers: int,
) -> Iterator[Batch]:
    """The photographs in batches, decoded ahead by threads: `(rgb / 255 - mean) / std`, float32.

    Args:
        concept_set: Where they lie.
        entries: Which, in order; batches are cut at multiples of `batch_size`.
        size: (height, width) they are brought to.
        batch_size: Photographs in each batch.
        mean: Per channel, in [0, 1].
        std: Per channel.
        workers: Decoding threads, >= 1.
    """
    shift, scale = np.asarray(mean, dtype=np.float32), np.asarray(std, dtype=np.float32)

    def prepare(place: tuple[PixelArray, IndexEntry]) -> None:
        target, entry = place
        np.divide(read_photograph(concept_set, entry, size), np.float32(255), out=target)
        target -= shift
        target /= scale

    def batches() -> Iterator[tuple[PixelArray, tuple[IndexEntry, ...]]]:
        for start in range(0, len(entries), batch_size):
            yield (
                np.empty((batch_size, *size, 3), dtype=np.float32),
                tuple(entries[start : start + batch_size]),
            )

    with ThreadPoolExecutor(workers, thread_name_prefix="decode") as pool:
        pending: deque[tuple[PixelArray, tuple[IndexEntry, ...], list[Future[None]]]] = deque()
        rest = batches()
        try:
            while True:
                while len(pending) < 3 and (item := next(rest, None)) is not None:
                    pixels, part = item
                    jobs = [
                        pool.submit(prepare, place) for place in zip(pixels, part, strict=False)
                    ]
                    pending.append((pixels, part, jobs))
                if not pending:
                    return
                pixels, part, jobs = pending.popleft()
                for job in jobs:
                    job.result()
                pixels[len(part) :] = pixels[len(part) - 1]
                yield Batch(part, pixels)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def map_ahead(
    function: Callable[[Item], Result], items: Iterable[Item], *, workers: int
) -> Iterator[Result]:
    """`map(function, items)` on threads, results in order, few in flight."""
    with ThreadPoolExecutor(workers, thread_name_prefix="tally") as pool:
        rest = iter(items)
        pending = deque(pool.submit(function, item) for item in itertools.islice(rest, 4 * workers))
        try:
            while pending:
                result = pending.popleft().result()
                pending.extend(pool.submit(function, item) for item in itertools.islice(rest, 1))
                yield result
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def digest_set(
    concept_set: ConceptSet,
    entries: Sequence[IndexEntry],
    categories: Sequence[str],
    *,
    index: str,
    workers: int,
    further: Sequence[str] = (),
) -> str:
    """SHA-256 of what a run takes from a set: its tables, photographs and label maps.

    Photographs and maps of a set with a manifest are known by the digests in it; those of a
    foreign layout that are used are read.

    Args:
        concept_set: The set.
        entries: The images used.
        categories: Those enabled.
        index: The index used, relative to the set.
        workers: Threads that read.
        further: More tables that are used, relative to the set.

    Raises:
        SourceError: A file cannot be read.
    """
    root = concept_set.root
    tables = [index, LABELS, CATEGORIES, *(category_table(name) for name in concept_set.categories)]
    tables += further
    lines = [f"{hash_file(root / name)}  {name}" for name in tables]
    if concept_set.manifest is not None:
        digests = concept_set.manifest.digests
        lines += [f"{digests.photographs}  photographs", f"{digests.maps}  maps"]
    else:
        used = sorted({name for entry in entries for name in used_files(entry, categories)})
        hashes = map_ahead(lambda name: hash_file(concept_set.file(name)), used, workers=workers)
        lines += [f"{found}  images/{name}" for found, name in zip(hashes, used, strict=True)]
    return digest("\n".join(lines).encode())
