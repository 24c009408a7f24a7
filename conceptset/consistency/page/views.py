"""What the page shows of each label layer, ready for the template."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from conceptset.consistency.document import (
    AnnotatorEntry,
    ConceptEntry,
    ConsensusEntry,
    ConsistencyReport,
    Figure,
    LayerEntry,
    PairEntry,
)
from conceptset.consistency.page.charts import (
    Dot,
    Part,
    Scale,
    bar,
    dot,
    scale_for,
    split_shares,
    stack,
)
from conceptset.consistency.page.footnotes import Footnotes
from conceptset.consistency.page.matrix import Matrix, make_matrix
from conceptset.consistency.page.naming import Clash, list_clashes
from conceptset.consistency.page.pictures import Drawn
from conceptset.present.palette import PALETTE

MAX_CLASHES = 20
MAX_CONCEPTS = 30
_FEW_IMAGES = 3
_DOT_WIDTH = 168
_BIAS_WIDTH = 104
_STACK_WIDTH = 120
_MISSED_WIDTH = 48
_TABLES = ("people", "concepts", "matrix", "sessions", "consensus", "layer")


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One annotator beside the others.

    Attributes:
        entry: The figures.
        slot: Place of the colour.
        agreement: On its scale.
        parts: The three kinds and agreement, stacked.
        bias: Of outlines, on its scale.
        missed: Length of the bar of what was left out.
    """

    entry: AnnotatorEntry
    slot: int
    agreement: Dot | None
    parts: tuple[Part, ...]
    bias: Dot | None
    missed: float


@dataclass(frozen=True, slots=True)
class ConceptRow:
    """One concept.

    Attributes:
        entry: The figures.
        iou: Mean over pairs, on its scale.
        span: Lowest and highest pair on the same scale.
        parts: The three kinds and agreement, stacked.
    """

    entry: ConceptEntry
    iou: Dot | None
    span: tuple[float, float] | None
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True)
class SessionRow:
    """Two sessions of one person, and the same person beside the others."""

    pair: PairEntry
    person: str
    dot: Dot | None
    parts: tuple[Part, ...]
    others: Figure | None
    others_dot: Dot | None


@dataclass(frozen=True, slots=True)
class LayerView:
    """One label layer.

    Attributes:
        category: Its name.
        anchor: For links.
        segments: Of all annotators.
        layer: Figures of all together; None where the document has none.
        parts: Mean over pairs, stacked.
        people: By falling agreement.
        scales: Of the columns `agreement`, `bias`, `concepts` and `sessions`.
        matrix: All pairs.
        clashes: Names that meet on the same things, the most frequent.
        all_clashes: How many there are in all.
        concepts: The worst first; those of fewer than three shared images stand at the end.
        all_concepts: How many there are in all.
        images: Drawn ones.
        sessions: Of the same person.
        consensus: Rows of the consensus.
        notes: Why figures are missing, by table.
    """

    category: str
    anchor: str
    segments: float
    layer: LayerEntry | None
    parts: tuple[Part, ...]
    people: tuple[PersonRow, ...]
    scales: Mapping[str, Scale]
    matrix: Matrix
    clashes: tuple[Clash, ...]
    all_clashes: int
    concepts: tuple[ConceptRow, ...]
    all_concepts: int
    images: tuple[Drawn, ...]
    sessions: tuple[SessionRow, ...]
    consensus: tuple[ConsensusEntry, ...]
    notes: Mapping[str, Footnotes] = field(
        default_factory=lambda: {name: Footnotes() for name in _TABLES}
    )

    @property
    def models(self) -> list[str]:
        """The models that take part."""
        return [row.entry.annotator for row in self.people if row.entry.kind == "model"]


def order_layers(report: ConsistencyReport) -> list[str]:
    """The label layers, the one with most segments first; equal ones in the document's order."""
    known = [entry.category for entry in report.layers]
    known += [entry.category for entry in report.annotators]
    totals = dict.fromkeys(known, 0.0)
    for entry in report.annotators:
        totals[entry.category] += _segments(entry)
    return sorted(totals, key=lambda category: -totals[category])


def _segments(entry: AnnotatorEntry) -> float:
    figure = entry.figures.get("segments")
    return 0.0 if figure is None or figure.value is None else figure.value * entry.n_images


def colour_slots(names: Sequence[str]) -> dict[str, int]:
    """A colour for everybody: their own as long as there are enough."""
    last = len(PALETTE) - 1
    return {name: place if place < last else last for place, name in enumerate(names)}


