"""A bound that every shard can begin with, from a few images spread over the whole set.

A shard by itself can only rule out what is below the m-th largest activation that it has seen
itself, m being the rank of the threshold among all images; the more shards, the later that is. So
a few images of the whole set are looked at first. The bound is a guess, and a cautious one: the
activation that a share of four times the quantile exceeds on these images. Whether it was below
the thresholds is proved afterwards by what the shards have counted (`select_thresholds`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

import numpy as np
from torch import nn

from dissect.plan import LayerPlan, Plan, Timings
from dissect.scan import Look, run_batches
from dissect.tails import TailStore
from dissect.thresholds import select_thresholds
from dissect.tiles import MapArray, Tiling

# A unit may answer to few images only: of those with its concept some three are among so many if
# one in two hundred has it, and four times as many would be needed to set the bound too high.
PILOT_IMAGES = 512
_CAUTION = 4  # times the quantile
_WORTHWHILE = 4  # times the pilot's images that a shard should have


def wants_pilot(plan: Plan, shards: int) -> bool:
    """Whether the shards are large enough for the pilot to be a small part of the work."""
    return shards > 1 and len(plan.entries) >= shards * _WORTHWHILE * PILOT_IMAGES


def pilot_floors(
    module: nn.Module,
    plan: Plan,
    *,
    distrusted: Mapping[str, Sequence[int]] | None = None,
    timings: Timings,
) -> dict[str, MapArray]:
    """(units,) float32 for every layer whose thresholds are computed.

    Args:
        module: The model.
        plan: What is to be done.
        distrusted: Units by layer for which the guess turned out too high; they have no bound.
        timings: Added to.
    """
    layers = [layer for layer in plan.layers if layer.given is None]
    if not layers:
        return {}
    size = plan.config.batch_size
    count = min(plan.batches, max(1, PILOT_IMAGES // size))
    chosen = sorted({place * plan.batches // count for place in range(count)})
    images = sum(len(plan.entries[one * size : (one + 1) * size]) for one in chosen)
    share = min(Fraction(1, 2), plan.config.share * _CAUTION)
    stores = [_store_for(layer, images, share) for layer in layers]
    looks = [
        Look(layer, Tiling.single(layer.shape.map_size), _bound_of(store))
        for layer, store in zip(layers, stores, strict=True)
    ]
    for one in chosen:
        for _, founds in run_batches(module, plan, range(one, one + 1), looks, timings=timings):
            for store, found in zip(stores, founds, strict=True):
                store.add(found.chunk)
    floors = {}
    for layer, store in zip(layers, stores, strict=True):
        floor, _ = select_thresholds([store.tail()], store.rank)
        floor[list((distrusted or {}).get(layer.shape.name, ()))] = -np.inf
        floors[layer.shape.name] = floor
    return floors


def _bound_of(store: TailStore) -> Callable[[], MapArray]:
    return lambda: store.bound


def _store_for(layer: LayerPlan, images: int, share: Fraction) -> TailStore:
    height, width = layer.shape.map_size
    return TailStore(units=layer.shape.units, samples=images * height * width, quantile=share)
