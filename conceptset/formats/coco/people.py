"""Who drew what: COCO has no place for it, custom exports have several.

`annotations[].annotator`, `.rater_id` or `.attributes.annotator` name the person of one region,
`images[].annotator` the person of one listing of an image, `images[].rater_list` everybody who
worked on it: a list, or with sessions an object `{"ada": [1, 2]}`, where `annotations[].session_id`
says in which one. `info.contributor` speaks for the whole file and is the weakest statement.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from conceptset.parsing.defects import Spot
from conceptset.parsing.values import clean_name, described, person_from
from conceptset.records import Person

_KEYS = ("annotator", "rater_id", "attributes")


def own_value(annotation: dict[str, Any]) -> tuple[str, object]:
    """(key, value) by which an annotation names its annotator; ("", None) if it does not."""
    if annotation.keys().isdisjoint(_KEYS):
        return "", None
    attributes = annotation.get("attributes")
    candidates = [
        ("annotator", annotation.get("annotator")),
        ("rater_id", annotation.get("rater_id")),
        (
            "attributes/annotator",
            attributes.get("annotator") if isinstance(attributes, dict) else None,
        ),
    ]
    return next(((key, value) for key, value in candidates if not _is_silent(value)), ("", None))


def _is_silent(value: object) -> bool:
    return value is None or (isinstance(value, str) and not value.strip())


def annotator_of(annotation: dict[str, Any], spot: Spot) -> tuple[Person | None, bool]:
    """Whom an annotation names, and whether that can be relied on (False after a report)."""
    key, value = own_value(annotation)
    try:
        person = person_from(value)
        if person is not None and annotation.get("session_id") is not None:
            key = "session_id"
            person = _in_session(person, annotation[key])
    except ValueError as error:
        spot.at(key).report("SRC029", f"{error}.")
        return None, False
    return person, True


def _in_session(person: Person, session: object) -> Person:
    """The person in a session, unless the name has one already.

    Raises:
        ValueError: It is no session.
    """
    if isinstance(session, bool) or not isinstance(session, int) or not 1 <= session <= 99:
        raise ValueError(f"the session is {described(session)}, 1 to 99 was expected")
    return Person(person.name, session) if person.session == 1 else person


def image_workers(image: dict[str, Any], spot: Spot) -> tuple[Person, ...] | None:
    """Whom an image entry names, the one of `annotator` first; None after a report."""
    raters = _raters(image.get("rater_list"))
    if raters is None:
        spot.at("rater_list").report(
            "SRC029",
            f"the raters are {described(image['rater_list'])}, a list of names, or an object of "
            "names with a list of sessions each, was expected.",
        )
        return None
    workers: dict[Person, None] = {}
    for key, value, session in [("annotator", image.get("annotator"), None), *raters]:
        try:
            person = person_from(value)
            if person is not None and session is not None:
                person = _in_session(person, session)
        except ValueError as error:
            spot.at(key).report("SRC029", f"{error}.")
            return None
        if person is not None:
            workers[person] = None
    return tuple(workers)


def _raters(raters: object) -> list[tuple[str, object, object]] | None:
    """(key, name, session or None) of everybody in a `rater_list`; None if it is none."""
    if raters is None:
        return []
    if isinstance(raters, list):
        return [(f"rater_list/{i}", rater, None) for i, rater in enumerate(raters)]
    if isinstance(raters, dict) and all(isinstance(own, list) for own in raters.values()):
        return [("rater_list", name, session) for name, own in raters.items() for session in own]
    return None


def image_default(image: dict[str, Any], workers: tuple[Person, ...]) -> Person | None:
    """Whose the regions without a name of their own are.

    `images[].annotator`'s, or that of a list of raters with one name in it.
    """
    named = not _is_silent(image.get("annotator"))
    return workers[0] if workers and (named or len(workers) == 1) else None


def file_person(contributor: object) -> Person | None:
    """Whom `info.contributor` names."""
    name = clean_name(contributor)
    return None if name is None else Person(name)


def places_of_people(
    images: Iterable[object], annotations: Iterable[object], contributor: object
) -> list[str]:
    """The keys under which a file names annotators, for `detect`."""
    places: dict[str, None] = {}
    for annotation in annotations:
        if isinstance(annotation, dict) and (key := own_value(annotation)[0]):
            places[f"annotations[].{key.replace('/', '.')}"] = None
    for image in images:
        if isinstance(image, dict):
            if not _is_silent(image.get("annotator")):
                places["images[].annotator"] = None
            if image.get("rater_list"):
                places["images[].rater_list"] = None
    if file_person(contributor) is not None:
        places["info.contributor (of the whole file)"] = None
    return list(places)
