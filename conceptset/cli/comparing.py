"""The verb that compares annotators: consistency."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conceptset.cli.building import (
    Alias,
    Annotator,
    AnnotatorFrom,
    Format,
    Images,
    Match,
    ModelAnnotator,
    OnErrorOption,
    TaxonomyFile,
    refuse_existing,
    tell_findings,
    tell_left_out,
)
from conceptset.errors import printable
from conceptset.present.console import (
    EXIT_FINDINGS,
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

if TYPE_CHECKING:
    from conceptset.consistency.document import (
        AnnotatorEntry,
        Figure,
        LayerEntry,
        PairEntry,
    )
    from conceptset.consistency.running import Comparison

_PEOPLE = 30  # in a table
_VERDICTS = 8
_FINDINGS = 20
_UNITS = {"unpacking": "files", "writing": "rows"}


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command()(consistency)


@verb
def consistency(
    given: Annotated[
        list[Path],
        typer.Argument(metavar="SET|SOURCE...", help="A concept set, or annotations as for build."),
    ],
    out: Annotated[
        Path | None,
        option("--out", metavar="DIR", help="Write page, tables, document and counts here."),
    ] = None,
    document: Annotated[
        Path | None,
        option("--json", metavar="FILE", help="Write the document here; - is stdout."),
    ] = None,
    config: Config = None,
    category: Annotated[
        str, option("--category", metavar="C,C..", help="Only these label layers.")
    ] = "",
    no_boundary: Annotated[
        bool, option("--no-boundary", help="Measure no outlines: quicker.")
    ] = False,
    resamples: Annotated[
        int, option("--resamples", metavar="N", help="For intervals; 0: none.")
    ] = 2000,
    format: Format = None,
    images: Images = None,
    taxonomy: TaxonomyFile = None,
    annotator: Annotator = None,
    annotator_from: AnnotatorFrom = None,
    alias: Alias = None,
    match: Match = None,
    overlap: Annotated[
        str | None,
        option("--overlap", metavar="area|order", help="Larger first (area), or the tool's order."),
    ] = None,
    on_error: OnErrorOption = "raise",
    boxes: Annotated[bool, option("--boxes", help="Boxes without an outline count.")] = False,
    model_annotator: ModelAnnotator = None,
    jobs: Annotated[int | None, option("--jobs", metavar="N", help="Processes; all cores.")] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace DIR and FILE.")] = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say how consistent annotators are: outlines, names, and how much they annotate."""
    from conceptset.build.options import parse_aliases
    from conceptset.consistency.options import ConsistencyOptions
    from conceptset.consistency.running import compare_annotators
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
        "overlap": overlap,
        "on_error": on_error,
        "boxes": boxes,
        "model_annotators": tuple(model_annotator or ()),
        "jobs": jobs if jobs is not None else usable_cores(),
        "categories": tuple(name for text in category.split(",") if (name := text.strip())),
        "boundary": not no_boundary,
        "resamples": resamples,
        "overwrite": overwrite,
    }
    options = checked_options(ConsistencyOptions, values)
    to_stdout = str(document) == "-"
    _check_document(document, overwrite=overwrite or to_stdout)

    def step(label: str) -> AbstractContextManager[Progress]:
        unit = _UNITS.get(label, "images")
        return progress(label, unit=unit, quiet=quiet or to_stdout)

    comparison = compare_annotators(given, options, out=out, step=step)
    for text in () if quiet else comparison.notes:
        note(f"note: {text}")
    if document is not None:
        _write_document(comparison, document)
    if not to_stdout:
        _tell(comparison, out, findings=len(comparison.findings) if verbose else _FINDINGS)
    if comparison.skipped and on_error == "collect":
        raise typer.Exit(EXIT_FINDINGS)


def _check_document(document: Path | None, *, overwrite: bool) -> None:
    """Refuse a file that cannot be written before any work is done."""
    from conceptset.errors import UsageError

    refuse_existing(document, overwrite=overwrite)
    if document is not None and document.is_dir():
        raise UsageError("is a directory, --json names a file", path=document)


