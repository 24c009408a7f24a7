"""Two names that may be one person because they look alike."""

from __future__ import annotations

import difflib
import itertools
import re
import shlex
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from conceptset.consistency.counts import Table
from conceptset.consistency.material import Annotator
from conceptset.errors import printable

_CLOSE = 0.85  # of difflib; "bartholomew" and "bartolomew" have 0.95
_TOLD = 5  # pairs; the rest is counted
_MIN_LETTERS = 5  # below that a slip of the pen is another name
_WORD = re.compile(r"[^\W_]+")
_ADDRESS = re.compile(r"([^@\s]+)@[^@\s]+\.[^@\s]+")


class Suspect(NamedTuple):
    """Two names that may be one person.

    Attributes:
        a: The name with less work.
        b: The other.
        reason: Why, as the end of a sentence that begins with both names.
        alias: What to give to `--alias` if they are: `a=b`, or `a=b#2` where both annotated the
            same image.
    """

    a: str
    b: str
    reason: str
    alias: str


def same_person_suspects(worked: Mapping[str, Collection[int]]) -> list[Suspect]:
    """Pairs of names that may be one person.

    Names that look alike are suspicious where they never met on an image; where they did, only if
    nothing but capitals, blanks and punctuation tells them apart.

    Args:
        worked: Images that each person worked on, by name; sessions are not people.

    Returns:
        In the order of the names.

    >>> [one.alias for one in same_person_suspects({"Ada": [1], "ada": [2, 3], "ben": [1]})]
    ['Ada=ada']
    """
    seen = {name: frozenset(images) for name, images in worked.items()}
    found = []
    for a, b in itertools.combinations(sorted(seen), 2):
        shared = len(seen[a] & seen[b])
        reason = how_alike(a, b)
        if shared and not _same_letters(a, b):
            reason = None
        if reason is not None:
            less, more = sorted((a, b), key=lambda name: (len(seen[name]), name))
            found.append(Suspect(less, more, reason, f"{less}={more}{'#2' if shared else ''}"))
    return found


def identity_notes(drawn: Table, annotators: Sequence[Annotator]) -> list[str]:
    """What to tell of names that look alike, one sentence for each pair.

    Args:
        drawn: Rows of DRAWN.
        annotators: Everybody, in the order of the material.
    """
    worked: dict[str, set[int]] = {}
    for place, one in enumerate(annotators):
        if one.kind == "person":
            rows = drawn[drawn["annotator"] == place]
            worked.setdefault(one.name, set()).update(rows["image"].tolist())
    suspects = same_person_suspects(worked)
    notes = [
        f'"{printable(one.a, 60)}" and "{printable(one.b, 60)}" {one.reason}. If they are one '
        f"person, --alias {shlex.quote(printable(one.alias, 200))} joins them."
        for one in suspects[:_TOLD]
    ]
    if len(suspects) > _TOLD:
        notes.append(f"{len(suspects) - _TOLD} more pairs of names look alike.")
    return notes


def how_alike(a: str, b: str) -> str | None:
    """How two different names look alike; None if they do not.

    Numbers tell people apart (rater 1, rater 2), and so does a last letter (rater A, rater B).

    >>> how_alike("Ada Lovelace", "ada.lovelace@example.org")
    'are the same but for an address'
    >>> how_alike("annotator1", "annotator2"), how_alike("raterA", "raterB")
    (None, None)
    """
    if _same_letters(a, b):
        return "differ in capitals, blanks or punctuation only"
    one, other = _words(a), _words(b)
    reasons = {
        "are the same but for an address": _joined(one) == _joined(other),
        "are the same words in another order": sorted(one) == sorted(other),
        "are one name with and without initials": _initials_fit(one, other)
        or _initials_fit(other, one),
        "differ by a slip of spelling": _is_slip(_joined(one), _joined(other)),
    }
    if not one or not other or _numbers(one) != _numbers(other):
        return None
    return next((reason for reason, holds in reasons.items() if holds), None)


def _same_letters(a: str, b: str) -> bool:
    letters = _joined(_WORD.findall(_plain(a)))
    return letters != "" and letters == _joined(_WORD.findall(_plain(b)))


def _plain(name: str) -> str:
    """Without capitals and accents."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in decomposed if not unicodedata.combining(letter))


def _words(name: str) -> list[str]:
    """The words of a name; of an address what stands before the @."""
    address = _ADDRESS.fullmatch(name.strip())
    return _WORD.findall(_plain(address[1] if address else name))


def _joined(words: list[str]) -> str:
    return "".join(words)


def _numbers(words: list[str]) -> list[str]:
    return re.findall(r"\d+", " ".join(words))


def _initials_fit(short: list[str], full: list[str]) -> bool:
    """Whether `a lovelace` or `alovelace` stands for `ada lovelace`."""
    if len(full) < 2 or len(full[-1]) < _MIN_LETTERS:
        return False
    initials = "".join(word[0] for word in full[:-1])
    return short != full and _joined(short) == initials + full[-1]


def _is_slip(a: str, b: str) -> bool:
    """One or two letters that are wrong, missing or swapped, but not the last one alone."""
    if min(len(a), len(b)) < _MIN_LETTERS or a[:-1] == b[:-1]:
        return False
    if a in (b[:-1], b[1:]) or b in (a[:-1], a[1:]):  # a letter before or after is a series, too
        return False
    matcher = difflib.SequenceMatcher(None, a, b, autojunk=False)
    return matcher.quick_ratio() >= _CLOSE and matcher.ratio() >= _CLOSE
