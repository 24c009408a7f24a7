"""The work of a run: scan, thresholds, tally. How many shards there are cannot be seen afterwards.

    scan_shard       one forward pass over the images of a shard (dissect.scan)
    thresholds_of    the exact thresholds, from the largest activations of all shards
    tally_images     masks against labels (dissect.tallying)

One process does the three with a single shard; `dissect merge` the last two for shards that
others have scanned; a cluster the first and the last on many machines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from dissect.counts import Counts
from dissect.heard import HeardImages
from dissect.keeping import Store
from dissect.outputs import LayerShape
from dissect.plan import LayerPlan, Plan, Thresholds
from dissect.rows import Rows, select_images
from dissect.tallying import Tallied
from dissect.thresholds import Tail, rank_of_threshold, select_thresholds
from dissect.top import TopImages


class Tables(Protocol):
    """Tables of rows by number, such as a `RowSpool`."""

    def read(self, table: int) -> Rows:
        """All rows of a table."""

    def take(self, table: int) -> Rows:
        """All rows of a table, which has none afterwards."""


@dataclass(frozen=True, slots=True)
class LayerOutcome:
    """What was found for one layer.

    Attributes:
        shape: The layer.
        thresholds: (units,) float32, or as given.
        top: Images that each unit answers to most.
        heard: What the images say in every voice.
        rows: For each voice, a table of rows (image, unit, label, pixels).
        areas: One table of rows (image, unit, pixels of the mask).
    """

    shape: LayerShape
    thresholds: Thresholds
    top: TopImages
    heard: HeardImages
    rows: Tables
    areas: Tables

    def take_counts(self, voice: int) -> Counts:
        """The counts of a voice; its intersections can be had once."""
        pixels = self.heard.pixels(voice)
        area = self.areas.read(0)
        if voice != 0:
            area = select_images(area, pixels[:, 0])
        return Counts(self.rows.take(voice), area, self.heard.truth(voice), pixels)


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What was found.

    Attributes:
        layers: In the order asked for.
        heard: What the images say in every voice.
    """

    layers: list[LayerOutcome]
    heard: HeardImages


@dataclass(frozen=True, slots=True)
class Selected:
    """The thresholds of a layer.

    Attributes:
        values: (units,) float32, or as given.
        unknown: (n,) int64 units whose shards left out too much.
    """

    values: Thresholds
    unknown: np.ndarray[tuple[int], np.dtype[np.int64]]


def thresholds_of(plan: Plan, tails: Sequence[Sequence[Tail | None]]) -> list[Selected]:
    """The thresholds of every layer.

    Args:
        plan: What was done.
        tails: For each shard, that of every layer; None where thresholds are given.
    """
    return [
        _select(layer, [own[place] for own in tails], plan)
        for place, layer in enumerate(plan.layers)
    ]


def _select(layer: LayerPlan, tails: Sequence[Tail | None], plan: Plan) -> Selected:
    nothing = np.empty(0, dtype=np.int64)
    if layer.given is not None:
        return Selected(layer.given, nothing)
    known = [tail for tail in tails if tail is not None]
    rank = rank_of_threshold(plan.config.share, layer.samples)
    values, enough = select_thresholds(known, rank)
    return Selected(values, np.flatnonzero(~enough))


def tails_of(plan: Plan, stores: Sequence[Store], *, compact: bool = True) -> list[Tail | None]:
    """What a shard knows of the largest activations.

    Args:
        plan: What was done.
        stores: The shard's.
        compact: Drop what is below the shard's bounds first.
    """
    tails: list[Tail | None] = []
    for layer, store in zip(plan.layers, stores, strict=True):
        if layer.given is not None:
            tails.append(None)
            continue
        if compact:
            store.compact()
        tails.append(store.tail())
    return tails


def outcomes_of(tallied: Tallied) -> Outcomes:
    """What a finished tally found."""
    layers = [
        LayerOutcome(
            one.layer.shape,
            one.thresholds,
            one.top.finish(),
            tallied.heard,
            one.rows,
            one.areas,
        )
        for one in tallied.layers
    ]
    return Outcomes(layers, tallied.heard)
