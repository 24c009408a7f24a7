"""The verbs that dissect: run, merge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from conceptset.present.console import AsJson, Config, Quiet, option, show_json, verb
from conceptset.present.engines import Address, EngineName

SetArgument = Annotated[Path, typer.Argument(metavar="SET", help="A concept set.")]
Model = Annotated[
    str,
    option(
        "--model",
        metavar="MODEL",
        help="resnet18, timm:NAME, FILE.pt2, package.module:callable or path/to/file.py:Class.",
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
    app.command()(merge)


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
        option("--max-memory", metavar="SIZE", help="For activations; then disk. 384MiB."),
    ] = None,
    top_images: Annotated[
        int, option("--top-images", metavar="N", help="Kept per unit for the report.")
    ] = 10,
    name: Annotated[
        str | None, option("--name", metavar="NAME", help="What reports call the run.")
    ] = None,
    passes: Annotated[
        int,
        option("--passes", metavar="1|2", help="2 keeps no tiles: less disk, twice the time."),
    ] = 1,
    shard: Annotated[
        str | None,
        option("--shard", metavar="K/N", help="Only scan part K of N; 'dissect merge' ends it."),
    ] = None,
    engine: EngineName = "local",
    address: Address = None,
    allow_pickle: AllowPickle = False,
    overwrite: Annotated[bool, option("--overwrite", help="Replace a different run.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Dissect a network: which of its units detect which concepts of a set."""
    from conceptset.io.parallel import usable_cores
    from conceptset.present.values import checked_options, parse_size
    from dissect.cli.values import parse_colour, parse_memory, split_list
    from dissect.cli.working import Request, dissect_all, run_as_json, weights_match_of
    from dissect.shards import parse_shard
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
    request = Request(
        concept_set=concept_set,
        out=out,
        model=model,
        weights=(None,) if weights is None else split_list(weights, "--weights"),
        num_classes=num_classes,
        match=weights_match_of(weights_match),
        mean=parse_colour(mean, "--mean"),
        std=parse_colour(std, "--std"),
        allow_pickle=allow_pickle,
        thresholds=thresholds,
        device=device,
        name=name,
        workers=workers,
        max_memory=parse_memory(max_memory, "--max-memory"),
        passes=passes,
        shard=None if shard is None else parse_shard(shard),
        engine=engine,
        address=address,
        overwrite=overwrite,
        quiet=quiet,
        as_json=as_json,
    )
    results = dissect_all(checked_options(RunConfig, options), request)
    if as_json:
        documents = [run_as_json(*result) for result in results]
        show_json(documents[0] if len(documents) == 1 else documents)


@verb
def merge(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run whose shards were scanned.")],
    config: Config = None,
    concept_set: Annotated[
        Path | None, option("--set", metavar="SET", help="Where the set lies, if it was moved.")
    ] = None,
    device: Annotated[
        str | None,
        option("--device", metavar="auto|cpu|cuda", help="For layers that need a second pass."),
    ] = None,
    workers: Annotated[
        int | None, option("--workers", metavar="N", help="That read labels and count pixels.")
    ] = None,
    max_memory: Annotated[
        str | None, option("--max-memory", metavar="SIZE", help="For activations. 384MiB.")
    ] = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Finish a run whose shards were scanned with 'dissect run --shard K/N'."""
    from dissect.cli.values import parse_memory
    from dissect.cli.working import merge_shards, run_as_json

    result = merge_shards(
        run,
        set_path=concept_set,
        device=device,
        workers=workers,
        max_memory=parse_memory(max_memory, "--max-memory"),
        quiet=quiet,
        as_json=as_json,
    )
    if as_json:
        show_json(run_as_json(*result))
