"""The rules, by prefix; importing this package registers them all."""

from __future__ import annotations

from conceptset.validate.rules import ann, ann_together, cat, cat_figures, idx, lay, seg, spl

__all__ = ["ann", "ann_together", "cat", "cat_figures", "idx", "lay", "seg", "spl"]
