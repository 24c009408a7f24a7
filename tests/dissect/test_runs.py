"""Whole runs of a small network on a small set: the files, and what stands in the way."""

from __future__ import annotations

import os
import shutil
import signal

import numpy as np
import pandas as pd
import pytest
import torch
from torch.nn import functional as F

import dissect.hearing
from conceptset.errors import ConceptsetError, SourceError, UsageError
from conceptset.io.parallel import can_fork
from conceptset.layout.reading import open_concept_set
from dissect.api import evaluating
from dissect.counts import read_counts
from dissect.errors import ActivationError, LayerError, RunExistsError
from dissect.given import read_thresholds
from dissect.labels import read_labels
from dissect.loader import load_batches
from dissect.state import RunLayout, open_run
from dissect.top import read_top

LAYERS = ["stages.second.0", "stem", "head"]


def all_activations(model, root, layer, size=(32, 32)):
    """(images, units, h, w) by a plain loop over the very batches of the run."""
    concept_set = open_concept_set(root)
    result, modules = [], dict(model.named_modules())
    batches = load_batches(
        concept_set,
        concept_set.entries,
        size=size,
        batch_size=4,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        workers=1,
    )
    for batch in batches:
        kept = []
        handle = modules[layer].register_forward_hook(
            lambda _m, _i, o, kept=kept: kept.append(o.clone())
        )
        with torch.inference_mode():
            model(batch.pixels)
        handle.remove()
        output = kept[0].reshape(*kept[0].shape, *([1] * (4 - kept[0].ndim)))
        result.append(output[: len(batch.entries)].contiguous())
    return torch.cat(result)


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("union", ["annotated", "lite"])
def test_the_whole_way_equals_a_plain_computation(run, small_model, small_set, layer, union):
    outcome = run(layers=[layer], union=union, quantile="0.3")
    values = all_activations(small_model, small_set, layer)
    compare_with_a_plain_computation(outcome.root, layer, union, values, small_set)


@pytest.mark.parametrize("union", ["annotated", "lite"])
def test_maps_larger_than_label_maps_equal_a_plain_computation(
    run, small_model, build_set, make_pictures, union
):
    """Their pixels depend on cells far apart, so that they are counted in a second pass."""
    root = build_set(make_pictures(6, size=(72, 60)))
    outcome = run(layers=["stem"], concept_set=root, union=union, quantile="0.2")
    assert outcome.run.layers[0].map_size == (36, 30)
    values = all_activations(small_model, root, "stem", (72, 60))
    compare_with_a_plain_computation(outcome.root, "stem", union, values, root, share=0.8)


def compare_with_a_plain_computation(run_root, layer, union, values, set_root, share=0.7):
    """Every figure of scores.csv from dense maps, pixel by pixel; thresholds from all values."""
    layout = RunLayout(run_root)
    flat = values.numpy().transpose(1, 0, 2, 3).reshape(values.shape[1], -1)
    limits = np.quantile(flat, share, axis=1, method="inverted_cdf")
    assert np.array_equal(np.load(layout.thresholds(layer)), limits)

    concept_set = open_concept_set(set_root)
    primary = concept_set.primary()
    shared, active, truth = {}, {}, {}
    for entry, maps in zip(concept_set.entries, values, strict=True):
        planes, whole = read_labels(concept_set, entry, concept_set.categories)
        full = F.interpolate(  # as Pillow where maps are reduced, else as without antialias
            maps[None].double(), entry.map_size, mode="bilinear", antialias=True
        )[0].numpy()
        marks = np.zeros((301, *entry.map_size), int)
        for plane in planes:
            for label in np.unique(plane[plane > 0]):
                marks[label] += plane == label
        for label in whole:
            marks[label] += 1
        present = [label for label in range(301) if marks[label].any()]
        for label in present:
            truth[label] = truth.get(label, 0) + int(marks[label].sum())
        for unit, limit in enumerate(limits):
            mask = (full[unit] > limit) & bool(maps[unit].max() > limit)
            hit = [label for label in present if marks[label][mask].any()]
            for label in hit:
                key = unit, label
                shared[key] = shared.get(key, 0) + int(marks[label][mask].sum())
            for category in {primary[n] for n in (hit if union == "lite" else present)}:
                key = unit, category
                active[key] = active.get(key, 0) + int(mask.sum())
    scores = pd.read_csv(layout.scores(layer))
    assert len(scores) == len(shared) > 0
    for row in scores.itertuples():
        key = row.unit, row.label_number
        assert row.intersection == shared[key]
        assert row.truth == truth[row.label_number]
        assert row.activation == active[row.unit, row.category]
        assert row.iou == row.intersection / (row.activation + row.truth - row.intersection)


