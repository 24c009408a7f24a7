#!/usr/bin/env python3
"""What our work costs, as a ratio to the work nobody can avoid, in one process on one core.

    python tools/bench.py [build] [validate] [dissect] [annotators] [--source coco.json ...]

build is measured against decoding, resizing and encoding the same photographs and encoding the
same maps; validate against decoding every photograph and map of the set once; dissect against the
bare forward pass (same threads, batch size and memory format, decoding included on both sides);
annotators, a run with the tallies of five people, against the same run on the index alone: as a
whole, and without what is made from the counts once they stand (intervals, tables, comparison).
Medians of several rounds, taken in turn, so that a busy machine disturbs both sides alike.
Without a source the demo's own world is measured.
"""

from __future__ import annotations

import argparse
import functools
import io
import itertools
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent / "demo"))

Work = Callable[[], object]
PARTS = ["build", "validate", "dissect", "annotators"]
PEOPLE = ("ada", "ben", "cy", "dot", "eve")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", help="one of PARTS or several; else all")
    parser.add_argument("--source", type=Path, help="a COCO file with its photographs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cpu", action="store_true", help="count processor time: a busy machine")
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--weights", default="none")
    parser.add_argument("--num-classes", type=int)
    parser.add_argument("--layers", default="layer4")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=16)
    options = parser.parse_args()
    parts = options.parts or PARTS
    options.clock = time.process_time if options.cpu else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        source = options.source or demo_world(home)
        concept_set = build(source, home / "set")
        rows = []
        if "build" in parts:
            rows.append(bench_build(source, concept_set, home, options))
        if "validate" in parts:
            rows.append(bench_validate(concept_set, options))
        if "dissect" in parts:
            rows += bench_dissect(concept_set, home, options)
        if "annotators" in parts:
            rows += bench_annotators(source, home, options)
        print_rows(rows)
        peaks(source, home, options, parts)


def demo_world(home: Path) -> Path:
    from world import write_world

    write_world(home / "world", seed=0, n_train=1, n_test=200)
    return home / "world" / "annotations" / "ada.json"


def build(source: Path, out: Path) -> Path:
    from conceptset.build import BuildOptions, build_set

    build_set([source], out, BuildOptions(overwrite=True))
    return out


def in_turn(ours: Work, bare: Work, options: argparse.Namespace) -> tuple[float, float]:
    """Median seconds of both, measured alternately after one round that is not counted."""
    times: tuple[list[float], list[float]] = ([], [])
    for round_ in range(options.rounds + 1):
        for work, record in zip((ours, bare), times, strict=True):
            begin = options.clock()
            work()
            if round_:
                record.append(options.clock() - begin)
    return statistics.median(times[0]), statistics.median(times[1])


Row = tuple[str, int, float, float]


def bench_build(source: Path, concept_set: Path, home: Path, options: argparse.Namespace) -> Row:
    from conceptset.io.tables import read_table
    from conceptset.layout.reading import open_concept_set

    opened = open_concept_set(concept_set)
    origins = dict(read_table(concept_set / "images.csv").records())
    originals = {row["image"]: row["original"] for row in origins.values()}
    roots = [source.parent / "images", source.parent, source.parent.parent / "images"]
    root = next(r for r in roots if (r / next(iter(originals.values()))).is_file())
    maps = {
        entry.image: [
            np.asarray(Image.open(opened.file(name)))
            for cell in entry.cells.values()
            for name in cell.maps
        ]
        for entry in opened.entries
    }

    def bare() -> None:
        for entry in opened.entries:
            with Image.open(root / originals[entry.image]) as image:
                small = image.convert("RGB").resize(
                    entry.image_size[::-1], Image.Resampling.BILINEAR
                )
            small.save(io.BytesIO(), "JPEG", quality=95, subsampling=0)
            for labels in maps[entry.image]:
                Image.fromarray(labels).save(io.BytesIO(), "PNG", compress_level=6)

    places = (home / f"again{place}" for place in itertools.count())
    ours, floor = in_turn(lambda: build(source, next(places)), bare, options)
    return ("build / decode + resize + encode", len(opened.entries), ours, floor)


def bench_validate(concept_set: Path, options: argparse.Namespace) -> Row:
    from conceptset.validate import validate

    files = sorted((concept_set / "images").rglob("*.*"))

    def bare() -> None:
        for path in files:
            with Image.open(path) as image:
                np.asarray(image)

    images = len(list((concept_set / "images").rglob("*.jpg")))
    ours, floor = in_turn(lambda: validate(concept_set, jobs=1), bare, options)
    return ("validate / decode of photographs and maps", images, ours, floor)


def bench_dissect(concept_set: Path, home: Path, options: argparse.Namespace) -> list[Row]:
    """Each layer by itself, then all of them at once."""
    import torch

    from conceptset.layout.reading import open_concept_set
    from dissect.models import load_model

    opened = open_concept_set(concept_set)
    torch.set_num_threads(options.threads)
    model = load_model(options.model, weights=options.weights, num_classes=options.num_classes)
    model.module.to(memory_format=torch.channels_last)
    layers = options.layers.split(",")
    choices = [[name] for name in layers] + ([layers] if len(layers) > 1 else [])
    rows: list[Row] = []
    for wanted in choices:
        ours = functools.partial(full_run, model, opened, wanted, home / "run", options)
        bare = functools.partial(bare_forward, model, opened, wanted[-1], options.batch_size)
        name = f"dissect / forward pass: {options.model} {', '.join(wanted)}"
        rows.append((name, len(opened.entries), *in_turn(ours, bare, options)))
    return rows


