"""Verbs that make sets from sets: repair, merge."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conceptset.present.console import (
    EXIT_FINDINGS,
    AsJson,
    Config,
    Progress,
    Quiet,
    Verbose,
    option,
    progress,
    show,
    show_json,
    verb,
)

if TYPE_CHECKING:
    from conceptset.findings import Finding
    from conceptset.repair import RepairReport

Out = Annotated[Path, option("--out", metavar="SET", help="The directory to write.")]
Jobs = Annotated[int | None, option("--jobs", metavar="N", help="Processes; all cores.")]
Overwrite = Annotated[bool, option("--overwrite", help="Replace SET.")]

_FINDINGS_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(repair)


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
    _tell_findings(report.findings, findings)
    if report.lost:
        show(f"{report.lost:,} things could not be made right and are left out")
    show(f"next: conceptset validate {out}")


def _tell_findings(findings: Sequence[Finding], limit: int) -> None:
    for finding in findings[:limit]:
        show(str(finding))
    if len(findings) > limit:
        show(f"... and {len(findings) - limit} more findings; --verbose shows all")
