"""The library: what the command line does, as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from conceptset.build import BuildOptions, BuildReport
from conceptset.build import build_set as _build_set
from conceptset.layout.reading import ConceptSet, open_concept_set
from conceptset.validate import Report, validate


def build_set(
    sources: Sequence[str | Path], out: str | Path, options: BuildOptions | None = None
) -> BuildReport:
    """Build a concept set from annotation files.

    Args:
        sources: Files or directories of annotations.
        out: The directory to write.
        options: See `conceptset.build.BuildOptions`; a script that gives several `jobs` needs an
            `if __name__ == "__main__":` guard.

    Raises:
        ConceptsetError: See `conceptset.errors`; nothing is left behind.
    """
    return _build_set([Path(source) for source in sources], Path(out), options or BuildOptions())


def open_set(root: str | Path, index: str = "index.csv") -> ConceptSet:
    """Open a concept set, or a foreign Broden layout, for reading.

    Args:
        root: Its directory.
        index: The index to use, relative to `root`.

    Raises:
        LayoutError: A table is missing or broken.
    """
    return open_concept_set(Path(root), index)


def validate_set(
    root: str | Path,
    *,
    select: Sequence[str] = (),
    ignore: Sequence[str] = (),
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check a set against every rule.

    Args:
        root: Its directory.
        select: Codes or prefixes of the rules to use; all if empty.
        ignore: Codes or prefixes to leave out.
        jobs: Processes.
        progress: Told (done, total) images.

    Raises:
        UsageError: A code that no rule has, or `root` is no directory.
    """
    return validate(Path(root), select=select, ignore=ignore, jobs=jobs, progress=progress)