def five_people(source: Path, home: Path) -> Path:
    """A set in which five people drew what one drew: a little off, some left out or renamed."""
    from conceptset.build import BuildOptions, build_set

    document = json.loads(source.read_text())
    for one in (*document["images"], *document["annotations"]):
        one.pop("annotator", None)  # the file's name says it
    words = [category["id"] for category in document["categories"]]
    files = []
    for seed, name in enumerate(PEOPLE):
        rng = np.random.default_rng(seed)
        kept = [dict(one) for one in document["annotations"] if rng.random() > 0.1]
        for one in kept:
            if rng.random() < 0.05:
                one["category_id"] = words[rng.integers(len(words))]
            if isinstance(one["segmentation"], list):
                one["segmentation"] = [
                    np.clip(np.add(ring, rng.normal(0, 2, len(ring))), 0, None).tolist()
                    for ring in one["segmentation"]
                ]
        files.append(home / f"{name}.json")
        files[-1].write_text(json.dumps({**document, "annotations": kept}))
    roots = [source.parent / "images", source.parent, source.parent.parent / "images"]
    first = document["images"][0]["file_name"]
    images = next(root for root in roots if (root / first).is_file())
    options = BuildOptions(images=images, annotator_from="file", on_error="collect")
    build_set(files, home / "people", options)
    return home / "people"


def bench_annotators(source: Path, home: Path, options: argparse.Namespace) -> list[Row]:
    """All layers at once, with five people and without."""
    import torch

    from conceptset.layout.reading import open_concept_set
    from dissect.models import load_model

    opened = open_concept_set(five_people(source, home))
    torch.set_num_threads(options.threads)
    model = load_model(options.model, weights=options.weights, num_classes=options.num_classes)
    model.module.to(memory_format=torch.channels_last)
    layers, engine = options.layers.split(","), ([], [])

    def work(place: int) -> None:
        wanted = ("all", "none")[place]
        run = full_run(model, opened, layers, home / wanted, options, annotators=(wanted,))
        names = ("load", "forward", "store", "thresholds", "tally")
        engine[place].append(sum(float(run.timings[name]) for name in names))

    name = f"dissect, five annotators / index alone: {options.model} {options.layers}"
    images = len(opened.entries)
    whole = in_turn(functools.partial(work, 0), functools.partial(work, 1), options)
    counted = [statistics.median(times[1:]) for times in engine]
    return [(name, images, *whole), ("  of it, until the counts stand", images, *counted)]


def full_run(
    model: Any,
    opened: Any,
    layers: list[str],
    out: Path,
    options: argparse.Namespace,
    annotators: tuple[str, ...] = ("none",),
) -> Any:
    """Everything `dissect run` does but the report."""
    from dissect.api import dissect_model

    outcome = dissect_model(
        model.module,
        opened,
        layers,
        out,
        mean=model.mean,
        std=model.std,
        overwrite=True,
        threads=options.threads,
        batch_size=options.batch_size,
        annotators=annotators,
    )
    return outcome.run


def bare_forward(model: Any, opened: Any, last: str, batch_size: int) -> None:
    """Decode and forward only, stopped after the last layer asked for, as ours is."""
    import torch

    mean = torch.tensor(model.mean).view(3, 1, 1)
    std = torch.tensor(model.std).view(3, 1, 1)
    with torch.inference_mode(), stop_after(model.module, last):
        for batch in batches(opened, batch_size):
            data = ((batch - mean) / std).contiguous(memory_format=torch.channels_last)
            with suppress(StopIteration):
                model.module(data)


@contextmanager
def stop_after(module: Any, layer: str) -> Iterator[None]:
    """The same shortcut on the bare side: nothing after the last layer asked for is computed."""

    def stop(*_: object) -> None:
        raise StopIteration

    handle = module.get_submodule(layer).register_forward_hook(stop)
    try:
        yield
    finally:
        handle.remove()


def batches(opened: Any, size: int) -> Iterator[Any]:
    import torch

    entries = opened.entries
    for begin in range(0, len(entries), size):
        arrays = []
        for entry in entries[begin : begin + size]:
            with Image.open(opened.file(entry.image)) as image:
                arrays.append(np.asarray(image.convert("RGB")))
        yield torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 255


def print_rows(rows: list[Row]) -> None:
    print(f"{'':62} {'images':>7} {'ours ms':>9} {'bare ms':>9} {'ratio':>6}")
    for name, images, ours, floor in rows:
        per = 1000 / images
        print(f"{name:62} {images:7} {ours * per:9.2f} {floor * per:9.2f} {ours / floor:6.2f}")


def peaks(source: Path, home: Path, options: argparse.Namespace, parts: list[str]) -> None:
    """Peak memory of the main process of each command, the largest so far."""
    commands = {
        "build": ["conceptset", "build", source, "--out", home / "peak", "--jobs", "1"],
        "validate": ["conceptset", "validate", home / "set", "--jobs", "1"],
    }
    for part, name in (("dissect", "set"), ("annotators", "people")):
        commands[part] = [
            *("dissect", "run", home / name, "--model", options.model),
            *("--weights", options.weights, "--layers", options.layers),
            *("--out", home / "peakrun", "--threads", options.threads, "--overwrite"),
            *(("--num-classes", options.num_classes) if options.num_classes else ()),
        ]
    for part in parts:
        program, *arguments = commands[part]
        command = [sys.executable, "-m", program, *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, check=False)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        print(f"peak memory up to and with {part}: {peak:.0f} MiB (exit code {done.returncode})")


if __name__ == "__main__":
    main()
