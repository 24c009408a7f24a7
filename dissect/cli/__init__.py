"""The command `dissect`. Every verb imports what it needs when it runs."""

from __future__ import annotations

from conceptset.present.console import main_for, new_app
from dissect.cli import comparing, looking, running

app = new_app("dissect", "Find the units of a network that detect the concepts of a set.")
running.register(app)
looking.register(app)
comparing.register(app)
main = main_for(app)

__all__ = ["app", "main"]
