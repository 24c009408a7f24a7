"""The peers' numbers: NetDissect-Lite on the goldens, and the paper's denominator."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from made_scans import cut_tiles

from conceptset.layout.reading import open_concept_set
from dissect.analysis import sum_counts, tally_table
from dissect.outputs import LayerShape
from dissect.plan import Plan, Timings
from dissect.runner import outcomes_of, tails_of, thresholds_of
from dissect.scan import make_stores
from dissect.shards import WHOLE
from dissect.state import RunConfig
from dissect.tallying import stored_tiles, tally_images
from dissect.writing import vocabulary_of

pytestmark = pytest.mark.real


def layers_of(golden, layers, workers=2):
    concept_set = open_concept_set(golden / "dataset")
    features = {
        name: np.load(golden / f"features_{name}.npz")["features"].astype(np.float32)
        for name in layers
    }
    shapes = tuple(
        LayerShape(name, "maps", array.shape[1], array.shape[2:])
        for name, array in features.items()
    )
    plan = Plan(
        concept_set=concept_set,
        entries=concept_set.entries,
        categories=concept_set.categories,
        size=(224, 224),
        config=RunConfig(layers=tuple(layers), union="lite"),
        shapes=shapes,
        placements={},
        given={name: np.load(golden / f"thresholds_{name}.npy") for name in layers},
        mean=(0, 0, 0),
        std=(1, 1, 1),
        device=torch.device("cpu"),
        workers=workers,
        max_memory=1 << 30,
    )
    stores = make_stores(plan, None)
    for name, store in zip(layers, stores, strict=True):
        for start in range(0, 40, 16):
            part = features[name][start : start + 16]
            store.add(cut_tiles(part, store.bound, rows=range(start, start + len(part))))
    selected = [one.values for one in thresholds_of(plan, [tails_of(plan, stores)])]
    tallied = tally_images(plan, [WHOLE], stored_tiles([stores]), selected, timings=Timings())
    return plan, outcomes_of(tallied).layers


@pytest.mark.parametrize("layer", ["layer2", "layer3", "layer4"])
@pytest.mark.parametrize(
    ("union", "golden"), [("lite", "tally"), ("annotated", "reference_image_presence")]
)
def test_every_column_of_the_peers_table(synth40, layer, union, golden):
    plan, (outcome,) = layers_of(synth40, [layer])
    vocabulary = vocabulary_of(plan.concept_set, plan.categories)
    totals = sum_counts(outcome.take_counts(0), vocabulary, units=outcome.shape.units, union=union)
    ours = tally_table(totals, vocabulary)
    theirs = pd.read_csv(synth40 / f"{golden}_{layer}.csv", keep_default_na=False)
    assert list(ours.columns) == list(theirs.columns)
    assert len(ours) == outcome.shape.units
    for column in theirs.columns:
        if ours[column].dtype == float and (column == "score" or column.endswith("-iou")):
            assert np.abs(ours[column] - theirs[column].astype(float)).max() < 1e-9, column
        else:
            assert ours[column].tolist() == theirs[column].tolist(), column


def test_several_layers_at_once_are_each_alone(synth40):
    _, together = layers_of(synth40, ["layer4", "layer2"], workers=3)
    for outcome in together:
        _, (alone,) = layers_of(synth40, [outcome.shape.name], workers=1)
        ours, theirs = outcome.take_counts(0), alone.take_counts(0)
        for table in ("intersection", "area", "truth", "pixels"):
            assert np.array_equal(getattr(ours, table), getattr(theirs, table)), table
        assert np.array_equal(outcome.top.images, alone.top.images)
        assert np.array_equal(outcome.top.masks, alone.top.masks)
