"""All figures of an annotator comparison, from the counts of its images."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from conceptset.consistency.counting.checks import check_counts, check_splits
from conceptset.consistency.counting.objects import objects_alpha
from conceptset.consistency.counts import Counts
from conceptset.consistency.document import (
    AnnotatorEntry,
    Cluster,
    ConceptEntry,
    ConsensusEntry,
    ImageEntry,
    LayerEntry,
    PairEntry,
    Verdict,
)
from conceptset.consistency.figures.alphas import Alphas
from conceptset.consistency.figures.clusters import PairAgreements
from conceptset.consistency.figures.concepts import ConceptMeans, concept_entries, concepts_used
from conceptset.consistency.figures.estimates import Estimate, Estimates
from conceptset.consistency.figures.grouping import GroupedCounts
from conceptset.consistency.figures.images import MAX_ALONE, image_entries, images_alone, rows_among
from conceptset.consistency.figures.layers import ImageMeans, PairMeans, layer_entry
from conceptset.consistency.figures.pairs import (
    confusions_of,
    empty_entry,
    estimate_pair,
    pair_entry,
)
from conceptset.consistency.figures.people import (
    Beside,
    LayerTables,
    annotator_entry,
    estimate_annotator,
)
from conceptset.consistency.figures.resampling import Resamples
from conceptset.consistency.figures.roster import PairKind, Roster
from conceptset.consistency.intervals import MIN_IMAGES, RESAMPLES, SEED
from conceptset.consistency.material import Material


@dataclass(slots=True)
class Entries:
    """What a report lists; verdicts and consensus are filled in by others.

    Attributes:
        images: All images that two persons or more worked on, most disagreement first.
        alone: Images of one annotator only; the first thousand.
        shared_images: How many images two persons or more worked on.
        estimates: Annotators' and layers' figures with their resamples, for verdicts.
    """

    layers: list[LayerEntry]
    pairs: list[PairEntry]
    annotators: list[AnnotatorEntry]
    concepts: list[ConceptEntry]
    images: list[ImageEntry]
    alone: list[str]
    intra: list[PairEntry]
    shared_images: int
    estimates: Estimates
    notes: list[str] = field(default_factory=list)
    consensus: list[ConsensusEntry] = field(default_factory=list)
    clusters: list[Cluster] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


def compute(
    counts: Counts, material: Material, *, resamples: int = RESAMPLES, seed: int = SEED
) -> Entries:
    """Every entry of the report.

    Args:
        counts: Of all images.
        material: Its lists (annotators, concepts, categories, images); its stream is not read.
        resamples: Of the bootstrap over images.
        seed: Likewise.

    Raises:
        ConceptsetError: Counts that contradict each other, which is a fault of ours.
    """
    check_counts(counts, material)
    roster = Roster.of(material.annotators)
    drawn_again = Resamples(len(material.images), resamples=resamples, seed=seed)
    alone = images_alone(counts.drawn, roster)
    among = rows_among(counts.compared, roster.persons)
    entries = Entries(
        layers=[],
        pairs=[],
        annotators=[],
        concepts=[],
        images=image_entries(material, roster, counts.drawn, counts.compared),
        alone=[material.images[image] for image in alone[:MAX_ALONE]],
        intra=[],
        shared_images=len(np.unique(among["image"])),
        estimates=Estimates(drawn_again),
    )
    grouped = GroupedCounts(counts, len(material.annotators))
    for category in range(len(material.categories)):
        _Layer(counts, material, roster, grouped, category).fill(entries)
    entries.notes += _notes(roster, entries)
    return entries


def _notes(roster: Roster, entries: Entries) -> list[str]:
    """What cannot be said at all."""
    if len(roster.persons) < 2:
        who = "Only one person" if roster.persons else "No person"
        return [f"{who} annotated, so nothing can be said about agreement between people."]
    if not entries.shared_images:
        return ["No image was annotated by two persons, so nothing can be said about agreement."]
    if entries.shared_images < MIN_IMAGES:
        one = entries.shared_images == 1
        shared = "1 image was" if one else f"{entries.shared_images} images were"
        return [
            f"{shared} annotated by two persons or more; intervals need "
            f"{MIN_IMAGES}, so what is chance among images cannot be told."
        ]
    return []


class _Layer:
    """One category: pair after pair, then what is made of all of them."""

    def __init__(
        self,
        counts: Counts,
        material: Material,
        roster: Roster,
        grouped: GroupedCounts,
        category: int,
    ) -> None:
        self._material = material
        self._roster = roster
        self._grouped = grouped
        self._place = category
        self._name = material.categories[category]

        compared = rows_among(counts.compared, roster.persons)
        self._compared = compared[compared["category"] == category]
        cells = rows_among(counts.cells, roster.persons)
        self._cells = cells[cells["category"] == category]
        self._drawn = counts.drawn[counts.drawn["category"] == category]
        self._others = counts.others[counts.others["category"] == category]
        rows = counts.coincidences
        self._coincidences = rows[rows["category"] == category]
        self._objects = counts.objects[counts.objects["category"] == category]

    def fill(self, entries: Entries) -> None:
        """Add everything of this category."""
        resamples = entries.estimates.resamples
        size = (resamples.rows, resamples.images)
        concepts = ConceptMeans(concepts_used(self._cells), resamples.rows)
        means = PairMeans(*size)
        together = PairAgreements(self._roster.persons, resamples.rows)
        beside = {annotator: Beside(*size) for annotator in self._roster.first}
        for a, b, kind in self._roster.pairs():
            self._fill_pair(entries, a, b, kind, (concepts, means, together, beside))
        entries.concepts += concept_entries(
            self._name,
            self._cells,
            concepts,
            resamples,
            lambda code: self._material.concepts[code - 1],
        )
        self._fill_people(entries, means, beside)
        names = [self._roster.name(annotator) for annotator in self._roster.persons]
        entries.clusters += together.clusters(self._name, names)

    def _fill_pair(
        self,
        entries: Entries,
        a: int,
        b: int,
        kind: PairKind,
        means: tuple[ConceptMeans, PairMeans, PairAgreements, dict[int, Beside]],
    ) -> None:
        concepts, of_pairs, together, beside = means
        images = np.zeros(0, dtype=np.int64)
        names = (self._roster.name(a), self._roster.name(b))
        estimates: dict[str, Estimate] = {}
        entry = empty_entry(names, self._name, kind)
        if self._grouped.compared.has(self._place, a, b):
            counts = self._grouped.pair(self._place, a, b)
            images = counts.images
            visit = concepts.visit if kind == "people" else None
            estimates = estimate_pair(counts, entries.estimates.resamples, visit)
            check_splits(estimates, f"{names[0]} and {names[1]}, {self._name}")
            entry = pair_entry(
                names,
                self._name,
                kind,
                estimates,
                images=len(images),
                confusions=confusions_of(counts, self._material.concepts),
            )
            if kind == "people":
                of_pairs.add(a, b, estimates)
                together.add(a, b, estimates["any.mean.agreement"])
        (entries.intra if kind == "sessions" else entries.pairs).append(entry)
        if kind == "sessions":
            return
        for annotator, other in ((a, b), (b, a)):  # means are over persons, not over models
            if other in self._roster.persons:
                beside[annotator].add(
                    self._roster.name(other), estimates, images, is_a=annotator == a
                )

    def _fill_people(self, entries: Entries, means: PairMeans, beside: dict[int, Beside]) -> None:
        resamples = entries.estimates.resamples
        persons = self._roster.persons
        drawn = self._drawn[np.isin(self._drawn["annotator"], persons)]
        alphas = Alphas(self._coincidences, drawn, resamples)
        images = ImageMeans(drawn, self._compared, resamples.images)
        layer = means.estimates() | alphas.everybody() | images.estimates(resamples)
        layer["objects_alpha"] = objects_alpha(self._objects, resamples)
        entries.estimates.keep(self._name, "", layer)
        entries.layers.append(
            layer_entry(self._name, layer, persons, pairs=means, images=images, alphas=alphas)
        )
        for annotator in self._roster.first:
            estimates = estimate_annotator(
                annotator,
                self._roster,
                beside[annotator],
                LayerTables(self._drawn, self._others),
                alphas=alphas,
                alpha=layer["alpha"],
                resamples=resamples,
            )
            entries.estimates.keep(self._name, self._roster.name(annotator), estimates)
            entries.annotators.append(
                annotator_entry(annotator, self._roster, self._name, estimates, beside[annotator])
            )
