"""Images that are read when they are asked for, in this process or in another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias, overload

from conceptset.build.painting import BadShape
from conceptset.consistency.figures.stored_consensus import StoredConsensus
from conceptset.consistency.material import AnnotatedImage, Annotator, Material
from conceptset.errors import UsageError
from conceptset.findings import Problems
from conceptset.layout import names
from conceptset.records import Person


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that was read.

    Attributes:
        image: What everybody drew in it.
        bad: What could not be filled and is not in it.
    """

    image: AnnotatedImage
    bad: tuple[BadShape, ...] = ()


# Reads one image. It is sent to workers: a function of a module, or a `functools.partial` of one.
Load: TypeAlias = Callable[[Any], Loaded]


class LazyImages(Sequence[AnnotatedImage]):
    """The images of a comparison.

    Args:
        load: Reads one.
        tasks: What it needs to know for each, in order; small, and ready to be sent to a worker.
    """

    def __init__(self, load: Load, tasks: Sequence[Any]) -> None:
        self.load = load
        self.tasks = tasks

    def __len__(self) -> int:
        return len(self.tasks)

    @overload
    def __getitem__(self, place: int) -> AnnotatedImage: ...
    @overload
    def __getitem__(self, place: slice) -> Sequence[AnnotatedImage]: ...
    def __getitem__(self, place: int | slice) -> AnnotatedImage | Sequence[AnnotatedImage]:
        if isinstance(place, slice):
            return LazyImages(self.load, self.tasks[place])
        return self.load(self.tasks[place]).image

    def __iter__(self) -> Iterator[AnnotatedImage]:
        return (self.load(task).image for task in self.tasks)


@dataclass(frozen=True, slots=True)
class Opened:
    """What the arguments of a comparison came to.

    Attributes:
        material: What is compared; as long as what it was read from is open.
        images: The same as `material.stream`.
        problems: What was found wrong, and what is done about it.
        taxonomy: Name of the taxonomy's file, if there is one.
        notes: What to tell.
        left_out: What did not enter, by reason.
        consensus: That of a set of several people.
    """

    material: Material
    images: LazyImages
    problems: Problems
    taxonomy: str | None = None
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)
    consensus: StoredConsensus | None = None


def name_annotators(
    people: Iterable[tuple[Person, bool]],
) -> tuple[tuple[Annotator, ...], list[int]]:
    """Everybody, sorted by name and session, and the place of each among them.

    Somebody without a name is called `(unnamed)`.

    Args:
        people: Each with whether it is a model; one may come several times.
    """
    people = list(people)
    taken = {person.name for person, _ in people}
    nameless = next(name for k in range(1, len(taken) + 2) if (name := _nameless(k)) not in taken)
    models = {person.name for person, is_model in people if is_model}
    own = [
        Annotator(
            person.name or nameless,
            person.session,
            "model" if person.name in models else "person",
        )
        for person, _ in people
    ]
    everybody = tuple(sorted(set(own)))
    places = {annotator: place for place, annotator in enumerate(everybody)}
    return everybody, [places[annotator] for annotator in own]


def _nameless(number: int) -> str:
    return "(unnamed)" if number == 1 else f"(unnamed) {number}"


def choose_categories(found: Iterable[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """The label layers to compare, in the order of a set.

    Raises:
        UsageError: One is wanted in which nobody drew anything.
    """
    known = names.in_order(found)
    for category in wanted:
        if category not in known:
            raise UsageError(
                f"--category is {category!r}, in which nobody outlined anything",
                hint=f"Categories: {', '.join(known) or 'none'}.",
            )
    return tuple(name for name in known if name in wanted or not wanted)
