"""Checks a concept set, or a foreign Broden layout, by rules that each name one defect."""

from __future__ import annotations

from conceptset.validate.catalogue import explain, rules, titles
from conceptset.validate.checker import Report, validate
from conceptset.validate.output import format_report
from conceptset.validate.registry import Rule

__all__ = ["Report", "Rule", "explain", "format_report", "rules", "titles", "validate"]
