"""One function over many items, on one thread or several."""

from __future__ import annotations

import threading
import time

import dissect.ahead
from dissect.ahead import map_ahead, map_in_turn


def test_results_are_in_order_and_few_items_are_taken_ahead():
    taken = []

    def items():
        for n in range(100):
            taken.append(n)
            yield n

    results = map_ahead(lambda n: n * n, items(), workers=2)
    assert next(results) == 0
    assert len(taken) < 20
    assert list(results) == [n * n for n in range(1, 100)]


def test_short_items_stay_on_one_thread_and_those_that_wait_do_not(monkeypatch):
    def on(n):
        return n, threading.get_ident()

    def wait(n):
        time.sleep(0.001)
        return on(n)

    assert list(map_in_turn(on, [], workers=3)) == []
    long = list(map_in_turn(wait, range(300), workers=3))
    monkeypatch.setattr(dissect.ahead, "_SHORT", 60.0)  # on a busy machine anything may take long
    short = list(map_in_turn(on, range(300), workers=3))
    assert [n for n, _ in short] == [n for n, _ in long] == list(range(300))
    assert {thread for _, thread in short} == {threading.get_ident()}
    assert len({thread for _, thread in long} - {threading.get_ident()}) == 3
