"""Small sets of the validator's tests, and worlds to build from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from plain_sets import World

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "validate"))


@pytest.fixture
def new_world(tmp_path):
    """Makes a folder of photographs and annotations."""
    return lambda name: World(tmp_path / "worlds" / name)
