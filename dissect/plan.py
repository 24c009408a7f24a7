"""Everything about a run that is settled before the work begins."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from conceptset.layout.reading import ConceptSet, IndexEntry
from dissect.outputs import LayerShape
from dissect.state import RunConfig
from dissect.tiles import Tiling
from dissect.upsample import Grid, Placement, lay_grid
from dissect.voices import Panel

Progress = Callable[[str, int, int], None]
Thresholds = NDArray[np.floating]


def as_thresholds(values: NDArray[np.generic]) -> Thresholds:
    """Thresholds as they were written: float64 stays, everything else is float32."""
    return values.astype(np.float64 if values.dtype == np.float64 else np.float32)


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
        max_memory: Bytes of activations kept in memory, over all layers.
        passes: 1, or 2 to run the network a second time instead of keeping tiles.
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
    passes: int = 1
    panel: Panel = field(default_factory=Panel)

    @property
    def batches(self) -> int:
        """Batches of the whole run; the last one may be short of images."""
        return -(-len(self.entries) // self.config.batch_size)

    @cached_property
    def layers(self) -> tuple[LayerPlan, ...]:
        """What is to be done with each layer, in the order asked for."""
        sizes = sorted({entry.map_size for entry in self.entries})
        return tuple(self._plan_layer(shape, sizes) for shape in self.shapes)

    def _plan_layer(self, shape: LayerShape, sizes: Sequence[tuple[int, int]]) -> LayerPlan:
        placement = self.placements.get(shape.name)
        grids = {
            size: lay_grid(shape.map_size, size, placement=placement, photograph=self.size)
            for size in sizes
        }
        whole = any(grid.reduces for grid in grids.values())
        return LayerPlan(
            shape=shape,
            grids=grids,
            tiling=Tiling.whole(shape.map_size) if whole else Tiling.of(shape.map_size),
            again=whole or self.passes == 2,
            samples=len(self.entries) * shape.map_size[0] * shape.map_size[1],
            given=self.given.get(shape.name),
        )

    @property
    def rescanned(self) -> tuple[int, ...]:
        """Places of the layers for which the network runs a second time."""
        return tuple(place for place, layer in enumerate(self.layers) if layer.again)


@dataclass(frozen=True)
class LayerPlan:
    """What is to be done with a layer.

    Attributes:
        shape: What it puts out.
        grids: Its maps over label maps of every size in the set.
        tiling: The parts of its maps that masks are told from: tiles, or whole maps if these are
            larger than a label map, whose pixels then depend on many cells.
        again: Masks are counted in a second forward pass, when thresholds are known; nothing of
            the first is kept but the largest activations.
        samples: Activations of a unit on all images.
        given: (units,) thresholds that are not to be computed.
    """

    shape: LayerShape
    grids: Mapping[tuple[int, int], Grid]
    tiling: Tiling
    again: bool
    samples: int
    given: Thresholds | None


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
            self.add(part, time.perf_counter() - start)

    def add(self, part: str, seconds: float) -> None:
        """Add to a part; a negative number takes what another part has counted, too."""
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
