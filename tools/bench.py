#!/usr/bin/env python3
"""What our work costs beside the work nobody can avoid, and how far it goes in one process or many.

    python tools/bench.py [PART...] [--images N] [--rounds N] [--threads N] [--cpu] [--write]

build       against decoding, resizing and encoding the same photographs and encoding the same maps
validate    against decoding every photograph and map of the set once
dissect     against the bare forward pass: one layer, four at once, a larger network, a ViT
annotators  the same with the tallies of five people at once
naive       what the published programs' structure adds to the pass, and what ours adds
memory      63,305 images x 512 units without a network: peak, time, exactness
shards      1 to 16 shards: work, wall time, what is kept
cuda        five layers of a resnet50 on a GPU, if there is one

Both sides of a ratio run in one process in turn, after a round that is not counted. The images of
a dissection are made in code, in Broden's layout, and kept in --sets for the next time. Without
PART, everything but memory and shards, which take long. Results go to the terminal, with --write
also into docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "demo"))

from benchmarks.measuring import Options, Table, write_results  # noqa: E402

PAGE = HERE.parent / "docs" / "performance.md"
IMAGES = {"dissect": 2000, "annotators": 1000, "naive": 200, "memory": 63_305, "shards": 2048}
IMAGES["cuda"] = 63_305
PARTS = ("build", "validate", *IMAGES)
SHORT = ("build", "validate", "dissect", "annotators", "naive", "cuda")


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        from benchmarks.dissecting import run_plain
        from benchmarks.large import CHILDREN

        children = {**CHILDREN, "bare": run_plain}
        print(json.dumps(children[sys.argv[2]](*sys.argv[3:])))
        return
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(PARTS))
    parser.add_argument("--images", type=int, help="of the set that is made; else as each needs")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=4, help="of one operation of the network")
    parser.add_argument("--workers", type=int, help="that decode and tally; else as a run has them")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--jobs", type=int, default=4, help="processes at a time, for shards")
    parser.add_argument("--cpu", action="store_true", help="count processor time: a busy machine")
    parser.add_argument("--cases", default="", help="for dissect: words of those wanted: 18,vit")
    parser.add_argument("--side", type=int, default=7, help="of the maps, for memory: 7 or 14")
    parser.add_argument("--units", type=int, default=512, help="for memory, a multiple of 64")
    parser.add_argument("--pilot", type=int, default=128, help="images of the pilot, for shards")
    parser.add_argument("--source", type=Path, help="for build: a COCO file with its photographs")
    parser.add_argument("--sets", type=Path, help="where sets made in code stay; else nowhere")
    parser.add_argument("--write", action="store_true", help="put results into docs/performance.md")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        for part in given.parts or SHORT:
            options = options_for(part, given)
            tables = measure(part, options, given, given.sets or Path(folder))
            for table in tables:
                print(table.text(), end="\n\n", flush=True)
            if given.write:
                write_results(PAGE, tables, options)


def options_for(part: str, given: argparse.Namespace) -> Options:
    """What a part is measured with; its command as a page shows it, without places of a machine."""
    arguments = [word for word in sys.argv[1:] if word not in PARTS and word != "--write"]
    for path, name in ((given.sets, "DIR"), (given.source, "FILE")):
        if path is not None:
            arguments = [word.replace(str(path), name) for word in arguments]
    return Options(
        images=given.images or IMAGES.get(part, 0),
        threads=given.threads,
        workers=given.workers,
        batch_size=given.batch_size,
        rounds=given.rounds,
        cpu=given.cpu,
        jobs=given.jobs,
        source=given.source,
        command=" ".join(["python tools/bench.py", part, *arguments]),
    )


def measure(part: str, options: Options, given: argparse.Namespace, sets: Path) -> list[Table]:
    if part in ("build", "validate"):
        from benchmarks.building import measure_build, measure_validate

        return {"build": measure_build, "validate": measure_validate}[part](options)
    if part == "memory":
        from benchmarks.large import measure_large

        return measure_large(options, units=given.units, side=given.side)
    if part == "cuda" and not has_gpu():
        from benchmarks.gpu import measure_gpu

        return measure_gpu(None, options)
    return measure_run(part, options, given, open_set(part, options, sets))


def has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def open_set(part: str, options: Options, sets: Path) -> Any:
    from benchmarks.made_sets import make_set

    from conceptset.layout.reading import open_concept_set

    people = part == "annotators"
    place = sets / f"{'people' if people else 'set'}-{options.images}"
    return open_concept_set(make_set(place, options.images, people=people, jobs=options.jobs))


def measure_run(part: str, options: Options, given: argparse.Namespace, opened: Any) -> list[Table]:
    from benchmarks.dissecting import measure_annotators, measure_layers
    from benchmarks.gpu import measure_gpu
    from benchmarks.naive import measure_naive
    from benchmarks.sharding import measure_shards

    match part:
        case "dissect":
            words = [word for word in given.cases.split(",") if word]
            return measure_layers(opened, options, words)
        case "annotators":
            return measure_annotators(opened, options)
        case "naive":
            return measure_naive(opened, options)
        case "shards":
            return measure_shards(opened, options, pilot=given.pilot)
        case _:
            return measure_gpu(opened, options)


if __name__ == "__main__":
    main()
