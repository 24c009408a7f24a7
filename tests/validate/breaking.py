"""The list of defects, one each: a change of a valid set that exactly one rule finds."""

from __future__ import annotations

MUTATIONS = []


def breaks(code, *, ours=True):
    """A change that `code` finds, in a set of ours or a foreign one."""

    def register(change):
        MUTATIONS.append((code, change, ours))
        return change

    return register
