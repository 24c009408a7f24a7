"""Network Dissection: which units of a network detect which concepts of a concept set."""

from __future__ import annotations

from pkgutil import extend_path

__path__ = extend_path(__path__, __name__)

import importlib
from typing import TYPE_CHECKING

from conceptset import __version__

if TYPE_CHECKING:
    from dissect.api import dissect_model, run_dissection
    from dissect.state import Run, RunConfig, RunLayout, open_run

_HOME = {
    "Run": "dissect.state",
    "RunConfig": "dissect.state",
    "RunLayout": "dissect.state",
    "dissect_model": "dissect.api",
    "open_run": "dissect.state",
    "run_dissection": "dissect.api",
}

__all__ = [
    "Run",
    "RunConfig",
    "RunLayout",
    "__version__",
    "dissect_model",
    "open_run",
    "run_dissection",
]


def __getattr__(name: str) -> object:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
