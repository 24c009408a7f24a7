"""The verb that dissects: run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from conceptset.present.console import (
    AsJson,
    Config,
    Progress,
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
    from dissect.api import Outcome
    from dissect.state import Run, RunConfig

SetArgument = Annotated[Path, typer.Argument(metavar="SET", help="A concept set.")]
Model = Annotated[
    str,
    option(
        "--model",
        metavar="MODEL",
        help="resnet18, torchvision:NAME, package.module:callable or path/to/file.py:Class.",
    ),
]
Weights = Annotated[
    str | None,
    option(
        "--weights",
        metavar="W[,W..]",
        help="none, a published name, or checkpoint files; several give a run each.",
    ),
]
NumClasses = Annotated[
    int | None, option("--num-classes", metavar="N", help="Outputs of the classifier.")
]
AllowPickle = Annotated[
    bool, option("--allow-pickle", help="Run the code that a pickled checkpoint holds.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(run)


@verb
def run(
    concept_set: SetArgument,
    model: Model,
    layers: Annotated[
        str, option("--layers", metavar="L,L..", help="Dotted names; 'dissect layers' lists them.")
    ],
    out: Annotated[Path, option("--out", metavar="RUN", help="The directory to write.")],
    config: Config = None,
    weights: Weights = None,
    num_classes: NumClasses = None,
    weights_match: Annotated[
        str, option("--weights-match", metavar="name|order", help="How tensors find their place.")
    ] = "name",
    quantile: Annotated[
        str, option("--quantile", metavar="Q", help="Share of a unit's activations in its mask.")
    ] = "0.005",
    iou_threshold: Annotated[
        float, option("--iou-threshold", metavar="X", help="A detector's IoU is above it.")
    ] = 0.04,
    union: Annotated[
        str,
        option(
            "--union",
            metavar="annotated|lite",
            help="A mask counts on images with the category; or where it meets it.",
        ),
    ] = "annotated",
    upsample: Annotated[
        str,
        option(
            "--upsample",
            metavar="half-pixel|receptive-field",
            help="Where the cells of a map lie.",
        ),
    ] = "half-pixel",
    thresholds: Annotated[
        Path | None,
        option("--thresholds", metavar="FILE|DIR", help="Use these; another run's, for instance."),
    ] = None,
    annotators: Annotated[
        str | None,
        option(
            "--annotators",
            metavar="all|none|NAME,..",
            help="Also against their own labels; all if there are two people or more.",
        ),
    ] = None,
    categories: Annotated[
        str | None, option("--categories", metavar="C,..", help="Only these categories.")
    ] = None,
    split: Annotated[
        str | None, option("--split", metavar="NAME", help="Only this part of the set.")
    ] = None,
    limit: Annotated[
        int | None, option("--limit", metavar="N", help="Only the first N images.")
    ] = None,
    index: Annotated[
        str, option("--index", metavar="FILE", help="The index to use, relative to SET.")
    ] = "index.csv",
    image_size: Annotated[
        str | None,
        option("--image-size", metavar="N|HxW", help="Squash photographs to this size."),
    ] = None,
    mean: Annotated[
        str | None, option("--mean", metavar="R,G,B", help="Subtracted from RGB in 0..1.")
    ] = None,
    std: Annotated[
        str | None, option("--std", metavar="R,G,B", help="Divided by after that.")
    ] = None,
    precision: Annotated[
        str, option("--precision", metavar="fp32|bf16", help="bf16 is faster and changes results.")
    ] = "fp32",
    device: Annotated[
        str, option("--device", metavar="auto|cpu|cuda", help="Where the network runs.")
    ] = "auto",
    batch_size: Annotated[
        int, option("--batch-size", metavar="N", help="Images in a forward pass.")
    ] = 16,
    threads: Annotated[
        int | None,
        option("--threads", metavar="N", help="Of the network on the CPU; half of the cores."),
    ] = None,
    workers: Annotated[
        int | None, option("--workers", metavar="N", help="That read images and count pixels.")
    ] = None,
    max_memory: Annotated[
        str | None,
        option("--max-memory", metavar="SIZE", help="For activation maps; then disk. 4GiB."),
    ] = None,
    top_images: Annotated[
        int, option("--top-images", metavar="N", help="Kept per unit for the report.")
    ] = 10,
    name: Annotated[
        str | None, option("--name", metavar="NAME", help="What reports call the run.")
    ] = None,
    allow_pickle: AllowPickle = False,
    overwrite: Annotated[bool, option("--overwrite", help="Replace a different run.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dissect a network: which of its units detect which concepts of a set."""
    from conceptset.io.parallel import usable_cores
    from conceptset.present.values import checked_options, parse_size
    from dissect.cli.values import parse_colour, parse_memory, split_list
    from dissect.state import RunConfig

    names = split_list(layers, "--layers")
    threads = max(1, usable_cores() // 2) if threads is None else threads
    options: dict[str, object] = {
        "layers": names,
        "quantile": quantile,
        "iou_threshold": iou_threshold,
        "union": union,
        "upsample": upsample,
        "categories": None if categories is None else split_list(categories, "--categories"),
        "split": split,
        "limit": limit,
        "index": index,
        "image_size": None if image_size is None else parse_size(image_size, "--image-size"),
        "precision": precision,
        "batch_size": batch_size,
        "threads": threads,
        "top_images": top_images,
        "annotators": None if annotators is None else split_list(annotators, "--annotators"),
    }
    rest = _Rest(
        concept_set=concept_set,
        out=out,
        model=model,
        weights=(None,) if weights is None else split_list(weights, "--weights"),
        num_classes=num_classes,
        match=_match(weights_match),
        mean=parse_colour(mean, "--mean"),
        std=parse_colour(std, "--std"),
        allow_pickle=allow_pickle,
        thresholds=thresholds,
        device=device,
        name=name,
        workers=workers,
        max_memory=parse_memory(max_memory, "--max-memory"),
        overwrite=overwrite,
        quiet=quiet,
        as_json=as_json,
    )
    results = _dissect_all(checked_options(RunConfig, options), rest)
    if as_json:
        documents = [_as_json(outcome, page) for outcome, page in results]
        show_json(documents[0] if len(documents) == 1 else documents)


@dataclass(frozen=True, slots=True)
class _Rest:
    """The options that are no part of `RunConfig`, checked as far as text can be."""

    concept_set: Path
    out: Path
    model: str
    weights: tuple[str | None, ...]
    num_classes: int | None
    match: Literal["name", "order"]
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None
    allow_pickle: bool
    thresholds: Path | None
    device: str
    name: str | None
    workers: int | None
    max_memory: int | None
    overwrite: bool
    quiet: bool
    as_json: bool


def _dissect_all(config: RunConfig, rest: _Rest) -> list[tuple[Outcome, Path]]:
    """A run and a report for each choice of weights."""
    import torch

    from conceptset.layout.reading import open_concept_set
    from dissect.activations import choose_device
    from dissect.api import run_dissection
    from dissect.given import read_thresholds
    from dissect.models import load_model

    torch.set_num_threads(config.threads)
    place = choose_device(rest.device)
    config = config.model_copy(update={"device": place.type})
    opened = open_concept_set(rest.concept_set, config.index)
    given = None if rest.thresholds is None else read_thresholds(rest.thresholds, config.layers)
    results = []
    for checkpoint, target in _targets(rest.weights, rest.out):
        loaded = load_model(
            rest.model,
            weights=checkpoint,
            num_classes=rest.num_classes,
            weights_match=rest.match,
            mean=rest.mean,
            std=rest.std,
            allow_pickle=rest.allow_pickle,
        )
        for line in () if rest.quiet else loaded.notes:
            note(line)
        silent = rest.quiet or rest.as_json
        with _stages(quiet=silent) as advance:
            outcome = run_dissection(
                loaded,
                opened,
                config,
                target,
                device=place,
                name=rest.name,
                thresholds=given,
                workers=rest.workers,
                max_memory=rest.max_memory,
                overwrite=rest.overwrite,
                progress=advance,
            )
        page = _report(outcome, jobs=rest.workers or config.threads, quiet=silent)
        results.append((outcome, page))
        if not rest.as_json:
            _tell(outcome, page)
    return results


def _match(text: str) -> Literal["name", "order"]:
    """How a checkpoint's tensors are paired."""
    from conceptset.errors import UsageError

    if text == "name":
        return "name"
    if text == "order":
        return "order"
    raise UsageError(f"--weights-match is {text[:40]!r}; name or order was expected")


def _targets(weights: Sequence[str | None], out: Path) -> Iterator[tuple[str | None, Path]]:
    """Each choice of weights with its directory: RUN itself, or RUN/<stem> if there are several."""
    from conceptset.io.paths import unique_slugs

    if len(weights) == 1:
        yield weights[0], out
        return
    stems = unique_slugs(Path(choice or "default").stem for choice in weights)
    for choice, stem in zip(weights, stems, strict=True):
        yield choice, out / stem


@contextmanager
def _stages(*, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each stage of the work, one after the other."""
    with ExitStack() as stack:
        bars: dict[str, Progress] = {}

        def advance(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                stack.close()
                bars[stage] = stack.enter_context(progress(stage, quiet=quiet))
            bars[stage](done, total)

        yield advance


def _report(outcome: Outcome, *, jobs: int, quiet: bool) -> Path:
    """The report's page; one that belongs to an unchanged run is kept."""
    from dissect.report import write_report
    from dissect.state import RunLayout

    page = RunLayout(outcome.root).report
    if outcome.unchanged and page.is_file():
        return page
    with progress("report", unit="units", quiet=quiet) as advance:
        return write_report(outcome.root, jobs=jobs, progress=advance)


def _tell(outcome: Outcome, page: Path) -> None:
    """The closing summary of a run."""
    record = outcome.run
    if outcome.unchanged:
        show(f"{outcome.root} is complete and equal to what was asked for; nothing was done")
    rows: list[tuple[object, ...]] = []
    for layer in record.layers:
        counts = layer.detectors
        size = "x".join(map(str, layer.map_size))
        rows.append(
            (
                layer.name,
                layer.units,
                size,
                f"{counts.detectors} ({counts.detectors_share:.1%})",
                f"{counts.unique_concepts} ({counts.unique_concepts_share:.1%})",
                f"{counts.unique_by_category} ({counts.unique_by_category_share:.1%})",
            )
        )
    columns = [("layer", "left"), ("units", "right"), ("map", "right")]
    columns += [(name, "right") for name in ("detectors", "unique concepts", "unique by category")]
    show_table(columns, rows)
    if record.annotators:
        show(_name_annotators(record))
    show(f"report: {page}")


def _name_annotators(record: Run) -> str:
    """Whose labels were tallied as well."""
    from conceptset.errors import printable

    names = [printable(name, 40) or "(unnamed)" for name in record.config.annotators or ()]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    leave = record.leave_one_out
    method = f"; consensus without one person: {leave.method}" if leave else ""
    reason = f" ({leave.reason})" if leave and leave.reason else ""
    return f"also against the labels of {', '.join(names[:8])}{more}{method}{reason}"


_TOLD = {"name", "fingerprint", "layers", "annotators", "leave_one_out"}


def _as_json(outcome: Outcome, page: Path) -> dict[str, object]:
    document: dict[str, object] = {
        "run": str(outcome.root),
        "unchanged": outcome.unchanged,
        "report": str(page),
    }
    return document | outcome.run.model_dump(mode="json", include=_TOLD)
