"""The sentences of the page's head, and what a verdict asks its reader to do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from conceptset.consistency.document import ConsistencyReport, Verdict
from conceptset.consistency.page.pictures import Drawn
from conceptset.present.page import shown_name, shown_number, shown_percent

SHOWN_VERDICTS = 12
_LINKS = 3
_SEEN_IN_OUTLINES = ("quality", "sessions", "identity")

TOPICS = {
    "quality": "Outlines",
    "naming": "Names",
    "quantity": "Left out",
    "agreement": "Agreement",
    "sessions": "Own repeats",
    "identity": "Identity",
}
_ADVICE = {
    "quality": "Look at the outlines together{whom}: what belongs to the thing, what does not.",
    "naming": "Settle{whom} which name holds, and write it into the rules or the taxonomy.",
    "quantity": "Ask{whom} what is worth drawing: how small, how far away, how much of it hidden.",
    "agreement": "Look at these images together{whom} before anybody annotates more.",
    "sessions": "Look at both sessions{whom}: where the rules leave room, make them clearer.",
    "identity": "If it is one person, run again with the alias; if not, somebody may have copied.",
}


@dataclass(frozen=True, slots=True)
class Link:
    """An image that shows a verdict; `picture` is empty where none was drawn."""

    image: str
    anchor: str
    picture: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True, slots=True)
class VerdictView:
    """A verdict, what to do about it, and where it can be seen.

    Attributes:
        verdict: The strongest of its sort.
        number: Place among all verdicts, from 1.
        advice: What to do.
        range: Its interval, in words.
        links: Images that show it.
        also: The same about the same person in other layers.
    """

    verdict: Verdict
    number: int
    advice: str
    range: str
    links: tuple[Link, ...]
    also: tuple[Verdict, ...] = ()


def introduce(report: ConsistencyReport) -> str:
    """One or two sentences: what was compared with what."""
    kinds = {entry.annotator: entry.kind for entry in report.annotators}
    models = sum(kind == "model" for kind in kinds.values())
    who = _counted(len(kinds) - models, "annotator")
    if models:
        who += f" and {_counted(models, 'model')}"
    images = _counted(report.n_images, "image")
    if report.shared_images == report.n_images and len(kinds) > 1:
        text = f"{who} worked on {images}, each of them seen by two or more."
    else:
        text = (
            f"{who} worked on {images}. {_number(report.shared_images)} of these were annotated by "
            "two or more and can be compared."
        )
    shared = sorted(pair.n_images for pair in report.pairs if pair.category == _first(report))
    if len(kinds) > 2 and shared and shared[0] < report.shared_images:
        span = _number(shared[0])
        if shared[-1] != shared[0]:
            span += f" to {_number(shared[-1])}"
        text += f" Any two of them share {span} images."
    return text


def silence(report: ConsistencyReport) -> str:
    """What stands where there is no verdict: why."""
    if report.shared_images == 0:
        return (
            "No image was annotated by two people, so nothing can be said about how they agree. "
            "Have some images annotated twice: conceptset sample draws them."
        )
    if report.shared_images < 10:
        return (
            f"Only {_counted(report.shared_images, 'image')} can be compared; below 10, chance "
            "cannot be excluded and no verdict is given. The figures below are what was found."
        )
    if all(pair.n_images < 10 for pair in report.pairs):
        return (
            "No two people share 10 images; below that, chance cannot be excluded and no verdict "
            "is given. The figures below are what was found."
        )
    return (
        "No difference between annotators is larger than chance explains. What disagreement there "
        "is, the images below show."
    )


def view_verdicts(
    report: ConsistencyReport, drawn: Mapping[str, tuple[str, Sequence[Drawn]]]
) -> list[VerdictView]:
    """The first verdicts, each with links to its pictures.

    Args:
        report: Its verdicts come strongest first.
        drawn: By category, the anchor of the layer and its drawn images.
    """
    models = {entry.annotator for entry in report.annotators if entry.kind == "model"}
    return [
        VerdictView(
            group[0],
            place,
            _advise(group[0], models),
            _range(group[0]),
            tuple(_links(group[0], drawn)),
            tuple(group[1:]),
        )
        for place, group in enumerate(group_verdicts(report.verdicts)[:SHOWN_VERDICTS], start=1)
    ]


def group_verdicts(verdicts: Sequence[Verdict]) -> list[list[Verdict]]:
    """What is said of one person in several layers put together, the strongest first."""
    groups: dict[tuple[str, str, bool, str], list[Verdict]] = {}
    for verdict in verdicts:
        said = verdict.text.removeprefix(shown_name(verdict.about, 48))
        # names that meet are told one by one; all else differs in its numbers only
        words = verdict.text if verdict.topic == "naming" else re.split(r"[0-9]", said)[0]
        key = (verdict.about, verdict.topic, verdict.value < 0, words)
        groups.setdefault(key, []).append(verdict)
    return list(groups.values())


def _advise(verdict: Verdict, models: set[str]) -> str:
    if verdict.about in models:
        return "A model: look at these images before its masks are used, or trained on."
    whom = f" with {shown_name(verdict.about, 40)}" if verdict.about else ""
    if verdict.topic == "quantity":
        whom = whom.replace(" with", "", 1)
    return _ADVICE[verdict.topic].format(whom=whom)


def _range(verdict: Verdict) -> str:
    if verdict.low is None or verdict.high is None:
        return ""
    ends = sorted((abs(verdict.low), abs(verdict.high)))
    low, high = (shown_percent(end) for end in ends)
    return f"95\u00a0% interval {low} to {high}." if low != high else ""


def _links(verdict: Verdict, drawn: Mapping[str, tuple[str, Sequence[Drawn]]]) -> list[Link]:
    anchor, images = drawn.get(verdict.category, ("", ()))
    by_name = {entry.choice.entry.image: entry for entry in images}
    links: list[Link] = []
    for name in verdict.images:
        found = by_name.get(name)
        if found is not None and len(links) < _LINKS:
            panel = found.panels[0 if verdict.topic in _SEEN_IN_OUTLINES else 1]
            links.append(
                Link(
                    name,
                    f"{anchor}-image-{found.number}",
                    f"images/{panel.file}",
                    panel.size[1],
                    panel.size[0],
                )
            )
    return links


def _first(report: ConsistencyReport) -> str:
    return report.layers[0].category if report.layers else ""


def _counted(number: int, noun: str) -> str:
    return f"{_number(number)} {noun}{'' if number == 1 else 's'}"


def _number(number: int) -> str:
    return shown_number(number, 0)
