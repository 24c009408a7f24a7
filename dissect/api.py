"""Dissection from Python: what the command line calls, and the same for any `torch.nn.Module`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from conceptset.errors import UsageError
from conceptset.io.parallel import usable_cores
from conceptset.layout.reading import ConceptSet, open_concept_set
from dissect.activations import choose_device, probe_layers
from dissect.annotators.writing import write_annotators
from dissect.errors import RunExistsError
from dissect.given import check_thresholds, digest_thresholds
from dissect.intervals import Resamples
from dissect.models.loading import LoadedModel
from dissect.models.matching import state_digest
from dissect.outputs import LayerShape
from dissect.plan import Plan, Progress, Thresholds, Timings
from dissect.receptive import find_placements
from dissect.rundir import claim, inspect, sweep
from dissect.runner import Outcomes, outcomes_of, tails_of, thresholds_of
from dissect.scan import make_stores, scan_shard
from dissect.selecting import check_categories, check_files, digest_set, input_size, select_entries
from dissect.shards import WHOLE, ShardFolder
from dissect.state import (
    LayerRecord,
    ModelRecord,
    Run,
    RunConfig,
    RunCounts,
    RunLayout,
    SetRecord,
    Triple,
    fingerprint_of,
    generator,
    layer_directories,
    write_run,
)
from dissect.tallying import tally_images, tile_streams
from dissect.upsample import Placement
from dissect.voices import index_files, open_panel
from dissect.writing import (
    describe_annotators,
    describe_environment,
    describe_leaving_out,
    peak_memory,
    vocabulary_of,
    write_layer,
    write_photographs,
    write_shared,
    write_voices,
)

_DEFAULT_MEMORY = 4 << 30


@dataclass(frozen=True, slots=True)
class Outcome:
    """A finished run.

    Attributes:
        run: Its description.
        root: Its directory.
        unchanged: True if it had been complete before, so that nothing was done.
    """

    run: Run
    root: Path
    unchanged: bool


def dissect_model(
    module: nn.Module,
    concept_set: ConceptSet | Path | str,
    layers: Sequence[str],
    out: Path | str,
    *,
    mean: Triple = (0.485, 0.456, 0.406),
    std: Triple = (0.229, 0.224, 0.225),
    name: str | None = None,
    thresholds: Mapping[str, Thresholds] | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401 - the fields of RunConfig
) -> Outcome:
    """Dissect a model that stands in memory.

    Args:
        module: Takes (n, 3, height, width). Used in evaluation, and left in the modes it was in;
            it is moved to the device.
        concept_set: A concept set, or its directory.
        layers: Dotted names, in the order wanted.
        out: Directory of the run.
        mean: Subtracted from RGB in [0, 1].
        std: Divided by after that.
        name: What reports call the run; absent: the model's class.
        thresholds: (units,) float32 or float64 by layer, to use instead of computing them.
        workers: Threads that decode and tally.
        max_memory: Bytes of activation maps kept in memory.
        overwrite: Replace a different run at `out`.
        progress: Called with (stage, done, total).
        options: Further fields of `RunConfig`; `device` may be any name torch knows, or `auto`.

    Raises:
        UsageError: A layer, an option or the output cannot be used as given.
        SourceError: The set cannot be read, or an activation is not finite.
        OutputError: The run cannot be written.
    """
    title = type(module).__name__
    model = LoadedModel(
        module=module,
        name=title,
        source="python",
        weights="as given",
        digest=state_digest(module),
        mean=mean,
        std=std,
        assumed=False,
    )
    opened = concept_set
    if not isinstance(opened, ConceptSet):
        opened = open_concept_set(Path(opened), options.get("index", "index.csv"))
    device = choose_device(options.pop("device", "cpu"))
    options.setdefault("threads", torch.get_num_threads())
    config = RunConfig(layers=tuple(layers), device=device.type, **options)
    with evaluating(module):
        return run_dissection(
            model,
            opened,
            config,
            Path(out),
            device=device,
            name=name,
            thresholds=thresholds,
            workers=workers,
            max_memory=max_memory,
            overwrite=overwrite,
            progress=progress,
        )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """The module in evaluation; afterwards every part of it is in the mode it was in."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training


