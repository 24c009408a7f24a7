"""What it costs to divide a run: work of all processes together, wall time, tiles that are kept.

Every worker is a process of its own and calls what `dissect run --shard`, `dissect merge` and the
workers of a cluster call: `scan_part`, `select_or_distrust`, `tally_part`, `join_parts`.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.dissecting import CASES
from benchmarks.measuring import Options, Table

CASE = CASES[0]
COUNTS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Spent:
    """What some shards took.

    Attributes:
        wall: Seconds.
        cpu: Processor seconds of all workers.
        slowest: Wall seconds of the slowest shard: what is left with a machine for each.
    """

    wall: float
    cpu: float
    slowest: float

    def __add__(self, more: Spent) -> Spent:
        """Both."""
        sums = (self.wall + more.wall, self.cpu + more.cpu, self.slowest + more.slowest)
        return Spent(*sums)


def measure_shards(opened: Any, options: Options, *, pilot: int) -> list[Table]:
    """Figure 5.

    Args:
        opened: The set.
        options: `jobs` processes at a time.
        pilot: Images of the pilot. A run takes 512, and none where shards have fewer than 2048
            images; here it is taken always, to see what it does with fewer images.
    """
    rows, digests = [], set()
    for shards in COUNTS:
        for images in (0, pilot) if shards > 1 else (0,):
            with tempfile.TemporaryDirectory() as folder:
                found = _divide(opened, options, shards, images, Path(folder))
            digests.add(found.pop("digest"))
            name = f"{shards} shard{'s' * (shards > 1)}, {'pilot' if images else 'no pilot'}"
            rows.append([name, *found.values()])
    columns = ["shards", "scan, processor s", "tally, processor s", "together", "wall s"]
    columns += ["slowest scan s", "selection s", "tiles MiB", "pairs kept", "again"]
    note = (
        f"{CASE.title}, {len(opened.entries)} images, {options.jobs} processes of one thread at a "
        f"time, pilot of {pilot} images (in the scan of whoever comes first). `again`: how often "
        "all shards were scanned anew because the bound was too high. Every "
        f"counts.safetensors had the same bytes: {'yes' if len(digests) == 1 else 'NO'}."
    )
    return [Table("shards", columns, rows, (note,))]


def _divide(opened: Any, options: Options, shards: int, pilot: int, home: Path) -> dict[str, str]:
    from dissect.finishing import finish_run
    from dissect.merging import select_or_distrust
    from dissect.parts import Part, join_parts, open_stores, write_thresholds
    from dissect.plan import Timings
    from dissect.shards import Shard
    from dissect.state import RunLayout

    layout = RunLayout(home / "run")
    job, plan = _begin(opened, options, layout)
    _begin(opened, options, RunLayout(home / "warm"), limit=options.batch_size)
    every = Shard.all(shards)
    parts = [Part(layout.root, one, 1, plan.max_memory) for one in every]
    context, again = multiprocessing.get_context("spawn"), 0
    with ProcessPoolExecutor(
        options.jobs, mp_context=context, initializer=_set_up, initargs=(pilot, home / "warm")
    ) as pool:
        list(pool.map(time.sleep, [0.5] * options.jobs))  # so that all have begun
        scan, selection, thresholds = Spent(0.0, 0.0, 0.0), 0.0, None
        while thresholds is None:  # scanned again if the pilot's bound was too high
            scan = scan + _spend(pool, _scan, parts)
            begin = time.perf_counter()
            stores = [open_stores(layout, job.fingerprint, plan, one) for one in every]
            thresholds = select_or_distrust(layout, plan, stores)
            selection += time.perf_counter() - begin
            again += thresholds is None
        write_thresholds(layout, thresholds)
        tally = _spend(pool, _tally, parts)
    tiles = sum(path.stat().st_size for path in layout.shards.glob("*/layer-*/tiles-*"))
    pairs = _count_pairs(stores)
    outcomes = join_parts(layout, job.fingerprint, plan, every)
    finish_run(layout, outcomes, plan, job, timings=Timings())
    counts = layout.counts(plan.config.layers[0]).read_bytes()
    shutil.rmtree(layout.shards)
    return {
        "scan": f"{scan.cpu:.1f}",
        "tally": f"{tally.cpu:.1f}",
        "together": f"{scan.cpu + tally.cpu:.1f}",
        "wall": f"{scan.wall + selection + tally.wall:.1f}",
        "slowest": f"{scan.slowest:.1f}",
        "selection": f"{selection:.2f}",
        "tiles": f"{tiles / 2**20:.1f}",
        "pairs": f"{pairs / (len(plan.entries) * plan.shapes[0].units):.3f}",
        "again": str(again),
        "digest": hashlib.sha256(counts).hexdigest(),
    }


def _begin(
    opened: Any, options: Options, layout: Any, *, limit: int | None = None
) -> tuple[Any, Any]:
    """The run as the first `dissect run --shard` leaves it, with nothing scanned."""
    import torch

    from dissect.job import ModelSpec, write_job
    from dissect.models import load_model
    from dissect.plan import Timings
    from dissect.planning import prepare_job
    from dissect.state import RunConfig

    config = RunConfig(
        layers=CASE.layers, batch_size=options.batch_size, annotators=("none",), limit=limit
    )
    job, plan = prepare_job(
        *(load_model(CASE.model, weights="none"), opened, config),
        device=torch.device("cpu"),
        name="bench",
        thresholds=None,
        workers=1,
        max_memory=1 << 30,
        passes=1,
        spec=ModelSpec(spec=CASE.model, weights="none"),
        timings=Timings(),
    )
    layout.shards.mkdir(parents=True)
    write_job(layout, job, plan)
    return job, plan


def _set_up(pilot: int, template: Path) -> None:
    """Where a worker begins: imports and compiled code; how large the pilot is.

    Args:
        pilot: Its images; 0: none is made.
        template: A run of one batch, of which the worker scans a copy.
    """
    import dissect.pilot
    from dissect.parts import Part, scan_part
    from dissect.shards import WHOLE

    own = template.with_name(f"{template.name}-{os.getpid()}")
    shutil.copytree(template, own)
    scan_part(Part(own, WHOLE, 1, 1 << 30))
    dissect.pilot.PILOT_IMAGES = pilot or 1 << 40
    dissect.pilot._WORTHWHILE = 0 if pilot else 1


def _scan(part: Any) -> tuple[float, float]:
    from dissect.parts import scan_part

    return _measured(lambda: scan_part(part))


def _tally(part: Any) -> tuple[float, float]:
    from dissect.parts import tally_part

    return _measured(lambda: tally_part(part))


def _measured(work: Callable[[], None]) -> tuple[float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def _spend(
    pool: ProcessPoolExecutor, work: Callable[[Any], tuple[float, float]], parts: Sequence[Any]
) -> Spent:
    begin = time.perf_counter()
    each = list(pool.map(work, parts))
    wall = time.perf_counter() - begin
    return Spent(wall, sum(cpu for _, cpu in each), max(wall for wall, _ in each))


def _count_pairs(stores: Sequence[Any]) -> int:
    """Pairs of image and unit that have a tile in some shard's store of the layer."""
    import numpy as np

    pairs = [
        chunk.rows.astype(np.int64) << 32 | chunk.units
        for (store,) in stores
        for chunk in store.chunks()
    ]
    return sum(len(np.unique(own)) for own in pairs)  # no image is divided among chunks
