"""Work shared out among the threads that the network computes with."""

from __future__ import annotations

import threading

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


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_a_region_has_several_threads_between_operations_of_torch():
    region = dissect.team._parallel_region()
    if region is None:
        pytest.skip("torch was built without OpenMP, or another one is loaded beside it")
    meeting, met = threading.Barrier(2, timeout=60), set()

    def meet(_):
        meeting.wait()  # one thread alone would wait for ever
        met.add(threading.get_ident())

    for _ in range(20):
        values = torch.ones(1 << 18)
        assert float((values + 1).sum()) == 1 << 19
        met.clear()
        region(dissect.team._Function(meet), None, 2, 0)
        assert len(met) == 2
        assert threading.get_ident() in met


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
