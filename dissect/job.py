"""A run in progress as other processes see it: enough to take part in it, or to finish it.

`RUN/shards/job.json` is written by whoever comes first. It says where the set lies and how the
model is loaded, which no finished run depends on, beside all that its fingerprint stands for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import nn

from conceptset.errors import IncompleteError, LayoutError, SourceError, UsageError
from conceptset.io.atomic import write_file
from conceptset.io.tables import format_json, read_json
from conceptset.layout.reading import open_concept_set
from dissect.activations import choose_device
from dissect.counts import encode_arrays, read_arrays
from dissect.models.loading import load_model
from dissect.outputs import LayerShape
from dissect.plan import Plan, Thresholds, as_thresholds
from dissect.selecting import check_categories, digest_set, select_entries
from dissect.state import ModelRecord, RunConfig, RunLayout, SetRecord
from dissect.upsample import Placement
from dissect.voices import index_files, open_panel


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ModelSpec(_Record):
    """The arguments of `load_model`; a checkpoint by its absolute path."""

    spec: str
    weights: str | None = None
    num_classes: int | None = None
    weights_match: Literal["name", "order"] = "name"
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    allow_pickle: bool = False

    def files(self) -> list[Path]:
        """Those of its files that lie on this machine: a program, a checkpoint."""
        named = (self.spec.rpartition(":")[0], self.spec, self.weights or "")
        return [Path(name) for name in named if name and Path(name).is_file()]

    def resolved(self) -> ModelSpec:
        """The same from any directory: files by their absolute paths.

        >>> ModelSpec(spec="resnet18", weights="none").resolved().weights
        'none'
        """
        weights = self.weights
        if weights is not None and Path(weights).is_file():
            weights = str(Path(weights).resolve())
        place, colon, attribute = self.spec.rpartition(":")
        spec = self.spec
        if colon and Path(place).is_file():
            spec = f"{Path(place).resolve()}:{attribute}"
        elif Path(self.spec).is_file():
            spec = str(Path(self.spec).resolve())
        return self.model_copy(update={"spec": spec, "weights": weights})


class Job(_Record):
    """job.json."""

    schema_version: Literal[1] = 1
    fingerprint: str
    name: str
    config: RunConfig
    set: SetRecord
    set_path: str
    model: ModelRecord
    spec: ModelSpec | None
    size: tuple[int, int]
    shapes: tuple[LayerShape, ...]
    placements: dict[str, Placement]
    passes: int

    def shared_spec(self) -> ModelSpec:
        """How other processes load the model.

        Raises:
            UsageError: It was given as a module in memory, which no other process has.
        """
        if self.spec is None:
            raise UsageError(
                "the model was given as a module in memory, which no other process can load",
                hint="Name it as MODEL (package.module:callable) to divide the work.",
            )
        return self.spec

    def load_model(self) -> nn.Module:
        """The model, on the CPU.

        Raises:
            UsageError: It was given as a module in memory, which no other process has.
            SourceError: What is loaded now is another model.
        """
        spec = self.shared_spec()
        loaded = load_model(**spec.model_dump())
        if loaded.digest != self.model.digest:
            raise SourceError(
                f"{spec.spec} has other weights than when the run was begun",
                hint="Every process that takes part must see the same files.",
            )
        return loaded.module


def describe_job(
    plan: Plan,
    *,
    fingerprint: str,
    name: str,
    concept_set: SetRecord,
    model: ModelRecord,
    spec: ModelSpec | None,
) -> Job:
    """The job of a plan."""
    return Job(
        fingerprint=fingerprint,
        name=name,
        config=plan.config,
        set=concept_set,
        set_path=str(plan.concept_set.root.resolve()),
        model=model,
        spec=None if spec is None else spec.resolved(),
        size=plan.size,
        shapes=plan.shapes,
        placements=dict(plan.placements),
        passes=plan.passes,
    )


def write_job(layout: RunLayout, job: Job, plan: Plan) -> None:
    """Write job.json, and the thresholds that were given beside it."""
    if plan.given:
        arrays = {name: np.asarray(values) for name, values in plan.given.items()}
        write_file(layout.given, encode_arrays(arrays, {}))
    write_file(layout.job, format_json(job.model_dump(mode="json")))


def share_job(layout: RunLayout, job: Job, plan: Plan) -> None:
    """Write job.json, unless who came first has; what is found now is where others will look.

    Raises:
        UsageError: The run was begun with another number of passes.
    """
    if layout.job.is_file():
        first = read_job(layout)
        if first.passes != job.passes:
            raise UsageError(
                f"the run was begun with --passes {first.passes}, this is --passes {job.passes}",
                path=layout.root,
                hint="Give every shard the same, or remove the directory to start anew.",
            )
        job = job.model_copy(update={"name": first.name, "model": first.model})
        if job == first:
            return
    write_job(layout, job, plan)


def read_job(layout: RunLayout) -> Job:
    """The job of a run in progress.

    Raises:
        IncompleteError: The run was begun by one process for itself, which keeps no job.
        SourceError: There is no run in progress.
        LayoutError: job.json is broken.
    """
    if not layout.job.is_file():
        if layout.pending.is_file():
            raise IncompleteError(
                "the run is not complete, and no shard of it was scanned",
                path=layout.root,
                hint="Give the same 'dissect run' command again to finish it.",
            )
        raise SourceError(
            "is no run with shards", path=layout.root, hint="See 'dissect run --shard'."
        )
    try:
        return Job.model_validate(read_json(layout.job))
    except ValidationError as error:
        first = error.errors()[0]
        where = "/" + "/".join(map(str, first["loc"]))
        raise LayoutError(first["msg"], path=layout.job, pointer=where) from error


def open_plan(
    layout: RunLayout,
    job: Job,
    *,
    set_path: Path | None = None,
    device: torch.device | None = None,
    workers: int,
    max_memory: int,
) -> Plan:
    """The plan that the job was made from, on this machine.

    Args:
        layout: The run.
        job: Of the run.
        set_path: Where the set lies now; None: where it lay.
        device: Where the model will be; None: the kind of the job.
        workers: Threads that decode and tally.
        max_memory: Bytes of activations kept in memory.

    Raises:
        SourceError: The set is not there, or is another.
    """
    config = job.config
    if set_path is None and not Path(job.set_path).is_dir():
        raise SourceError(
            "the set is not where it was when the run was begun",
            path=Path(job.set_path),
            hint="If it was moved, give --set SET.",
        )
    concept_set = open_concept_set(set_path or Path(job.set_path), config.index)
    entries = select_entries(concept_set, split=config.split, limit=config.limit)
    categories = check_categories(concept_set, config.categories)
    panel = open_panel(
        concept_set, entries, categories, wanted=config.annotators, index=config.index
    )
    plan = Plan(
        concept_set=concept_set,
        entries=entries,
        categories=categories,
        size=job.size,
        config=config,
        shapes=job.shapes,
        placements=job.placements,
        given=_read_given(layout, job.shapes) if config.thresholds else {},
        mean=job.model.mean,
        std=job.model.std,
        device=device or choose_device(config.device),
        workers=workers,
        max_memory=max_memory,
        passes=job.passes,
        panel=panel,
    )
    if digest_plan(plan) != job.set.digest:
        raise SourceError(
            "is another set than the run was begun with",
            path=concept_set.root,
            hint="Give --set SET, if the set was moved; else start the run anew.",
        )
    return plan


def digest_plan(plan: Plan) -> str:
    """SHA-256 of what a run takes from its set."""
    return digest_set(
        plan.concept_set,
        plan.entries,
        plan.categories,
        index=plan.config.index,
        workers=plan.workers,
        further=index_files(plan.concept_set, plan.panel),
    )


def _read_given(layout: RunLayout, shapes: tuple[LayerShape, ...]) -> dict[str, Thresholds]:
    arrays, _ = read_arrays(layout.given, [shape.name for shape in shapes])
    return {name: as_thresholds(values) for name, values in arrays.items()}
