"""Who has to do what in an image, and what that makes of the pairs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Mapping, Sequence

from conceptset.layout.samples import SamplePair
from conceptset.records import Person

Sessions = Mapping[str, frozenset[int]]


def tasks_in(sessions: Sessions, people: Sequence[str], *, again: bool) -> tuple[Person, ...]:
    """The sessions that an image still needs.

    Each person annotates it once, with `again` twice. One sample asks for one session at most:
    somebody who has not seen the image starts with the first one.

    >>> tasks_in({"ada": frozenset([1])}, ["ada", "bo"], again=False)
    (Person(name='bo', session=1),)
    >>> [str(task) for task in tasks_in({"ada": frozenset([1])}, ["ada", "bo"], again=True)]
    ['ada#2', 'bo']
    """
    wanted = 2 if again else 1
    result = []
    for name in people:
        taken = sessions.get(name, frozenset())
        if len(taken) < wanted:
            result.append(Person(name, next(n for n in itertools.count(1) if n not in taken)))
    return tuple(result)


def gain_of(sessions: Sessions, people: Sequence[str], *, again: bool) -> int:
    """Comparisons that the tasks of an image add: pairs of the people named, and repetitions.

    >>> gain_of({"ada": frozenset([1])}, ["ada", "bo", "cy"], again=False)
    3
    """
    before = sum(name in sessions for name in people)
    tasks = tasks_in(sessions, people, again=again)
    repeated = sum(task.name in sessions for task in tasks)
    after = before + len(tasks) - repeated
    return after * (after - 1) // 2 - before * (before - 1) // 2 + repeated


def count_pairs(
    images: Sequence[Sessions],
    sampled: Mapping[int, Sequence[Person]],
    people: Sequence[str],
) -> list[SamplePair]:
    """The pairs with at least one of the people named, before and after the tasks.

    Args:
        images: Who annotated each image of the set.
        sampled: Place of each image drawn, to its tasks.
        people: Those who were named. Pairs among them come first, also those without an image.
    """
    named = frozenset(people)
    before: Counter[tuple[str, str]] = Counter()
    after: Counter[tuple[str, str]] = Counter()
    for place, sessions in enumerate(images):
        here = _pairs({Person(name, n) for name, ns in sessions.items() for n in ns}, named)
        before.update(here)
        if place in sampled:
            done = {Person(name, n) for name, ns in sessions.items() for n in ns}
            after.update(_pairs(done | set(sampled[place]), named) - here)
    among = [(a, b) for a, b in itertools.combinations(sorted(named), 2)]
    others = sorted((before.keys() | after.keys()) - set(among))
    return [SamplePair(a=a, b=b, before=before[a, b], added=after[a, b]) for a, b in among + others]


def _pairs(sessions: set[Person], named: frozenset[str]) -> set[tuple[str, str]]:
    """Pairs of different persons, and of two sessions of one, that an image holds."""
    who = sorted({person.name for person in sessions})
    several = Counter(person.name for person in sessions)
    people = {(a, b) for a, b in itertools.combinations(who, 2) if a in named or b in named}
    return people | {(name, f"{name}#2") for name in who if several[name] > 1 and name in named}
