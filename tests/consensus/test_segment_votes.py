"""Votes on segments, against sets of pixels in plain loops and cases worked out by hand."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conceptset.consensus import Unnamed, Votes, decide


def votes_from(*maps, silent=(), segments=None):
    """Maps drawn in text, a line per row; digits are labels."""
    labels = np.array([[list(map(int, line)) for line in text.split()] for text in maps])
    abstained = np.zeros(labels.shape, dtype=bool)
    for place in silent:
        abstained[place] = True
    apart = None
    if segments is not None:
        apart = np.array([[list(map(int, line)) for line in text.split()] for text in segments])
        apart = apart.astype(np.int32)
    return Votes(labels.astype(np.int32), abstained, apart)


def shown(decision):
    return [
        "".join("?" if open_ else str(label) for label, open_ in zip(row, flags, strict=True))
        for row, flags in zip(decision.labels.tolist(), decision.undecided.tolist(), strict=True)
    ]


# ----------------------------------------------------------------- the same with sets of pixels


def clusters_of(votes):
    """[{annotator: (label, pixels)}] of all things."""
    pieces = []
    people, height, width = votes.labels.shape
    places = list(itertools.product(range(height), range(width)))
    source = votes.labels if votes.segments is None else votes.segments
    for person in range(people):
        own = {}
        for place in places:
            label, piece = votes.labels[person][place], source[person][place]
            if label and piece and not votes.abstained[person][place]:
                own.setdefault(int(piece), (int(label), set()))[1].add(place)
        pieces += [(person, piece, *own[piece]) for piece in sorted(own)]
    pairs = []
    for (i, one), (j, other) in itertools.combinations(enumerate(pieces), 2):
        if one[0] == other[0]:
            continue
        valid = {
            p for p in places if not (votes.abstained[one[0]][p] or votes.abstained[other[0]][p])
        }
        a, b = one[3] & valid, other[3] & valid
        if a | b and len(a & b) / len(a | b) > 0.5:
            pairs.append((-len(a & b) / len(a | b), i, j))
    things = [{i} for i in range(len(pieces))]
    for _, i, j in sorted(pairs):
        one = next(thing for thing in things if i in thing)
        other = next(thing for thing in things if j in thing)
        owners = [pieces[k][0] for k in one | other]
        if one is not other and len(set(owners)) == len(owners):
            things.remove(other)
            one |= other
    return [{pieces[k][0]: pieces[k][2:] for k in thing} for thing in things]


def decided_plainly(votes):
    people, height, width = votes.labels.shape
    places = list(itertools.product(range(height), range(width)))
    claims = {place: [] for place in places}
    for thing in clusters_of(votes):
        pixels = []
        for place in places:
            voting = [person for person in thing if not votes.abstained[person][place]]
            inside = sum(place in thing[person][1] for person in voting)
            if inside and inside > len(voting) / 2:
                pixels.append((place, inside))
        excused = [
            person
            for person in range(people)
            if person not in thing
            and sum(votes.abstained[person][place] for place, _ in pixels) > len(pixels) / 2
        ]
        if len(thing) <= (people - len(excused)) / 2:
            continue
        names = [label for label, _ in thing.values()]
        name = next((n for n in names if names.count(n) > len(names) / 2), None)
        for place, inside in pixels:
            claims[place].append((inside, name))
    labels, undecided = np.zeros((height, width), int), np.zeros((height, width), bool)
    for place in places:
        said = [
            votes.labels[k][place] if votes.segments is None or votes.segments[k][place] else 0
            for k in range(people)
            if not votes.abstained[k][place]
        ]
        if claims[place]:
            most = max(inside for inside, _ in claims[place])
            names = {name for inside, name in claims[place] if inside == most}
            if len(names) == 1 and None not in names:
                labels[place] = names.pop()
            else:
                undecided[place] = True
        elif 2 * said.count(0) <= len(said):
            undecided[place] = True
    return labels, undecided


@st.composite
def rectangles(draw):
    """People who draw a few boxes near each other, and abstain in others."""
    people, height, width = draw(st.integers(2, 5)), 7, 8
    labels = np.zeros((people, height, width), dtype=np.int32)
    pieces = np.zeros_like(labels)
    silent = np.zeros(labels.shape, dtype=bool)
    boxes = st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(1, 5), st.integers(1, 5))
    common = draw(st.lists(st.tuples(boxes, st.integers(1, 3)), min_size=1, max_size=4))
    for person in range(people):
        for number, ((top, left, rows, columns), label) in enumerate(common, start=1):
            if draw(st.integers(0, 4)) == 0:
                continue
            shift = draw(st.integers(0, 1))
            window = np.s_[person, top : top + rows, left + shift : left + shift + columns]
            labels[window] = label if draw(st.integers(0, 4)) else label % 3 + 1
            pieces[window] = number
        if draw(st.integers(0, 4)) == 0:
            top, left, rows, columns = draw(boxes)
            silent[person, top : top + rows, left : left + columns] = True
    # a later box may have cut an earlier one in two names: a segment has one
    for person in range(people):
        for number in range(1, len(common) + 1):
            mine = pieces[person] == number
            if mine.any():
                labels[person][mine] = labels[person][mine][0]
    return Votes(labels, silent, pieces if draw(st.booleans()) else None)


@settings(max_examples=80)
@given(rectangles())
def test_like_sets_of_pixels(votes):
    labels, undecided = decided_plainly(votes)
    decision = decide("segment-vote", votes)
    assert np.array_equal(decision.undecided, undecided)
    assert np.array_equal(decision.labels, labels)


# --------------------------------------------------------------------------------------- by hand


def test_two_of_three_make_a_thing():
    votes = votes_from("1110", "1100", "0000")
    assert shown(decide("segment-vote", votes)) == ["1100"]  # one of two is not more than half
    assert shown(decide("majority", votes)) == ["1100"]


def test_what_one_of_three_drew_is_nothing():
    assert shown(decide("segment-vote", votes_from("1110", "0000", "0000"))) == ["0000"]


def test_a_name_needs_a_majority_of_those_who_drew():
    votes = votes_from("2220", "2220", "3330", "0000")
    assert shown(decide("segment-vote", votes)) == ["2220"]
    votes = votes_from("2220", "2220", "3330", "3330")
    decision = decide("segment-vote", votes)
    assert shown(decision) == ["???0"]
    assert decision.unnamed == (Unnamed(((2, 2), (3, 2)), 3),)


def test_a_renamed_thing_keeps_its_pixels():
    """Where pixels are voted on alone, the rim of a thing with two names is lost."""
    votes = votes_from("2222", "2220", "3333")
    assert shown(decide("segment-vote", votes)) == ["2222"]
    assert shown(decide("majority", votes)) == ["222?"]


def test_instances_count_one_by_one():
    """Two cars side by side: the first is drawn by three, the second by one."""
    segments = ("1122", "1100", "1100")
    votes = votes_from("1111", "1100", "1100", segments=segments)
    assert shown(decide("segment-vote", votes)) == ["1100"]
    # without instances it is one car twice as large, which none of the others matches
    votes = votes_from("1111", "1100", "0011")
    assert shown(decide("segment-vote", votes)) == ["????"]


def test_who_ignores_a_thing_is_not_asked():
    votes = votes_from("110", "000", "000", silent=[(2, 0, slice(0, 2))])
    assert shown(decide("segment-vote", votes)) == ["??0"]  # of two that are asked one drew it
    votes = votes_from("110", "000", "000", silent=[(slice(1, 3), 0, slice(0, 2))])
    assert shown(decide("segment-vote", votes)) == ["110"]


def test_the_claim_with_more_votes_has_the_pixel():
    """Three call the pixel part of the one thing, two of the other."""
    votes = votes_from("11122", "11122", "11122", "11222", "11222")
    assert shown(decide("segment-vote", votes)) == ["11122"]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_the_order_does_not_matter_without_ties(order):
    maps = ["1111002", "1110022", "1111022"]
    votes = votes_from(*(maps[place] for place in order))
    assert shown(decide("segment-vote", votes)) == ["1111022"]


def test_nobody_drew_anything():
    decision = decide("segment-vote", votes_from("00", "00", "00"))
    assert shown(decision) == ["00"]
    silent = votes_from("11", "00", "00", silent=[(slice(0, 3),)])
    assert shown(decide("segment-vote", silent)) == ["??"]
