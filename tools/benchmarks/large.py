"""Memory and time at the size of Broden, without a network: a process of its own for each limit.

Activations are made as fast as they are scanned and go through the functions that a run calls:
scanner, tile store, thresholds, tally, counts on disk, tables and intervals. Another process draws
the activations anew and finds every threshold from all of a unit's values, and a third way, map
by map at full size, finds the counts of some images.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.made_sets import MAP, NUMBERS
from benchmarks.measuring import Options, Table, Together, peak_of_self
from benchmarks.streams import IMAGES, UNITS, Stream, labels_of

LIMITS = {"default": None, "256 MiB": 256 << 20}
CHECKED = 12  # images whose counts are found again
DENSE = 64  # units of those


def measure_large(options: Options, *, units: int = 512, side: int = 7) -> list[Table]:
    """Figure 3."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for title, limit in LIMITS.items():
            out = Path(folder) / "run"
            given = [options.images, units, side, out, options.threads, limit or 0]
            found = _child("stream", *given)
            exact = _child("check", *given[:4])
            rows.append(
                [
                    title,
                    f"{max(found['together'].values()):.0f}",
                    f"{found['peak']:.0f}",
                    f"{found['imported']:.0f}",
                    *(f"{found['seconds'][name]:.1f}" for name in STAGES),
                    f"{found['cpu']:.0f}",
                    f"{found['stored'] / 2**20:.0f} / {found['most'] / 2**20:.0f}",
                    f"{found['counts'] / 2**20:.0f}",
                    f"{exact['thresholds']} of {units}, {exact['counts']} of {exact['checked']}",
                ]
            )
    columns = [
        "--max-memory",
        "peak MiB",
        "main process",
        "its imports",
        *(f"{one} s" for one in STAGES),
    ]
    columns += ["processor s", "tiles MiB, end / most", "counts MiB", "exact: thresholds, counts"]
    note = (
        f"{options.images} images x {units} units of {side} x {side}, q = 0.005, label maps of "
        f"{MAP} pixels with some 21 labels; `draw` is the making of activations. Thresholds "
        "are compared with numpy.partition over all values of each unit, counts with masks at full "
        f"size for {CHECKED} images and {min(DENSE, units)} units, pair by pair. `peak` is that of "
        "the process and its copies together, shared pages counted once, looked at twice a second; "
        "`main process` what the system says of it alone."
    )
    return [Table("memory", columns, rows, (note,))]


STAGES = ("draw", "scan", "store", "thresholds", "tally", "write")


def _child(what: str, *arguments: object) -> dict[str, Any]:
    program = Path(__file__).parents[1] / "bench.py"
    command = [sys.executable, str(program), "--child", what, *map(str, arguments)]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


def make_plan(stream: Stream, root: Path, limit: int, threads: int) -> Any:
    """What a run settles beforehand, of a set that has no files."""
    import torch

    from conceptset.layout.reading import CategoryLabel, Cell, ConceptSet, IndexEntry
    from dissect.outputs import LayerShape
    from dissect.plan import Plan
    from dissect.planning import memory_budget
    from dissect.state import RunConfig

    names = {
        n: f"{one} {n}" for one, (first, last) in NUMBERS.items() for n in range(first, last + 1)
    }
    tables = {
        one: tuple(CategoryLabel(n, names[n], 1, 1.0) for n in range(first, last + 1))
        for one, (first, last) in NUMBERS.items()
    }
    cells = {one: Cell() for one in NUMBERS}
    entries = tuple(
        IndexEntry(row, f"m/{row:07d}.jpg", "train", (224, 224), (MAP, MAP), cells)
        for row in range(stream.images)
    )
    concept_set = ConceptSet(root, None, names, tuple(NUMBERS), tables, entries)
    shape = LayerShape(
        name="layer4", units=stream.units, map_size=(stream.side, stream.side), kind="maps"
    )
    return Plan(
        concept_set=concept_set,
        entries=entries,
        categories=tuple(NUMBERS),
        size=(224, 224),
        config=RunConfig(layers=("layer4",), batch_size=IMAGES, threads=threads),
        shapes=(shape,),
        placements={},
        given={},
        mean=(0.5, 0.5, 0.5),
        std=(0.2, 0.2, 0.2),
        device=torch.device("cpu"),
        workers=threads,
        max_memory=memory_budget(limit or None),
    )


class Watch:
    """Seconds of wall time, and MiB of memory at most, by stage."""

    def __init__(self) -> None:
        """The clock runs."""
        self.seconds = dict.fromkeys(STAGES, 0.0)
        self.peaks = dict.fromkeys(STAGES, 0.0)
        self._together = Together()
        self._since = time.perf_counter()

    def stop(self, stage: str) -> None:
        """What has passed since the last stop belongs to a stage."""
        now = time.perf_counter()
        self.seconds[stage] += now - self._since
        self.peaks[stage] = max(self.peaks[stage], self._together.take())
        self._since = now


