"""Dissection from Python: what the command line calls, and the same for any `torch.nn.Module`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from conceptset.io.parallel import Engine
from conceptset.layout.reading import ConceptSet, open_concept_set
from dissect.activations import choose_device
from dissect.errors import RunExistsError
from dissect.finishing import Outcome, finish_run
from dissect.job import Job, ModelSpec, share_job, write_job
from dissect.merging import require_workers, run_on
from dissect.models.loading import LoadedModel
from dissect.models.matching import state_digest
from dissect.parts import scan_into, shard_folder
from dissect.plan import Plan, Progress, Thresholds, Timings
from dissect.planning import prepare_job
from dissect.rundir import claim, inspect, join, sweep
from dissect.runner import Outcomes, outcomes_of, tails_of, thresholds_of
from dissect.scan import make_stores, scan_shard
from dissect.shards import WHOLE, Shard
from dissect.state import Run, RunConfig, RunLayout, Triple
from dissect.tallying import stored_tiles, tally_images


@dataclass(frozen=True, slots=True)
class Distributed:
    """How a run is divided among the workers of an engine.

    Attributes:
        engine: Where they are.
        shards: How many parts; None: two for each that the engine works on at once, or those of an
            attempt that was stopped.
    """

    engine: Engine
    shards: int | None = None


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
    passes: int = 1,
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
        max_memory: Bytes of activations kept in memory; the rest goes to disk.
        passes: 2 keeps nothing of activations but the largest values, and runs the network twice.
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
            passes=passes,
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
    passes: int = 1,
    spec: ModelSpec | None = None,
    distributed: Distributed | None = None,
    overwrite: bool = False,
    timings: Timings | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Dissect a loaded model; see `dissect_model`.

    Everything that can be refused is refused before the output is touched. A run that stands
    complete at `out` and is equal is returned as it is; one that was stopped is gone on with.

    Args:
        model: Ready to be used.
        concept_set: The set.
        config: The options that outcomes depend on.
        out: Directory of the run.
        device: Where the model runs.
        name: What reports call the run.
        thresholds: As for `dissect_model`; so are workers, max_memory, passes, overwrite.
        workers: As there.
        max_memory: As there.
        passes: As there.
        spec: How other processes load the model; needed with `distributed`.
        distributed: Do the work elsewhere; the outcome has the same bytes.
        overwrite: As there.
        timings: What was spent before, to be told in run.json with the rest.
        progress: As there.
    """
    timings = timings or Timings()
    job, plan = prepare_job(
        model,
        concept_set,
        config,
        device=device,
        name=name,
        thresholds=thresholds,
        workers=workers,
        max_memory=max_memory,
        passes=passes,
        spec=spec,
        timings=timings,
    )
    status, standing = inspect(out, job.fingerprint)
    if status == "complete" and standing is not None and not overwrite:
        _check_name(standing, name, out)
        sweep(RunLayout(out))
        return Outcome(standing, out, unchanged=True)
    if distributed is not None:
        require_workers(distributed.engine, job, plan)
    with claim(out, job.fingerprint, overwrite=overwrite) as layout:
        if distributed is None:
            outcomes = _work_here(model.module, job, plan, layout, timings, progress)
        else:
            write_job(layout, job, plan)
            outcomes = run_on(
                distributed.engine,
                layout,
                job,
                plan,
                shards=distributed.shards,
                timings=timings,
                progress=progress,
            )
        run = finish_run(layout, outcomes, plan, job, timings=timings)
    return Outcome(run, out, unchanged=False)


def scan_one_shard(
    model: LoadedModel,
    concept_set: ConceptSet,
    config: RunConfig,
    out: Path,
    shard: Shard,
    *,
    device: torch.device,
    name: str | None = None,
    thresholds: Mapping[str, Thresholds] | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
    passes: int = 1,
    spec: ModelSpec | None = None,
    progress: Progress | None = None,
) -> bool:
    """Scan one of several parts of a run; `merge_run` finishes it when all are there.

    Arguments are those of `run_dissection`. Other processes may scan other shards at the same
    time, on this machine or on others that see `out`.

    Returns:
        Whether the shard has to be merged: False if the whole run is complete already.

    Raises:
        RunExistsError: Another run is in the way, or the shard is being scanned.
    """
    timings = Timings()
    job, plan = prepare_job(
        model,
        concept_set,
        config,
        device=device,
        name=name,
        thresholds=thresholds,
        workers=workers,
        max_memory=max_memory,
        passes=passes,
        spec=spec,
        timings=timings,
    )
    if inspect(out, job.fingerprint)[0] == "complete":
        return False
    with join(out, job.fingerprint) as layout:
        share_job(layout, job, plan)
        scan_into(
            layout, job.fingerprint, model.module, plan, shard, timings=timings, progress=progress
        )
    return True


def _work_here(
    module: nn.Module,
    job: Job,
    plan: Plan,
    layout: RunLayout,
    timings: Timings,
    progress: Progress | None,
) -> Outcomes:
    """Everything but the writing, in this process."""
    folder = shard_folder(layout, job.fingerprint, plan, WHOLE)
    stores = make_stores(plan, folder)
    scan_shard(module, plan, WHOLE, stores, folder=folder, timings=timings, progress=progress)
    with timings.measure("thresholds"):
        chosen = [one.values for one in thresholds_of(plan, [tails_of(plan, stores)])]
    tallied = tally_images(
        plan,
        [WHOLE],
        stored_tiles([stores]),
        chosen,
        module=module,
        folder=folder.root,
        timings=timings,
        progress=progress,
    )
    return outcomes_of(tallied)


def _check_name(standing: Run, name: str | None, out: Path) -> None:
    """Refuse to call a complete run by another name: nothing else of it would change."""
    if name is not None and name != standing.name:
        raise RunExistsError(
            f"the output holds this very run under the name {standing.name!r}",
            path=out,
            hint="Leave --name out, choose another --out, or give --overwrite to start anew.",
        )
