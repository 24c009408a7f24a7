"""Who decides on the root's labels, and what they put to the vote."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from conceptset.build.members import Painted
from conceptset.build.numbering import Numbered, number_maps
from conceptset.build.vocabulary import Vocabulary
from conceptset.consensus import (
    IDENTIFIABLE,
    METHODS,
    Decision,
    Skills,
    Votes,
    cluster_segments,
    decide,
    learn_skills,
)
from conceptset.records import Person, first_sessions

_PER_NAME = 10  # things for each confused name, below which what is learned is noise

Drawn = dict[str, NDArray[np.int32]]  # by category: (things, people) names, 0 for none


@dataclass(frozen=True, slots=True)
class Electorate:
    """Who has a voice in the root's labels, and how they are counted.

    Attributes:
        people: Everybody, by index.
        models: Names of those who are no persons.
        consensus: A method, or the name of the annotator whose labels are the root's. A name that
            is a method's means the method.
        skills: For `dawid-skene`, by category, with a row for each of the people.
    """

    people: tuple[Person, ...]
    models: frozenset[str]
    consensus: str
    skills: Mapping[str, Skills] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """Whose labels count: one annotator's, else all persons', a model's only among models."""
        everybody = frozenset(person.name for person in self.people)
        if self.consensus not in METHODS:
            return everybody & {self.consensus}
        return everybody - self.models or everybody

    @property
    def learns(self) -> bool:
        """Whether confusions of names have to be learned, and can be."""
        return self.consensus == "dawid-skene" and len(self.names) >= IDENTIFIABLE

    def voters(self, workers: Iterable[int]) -> list[int]:
        """Who decides on an image: every person once, by the first session that saw it."""
        names = self.names
        asked = [person for person in workers if self.people[person].name in names]
        return sorted(asked[n] for n in first_sessions(self.people[person] for person in asked))

    def decide(self, category: str, voters: Sequence[int], votes: Votes) -> Decision:
        """What the voters agree on in one map."""
        if self.consensus not in METHODS:
            return decide("majority", votes)  # of one
        known = self.skills.get(category) if self.learns else None
        skills = None if known is None else known.of(voters)
        return decide(self.consensus, votes, skills=skills)

    def notes(self) -> list[str]:
        """What to tell of the choice."""
        told = []
        if self.consensus in METHODS and any(one.name == self.consensus for one in self.people):
            told.append(
                f"--consensus {self.consensus} is the method; an annotator has that name, too, and "
                "is asked for by another one (--alias OLD=NEW)"
            )
        if self.consensus == "dawid-skene" and len(self.names) == IDENTIFIABLE - 1:
            told.append(
                "dawid-skene cannot tell which of two annotators errs: the root's labels are those "
                "of --consensus majority, what both say"
            )
        return told


def votes_of(numbered: Numbered, voters: Sequence[int]) -> Iterator[tuple[tuple[str, int], Votes]]:
    """What is put to the vote in one image: (category, plane) of each map, and the votes."""
    empty = np.zeros(numbered.size, dtype=np.int32)
    silent = np.zeros(numbered.size, dtype=bool)
    for key in sorted({key for own in numbered.maps.values() for key in own}):
        labels = np.stack([numbered.maps[voter].get(key, empty) for voter in voters])
        abstained = np.stack([numbered.ignores.get((voter, key[0]), silent) for voter in voters])
        segments = None
        if numbered.segments is not None:
            segments = np.stack([numbered.segments[voter].get(key, empty) for voter in voters])
        yield key, Votes(labels, abstained, segments)


def things_drawn(electorate: Electorate, vocabulary: Vocabulary, painted: Painted) -> Drawn:
    """The names that everybody gave the things of one image, by category."""
    voters = electorate.voters(painted.people)
    found: dict[str, list[NDArray[np.int32]]] = {}
    if len(voters) > 1:
        for (category, _), votes in votes_of(number_maps(painted, vocabulary), voters):
            own = cluster_segments(votes).names
            names = np.zeros((len(own), len(electorate.people)), dtype=np.int32)
            names[:, voters] = own
            found.setdefault(category, []).append(names)
    return {category: np.concatenate(names) for category, names in found.items()}


class Learning:
    """Collects what was drawn, image by image; equal votes are kept once, with their number."""

    def __init__(self) -> None:
        self._votes: defaultdict[str, Counter[bytes]] = defaultdict(Counter)

    def add(self, drawn: Drawn) -> None:
        """Take the things of an image."""
        for category, names in drawn.items():
            self._votes[category].update(row.tobytes() for row in names)

    def finish(self, categories: Iterable[str], people: int) -> tuple[dict[str, Skills], list[str]]:
        """Everybody's confusions by category, and what to tell of them."""
        skills = {}
        things = several = confusable = 0
        for category in categories:
            votes = sorted(self._votes[category].items())
            rows = np.frombuffer(b"".join(row for row, _ in votes), dtype=np.int32)
            names, counts = rows.reshape(-1, people), np.array([count for _, count in votes], int)
            skills[category] = learn_skills(names, counts)
            things += int(counts.sum())
            several += skills[category].things
            confusable += sum(len(group.labels) for group in skills[category].groups)
        if 2 * several >= things and several >= _PER_NAME * confusable:
            return skills, []
        told = (
            f"dawid-skene learned confusions of {confusable:,} names from {several:,} things that "
            f"two people drew, of {things:,}: weakly founded, names can come out odd"
        )
        return skills, [told]