def check_scores_against_counts(layout, layer):
    """Every figure of scores.csv is a sum over the record: nothing else is needed."""
    counts = read_counts(layout.counts(layer))
    pixels = dict(counts.pixels.tolist())
    assert list(pixels) == sorted(pixels)
    truth = {(image, label): n for image, label, n in counts.truth.tolist()}
    scores = pd.read_csv(layout.scores(layer))
    assert len(scores)
    for row in scores.itertuples():
        chance = sum(
            area * truth.get((image, row.label_number), 0) / pixels[image]
            for image, unit, area in counts.area.tolist()
            if unit == row.unit
        )
        assert row.lift == pytest.approx(row.intersection / chance)


@pytest.mark.parametrize("upsample", ["half-pixel", "receptive-field"])
def test_maps_larger_than_the_label_maps(run, small_model, build_set, make_pictures, upsample):
    root = build_set(make_pictures(4, size=(64, 64)))
    outcome = run(layers=["stem", "stages.first.0"], concept_set=root, upsample=upsample)
    assert [layer.map_size for layer in outcome.run.layers] == [(32, 32), (32, 32)]
    assert read_counts(RunLayout(outcome.root).counts("stem")).area.size


def test_what_stands_in_the_directory(run, tmp_path):
    outcome = run()
    assert [layer.name for layer in outcome.run.layers] == LAYERS
    assert sorted(p.name for p in outcome.root.iterdir()) == [
        "head", "photographs", "run.json", "stages.second.0", "stem",
    ]  # fmt: skip
    for layer in LAYERS:
        assert sorted(p.name for p in (outcome.root / layer).iterdir()) == [
            "counts.safetensors", "scores.csv", "tally.csv", "thresholds.npy", "top.safetensors",
        ]  # fmt: skip
    assert open_run(outcome.root) == outcome.run
    assert str(tmp_path) not in (outcome.root / "run.json").read_text()
    with pytest.raises(KeyError):
        outcome.run.layer("layer9")
    assert outcome.run.layer("stem").units == 6


def test_top_images_and_their_masks(run, small_model, small_set):
    outcome = run()
    layout = RunLayout(outcome.root)
    for layer in LAYERS:
        top, counts = read_top(layout.top(layer)), read_counts(layout.counts(layer))
        values = all_activations(small_model, small_set, layer).amax(dim=(2, 3)).numpy()
        pixels = {(u, i): n for i, u, n in counts.area.tolist()}
        for unit in range(values.shape[1]):
            own = [i for i in range(11) if (unit, i) in pixels]
            own.sort(key=lambda i: (-values[i, unit], i))
            wanted = [*own[:3], -1, -1, -1][:3]
            assert top.images[unit].tolist() == wanted
            for place, image in enumerate(wanted):
                if image < 0:
                    assert not top.masks[unit, place].any()
                    continue
                assert top.maxima[unit, place] == values[image, unit]
                assert top.mask(unit, place).shape == (16, 16)
                assert top.mask(unit, place).sum() == pixels[unit, image]
                assert layout.photograph(image).is_file()


def test_equal_settings_give_equal_bytes(run, files_of, monkeypatch):
    first = files_of(run("a", workers=1).root)
    second = files_of(run("b", workers=4, max_memory=1).root)
    assert first == second
    monkeypatch.setattr("dissect.tallying._MANY", 1)  # counted by copies of the process
    assert first == files_of(run("c", workers=2).root)


@pytest.mark.skipif(not can_fork(), reason="copies of a process: Linux only")
def test_a_run_whose_copy_was_killed_goes_on(run, files_of, monkeypatch):
    whole = files_of(run("whole", workers=1).root)
    monkeypatch.setattr("dissect.tallying._MANY", 1)
    here, read = os.getpid(), dissect.hearing.read_map

    def die(*arguments):
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return read(*arguments)

    monkeypatch.setattr("dissect.hearing.read_map", die)
    with pytest.raises(ConceptsetError, match=r"was killed, probably because memory.*--workers"):
        run("killed", workers=2)
    monkeypatch.undo()
    assert files_of(run("killed", workers=2).root) == whole


def test_a_map_of_another_size_for_each_image(run, build_set, make_pictures):
    pictures = [*make_pictures(3), *make_pictures(3, seed=1, map_size=(16, 16))]
    for place, picture in enumerate(pictures[3:], start=3):
        maps = {name: [plane[:8, :12] for plane in planes] for name, planes in picture.maps.items()}
        pictures[place] = type(picture)(maps, picture.whole, (32, 32), (8, 12))
    outcome = run(concept_set=build_set(pictures), layers=["stem"], quantile="0.3")
    layout = RunLayout(outcome.root)
    check_scores_against_counts(layout, "stem")
    assert read_counts(layout.counts("stem")).pixels[:, 1].tolist() == [256] * 3 + [96] * 3
    top = read_top(layout.top("stem"))
    assert {tuple(size) for size in top.sizes.reshape(-1, 2).tolist()} <= {
        (0, 0),
        (16, 16),
        (8, 12),
    }


