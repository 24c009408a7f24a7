"""Which images are drawn: those that a verdict names, then the most disputed of every sort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from conceptset.consistency.document import ImageEntry, Verdict

SHOWN = 24  # of the whole page
_FEWEST = 6  # of one layer
_OF_A_VERDICT = 2
_FATIGUE = 0.85  # what one more image of the same sort is worth


@dataclass(frozen=True, slots=True)
class Choice:
    """An image to be drawn.

    Attributes:
        entry: Its figures.
        verdicts: Places of the verdicts that name it.
        about: Whom these verdicts concern.
        sessions_of: Whose sessions they compare.
    """

    entry: ImageEntry
    verdicts: tuple[int, ...] = ()
    about: frozenset[str] = frozenset()
    sessions_of: frozenset[str] = frozenset()


def choose_images(
    entries: Sequence[ImageEntry], verdicts: Sequence[Verdict], *, layers: int = 1
) -> list[Choice]:
    """The images of one layer to look at first.

    Images that verdicts name come first, in the order of the verdicts. The rest is taken one by
    one: the share in dispute counts, and less for the third image of one kind of disagreement
    than for the first.

    Args:
        entries: Images of the layer.
        verdicts: Of the page; those of other layers are passed over.
        layers: Between how many layers the page is shared.
    """
    by_name = {entry.image: entry for entry in entries}
    category = {entry.category for entry in entries}
    named: dict[str, list[int]] = {}
    for turn in range(_OF_A_VERDICT):
        for verdict in verdicts:
            images = [image for image in verdict.images if image in by_name]
            if verdict.category in category and turn < len(images):
                named.setdefault(images[turn], [])
    for image, places in named.items():
        places.extend(i for i, verdict in enumerate(verdicts) if image in verdict.images)
    room = max(_FEWEST, SHOWN // max(1, layers))
    chosen = [by_name[image] for image in named][: max(room, len(verdicts))]
    rest = [
        entry for entry in entries if entry.image not in named and entry.disputed and _share(entry)
    ]
    chosen += _pick(rest, room - len(chosen), Counter(_sort(entry) for entry in chosen))
    return [_choice(entry, named.get(entry.image, []), verdicts) for entry in chosen]


def _choice(entry: ImageEntry, places: Sequence[int], verdicts: Sequence[Verdict]) -> Choice:
    found = [verdicts[place] for place in places]
    return Choice(
        entry,
        tuple(places),
        frozenset(verdict.about for verdict in found),
        frozenset(verdict.about for verdict in found if verdict.topic == "sessions"),
    )


def _pick(entries: list[ImageEntry], number: int, seen: Counter[str]) -> list[ImageEntry]:
    picked: list[ImageEntry] = []
    rest = list(entries)
    while rest and len(picked) < number:
        best = max(rest, key=lambda entry: _share(entry) * _FATIGUE ** seen[_sort(entry)])
        rest.remove(best)
        seen[_sort(best)] += 1
        picked.append(best)
    return picked


def _share(entry: ImageEntry) -> float:
    return 0.0 if entry.agreement is None else 1 - entry.agreement


def _sort(entry: ImageEntry) -> str:
    """The kind of disagreement that most of an image's disputed pixels are of."""
    shares = {
        "quality": entry.quality or 0.0,
        "naming": entry.naming or 0.0,
        "quantity": entry.quantity or 0.0,
    }
    return max(shares, key=lambda kind: shares[kind])
