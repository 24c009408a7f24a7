"""What the verbs `run` and `merge` do, and what they tell when it is done."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from conceptset.errors import UsageError, printable
from conceptset.io.paths import unique_slugs
from conceptset.layout.reading import open_concept_set
from conceptset.present.console import Progress, note, progress, show, show_table
from conceptset.present.engines import open_engine
from dissect.activations import choose_device
from dissect.api import Distributed, run_dissection, scan_one_shard
from dissect.finishing import Outcome
from dissect.given import read_thresholds
from dissect.job import ModelSpec
from dissect.merging import merge_run
from dissect.models import PICKLE_WARNING, load_model
from dissect.plan import Timings
from dissect.report import write_report
from dissect.shards import Shard
from dissect.state import Run, RunConfig, RunLayout


@dataclass(frozen=True, slots=True)
class Request:
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
    passes: int
    shard: Shard | None
    engine: str
    address: str | None
    overwrite: bool
    quiet: bool
    as_json: bool


def dissect_all(config: RunConfig, request: Request) -> list[tuple[Outcome, Path]]:
    """A run and a report for each choice of weights; none for a shard."""
    _check_together(request)
    torch.set_num_threads(config.threads)
    place = choose_device(request.device)
    config = config.model_copy(update={"device": place.type})
    opened = open_concept_set(request.concept_set, config.index)
    given = (
        None if request.thresholds is None else read_thresholds(request.thresholds, config.layers)
    )
    silent = request.quiet or request.as_json
    results = []
    with ExitStack() as stack:
        distributed, to_merge = None, False
        if request.engine != "local" or request.address is not None:
            engine = open_engine(request.engine, request.address, quiet=silent)
            distributed = Distributed(stack.enter_context(engine))
        if request.allow_pickle:
            note(PICKLE_WARNING)
        for weights, target in _targets(request.weights, request.out):
            spec = _spec_of(request, weights)
            spent = Timings()
            with spent.measure("model"):
                loaded = load_model(**spec.model_dump())
            for line in () if request.quiet else loaded.notes:
                note(line)
            common: dict[str, Any] = {
                "device": place,
                "name": request.name,
                "thresholds": given,
                "workers": request.workers,
                "max_memory": request.max_memory,
                "passes": request.passes,
                "spec": spec,
            }
            with _stages(quiet=silent) as advance:
                if request.shard is not None:
                    to_merge = scan_one_shard(
                        loaded, opened, config, target, request.shard, progress=advance, **common
                    )
                    outcome = None
                else:
                    outcome = run_dissection(
                        loaded,
                        opened,
                        config,
                        target,
                        distributed=distributed,
                        overwrite=request.overwrite,
                        timings=spent,
                        progress=advance,
                        **common,
                    )
            if outcome is None:
                if not silent:
                    show(_after_shard(request.shard, target, to_merge=to_merge))
                continue
            page, seconds = _report(outcome, jobs=request.workers or config.threads, quiet=silent)
            results.append((outcome, page))
            if not request.as_json:
                _tell(outcome, page, seconds)
    if len(results) > 1 and not silent:
        show(f"compare them: dissect compare {request.out}")
    return results


def _after_shard(shard: Shard | None, target: Path, *, to_merge: bool) -> str:
    if not to_merge:
        return f"{target} is complete already; nothing was done"
    return f"shard {shard} is scanned; when all are: dissect merge {target}"


def _check_together(request: Request) -> None:
    """Refuse options that contradict one another."""
    if request.shard is None:
        return
    if request.overwrite:
        raise UsageError(
            "--overwrite with --shard would remove what other shards have found",
            hint="Remove the directory of the run by hand, or choose another --out.",
        )
    if request.engine != "local":
        raise UsageError("--shard divides the work by hand, --engine does it by itself")


def _spec_of(request: Request, weights: str | None) -> ModelSpec:
    return ModelSpec(
        spec=request.model,
        weights=weights,
        num_classes=request.num_classes,
        weights_match=request.match,
        mean=request.mean,
        std=request.std,
        allow_pickle=request.allow_pickle,
    )


def merge_shards(
    root: Path,
    *,
    set_path: Path | None,
    device: str | None,
    workers: int | None,
    max_memory: int | None,
    quiet: bool,
    as_json: bool,
) -> tuple[Outcome, Path]:
    """A run and its report from shards."""
    silent = quiet or as_json
    with _stages(quiet=silent) as advance:
        outcome = merge_run(
            root,
            set_path=set_path,
            device=None if device is None else choose_device(device),
            workers=workers,
            max_memory=max_memory,
            progress=advance,
        )
    page, seconds = _report(outcome, jobs=workers or outcome.run.config.threads, quiet=silent)
    if not as_json:
        _tell(outcome, page, seconds)
    return outcome, page


def weights_match_of(text: str) -> Literal["name", "order"]:
    """How a checkpoint's tensors are paired.

    Raises:
        UsageError: There is no such way.
    """
    if text == "name":
        return "name"
    if text == "order":
        return "order"
    raise UsageError(f"--weights-match is {text[:40]!r}; name or order was expected")


def _targets(weights: Sequence[str | None], out: Path) -> Iterator[tuple[str | None, Path]]:
    """Each choice of weights with its directory: RUN itself, or RUN/<stem> if there are several."""
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


def _report(outcome: Outcome, *, jobs: int, quiet: bool) -> tuple[Path, float]:
    """The report's page and the seconds it took; one of an unchanged run is kept."""
    page = RunLayout(outcome.root).report
    if outcome.unchanged and page.is_file():
        return page, 0.0
    begin = time.perf_counter()
    with progress("report", unit="units", quiet=quiet) as advance:
        written = write_report(outcome.root, jobs=jobs, progress=advance)
    return written, time.perf_counter() - begin


def _tell(outcome: Outcome, page: Path, report_seconds: float) -> None:
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
    if record.config.precision != "fp32":
        show(f"activations were computed in {record.config.precision}; fp32 gives other figures")
    if record.annotators:
        show(_name_annotators(record))
    if not outcome.unchanged:
        show(_name_times(record, report_seconds))
    show(f"report: {page}")


def _name_times(record: Run, report_seconds: float) -> str:
    """Where the time went, the longest part first."""
    spent = {
        name: value
        for name, value in record.timings.items()
        if isinstance(value, float) and name != "peak_memory"
    }
    spent["report"] = report_seconds
    total = sum(spent.values())
    longest = sorted(spent.items(), key=lambda item: -item[1])
    shares = [f"{name} {value / total:.0%}" for name, value in longest if value >= total / 200]
    rate = record.counts.images / total
    return f"time: {total:.1f} s, {rate:.3g} images a second: {', '.join(shares)}"


def _name_annotators(record: Run) -> str:
    """Whose labels were tallied as well."""
    names = [printable(name, 40) or "(unnamed)" for name in record.config.annotators or ()]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    leave = record.leave_one_out
    method = f"; consensus without one person: {leave.method}" if leave else ""
    reason = f" ({leave.reason})" if leave and leave.reason else ""
    return f"also against the labels of {', '.join(names[:8])}{more}{method}{reason}"


_TOLD = {"name", "fingerprint", "layers", "annotators", "leave_one_out"}


def run_as_json(outcome: Outcome, page: Path) -> dict[str, object]:
    """What `--json` gives of a run."""
    document: dict[str, object] = {
        "run": str(outcome.root),
        "unchanged": outcome.unchanged,
        "report": str(page),
    }
    return document | outcome.run.model_dump(mode="json", include=_TOLD)
