#!/usr/bin/env python3
"""What large inputs cost: memory and time of reading a large COCO file, cores busy in a build.

    python tools/bench_large.py read FOLDER [--megabytes 1024] [--keep]
    python tools/bench_large.py build FOLDER [--images 2000] [--jobs N] [--keep]

`read` writes a file with its annotations before its images, unsorted, and reads it; beside that
the same bytes are only parsed, annotation by annotation, by Python's own decoder. `build` builds a
set from photographs of 640 x 480 in a process of its own and compares its processor time with
decoding, resizing and encoding the same photographs and maps. Peaks are those of fresh processes.
Everything is written below FOLDER and removed.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import math
import os
import random
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

WIDTH, HEIGHT = 640, 480
N_NAMES = 90
N_SHAPES = 10_007  # different ones, repeated
N_PHOTOGRAPHS = 200  # different ones


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=["read", "build", *CHILDREN, PHASES])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--keep", action="store_true", help="leave the files where they are")
    options = parser.parse_args()
    if options.what in CHILDREN:
        print(json.dumps(CHILDREN[options.what](options.folder)))
        return
    if options.what == PHASES:
        print(json.dumps(run_phases(options.folder, options.jobs)))
        return
    home = options.folder / "bench_large"
    home.mkdir(parents=True, exist_ok=True)
    try:
        (measure_read if options.what == "read" else measure_build)(home, options)
    finally:
        if not options.keep:
            shutil.rmtree(home)


# ------------------------------------------------------------------ the files


def write_photographs(folder: Path, count: int) -> None:
    """Smooth noise, as large as a photograph when encoded; a few, again and again.

    A comment in each makes it a file of its own bytes.
    """
    folder.mkdir(exist_ok=True)
    draw = np.random.default_rng(0)
    pictures = []
    for _ in range(min(count, N_PHOTOGRAPHS)):
        coarse = draw.integers(0, 256, (HEIGHT // 4, WIDTH // 4, 3), dtype=np.uint8)
        picture = Image.fromarray(coarse).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
        buffer = io.BytesIO()
        picture.filter(ImageFilter.GaussianBlur(1)).save(buffer, "JPEG", quality=85)
        pictures.append(buffer.getvalue())
    for place in range(count):
        data = pictures[place % len(pictures)]
        comment = b"\xff\xfe\x00\x0a" + place.to_bytes(8, "big")
        (folder / f"{place:06}.jpg").write_bytes(data[:2] + comment + data[2:])


def shape(draw: random.Random, *, as_runs: bool) -> str:
    """What an annotation says besides its ids: a star of 8 to 80 points, or a mask of runs."""
    count = draw.randint(8, 80)
    x, y = draw.uniform(100, WIDTH - 100), draw.uniform(100, HEIGHT - 100)
    reach = draw.uniform(10, 100)
    segmentation: object
    if as_runs:
        runs = [draw.randint(1, 400) for _ in range(2 * count)]
        segmentation = {"size": [HEIGHT, WIDTH], "counts": [*runs, WIDTH * HEIGHT - sum(runs)]}
    else:
        ring = []
        for turn in sorted(draw.uniform(0, 2 * math.pi) for _ in range(count)):
            far = reach * draw.uniform(0.7, 1)
            ring += [round(x + far * math.cos(turn), 2), round(y + far * math.sin(turn), 2)]
        segmentation = [ring]
    box = [x - reach, y - reach, 2 * reach, 2 * reach]
    entry = {"segmentation": segmentation, "area": reach * reach, "iscrowd": 0, "bbox": box}
    return json.dumps(entry)[:-1]


def write_coco(path: Path, *, per_image: int, images: int | None, size: int | None) -> int:
    """A COCO file, one annotation a line, images last; the number of images.

    Args:
        path: The file.
        per_image: Annotations of each image.
        images: How many, or
        size: how many bytes of annotations to write.
    """
    draw = random.Random(0)
    shapes = [shape(draw, as_runs=place % 10 == 0) for place in range(N_SHAPES)]
    own = sum(map(len, shapes)) / N_SHAPES + 60
    count = images if images is not None else int((size or 0) / (own * per_image))
    with path.open("w", encoding="ascii") as stream:
        stream.write('{"info": {}, "annotations": [\n')
        for place in range(count * per_image):
            ids = f'"image_id": {draw.randint(1, count)}, "category_id": {draw.randint(1, N_NAMES)}'
            comma = ",\n" if place else ""
            stream.write(f'{comma}{shapes[place % N_SHAPES]}, {ids}, "id": {place + 1}}}')
        entries = [
            {"id": place, "file_name": f"{place - 1:06}.jpg", "height": HEIGHT, "width": WIDTH}
            for place in range(1, count + 1)
        ]
        names = [{"id": place, "name": f"thing {place}"} for place in range(1, N_NAMES + 1)]
        stream.write(f'\n], "images": {json.dumps(entries)}, "categories": {json.dumps(names)}}}')
    return count


# ------------------------------------------------------------------ reading


def measure_read(home: Path, options: argparse.Namespace) -> None:
    path = home / "large.json"
    if not path.exists():
        count = write_coco(path, per_image=12, images=None, size=options.megabytes << 20)
        write_photographs(home / "images", count)
    print(f"{path.stat().st_size / (1 << 20):.0f} MiB, annotations before images, unsorted")
    parsed, read = child("parse", home), child("records", home)
    for name, found in (("parsed only", parsed), ("read", read)):
        print(
            f"{name:12} {found['seconds']:7.1f} s  peak {found['peak']:6.0f} MiB  "
            f"({found['peak'] - found['before']:.0f} MiB above the imports)  {found['count']:,}"
        )
    print(f"read / parsed: {read['seconds'] / parsed['seconds']:.2f}")


def child(what: str, home: Path, *more: str) -> dict[str, Any]:
    command = [sys.executable, __file__, what, str(home), *more]
    found: dict[str, Any] = json.loads(subprocess.check_output(command))
    return found


def peak_of_self() -> float:
    """The most memory this process ever had, in MiB; not what its parent had when it was forked."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def measured(work: Callable[[], int]) -> dict[str, float]:
    """Processor seconds and peak of this process, in MiB."""
    before = peak_of_self()
    begin = time.process_time()
    count = work()
    seconds = time.process_time() - begin
    return {"seconds": seconds, "before": before, "peak": peak_of_self(), "count": count}


