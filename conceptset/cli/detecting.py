"""The verb detect: what the formats say about files, directories and archives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conceptset.present.console import EXIT_FINDINGS, AsJson, Config, say, show_json, verb

if TYPE_CHECKING:
    from conceptset.build.sources import Group
    from conceptset.build.survey import Found, Survey
    from conceptset.formats.base import Detection

_PLACES = 6
_UNNAMED = "not named; use --annotator or --annotator-from"


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command()(detect)


@verb
def detect(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A file, a directory or an archive.")
    ],
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """Say which format annotations are in, whether they name annotators, and why not the others."""
    from conceptset.build.sources import look_at
    from conceptset.io.workspace import open_workspace

    with open_workspace() as workspace:
        (group,) = look_at([source], workspace)
        if as_json:
            show_json(_as_json(group))
        elif not group.path.is_dir():
            _tell_all(group.survey.whole)
        else:
            _tell_directory(group)
        found = bool(group.survey.found)
    if not found:
        raise typer.Exit(EXIT_FINDINGS)


def _tell_all(said: Sequence[Detection], where: str = "") -> None:
    """What each format says about one file or directory."""
    for one in said:
        verdict = "yes" if one.matches else "only with --format" if one.on_request else "no"
        say(f"{one.format}: {verdict}{where if one.matches else ''}: {', '.join(one.reasons)}")
        if one.matches:
            say(f"  annotators: {f'named by {one.people}' if one.people else _UNNAMED}")


def _tell_directory(group: Group) -> None:
    """What there is to read in a directory, and what the formats say that find nothing in it."""
    survey = group.survey
    if _is_whole(survey):
        inside = survey.found[0].path
        where = ", as a whole"
        if inside != group.path:
            where = f", all of {_name(group, inside)}"
        _tell_all(survey.whole, where)
        return
    total = len(survey.found) + survey.others
    for name, found in sorted(_by_format(survey).items(), key=lambda item: -len(item[1])):
        say(f"{name}: {len(found)} of {total} {_files(total)}")
        places = _people(found, name).most_common()
        for people, number in places[:_PLACES]:
            part = "" if number == len(found) else f" (in {number} {_files(number)})"
            say(f"  annotators: {f'named by {people}' if people else _UNNAMED}{part}")
        if len(places) > _PLACES:
            say(f"  ... and {len(places) - _PLACES} more ways; --json has all")
    for file in (found.path for found in survey.found if len(found.taking) > 1):
        say(f"  several formats take {_name(group, file)}; choose with --format NAME")
        break
    for one in survey.whole:
        if one.format not in _by_format(survey):
            verdict = "only with --format" if one.on_request else "no"
            say(f"{one.format}: {verdict}: {_why_not(group, one)}")
    if survey.others:
        say(f"in no known format: {survey.others} {_files(survey.others)}, such as")
        for file, said in survey.examples:
            say(f"  {_name(group, file)}")
            for one in said:
                say(f"    {one.format}: {', '.join(one.reasons)}")
    if survey.archives:
        number = len(survey.archives)
        say(f"not opened: {number} archives in it; name each as a source")


def _why_not(group: Group, one: Detection) -> str:
    """Why a format takes neither the directory nor a file in it."""
    reasons = ", ".join(one.reasons)
    if group.survey.first is None or not reasons.startswith("is a directory"):
        return reasons
    file, said = group.survey.first  # that the directory is no file tells nobody anything
    of_file = next(other for other in said if other.format == one.format)
    return f"no file in it; {_name(group, file)}: {', '.join(of_file.reasons)}"


def _as_json(group: Group) -> object:
    """The same for machines: of a file a list of detections, of anything else an object."""
    survey = group.survey
    if not group.path.is_dir():
        return [asdict(one) for one in survey.whole]
    is_whole = _is_whole(survey)
    return {
        "source": group.title,
        "kind": "directory" if group.path == group.given else "archive",
        "as_a_whole": _name(group, survey.found[0].path) if is_whole else None,
        "detections": [asdict(one) for one in survey.whole],
        "files": 0 if is_whole else len(survey.found) + survey.others,
        "formats": [
            {
                "format": name,
                "files": 0 if is_whole else len(found),
                "people": [
                    {"named_by": people or None, "files": number}
                    for people, number in _people(found, name).most_common()
                ],
            }
            for name, found in _by_format(survey).items()
        ],
        "others": survey.others,
        "examples": [
            {"file": _name(group, file), "detections": [asdict(one) for one in said]}
            for file, said in survey.examples
        ],
        "archives": [_name(group, file) for file in survey.archives],
    }


def _is_whole(survey: Survey) -> bool:
    return len(survey.found) == 1 and survey.found[0].path.is_dir()


def _name(group: Group, path: Path) -> str:
    inside = path.relative_to(group.path).as_posix()
    return group.title if inside == "." else f"{group.title}/{inside}"


def _by_format(survey: Survey) -> dict[str, list[Found]]:
    """What each format takes, formats sorted by name."""
    names = sorted({one.format for found in survey.found for one in found.taking})
    return {
        name: [found for found in survey.found if name in {one.format for one in found.taking}]
        for name in names
    }


def _people(found: Sequence[Found], name: str) -> Counter[str]:
    """How many files name annotators in which place; the empty one: in none."""
    return Counter(one.people or "" for each in found for one in each.taking if one.format == name)


def _files(number: int) -> str:
    return "file" if number == 1 else "files"
