"""Verbs that look: layers, report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conceptset.present.console import (
    AsJson,
    Config,
    Quiet,
    option,
    progress,
    show,
    show_json,
    show_table,
    verb,
)


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
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """List the layers of a network: names, shapes, and what can be dissected."""
    from dataclasses import asdict

    from conceptset.present.values import parse_size

    size = parse_size(image_size, "--image-size")

    from dissect.models import LayerInfo, list_layers, load_model

    loaded = load_model(
        model, weights="none", num_classes=num_classes, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)
    )
    infos = list_layers(loaded.module, image_size=size)
    if as_json:
        show_json([asdict(info) for info in infos])
        return

    def remark(info: LayerInfo) -> str:
        if info.reason is not None:
            return info.reason
        return f"changed in place by {info.changed_by}" if info.changed_by else ""

    rows: list[tuple[object, ...]] = []
    for info in infos:
        shape = "" if info.shape is None else "x".join(map(str, info.shape))
        rows.append((info.name, info.type, shape, info.kind or "", remark(info)))
    headings = ("layer", "type", "units x h x w", "output", "")
    show_table([(heading, "left") for heading in headings], rows, title=loaded.name)
    if not quiet:
        usable = sum(info.reason is None for info in infos)
        show(f"{usable} of {len(infos)} can be dissected: dissect run SET --layers NAME,..")


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