def parse_only(home: Path) -> dict[str, float]:
    """Python's own decoder, annotation by annotation; the file has one on each line."""

    def work() -> int:
        count = 0
        with (home / "large.json").open(encoding="ascii") as stream:
            for line in stream:
                if line.startswith('{"segmentation"'):
                    json.loads(line.rstrip(",\n"))
                    count += 1
        return count

    return measured(work)


def read_records(home: Path) -> dict[str, float]:
    from conceptset.findings import Problems
    from conceptset.formats.base import ReadContext
    from conceptset.formats.coco import FORMAT
    from conceptset.io.catalogue import ImageCatalogue

    def work() -> int:
        context = ReadContext(ImageCatalogue(home / "images"), Problems(), "large.json")
        records = FORMAT.read(home / "large.json", context)
        return sum(len(record.regions) for record in records)

    return measured(work)


CHILDREN = {"parse": parse_only, "records": read_records}
PHASES = "phases"


# ------------------------------------------------------------------ building


def measure_build(home: Path, options: argparse.Namespace) -> None:
    write_photographs(home / "images", options.images)
    write_coco(home / "case.json", per_image=8, images=options.images, size=None)
    for jobs in dict.fromkeys((1, options.jobs)):
        phases = child("phases", home, "--jobs", str(jobs))
        total = phases.pop("total")
        print(
            f"build, {jobs} jobs: {total['wall']:.1f} s, {options.images / total['wall']:.0f} "
            f"images/s, {total['cpu']:.1f} processor seconds, peak of the main process "
            f"{total['peak']:.0f} MiB"
        )
        for name, found in phases.items():
            cores = found["wall"] * jobs
            print(
                f"  {name:13} {found['wall']:6.1f} s, of {jobs} cores {found['cpu'] / cores:4.0%} "
                f"at work, {(found['cpu'] + found['waited']) / cores:4.0%} at work or kept from "
                "it by other programs"
            )
        if jobs == 1:
            floor = bare_seconds(home, home / "set1")
            print(f"build / decode + resize + encode: {total['cpu'] / floor:.2f} (processor time)")


def run_phases(home: Path, jobs: int) -> dict[str, dict[str, float]]:
    """Seconds and peak, by phase of a build."""
    from conceptset.build import BuildOptions, build_set

    found: dict[str, dict[str, float]] = {}
    watch = Watch()

    @contextmanager
    def step(label: str) -> Iterator[Callable[[int, int], None]]:
        begin, before = time.perf_counter(), watch.look()
        yield lambda _done, _total: None
        cpu, waited = (now - then for now, then in zip(watch.look(), before, strict=True))
        wall = time.perf_counter() - begin
        found[label] = {"wall": wall, "cpu": cpu, "waited": waited, "peak": peak_of_self()}

    with watch, step("total"):
        options = BuildOptions(annotator="ada", jobs=jobs)
        build_set([home / "case.json"], home / f"set{jobs}", options, step=step)
    return found


class Watch(threading.Thread):
    """Looks at all processes of a build twenty times a second.

    On a machine that others use too, what matters is whether a worker had something to do: the
    time it ran, and the time it was ready to run.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._seen: dict[str, tuple[float, float]] = {}
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.05):
            self.look()

    def look(self) -> tuple[float, float]:
        """Seconds all of them, ended ones too, have run and have waited to run so far."""
        processes = ["self"]
        if (server := forkserver._forkserver._forkserver_pid) is not None:
            processes += Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for process in processes:
            for task in Path(f"/proc/{process}/task").glob("*/schedstat"):
                with suppress(OSError):
                    ran, waited, _ = task.read_text().split()
                    self._seen[str(task)] = (int(ran) / 1e9, int(waited) / 1e9)
        seen = list(self._seen.values())
        return sum(ran for ran, _ in seen), sum(waited for _, waited in seen)

    def __enter__(self) -> None:
        self.start()

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self.join()


def bare_seconds(home: Path, built: Path) -> float:
    """Processor seconds of the work nobody can avoid for the images of a set."""
    photographs = sorted((built / "images/images").glob("*.jpg"))
    maps = [
        np.asarray(Image.open(path)) for path in sorted((built / "images/images").glob("*.png"))
    ]
    begin = time.process_time()
    for photograph, labels in itertools.zip_longest(photographs, maps):
        with Image.open(home / "images" / photograph.name) as image:
            small = image.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        small.save(io.BytesIO(), "JPEG", quality=95, subsampling=0)
        if labels is not None:
            Image.fromarray(labels).save(io.BytesIO(), "PNG", compress_level=6)
    return time.process_time() - begin


if __name__ == "__main__":
    main()
