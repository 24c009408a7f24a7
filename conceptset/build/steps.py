"""How a build says how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Step = Callable[[str], AbstractContextManager[Callable[[int, int], None]]]


@contextmanager
def silent(_label: str) -> Iterator[Callable[[int, int], None]]:
    """A `Step` that shows nothing."""
    yield lambda _done, _total: None
