"""What a comparison of annotators can be told."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from conceptset.build import BuildOptions
from conceptset.build.options import SourceOptions
from conceptset.consistency.intervals import RESAMPLES
from conceptset.errors import UsageError
from conceptset.findings import OnError

# What says how annotation files are read; a set was told when it was built.
_OF_SOURCES = ("images", "taxonomy", "annotator", "annotator_from", "match", "boxes")


class ConsistencyOptions(SourceOptions):
    """Every setting of a comparison.

    Those up to `jobs` are `build`'s and mean the same; `overlap` None is that of the set, and
    `area` for annotation files. `categories` are the label layers to compare, all if empty;
    `resamples` 0 gives no intervals.
    """

    overlap: Literal["area", "order"] | None = None
    on_error: OnError = "raise"
    boxes: bool = False
    model_annotators: tuple[str, ...] = ()
    jobs: int = Field(default=1, ge=1)
    categories: tuple[str, ...] = ()
    boundary: bool = True
    resamples: int = Field(default=RESAMPLES, ge=0, le=1_000_000)
    overwrite: bool = False

    def build_options(self) -> BuildOptions:
        """The same as far as they are `build`'s."""
        shared = self.model_dump(include=set(BuildOptions.model_fields) - {"overlap"})
        return BuildOptions.model_validate(shared | {"overlap": self.overlap or "area"})

    def check_for_set(self) -> None:
        """Refuse what a set that exists cannot be told any more.

        Raises:
            UsageError: Something is given that says how annotation files are read.
        """
        for name in _OF_SOURCES:
            if getattr(self, name) not in (None, False):
                option = "--" + name.replace("_", "-")
                raise UsageError(
                    f"{option} says how annotation files are read; a concept set was given",
                    hint="Give the annotation files, build the set with it, or read the set's maps "
                    "as annotations with --format broden.",
                )
