"""A sample from set to directory."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from conceptset import __version__
from conceptset.consistency.intervals import MIN_IMAGES
from conceptset.consistency.verdicts.identity import how_alike
from conceptset.errors import UsageError, printable
from conceptset.io.atomic import check_target, new_directory
from conceptset.layout import names
from conceptset.layout.samples import (
    Sample,
    SampledConcept,
    SampledImage,
    SamplePair,
    SampleSettings,
    TaskList,
)
from conceptset.records import Person
from conceptset.sampling.drawing import Candidate, draw
from conceptset.sampling.options import SampleOptions, check_people, images_wanted
from conceptset.sampling.reading import Annotated, Concept, Known, read_set
from conceptset.sampling.tasks import count_pairs, gain_of, tasks_in
from conceptset.sampling.writing import write_sample

_SHOWN = 8  # names in one line


@dataclass(frozen=True, slots=True)
class _Drawn:
    """Images drawn, in order: place in the set, and who has a task there."""

    places: Sequence[int]
    tasks: Mapping[int, tuple[Person, ...]]


def sample_set(root: Path, out: Path, options: SampleOptions) -> Sample:
    """Draw images that several people annotate again, and write a task list for each.

    An image goes to everybody named who has not annotated it; with `again` also, as a second
    session, to who has done so once. Images with nothing left to do are not drawn. The draw covers
    concepts as evenly as it can (see `conceptset.sampling.drawing.draw`).

    Args:
        root: The set, one of ours or a foreign Broden layout.
        out: The directory to write.
        options: What is wanted.

    Returns:
        What was written to sample.json.

    Raises:
        UsageError: Options that cannot be used, or there is nothing left to annotate.
        LayoutError: The set cannot be used.
        OutputError: The directory cannot be written.
    """
    check_target(out, overwrite=options.overwrite)
    known = read_set(root)
    people = check_people(options.annotators, known.models, again=options.again)
    wanted = images_wanted(options.repeat, len(known.images))
    drawn, open_places = _draw(known, people, wanted, options)
    pairs = count_pairs([one.sessions for one in known.images], drawn.tasks, people)
    lists = _task_lists(known, people, drawn)
    notes = [
        *_notes_on_names(people, known.people),
        *_notes_on_size(wanted, len(open_places), drawn),
        *_notes_on_pairs(pairs, people, len(open_places), drawn),
    ]
    document = Sample(
        generator=f"conceptset {__version__}",
        settings=SampleSettings(
            repeat=options.repeat.strip(),
            annotators=people,
            again=options.again,
            seed=options.seed,
        ),
        images=[_image(known.images[i], drawn.tasks[i], people) for i in drawn.places],
        tasks=lists,
        pairs=pairs,
        concepts=_coverage(known, open_places, drawn),
        notes=notes,
    )
    with new_directory(out, overwrite=options.overwrite) as folder:
        write_sample(folder, document)
    return document


def _draw(
    known: Annotated, people: Sequence[str], wanted: int, options: SampleOptions
) -> tuple[_Drawn, frozenset[int]]:
    """The images drawn, and the places of all that could have been."""
    candidates: dict[int, Candidate[Concept]] = {}
    covered: Counter[Concept] = Counter()
    for place, one in enumerate(known.images):
        gain = gain_of(one.sessions, people, again=options.again)
        if gain:
            candidates[place] = Candidate(one.origin.sha256, gain, one.concepts)
        else:
            covered.update(one.concepts)
    if not candidates:
        raise UsageError(
            f"{_listed(people)} have annotated all {len(known.images):,} images"
            f"{' twice' if options.again else ''}, nothing is left to draw from",
            hint="Name somebody else." if options.again else "--again asks for second sessions.",
        )
    order = list(candidates)
    chosen = draw([candidates[i] for i in order], wanted, seed=options.seed, covered=covered)
    places = [order[i] for i in chosen]
    tasks = {
        i: tasks_in(known.images[i].sessions, people, again=options.again) for i in places
    }  # fmt: skip
    return _Drawn(places, tasks), frozenset(candidates)


def _image(one: Known, tasks: Sequence[Person], people: Sequence[str]) -> SampledImage:
    done = [Person(name, n) for name in people for n in sorted(one.sessions.get(name, ()))]
    return SampledImage(
        image=one.origin.image,
        source=one.origin.source,
        original=one.origin.original,
        sha256=one.origin.sha256,
        tasks=[str(task) for task in tasks],
        done=[str(person) for person in done],
    )


def _task_lists(known: Annotated, people: Sequence[str], drawn: _Drawn) -> list[TaskList]:
    """One for each person and session, people in the order they were named."""
    counts = Counter(task for tasks in drawn.tasks.values() for task in tasks)
    holders = sorted(counts, key=lambda person: (people.index(person.name), person.session))
    directories = names.annotator_directories(map(str, holders))
    return [
        TaskList(
            annotator=person.name,
            session=person.session,
            known=person.name in known.people,
            directory=directory,
            images=counts[person],
        )
        for person, directory in zip(holders, directories, strict=True)
    ]


def _coverage(known: Annotated, open_places: frozenset[int], drawn: _Drawn) -> list[SampledConcept]:
    """How often each concept is in the set, finished, and drawn."""
    everywhere: Counter[Concept] = Counter()
    finished: Counter[Concept] = Counter()
    sampled: Counter[Concept] = Counter()
    for place, one in enumerate(known.images):
        everywhere.update(one.concepts)
        if place not in open_places:
            finished.update(one.concepts)
        elif place in drawn.tasks:
            sampled.update(one.concepts)
    order = sorted(everywhere, key=lambda c: (finished[c] + sampled[c], everywhere[c], c))
    return [
        SampledConcept(
            category=concept[0],
            concept=concept[1],
            images=everywhere[concept],
            finished=finished[concept],
            sampled=sampled[concept],
        )
        for concept in order
    ]


def _listed(people: Sequence[str]) -> str:
    shown = ", ".join(printable(name, 60) for name in people[:_SHOWN])
    return shown if len(people) <= _SHOWN else f"{shown} and {len(people) - _SHOWN} more"


def _notes_on_names(people: Sequence[str], known: Sequence[str]) -> list[str]:
    """New people, who may be misspelled."""
    folded = {name.casefold(): name for name in reversed(known) if name}
    result = []
    for name in people:
        if name in known:
            continue
        close = difflib.get_close_matches(name.casefold(), folded, n=3)
        alike = (other for other in known if how_alike(name, other))
        near = list(dict.fromkeys([*alike, *(folded[one] for one in close)]))[:3]
        meant = " or ".join(repr(printable(one, 60)) for one in near)
        result.append(
            f"{printable(name, 60)!r} has annotated nothing in this set and is taken as a new "
            f"person{f'; did you mean {meant}?' if near else ''}"
        )
    return result


def _notes_on_size(wanted: int, possible: int, drawn: _Drawn) -> list[str]:
    if len(drawn.places) == wanted:
        return []
    return [f"{wanted:,} images were asked for, only {possible:,} have a task left: all are drawn"]


def _notes_on_pairs(
    pairs: Sequence[SamplePair], people: Sequence[str], possible: int, drawn: _Drawn
) -> list[str]:
    """Pairs of the people named that stay below what an interval needs."""
    named = set(people)
    short = [
        pair
        for pair in pairs
        if (pair.a in named and pair.b in named) and pair.before + pair.added < MIN_IMAGES
    ]
    if not short:
        return []
    least = min(short, key=lambda pair: pair.before + pair.added)
    total = least.before + least.added
    more = len(drawn.places) + MIN_IMAGES - total
    least_two = f"{_listed([least.a])} and {_listed([least.b])}"
    who = least_two if len(short) == 1 else f"{len(short)} pairs ({least_two} the least)"
    todo = f"--repeat {more} would do" if more <= possible else "the set is too small for more"
    images = "1 image" if total == 1 else f"{total} images"
    return [f"{who} will share {images}; intervals need {MIN_IMAGES}: {todo}"]
