"""The layers of all runs, read one after the other and brought together by their names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dissect.compare.gathering import Member
from dissect.compare.reading import LayerTable, read_layer
from dissect.compare.resampling import DetectorSamples, sample_detectors
from dissect.state import LayerRecord

NOT_ASKED = "no intervals were asked for"


@dataclass(frozen=True, slots=True)
class Column:
    """A layer of one run.

    Attributes:
        place: Of the run.
        member: The run.
        record: The layer.
        table: Its scores.
        samples: Its detectors in every resample.
    """

    place: int
    member: Member
    record: LayerRecord
    table: LayerTable
    samples: DetectorSamples

    def matches(self, other: Column) -> bool:
        """Whether units of equal number are the same place in the same architecture."""
        a, b = self.member.run.model, other.member.run.model
        own, others = self.record, other.record
        return (a.name, a.source, own.name, own.units, own.kind) == (
            *(b.name, b.source, others.name, others.units, others.kind),
        )


def read_columns(
    members: Sequence[Member],
    *,
    intervals: bool,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Column]:
    """Every layer of every run, run by run.

    Args:
        members: The runs.
        intervals: Resample the images.
        jobs: Threads that do so.
        progress: Called with (layers read, layers in all).

    Raises:
        LayoutError: A file of a run cannot be read.
    """
    total, done = sum(len(member.run.layers) for member in members), 0
    for place, member in enumerate(members):
        tables = [read_layer(member.layout, record) for record in member.run.layers]
        categories = {label: name for own in tables for label, name in own.categories.items()}
        for record, table in zip(member.run.layers, tables, strict=True):
            samples = DetectorSamples(np.empty(0, dtype=np.int64), "", NOT_ASKED)
            if intervals:
                samples = sample_detectors(
                    *(member.layout, member.run, record, categories, table.probability), jobs=jobs
                )
            yield Column(place, member, record, table, samples)
            done += 1
            if progress is not None:
                progress(done, total)


def group_columns(columns: Sequence[Column]) -> list[tuple[str | None, list[Column]]]:
    """Columns of one layer name together, as first met; names that only one run has come last."""
    by_name: dict[str, list[Column]] = {}
    for column in columns:
        by_name.setdefault(column.record.name, []).append(column)
    shared: list[tuple[str | None, list[Column]]] = [
        (name, own) for name, own in by_name.items() if len(own) > 1
    ]
    single = [own[0] for own in by_name.values() if len(own) == 1]
    single.sort(key=lambda column: column.place)  # stable: layers stay in the run's order
    return [*shared, (None, single)] if single else shared