def _write_document(comparison: Comparison, document: Path) -> None:
    from conceptset.io.atomic import write_file
    from conceptset.io.tables import format_json

    value = comparison.report.model_dump(mode="json")
    if str(document) == "-":
        show_json(value)
        return
    document.parent.mkdir(parents=True, exist_ok=True)
    write_file(document, format_json(value))


def _tell(comparison: Comparison, out: Path | None, *, findings: int) -> None:
    """The outcome for people."""
    report = comparison.report
    people = len(report.annotators_listed)
    say(
        f"{report.title}: {_many(report.n_images, 'image')}, {_many(people, 'annotator')}; "
        f"{_many(report.shared_images, 'image')} by two persons or more"
    )
    for layer in report.layers:
        entries = [entry for entry in report.annotators if entry.category == layer.category]
        if report.shared_images and entries:
            _show_layer(layer, entries)
    _show_sessions(report.intra)
    if report.layers and (report.shared_images or report.intra):
        show(
            "Of the pixels that either of two people labelled: where they agree [95 % interval], "
            "and where\nthey differ over outlines, over names, over what one of them left out. "
            "Mean over images, then pairs.\n"
        )
    for verdict in report.verdicts[:_VERDICTS]:
        layer_of = f"{verdict.category}: " if len(report.layers) > 1 else ""
        say(f"- {layer_of}{verdict.text}")
    if len(report.verdicts) > _VERDICTS:
        show(f"... and {len(report.verdicts) - _VERDICTS} more")
    for text in report.notes:
        say(text)
    tell_left_out({**comparison.left_out, "bad annotations": comparison.skipped})
    tell_findings(comparison.findings, findings)
    show(f"page: {out / 'index.html'}" if out is not None else "--out DIR writes a page to look at")


def _many(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _show_layer(layer: LayerEntry, entries: Sequence[AnnotatorEntry]) -> None:
    """Everybody who can be compared side by side, and all together."""
    compared = [entry for entry in entries if entry.pixels.agreement.value is not None]
    rows: list[tuple[object, ...]] = [
        (
            printable(entry.annotator, 40) + (" (model)" if entry.kind == "model" else ""),
            f"{entry.shared_images:,}",
            _with_interval(entry.pixels.agreement),
            _share(entry.pixels.quality),
            _share(entry.pixels.naming),
            _share(entry.pixels.quantity),
        )
        for entry in compared[:_PEOPLE]
    ]
    if len(compared) > _PEOPLE:
        rows.append((f"... and {len(compared) - _PEOPLE} more", "", "", "", "", ""))
    of_all = layer.figures
    if "agreement" in of_all:
        rows.append(
            (
                "all",
                f"{of_all['agreement'].n_images:,}",
                _with_interval(of_all["agreement"]),
                *(_share(of_all[kind]) for kind in ("quality", "naming", "quantity")),
            )
        )
    headings = ("images", "agreement", "outlines", "names", "left out")
    show_table([(layer.category, "left"), *((text, "right") for text in headings)], rows)
    few = len(entries) - len(compared)
    if few:
        show(f"{_many(few, 'annotator')} with too few images in common with anybody\n")


def _show_sessions(pairs: Sequence[PairEntry]) -> None:
    """Everybody who annotated images a second time, beside the first."""
    rows: list[tuple[object, ...]] = [
        (
            f"{printable(pair.a, 40)}, {printable(pair.b, 40)}",
            pair.category,
            f"{pair.n_images:,}",
            _with_interval(pair.pixels.any.mean.agreement),
        )
        for pair in pairs
        if pair.n_images
    ]
    if len(rows) > _PEOPLE:
        rows = [*rows[:_PEOPLE], (f"... and {len(rows) - _PEOPLE} more", "", "", "")]
    if rows:
        columns = [("the same person again", "left"), ("", "left")]
        show_table([*columns, ("images", "right"), ("agreement", "right")], rows)


def _share(figure: Figure) -> str:
    return "–" if figure.value is None else f"{figure.value:.1%}"


def _with_interval(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return _share(figure)
    return f"{_share(figure)} [{100 * figure.low:.1f}, {100 * figure.high:.1f}]"
