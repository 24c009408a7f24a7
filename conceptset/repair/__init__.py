"""From a directory that breaks the layout to one that follows it, without inventing anything."""

from __future__ import annotations

from conceptset.repair.assembly import RepairOptions, RepairReport, repair_set

__all__ = ["RepairOptions", "RepairReport", "repair_set"]
