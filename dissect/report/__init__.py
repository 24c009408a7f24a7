"""The report of a run: one page that opens from disk, made from the run directory alone."""

from __future__ import annotations

from dissect.report.writing import write_report

__all__ = ["write_report"]
