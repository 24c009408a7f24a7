"""Verbs that look: layers, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conceptset.present.console import (
    AsJson,
    Config,
    Quiet,
    note,
    option,
    progress,
    show,
    show_json,
    show_table,
    verb,
)

if TYPE_CHECKING:
    from dissect.models import LayerInfo


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(layers)
    app.command()(report)


@verb
def layers(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="As for run --model.")],
    config: Config = None,
    num_classes: Annotated[
        int | None, option("--num-classes", metavar="N", help="Outputs of the classifier.")
    ] = None,
    image_size: Annotated[
        str, option("--image-size", metavar="N|HxW", help="Size of the images that enter.")
    ] = "224",
    allow_pickle: Annotated[
        bool, option("--allow-pickle", help="Open a program that holds code, and run that.")
    ] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """List the layers of a network: names, shapes, and what can be dissected."""
    from dataclasses import asdict

    from conceptset.present.values import parse_size

    size = parse_size(image_size, "--image-size")

    from dissect.models import PICKLE_WARNING, list_layers, load_architecture

    if allow_pickle:
        note(PICKLE_WARNING)
    loaded = load_architecture(model, num_classes=num_classes, allow_pickle=allow_pickle)
    infos = list_layers(loaded.module, image_size=size)
    if as_json:
        show_json([asdict(info) for info in infos])
        return
    rows = [_layer_row(info) for info in infos]
    headings = ("layer", "type", "units x h x w", "output", "")
    show_table([(heading, "left") for heading in headings], rows, title=loaded.name)
    if not quiet:
        usable = sum(info.reason is None for info in infos)
        show(f"{usable} of {len(infos)} can be dissected: dissect run SET --layers NAME,..")


def _layer_row(info: LayerInfo) -> tuple[object, ...]:
    """A layer as a row of the table."""
    shape = "" if info.shape is None else "x".join(map(str, info.shape))
    output = str(info.kind or "")
    if info.kind == "maps" and info.units_last:
        output = "maps, units last"
    elif info.kind == "tokens" and info.shape is not None:
        output = f"tokens {info.shape[1]}x{info.shape[2]}"
        if info.first_token:
            output += f" without {info.first_token} before"
    remark = info.reason or ""
    if info.reason is None and info.changed_by:
        remark = f"changed in place by {info.changed_by}"
    return info.name, info.type, shape, output, remark


@verb
def report(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A complete run.")],
    config: Config = None,
    jobs: Annotated[int | None, option("--jobs", metavar="N", help="Processes; all cores.")] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Write the report of a run anew, from the run alone."""
    from conceptset.io.parallel import usable_cores
    from dissect.report import write_report

    with progress("report", unit="units", quiet=quiet or as_json) as advance:
        page = write_report(run, jobs=jobs or usable_cores(), progress=advance)
    if as_json:
        show_json({"report": str(page)})
    else:
        show(f"report: {page}")
