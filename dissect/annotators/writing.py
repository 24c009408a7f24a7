"""annotators.json and every <layer>/annotators.csv, from the counts that stand in a run."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from conceptset.io.atomic import write_file
from conceptset.io.tables import format_json
from dissect.analysis import Vocabulary
from dissect.annotators.comparing import Ground, describe_run, lay_ground
from dissect.annotators.document import UNIT_COLUMNS, AnnotatorReport
from dissect.annotators.layers import LayerCounts, UnitRow, describe_layer
from dissect.counts import Counts, open_counts, open_without, read_agreement
from dissect.intervals import Resamples
from dissect.state import LayerRecord, Run, RunLayout


def write_annotators(
    layout: RunLayout,
    run: Run,
    vocabulary: Vocabulary,
    *,
    samples: Resamples | None = None,
    workers: int = 1,
) -> AnnotatorReport:
    """Compare the annotators of a run, from the counts in its directory.

    Args:
        layout: The run's directory, with the counts of every layer by every index.
        run: Its description; `annotators` is not empty.
        vocabulary: Names and primary categories of the labels.
        samples: Resamples of the images of the run; drawn if not given.
        workers: Threads; the outcome does not depend on them.

    Raises:
        LayoutError: A record cannot be read.
        BoundError: A figure is above what is possible: our fault.
    """
    agreement = read_agreement(layout.agreement)
    place = vocabulary.places()
    ground: Ground | None = None
    layers = []
    for record in run.layers:
        counts = read_layer(layout, run, record)
        if ground is None:
            ground = lay_ground(
                run,
                agreement,
                counts.own,
                vocabulary.names,
                place,
                rows=counts.root.images,
                samples=samples,
            )
        figures, rows = describe_layer(
            record,
            counts,
            ground,
            agreement.shared,
            union=run.config.union,
            iou_threshold=run.config.iou_threshold,
            workers=workers,
        )
        layers.append(figures)
        write_file(layout.unit_figures(record.directory), format_rows(rows))
    if ground is None:
        raise ValueError("a run has at least one layer")
    report = describe_run(ground, run).model_copy(update={"layers": tuple(layers)})
    write_file(layout.comparison, format_json(report.model_dump(mode="json")))
    return report


def read_layer(layout: RunLayout, run: Run, record: LayerRecord) -> LayerCounts:
    """The counts of a layer by every index.

    Raises:
        LayoutError: A record cannot be read.
    """
    where = record.directory
    root = open_counts(layout.counts(where))
    consensus = layout.consensus(where)
    base = open_counts(consensus) if consensus.is_file() else root
    own: list[Counts] = []
    without: list[Counts | None] = []
    for annotator in run.annotators:
        folder = annotator.directory
        own.append(open_counts(layout.counts(where, annotator=folder)))
        if annotator.votes is None:
            without.append(None)
        else:
            without.append(open_without(layout.without(where, annotator=folder), base))
    return LayerCounts(root, base, own, without)


def format_rows(rows: Sequence[UnitRow]) -> bytes:
    r"""The bytes of annotators.csv: `\n`, UTF-8, floats by `repr`, an empty cell for none."""
    stream = io.StringIO(newline="")
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(UNIT_COLUMNS)
    table.writerows(rows)  # None becomes an empty cell, a float its repr
    return stream.getvalue().encode("utf-8")
