"""Which kind of agreement or disagreement a pixel shows."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from conceptset.consistency.flattening import Flat


class Kind(IntEnum):
    """What two annotators' labels of one pixel have to do with each other."""

    UNLABELLED = 0  # both left it so: they agree
    SAME = 1  # both labelled it, same concept: they agree
    NAMING = 2  # the same thing, called differently
    QUANTITY = 3  # one of them left a thing out
    QUALITY = 4  # both have the thing, the outlines differ
    IGNORED = 5  # one of them abstains: in no count


def classify_pixels(a: Flat, b: Flat) -> NDArray[np.uint8]:
    """The `Kind` of every pixel, (height, width) uint8."""
    raise NotImplementedError
