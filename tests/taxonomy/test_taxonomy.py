"""What names mean."""

from __future__ import annotations

import pytest

from conceptset.errors import TaxonomyError
from conceptset.taxonomy import Entry, Meaning, Taxonomy, parse_taxonomy


def table(*rows):
    header = ["name", "concept", "category", "synonyms"]
    return parse_taxonomy(
        header,
        [(line, dict(zip(header, row, strict=True))) for line, row in enumerate(rows, start=2)],
    )


def test_without_an_entry_a_name_means_itself():
    plain = Taxonomy()
    assert plain.meaning("car", "region") == Meaning("car", "object")
    assert plain.meaning("wheel", "part") == Meaning("wheel", "part")
    assert plain.meaning("street", "tag") == Meaning("street", "scene")
    assert plain.meaning("two\n words", "region") == Meaning("two words", "object")
    assert "car" not in plain


def test_a_name_with_several_rows_is_chosen_by_how_it_was_drawn():
    door = table(
        ("door", "door", "part", ""),
        ("door", "doorway", "scene", ""),
        ("door", "gate", "object", ""),
    )
    assert door.meaning("door", "part") == Meaning("door", "part")
    assert door.meaning("door", "tag") == Meaning("doorway", "scene")
    assert door.meaning("door", "region") == Meaning("gate", "object")
    only = table(("door", "door", "part", ""))
    assert only.meaning("door", "region") == Meaning("door", "part")
    woven = table(("woven", "woven", "texture", ""))
    assert woven.meaning("woven", "tag") == woven.meaning("woven", "region")


def test_synonyms_are_drawn_names_too_and_are_listed():
    cars = table(("car", "car", "object", "auto; automobile"), ("van", "car", "object", ""))
    assert cars.meaning("auto", "region") == Meaning("car", "object")
    assert cars.synonyms("car") == ("auto", "automobile", "van")
    assert cars.synonyms("boat") == ()


def test_an_empty_concept_leaves_the_name_out():
    dropped = table(("junk", "", "", ""))
    assert dropped.meaning("junk", "region") is None
    assert "junk" in dropped


def test_names_are_compared_verbatim():
    cars = table(("Car", "car", "object", ""))
    assert cars.meaning("car", "region") == Meaning("car", "object")  # its own default
    assert cars.meaning("CAR", "region") == Meaning("CAR", "object")


@pytest.mark.parametrize(
    "entries",
    [
        [Entry("a", Meaning("x", "object")), Entry("a", Meaning("y", "object"))],
        [Entry("a", Meaning("x", "object")), Entry("a", None)],
        [Entry("a", None), Entry("a", Meaning("x", "object"))],
    ],
)
def test_contradictions_are_refused(entries):
    with pytest.raises(TaxonomyError, match="'a'"):
        Taxonomy(entries)


def test_repetition_is_no_contradiction():
    twice = table(("a", "x", "object", ""), ("a", "x", "object", ""))
    assert twice.meaning("a", "region") == Meaning("x", "object")
