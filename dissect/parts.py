"""Shards of a run on whatever machine: what a worker is told, does, and leaves in the run.

The set, the weights and the run must lie where every machine sees them under the same path.
Whatever a worker does twice, because the first attempt was killed, has the same outcome.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import nn

from conceptset.io.atomic import write_file
from conceptset.io.tables import format_json, read_json
from dissect.counts import encode_arrays, open_tables, read_arrays, write_tables
from dissect.heard import HeardImages
from dissect.job import Job, open_plan, read_job
from dissect.keeping import Store
from dissect.pilot import pilot_floors, wants_pilot
from dissect.plan import Plan, Progress, Thresholds, Timings, as_thresholds
from dissect.rows import Rows, merge_rows
from dissect.runner import LayerOutcome, Outcomes
from dissect.scan import make_stores, scan_shard
from dissect.shards import Shard, ShardFolder, locked
from dissect.state import RunLayout
from dissect.tallying import stored_tiles, tally_images
from dissect.tiles import MapArray
from dissect.top import join_top, read_top, write_top

_DISTRUSTED = TypeAdapter(dict[str, list[int]])
_WAIT_SECONDS = 120.0  # for a worker whose end was reported to let go of its shard


@dataclass(frozen=True, slots=True)
class Part:
    """What a worker is told.

    Attributes:
        root: The run.
        shard: Which part of it.
        workers: Threads that decode and tally.
        max_memory: Bytes of activations kept in memory.
        set_path: Where the set lies, if not where the job says.
        forward: Whether the network runs; if not, neither it nor its device is asked for.
    """

    root: Path
    shard: Shard
    workers: int
    max_memory: int
    set_path: Path | None = None
    forward: bool = True

    @property
    def layout(self) -> RunLayout:
        """The run's."""
        return RunLayout(self.root)


def scan_part(part: Part) -> None:
    """Scan a shard, or what is left of it, into its folder."""
    job = read_job(part.layout)
    plan = _plan_of(part, job)
    module = _module_for(job.model_dump_json(), str(plan.device))
    scan_into(part.layout, job.fingerprint, module, plan, part.shard, wait=_WAIT_SECONDS)


def scan_into(
    layout: RunLayout,
    fingerprint: str,
    module: nn.Module,
    plan: Plan,
    shard: Shard,
    *,
    wait: float = 0.0,
    timings: Timings | None = None,
    progress: Progress | None = None,
) -> None:
    """Scan a shard into its folder, which then holds all that others need of it.

    Raises:
        RunExistsError: Another process is at work on the shard, and was after `wait` seconds.
    """
    folder = shard_folder(layout, fingerprint, plan, shard)
    folder.root.mkdir(parents=True, exist_ok=True)
    spent = timings or Timings()
    with locked(folder.root / "lock", what="shard", wait=wait):
        floors = None
        if wants_pilot(plan, shard.of):
            with spent.measure("pilot"):
                floors = _shared_floors(layout, module, plan)
        stores = make_stores(plan, folder, floors)
        scan_shard(
            module,
            plan,
            shard,
            stores,
            folder=folder,
            keep=True,
            timings=spent,
            progress=progress,
        )


def shard_folder(layout: RunLayout, fingerprint: str, plan: Plan, shard: Shard) -> ShardFolder:
    """Where a shard is kept."""
    return ShardFolder(layout.shards / shard.folder, fingerprint, plan.passes)


def _shared_floors(layout: RunLayout, module: nn.Module, plan: Plan) -> Mapping[str, MapArray]:
    """The bounds that one of the workers found; the others wait for them."""
    names = [layer.shape.name for layer in plan.layers if layer.given is None]
    lock = layout.floors.with_suffix(".lock")
    with locked(lock, what="run's first bounds", wait=math.inf):  # nobody would be sooner alone
        if not layout.floors.is_file():
            distrusted = read_distrusted(layout)
            floors = pilot_floors(module, plan, distrusted=distrusted, timings=Timings())
            write_file(layout.floors, encode_arrays(floors, {}))
    arrays, _ = read_arrays(layout.floors, names)
    return {name: values.astype(np.float32) for name, values in arrays.items()}


def read_distrusted(layout: RunLayout) -> dict[str, list[int]]:
    """Units by layer for which the first bound was too high."""
    if not layout.distrusted.is_file():
        return {}
    return _DISTRUSTED.validate_python(read_json(layout.distrusted))


def distrust(layout: RunLayout, units: Mapping[str, Sequence[int]]) -> None:
    """Have all shards scanned again, without bounds for these units."""
    known = read_distrusted(layout)
    for name, more in units.items():
        known[name] = sorted({*known.get(name, []), *more})
    write_file(layout.distrusted, format_json(known))
    layout.floors.unlink(missing_ok=True)
    for state in layout.shards.glob("*-of-*/state.safetensors"):
        state.unlink()


