#!/usr/bin/env python3
"""What comparing annotators costs, as a ratio to reading what they drew, in one process.

    python tools/bench_consistency.py [--images 20] [--annotators 5] [--size 512] [--segments 20]

The work nobody can avoid is taken to be: each annotator's run-length codes decoded (pycocotools,
in C) and painted, larger first, into one map per annotator. Counting is measured against that with
and without the figures of boundaries. Medians of the processor time of several rounds,
taken in turn, so that a busy machine disturbs all of them alike.
"""

from __future__ import annotations

import argparse
import cProfile
import functools
import pstats
import statistics
import time
from collections.abc import Callable, Iterable

import numpy as np

from conceptset.consistency.counting.image import CountSettings, count_image
from conceptset.consistency.material import AnnotatedImage, Annotator, Segment
from conceptset.geometry import BoolArray, encode_counts, mask_to_counts
from conceptset.raster import fill_ring


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=20)
    parser.add_argument("--annotators", type=int, default=5)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--segments", type=int, default=20, help="things in an image")
    parser.add_argument("--categories", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="where the time goes, with bounds")
    options = parser.parse_args()
    images = [synthetic_image(number, options) for number in range(options.images)]
    people = tuple(Annotator(f"p{n}") for n in range(options.annotators))
    categories = tuple(f"c{n}" for n in range(options.categories))
    works = {
        "bare decoding": functools.partial(decode_all, images),
        "without boundary": functools.partial(
            count_all, images, CountSettings(people, categories, boundary=False)
        ),
        "with boundary": functools.partial(
            count_all, images, CountSettings(people, categories, boundary=True)
        ),
    }
    if options.profile:
        for name in ("without boundary", "with boundary"):
            print_profile(name, works[name])
        return
    drawn = sum(len(segments) for image in images for segments in image.drawn.values())
    print(
        f"{options.images} images of {options.size} x {options.size}, {options.annotators} "
        f"annotators, {drawn} segments"
    )
    print_times(in_turn(works, options.rounds), options.images)


def synthetic_image(number: int, options: argparse.Namespace) -> AnnotatedImage:
    """Blobs of many sizes that overlap; everybody draws them a little differently.

    A tenth is left out, a tenth called something else, and of a twentieth only a part is drawn.
    """
    rng = np.random.default_rng(number)
    things = [random_blob(rng, options.size) for _ in range(options.segments)]
    drawn = {}
    for annotator in range(options.annotators):
        segments = []
        for order, (ring, concept) in enumerate(things):
            if rng.random() < 0.1:
                continue
            jitter = ring + rng.normal(0, 0.004 * options.size, ring.shape)
            if rng.random() < 0.05:
                jitter = jitter[: len(jitter) // 2]
            name = int(rng.integers(1, 30)) if rng.random() < 0.1 else concept
            mask = fill_ring(jitter, (options.size, options.size))
            segments.append(segment(order, name, mask, concept % options.categories))
        drawn[annotator] = tuple(segments)
    return AnnotatedImage(number, f"{number}.jpg", (options.size, options.size), drawn)


def random_blob(rng: np.random.Generator, size: int) -> tuple[np.ndarray, int]:
    """A closed outline of 40 points about a centre, (40, 2), and a concept."""
    centre = rng.uniform(0, size, 2)
    radius = size * rng.lognormal(-2.6, 0.6)
    angles = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    waves = sum(rng.normal(0, 0.12) * np.cos(k * angles + rng.uniform(0, 6)) for k in (2, 3, 5))
    reach = radius * (1 + waves) * (1, rng.uniform(0.5, 1))[0]
    ring = centre + np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None]
    return ring, int(rng.integers(1, 30))


def segment(order: int, concept: int, mask: BoolArray, category: int) -> Segment:
    counts = encode_counts(mask_to_counts(mask))
    return Segment(order, "region", concept, category, str(concept), counts)


def decode_all(images: Iterable[AnnotatedImage]) -> int:
    """Every code decoded and painted; larger segments first."""
    from pycocotools import mask as coco

    labelled = 0
    for image in images:
        for segments in image.drawn.values():
            codes = [{"size": list(image.size), "counts": s.counts.encode()} for s in segments]
            canvas = np.zeros(image.size, dtype=np.int32, order="F")
            areas = coco.area(codes) if codes else np.zeros(0)
            for place in np.argsort(-areas.astype(np.int64), kind="stable").tolist():
                mask = coco.decode(codes[place])
                canvas[mask.view(bool)] = place + 1
            labelled += int(canvas[0, 0] > 0)
    return labelled


def count_all(images: Iterable[AnnotatedImage], setting: CountSettings) -> int:
    return sum(len(count_image(image, setting).compared) for image in images)


def in_turn(works: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median seconds of processor time of each, after one round that is not counted."""
    times: dict[str, list[float]] = {name: [] for name in works}
    for round_ in range(rounds + 1):
        for name, work in works.items():
            begin = time.process_time()
            work()
            if round_:
                times[name].append(time.process_time() - begin)
    return {name: statistics.median(taken) for name, taken in times.items()}


def print_times(medians: dict[str, float], images: int) -> None:
    bare = medians["bare decoding"]
    for name, seconds in medians.items():
        each = 1000 * seconds / images
        print(
            f"{name:18} {each:8.2f} ms an image   {seconds / bare:5.2f} x decoding   "
            f"{each * 10_000 / 2 / 60_000:5.1f} minutes for 10,000 images on two cores"
        )


def print_profile(name: str, work: Callable[[], object]) -> None:
    profile = cProfile.Profile(time.process_time)
    profile.runcall(work)
    print(name)
    pstats.Stats(profile).sort_stats("tottime").print_stats(18)


if __name__ == "__main__":
    main()
