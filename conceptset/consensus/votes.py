"""What people say of one image in one label layer, and what is decided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from conceptset.geometry import BoolArray

Labels = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Votes:
    """The maps of everybody who worked on an image, in one label layer.

    Attributes:
        labels: (annotators, height, width) int32, 0 is unlabelled: a vote like any other.
        abstained: (annotators, height, width) bool, True where the annotator has no vote.
        segments: (annotators, height, width) int32, the instance that each pixel belongs to, 0 for
            none; numbers are each annotator's own. None makes all pixels of a label one segment.
    """

    labels: Labels
    abstained: BoolArray
    segments: Labels | None = None

    def __post_init__(self) -> None:
        others = [self.abstained] if self.segments is None else [self.abstained, self.segments]
        if self.labels.ndim != 3 or not len(self.labels):
            text = f"labels of shape {self.labels.shape}; (annotators, height, width) was expected"
            raise ValueError(text)
        for array in others:
            if array.shape != self.labels.shape:
                raise ValueError(f"a stack of {array.shape} beside labels of {self.labels.shape}")


@dataclass(frozen=True, slots=True)
class Unnamed:
    """A thing that enough people drew and that they do not agree on a name for.

    Attributes:
        names: (label, votes) given to it, most votes first, then by label.
        pixels: Pixels that most of those who drew it agree on.
    """

    names: tuple[tuple[int, int], ...]
    pixels: int


@dataclass(frozen=True, slots=True)
class Decision:
    """One label per pixel.

    Attributes:
        labels: (height, width) int32; 0 is unlabelled, and stands where nothing was decided.
        undecided: (height, width) bool, True where there is no consensus.
        unnamed: Things whose outline has a consensus and whose name has none; only methods that
            compare segments know of any.
    """

    labels: Labels
    undecided: BoolArray
    unnamed: tuple[Unnamed, ...] = ()
