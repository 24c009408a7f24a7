"""The page that a team lead reads: whom to talk to about what, and the images that show it."""

from __future__ import annotations

from conceptset.consistency.page.writing import write_page

__all__ = ["write_page"]
