"""The forward pass over a shard: every image once through the network, high tiles into the stores.

Layers are looked at inside their hooks, while what they put out is still in the processor's
cache and before anything can change it in place.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from conceptset.layout.reading import IndexEntry
from dissect.activations import Recorder, check_finite, inference
from dissect.heap import kept_memory
from dissect.keeping import Store
from dissect.loader import load_batches
from dissect.outputs import maps_view, units_last_view
from dissect.plan import LayerPlan, Plan, Progress, Timings
from dissect.scanning import Found, Scanner, count_equal, scan_maps
from dissect.shards import Progressed, Shard, ShardFolder
from dissect.store import TileStore
from dissect.tails import TailStore
from dissect.team import Team
from dissect.tiles import Chunk, IntArray, MapArray, Tiling

CHECKPOINT_SECONDS = 60.0  # at most so much work is lost when a process is killed


@dataclass(frozen=True, slots=True)
class BatchFound:
    """What a batch has of one layer.

    Attributes:
        chunk: Tiles above the bound, by rising row.
        ties: (units,) int64, activations that equal the bound.
    """

    chunk: Chunk
    ties: IntArray


@dataclass(frozen=True, slots=True)
class Look:
    """How a layer is looked at.

    Attributes:
        layer: Which.
        tiling: The parts of its maps that are wanted.
        bound: Gives the bound, (units,) float32, as it stands when the layer is looked at.
        ties: Whether activations that equal the bound are counted.
    """

    layer: LayerPlan
    tiling: Tiling
    bound: Callable[[], MapArray]
    ties: bool = False


def make_stores(
    plan: Plan, folder: ShardFolder | None, floors: Mapping[str, MapArray] | None = None
) -> list[Store]:
    """An empty store for each layer, in the order asked for.

    Args:
        plan: What is to be done.
        folder: For what does not fit in memory; None keeps everything there.
        floors: (units,) float32 by layer, bounds that all shards begin with.
    """
    stores: list[Store] = []
    for place, layer in enumerate(plan.layers):
        floor = None if layer.given is not None else (floors or {}).get(layer.shape.name)
        if layer.again:
            kind: Callable[..., Store] = TailStore
        else:
            kind = functools.partial(
                TileStore,
                tiling=layer.tiling,
                given=layer.given,
                team=Team(plan.config.threads),
            )
        stores.append(
            kind(
                units=layer.shape.units,
                samples=layer.samples,
                quantile=plan.config.share,
                floor=floor,
                folder=None if folder is None else folder.layer(place),
                budget=max(1, plan.max_memory // len(plan.layers)),
            )
        )
    return stores


def scan_shard(
    module: nn.Module,
    plan: Plan,
    shard: Shard,
    stores: Sequence[Store],
    *,
    folder: ShardFolder | None = None,
    keep: bool = False,
    timings: Timings,
    progress: Progress | None = None,
) -> None:
    """Fill the stores with what the shard's images have; go on where a stopped process was.

    Args:
        module: The model.
        plan: What is to be done.
        shard: Which batches.
        stores: Of `make_stores`.
        folder: Where states are written now and then; None writes none.
        keep: Write the state at the end, too, so that another process can take it from there.
        timings: Added to.
        progress: Called with (stage, images done, images of the shard).

    Raises:
        ActivationError: A value that is not finite.
        ImageError: A photograph cannot be read.
    """
    batches = shard.batches(plan.batches)
    first = _resume(folder, stores, batches.start)
    if first is None:
        return
    wanted = [
        place
        for place, layer in enumerate(plan.layers)
        if not (layer.again and layer.given is not None)
    ]
    size = plan.config.batch_size

    def images_until(batch: int) -> int:
        return min(batch * size, len(plan.entries)) - batches.start * size

    saved = time.monotonic()
    if wanted:
        looks = [_look_at(plan.layers[place], stores[place]) for place in wanted]
        chosen = [stores[place] for place in wanted]
        todo = range(first, batches.stop)
        passes = run_batches(module, plan, todo, looks, timings=timings)
        for batch, (_, founds) in zip(todo, passes, strict=True):
            with timings.measure("store"):
                for store, found in zip(chosen, founds, strict=True):
                    store.add(found.chunk, found.ties if store.counts_ties else None)
            if progress is not None:
                progress("forward pass", images_until(batch + 1), images_until(batches.stop))
            if folder is not None and time.monotonic() - saved >= CHECKPOINT_SECONDS:
                with timings.measure("store"):
                    _save(folder, stores, batch + 1, complete=False)
                saved = time.monotonic()
    if keep and folder is not None:
        with timings.measure("store"):
            _save(folder, stores, batches.stop, complete=True)


def _look_at(layer: LayerPlan, store: Store) -> Look:
    """What the first pass looks for: single activations if there will be a second."""
    tiling = Tiling.single(layer.shape.map_size) if layer.again else layer.tiling
    return Look(layer, tiling, lambda: store.bound, ties=store.counts_ties)


def _resume(folder: ShardFolder | None, stores: Sequence[Store], start: int) -> int | None:
    """The batch to go on from; None if none is left."""
    state = None if folder is None else folder.read()
    if folder is None:
        return start
    kept = []
    if state is not None:
        for place, (store, record) in enumerate(zip(stores, state.layers, strict=True)):
            store.restore(**record, bound=state.bounds[place], ties=state.ties[place])
            kept += [folder.layer(place) / name for name in record["files"]]
    folder.tidy(kept)
    if state is None:
        return start
    return None if state.complete else state.batch


def _save(folder: ShardFolder, stores: Sequence[Store], batch: int, *, complete: bool) -> None:
    for store in stores:
        if complete:
            store.compact()
        store.flush()
    folder.write(
        Progressed(
            batch,
            complete,
            tuple(store.record for store in stores),
            tuple(store.bound for store in stores),
            tuple(store.ties for store in stores),
        )
    )
    for store in stores:
        store.drop_stale()


def run_batches(
    module: nn.Module,
    plan: Plan,
    batches: range,
    looks: Sequence[Look],
    *,
    timings: Timings,
) -> Iterator[tuple[tuple[IndexEntry, ...], list[BatchFound]]]:
    """Batch after batch through the network; what each has above the bounds, layer by layer.

    Args:
        module: The model.
        plan: What is to be done.
        batches: Which batches of the run.
        looks: How layers are looked at.
        timings: Added to: `load` is the time spent waiting for photographs.
    """
    size = plan.config.batch_size
    source = load_batches(
        plan.concept_set,
        plan.entries[batches.start * size : batches.stop * size],
        size=plan.size,
        batch_size=size,
        mean=plan.mean,
        std=plan.std,
        workers=plan.workers,
        device=plan.device,
    )
    team = Team(plan.config.threads)
    eyes = {look.layer.shape.name: _Eye(look, team, timings) for look in looks}

    def see(name: str, output: Tensor) -> None:
        eyes[name].see(output)

    with kept_memory(), Recorder(module, list(eyes), sink=see) as recorder:
        while True:
            with timings.measure("load"):
                batch = next(source, None)
            if batch is None:
                return
            for eye in eyes.values():
                eye.entries = batch.entries
            with timings.measure("forward"), inference(plan.device, plan.config.precision):
                pixels = batch.pixels
                if plan.config.memory_format == "contiguous":
                    pixels = pixels.contiguous()
                recorder.run(pixels)
            yield batch.entries, [eye.take() for eye in eyes.values()]


@dataclass(slots=True)
class _Eye:
    """Looks at one layer of batch after batch."""

    look: Look
    team: Team
    timings: Timings
    entries: tuple[IndexEntry, ...] = ()
    _found: BatchFound | None = None
    _scanner: Scanner | None = field(default=None)

    def see(self, output: Tensor) -> None:
        """Inside the hook: what the layer just put out."""
        begin = time.perf_counter()
        shape, tiling, images = self.look.layer.shape, self.look.tiling, len(self.entries)
        bound = self.look.bound()
        ties = np.zeros(shape.units, dtype=np.int64)
        rows = np.array([entry.row for entry in self.entries], dtype=np.int32)
        if output.device.type == "cpu":
            view, first = units_last_view(output, shape)
            if self._scanner is None:
                self._scanner = Scanner(tiling, shape.units, self.team)
            memory = view.numpy()
            found = self._scanner.scan(memory, first, rows, bound)
            if self.look.ties:
                cells = shape.map_size[0] * shape.map_size[1]
                count_equal(memory[:images], first, cells, bound, ties)
        else:
            maps = maps_view(output, shape)[:images]
            limit = torch.from_numpy(bound).to(maps.device)
            found = scan_maps(maps, tiling, rows, limit)
            if self.look.ties:
                ties += (maps == limit[:, None, None]).sum(dim=(0, 2, 3)).cpu().numpy()
        if found.bad >= 0:
            self._refuse(output, found)
        self._found = BatchFound(found.chunk, ties)
        spent = time.perf_counter() - begin
        self.timings.add("scan", spent)
        self.timings.add("forward", -spent)

    def _refuse(self, output: Tensor, found: Found) -> None:
        shape = self.look.layer.shape
        maps = maps_view(output, shape)[found.bad : found.bad + 1]
        check_finite(maps, layer=shape.name, images=[self.entries[found.bad].image])

    def take(self) -> BatchFound:
        """What was found since the last time."""
        found, self._found = self._found, None
        if found is None:
            raise AssertionError("the hook of a layer did not run")
        return found
