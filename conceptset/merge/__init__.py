"""From several sets to one: labels unified, images and people joined."""

from __future__ import annotations

from conceptset.merge.assembly import MergeOptions, MergeReport, merge_sets

__all__ = ["MergeOptions", "MergeReport", "merge_sets"]
