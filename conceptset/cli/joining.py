"""Verbs that make sets from sets: repair, merge."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conceptset.cli.building import tell_findings, tell_left_out
from conceptset.errors import printable
from conceptset.present.console import (
    EXIT_FINDINGS,
    AsJson,
    Config,
    Progress,
    Quiet,
    Verbose,
    note,
    option,
    progress,
    show,
    show_json,
    show_table,
    verb,
)

if TYPE_CHECKING:
    from conceptset.merge import MergeReport
    from conceptset.repair import RepairReport

Out = Annotated[Path, option("--out", metavar="SET", help="The directory to write.")]
Jobs = Annotated[int | None, option("--jobs", metavar="N", help="Processes; all cores.")]
Overwrite = Annotated[bool, option("--overwrite", help="Replace SET.")]

_FINDINGS_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(repair)
    app.command()(merge)


@verb
def repair(
    root: Annotated[Path, typer.Argument(metavar="SET", help="A set that breaks the layout.")],
    out: Out,
    config: Config = None,
    split: Annotated[
        str, option("--split", metavar="NAME=SHARE,...", help="For images without a split.")
    ] = "train=0.7,val=0.3",
    split_by: Annotated[
        str | None,
        option(
            "--split-by", metavar="FOLDER", help="Keep each sub-folder of it (. = all) together."
        ),
    ] = None,
    palette: Annotated[
        str | None,
        option(
            "--palette",
            metavar="index|color",
            help="What label maps with a palette hold, where both could be.",
        ),
    ] = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Write a right copy of a set: figures counted again, the rest reported, nothing guessed."""
    from conceptset.build.options import parse_split
    from conceptset.errors import UsageError
    from conceptset.io.parallel import usable_cores
    from conceptset.repair import RepairOptions, repair_set

    if palette not in (None, "index", "color"):
        raise UsageError(f"--palette is {palette!r}, index or color was expected")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is {jobs}, at least 1 was expected")
    options = RepairOptions.model_validate(
        {
            "split": parse_split(split),
            "split_by": split_by,
            "palette": palette,
            "jobs": jobs if jobs is not None else usable_cores(),
            "overwrite": overwrite,
        }
    )

    def step(label: str) -> AbstractContextManager[Progress]:
        return progress(label, quiet=quiet or as_json)

    report = repair_set(root, out, options, step=step)
    if as_json:
        show_json(_repair_as_json(report))
    else:
        _tell_repair(report, out, findings=len(report.findings) if verbose else _FINDINGS_SHOWN)
    if report.lost:
        raise typer.Exit(EXIT_FINDINGS)


def _repair_as_json(report: RepairReport) -> dict[str, object]:
    return {
        "images": report.images,
        "labels": report.labels,
        "changes": [
            {"code": code, "what": text, "count": count} for code, text, count in report.changes
        ],
        "findings": [finding.model_dump(mode="json") for finding in report.findings],
    }


def _tell_repair(report: RepairReport, out: Path, *, findings: int) -> None:
    """The closing summary of a repair."""
    show(f"{out.name}: {report.images:,} images, {report.labels:,} labels")
    for code, text, count in report.changes:
        show(f"changed: {count:>7,}  {code}  {text}")
    if not report.changes:
        show("changed: nothing")
    tell_findings(report.findings, findings)
    if report.lost:
        show(f"{report.lost:,} things could not be made right and are left out")
    show(f"next: conceptset validate {out}")


@verb
def merge(
    roots: Annotated[
        list[Path], typer.Argument(metavar="SET...", help="Sets of ours, or in Broden's layout.")
    ],
    out: Out,
    config: Config = None,
    taxonomy: Annotated[
        Path | None,
        option("--taxonomy", metavar="FILE", help="CSV name,concept,category,synonyms."),
    ] = None,
    alias: Annotated[
        list[str] | None, option("--alias", metavar="OLD=NEW", help="Two names, one person.")
    ] = None,
    annotator_from: Annotated[
        str | None,
        option(
            "--annotator-from",
            metavar="folder",
            help="Call who has no name after the set's folder.",
        ),
    ] = None,
    split: Annotated[
        str | None,
        option("--split", metavar="NAME=SHARE,...", help="Draw all splits anew, not as they are."),
    ] = None,
    consensus: Annotated[
        str | None,
        option(
            "--consensus",
            metavar="METHOD|NAME",
            help="How labels are formed, as in 'build'; without it as in the sets.",
        ),
    ] = None,
    jobs: Jobs = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Make one concept set of several: labels unified and numbered anew, annotators kept."""
    from conceptset.build.options import parse_aliases, parse_split
    from conceptset.errors import UsageError
    from conceptset.io.parallel import usable_cores
    from conceptset.merge import MergeOptions, merge_sets

    if annotator_from not in (None, "folder"):
        raise UsageError(f"--annotator-from is {annotator_from!r}, folder was expected")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is {jobs}, at least 1 was expected")
    options = MergeOptions.model_validate(
        {
            "taxonomy": taxonomy,
            "aliases": parse_aliases(alias or []),
            "annotator_from": annotator_from,
            "split": None if split is None else parse_split(split),
            "consensus": consensus,
            "jobs": jobs if jobs is not None else usable_cores(),
            "overwrite": overwrite,
        }
    )

    def step(label: str) -> AbstractContextManager[Progress]:
        return progress(label, quiet=quiet or as_json)

    report = merge_sets(roots, out, options, step=step)
    if as_json:
        show_json(_merge_as_json(report))
    else:
        _tell_merge(report, out, shown=10_000 if verbose else _FINDINGS_SHOWN)


def _merge_as_json(report: MergeReport) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "manifest": report.manifest.model_dump(mode="json"),
        "joined": [asdict(one) for one in report.joined],
        "doubts": [asdict(one) for one in report.doubts],
        "shared": report.shared,
        "twice": report.twice,
        "drawn": report.drawn,
        "unused": list(report.unused),
        "sizes": report.sizes,
        "notes": list(report.notes),
    }


def _tell_merge(report: MergeReport, out: Path, *, shown: int) -> None:
    """The closing summary of a merge."""
    counts = report.manifest.counts
    show_table(
        [(out.name, "left"), ("", "right")],
        [
            ("images", f"{counts.images:,}"),
            ("in several sets", f"{report.shared:,}"),
            ("labels", f"{counts.labels:,}"),
            ("categories", f"{counts.categories:,}"),
            ("annotators", f"{counts.annotators:,}"),
            ("segments", f"{counts.segments:,}"),
        ],
    )
    tell_left_out({**counts.left_out, "labels that no image carries": len(report.unused)})
    lines = [f"joined: {one.name} is {one.concept}, which lists it" for one in report.joined]
    lines += [
        f"apart: {doubt.name} and {', '.join(doubt.others)}: {doubt.reason}; --taxonomy joins them"
        for doubt in report.doubts
    ]
    for line in lines[:shown]:
        show(printable(line))
    if len(lines) > shown:
        show(f"... and {len(lines) - shown} more; --verbose shows all")
    if report.twice:
        show(f"{report.twice:,} drawings stood alike in two sets and are taken once")
    if report.drawn:
        show(f"{report.drawn:,} splits were drawn from the identity of the images")
    if report.sizes > 1:
        show(f"photographs of {report.sizes} sizes: dissect needs --image-size")
    for text in report.notes:
        note(text)
    show(f"next: conceptset validate {out}")
