"""The tally of a run: every image's tiles against what every voice says of the image."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits
from torch import nn

from conceptset.layout.reading import IndexEntry
from dissect.ahead import map_ahead
from dissect.counts import Agreement, IntArray, stack, with_image
from dissect.hearing import Heard, hear_image
from dissect.plan import LayerPlan, Plan, Progress, Thresholds, Timings
from dissect.regions import ImageLabels
from dissect.row_spool import RowSpool
from dissect.rows import Rows, as_array
from dissect.scan import Look, run_batches
from dissect.shards import Shard
from dissect.store import TileStore
from dissect.tally import ImageTally, tally_image
from dissect.tiles import Chunk, MapArray, as_float32
from dissect.top import TopKeeper
from dissect.upsample import FloatArray

_COUNTS_MEMORY = 256 << 20  # bytes of counts in memory, over all layers


class HeardImages:
    """What all images of a run say in every voice; no unit has a part in it."""

    def __init__(self, voices: int) -> None:
        """No image is known yet."""
        self._truth: list[list[IntArray]] = [[] for _ in range(voices)]
        self._pixels: list[list[tuple[int, int]]] = [[] for _ in range(voices)]
        self._shared: list[IntArray] = []

    def keep(self, row: int, heard: Heard) -> None:
        """Take an image, in rising order of rows."""
        labels = heard.labels
        for place, voice in enumerate(heard.voices):
            own = labels.of(place)
            truth = np.column_stack([labels.labels[own], labels.truth[own]])
            self._truth[voice].append(with_image(row, truth))
            self._pixels[voice].append((row, labels.size[0] * labels.size[1]))
        self._shared.append(with_image(row, heard.shared))

    def truth(self, voice: int) -> IntArray:
        """(n, 3) int64 rows (image, label, pixels)."""
        return stack(self._truth[voice], 3)

    def pixels(self, voice: int) -> IntArray:
        """(n, 2) int64 rows (image, pixels of its label maps)."""
        return np.array(self._pixels[voice], dtype=np.int64).reshape(-1, 2)

    def agreement(self, annotators: int) -> Agreement:
        """Pixels that annotators, voices 1 .. n, gave the same label."""
        worked = [
            np.insert(self.pixels(place + 1), 1, place, axis=1) for place in range(annotators)
        ]
        rows = stack(worked, 3)
        return Agreement(stack(self._shared, 5), rows[np.lexsort((rows[:, 1], rows[:, 0]))])

    @staticmethod
    def widths(voices: int) -> dict[str, int]:
        """The tables of `tables`, with their columns."""
        each = {f"truth.{voice}": 3 for voice in range(voices)}
        return {**each, **{f"pixels.{voice}": 2 for voice in range(voices)}, "shared": 5}

    def tables(self) -> dict[str, Rows]:
        """All of it, for another process."""
        tables: dict[str, Rows] = {"shared": stack(self._shared, 5)}
        for voice in range(len(self._truth)):
            tables[f"truth.{voice}"] = self.truth(voice)
            tables[f"pixels.{voice}"] = self.pixels(voice)
        return tables

    @classmethod
    def of(cls, tables: Mapping[str, Rows]) -> HeardImages:
        """What `tables` gave in another process."""
        voices = sum(name.startswith("truth.") for name in tables)
        heard = cls(voices)
        heard._shared.append(as_array(tables["shared"]))
        for voice in range(voices):
            heard._truth[voice].append(as_array(tables[f"truth.{voice}"]))
            pixels = as_array(tables[f"pixels.{voice}"]).tolist()
            heard._pixels[voice] = [(row, number) for row, number in pixels]
        return heard

    def extend(self, later: HeardImages) -> None:
        """Take what later images say."""
        for voice in range(len(self._truth)):
            self._truth[voice] += later._truth[voice]
            self._pixels[voice] += later._pixels[voice]
        self._shared += later._shared


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
                workers=plan.workers,
            ),
        )

    def count(self, chunk: Chunk, labels: ImageLabels) -> ImageTally:
        """The counts of one image; changes nothing, so that threads may share it."""
        grid = self.layer.grids[labels.size]
        return tally_image(chunk, self.limits, tiling=self.layer.tiling, grid=grid, labels=labels)

    def keep(self, chunk: Chunk, found: ImageTally, voices: Sequence[int]) -> None:
        """Take the counts of one image, in rising order of rows."""
        row = int(chunk.rows[0])
        for voice, rows in zip(voices, found.intersections, strict=True):
            self.rows.add(voice, with_image(row, rows))
        area = with_image(row, found.area)
        self.areas.add(0, area)
        self.top.add(area, found.maxima, chunk)


@dataclass(frozen=True, slots=True)
class Tallied:
    """What the tally of some images has found.

    Attributes:
        layers: In the order asked for.
        heard: What the images say in every voice.
    """

    layers: list[LayerTally]
    heard: HeardImages


def tally_images(
    plan: Plan,
    shards: Sequence[Shard],
    streams: Sequence[Iterable[Chunk] | None],
    thresholds: Sequence[Thresholds],
    *,
    module: nn.Module | None = None,
    folder: Path | None = None,
    timings: Timings,
    progress: Progress | None = None,
) -> Tallied:
    """The counts of every layer on the images of some shards.

    The label maps of an image are read once for all layers and all voices. Images are counted by
    several threads, each on its own; what they find is put together in the order of the rows.

    Args:
        plan: What is to be done.
        shards: Whose images, in order and next to one another.
        streams: For each layer, its tiles image by image, by rising row; None: the network runs
            again for it.
        thresholds: For each layer, (units,).
        module: The model, where it has to run again.
        folder: Where counts go that memory should not hold.
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

    def count(
        item: tuple[IndexEntry, list[Chunk | None]],
    ) -> tuple[int, Heard, list[tuple[Chunk, ImageTally] | None]]:
        entry, chunks = item
        said = hear_image(plan.concept_set, plan.panel, entry, plan.categories)
        found = [
            None if chunk is None else (chunk, layer.count(chunk, said.labels))
            for layer, chunk in zip(layers, chunks, strict=True)
        ]
        return entry.row, said, found

    again = [place for place, stream in enumerate(streams) if stream is None]
    rescans: Iterator[list[Chunk | None]] | None = None
    if again:
        if module is None:
            raise AssertionError("a layer has to be scanned again, and there is no model")
        rescans = _rescan(module, plan, batches, again, layers, timings)
    items = _by_image(entries, streams, rescans)
    # the forward pass inside is counted by itself
    before = sum(timings.seconds.values())
    # cores that the network does not need; each thread alone, for numpy would start more in it
    workers = plan.workers if again else max(plan.workers, plan.config.threads)
    with timings.measure("tally"), threadpool_limits(limits=1, user_api="blas"):
        results = map_ahead(count, items, workers=workers)
        for done, (row, said, found) in enumerate(results, start=1):
            heard.keep(row, said)
            for layer, pair in zip(layers, found, strict=True):
                if pair is not None:
                    layer.keep(*pair, said.voices)
            if progress is not None:
                progress("tally", done, len(entries))
        for layer in layers:
            layer.top.settle()
        inside = sum(timings.seconds.values()) - before
    timings.add("tally", -inside)
    return Tallied(layers, heard)


