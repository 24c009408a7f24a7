"""Pixel-labelled concept sets in the Broden layout: built, validated, looked into."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conceptset.api import (
        build_set,
        measure_consistency,
        merge_sets,
        open_set,
        repair_set,
        sample_set,
        validate_set,
    )
    from conceptset.errors import ConceptsetError
    from conceptset.findings import Finding

__version__ = "0.1.0"

_HOME = {
    "ConceptsetError": "conceptset.errors",
    "Finding": "conceptset.findings",
    "build_set": "conceptset.api",
    "measure_consistency": "conceptset.api",
    "merge_sets": "conceptset.api",
    "open_set": "conceptset.api",
    "repair_set": "conceptset.api",
    "sample_set": "conceptset.api",
    "validate_set": "conceptset.api",
}

__all__ = [
    "ConceptsetError",
    "Finding",
    "__version__",
    "build_set",
    "measure_consistency",
    "merge_sets",
    "open_set",
    "repair_set",
    "sample_set",
    "validate_set",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
