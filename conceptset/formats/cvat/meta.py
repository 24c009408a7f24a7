"""What `meta` says: the tasks with their frames, the labels, and who was at work."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from xml.etree.ElementTree import Element

from conceptset.errors import printable
from conceptset.parsing.values import clean_name, whole_number
from conceptset.records import Person

MAX_FRAME = 999_999_999
_STEP = re.compile(r"\s*step\s*=\s*([1-9][0-9]{0,8})\s*")


@dataclass(frozen=True, slots=True)
class Naming:
    """Whom a file names as the annotator.

    Attributes:
        person: The person.
        place: Where: `meta/task/owner`.
    """

    person: Person
    place: str

    def __str__(self) -> str:
        alone = ", no assignee is named" if self.place.endswith("owner") else ""
        return f"{self.place}: {printable(str(self.person), 80)}{alone}"


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a file, or the job of one.

    Attributes:
        id: As text; empty where it is not stated.
        subset: Of the task, in a project; else empty.
        first: Number of its first frame; in a project the frames of a subset's tasks follow each
            other.
        last: Number of the last frame there can be; None if nothing says so.
        step: From frame to frame.
        size: (height, width) of a video; None if it is not stated.
        naming: Who was at work; None if nobody is named.
    """

    id: str = ""
    subset: str = ""
    first: int = 0
    last: int | None = None
    step: int = 1
    size: tuple[int, int] | None = None
    naming: Naming | None = None

    @property
    def people(self) -> tuple[Person, ...]:
        """Who worked on each of its images."""
        return () if self.naming is None else (self.naming.person,)


@dataclass(frozen=True, slots=True)
class Meta:
    """The `meta` element.

    Attributes:
        kind: `task`, `project` or `job`; empty if there is none of them.
        tasks: Those of a project, else exactly one.
        labels: The names it declares; empty if it declares none.
        subsets: Of a project.
        naming: Who was at work on what belongs to no listed task.
        by_id: The tasks of a project by their ids.
    """

    kind: str = ""
    tasks: tuple[Task, ...] = (Task(),)
    labels: frozenset[str] = frozenset()
    subsets: frozenset[str] = frozenset()
    naming: Naming | None = None
    by_id: Mapping[str, Task] = field(default_factory=dict)

    def task_of(self, task_id: str | None, subset: str | None) -> Task:
        """The task that an image or track says it belongs to.

        One that is not listed is a task of its own, about which only the project speaks.
        """
        if self.kind != "project":
            return self.tasks[0]
        return self.by_id.get(task_id or "") or Task(
            id=task_id or "", subset=subset or "", naming=self.naming
        )


def meta_from(element: Element) -> Meta:
    """What a `meta` element says; what it does not say, or says unclearly, is left open."""
    project = element.find("project")
    kind = next((kind for kind in ("job", "task") if element.find(kind) is not None), "")
    if project is not None and not kind:
        return _project(project)
    body = element.find(kind) if kind else None
    if body is None:
        return Meta()
    places = (("meta/job", element.find("job")), ("meta/task", element.find("task")))
    naming = _first_named(places)
    size = _size(body) or _size(element)  # a job's stands beside it
    return Meta(kind, (_task(body, size, naming),), _labels(body), naming=naming)


def _project(body: Element) -> Meta:
    own = ("meta/project", body)
    tasks: list[Task] = []
    offsets: dict[str, int] = {}
    for one in body.iterfind("tasks/task"):
        naming = _first_named((("meta/project/tasks/task", one), own))
        task = _task(one, _size(one), naming, offsets)
        tasks.append(task)
    stated = {line.strip() for line in (body.findtext("subsets") or "").splitlines()}
    subsets = frozenset(stated | {task.subset for task in tasks}) - {""}
    by_id = {task.id: task for task in reversed(tasks) if task.id}
    return Meta("project", tuple(tasks), _labels(body), subsets, _first_named((own,)), by_id)


def _task(
    body: Element,
    size: tuple[int, int] | None,
    naming: Naming | None,
    offsets: dict[str, int] | None = None,
) -> Task:
    """A task or job.

    Args:
        body: Its element.
        size: Of its video.
        naming: Who was at work.
        offsets: In a project, where the frames of each subset's next task begin; moved on.
    """
    subset = (body.findtext("subset") or "").strip() if offsets is not None else ""
    offset = 0 if offsets is None else offsets.get(subset, 0)
    start, stop = _frame(body, "start_frame") or 0, _frame(body, "stop_frame")
    match = _STEP.fullmatch(body.findtext("frame_filter") or "")
    step = int(match[1]) if match else 1
    number = _frame(body, "size")
    if stop is None and number:
        stop = start + (number - 1) * step
    if offsets is not None:
        number = number if number is not None or stop is None else (stop - start) // step + 1
        offsets[subset] = offset + start + step * (number or 0)
    last = None if stop is None else offset + stop
    task_id = (body.findtext("id") or "").strip()
    return Task(task_id, subset, offset + start, last, step, size, naming)


def _frame(body: Element, tag: str) -> int | None:
    number = whole_number(body.findtext(tag))
    return number if number is not None and number <= MAX_FRAME else None


def _size(body: Element) -> tuple[int, int] | None:
    """(height, width) of the video."""
    height = whole_number(body.findtext("original_size/height"))
    width = whole_number(body.findtext("original_size/width"))
    return (height, width) if height and width else None


def _labels(body: Element) -> frozenset[str]:
    names = (clean_name(label.findtext("name")) for label in body.iterfind("labels/label"))
    return frozenset(name for name in names if name is not None)


def _first_named(places: Iterable[tuple[str, Element | None]]) -> Naming | None:
    """The first assignee of some places, else their first owner."""
    listed = list(places)
    for role in ("assignee", "owner"):
        for place, body in listed:
            person = None if body is None else body.find(role)
            if person is None:
                continue
            name = clean_name(person.findtext("username") or person.text)
            if name is not None:
                return Naming(Person(name), f"{place}/{role}")
    return None
