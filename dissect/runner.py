"""The work of a run: one forward pass that fills the stores, then the tally image by image."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from conceptset.layout.reading import ConceptSet, IndexEntry
from dissect.activations import (
    LayerShape,
    Recorder,
    as_maps,
    check_finite,
    inference,
)
from dissect.counts import Agreement, Counts, IntArray, stack, with_image
from dissect.hearing import Heard, hear_image
from dissect.loader import load_batches, map_ahead
from dissect.regions import ImageLabels
from dissect.row_spool import RowSpool
from dissect.state import RunConfig
from dissect.tally import ImageTally, tally_image
from dissect.thresholds import Chunk, MapStore
from dissect.top import TopImages, TopMasks, choose_top
from dissect.upsample import Grid, Placement, lay_grid
from dissect.voices import Panel

Progress = Callable[[str, int, int], None]
Thresholds = NDArray[np.floating]

_VOICES_MEMORY = 256 << 20  # bytes of annotators' counts in memory, over all layers


@dataclass(frozen=True)
class Plan:
    """Everything that is settled before the work begins.

    Attributes:
        concept_set: The set.
        entries: Rows of its index to dissect, in order.
        categories: Those enabled, in the set's order.
        size: (height, width) at which photographs enter the network.
        config: The options.
        shapes: What the layers put out, in the order asked for.
        placements: Where their cells lie, for `receptive-field`; empty for `half-pixel`.
        given: Thresholds by layer, for those that are not to be computed.
        mean: Preprocessing, per channel.
        std: Preprocessing, per channel.
        device: Where the model is.
        workers: Threads that decode and tally.
        max_memory: Bytes of maps kept in memory, over all layers.
        panel: Whose labels are looked at beside those of the index.
    """

    concept_set: ConceptSet
    entries: tuple[IndexEntry, ...]
    categories: tuple[str, ...]
    size: tuple[int, int]
    config: RunConfig
    shapes: tuple[LayerShape, ...]
    placements: Mapping[str, Placement]
    given: Mapping[str, Thresholds]
    mean: Sequence[float]
    std: Sequence[float]
    device: torch.device
    workers: int
    max_memory: int
    panel: Panel = field(default_factory=Panel)


@dataclass
class Timings:
    """Seconds spent in each part of the work."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def measure(self, part: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[part] = self.seconds.get(part, 0.0) + spent


