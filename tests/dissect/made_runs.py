"""Runs and counts made in code, for tests of what is computed from them and shown."""

from __future__ import annotations

import numpy as np

from dissect.counts import Counts
from dissect.state import ModelRecord, Run, SetRecord


def plain_run(*, config, counts, layers, source="x", assumed=True, **more):
    """A description of a run; what no test looks at is the same in all."""
    return Run(
        generator="conceptset 0",
        name="a run",
        fingerprint="ab" * 32,
        config=config,
        set=SetRecord(name="toys", digest="cd" * 32),
        model=ModelRecord(
            name="net",
            source=source,
            weights="none",
            digest="ef" * 32,
            mean=(0.5, 0.5, 0.5),
            std=(0.25, 0.25, 0.25),
            assumed=assumed,
        ),
        counts=counts,
        layers=layers,
        **{"environment": {}, "timings": {}, **more},
    )


def random_counts(seed, *, labels, units, chance, rows, sizes):
    """Counts of images that carry each label by chance, of units that answer to most of them.

    Args:
        seed: Of the numbers.
        labels: Label numbers.
        units: How many units have a mask anywhere.
        chance: Of a label to be in an image.
        rows: The index's row of each image.
        sizes: Pixels of each image's label maps.
    """
    rng = np.random.default_rng(seed)
    shared, area, truth = [], [], []
    for row in rows.tolist():
        present = [label for label in labels if rng.random() < chance]
        pixels = {label: int(rng.integers(5, 40)) for label in present}
        truth += [[row, label, pixels[label]] for label in present]
        for unit in range(units):
            if rng.random() < 0.3:
                continue
            size = int(rng.integers(1, 60))
            area.append([row, unit, size])
            for label in present:
                common = int(rng.integers(0, min(size, pixels[label]) + 1))
                if common:
                    shared.append([row, unit, label, common])
    tables = [
        np.array(found, np.int64).reshape(-1, width)
        for found, width in ((shared, 4), (area, 3), (truth, 3))
    ]
    return Counts(*tables, np.column_stack([rows, sizes]))
