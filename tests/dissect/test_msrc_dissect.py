"""A network that was trained on photographs, and the same one before its training."""

from __future__ import annotations

import csv

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from dissect.api import dissect_model
from dissect.state import RunLayout

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def msrc(shared, tmp_path_factory):
    """The photographs and label maps as a foreign Broden layout; nothing of ours wrote it."""
    source = shared / "real" / "msrc"
    if not source.is_dir():
        pytest.skip("there are no msrc photographs in ../shared")
    root = tmp_path_factory.mktemp("msrc") / "set"
    (root / "images").mkdir(parents=True)
    rows, coverage, frequency = [], np.zeros(24), np.zeros(24, int)
    for photograph in sorted((source / "images").glob("*.jpg")):
        stem = photograph.stem
        image = Image.open(photograph).convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
        image.save(root / "images" / f"{stem}.png", compress_level=1)
        labels = Image.open(source / "labels" / f"{stem}.png")
        labels = np.asarray(labels.resize((112, 112), Image.Resampling.NEAREST))
        pixels = np.zeros((112, 112, 3), np.uint8)
        pixels[..., 0] = labels
        Image.fromarray(pixels).save(root / "images" / f"{stem}_object.png")
        share = np.bincount(labels.reshape(-1), minlength=24) / labels.size
        coverage += share
        frequency += share > 0
        rows.append([f"{stem}.png", "val", 224, 224, 112, 112, f"{stem}_object.png"])
    used = [label for label in range(1, 24) if frequency[label]]
    tables = {
        "index.csv": [["image", "split", "ih", "iw", "sh", "sw", "object"], *rows],
        "label.csv": [["number", "name"], *([n, f"class {n}"] for n in used)],
        "category.csv": [["name"], ["object"]],
        "c_object.csv": [
            ["number", "name", "coverage"],
            *([n, f"class {n}", coverage[n]] for n in used),
        ],
    }
    for name, content in tables.items():
        with (root / name).open("w", newline="") as stream:
            csv.writer(stream).writerows(content)
    return root


def squeezenet(shared, name):
    from torchvision.models import squeezenet1_1

    model = squeezenet1_1(num_classes=23)
    model.load_state_dict(torch.load(shared / "real" / "msrc" / name, weights_only=True))
    return model.eval()


def test_training_makes_detectors(shared, msrc, tmp_path):
    found = {}
    for name in ("model_squeezenet1_1", "model_squeezenet1_1_random_init"):
        model = squeezenet(shared, f"{name}.pth")
        outcome = dissect_model(model, msrc, ["features.12", "features.7"], tmp_path / name)
        assert [layer.name for layer in outcome.run.layers] == ["features.12", "features.7"]
        found[name] = outcome.run.layer("features.12").detectors
        scores = pd.read_csv(RunLayout(outcome.root).scores("features.12"))
        assert (scores["intersection"] <= scores[["activation", "truth"]].min(axis=1)).all()
        assert (scores["iou"] <= scores["size_ceiling"] + 1e-12).all()
    trained, random = found.values()
    assert trained.detectors > 300
    assert trained.unique_concepts >= 15
    assert random.detectors < 60
    assert random.unique_concepts < trained.unique_concepts


def test_the_output_layer_detects_its_own_classes(shared, msrc, tmp_path):
    """Output c of the classifier was trained on label c + 1; chance would be one in 23."""
    model = squeezenet(shared, "model_squeezenet1_1.pth")
    outcome = dissect_model(model, msrc, ["classifier.1"], tmp_path / "run", quantile="0.05")
    scores = pd.read_csv(RunLayout(outcome.root).scores("classifier.1"))
    best = scores[scores["rank"] == 1]
    assert (best["label_number"] == best["unit"] + 1).mean() > 0.4
