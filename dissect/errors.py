"""What `dissect` raises on purpose, below the tree drawn in `conceptset.errors`.

UsageError                       2
|-- LayerError                   2  a layer that does not exist, does not run or has no maps
`-- RunExistsError               2  the output is another run, or no run at all
SourceError                      3
|-- ModelError                   3  a model or its weights cannot be loaded
`-- ActivationError              3  a network that computes no finite number
BoundError                      70  figures that contradict one another: our fault
"""

from __future__ import annotations

from conceptset.errors import ConceptsetError, SourceError, UsageError


class LayerError(UsageError):
    """A layer that does not exist, does not run, runs twice, or whose output is no map."""


class RunExistsError(UsageError):
    """An output directory that holds a different run, or something that is no run of ours."""


class ModelError(SourceError):
    """A model, or a file of weights, that cannot be loaded."""


class ActivationError(SourceError):
    """An activation that is not finite.

    Args:
        message: What was found.
        layer: The layer's name.
        unit: The unit, from 0.
        image: The photograph, as the index names it; None for the probe before the first image.
        hint: What can be done.
    """

    def __init__(
        self, message: str, *, layer: str, unit: int, image: str | None, hint: str | None = None
    ) -> None:
        where = f"layer {layer} unit {unit}" + (f" on {image}" if image is not None else "")
        super().__init__(message, pointer=where, hint=hint)
        self.layer = layer
        self.unit = unit
        self.image = image


class BoundError(ConceptsetError):
    """A figure above what is possible: the counts or the figures are wrong, and it is our bug."""
