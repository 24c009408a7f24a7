"""Network dissection as the published programs structure it, written anew to be compared with.

Their three steps: the network runs over all images and every activation goes, in float64, to a
memory map on disk; the quantile of every unit is taken from it; then a Python loop goes over
images and units, brings each map that rises above its threshold to the size of the label maps and
counts the pixels it shares with every label. Thresholds are taken exactly here, so that the
counts can be compared with ours: they must be equal to the last pixel.
"""

from __future__ import annotations

import contextlib
import functools
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.dissecting import CASES, bare_pass, full_run, load, stop_after
from benchmarks.measuring import Options, Table, per_image, take_turns
from numpy.typing import NDArray
from PIL import Image

CASE = CASES[0]
ENGINE = ("scan", "store", "thresholds", "tally")
PUBLISHED = {"extract": 2.1, "quantile": 2.2, "tally": 18.0}  # ms an image of theirs, measured

Features = np.memmap[Any, np.dtype[np.float64]]
IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class Found:
    """What their structure finds.

    Attributes:
        thresholds: (units,) float64.
        shared: (units, labels) int64 pixels of the masks with a label.
        area: (units,) int64 pixels of the masks.
        truth: (labels,) int64 pixels of the labels.
    """

    thresholds: NDArray[np.float64]
    shared: IntArray
    area: IntArray
    truth: IntArray


def extract(model: Any, opened: Any, options: Options, path: Path) -> Features:
    """Every activation, (images, units, h, w) float64 on disk."""
    import torch

    from dissect.loader import load_batches

    last, entries, kept = CASE.layers[-1], opened.entries, []

    def keep(_module: object, _inputs: object, output: Any) -> None:
        kept.append(output.detach().cpu().numpy())

    batches = load_batches(
        *(opened, entries),
        size=entries[0].image_size,
        batch_size=options.batch_size,
        mean=model.mean,
        std=model.std,
        workers=2,
    )
    features: Features | None = None
    handle = model.module.get_submodule(last).register_forward_hook(keep)
    with torch.inference_mode(), stop_after(model.module, last):
        for batch in batches:
            kept.clear()
            with contextlib.suppress(StopIteration):
                model.module(batch.pixels)
            if features is None:
                shape = (len(entries), *kept[0].shape[1:])
                features = np.memmap(path, dtype=np.float64, mode="w+", shape=shape)
            first = batch.entries[0].row
            features[first : first + len(batch.entries)] = kept[0][: len(batch.entries)]
    handle.remove()
    if features is None:
        raise ValueError("there is no image")
    return features


def find_thresholds(features: Features) -> NDArray[np.float64]:
    """The `floor(q N) + 1`-th largest of each unit, from all of its activations sorted."""
    units, samples = features.shape[1], features[:, 0].size
    rank = samples // 200 + 1
    found = np.empty(units)
    for unit in range(units):
        found[unit] = np.sort(features[:, unit], axis=None)[-rank]
    return found


def count(features: Features, thresholds: NDArray[np.float64], opened: Any) -> Found:
    """Pixels, image by image and unit by unit."""
    units, labels = features.shape[1], 1 + max(opened.names)
    shared = np.zeros((units, labels), dtype=np.int64)
    area, truth = np.zeros(units, dtype=np.int64), np.zeros(labels, dtype=np.int64)
    for entry, maps in zip(opened.entries, features, strict=True):
        planes, whole = _read_labels(opened, entry)
        for plane in planes:
            truth += np.bincount(plane.ravel(), minlength=labels)
        truth[whole] += entry.map_size[0] * entry.map_size[1]
        for unit in range(units):
            values = maps[unit]
            if np.max(values) > thresholds[unit]:
                mask = enlarge(values, entry.map_size) > thresholds[unit]
                pixels = int(np.sum(mask))
                area[unit] += pixels
                for plane in planes:
                    shared[unit] += np.bincount(plane[mask], minlength=labels)
                shared[unit, whole] += pixels
    shared[:, 0] = truth[0] = 0
    return Found(thresholds, shared, area, truth)


