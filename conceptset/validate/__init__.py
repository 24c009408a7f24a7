"""Checks a concept set, or a foreign Broden layout, by rules that each name one defect."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conceptset.validate.catalogue import explain, rules
    from conceptset.validate.checker import Report, validate
    from conceptset.validate.output import format_report
    from conceptset.validate.registry import Rule

_HOME = {
    "Report": "conceptset.validate.checker",
    "Rule": "conceptset.validate.registry",
    "explain": "conceptset.validate.catalogue",
    "format_report": "conceptset.validate.output",
    "rules": "conceptset.validate.catalogue",
    "validate": "conceptset.validate.checker",
}

__all__ = ["Report", "Rule", "explain", "format_report", "rules", "validate"]


def __getattr__(name: str) -> object:
    """Loaded when asked for: worker processes need the scan alone."""
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