def open_stores(layout: RunLayout, fingerprint: str, plan: Plan, shard: Shard) -> list[Store]:
    """The stores of a shard that was scanned to its end, as they were left."""
    folder = shard_folder(layout, fingerprint, plan, shard)
    state = folder.read()
    if state is None or not state.complete:
        raise AssertionError(f"shard {shard} was not scanned")
    stores = make_stores(plan, folder)
    for place, (store, record) in enumerate(zip(stores, state.layers, strict=True)):
        store.restore(**record, bound=state.bounds[place], ties=state.ties[place])
    return stores


def write_thresholds(layout: RunLayout, thresholds: Sequence[Thresholds]) -> None:
    """Tell the thresholds to all workers."""
    arrays = {str(place): np.asarray(values) for place, values in enumerate(thresholds)}
    write_file(layout.selected, encode_arrays(arrays, {}))


def _read_thresholds(layout: RunLayout, layers: int) -> list[Thresholds]:
    arrays, _ = read_arrays(layout.selected, [str(place) for place in range(layers)])
    return [as_thresholds(arrays[str(place)]) for place in range(layers)]


def tally_part(part: Part) -> None:
    """Tally a shard that was scanned, with the thresholds of the run, into its folder."""
    layout = part.layout
    job = read_job(layout)
    plan = _plan_of(part, job)
    module = _module_for(job.model_dump_json(), str(plan.device)) if part.forward else None
    folder = shard_folder(layout, job.fingerprint, plan, part.shard)
    with locked(folder.root / "lock", what="shard", wait=_WAIT_SECONDS):
        stores = open_stores(layout, job.fingerprint, plan, part.shard)
        thresholds = _read_thresholds(layout, len(plan.layers))
        tallied = tally_images(
            plan,
            [part.shard],
            stored_tiles([stores]),
            thresholds,
            module=module,
            folder=folder.root,
            fork=False,  # whose processes they are is the engine's to say
            timings=Timings(),
        )
        voices = plan.panel.voices
        for place, layer in enumerate(tallied.layers):
            tables: dict[str, Rows] = {
                str(voice): layer.rows.take(voice) for voice in range(voices)
            }
            tables["area"] = layer.areas.take(0)
            write_tables(folder.root / f"counts-{place:03d}.safetensors", tables, {})
            write_top(folder.root / f"top-{place:03d}.safetensors", layer.top.finish(), {})
        write_tables(folder.root / "heard.safetensors", tallied.heard.tables(), {})


@dataclass(frozen=True, slots=True)
class _Tables:
    """Tables of several shards, one after the other, as `RowSpool` gives those of one process."""

    parts: Sequence[Mapping[str, Rows]]
    names: Mapping[int, str]

    def read(self, table: int) -> Rows:
        """All rows."""
        return merge_rows([part[self.names[table]] for part in self.parts])

    take = read


def join_parts(
    layout: RunLayout, fingerprint: str, plan: Plan, shards: Sequence[Shard]
) -> Outcomes:
    """What all shards found together, after `tally_part` of each."""
    thresholds = _read_thresholds(layout, len(plan.layers))
    folders = [shard_folder(layout, fingerprint, plan, shard).root for shard in shards]
    heard = HeardImages(plan.panel.voices)
    for folder in folders:
        widths = HeardImages.widths(plan.panel.voices)
        heard.extend(HeardImages.of(open_tables(folder / "heard.safetensors", widths)))
    layers = []
    widths = {str(voice): 4 for voice in range(plan.panel.voices)} | {"area": 3}
    names = {voice: str(voice) for voice in range(plan.panel.voices)}
    for place, layer in enumerate(plan.layers):
        parts = [open_tables(one / f"counts-{place:03d}.safetensors", widths) for one in folders]
        tops = [read_top(one / f"top-{place:03d}.safetensors") for one in folders]
        layers.append(
            LayerOutcome(
                layer.shape,
                thresholds[place],
                join_top(tops),
                heard,
                _Tables(parts, names),
                _Tables(parts, {0: "area"}),
            )
        )
    return Outcomes(layers, heard)


def _plan_of(part: Part, job: Job) -> Plan:
    """The plan of a job on this machine; without the network, no GPU need be there."""
    torch.set_num_threads(job.config.threads)
    return open_plan(
        part.layout,
        job,
        set_path=part.set_path,
        device=None if part.forward else torch.device("cpu"),
        workers=part.workers,
        max_memory=part.max_memory,
    )


@functools.lru_cache(maxsize=1)
def _module_for(job: str, device: str) -> nn.Module:
    """The model, kept for the next part of the same run."""
    return Job.model_validate_json(job).load_model().to(device)
