"""The rules, one module per prefix; importing this package registers them all."""

from conceptset.validate.rules import ann, cat, figures, idx, lay, links, seg, spl, tables

__all__ = ["ann", "cat", "figures", "idx", "lay", "links", "seg", "spl", "tables"]