def stream_run(
    images: str, units: str, side: str, out: str, threads: str, limit: str
) -> dict[str, Any]:
    """A run in this process; what it cost."""
    from dissect.intervals import Resamples
    from dissect.plan import Timings
    from dissect.runner import outcomes_of, tails_of, thresholds_of
    from dissect.scan import make_stores
    from dissect.shards import WHOLE, ShardFolder
    from dissect.state import RunLayout
    from dissect.tallying import stored_tiles, tally_images
    from dissect.writing import write_layer

    stream = Stream(int(images), int(units), int(side))
    layout = RunLayout(Path(out))
    layout.shards.mkdir(parents=True, exist_ok=True)
    plan = make_plan(stream, layout.root, int(limit), int(threads))
    folder = ShardFolder(layout.shards / WHOLE.folder, "0" * 64)
    imported, watch, begin = peak_of_self(), Watch(), time.process_time()
    (store,) = stores = make_stores(plan, folder)
    _scan(stream, plan, store, watch)
    watch.stop("scan")
    (selected,) = thresholds_of(plan, [tails_of(plan, stores)])
    watch.stop("thresholds")
    ended = store.stored
    tallied = tally_images(
        *(plan, [WHOLE], stored_tiles([stores]), [selected.values]),
        folder=folder.root,
        hear=_hear,
        timings=Timings(),
    )
    outcomes = outcomes_of(tallied)
    watch.stop("tally")
    samples = Resamples.draw(np.arange(stream.images))
    (outcome,) = outcomes.layers
    write_layer(layout, outcome, plan, samples, directory="layer4", fingerprint="0" * 64)
    watch.stop("write")
    return {
        "peak": peak_of_self(),
        "together": watch.peaks,
        "imported": imported,
        "seconds": watch.seconds,
        "cpu": time.process_time() - begin,
        "stored": ended,
        "most": store.peak,
        "counts": layout.counts("layer4").stat().st_size,
    }


def _scan(stream: Stream, plan: Any, store: Any, watch: Watch) -> None:
    from dissect.scanning import Scanner
    from dissect.team import Team

    memory = np.empty((IMAGES, stream.side**2, stream.units), dtype=np.float32)
    scanner = Scanner(plan.layers[0].tiling, stream.units, Team(plan.config.threads))
    for start in stream.starts():
        values = stream.whole(start, memory)
        watch.stop("draw")
        rows = np.arange(start, start + len(values), dtype=np.int32)
        found = scanner.scan(values, 0, rows, store.bound)
        watch.stop("scan")
        store.add(found.chunk)
        watch.stop("store")


def _hear(entry: Any) -> Any:
    """Labels that are made instead of read."""
    from dissect.hearing import Heard
    from dissect.regions import join_labels

    planes, whole = labels_of(entry.row, MAP)
    labels = join_labels(planes, [whole], (MAP, MAP))
    return Heard(labels, (0,), np.empty((0, 4), dtype=np.int64))


def check_run(images: str, units: str, side: str, out: str) -> dict[str, int]:
    """How many thresholds, and pairs of image and unit, are what they should be."""
    from dissect.state import RunLayout

    stream, layout = Stream(int(images), int(units), int(side)), RunLayout(Path(out))
    thresholds = np.load(layout.thresholds("layer4"))
    rank = stream.samples // 200 + 1
    right = 0
    values = np.empty((stream.images, stream.side**2, UNITS), dtype=np.float32)
    for unit in range(0, stream.units, UNITS):
        for start in stream.starts():
            values[start : start + IMAGES] = stream.block(start, unit)
        flat = values.reshape(-1, UNITS)
        for place in range(UNITS):
            own = np.ascontiguousarray(flat[:, place])
            wanted = np.partition(own, len(own) - rank)[len(own) - rank]
            right += int(wanted == thresholds[unit + place])
    counts = _check_counts(stream, layout, thresholds)
    checked = CHECKED * min(DENSE, stream.units)
    return {"thresholds": right, "counts": int(counts), "checked": checked}


def _check_counts(stream: Stream, layout: Any, thresholds: Any) -> int:
    """Pairs of image and unit whose mask and shared pixels are those of a dense computation."""
    from dissect.counts import open_counts
    from dissect.rows import as_array, select_images

    chosen = np.linspace(0, stream.images - 1, CHECKED).astype(np.int64)
    counts = open_counts(layout.counts("layer4"))
    shared = as_array(select_images(counts.intersection, chosen))
    area = as_array(select_images(counts.area, chosen))
    right = 0
    for row in chosen.tolist():
        start = row // IMAGES * IMAGES
        maps = stream.block(start, 0)[row - start]
        planes, whole = labels_of(row, MAP)
        for unit in range(min(DENSE, stream.units)):
            mask = _dense_mask(maps[:, unit].reshape(stream.side, -1), thresholds[unit])
            wanted = {(whole, int(mask.sum()))} if mask.any() else set()
            for plane in planes:
                labels, pixels = np.unique(plane[mask], return_counts=True)
                wanted |= set(zip(labels.tolist(), pixels.tolist(), strict=True))
            own = shared[(shared[:, 0] == row) & (shared[:, 1] == unit)]
            pixels = area[(area[:, 0] == row) & (area[:, 1] == unit)][:, 2].sum()
            found = set(map(tuple, own[:, 2:].tolist()))
            right += found == {one for one in wanted if one[0] > 0} and pixels == mask.sum()
    return right


def _dense_mask(values: Any, threshold: Any) -> Any:
    """A map at full size, in float64, by torch."""
    import torch

    whole = torch.from_numpy(values.astype(np.float64))[None, None]
    large = torch.nn.functional.interpolate(
        whole, size=(MAP, MAP), mode="bilinear", align_corners=False
    )[0, 0].numpy()
    return large > float(threshold) if values.max() > threshold else np.zeros((MAP, MAP), bool)


CHILDREN = {"stream": stream_run, "check": check_run}