def run_dissection(
    model: LoadedModel,
    concept_set: ConceptSet,
    config: RunConfig,
    out: Path,
    *,
    device: torch.device,
    name: str | None = None,
    thresholds: Mapping[str, Thresholds] | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Outcome:
    """Dissect a loaded model; see `dissect_model`.

    Everything that can be refused is refused before the output is touched. A run that stands
    complete at `out` and is equal is returned as it is.
    """
    timings = Timings()
    plan = _make_plan(
        model,
        concept_set,
        config,
        device=device,
        thresholds=thresholds or {},
        workers=max(1, min(8, usable_cores() - config.threads)) if workers is None else workers,
        max_memory=min(_DEFAULT_MEMORY, total_memory() // 2) if max_memory is None else max_memory,
    )
    with timings.measure("fingerprint"):
        set_record = _describe_set(plan)
    model_record = _describe_model(model)
    fingerprint = fingerprint_of(plan.config, set_record, model_record)
    status, standing = inspect(out, fingerprint)
    if status == "complete" and standing is not None and not overwrite:
        _check_name(standing, name, out)
        sweep(RunLayout(out))
        return Outcome(standing, out, unchanged=True)
    with claim(out, fingerprint, overwrite=overwrite) as layout:
        outcomes = _work(model.module, plan, layout, fingerprint, timings, progress)
        run = _finish(
            layout,
            outcomes,
            plan,
            set_record=set_record,
            model_record=model_record,
            name=name or model.name,
            fingerprint=fingerprint,
            timings=timings,
        )
    return Outcome(run, out, unchanged=False)


def _work(
    module: nn.Module,
    plan: Plan,
    layout: RunLayout,
    fingerprint: str,
    timings: Timings,
    progress: Progress | None,
) -> Outcomes:
    """Everything but the writing, in this process."""
    folder = ShardFolder(layout.shards / WHOLE.folder, fingerprint)
    stores = make_stores(plan, folder)
    scan_shard(module, plan, WHOLE, stores, folder=folder, timings=timings, progress=progress)
    with timings.measure("thresholds"):
        chosen = [one.values for one in thresholds_of(plan, [tails_of(plan, stores)])]
    tallied = tally_images(
        plan,
        [WHOLE],
        tile_streams([stores]),
        chosen,
        module=module,
        folder=folder.root,
        timings=timings,
        progress=progress,
    )
    return outcomes_of(tallied)


def _finish(
    layout: RunLayout,
    outcomes: Outcomes,
    plan: Plan,
    *,
    set_record: SetRecord,
    model_record: ModelRecord,
    name: str,
    fingerprint: str,
    timings: Timings,
) -> Run:
    """Write every file of a run, run.json last."""
    with timings.measure("write"):
        samples = Resamples.draw(np.array([entry.row for entry in plan.entries]))
        records = _write_outcomes(layout, outcomes, plan, samples, fingerprint)
    run = Run(
        generator=generator(),
        name=name,
        fingerprint=fingerprint,
        config=plan.config,
        set=set_record,
        model=model_record,
        counts=RunCounts(
            images=len(plan.entries),
            labels=len(np.unique(outcomes.heard.truth(0)[:, 1])),
            categories=plan.categories,
        ),
        layers=records,
        annotators=describe_annotators(plan.panel),
        leave_one_out=describe_leaving_out(plan.panel),
        environment=describe_environment(plan),
        timings={},
    )
    if run.annotators:
        with timings.measure("annotators"):
            words = vocabulary_of(plan.concept_set, plan.categories)
            write_annotators(layout, run, words, samples=samples)
    spent = {**timings.seconds, "peak_memory": peak_memory()}
    run = run.model_copy(update={"timings": spent})
    write_run(layout, run)
    return run


def _write_outcomes(
    layout: RunLayout, outcomes: Outcomes, plan: Plan, samples: Resamples, fingerprint: str
) -> tuple[LayerRecord, ...]:
    """Every file of a run but run.json."""
    directories = layer_directories(plan.config.layers)
    records = []
    for outcome in outcomes.layers:
        place = {"directory": directories[outcome.shape.name], "fingerprint": fingerprint}
        records.append(write_layer(layout, outcome, plan, samples, **place))
        write_voices(layout, outcome, plan, samples, **place)
    if plan.panel.annotators:
        write_shared(layout, outcomes, plan, fingerprint=fingerprint)
    write_photographs(layout, outcomes.layers, plan)
    return tuple(records)


def _check_name(standing: Run, name: str | None, out: Path) -> None:
    """Refuse to call a complete run by another name: nothing else of it would change."""
    if name is not None and name != standing.name:
        raise RunExistsError(
            f"the output holds this very run under the name {standing.name!r}",
            path=out,
            hint="Leave --name out, choose another --out, or give --overwrite to start anew.",
        )


def _make_plan(
    model: LoadedModel,
    concept_set: ConceptSet,
    config: RunConfig,
    *,
    device: torch.device,
    thresholds: Mapping[str, Thresholds],
    workers: int,
    max_memory: int,
) -> Plan:
    """The options checked against the set and the model."""
    if workers < 1:
        raise UsageError(f"--workers is {workers}, at least 1 was expected")
    entries = select_entries(concept_set, split=config.split, limit=config.limit)
    categories = check_categories(concept_set, config.categories)
    size = input_size(entries, config.image_size)
    check_files(concept_set, entries, categories)
    panel = open_panel(
        concept_set, entries, categories, wanted=config.annotators, index=config.index
    )
    model.module.to(device)
    shapes = probe_layers(
        model.module, config.layers, size=size, device=device, precision=config.precision
    )
    given = (
        {shape.name: check_thresholds(thresholds, shape) for shape in shapes} if thresholds else {}
    )
    digests = {name: digest_thresholds(values) for name, values in given.items()} or None
    return Plan(
        concept_set=concept_set,
        entries=entries,
        categories=categories,
        size=size,
        config=config.model_copy(
            update={
                "thresholds": digests,
                "categories": categories,
                "annotators": tuple(one.title for one in panel.annotators),
            }
        ),
        shapes=tuple(shapes),
        placements=_placements(model.module, shapes, size, device, config),
        given=given,
        mean=model.mean,
        std=model.std,
        device=device,
        workers=workers,
        max_memory=max_memory,
        panel=panel,
    )


def _placements(
    module: nn.Module,
    shapes: Sequence[LayerShape],
    size: tuple[int, int],
    device: torch.device,
    config: RunConfig,
) -> dict[str, Placement]:
    """Where cells lie, if the options ask for it; a 1x1 map covers everything either way."""
    if config.upsample == "half-pixel":
        return {}
    tokens = [shape.name for shape in shapes if shape.kind == "tokens"]
    if tokens:
        raise UsageError(
            "the layer puts out tokens, whose receptive fields are not known",
            pointer=f"layer {tokens[0]}",
            hint="Use --upsample half-pixel.",
        )
    wanted = [shape.name for shape in shapes if shape.map_size != (1, 1)]
    return find_placements(module, wanted, size=size, device=device) if wanted else {}


def _describe_set(plan: Plan) -> SetRecord:
    content = digest_set(
        plan.concept_set,
        plan.entries,
        plan.categories,
        index=plan.config.index,
        workers=plan.workers,
        further=index_files(plan.concept_set, plan.panel),
    )
    return SetRecord(name=plan.concept_set.root.resolve().name, digest=content)


def _describe_model(model: LoadedModel) -> ModelRecord:
    return ModelRecord(
        name=model.name,
        source=model.source,
        weights=model.weights,
        digest=model.digest,
        mean=_triple(model.mean, "mean"),
        std=_triple(model.std, "std"),
        assumed=model.assumed,
    )


def _triple(values: Sequence[float], name: str) -> Triple:
    if len(values) != 3:
        raise UsageError(f"--{name} has {len(values)} numbers, 3 were expected (R,G,B)")
    return values[0], values[1], values[2]


def total_memory() -> int:
    """Bytes of memory of this machine; 8 GiB where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30
