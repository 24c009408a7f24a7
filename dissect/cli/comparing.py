"""Verbs that take complete runs further: compare, export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conceptset.errors import printable
from conceptset.present.console import (
    AsJson,
    Config,
    Quiet,
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
    from dissect.compare.document import ComparedLayer, Comparison, LayerFigures, Step
    from dissect.compare.figures import Compared

_NAMES = 6  # concepts of a list
_NAME = 14  # letters of a run's name, so that a table fits into 100


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(compare)
    app.command()(export)


@verb
def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN...", help="Complete runs, or a directory of such."),
    ],
    out: Annotated[
        Path | None, option("--out", metavar="DIR", help="Write page, tables and document here.")
    ] = None,
    config: Config = None,
    mixed: Annotated[
        bool,
        option("--mixed", help="Also where quantile, IoU threshold or union are not the same."),
    ] = False,
    no_intervals: Annotated[
        bool, option("--no-intervals", help="Resample no images: quicker.")
    ] = False,
    jobs: Annotated[int | None, option("--jobs", metavar="N", help="Threads; all cores.")] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace DIR.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Put runs side by side: detectors that come and go, layer by layer, concept by concept."""
    from conceptset.io.atomic import check_target
    from conceptset.io.parallel import usable_cores
    from dissect.compare import compare_runs, gather_runs, write_comparison

    gathered = gather_runs(runs)
    if out is not None:
        check_target(out, overwrite=overwrite)
    with progress("compare", unit="layers", quiet=quiet or as_json) as advance:
        compared = compare_runs(
            gathered,
            mixed=mixed,
            intervals=not no_intervals,
            jobs=jobs or usable_cores(),
            progress=advance,
        )
    for text in () if quiet else compared.document.notes:
        note(f"note: {text}")
    page = None if out is None else write_comparison(compared, out, overwrite=overwrite)
    if as_json:
        show_json(compared.document.model_dump(mode="json"))
        return
    _tell(compared)
    show(f"page: {page}" if page is not None else "--out DIR writes a page to look at")


def _tell(compared: Compared) -> None:
    """The outcome for people: a table for each layer, then what changed from run to run."""
    from dissect.compare.gathering import show_end

    document = compared.document
    names = [show_end(member.short, _NAME) for member in compared.members]
    runs = f"{len(names)} runs"
    say(document.title if document.title == runs else f"{document.title}: {runs}")
    headings = ("detectors", "95 %", "expected", "unique", "by category", "mean IoU", "median")
    for layer in document.layers:
        rows: list[tuple[object, ...]] = []
        for figures in layer.columns:
            run = names[figures.run]
            of_layer = f"{run} {figures.layer}" if layer.name is None else run
            rows.append((of_layer, *_cells(figures)))
        first = "run" if layer.name is not None else "run and layer"
        columns = [(first, "left"), *((heading, "right") for heading in headings)]
        show_table(columns, rows, title=_title(layer))
    show(
        "Units that are detectors; 95 % interval and mean of their number over resamples of the "
        "images; unique\nconcepts of the detectors, and summed over categories; best IoUs of all "
        "units.\n"
    )
    _tell_steps(document, names)


def _title(layer: ComparedLayer) -> str:
    if layer.name is None:
        return "layers that only one run has"
    units = dict.fromkeys(figures.units for figures in layer.columns)
    return f"{layer.name}, {' or '.join(map(str, units))} units"


def _cells(figures: LayerFigures) -> tuple[object, ...]:
    low, high, expected = figures.detectors_low, figures.detectors_high, figures.expected_detectors
    return (
        f"{figures.detectors} ({figures.detectors_share:.1%})",
        "–" if low is None or high is None else f"{low:.0f}..{high:.0f}",
        "–" if expected is None else f"{expected:.1f}",
        f"{figures.unique_concepts} ({figures.unique_concepts_share:.1%})",
        f"{figures.unique_by_category} ({figures.unique_by_category_share:.1%})",
        f"{figures.iou_mean:.4f}",
        f"{figures.iou_median:.4f}",
    )


def _tell_steps(document: Comparison, names: list[str]) -> None:
    """One line for each two consecutive runs of a layer."""
    for layer in document.layers:
        for step in layer.steps:
            about = [f"{step.detectors:+d} detectors{_range(step)}"]
            about += _concepts("appeared", step.appeared) + _concepts("vanished", step.vanished)
            if step.matched and step.kept is not None and step.kept_by_chance is not None:
                units = "unit" if step.kept == 1 else "units"
                chance = f"{step.kept_by_chance:.1f} by chance"
                about.append(f"{step.kept} {units} of the same concept ({chance})")
            say(f"{layer.name}, {names[step.before]} to {names[step.after]}: {'; '.join(about)}")


def _range(step: Step) -> str:
    if step.low is None or step.high is None:
        return ""
    return f" [{step.low:+.0f}, {step.high:+.0f}]"


def _concepts(what: str, names: tuple[str, ...]) -> list[str]:
    if not names:
        return []
    shown = ", ".join(printable(name, 40) for name in names[:_NAMES])
    more = f" and {len(names) - _NAMES} more" if len(names) > _NAMES else ""
    return [f"{what}: {shown}{more}"]


@verb
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A complete run.")],
    to: Annotated[str, option("--to", metavar="LAYOUT", help="netdissect-lite.")],
    out: Annotated[Path, option("--out", metavar="DIR", help="The directory to write.")],
    config: Config = None,
    jobs: Annotated[int | None, option("--jobs", metavar="N", help="Processes; all cores.")] = None,
    overwrite: Annotated[bool, option("--overwrite", help="Replace DIR.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write a run in the layout of another program, for scripts that read its results."""
    from conceptset.errors import UsageError
    from conceptset.io.atomic import check_target
    from conceptset.io.parallel import usable_cores

    if to != "netdissect-lite":
        raise UsageError(f"--to is '{printable(to, 40)}'; netdissect-lite was expected")
    check_target(out, overwrite=overwrite)

    from dissect.report.netdissect_lite import export_netdissect_lite

    with progress("export", unit="units", quiet=quiet or as_json) as advance:
        page = export_netdissect_lite(
            run, out, overwrite=overwrite, jobs=jobs or usable_cores(), progress=advance
        )
    if as_json:
        show_json({"to": to, "out": str(out), "page": str(page)})
    else:
        show(f"{out}: {to}; page: {page}")
