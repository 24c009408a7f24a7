"""A dissection against the forward pass that nobody can avoid.

Both sides decode the same photographs ahead on the same threads (`load_batches`), run the same
network with the same threads, batch size and memory format, and stop after the last layer asked
for. The bare side has no other hook.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measuring import Options, Rounds, Table, per_image, take_turns

PARTS = ("prepare", "load", "forward", "scan", "store", "thresholds", "tally", "write")


@dataclass(frozen=True)
class Case:
    """A model and its layers.

    Attributes:
        model: Of torchvision.
        layers: Dotted names, in the order in which they run.
        title: As the table calls it.
        most: Images that are enough for so slow a model.
    """

    model: str
    layers: tuple[str, ...]
    title: str
    most: int = 1 << 30


CASES = (
    Case("resnet18", ("layer4",), "resnet18 layer4"),
    Case("resnet18", ("layer1", "layer2", "layer3", "layer4"), "resnet18 layer1 to layer4"),
    Case("resnet50", ("layer4",), "resnet50 layer4", 480),
    Case(
        "vit_b_16",
        tuple(f"encoder.layers.encoder_layer_{number}" for number in range(12)),
        "vit_b_16, 12 blocks",
        240,
    ),
)
PEOPLE_CASE = Case("resnet18", ("layer4",), "resnet18 layer4")
GPU_CASE = Case("resnet50", ("relu", "layer1", "layer2", "layer3", "layer4"), "resnet50, 5 layers")


def load(case: Case, options: Options, *, device: str = "cpu") -> Any:
    """The model with random weights, as both sides use it."""
    import torch

    from dissect.models import load_model

    torch.set_num_threads(options.threads)
    model = load_model(case.model, weights="none")
    model.module.eval().to(device).to(memory_format=torch.channels_last)
    return model


class _Counted(Exception):
    """All counts stand."""


def full_run(
    model: Any,
    opened: Any,
    case: Case,
    out: Path,
    options: Options,
    further: Mapping[str, Any],
    *,
    stop: bool = False,
) -> tuple[Any, float]:
    """Everything `dissect run` does but the report.

    Args:
        model: Of `load`.
        opened: The set.
        case: What of it.
        out: Written over.
        options: How.
        further: Arguments of `dissect_model`.
        stop: When all counts stand; nothing is made of them.

    Returns:
        run.json, None if the run was stopped, and when the last count stood.
    """
    from dissect.api import dissect_model

    counted = 0.0

    def note(stage: str, done: int, total: int) -> None:
        nonlocal counted
        if stage == "tally" and done == total:
            counted = options.clock()
            if stop:
                raise _Counted

    try:
        outcome = dissect_model(
            *(model.module, opened, case.layers, out),
            mean=model.mean,
            std=model.std,
            overwrite=True,
            threads=options.threads,
            workers=options.workers,
            batch_size=options.batch_size,
            progress=note,
            **further,
        )
    except _Counted:
        return None, counted
    return outcome.run, counted


def bare_pass(
    model: Any,
    opened: Any,
    last: str,
    options: Options,
    *,
    images: int,
    device: str = "cpu",
    keep: bool = True,
) -> None:
    """Decoding and the network up to the last layer asked for, as a dissection does both.

    Args:
        model: Of `load`.
        opened: The set.
        last: The layer.
        options: How.
        images: How many.
        device: Of the model.
        keep: The process keeps freed memory, as it does in a dissection; by itself PyTorch has it
            mapped and cleared anew for every batch.
    """
    import torch

    from dissect.heap import kept_memory
    from dissect.loader import load_batches
    from dissect.planning import worker_threads
    from dissect.state import RunConfig

    config = RunConfig(layers=(last,), threads=options.threads)
    entries = opened.entries[:images]
    batches = load_batches(
        *(opened, entries),
        size=entries[0].image_size,
        batch_size=options.batch_size,
        mean=model.mean,
        std=model.std,
        workers=worker_threads(options.workers, config),
        device=torch.device(device),
    )
    kept = kept_memory() if keep else contextlib.nullcontext()
    with kept, torch.inference_mode(), stop_after(model.module, last):
        for batch in batches:
            with contextlib.suppress(StopIteration):
                model.module(batch.pixels)
    if device == "cuda":
        torch.cuda.synchronize()


@contextlib.contextmanager
def stop_after(module: Any, layer: str) -> Iterator[None]:
    """Nothing after a layer is computed; StopIteration comes out instead."""

    def stop(*_: object) -> None:
        raise StopIteration

    handle = module.get_submodule(layer).register_forward_hook(stop)
    try:
        yield
    finally:
        handle.remove()


def measure(
    case: Case, opened: Any, options: Options, works: Mapping[str, Mapping[str, Any]]
) -> tuple[Rounds, Rounds, int]:
    """Times of the bare pass, here and `plain`, and of dissections by the names of `works`.

    Args:
        case: The model and its layers.
        opened: The set.
        options: How.
        works: Further arguments of `dissect_model` by name.

    Returns:
        The times of all rounds, up to when the counts stand; those of one whole run of each
        work, with `NAME, PART` for the parts of run.json; how many images they are for.
    """
    model, images = load(case, options), min(len(opened.entries), case.most)
    limit = {} if images == len(opened.entries) else {"limit": images}

    def counted(further: Mapping[str, Any], out: Path, name: str) -> Mapping[str, float]:
        begin = options.clock()
        _, stood = full_run(model, opened, case, out, options, {**further, **limit}, stop=True)
        return {name: stood - begin}

    def whole(further: Mapping[str, Any], out: Path, name: str) -> Mapping[str, float]:
        run, _ = full_run(model, opened, case, out, options, {**further, **limit})
        return {f"{name}, {part}": float(run.timings.get(part, 0.0)) for part in PARTS}

    bare = functools.partial(bare_pass, model, opened, case.layers[-1], options, images=images)
    with tempfile.TemporaryDirectory() as home:
        turns: dict[str, Any] = {"bare": bare}
        if not options.cpu:
            turns["plain"] = functools.partial(_plain_turn, case, opened, options, images)
        ends: dict[str, Any] = {}
        for name, more in works.items():
            turns[name] = functools.partial(counted, more, Path(home) / name, name)
            ends[name] = functools.partial(whole, more, Path(home) / name, name)
        once = dataclasses.replace(options, rounds=1)
        return take_turns(turns, options), take_turns(ends, once, warm=False), images


def _plain_turn(case: Case, opened: Any, options: Options, images: int) -> dict[str, float]:
    """The bare pass as it is in a process that has done nothing else, and keeps no memory."""
    whole = dataclasses.asdict(options) | {"source": None}
    program = Path(__file__).parents[1] / "bench.py"
    what = json.dumps([case.model, case.layers[-1], str(opened.root), images, whole])
    command = [sys.executable, str(program), "--child", "bare", what]
    return {"plain": float(subprocess.check_output(command))}


def run_plain(what: str) -> float:
    """Seconds of the bare pass, after a few images that are not counted."""
    from conceptset.layout.reading import open_concept_set

    name, layer, root, images, given = json.loads(what)
    options, opened = Options(**given), open_concept_set(Path(root))
    model = load(Case(name, (layer,), name), options)
    bare_pass(model, opened, layer, options, images=4 * options.batch_size, keep=False)
    begin = options.clock()
    bare_pass(model, opened, layer, options, images=images, keep=False)
    return options.clock() - begin


def measure_layers(opened: Any, options: Options, chosen: Sequence[str] = ()) -> list[Table]:
    """Figure 1: one layer, several at once, larger models."""
    cases = [case for case in CASES if not chosen or any(word in case.title for word in chosen)]
    rows, parts, notes = [], [], []
    for case in cases:
        found = measure(case, opened, options, {"ours": {"annotators": ("none",)}})
        rows.append(_row(case.title, "ours", *found))
        parts.append(_parts(case.title, "ours", *found))
        notes += [f"{case.title}: {said}" for said in [found[0].disturbance()] if said]
    return _tables("dissect", options, rows, parts, notes)


def measure_annotators(opened: Any, options: Options) -> list[Table]:
    """Figure 1, its last part: five people tallied at once, and the index alone."""
    works = {"five": {"annotators": ("all",)}, "none": {"annotators": ("none",)}}
    found = measure(PEOPLE_CASE, opened, options, works)
    titles = {"five": "five annotators", "none": "index alone"}
    rows = [_row(f"{PEOPLE_CASE.title}, {word}", name, *found) for name, word in titles.items()]
    parts = [_parts(word, name, *found) for name, word in titles.items()]
    return _tables("annotators", options, rows, parts, [found[0].disturbance()])


_NOTES = (
    "`counted`: until all counts stand (checks and digests, the pass, thresholds, tally). `whole`: "
    "one run with everything that is written, intervals included; the report is another command. "
    "A ratio is that of the medians; beside it the smallest and the largest of a round. `bare`: in "
    "the same process, which keeps freed memory as a dissection does (`dissect/heap.py`); `bare by "
    "itself`: in a new process for every round, as PyTorch has it.",
)


def _tables(
    name: str,
    options: Options,
    rows: Sequence[Sequence[str]],
    parts: Sequence[Sequence[str]],
    notes: Sequence[str],
) -> list[Table]:
    heads = [
        *(f"ms an image, {options.unit}", "images", "bare", "counted", "ratio"),
        *("bare by itself", "ratio to that", "whole"),
    ]
    return [
        Table(name, heads, rows, [*_NOTES, *filter(None, notes)]),
        Table(f"{name}, parts", ["ms an image, wall time", *PARTS], parts),
    ]


def _row(title: str, name: str, rounds: Rounds, whole: Rounds, images: int) -> list[str]:
    return [
        title,
        str(images),
        per_image(rounds.median("bare"), images),
        per_image(rounds.median(name), images),
        rounds.spread(name, "bare"),
        *_beside_plain(name, rounds, images),
        per_image(whole.median(name), images),
    ]


def _beside_plain(name: str, rounds: Rounds, images: int) -> list[str]:
    """Two cells: the bare pass by itself, and what a work is beside it."""
    if "plain" not in rounds.times:
        return ["", ""]
    return [per_image(rounds.median("plain"), images), rounds.spread(name, "plain")]


def _parts(title: str, name: str, _: Rounds, whole: Rounds, images: int) -> list[str]:
    return [title, *(per_image(whole.median(f"{name}, {part}"), images) for part in PARTS)]