def _by_image(
    entries: Sequence[IndexEntry],
    streams: Sequence[Iterable[Chunk] | None],
    rescans: Iterator[list[Chunk | None]] | None,
) -> Iterator[tuple[IndexEntry, list[Chunk | None]]]:
    """Each image with its tiles of every layer; None where a layer has none."""
    running = [iter(stream) if stream is not None else None for stream in streams]
    heads = [None if stream is None else next(stream, None) for stream in running]
    for entry in entries:
        chunks: list[Chunk | None] = []
        fresh = iter(next(rescans)) if rescans is not None else iter(())
        for place, stream in enumerate(running):
            head = heads[place]
            if stream is None:
                chunks.append(next(fresh))
            elif head is not None and head.rows[0] == entry.row:
                chunks.append(head)
                heads[place] = next(stream, None)
            else:
                chunks.append(None)
        yield entry, chunks


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
            yield [_of_row(found.chunk, entry.row) for found in founds]


def _always(bound: MapArray) -> Callable[[], MapArray]:
    return lambda: bound


def _of_row(chunk: Chunk, row: int) -> Chunk | None:
    start, stop = np.searchsorted(chunk.rows, [row, row + 1])
    return chunk.only(slice(int(start), int(stop))) if stop > start else None


def tile_streams(stores: Sequence[Sequence[object]]) -> list[Iterable[Chunk] | None]:
    """For each layer, the tiles of all shards, one after the other.

    Args:
        stores: For each shard in order, its store of every layer.
    """
    streams: list[Iterable[Chunk] | None] = []
    for own in zip(*stores, strict=True):
        tiles = [store for store in own if isinstance(store, TileStore)]
        streams.append(_chain(tiles) if tiles else None)
    return streams


def _chain(stores: Sequence[TileStore]) -> Iterator[Chunk]:
    for store in stores:
        yield from store.images()
