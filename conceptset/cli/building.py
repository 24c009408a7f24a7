"""Verbs that read annotations: taxonomy, build."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
    say,
    show,
    show_json,
    show_table,
    verb,
)
from conceptset.present.engines import Address, EngineName, open_engine

if TYPE_CHECKING:
    from conceptset.build import BuildReport
    from conceptset.findings import Finding

Sources = Annotated[
    list[Path],
    typer.Argument(metavar="SOURCE", help="Annotations: files, directories, zip or tar archives."),
]
Out = Annotated[Path, option("--out", metavar="SET", help="The directory to write.")]
Format = Annotated[str | None, option("--format", metavar="NAME", help="Read with this format.")]
Images = Annotated[
    Path | None, option("--images", metavar="DIR", help="Where the photographs are.")
]
TaxonomyFile = Annotated[
    Path | None,
    option("--taxonomy", metavar="FILE", help="CSV name,concept,category,synonyms."),
]
Annotator = Annotated[
    str | None, option("--annotator", metavar="NAME", help="Who drew what does not say; NAME#2.")
]
AnnotatorFrom = Annotated[
    str | None,
    option(
        "--annotator-from",
        metavar="file|folder|CSV",
        help="Take the name from the file's or folder's name, or from a CSV (file,annotator).",
    ),
]
Alias = Annotated[
    list[str] | None,
    option("--alias", metavar="OLD=NEW", help="Two names, one person; NAME#2: a session."),
]
ModelAnnotator = Annotated[
    list[str] | None,
    option("--model-annotator", metavar="NAME", help="This annotator is a model."),
]
Match = Annotated[
    str | None,
    option("--match", metavar="bytes|path", help="What makes two photographs one."),
]
OnErrorOption = Annotated[
    str,
    option("--on-error", metavar="raise|skip|collect", help="What a bad annotation does."),
]

_FINDINGS_SHOWN = 20


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(taxonomy)
    app.command()(build)


@verb
def taxonomy(
    sources: Sources,
    config: Config = None,
    format: Format = None,
    images: Images = None,
    out: Annotated[
        Path | None, option("--out", metavar="FILE", help="Write it here, not to stdout.")
    ] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace FILE.")] = False,
) -> None:
    """Write the names found in annotations as a CSV to edit and give to build --taxonomy."""
    from conceptset.build.names import name_table
    from conceptset.io.atomic import write_file

    refuse_existing(out, overwrite=overwrite)
    table = name_table(sources, format_name=format, images=images)
    if out is None:
        show(table.decode())
        return
    write_file(out, table)
    note(f"{out}: {len(table.splitlines()) - 1} rows to edit for build --taxonomy")


@verb
def build(
    sources: Sources,
    out: Out,
    config: Config = None,
    format: Format = None,
    images: Images = None,
    taxonomy: TaxonomyFile = None,
    annotator: Annotator = None,
    annotator_from: AnnotatorFrom = None,
    alias: Alias = None,
    match: Match = None,
    image_size: Annotated[
        str, option("--image-size", metavar="N|HxW|keep", help="Size of the photographs.")
    ] = "224",
    segmentation_size: Annotated[
        str | None,
        option("--segmentation-size", metavar="N|HxW", help="Size of the maps; half of it."),
    ] = None,
    fit: Annotated[str, option("--fit", metavar="squash|crop|pad")] = "squash",
    image_format: Annotated[str, option("--image-format", metavar="jpg|png")] = "jpg",
    overlap: Annotated[
        str,
        option("--overlap", metavar="area|order", help="Larger first, or the tool's order."),
    ] = "area",
    split: Annotated[
        str, option("--split", metavar="NAME=SHARE,...", help="Parts of the set.")
    ] = "train=0.7,val=0.3",
    split_by: Annotated[
        str | None,
        option(
            "--split-by", metavar="FOLDER", help="Keep each sub-folder of it (. = all) together."
        ),
    ] = None,
    consensus: Annotated[
        str,
        option(
            "--consensus",
            metavar="METHOD|NAME",
            help="How the root's labels are formed: majority, plurality, ignore-unlabelled, "
            "segment-vote, staple, dawid-skene, or as one annotator drew them.",
        ),
    ] = "majority",
    min_frequency: Annotated[
        int, option("--min-frequency", metavar="N", help="Images a label needs.")
    ] = 1,
    min_coverage: Annotated[
        float, option("--min-coverage", metavar="X", help="Images' worth of pixels it needs.")
    ] = 0.0,
    on_error: OnErrorOption = "raise",
    boxes: Annotated[bool, option("--boxes", help="Boxes without an outline count.")] = False,
    colors: Annotated[
        bool, option("--colors", help="Name the colour of every pixel, in the category color.")
    ] = False,
    model_annotator: ModelAnnotator = None,
    jobs: Annotated[int | None, option("--jobs", metavar="N", help="Processes; all cores.")] = None,
    engine: EngineName = "local",
    address: Address = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace SET.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
    as_json: AsJson = False,
) -> None:
    """Build a concept set from annotation files and their photographs."""
    from conceptset.build import BuildOptions, build_set
    from conceptset.build.options import parse_aliases, parse_size, parse_split
    from conceptset.io.parallel import usable_cores
    from conceptset.present.values import checked_options

    values = {
        "format": format,
        "images": images,
        "taxonomy": taxonomy,
        "annotator": annotator,
        "annotator_from": annotator_from,
        "aliases": parse_aliases(alias or []),
        "match": match,
        "image_size": parse_size(image_size, "--image-size"),
        "segmentation_size": None
        if segmentation_size is None
        else parse_size(segmentation_size, "--segmentation-size"),
        "fit": fit,
        "image_format": image_format,
        "overlap": overlap,
        "split": parse_split(split),
        "split_by": split_by,
        "consensus": consensus,
        "min_frequency": min_frequency,
        "min_coverage": min_coverage,
        "on_error": on_error,
        "boxes": boxes,
        "colors": colors,
        "model_annotators": tuple(model_annotator or ()),
        "jobs": jobs if jobs is not None else usable_cores(),
        "overwrite": overwrite,
    }

    def step(label: str) -> AbstractContextManager[Progress]:
        unit = "files" if label == "unpacking" else "images"
        return progress(label, unit=unit, quiet=quiet or as_json)

    options = checked_options(BuildOptions, values)
    with open_engine(engine, address, jobs=jobs, quiet=quiet) as workers:
        report = build_set(sources, out, options, engine=workers, step=step)
    for text in () if quiet else report.notes:
        note(f"note: {text}")
    if as_json:
        show_json(_as_json(report))
    else:
        _tell(report, out, findings=len(report.findings) if verbose else _FINDINGS_SHOWN)
    if report.skipped and on_error == "collect":
        raise typer.Exit(EXIT_FINDINGS)


def _as_json(report: BuildReport) -> dict[str, object]:
    return {
        "manifest": report.manifest.model_dump(mode="json"),
        "findings": [finding.model_dump(mode="json") for finding in report.findings],
        "skipped": report.skipped,
        "dropped": list(report.dropped),
        "notes": list(report.notes),
        "undetectable": [{"concept": name, "share": share} for name, share in report.undetectable],
    }


def _tell(report: BuildReport, out: Path, *, findings: int) -> None:
    """The closing summary of a build."""
    counts = report.manifest.counts
    show_table(
        [(out.name, "left"), ("", "right")],
        [
            ("images", f"{counts.images:,}"),
            ("labels", f"{counts.labels:,}"),
            ("categories", f"{counts.categories:,}"),
            ("annotators", f"{counts.annotators:,}"),
            ("segments", f"{counts.segments:,}"),
            *(
                [("pixels without consensus", f"{counts.undecided:.1%}")]
                if counts.annotators > 1
                else []
            ),
        ],
    )
    tell_left_out(
        {
            **counts.left_out,
            "bad annotations": report.skipped,
            "concepts below the limits": len(report.dropped),
        }
    )
    if report.undetectable:
        rare = report.undetectable[:6]
        listed = ", ".join(f"{printable(name, 80)} ({share:.2%})" for name, share in rare)
        more = len(report.undetectable) - 6
        show(
            "too large or small for any unit to detect at quantile 0.005 (share of the pixels): "
            + listed
            + (f" and {more} more" if more > 0 else "")
        )
    tell_findings(report.findings, findings)
    show(f"next: conceptset validate {out}")


def refuse_existing(file: Path | None, *, overwrite: bool) -> None:
    """Refuse to write a file that exists, before any work is done.

    Raises:
        UsageError: It exists, and `overwrite` is not set.
    """
    from conceptset.errors import UsageError

    if file is not None and file.exists() and not overwrite:
        raise UsageError(
            "the file exists already", path=file, hint="Give --overwrite to replace it."
        )


def tell_left_out(numbers: Mapping[str, int]) -> None:
    """What did not enter a set, a line per reason."""
    from conceptset.build.summary import counted

    for line in counted(numbers):
        say(f"left out: {line}")


def tell_findings(findings: Sequence[Finding], limit: int) -> None:
    """The first findings, and how many more there are."""
    for finding in findings[:limit]:
        show(str(finding))
    if len(findings) > limit:
        show(f"... and {len(findings) - limit} more findings; --verbose shows all")
