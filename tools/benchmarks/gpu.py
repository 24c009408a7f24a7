"""Five layers of a resnet50 on a GPU: images a second, and how much of the time it is at work."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.dissecting import GPU_CASE, PARTS, bare_pass, full_run, load
from benchmarks.measuring import Options, Table

PAPER_SECONDS = 240  # CLIP-Dissect's paper: five layers of a ResNet-50 in four minutes


def measure_gpu(opened: Any, options: Options) -> list[Table]:
    """Figure 4; a table that says so where there is no GPU."""
    import torch

    if not torch.cuda.is_available():
        return [Table("cuda", ["not measured", ""], [], ("Not measured: no CUDA device.",))]
    model, images = load(GPU_CASE, options, device="cuda"), len(opened.entries)
    further = {"annotators": ("none",), "device": "cuda", "limit": 4 * options.batch_size}
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        full_run(model, opened, GPU_CASE, out, options, further)  # to warm up
        begin = time.perf_counter()
        bare_pass(model, opened, GPU_CASE.layers[-1], options, images=images, device="cuda")
        bare = time.perf_counter() - begin
        further.pop("limit")
        with _busy() as shares:
            begin = time.perf_counter()
            run, counted = full_run(model, opened, GPU_CASE, out, options, further)
            whole = time.perf_counter() - begin
    busy = f"{statistics.mean(shares):.0f} %" if shares else "not known"
    parts = ", ".join(f"{name} {float(run.timings.get(name, 0)):.1f}" for name in PARTS)
    row = [
        *(GPU_CASE.title, str(images), f"{bare:.1f}", f"{counted - begin:.1f}", f"{whole:.1f}"),
        *(f"{images / whole:.0f}", busy, f"{63305 / images * whole:.0f}"),
    ]
    columns = ["seconds", "images", "bare", "counted", "whole", "images/s", "GPU busy"]
    columns.append("for 63,305 images")
    notes = (
        f"{torch.cuda.get_device_name()}; seconds by part: {parts}. The paper's {PAPER_SECONDS} s "
        "are for another probing set and another GPU.",
    )
    return [Table("cuda", columns, [row], notes)]


@contextlib.contextmanager
def _busy() -> Iterator[list[float]]:
    """Per cent of the time in which a kernel was running, five times a second, by nvidia-smi."""
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
    shares: list[float] = []
    try:
        process = subprocess.Popen(
            [*command, "--loop-ms=200"], stdout=subprocess.PIPE, text=True, bufsize=1
        )
    except FileNotFoundError:
        yield shares
        return
    try:
        yield shares
    finally:
        process.terminate()
        lines = process.communicate()[0].splitlines()
        shares += [float(line) for line in lines if line.strip().isdecimal()]