def test_an_activation_that_is_not_finite(run, small_model, tmp_path):
    with torch.no_grad():
        small_model.stages["second"][0].weight[3] = float("inf")
    with pytest.raises(ActivationError, match=r"layer stages\.second\.0 unit 3 on src/p000\.png"):
        run()
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize(
    ("layers", "message"),
    [(["stm"], "Did you mean stem"), (["unused"], "does not run"), (["act"], "runs 2 times")],
)
def test_bad_layers_touch_nothing(run, layers, message, tmp_path):
    with pytest.raises(LayerError, match=message):
        run(layers=layers)
    assert list(tmp_path.iterdir()) == []


def test_given_thresholds_keep_their_kind(run, tmp_path):
    first = run("first")
    found = read_thresholds(first.root, LAYERS)
    shifted = {name: values.astype(np.float64) + 1e-9 for name, values in found.items()}
    second = run("second", thresholds=shifted)
    for layer in second.run.layers:
        stored = np.load(RunLayout(second.root).thresholds(layer.directory))
        assert stored.dtype == np.float64
        assert np.array_equal(stored, shifted[layer.name])
        assert layer.thresholds_dtype == "float64"
    third = run("third", thresholds=found)
    for name in LAYERS:
        for file in ("scores.csv", "tally.csv"):
            assert (third.root / name / file).read_bytes() == (
                first.root / name / file
            ).read_bytes()


def test_thresholds_that_cannot_be_used(run, tmp_path):
    with pytest.raises(UsageError, match="no thresholds are given for the layer stem"):
        run(layers=["stem"], thresholds={"other": np.zeros(6)})
    with pytest.raises(UsageError, match=r"float32 or float64 \(6,\) was expected"):
        run(layers=["stem"], thresholds={"stem": np.zeros(5)})
    with pytest.raises(UsageError, match="not finite"):
        run(layers=["stem"], thresholds={"stem": np.array([0, 1, 2, 3, 4, np.nan])})
    np.save(tmp_path / "t.npy", np.zeros(6))
    assert read_thresholds(tmp_path / "t.npy", ["stem"])["stem"].shape == (6,)
    with pytest.raises(UsageError, match="one file of thresholds for 2 layers"):
        read_thresholds(tmp_path / "t.npy", ["a", "b"])
    with pytest.raises(UsageError, match=r"stem/thresholds\.npy was expected"):
        read_thresholds(tmp_path, ["stem"])
    (tmp_path / "t.npy").write_text("no array")
    with pytest.raises(SourceError, match="cannot be read"):
        read_thresholds(tmp_path / "t.npy", ["stem"])


def test_parts_of_a_set(run):
    outcome = run(split="val", categories=("scene", "part"))
    assert outcome.run.counts.images == 2
    assert outcome.run.counts.categories == ("part", "scene")
    counts = read_counts(RunLayout(outcome.root).counts("stem"))
    assert set(counts.truth[:, 0].tolist()) <= {3, 7}
    assert counts.pixels.tolist() == [[3, 256], [7, 256]]
    assert outcome.run.fingerprint != run("other", limit=2).run.fingerprint


def test_fewer_samples_than_the_quantile_needs(run):
    """With N < 1 / q the threshold is the maximum, so no mask holds a pixel."""
    outcome = run(layers=["head"], quantile="0.005")
    layout = RunLayout(outcome.root)
    assert len(pd.read_csv(layout.scores("head"))) == 0
    assert len(pd.read_csv(layout.tally("head"))) == 5
    assert outcome.run.layers[0].detectors.detectors == 0
    assert list(layout.photographs.iterdir()) == []


def test_the_model_stays_in_its_modes(run, small_model):
    small_model.train()
    small_model.stem.eval()
    modes = [part.training for part in small_model.modules()]
    run()
    assert [part.training for part in small_model.modules()] == modes
    with evaluating(small_model):
        assert not any(part.training for part in small_model.modules())


def test_bf16_is_another_run(run):
    run()
    with pytest.raises(RunExistsError):
        run(precision="bf16")
    assert run("b", precision="bf16").run.config.precision == "bf16"


def test_progress_counts_images(run):
    seen = []
    run(progress=lambda *step: seen.append(step))
    assert seen[2] == ("forward pass", 11, 11)
    assert seen[-1] == ("tally", 11, 11)


def test_a_copied_set_is_the_same_set(run, small_set, tmp_path):
    first = run()
    shutil.copytree(small_set, tmp_path / "copy")
    assert run(concept_set=tmp_path / "copy").unchanged
    assert first.run.set.name == "small"
