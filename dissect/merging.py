"""A run of several shards put together: by hand, or by an engine that scanned them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import torch

from conceptset.errors import IncompleteError
from conceptset.io.parallel import Engine, Need
from dissect.finishing import Outcome, finish_run
from dissect.job import Job, open_plan, read_job
from dissect.keeping import Store
from dissect.parts import (
    Part,
    distrust,
    join_parts,
    open_stores,
    scan_part,
    shard_folder,
    tally_part,
    write_thresholds,
)
from dissect.plan import Plan, Progress, Thresholds, Timings
from dissect.planning import memory_budget, worker_threads
from dissect.rundir import claim, sweep
from dissect.runner import Outcomes, outcomes_of, tails_of, thresholds_of
from dissect.shards import Shard, find_shards
from dissect.state import RunLayout, open_run
from dissect.tallying import stored_tiles, tally_images

_MOST_ATTEMPTS = 3  # at bounds that turn out too high


def merge_run(
    out: Path,
    *,
    set_path: Path | None = None,
    device: torch.device | None = None,
    workers: int | None = None,
    max_memory: int | None = None,
    progress: Progress | None = None,
) -> Outcome:
    """Finish a run all of whose shards were scanned.

    Args:
        out: The run; one that is complete is returned as it is.
        set_path: Where the set lies, if it was moved since.
        device: For layers that need a second pass; None: the kind the run was begun on.
        workers: Threads that tally.
        max_memory: Bytes of activations kept in memory.
        progress: Called with (stage, done, total).

    Raises:
        IncompleteError: Shards are missing, or have to be scanned again.
        SourceError: There is no run, or the set is another.
        RunExistsError: A process is at work on a shard.
    """
    timings = Timings()
    layout = RunLayout(out)
    if layout.manifest.is_file():
        standing = open_run(out)
        sweep(layout)
        return Outcome(standing, out, unchanged=True)
    with timings.measure("prepare"):
        job = read_job(layout)
        torch.set_num_threads(job.config.threads)
        plan = open_plan(
            layout,
            job,
            set_path=set_path,
            device=device,
            workers=worker_threads(workers, job.config),
            max_memory=memory_budget(max_memory),
        )
    with claim(out, job.fingerprint, overwrite=False):
        outcomes = merge_here(layout, job, plan, timings=timings, progress=progress)
        run = finish_run(layout, outcomes, plan, job, timings=timings)
    return Outcome(run, out, unchanged=False)


def scanned_shards(layout: RunLayout, fingerprint: str, plan: Plan) -> list[Shard]:
    """The shards of a run, all of which were scanned.

    Raises:
        IncompleteError: Some are missing, or not complete; it names them.
    """
    found = find_shards(layout.shards)
    done = [
        shard
        for shard in found
        if (state := shard_folder(layout, fingerprint, plan, shard).read()) and state.complete
    ]
    ways = sorted({shard.of for shard in found})
    for of in ways:
        if all(shard in done for shard in Shard.all(of)):
            return Shard.all(of)
    if not ways:
        raise IncompleteError(
            "no shard was scanned",
            path=layout.root,
            hint="Give 'dissect run' with --shard 1/N to --shard N/N first.",
        )
    best = max(ways, key=lambda of: (sum(shard.of == of for shard in done), of))
    missing = [str(shard) for shard in Shard.all(best) if shard not in done]
    more = f" and {len(missing) - 12} more" if len(missing) > 12 else ""
    raise IncompleteError(
        f"{len(missing)} of {best} shards are missing: {', '.join(missing[:12])}{more}",
        path=layout.root,
        hint=f"Give the 'dissect run' command with --shard {missing[0]} and so on, then merge.",
    )


def select_or_distrust(
    layout: RunLayout, plan: Plan, stores: Sequence[Sequence[Store]]
) -> list[Thresholds] | None:
    """The thresholds; None if a bound was too high, so that all shards must be scanned again.

    Args:
        layout: The run.
        plan: Of the run.
        stores: For each shard, those of all layers.
    """
    tails = [tails_of(plan, own, compact=False) for own in stores]
    selected = thresholds_of(plan, tails)
    wrong = {
        layer.shape.name: one.unknown.tolist()
        for layer, one in zip(plan.layers, selected, strict=True)
        if len(one.unknown)
    }
    if wrong:
        distrust(layout, wrong)
        return None
    return [one.values for one in selected]


def merge_here(
    layout: RunLayout,
    job: Job,
    plan: Plan,
    *,
    timings: Timings,
    progress: Progress | None = None,
) -> Outcomes:
    """Thresholds and tally of shards that others scanned, in this process.

    Raises:
        IncompleteError: Shards are missing, or must be scanned again.
    """
    shards = scanned_shards(layout, job.fingerprint, plan)
    with timings.measure("thresholds"):
        stores = [open_stores(layout, job.fingerprint, plan, shard) for shard in shards]
        thresholds = select_or_distrust(layout, plan, stores)
    if thresholds is None:
        raise IncompleteError(
            "the activations that the shards left out may have mattered for some units: they began "
            "with a bound, guessed from a few images, that was too high",
            path=layout.root,
            hint="Give the 'dissect run' command of each shard again, which does without it for "
            "these units, then merge.",
        )
    with timings.measure("model"):
        module = job.load_model().to(plan.device) if plan.rescanned else None
    tallied = tally_images(
        plan,
        shards,
        stored_tiles(stores),
        thresholds,
        module=module,
        folder=layout.shards,
        timings=timings,
        progress=progress,
    )
    return outcomes_of(tallied)


def require_workers(engine: Engine, job: Job, plan: Plan) -> None:
    """Refuse what no worker could do, before anything is written.

    Raises:
        UsageError: Workers cannot load the model.
        ClusterError: No machine has what a shard takes.
    """
    job.shared_spec()
    engine.require(_scan_need(plan), hint="--threads says how many cores a shard takes on the CPU.")


def run_on(
    engine: Engine,
    layout: RunLayout,
    job: Job,
    plan: Plan,
    *,
    shards: int | None,
    timings: Timings,
    progress: Progress | None = None,
) -> Outcomes:
    """The whole work of a run, by the workers of an engine.

    Args:
        engine: Where they are.
        layout: The run, whose job is written.
        job: Of the run.
        plan: The same, on this machine.
        shards: How many parts the work is divided into, at most one for each batch; None: two for
            each that the engine works on at once, or those of an attempt that was stopped.
        timings: Added to.
        progress: Called with (stage, shards done, shards).

    Raises:
        ConceptsetError: A worker failed, or was killed too often.
    """
    need = _scan_need(plan)
    wanted = shards or _begun_shards(engine, layout, job, plan) or 2 * engine.slots(need)
    every = Shard.all(max(1, min(wanted, plan.batches)))
    reads = [plan.concept_set.root, *job.shared_spec().files()]
    engine.check_sight([path.resolve() for path in reads], writes=layout.shards.resolve())
    root = layout.root.resolve()
    parts = [Part(root, shard, plan.workers, plan.max_memory) for shard in every]
    thresholds = None
    for _ in range(_MOST_ATTEMPTS):
        with timings.measure("scan of shards"):
            _run_all(engine, scan_part, parts, need, "scan", progress)
        with timings.measure("thresholds"):
            stores = [open_stores(layout, job.fingerprint, plan, shard) for shard in every]
            thresholds = select_or_distrust(layout, plan, stores)
        if thresholds is not None:
            break
    if thresholds is None:
        raise IncompleteError(
            "bounds for the thresholds were too high again and again",
            path=layout.root,
            hint="Give the same command again; these units are then done without.",
        )
    write_thresholds(layout, thresholds)
    if not plan.rescanned:  # no network, so no GPU; as many threads as a machine has cores for
        workers = _fitting_workers(engine, plan.workers)
        need = Need(cores=workers)
        parts = [replace(part, workers=workers, forward=False) for part in parts]
    with timings.measure("tally of shards"):
        _run_all(engine, tally_part, parts, need, "tally", progress)
    return join_parts(layout, job.fingerprint, plan, every)


def _scan_need(plan: Plan) -> Need:
    gpu = plan.device.type == "cuda"
    return Need(cores=1 if gpu else plan.config.threads, gpus=1 if gpu else 0)


def _begun_shards(engine: Engine, layout: RunLayout, job: Job, plan: Plan) -> int:
    """How many shards an attempt that was stopped has divided the run into; 0 if that is no use.

    The cluster may have changed since. What was scanned is worth more than a better division,
    unless machines were left without work.
    """
    begun = Counter(
        shard.of
        for shard in find_shards(layout.shards)
        if engine.slots(_scan_need(plan)) <= shard.of <= plan.batches
        and shard_folder(layout, job.fingerprint, plan, shard).read() is not None
    )
    return max(begun, key=lambda of: (begun[of], of), default=0)


def _fitting_workers(engine: Engine, workers: int) -> int:
    """So many threads at most that a machine has a core for each."""
    fitting = (cores for cores in range(workers, 1, -1) if engine.slots(Need(cores=cores)))
    return next(fitting, 1)


def _run_all(
    engine: Engine,
    function: Callable[[Part], None],
    parts: Sequence[Part],
    need: Need,
    stage: str,
    progress: Progress | None,
) -> None:
    done = 0
    results = engine.as_completed(
        function,
        parts,
        need=need,
        name=lambda part: f"{stage} of shard {part.shard}",
    )
    with closing(results):
        for _ in results:
            done += 1
            if progress is not None:
                progress(f"{stage} of shards", done, len(parts))
