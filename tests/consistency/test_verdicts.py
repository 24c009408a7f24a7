"""Verdicts: planted habits are told of the right person and nobody else; equals are left alone."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from drawn_people import count_and_judge, make_material, plain, truth
from hypothesis import given
from hypothesis import strategies as st

from conceptset.consistency.document import Verdict
from conceptset.consistency.verdicts.claims import Claim, beside_most, listed, screen

GROWN = 2  # pixels on each side


def larger(_rng, _image, thing):
    name, top, left, height, width = thing
    return (name, top - GROWN, left - GROWN, height + 2 * GROWN, width + 2 * GROWN)


def no_poles(_rng, _image, thing):
    return None if thing[0] == "pole" else thing


def trucks(_rng, image, thing):
    return ("truck", *thing[1:]) if thing[0] == "car" and image % 2 else thing


def own_names(_rng, image, thing):
    return (f"{thing[0]} {image}", *thing[1:])


def untidy(rng, _image, thing):
    name, top, left, height, width = thing
    return (name, top, left, height - int(rng.integers(0, 7)), width - int(rng.integers(0, 7)))


def told(habits, images=24, **options):
    return count_and_judge(make_material(habits, images, **options)).verdicts


def about(verdicts):
    return sorted({(verdict.about, verdict.topic) for verdict in verdicts})


def test_who_draws_larger():
    verdicts = told({"A": plain, "B": larger, "C": plain, "D": plain})
    found = [verdict for verdict in verdicts if verdict.topic == "quality"]
    assert [verdict.about for verdict in found] == ["B"]
    ratios = [  # of areas: rectangles keep theirs when they are shifted
        (height + 2 * GROWN) * (width + 2 * GROWN) / (height * width)
        for image in range(24)
        for _, _, _, height, width in truth(image)
    ]
    median = float(np.exp(np.median(np.log(ratios))))
    assert found[0].value == pytest.approx(median - 1)
    assert found[0].text == f"B draws {100 * (median - 1):.0f} % larger than the others"
    assert found[0].low <= found[0].value <= found[0].high


def test_nobody_is_blamed_for_one_who_is_off():
    """B alone is far off: nobody is told to draw smaller than the others."""
    verdicts = told({"A": plain, "B": larger, "C": plain})
    assert {verdict.about for verdict in verdicts} == {"B"}


def test_who_leaves_out_what():
    verdicts = told({"A": plain, "B": plain, "C": no_poles})
    assert about(verdicts) == [("C", "agreement"), ("C", "quantity")]
    found = next(verdict for verdict in verdicts if verdict.topic == "quantity")
    assert found.value == pytest.approx(0.25)  # one thing of four
    assert found.text == (
        "C leaves out 25 % of what the others draw, all of it pole; these leave out nothing"
    )


def test_who_calls_what_otherwise():
    verdicts = told({"A": trucks, "B": plain, "C": plain})
    assert ("A", "naming") in about(verdicts)
    assert {verdict.about for verdict in verdicts} == {"A"}
    found = next(verdict for verdict in verdicts if verdict.topic == "naming")
    # two cars in 24 images, met by two others: 96 matches, half of them in odd images
    assert found.text == "A calls truck what B and C call car (50 % of 96 matched segments)"
    assert found.value == pytest.approx(0.5)
    assert len(found.images) == 6
    assert all(int(image[:3]) % 2 for image in found.images)


def test_names_given_in_many_ways():
    verdicts = told({"A": own_names, "B": plain, "C": plain})
    found = [verdict for verdict in verdicts if verdict.topic == "naming"]
    assert [verdict.about for verdict in found] == ["A"]
    assert found[0].text.startswith("A names 100 % of the matched segments otherwise")


def test_names_that_everybody_mixes_up():
    def mixed(rng, _image, thing):
        return ("truck", *thing[1:]) if thing[0] == "car" and rng.random() < 0.5 else thing

    verdicts = told(dict.fromkeys("ABCD", mixed), images=60)
    assert about(verdicts) == [("", "naming")]
    assert "car and truck are taken for one another" in verdicts[0].text


def test_several_at_once():
    habits = {"A": plain, "B": larger, "C": no_poles, "D": trucks, "E": plain}
    verdicts = [v for v in told(habits) if v.topic != "agreement"]
    assert about(verdicts) == [("B", "quality"), ("C", "quantity"), ("D", "naming")]


def test_a_model_is_judged_like_a_person():
    verdicts = told({"A": plain, "B": plain, "net*": no_poles})
    assert ("net", "quantity") in about(verdicts)
    assert {verdict.about for verdict in verdicts} == {"net"}


def test_of_two_nobody_can_say_who_is_off():
    verdicts = told({"A": trucks, "B": larger})
    assert {verdict.about for verdict in verdicts} == {""}
    texts = [verdict.text for verdict in verdicts]
    assert any(text.startswith("B draws") and text.endswith("larger than A") for text in texts)
    naming = [text for text in texts if "calls" in text]
    assert naming == ["A calls truck what B calls car (50 % of 48 matched segments)"]


def test_the_same_person_under_two_names():
    material = make_material({"A": plain, "B": plain, "C": plain})
    copied = [
        type(image)(image.image, image.name, image.size, {**image.drawn, 2: image.drawn[0]}, None)
        for image in material.stream
    ]
    material = type(material)(
        material.annotators,
        material.concepts,
        material.categories,
        material.images,
        "area",
        "copied",
        copied,
    )
    verdicts = count_and_judge(material).verdicts
    assert about(verdicts) == [("", "identity")]
    assert "--alias C=A" in verdicts[0].text


def test_sessions():
    steady = told({"A": plain, "A#2": plain, "B": untidy, "C": untidy}, images=40)
    assert not [verdict for verdict in steady if verdict.topic == "sessions"]
    careless = told({"A": untidy, "A#2": untidy, "B": untidy, "C": untidy}, images=40)
    assert about(careless) == [("A", "sessions")]
    assert "hardly better than with the others" in careless[0].text
    drifting = told({"A": plain, "A#2": larger, "B": plain}, images=40)
    texts = [verdict.text for verdict in drifting if verdict.topic == "sessions"]
    assert any(text.startswith("A#2 draws") and "larger than A" in text for text in texts)


@pytest.mark.parametrize("people", [2, 3, 5])
@pytest.mark.parametrize("images", [12, 30])
def test_equals_are_left_alone(people, images):
    for seed in range(3):
        habits = {f"P{number}": untidy for number in range(people)}
        assert told(habits, images, seed=seed) == []


def test_few_images_say_nothing():
    assert told({"A": trucks, "B": larger, "C": no_poles}, images=9) == []


def test_degenerate():
    assert told({"A": plain}) == []
    assert (
        told({"A": plain, "B": plain}, worked=lambda name, image: (name == "A") == (image < 5))
        == []
    )
    nothing = told({"A": plain, "B": lambda *_: None})
    assert [verdict.text for verdict in nothing] == [
        "B leaves out 100 % of what A draws; A leaves out nothing of what B draws"
    ]


def test_strongest_first_and_the_same_again():
    habits = {"A": plain, "B": larger, "C": no_poles, "D": trucks, "E": plain}
    assert told(habits) == told(habits)


def claim(p, effect=2.0, text=""):
    verdict = Verdict(
        text=text, about="", topic="naming", category="", value=1, low=1, high=1, images=[]
    )
    return Claim(verdict, effect, is_certain=True, p=p)


@given(st.lists(st.floats(0, 1), max_size=30))
def test_screen_is_benjamini_and_hochberg(values):
    """Against the textbook's words: the largest k with p(k) <= k/m q; all up to it are kept."""
    claims = [claim(p, text=str(place)) for place, p in enumerate(values)]
    ordered = sorted(values)
    k = max((i for i, p in enumerate(ordered, 1) if p <= i / len(values) * 0.05), default=0)
    limit = ordered[k - 1] if k else -1
    kept = {claim.verdict.text for claim in screen(claims)}
    assert kept == {str(place) for place, p in enumerate(values) if p <= limit}


def test_screen_leaves_out_what_is_small():
    assert screen([claim(0.0, effect=0.99)]) == []
    assert [c.effect for c in screen([claim(0.0, 2), claim(0.0, 3), claim(0.001, 5)])] == [5, 3, 2]


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=9))
def test_beside_most(effects):
    found = beside_most(effects)
    assert 2 * sum(effect >= found for effect in effects) > len(effects)
    higher = [effect for effect in effects if effect > found]
    assert 2 * len(higher) <= len(effects)


def test_hostile_names_in_sentences():
    rename = {"car": "\u202eevil", "truck": "x" * 10_000}
    material = make_material(
        {"A" * 500: trucks, "B": plain, "C": plain}, rename=lambda name: rename.get(name, name)
    )
    for verdict in count_and_judge(material).verdicts:
        assert "\u202e" not in verdict.text
        assert len(verdict.text) < 400


def test_listed():
    for number in range(1, 7):
        names = [f"N{place}" for place in range(number)]
        text = listed(names)
        shown = [name for name in names if name in text]
        rest = number - len(shown)
        assert rest != 1
        assert (f"and {rest} others" in text) == (rest > 0)
    assert list(itertools.chain(listed([]))) == []
