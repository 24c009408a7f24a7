"""What an annotator's own page shows: units by these labels beside units by the others'."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dissect.annotators.document import (
    AnnotatorReport,
    Change,
    ComparedAnnotator,
    Comparison,
    HumanReference,
    LayerAnnotator,
)
from dissect.report.people import LayerPeople
from dissect.state import LayerRecord

CONCEPTS = 12


@dataclass(frozen=True, slots=True)
class ChangeGroup:
    """Units that changed in the same way."""

    title: str
    note: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class DrawnConcept:
    """How an annotator's pixels of a concept agree with everybody else's.

    Attributes:
        reference: The concept.
        own: Mean IoU with the others.
        others: Mean IoU of the others with one another; None with fewer than two.
        pairs: (directory, IoU) with each of the others.
    """

    reference: HumanReference
    own: float
    others: float | None
    pairs: tuple[tuple[str, float | None], ...]

    @property
    def gap(self) -> float:
        """How far the annotator is from the others, beside how far they are from one another."""
        return self.own - (self.others if self.others is not None else 1.0)


class Shown(Protocol):
    """A layer as the index shows it."""

    @property
    def record(self) -> LayerRecord:
        """Its description."""

    @property
    def people(self) -> LayerPeople | None:
        """Its annotators."""


@dataclass(frozen=True, slots=True)
class PersonLayer:
    """A layer on an annotator's page.

    Attributes:
        view: The layer as the index shows it.
        figures: The annotator's.
        against: Units by the set's own index and by the annotator.
        without: Units by the consensus of all and of the others; none where nobody was left out.
    """

    view: Shown
    figures: LayerAnnotator
    against: tuple[ChangeGroup, ...]
    without: tuple[ChangeGroup, ...]


def person_layers(views: Sequence[Shown], annotator: ComparedAnnotator) -> list[PersonLayer]:
    """The layers, as far as they say something of the annotator."""
    found = []
    for view in views:
        if view.people is None:
            continue
        for entry in view.people.figures.annotators:
            if entry.directory == annotator.directory:
                left_out = entry.left_out
                found.append(
                    PersonLayer(
                        view,
                        entry,
                        group_changes(entry.against_consensus),
                        group_changes(left_out) if left_out is not None else (),
                    )
                )
    return found


def group_changes(comparison: Comparison) -> tuple[ChangeGroup, ...]:
    """Renamed detectors, lost ones and gained ones; each by falling IoU, empty groups left out."""
    groups: tuple[tuple[str, str, list[Change]], ...] = (
        ("Another concept", "a detector either way, of something else", []),
        ("No detector any more", "its best concept falls below the threshold", []),
        ("A detector now", "its best concept rises above the threshold", []),
    )
    for change in comparison.changes:
        kind = 1 if change.other_concept is None else (2 if change.concept is None else 0)
        groups[kind][2].append(change)
    return tuple(
        ChangeGroup(
            title,
            note,
            tuple(
                sorted(own, key=lambda change: (-max(change.iou, change.other_iou), change.unit))
            ),
        )
        for title, note, own in groups
        if own
    )


def concepts_drawn(report: AnnotatorReport, annotator: ComparedAnnotator) -> list[DrawnConcept]:
    """The concepts in which the annotator is furthest from the others, the worst first."""
    found = []
    for entry in report.concepts:
        own: list[tuple[str, float | None]] = []
        others: list[float] = []
        for pair in entry.pairs:
            if annotator.directory in (pair.a, pair.b):
                own.append((pair.b if pair.a == annotator.directory else pair.a, pair.iou))
            elif pair.iou is not None:
                others.append(pair.iou)
        known = [iou for _, iou in own if iou is not None]
        if known:
            mean = sum(others) / len(others) if others else None
            found.append(DrawnConcept(entry, sum(known) / len(known), mean, tuple(own)))
    found.sort(key=lambda concept: (concept.gap, concept.reference.label_number))
    return found[:CONCEPTS]