def enlarge(values: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """A map at the size of the label maps.

    Theirs goes through Pillow, which rounds to float32: with it, 4 sums of (unit, label) differed
    from ours on 96 images.
    """
    import torch

    whole = torch.from_numpy(values)[None, None]
    large = torch.nn.functional.interpolate(whole, size, mode="bilinear", align_corners=False)
    return np.asarray(large[0, 0].numpy())


def _read_labels(opened: Any, entry: Any) -> tuple[list[IntArray], list[int]]:
    planes, whole = [], []
    for cell in entry.cells.values():
        whole += cell.labels
        for name in cell.maps:
            rgb = np.asarray(Image.open(opened.file(name))).astype(np.int64)
            planes.append(rgb[..., 0] + 256 * rgb[..., 1])
    return planes, whole


def compare(found: Found, run: Path) -> None:
    """Nothing may differ.

    Raises:
        ValueError: Something does.
    """
    from dissect.counts import read_counts
    from dissect.state import RunLayout

    layout = RunLayout(run)
    ours = read_counts(layout.counts(CASE.layers[0]))
    shared, area = np.zeros_like(found.shared), np.zeros_like(found.area)
    truth = np.zeros_like(found.truth)
    np.add.at(shared, (ours.intersection[:, 1], ours.intersection[:, 2]), ours.intersection[:, 3])
    np.add.at(area, ours.area[:, 1], ours.area[:, 2])
    np.add.at(truth, ours.truth[:, 1], ours.truth[:, 2])
    pairs = {
        "thresholds": (found.thresholds, np.load(layout.thresholds(CASE.layers[0]))),
        "shared pixels": (found.shared, shared),
        "pixels of masks": (found.area, area),
        "pixels of labels": (found.truth, truth),
    }
    for name, (theirs, own) in pairs.items():
        if not np.array_equal(theirs, own):
            raise ValueError(f"{name} differ in {np.count_nonzero(theirs != own)} places")


def measure_naive(opened: Any, options: Options) -> list[Table]:
    """Figure 2: what is added to the bare forward pass, by their structure and by ours."""
    model, images = load(CASE, options), len(opened.entries)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)

        def theirs() -> Mapping[str, float]:
            marks = [options.clock()]
            features = extract(model, opened, options, home / "features.mmap")
            marks.append(options.clock())
            thresholds = find_thresholds(features)
            marks.append(options.clock())
            found = count(features, thresholds, opened)
            marks.append(options.clock())
            if (home / "ours").is_dir():
                compare(found, home / "ours")
            return {name: marks[place + 1] - marks[place] for place, name in enumerate(PUBLISHED)}

        def ours() -> Mapping[str, float]:
            begin = options.clock()
            run, counted = full_run(
                *(model, opened, CASE, home / "ours", options), {"annotators": ("none",)}
            )
            return {
                "counted": counted - begin,
                "work": sum(float(run.timings[name]) for name in ENGINE),
            }

        bare = functools.partial(bare_pass, model, opened, CASE.layers[-1], options, images=images)
        rounds = take_turns({"bare": bare, "ours": ours, "theirs": theirs}, options)
    floor = rounds.median("bare")
    steps = {name: rounds.median(name) for name in PUBLISHED}
    steps["extract"] -= floor
    added, published = sum(steps.values()), sum(PUBLISHED.values())
    own = max(rounds.median("counted") - floor, 1e-9)
    rows = [
        [name, per_image(seconds, images), f"{PUBLISHED[name]:.2f}"]
        for name, seconds in steps.items()
    ]
    rows += [
        ["together", per_image(added, images), f"{published:.2f}"],
        ["the forward pass itself", per_image(floor, images), "10.30"],
        ["ours: whole time until counts stand - bare", per_image(own, images), ""],
        [f"ours: {', '.join(ENGINE)} (wall)", per_image(rounds.median("work"), images), ""],
    ]
    return [
        Table(
            "naive",
            [f"ms an image beyond the pass, {options.unit}", "measured here", "published"],
            rows,
            (
                f"{CASE.title}, {images} images; thresholds and counts of both were equal in every "
                f"round. Theirs / ours: {added / own:.0f} by the difference of whole times, "
                f"{added / rounds.median('work'):.0f} by the parts of run.json.",
            ),
        )
    ]
