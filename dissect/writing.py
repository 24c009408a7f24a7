"""The files of a run, from what was found."""

from __future__ import annotations

import io
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from pydantic import JsonValue

from conceptset.io.atomic import sync_tree, write_file
from conceptset.io.images import decode_rgb
from conceptset.layout.reading import ConceptSet, IndexEntry
from dissect.ahead import map_ahead
from dissect.analysis import (
    Vocabulary,
    add_intervals,
    count_detectors,
    expect_intersection,
    format_frame,
    score_units,
    sum_counts,
    tally_table,
)
from dissect.counts import Counts, Without, write_agreement, write_counts, write_without
from dissect.intervals import Resamples
from dissect.plan import Plan
from dissect.runner import LayerOutcome, Outcomes
from dissect.state import AnnotatorRecord, LayerRecord, LeaveOneOut, RunLayout, state_metadata
from dissect.top import write_top
from dissect.voices import Panel

_LIBRARIES = ("numpy", "pandas", "pillow", "torch", "torchvision", "numba", "safetensors")
_QUALITY = 90


def write_layer(
    layout: RunLayout,
    outcome: LayerOutcome,
    plan: Plan,
    samples: Resamples,
    *,
    directory: str,
    fingerprint: str,
) -> LayerRecord:
    """Write the files of a layer; returns its record for run.json."""
    layout.layer(directory).mkdir(exist_ok=True)
    shape, config = outcome.shape, plan.config
    write_file(layout.thresholds(directory), _npy(outcome.thresholds))
    metadata = state_metadata("top", layer=shape.name, fingerprint=fingerprint)
    write_top(layout.top(directory), outcome.top, metadata)
    desk = _Desk(layout, outcome, plan, samples, directory, fingerprint)
    scores = desk.write_scores(outcome.take_counts(0), None)
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


def write_voices(
    layout: RunLayout,
    outcome: LayerOutcome,
    plan: Plan,
    samples: Resamples,
    *,
    directory: str,
    fingerprint: str,
) -> None:
    """Write the files of a layer that the annotators have, one annotator after the other."""
    panel = plan.panel
    desk = _Desk(layout, outcome, plan, samples, directory, fingerprint)
    for place, annotator in enumerate(panel.annotators):
        folder = annotator.row.directory
        layout.layer(directory, annotator=folder).mkdir(parents=True, exist_ok=True)
        desk.write_scores(outcome.take_counts(place + 1), folder)
        if panel.leaves[place]:
            voted = np.array(panel.voted(place), dtype=np.int64)[:, np.newaxis]
            without = Without(outcome.take_counts(panel.without(place)), voted)
            path = layout.without(directory, annotator=folder)
            write_without(path, without, desk.metadata("without"))
    if panel.base == "consensus":
        counts = outcome.take_counts(panel.everybody)
        write_counts(layout.consensus(directory), counts, desk.metadata("consensus"))


@dataclass(frozen=True, slots=True)
class _Desk:
    """Where the files of one layer are written."""

    layout: RunLayout
    outcome: LayerOutcome
    plan: Plan
    samples: Resamples
    directory: str
    fingerprint: str

    def metadata(self, kind: str) -> Mapping[str, str]:
        """Of a file with numbers."""
        layer = self.outcome.shape.name
        return state_metadata(kind, layer=layer, fingerprint=self.fingerprint)

    def write_scores(self, counts: Counts, annotator: str | None) -> pd.DataFrame:
        """Write the counts of one index and both tables made from them; returns the scores."""
        shape, config, layout = self.outcome.shape, self.plan.config, self.layout
        where = layout.counts(self.directory, annotator=annotator)
        write_counts(where, counts, self.metadata("counts"))
        vocabulary = vocabulary_of(self.plan.concept_set, self.plan.categories)
        totals = sum_counts(counts, vocabulary, units=shape.units, union=config.union)
        table = format_frame(tally_table(totals, vocabulary))
        write_file(layout.tally(self.directory, annotator=annotator), table)
        expected = expect_intersection(counts, units=shape.units, labels=len(totals.truth))
        scores = score_units(
            totals, vocabulary, expected, layer=shape.name, iou_threshold=config.iou_threshold
        )
        scores = add_intervals(
            scores,
            counts,
            vocabulary,
            self.samples,
            units=shape.units,
            union=config.union,
            iou_threshold=config.iou_threshold,
            workers=self.plan.workers,
        )
        write_file(layout.scores(self.directory, annotator=annotator), format_frame(scores))
        return scores


def write_shared(layout: RunLayout, outcomes: Outcomes, plan: Plan, *, fingerprint: str) -> None:
    """Write what the annotators agree on, which no layer has a part in."""
    agreement = outcomes.heard.agreement(len(plan.panel.annotators))
    metadata = state_metadata("agreement", layer="", fingerprint=fingerprint)
    write_agreement(layout.agreement, agreement, metadata)


def describe_annotators(panel: Panel) -> tuple[AnnotatorRecord, ...]:
    """The annotators as run.json lists them."""
    return tuple(
        AnnotatorRecord(
            name=one.row.annotator,
            session=one.row.session,
            kind=one.row.kind,
            directory=one.row.directory,
            images=len(one.entries),
            votes=len(panel.voted(place)) if leaves else None,
        )
        for place, (one, leaves) in enumerate(zip(panel.annotators, panel.leaves, strict=True))
    )


def describe_leaving_out(panel: Panel) -> LeaveOneOut | None:
    """How the consensus without a person was formed, as run.json says it."""
    if panel.method is None:
        return None
    return LeaveOneOut(
        method=panel.method.name,
        root_method=panel.method.of_root,
        base=panel.base,
        reason=panel.method.reason,
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
