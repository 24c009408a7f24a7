"""The draw: even over concepts, the same every time, calm when images are added."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from conceptset.sampling.drawing import Candidate, draw
from conceptset.sampling.tasks import count_pairs, gain_of, tasks_in

CONCEPTS = [f"c{number}" for number in range(40)]


def image(number, *, gain=1):
    """An image of a world where the k-th concept is rarer than the one before it."""
    chance = random.Random(number)
    seen = {c for place, c in enumerate(CONCEPTS) if chance.random() < 0.6 / (1 + place / 3)}
    identity = hashlib.sha256(str(number).encode()).hexdigest()
    return Candidate(identity, gain, frozenset(seen or {""}))


def coverage(candidates, places):
    counts = Counter()
    for place in places:
        counts.update(candidates[place].strata)
    return counts


candidates_of = st.lists(
    st.builds(
        Candidate,
        st.uuids().map(str),
        st.integers(1, 3),
        st.frozensets(st.sampled_from("abcdef"), min_size=1),
    ),
    max_size=30,
    unique_by=lambda candidate: candidate.identity,
)


@given(candidates_of, st.integers(1, 40), st.integers(0, 3), st.randoms())
def test_any_draw(candidates, size, seed, chance):
    places = draw(candidates, size, seed=seed, covered={})
    assert len(places) == len(set(places)) == min(size, len(candidates))
    shuffled = list(candidates)
    chance.shuffle(shuffled)
    again = draw(shuffled, size, seed=seed, covered={})
    assert [shuffled[i].identity for i in again] == [candidates[i].identity for i in places]
    longer = draw(candidates, size + 5, seed=seed, covered={})
    assert longer[: len(places)] == places
    if size >= 6:  # as many turns as concepts
        everywhere = coverage(candidates, range(len(candidates)))
        assert coverage(candidates, places).keys() == everywhere.keys()


@given(candidates_of)
@settings(max_examples=50)
def test_every_turn_serves_who_has_least(candidates):
    """The rule, replayed by hand: each image serves a concept with the lowest count that can."""
    places = draw(candidates, len(candidates), seed=0, covered={"a": 2})
    held = Counter({"a": 2})
    left = set(range(len(candidates)))
    for place in places:
        possible = {stratum for i in left for stratum in candidates[i].strata}
        least = min(held[stratum] for stratum in possible)
        served = [s for s in candidates[place].strata if held[s] == least]
        assert served
        best = [max(candidates[i].gain for i in left if s in candidates[i].strata) for s in served]
        assert candidates[place].gain in best
        held.update(candidates[place].strata)
        left.remove(place)


def test_more_even_than_chance():
    candidates = [image(number) for number in range(1000)]
    all_of_them = coverage(candidates, range(1000))
    drawn = coverage(candidates, draw(candidates, 40, seed=0, covered={}))
    lots = [random.Random(seed).sample(range(1000), 40) for seed in range(20)]
    missed = [len(all_of_them) - len(coverage(candidates, places)) for places in lots]
    assert min(missed) >= 1
    assert len(drawn) == len(all_of_them)


def test_added_images_move_few_others():
    """A twentieth more images: at least nine in ten of a sample stay."""
    before = [image(number) for number in range(1000)]
    after = before + [image(5000 + number) for number in range(50)]
    for size, seed in itertools.product((20, 100), range(3)):
        old = {before[i].identity for i in draw(before, size, seed=seed, covered={})}
        new = {after[i].identity for i in draw(after, size, seed=seed, covered={})}
        assert len(old & new) >= 0.9 * size


def test_seeds_differ():
    candidates = [image(number) for number in range(200)]
    first, second = (set(draw(candidates, 50, seed=seed, covered={})) for seed in (0, 1))
    assert len(first & second) < 40


def test_what_is_covered_waits():
    candidates = [Candidate(str(i), 1, frozenset("ab"[i % 2])) for i in range(20)]
    places = draw(candidates, 5, seed=0, covered={"a": 5})
    assert {i % 2 for i in places} == {1}


sessions_of = st.dictionaries(
    st.sampled_from(["ada", "ben", "cy", "dee"]),
    st.frozensets(st.integers(1, 3), min_size=1),
)


@given(
    sessions_of,
    st.lists(st.sampled_from(["ada", "ben", "cy", "eve"]), unique=True),
    st.booleans(),
)
def test_tasks_make_what_the_gain_says(sessions, people, again):
    def comparisons(done):
        pairs = sum(a in done and b in done for a, b in itertools.combinations(people, 2))
        return pairs + (sum(len(done.get(name, ())) >= 2 for name in people) if again else 0)

    tasks = tasks_in(sessions, people, again=again)
    after = {name: set(numbers) for name, numbers in sessions.items()}
    for task in tasks:
        assert task.session not in after.setdefault(task.name, set())
        after[task.name].add(task.session)
    assert comparisons(after) - comparisons(sessions) == gain_of(sessions, people, again=again)
    assert all(name in after for name in people)
    (counted,) = [
        [(pair.a, pair.b, pair.before, pair.added) for pair in pairs if pair.before + pair.added]
        for pairs in [count_pairs([sessions], {0: tasks}, people)]
    ]
    expected = []
    for a, b in itertools.combinations(sorted({*people, *after}), 2):
        if (a in people or b in people) and a in after and b in after:
            old = a in sessions and b in sessions
            expected.append((a, b, int(old), int(not old)))
    for name in people:
        if len(after[name]) > 1:
            old = len(sessions.get(name, ())) > 1
            expected.append((name, f"{name}#2", int(old), int(not old)))
    assert sorted(counted) == sorted(expected)
