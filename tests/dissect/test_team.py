"""Work shared out among the threads that the network computes with."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import torch

import dissect.team
from dissect.compiling import Body, as_pointer, carray, lay_out, take_next
from dissect.team import Team


@pytest.fixture(params=["torch's threads", "own threads"])
def kind(request, monkeypatch):
    if request.param == "own threads":
        monkeypatch.setattr(dissect.team, "_parallel_region", lambda: None)
    elif dissect.team._parallel_region() is None:
        pytest.skip("torch was built without OpenMP, or another one is loaded beside it")
    return request.param


@pytest.mark.usefixtures("kind")
def test_results_come_in_order():
    assert Team(3).map(lambda n: n * n, range(50)) == [n * n for n in range(50)]
    assert Team(3).map(str, []) == []
    assert Team(1).map(str, iter([1, 2])) == ["1", "2"]


@pytest.mark.usefixtures("kind")
def test_several_threads_take_part_between_operations_of_torch():
    torch.set_num_threads(2)
    meeting = threading.Barrier(2, timeout=30)  # one thread alone would wait for ever

    def meet(n):
        meeting.wait()
        return threading.get_ident()

    for _ in range(20):
        values = torch.ones(1 << 18)
        assert float((values + 1).sum()) == 1 << 19
        assert len(set(Team(2).map(meet, range(2)))) == 2


@pytest.mark.usefixtures("kind")
def test_what_fails_is_raised_and_the_rest_left_out():
    begun = []

    def work(n):
        begun.append(n)
        if n == 3:
            raise ValueError("no such part")
        time.sleep(0.001)
        return np.zeros(n)

    with pytest.raises(ValueError, match="no such part"):
        Team(2).map(work, range(1000))
    assert len(begun) < 1000
    assert Team(2).map(abs, [-1, 2]) == [1, 2]  # the threads are as good as before


@Body
def square_all(table):
    words = carray(table, 3)
    numbers = carray(as_pointer(words[1]), words[2], np.int64)
    place = take_next(table)
    while place < len(numbers):
        numbers[place] = numbers[place] ** 2 + 1
        place = take_next(table)


@pytest.mark.usefixtures("kind")
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bodies_do_every_piece_once(threads):
    """Twice, and a number would be larger; never, and it would be as before."""
    numbers = np.arange(100_000)
    Team(threads).run(square_all, numbers)
    assert np.array_equal(numbers, np.arange(100_000) ** 2 + 1)


def test_an_array_that_is_not_contiguous_is_not_laid_out():
    with pytest.raises(AssertionError, match="contiguous"):
        lay_out(np.zeros((4, 4))[:, 1])