@dataclass(frozen=True, slots=True)
class LayerOutcome:
    """What was found for one layer.

    Attributes:
        shape: The layer.
        thresholds: (units,) float32, or as given.
        counts: Pixels per image.
        top: Images that each unit answers to most.
        heard: What the images say in every voice.
        rows: Intersections of every voice but the first.
    """

    shape: LayerShape
    thresholds: Thresholds
    counts: Counts
    top: TopImages
    heard: HeardImages
    rows: RowSpool

    def take_counts(self, voice: int) -> Counts:
        """The counts of a voice; those of every voice but the first can be had once."""
        if voice == 0:
            return self.counts
        pixels = self.heard.pixels(voice)
        area = self.counts.area
        return Counts(
            self.rows.take(voice),
            area[np.isin(area[:, 0], pixels[:, 0])],
            self.heard.truth(voice),
            pixels,
        )


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


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was found.

    Attributes:
        layers: In the order asked for.
        heard: What the images say in every voice.
    """

    layers: list[LayerOutcome]
    heard: HeardImages


def make_stores(plan: Plan, spill: Path | None) -> list[MapStore]:
    """An empty store for each layer, in the order asked for.

    Args:
        plan: What is to be done.
        spill: Directory for what does not fit in memory; None keeps everything there.
    """
    stores = []
    for place, shape in enumerate(plan.shapes):
        folder = None if spill is None else spill / f"layer-{place:03d}"
        if folder is not None:
            folder.mkdir()
        stores.append(
            MapStore(
                units=shape.units,
                map_size=shape.map_size,
                images=len(plan.entries),
                quantile=plan.config.share,
                given=plan.given.get(shape.name),
                spill=folder,
                budget=max(1, plan.max_memory // len(plan.shapes)),
            )
        )
    return stores


def fill_stores(
    module: nn.Module,
    plan: Plan,
    stores: Sequence[MapStore],
    *,
    timings: Timings,
    progress: Progress | None = None,
) -> None:
    """The forward pass: every image once through the network, its maps into the stores.

    Raises:
        ActivationError: A value that is not finite.
        ImageError: A photograph cannot be read.
    """
    names = [shape.name for shape in plan.shapes]
    config = plan.config
    batches = load_batches(
        plan.concept_set,
        plan.entries,
        size=plan.size,
        batch_size=config.batch_size,
        mean=plan.mean,
        std=plan.std,
        workers=plan.workers,
    )
    done = 0
    with Recorder(module, names, stop_early=True) as recorder:
        while True:
            with timings.measure("load"):
                batch = next(batches, None)
            if batch is None:
                return
            with timings.measure("forward"), inference(plan.device, config.precision):
                pixels = torch.from_numpy(batch.pixels).to(plan.device).permute(0, 3, 1, 2)
                if config.memory_format == "contiguous":
                    pixels = pixels.contiguous()
                outputs = recorder.run(pixels)
            with timings.measure("store"), torch.inference_mode():
                rows = [entry.row for entry in batch.entries]
                images = [entry.image for entry in batch.entries]
                for name, store in zip(names, stores, strict=True):
                    output = outputs.pop(name)
                    maps, _ = as_maps(output, name, batch=config.batch_size, input_size=plan.size)
                    maps = maps[: len(rows)]
                    check_finite(maps, layer=name, images=images)
                    store.add(rows, maps)
            done += len(rows)
            if progress is not None:
                progress("forward pass", done, len(plan.entries))


class _LayerTally:
    """What the tally of one layer needs, and what it has found so far."""

    def __init__(self, shape: LayerShape, plan: Plan, store: MapStore, heard: HeardImages) -> None:
        self.shape = shape
        self.heard = heard
        self.rows = RowSpool(
            width=4,
            folder=None if store.spill is None else store.spill / "voices",
            budget=_VOICES_MEMORY // len(plan.shapes),
        )
        self.store = store
        self.thresholds = store.finish()
        self.limits = self.thresholds.astype(np.float64)
        placement = plan.placements.get(shape.name)
        self.grids: dict[tuple[int, int], Grid] = {
            size: lay_grid(shape.map_size, size, placement=placement, photograph=plan.size)
            for size in {entry.map_size for entry in plan.entries}
        }
        self.intersection: list[IntArray] = []
        self.area: list[IntArray] = []
        self.maxima: list[NDArray[np.float32]] = []

    def count(self, chunk: Chunk, labels: ImageLabels) -> ImageTally:
        """The counts of one image; changes nothing, so that threads may share it."""
        limits = self.limits[chunk.units]
        return tally_image(
            chunk.maps, chunk.units, limits, grid=self.grids[labels.size], labels=labels
        )

    def keep(self, chunk: Chunk, found: ImageTally, voices: Sequence[int]) -> None:
        """Take the counts of one image, in rising order of rows."""
        row = int(chunk.rows[0])
        self.intersection.append(with_image(row, found.intersections[0]))
        for voice, rows in zip(voices[1:], found.intersections[1:], strict=True):
            self.rows.add(voice, with_image(row, rows))
        self.area.append(with_image(row, found.area))
        self.maxima.append(chunk.maxima[np.searchsorted(chunk.units, found.area[:, 0])])

    def finish(self, plan: Plan) -> LayerOutcome:
        """The outcome; the masks of the top images are drawn from the store once more."""
        counts = Counts(
            stack(self.intersection, 4),
            stack(self.area, 3),
            self.heard.truth(0),
            self.heard.pixels(0),
        )
        maxima = np.concatenate([np.empty(0, dtype=np.float32), *self.maxima])
        images, values = choose_top(
            counts.area, maxima, units=self.shape.units, count=plan.config.top_images
        )
        chosen = set(images[images >= 0].tolist())
        sizes = {entry.row: entry.map_size for entry in plan.entries if entry.row in chosen}
        masks = TopMasks(images, values, sizes)

        def draw(chunk: Chunk) -> None:
            row = int(chunk.rows[0])
            grid = self.grids[sizes[row]]
            masks.add(row, chunk.units, chunk.maps, thresholds=self.limits, grid=grid)

        wanted = (chunk for chunk in self.store.images() if int(chunk.rows[0]) in chosen)
        for _ in map_ahead(draw, wanted, workers=plan.workers):
            pass
        self.store.release()
        return LayerOutcome(
            self.shape, self.thresholds, counts, masks.finish(), self.heard, self.rows
        )


def tally_stores(
    plan: Plan,
    stores: Sequence[MapStore],
    *,
    timings: Timings,
    progress: Progress | None = None,
) -> Outcomes:
    """The counts of every layer. The stores are empty afterwards.

    The label maps of an image are read once for all layers and all voices. Images are counted by
    several threads, each on its own; what they find is put together in the order of the rows.

    Raises:
        SourceError: A label map cannot be read, or holds a label the set does not list.
    """
    images = HeardImages(plan.panel.voices)
    with timings.measure("thresholds"):
        layers = [
            _LayerTally(shape, plan, store, images)
            for shape, store in zip(plan.shapes, stores, strict=True)
        ]

    def count(
        item: tuple[IndexEntry, list[Chunk | None]],
    ) -> tuple[int, Heard, list[tuple[Chunk, ImageTally] | None]]:
        entry, chunks = item
        heard = hear_image(plan.concept_set, plan.panel, entry, plan.categories)
        found = [
            None if chunk is None else (chunk, layer.count(chunk, heard.labels))
            for layer, chunk in zip(layers, chunks, strict=True)
        ]
        return entry.row, heard, found

    with timings.measure("tally"):
        items = _by_image(plan.entries, stores)
        results = map_ahead(count, items, workers=plan.workers)
        for done, (row, heard, found) in enumerate(results, start=1):
            images.keep(row, heard)
            for layer, pair in zip(layers, found, strict=True):
                if pair is not None:
                    layer.keep(*pair, heard.voices)
            if progress is not None:
                progress("tally", done, len(plan.entries))
        return Outcomes([layer.finish(plan) for layer in layers], images)


def _by_image(
    entries: Sequence[IndexEntry], stores: Sequence[MapStore]
) -> Iterator[tuple[IndexEntry, list[Chunk | None]]]:
    """Each image with its maps of every layer; None where a layer has none."""
    streams = [store.images() for store in stores]
    heads = [next(stream, None) for stream in streams]
    for entry in entries:
        chunks: list[Chunk | None] = []
        for place, head in enumerate(heads):
            if head is not None and head.rows[0] == entry.row:
                chunks.append(head)
                heads[place] = next(streams[place], None)
            else:
                chunks.append(None)
        yield entry, chunks