def view_layer(
    report: ConsistencyReport, category: str, images: Sequence[Drawn], slots: Mapping[str, int]
) -> LayerView:
    """Everything the page shows of one label layer."""
    entries = [entry for entry in report.annotators if entry.category == category]
    pairs = [entry for entry in report.pairs if entry.category == category]
    clusters = [entry for entry in report.clusters if entry.category == category]
    concepts = [entry for entry in report.concepts if entry.category == category]
    intra = [entry for entry in report.intra if entry.category == category]
    layer = next((entry for entry in report.layers if entry.category == category), None)
    scales = _scales(entries, concepts, intra)
    people = _people(entries, scales, slots)
    clashes = list_clashes(pairs)
    return LayerView(
        category=category,
        anchor=_anchor(category),
        segments=sum(_segments(entry) for entry in entries),
        layer=layer,
        parts=() if layer is None else stack(_layer_shares(layer), 640),
        people=people,
        scales=scales,
        matrix=make_matrix([row.entry.annotator for row in people], pairs, clusters),
        clashes=tuple(clashes[:MAX_CLASHES]),
        all_clashes=len(clashes),
        concepts=_concepts(concepts, scales["concepts"]),
        all_concepts=len(concepts),
        images=tuple(images),
        sessions=_sessions(intra, entries, scales["sessions"]),
        consensus=tuple(entry for entry in report.consensus if entry.category == category),
    )


def _anchor(category: str) -> str:
    return "layer-" + re.sub(r"[^a-z0-9]+", "-", category.lower())


def _layer_shares(layer: LayerEntry) -> list[tuple[str, float | None]]:
    kinds = ("agreement", "quality", "naming", "quantity")
    figures = [(kind, layer.figures.get(kind)) for kind in kinds]
    return [(kind, None if figure is None else figure.value) for kind, figure in figures]


def _scales(
    entries: Sequence[AnnotatorEntry],
    concepts: Sequence[ConceptEntry],
    intra: Sequence[PairEntry],
) -> dict[str, Scale]:
    agreements = [entry.figures["agreement"] for entry in entries]
    bias = [as_share(entry.figures["outline_bias"]) for entry in entries]
    ious = [entry.figures[name] for entry in concepts for name in ("iou", "iou_min", "iou_max")]
    own = [pair.pixels.any.mean.agreement for pair in intra]
    return {
        "agreement": scale_for(agreements, _DOT_WIDTH, bounds=(0, 1)),
        "bias": scale_for(bias, _BIAS_WIDTH, around=0.0),
        "concepts": scale_for(ious, _DOT_WIDTH, bounds=(0, 1)),
        "sessions": scale_for([*own, *agreements], _DOT_WIDTH, bounds=(0, 1)),
    }


def as_share(figure: Figure) -> Figure:
    """The logarithm of a ratio as the ratio less 1, so that its scale is even in per cent."""
    ends = {
        name: None if (value := getattr(figure, name)) is None else math.expm1(value)
        for name in ("value", "low", "high")
    }
    return figure.model_copy(update=ends)


def _people(
    entries: Sequence[AnnotatorEntry], scales: Mapping[str, Scale], slots: Mapping[str, int]
) -> tuple[PersonRow, ...]:
    missed = [figure.value or 0.0 for entry in entries if (figure := entry.figures["not_found"])]
    most = max([0.05, *missed])
    rows = [
        PersonRow(
            entry,
            slots.get(entry.annotator, len(PALETTE) - 1),
            dot(entry.figures["agreement"], scales["agreement"]),
            stack(split_shares(entry.pixels), _STACK_WIDTH),
            dot(as_share(entry.figures["outline_bias"]), scales["bias"]),
            bar(entry.figures["not_found"].value, most, _MISSED_WIDTH),
        )
        for entry in entries
    ]
    return tuple(sorted(rows, key=_by_agreement))


def _by_agreement(row: PersonRow) -> tuple[bool, float, str]:
    value = row.entry.figures["agreement"].value
    return (value is None, -(value or 0.0), row.entry.annotator)


def _concepts(entries: Sequence[ConceptEntry], scale: Scale) -> tuple[ConceptRow, ...]:
    def key(entry: ConceptEntry) -> tuple[bool, bool, float, str]:
        value = entry.figures["iou"].value
        return (value is None, entry.n_images < _FEW_IMAGES, value or 0.0, entry.concept)

    rows = []
    for entry in sorted(entries, key=key)[:MAX_CONCEPTS]:
        low, high = entry.figures["iou_min"].value, entry.figures["iou_max"].value
        rows.append(
            ConceptRow(
                entry,
                dot(entry.figures["iou"], scale),
                None if low is None or high is None else (scale.place(low), scale.place(high)),
                stack(split_shares(entry.split), _STACK_WIDTH),
            )
        )
    return tuple(rows)


def _sessions(
    intra: Sequence[PairEntry], entries: Sequence[AnnotatorEntry], scale: Scale
) -> tuple[SessionRow, ...]:
    agreements = {entry.annotator: entry.figures["agreement"] for entry in entries}
    rows = []
    for pair in intra:
        person = pair.a.rpartition("#")[0] or pair.a if pair.a not in agreements else pair.a
        others = agreements.get(person)
        figure = pair.pixels.any.mean.agreement
        rows.append(
            SessionRow(
                pair,
                person,
                dot(figure, scale),
                stack(split_shares(pair.pixels.any.mean), _STACK_WIDTH),
                others,
                None if others is None else dot(others, scale),
            )
        )
    return tuple(rows)
