"""The library: what the command line does, as functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from conceptset.build import BuildOptions, BuildReport
from conceptset.build import build_set as _build_set
from conceptset.consistency.options import ConsistencyOptions
from conceptset.consistency.running import Comparison, compare_annotators
from conceptset.io.parallel import Engine
from conceptset.layout.reading import ConceptSet, open_concept_set
from conceptset.layout.samples import Sample
from conceptset.merge import MergeOptions, MergeReport
from conceptset.merge import merge_sets as _merge_sets
from conceptset.repair import RepairOptions, RepairReport
from conceptset.repair import repair_set as _repair_set
from conceptset.sampling import SampleOptions
from conceptset.sampling import sample_set as _sample_set
from conceptset.validate import Report, validate


def build_set(
    sources: Sequence[str | Path],
    out: str | Path,
    options: BuildOptions | None = None,
    *,
    engine: Engine | None = None,
) -> BuildReport:
    """Build a concept set from annotation files.

    Args:
        sources: Files, directories or archives of annotations.
        out: The directory to write.
        options: See `conceptset.build.BuildOptions`; a script that gives several `jobs` needs an
            `if __name__ == "__main__":` guard.
        engine: Where images are worked on, as `conceptset.present.engines.open_engine` opens it;
            None starts `options.jobs` processes.

    Raises:
        ConceptsetError: See `conceptset.errors`; nothing is left behind.
    """
    paths = [Path(source) for source in sources]
    return _build_set(paths, Path(out), options or BuildOptions(), engine=engine)


def repair_set(
    root: str | Path, out: str | Path, options: RepairOptions | None = None
) -> RepairReport:
    """Write a right copy of a set that breaks the layout; the original stays as it is.

    Args:
        root: The set, one of ours or a foreign Broden layout.
        out: The directory to write.
        options: See `conceptset.repair.RepairOptions`; for `jobs` as in `build_set`.

    Raises:
        ConceptsetError: See `conceptset.errors`; nothing is left behind.
    """
    return _repair_set(Path(root), Path(out), options or RepairOptions())


def merge_sets(
    roots: Sequence[str | Path], out: str | Path, options: MergeOptions | None = None
) -> MergeReport:
    """Make one concept set of several; their order does not matter.

    Args:
        roots: The sets, ours or foreign Broden layouts.
        out: The directory to write.
        options: See `conceptset.merge.MergeOptions`; for `jobs` as in `build_set`.

    Raises:
        ConceptsetError: See `conceptset.errors`; nothing is left behind.
    """
    return _merge_sets([Path(root) for root in roots], Path(out), options or MergeOptions())


def measure_consistency(
    given: str | Path | Sequence[str | Path],
    options: ConsistencyOptions | None = None,
    *,
    out: str | Path | None = None,
) -> Comparison:
    """How consistent annotators are, layer by layer: outlines, names, how much they annotate.

    Args:
        given: One concept set, or files, directories and archives of annotations.
        options: See `conceptset.consistency.options.ConsistencyOptions`; for `jobs` as in
            `build_set`.
        out: A directory to write with page, tables, document and counts; nothing if None.

    Returns:
        The report, and what was found or left out on the way.

    Raises:
        ConceptsetError: See `conceptset.errors`; nothing is left behind.
    """
    paths = [given] if isinstance(given, (str, Path)) else given
    return compare_annotators(
        [Path(path) for path in paths],
        options or ConsistencyOptions(),
        out=None if out is None else Path(out),
    )


def sample_set(root: str | Path, out: str | Path, options: SampleOptions) -> Sample:
    """Draw images that several people annotate again, and write a task list for each.

    Args:
        root: The set, one of ours or a foreign Broden layout.
        out: The directory to write.
        options: See `conceptset.sampling.SampleOptions`.

    Raises:
        ConceptsetError: See `conceptset.errors`; nothing is left behind.
    """
    return _sample_set(Path(root), Path(out), options)


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
    engine: Engine | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Check a set against every rule.

    Args:
        root: Its directory.
        select: Codes or prefixes of the rules to use; all if empty.
        ignore: Codes or prefixes to leave out.
        jobs: Processes.
        engine: Where images are looked at, as in `build_set`.
        progress: Told (done, total) images.

    Raises:
        UsageError: A code that no rule has, or `root` is no directory.
    """
    return validate(
        Path(root), select=select, ignore=ignore, jobs=jobs, engine=engine, progress=progress
    )
