"""Options, a set and a model, checked against each other before any work is done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import torch
from torch import nn

from conceptset.errors import UsageError
from conceptset.io.parallel import usable_cores
from conceptset.layout.reading import ConceptSet
from dissect.activations import probe_layers
from dissect.given import check_thresholds, digest_thresholds
from dissect.job import Job, ModelSpec, describe_job, digest_plan
from dissect.models.loading import LoadedModel
from dissect.outputs import LayerShape
from dissect.plan import Plan, Thresholds, Timings
from dissect.receptive import find_placements
from dissect.selecting import check_categories, check_files, input_size, select_entries
from dissect.state import ModelRecord, RunConfig, SetRecord, Triple, fingerprint_of
from dissect.upsample import Placement
from dissect.voices import open_panel

_DEFAULT_MEMORY = 384 << 20


def make_plan(
    model: LoadedModel,
    concept_set: ConceptSet,
    config: RunConfig,
    *,
    device: torch.device,
    thresholds: Mapping[str, Thresholds],
    workers: int,
    max_memory: int,
    passes: int = 1,
) -> Plan:
    """The options checked against the set and the model."""
    if workers < 1:
        raise UsageError(f"--workers is {workers}, at least 1 was expected")
    if passes not in (1, 2):
        raise UsageError(f"--passes is {passes}, 1 or 2 was expected")
    entries = select_entries(concept_set, split=config.split, limit=config.limit)
    categories = check_categories(concept_set, config.categories)
    size = input_size(entries, config.image_size)
    check_files(concept_set, entries, categories)
    panel = open_panel(
        concept_set, entries, categories, wanted=config.annotators, index=config.index
    )
    model.module.to(device)
    shapes = probe_layers(
        model.module,
        config.layers,
        size=size,
        device=device,
        precision=config.precision,
        batch_size=config.batch_size,
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
        passes=passes,
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


def describe_set(plan: Plan) -> SetRecord:
    return SetRecord(name=plan.concept_set.root.resolve().name, digest=digest_plan(plan))


def describe_model(model: LoadedModel) -> ModelRecord:
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


def prepare_job(
    model: LoadedModel,
    concept_set: ConceptSet,
    config: RunConfig,
    *,
    device: torch.device,
    name: str | None,
    thresholds: Mapping[str, Thresholds] | None,
    workers: int | None,
    max_memory: int | None,
    passes: int,
    spec: ModelSpec | None,
    timings: Timings,
) -> tuple[Job, Plan]:
    """All that can be refused is refused here."""
    with timings.measure("prepare"):
        plan = make_plan(
            model,
            concept_set,
            config,
            device=device,
            thresholds=thresholds or {},
            workers=worker_threads(workers, config),
            max_memory=memory_budget(max_memory),
            passes=passes,
        )
        set_record, model_record = describe_set(plan), describe_model(model)
        job = describe_job(
            plan,
            fingerprint=fingerprint_of(plan.config, set_record, model_record),
            name=name or model.name,
            concept_set=set_record,
            model=model_record,
            spec=spec,
        )
    return job, plan


def worker_threads(given: int | None, config: RunConfig) -> int:
    """Threads that decode and tally: so many as given, else what the model leaves of the cores."""
    if given is not None and given < 1:
        raise UsageError(f"--workers is {given}, at least 1 was expected")
    return max(1, min(8, usable_cores() - config.threads)) if given is None else given


def memory_budget(given: int | None) -> int:
    """Bytes of activations kept in memory: as given, else 384 MiB or half of what there is."""
    return min(_DEFAULT_MEMORY, total_memory() // 2) if given is None else given


def total_memory() -> int:
    """Bytes of memory of this machine; 8 GiB where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 8 << 30
