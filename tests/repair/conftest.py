"""Small sets and their defects, as the tests of the validator make them; trees of files."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "validate"))


def read_tree(root):
    """Every file below a directory: path to bytes."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def tree():
    """Reads a directory, see `read_tree`."""
    return read_tree
