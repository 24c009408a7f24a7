"""The annotators of a run compared: annotators.json and each layer's annotators.csv."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conceptset.consistency.intervals import (
    LEVEL,
    MIN_IMAGES,
    SEED,
    Interval,
    percentile_interval,
)
from dissect.annotators.basis import Basis, choose_basis, labelled_by_any
from dissect.annotators.document import (
    AnnotatorReport,
    CategoryBasis,
    ComparedAnnotator,
    Figure,
    HumanReference,
    PairImages,
    PairIou,
    Settings,
)
from dissect.annotators.reference import Reference, agree_on_concepts
from dissect.counts import Agreement, Counts, IntArray
from dissect.entries import BoolArray
from dissect.intervals import RESAMPLES, Resamples
from dissect.state import AnnotatorRecord, Run
from dissect.upsample import FloatArray

MAX_PAIRS = 300  # of annotators; beyond it intervals and figures of single pairs take too long
_TOO_MANY = f"more than {MAX_PAIRS} pairs of annotators"
NO_INTERVAL = Interval(np.nan, np.nan, _TOO_MANY)


@dataclass(frozen=True, slots=True)
class Company:
    """The annotators of a run, and those among them that are compared with one another.

    Attributes:
        records: All of them, as run.json lists them.
        compared: Places in `records`: the first session of every person. Models, and persons
            whom another session stands for, are set beside the consensus only.
    """

    records: tuple[AnnotatorRecord, ...]
    compared: tuple[int, ...]

    @classmethod
    def of(cls, records: Sequence[AnnotatorRecord]) -> Company:
        """The company of a run's annotators."""
        first: dict[str, int] = {}
        for place, record in enumerate(records):
            if record.kind == "person":
                known = first.get(record.name)
                if known is None or record.session < records[known].session:
                    first[record.name] = place
        return cls(tuple(records), tuple(sorted(first.values())))

    @property
    def many(self) -> bool:
        """Whether there are too many pairs to look at each in every resample."""
        return len(self.compared) * (len(self.compared) - 1) // 2 > MAX_PAIRS

    @property
    def directories(self) -> list[str]:
        """Of those who are compared."""
        return [self.records[place].directory for place in self.compared]


@dataclass(frozen=True, slots=True)
class Ground:
    """What all layers of a run have in common.

    Attributes:
        company: Who is compared.
        names: Of the labels.
        categories: In the set's order.
        place: (labels,) primary category of each label.
        rows: (images,) rows of the index that was dissected.
        worked: (annotators, images) who worked on what; all annotators of the run.
        labelled: (categories, images) where any of them used a label of the category.
        basis: The images that those who are compared are compared on.
        samples: Resamples of `rows`.
        reference: How well they agree, in every resample.
        human: (labels,) the same with every image once.
    """

    company: Company
    names: Mapping[int, str]
    categories: tuple[str, ...]
    place: IntArray
    rows: IntArray
    worked: BoolArray
    labelled: BoolArray
    basis: Basis
    samples: Resamples
    reference: Reference
    human: FloatArray


def lay_ground(
    run: Run,
    agreement: Agreement,
    truths: Sequence[Counts],
    names: Mapping[int, str],
    place: IntArray,
    *,
    rows: IntArray,
    samples: Resamples | None = None,
) -> Ground:
    """What is the same in every layer.

    Args:
        run: The run.
        agreement: Who worked on what, and shares which pixels with whom.
        truths: The counts of any one layer, by annotator of the run.
        names: Of the labels.
        place: (labels,) primary category of each label, a place in the run's categories.
        rows: (images,) rows of the index that was dissected, rising.
        samples: Resamples of `rows`; drawn if not given.
    """
    company = Company.of(run.annotators)
    worked = np.zeros((len(run.annotators), len(rows)), dtype=np.bool_)
    worked[agreement.worked[:, 1], np.searchsorted(rows, agreement.worked[:, 0])] = True
    categories = len(run.counts.categories)
    compared = list(company.compared)
    labelled = labelled_by_any([truths[a] for a in compared], place, rows, categories)
    basis = choose_basis(worked[compared], labelled, rows)
    if company.many:
        samples = Resamples(rows, np.empty((len(rows), 0), dtype=np.float32))
    elif samples is None:
        samples = Resamples.draw(rows, resamples=RESAMPLES)
    shared = renumber(agreement.shared, company.compared)
    return Ground(
        company=company,
        names=names,
        categories=run.counts.categories,
        place=place,
        rows=rows,
        worked=worked,
        labelled=labelled_by_any(truths, place, rows, categories),
        basis=basis,
        samples=samples,
        reference=agree_on_concepts(shared, place, basis, samples),
        human=agree_on_concepts(shared, place, basis, Resamples.once(rows)).mean[:, 0],
    )


