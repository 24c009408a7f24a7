"""From annotation files to a concept set on disk."""

from __future__ import annotations

from conceptset.build.assembly import build_set
from conceptset.build.checks import load_taxonomy
from conceptset.build.options import BuildOptions
from conceptset.build.summary import BuildReport

__all__ = ["BuildOptions", "BuildReport", "build_set", "load_taxonomy"]
