"""Names that may be one person, and names that are not."""

from __future__ import annotations

import itertools
import shlex

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from conceptset.consistency.counts import DRAWN
from conceptset.consistency.material import Annotator
from conceptset.consistency.verdicts.identity import how_alike, identity_notes, same_person_suspects

ONE_PERSON = [
    ("ada", "Ada"),
    ("ada lovelace", "Ada_Lovelace"),
    ("ada.lovelace", "ada lovelace "),
    ("Zoë Müller", "zoe muller"),
    ("ada.lovelace@example.org", "Ada Lovelace"),
    ("ada@example.org", "ada"),
    ("ada@lab.example.org", "ada@example.org"),
    ("Lovelace, Ada", "Ada Lovelace"),
    ("a.lovelace", "Ada Lovelace"),
    ("alovelace@example.org", "ada lovelace"),
    ("bartholomew", "bartolomew"),
    ("katharina", "katahrina"),
    ("rater 1", "Rater1"),
]
TWO_PEOPLE = [
    ("ada", "bob"),
    ("ann", "anna"),
    ("annotator1", "annotator2"),
    ("annotator 1", "annotator 11"),
    ("rater A", "rater B"),
    ("raterA", "raterB"),
    ("expert_low", "expert_high"),
    ("maria", "mario"),
    ("", "ada"),
    ("", " "),
    ("!", "?"),
    ("ada lovelace", "ada byron"),
    ("f3a91c", "f3a92c"),
    ("user@a.org", "user2@a.org"),
    ("nurse", "nurses"),
]


@pytest.mark.parametrize(("a", "b"), ONE_PERSON)
def test_alike(a, b):
    assert how_alike(a, b)
    assert how_alike(b, a) == how_alike(a, b)
    (suspect,) = same_person_suspects({a: [1], b: [2, 3]})
    assert (suspect.a, suspect.b, suspect.alias) == (a, b, f"{a}={b}")


@pytest.mark.parametrize(("a", "b"), TWO_PEOPLE)
def test_not_alike(a, b):
    assert how_alike(a, b) is None
    assert how_alike(b, a) is None


def test_who_met_on_an_image_is_two_people():
    """A slip of spelling says nothing then; capitals still do, as a second session."""
    assert same_person_suspects({"bartholomew": [1, 2], "bartolomew": [2]}) == []
    (suspect,) = same_person_suspects({"Ada": [1, 2], "ada": [2]})
    assert suspect.alias == "ada=Ada#2"


def test_notes():
    names = ["Ada L", "ada.l", "b'en", "B'EN"]
    annotators = [Annotator(name) for name in names]
    annotators += [Annotator("Ada L", 2), Annotator("ada-l", kind="model")]
    drawn = np.zeros(6, DRAWN)
    drawn["annotator"], drawn["image"] = range(6), [0, 1, 2, 2, 3, 4]
    first, second = identity_notes(drawn, annotators)
    assert first.startswith('"ada.l" and "Ada L" differ in capitals')
    assert "--alias 'ada.l=Ada L' joins" in first
    assert shlex.split(second)[-3] == "B'EN=b'en#2"
    many = [Annotator(f"a{'.' * number}") for number in range(8)]
    assert "23 more pairs" in identity_notes(np.zeros(0, DRAWN), many)[-1]


def test_many_people():
    """No suspicion among two hundred people who are numbered, lettered or named."""
    letters = [f"team {a}{b}" for a, b in itertools.product("abcdefghij", repeat=2)]
    numbers = [f"annotator_{number:03}" for number in range(100)]
    worked = {name: [place] for place, name in enumerate(letters + numbers)}
    assert same_person_suspects(worked) == []


@given(st.text(max_size=12), st.text(max_size=12))
def test_any_names(a, b):
    assert how_alike(a, b) == how_alike(b, a)
