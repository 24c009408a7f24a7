"""Several runs side by side: snapshots of one training, or several networks on one set."""

from __future__ import annotations

from dissect.compare.figures import compare_runs
from dissect.compare.gathering import gather_runs
from dissect.compare.writing import write_comparison

__all__ = ["compare_runs", "gather_runs", "write_comparison"]