def renumber(shared: IntArray, compared: Sequence[int]) -> IntArray:
    """The rows (image, label, a, b, pixels) of those who are compared, by their places there."""
    table = np.full(max([0, *shared[:, 2], *shared[:, 3], *compared]) + 1, -1, dtype=np.int64)
    table[list(compared)] = np.arange(len(compared))
    rows = shared.copy()
    rows[:, 2:4] = table[shared[:, 2:4]]
    return rows[(rows[:, 2:4] >= 0).all(axis=1)]


def describe_settings(run: Run) -> Settings:
    """What the figures depend on."""
    return Settings(
        iou_threshold=run.config.iou_threshold,
        union=run.config.union,
        resamples=RESAMPLES,
        seed=SEED,
        level=LEVEL,
        method=run.leave_one_out.method if run.leave_one_out else None,
    )


def describe_annotators(company: Company) -> tuple[ComparedAnnotator, ...]:
    """The annotators, in the order of the run."""
    return tuple(
        ComparedAnnotator(
            directory=record.directory,
            name=record.name,
            session=record.session,
            kind=record.kind,
            images=record.images,
            compared=place in company.compared,
        )
        for place, record in enumerate(company.records)
    )


def describe_basis(ground: Ground) -> tuple[CategoryBasis, ...]:
    """The images of each category."""
    who = ground.company.directories
    found = []
    for place, category in enumerate(ground.categories):
        mode = ground.basis.modes[place]
        pairs = tuple(
            PairImages(a=who[a], b=who[b], n_images=int(view.carried[place].sum()))
            for view in ground.basis.views
            if mode == "pairs" and view.carried[place].any()
            for a, b in view.pairs
        )
        images = int(ground.basis.images[place])
        found.append(CategoryBasis(category=category, mode=mode, n_images=images, pairs=pairs))
    return tuple(found)


def describe_references(ground: Ground) -> tuple[HumanReference, ...]:
    """H of every concept that anybody who is compared used on the images compared."""
    who, found = ground.company.directories, []
    for label, name in sorted(ground.names.items()):
        if label >= len(ground.place) or not np.isfinite(ground.human[label]):
            continue
        category = int(ground.place[label])
        value = float(ground.human[label])
        pairs = tuple(
            PairIou(a=who[a], b=who[b], iou=optional(values[label]))
            for (a, b), values in sorted(ground.reference.pairs.items())
            if not ground.company.many
        )
        found.append(
            HumanReference(
                label_number=label,
                concept=name,
                category=ground.categories[category],
                human_reference=figure(
                    value, ground.reference.mean[label], int(ground.basis.images[category])
                ),
                annotator_ceiling=(1 + value) / 2,
                pairs=pairs,
            )
        )
    return tuple(found)


def figure(value: float, estimates: FloatArray, images: int, *, why: str = "") -> Figure:
    """A figure with its interval over resamples.

    Args:
        value: NaN where undefined.
        estimates: (resamples,) the same in each.
        images: How many it rests on.
        why: The reason, where it is undefined.
    """
    if not np.isfinite(value):
        return Figure(value=None, n_images=images, reason=why or "undefined")
    interval = interval_of(np.asarray(estimates, dtype=np.float64), images)
    return Figure(
        value=float(value),
        low=optional(interval.low),
        high=optional(interval.high),
        n_images=images,
        reason=interval.reason or None,
    )


def interval_of(estimates: FloatArray, images: int) -> Interval:
    """The percentile interval; none where no resample was made, because of too many pairs."""
    if len(estimates) == 0:
        return NO_INTERVAL
    return percentile_interval(estimates, images=images)


def optional(value: float) -> float | None:
    """The number; None for NaN."""
    return float(value) if np.isfinite(value) else None


def describe_notes(ground: Ground, run: Run) -> tuple[str, ...]:
    """What cannot be said, and why."""
    notes = []
    compared = len(ground.company.compared)
    if compared < 2:
        notes.append(
            f"{compared} of the annotators can be compared; agreement between people needs two."
        )
    if ground.company.many:
        notes.append(f"There are {_TOO_MANY}: intervals and figures of single pairs are left out.")
    for basis in describe_basis(ground):
        if compared > 2 and basis.mode == "pairs":
            notes.append(
                f"Fewer than {MIN_IMAGES} images of category {basis.category} were seen by "
                "everybody: figures are means over pairs, each on the images that it shares."
            )
        elif compared > 1 and basis.mode == "none":
            notes.append(f"No two annotators share an image of category {basis.category}.")
    if run.leave_one_out and run.leave_one_out.reason:
        notes.append(
            f"A person is left out of the consensus by {run.leave_one_out.method}: "
            f"{run.leave_one_out.reason}."
        )
    return tuple(notes)


def describe_run(ground: Ground, run: Run) -> AnnotatorReport:
    """annotators.json without its layers."""
    return AnnotatorReport(
        settings=describe_settings(run),
        annotators=describe_annotators(ground.company),
        basis=describe_basis(ground),
        concepts=describe_references(ground),
        layers=(),
        notes=describe_notes(ground, run),
    )
