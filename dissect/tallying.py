"""The tally of a run: every image's tiles against what every voice says of the image."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from torch import nn

from conceptset.io.parallel import can_fork, forked_map
from conceptset.layout.reading import IndexEntry
from dissect.ahead import map_ahead
from dissect.heard import HeardImages, Said
from dissect.hearing import Heard, hear_image
from dissect.plan import LayerPlan, Plan, Progress, Thresholds, Timings
from dissect.regions import ImageLabels
from dissect.row_spool import RowSpool
from dissect.scan import Look, run_batches
from dissect.shards import Shard
from dissect.store import StoredTiles, TileStore
from dissect.tally import ImageTally, tally_image
from dissect.team import Team
from dissect.tiles import Chunk, MapArray, as_float32
from dissect.top import TopKeeper
from dissect.upsample import FloatArray

_COUNTS_MEMORY = 256 << 20  # bytes of counts in memory, over all layers
_MANY = 64  # images that are worth copies of this process


@dataclass(slots=True)
class LayerTally:
    """What the tally of one layer has found so far.

    Attributes:
        layer: Which.
        thresholds: (units,) float32, or as given.
        rows: For each voice, a table of rows (image, unit, label, pixels).
        areas: One table of rows (image, unit, pixels of the mask).
        top: The images that each unit answers to most.
    """

    layer: LayerPlan
    thresholds: Thresholds
    limits: FloatArray
    rows: RowSpool
    areas: RowSpool
    top: TopKeeper

    @classmethod
    def begin(
        cls, plan: Plan, place: int, thresholds: Thresholds, folder: Path | None
    ) -> LayerTally:
        """Nothing found yet.

        Args:
            plan: What is to be done.
            place: Of the layer.
            thresholds: (units,) of the layer.
            folder: Where counts go that memory should not hold; None keeps them there.
        """
        layer = plan.layers[place]
        where = None if folder is None else folder / f"counts-{place:03d}"
        if where is not None:
            where.mkdir(parents=True, exist_ok=True)
        budget = _COUNTS_MEMORY // len(plan.layers)
        sizes = {entry.row: entry.map_size for entry in plan.entries}
        return cls(
            layer,
            thresholds,
            thresholds.astype(np.float64),
            RowSpool(width=4, folder=None if where is None else where / "shared", budget=budget),
            RowSpool(width=3, folder=None if where is None else where / "area", budget=budget // 8),
            TopKeeper(
                layer.tiling,
                layer.grids,
                thresholds.astype(np.float64),
                sizes=sizes,
                count=plan.config.top_images,
                team=Team(plan.config.threads),
            ),
        )

    def count(self, chunk: Chunk, labels: ImageLabels) -> ImageTally:
        """The counts of one image; changes nothing, so that many may do it at once."""
        grid = self.layer.grids[labels.size]
        return tally_image(chunk, self.limits, tiling=self.layer.tiling, grid=grid, labels=labels)

    def keep(self, chunk: Chunk, found: ImageTally, voices: Sequence[int]) -> None:
        """Take the counts of one image, in rising order of rows.

        Args:
            chunk: Its tiles.
            found: Its counts.
            voices: Those that its intersections are for.
        """
        for voice, rows in zip(voices, found.intersections, strict=True):
            self.rows.add(voice, rows)
        self.areas.add(0, found.area)
        self.top.add(found.area, found.maxima, chunk)


@dataclass(frozen=True, slots=True)
class Tallied:
    """What the tally of some images has found.

    Attributes:
        layers: In the order asked for.
        heard: What the images say in every voice.
    """

    layers: list[LayerTally]
    heard: HeardImages


@dataclass(frozen=True, slots=True)
class _Tally:
    """How one image is counted, by whomever.

    Attributes:
        layers: All of them.
        tiles: For each, what its stores hold; None: it is scanned again.
        hear: What is said of an image.
    """

    layers: Sequence[LayerTally]
    tiles: Sequence[StoredTiles | None]
    hear: Callable[[IndexEntry], Heard]

    def chunks(self, row: int, again: Iterable[Chunk | None]) -> list[Chunk | None]:
        """The tiles of an image in every layer, those that are scanned again given in order."""
        fresh = iter(again)
        return [next(fresh) if tiles is None else tiles.of(row) for tiles in self.tiles]

    def count(
        self, entry: IndexEntry, chunks: Sequence[Chunk | None]
    ) -> tuple[Said, list[ImageTally | None]]:
        """What is said of an image, and its counts in every layer that has tiles of it."""
        heard = self.hear(entry)
        found = [
            None if chunk is None else layer.count(chunk, heard.labels)
            for layer, chunk in zip(self.layers, chunks, strict=True)
        ]
        return Said.of(entry.row, heard), found


@dataclass(frozen=True, slots=True)
class _Counted:
    """One image that was counted.

    Attributes:
        said: What every voice says of it.
        chunks: For each layer, its tiles.
        found: For each layer, its counts.
    """

    said: Said
    chunks: Sequence[Chunk | None]
    found: Sequence[ImageTally | None]


def tally_images(
    plan: Plan,
    shards: Sequence[Shard],
    tiles: Sequence[StoredTiles | None],
    thresholds: Sequence[Thresholds],
    *,
    module: nn.Module | None = None,
    folder: Path | None = None,
    hear: Callable[[IndexEntry], Heard] | None = None,
    fork: bool = True,
    timings: Timings,
    progress: Progress | None = None,
) -> Tallied:
    """The counts of every layer on the images of some shards.

    The label maps of an image are read once for all layers and all voices. Many images are counted
    by copies of this process, for threads would wait for one another between their many short
    steps; a few images, and those of a second pass, by threads. What they find is put together
    in the order of the rows.

    Args:
        plan: What is to be done.
        shards: Whose images, in order and next to one another.
        tiles: For each layer, those of these images; None: the network runs again for it.
        thresholds: For each layer, (units,).
        module: The model, where it has to run again.
        folder: Where counts go that memory should not hold.
        hear: What is said of an image; without it, what the set says of it.
        fork: Copies of this process may be made.
        timings: Added to.
        progress: Called with (stage, images done, images of these shards).

    Raises:
        SourceError: A label map cannot be read, or holds a label the set does not list.
    """
    heard = HeardImages(plan.panel.voices)
    layers = [LayerTally.begin(plan, place, one, folder) for place, one in enumerate(thresholds)]
    size = plan.config.batch_size
    batches = range(shards[0].batches(plan.batches).start, shards[-1].batches(plan.batches).stop)
    entries = plan.entries[batches.start * size : batches.stop * size]
    work = _Tally(layers, tiles, hear or _hear_from(plan))

    again = [place for place, stored in enumerate(tiles) if stored is None]
    rescans: Iterable[Iterable[Chunk | None]] = itertools.repeat(())
    if again:
        if module is None:
            raise AssertionError("a layer has to be scanned again, and there is no model")
        rescans = _rescan(module, plan, batches, again, layers, timings)
    # the forward pass inside is counted by itself
    before = sum(timings.seconds.values())
    # cores that the network does not need; each thread alone, for numpy would start more in it
    workers = plan.workers if again else max(plan.workers, plan.config.threads)
    forks = fork and not again and workers > 1 and len(entries) >= _MANY and can_fork()
    with timings.measure("tally"), threadpool_limits(limits=1, user_api="blas"):
        results = (
            _count_by_copies(work, entries, workers)
            if forks
            else _count_by_threads(work, entries, rescans, workers)
        )
        with contextlib.closing(results):
            for done, one in enumerate(results, start=1):
                heard.keep(one.said)
                for layer, chunk, found in zip(layers, one.chunks, one.found, strict=True):
                    if chunk is not None and found is not None:
                        layer.keep(chunk, found, one.said.voices)
                if progress is not None:
                    progress("tally", done, len(entries))
        for layer in layers:
            layer.top.finish()
        inside = sum(timings.seconds.values()) - before
    timings.add("tally", -inside)
    return Tallied(layers, heard)


def _count_by_copies(
    work: _Tally, entries: Sequence[IndexEntry], workers: int
) -> Generator[_Counted]:
    """All images counted, the first here: compiled functions are loaded once for all.

    Copies have the tiles that this process has: they are told no more than places.
    """

    def count(place: int) -> tuple[Said, list[ImageTally | None]]:
        return work.count(entries[place], work.chunks(entries[place].row, ()))

    results = itertools.chain(
        [count(0)], others := forked_map(count, range(1, len(entries)), jobs=workers)
    )
    with contextlib.closing(others):
        for entry, (said, found) in zip(entries, results, strict=True):
            yield _Counted(said, work.chunks(entry.row, ()), found)


def _count_by_threads(
    work: _Tally,
    entries: Sequence[IndexEntry],
    rescans: Iterable[Iterable[Chunk | None]],
    workers: int,
) -> Generator[_Counted]:
    """All images counted; `rescans` has the tiles of each that are not stored."""

    def count(item: tuple[IndexEntry, list[Chunk | None]]) -> _Counted:
        said, found = work.count(*item)
        return _Counted(said, item[1], found)

    items = (
        (entry, work.chunks(entry.row, again))
        for entry, again in zip(entries, rescans, strict=False)
    )
    yield from map_ahead(count, items, workers=workers)


def _hear_from(plan: Plan) -> Callable[[IndexEntry], Heard]:
    return lambda entry: hear_image(plan.concept_set, plan.panel, entry, plan.categories)


def _rescan(
    module: nn.Module,
    plan: Plan,
    batches: range,
    again: Sequence[int],
    layers: Sequence[LayerTally],
    timings: Timings,
) -> Iterator[list[Chunk | None]]:
    """The second pass: for each image, what the layers `again` have above their thresholds."""
    looks = []
    for place in again:
        layer = layers[place]
        bound = as_float32(layer.thresholds)
        looks.append(Look(layer.layer, layer.layer.tiling, _always(bound)))
    for entries, founds in run_batches(module, plan, batches, looks, timings=timings):
        for entry in entries:
            yield [found.chunk.of_row(entry.row) for found in founds]


def _always(bound: MapArray) -> Callable[[], MapArray]:
    return lambda: bound


def stored_tiles(stores: Sequence[Sequence[object]]) -> list[StoredTiles | None]:
    """For each layer, the tiles of all shards; None if they keep none of it.

    Args:
        stores: For each shard in order, its store of every layer.
    """
    layers = []
    for own in zip(*stores, strict=True):
        kept = [store for store in own if isinstance(store, TileStore)]
        layers.append(StoredTiles(kept) if kept else None)
    return layers
