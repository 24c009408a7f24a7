"""The command `conceptset`. Every verb imports what it needs when it runs."""

from __future__ import annotations

from conceptset.cli import building, comparing, detecting, joining, looking, sampling
from conceptset.present.console import main_for, new_app

app = new_app(
    "conceptset",
    "Build, validate and look into pixel-labelled concept sets in the Broden layout.",
)
detecting.register(app)
building.register(app)
joining.register(app)
looking.register(app)
comparing.register(app)
sampling.register(app)
main = main_for(app)

__all__ = ["app", "main"]
