"""From the arguments of a comparison to what is compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from conceptset.build.steps import Step
from conceptset.consistency.options import ConsistencyOptions
from conceptset.consistency.reading.from_set import is_set, open_set
from conceptset.consistency.reading.from_sources import open_annotations
from conceptset.consistency.reading.on_demand import Opened


@contextmanager
def open_material(
    given: Sequence[Path], options: ConsistencyOptions, *, near: Path | None, step: Step
) -> Iterator[Opened]:
    """What is compared, as long as the block lasts.

    One concept set is taken as what its annotators drew; anything else, several sets included, as
    annotation files. `--format` reads a set as annotations too.

    Args:
        given: A set, or files, directories and archives of annotations.
        options: See `ConsistencyOptions`.
        near: Where scratch data lies; in the system's own folder for it if None.
        step: Opens a progress display.

    Raises:
        UsageError: An option cannot be used.
        SourceError: Something cannot be read.
        OutputError: There is no room for scratch data.
    """
    if len(given) == 1 and options.format is None and is_set(given[0]):
        with step("reading"):
            opened = open_set(given[0], options)
        yield opened
        return
    with open_annotations(given, options, near=near, step=step) as opened:
        yield opened
