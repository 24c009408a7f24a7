"""The files of a run, from what was found."""

from __future__ import annotations

import io
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydantic import JsonValue

from conceptset.io.atomic import sync_tree, write_file
from conceptset.io.images import decode_rgb
from conceptset.layout.reading import ConceptSet, IndexEntry
from dissect.analysis import (
    Vocabulary,
    count_detectors,
    expect_intersection,
    format_frame,
    score_units,
    sum_counts,
    tally_table,
)
from dissect.counts import write_counts
from dissect.loader import map_ahead
from dissect.runner import LayerOutcome, Plan
from dissect.state import LayerRecord, RunLayout, state_metadata
from dissect.top import write_top

_LIBRARIES = ("numpy", "pandas", "pillow", "torch", "torchvision", "numba", "safetensors")
_QUALITY = 90


def write_layer(
    layout: RunLayout, outcome: LayerOutcome, plan: Plan, *, directory: str, fingerprint: str
) -> LayerRecord:
    """Write the files of a layer; returns its record for run.json."""
    layout.layer(directory).mkdir(exist_ok=True)
    shape, config = outcome.shape, plan.config
    metadata = {
        kind: state_metadata(kind, layer=shape.name, fingerprint=fingerprint)
        for kind in ("counts", "top")
    }
    write_file(layout.thresholds(directory), _npy(outcome.thresholds))
    write_counts(layout.counts(directory), outcome.counts, metadata["counts"])
    write_top(layout.top(directory), outcome.top, metadata["top"])
    vocabulary = vocabulary_of(plan.concept_set, plan.categories)
    totals = sum_counts(outcome.counts, vocabulary, units=shape.units, union=config.union)
    write_file(layout.tally(directory), format_frame(tally_table(totals, vocabulary)))
    expected = expect_intersection(outcome.counts, units=shape.units, labels=len(totals.truth))
    scores = score_units(
        totals, vocabulary, expected, layer=shape.name, iou_threshold=config.iou_threshold
    )
    write_file(layout.scores(directory), format_frame(scores))
    return LayerRecord(
        name=shape.name,
        directory=directory,
        units=shape.units,
        map_size=shape.map_size,
        kind=shape.kind,
        thresholds_dtype="float64" if outcome.thresholds.dtype == np.float64 else "float32",
        samples=len(plan.entries) * shape.map_size[0] * shape.map_size[1],
        detectors=count_detectors(
            scores, plan.categories, units=shape.units, iou_threshold=config.iou_threshold
        ),
    )


def vocabulary_of(concept_set: ConceptSet, categories: tuple[str, ...]) -> Vocabulary:
    """Names and primary categories of a set, with only some categories enabled."""
    return Vocabulary(concept_set.names, categories, concept_set.primary(categories))


def _npy(array: NDArray[np.generic]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()


def write_photographs(layout: RunLayout, outcomes: Sequence[LayerOutcome], plan: Plan) -> None:
    """Keep a reduced copy of every photograph in a list of top images.

    At most two pixels for each pixel of the label map along both axes, so that a report needs
    neither the set nor the model.
    """
    rows = {row for outcome in outcomes for row in np.unique(outcome.top.images).tolist()}
    chosen = [entry for entry in plan.entries if entry.row in rows]
    layout.photographs.mkdir(exist_ok=True)

    def write(entry: IndexEntry) -> None:
        image = decode_rgb(plan.concept_set.file(entry.image), frame="stored")
        height, width = (
            min(side, 2 * cells)
            for side, cells in zip((image.height, image.width), entry.map_size, strict=True)
        )
        if (image.width, image.height) != (width, height):
            image = image.resize((width, height), Image.Resampling.BILINEAR)
        stream = io.BytesIO()
        image.save(stream, "JPEG", quality=_QUALITY)
        layout.photograph(entry.row).write_bytes(stream.getvalue())

    for _ in map_ahead(write, chosen, workers=plan.workers):
        pass
    sync_tree(layout.photographs)


def describe_environment(plan: Plan) -> dict[str, JsonValue]:
    """What the run ran on: versions and machine, nothing that an outcome should depend on."""
    versions: dict[str, JsonValue] = {}
    for library in _LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            versions[library] = None
    return {
        "python": platform.python_version(),
        "machine": platform.machine(),
        "system": platform.system(),
        "libraries": versions,
        "workers": plan.workers,
        "max_memory": plan.max_memory,
    }


def peak_memory() -> int | None:
    """Bytes of memory this process has held at most; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - absent on Windows

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
