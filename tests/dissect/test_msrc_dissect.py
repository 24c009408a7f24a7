"""A network that was trained on photographs, and the same one before its training."""

from __future__ import annotations

import pandas as pd
import pytest
import torch
from msrc_set import write_msrc

from dissect.api import dissect_model
from dissect.state import RunLayout

pytestmark = [pytest.mark.real, pytest.mark.slow]


@pytest.fixture(scope="module")
def msrc(shared, tmp_path_factory):
    """The photographs and label maps as a foreign Broden layout; nothing of ours wrote it."""
    source = shared / "real" / "msrc"
    if not source.is_dir():
        pytest.skip("there are no msrc photographs in ../shared")
    return write_msrc(source, tmp_path_factory.mktemp("msrc") / "set")


def squeezenet(shared, name):
    from torchvision.models import squeezenet1_1

    model = squeezenet1_1(num_classes=23)
    model.load_state_dict(torch.load(shared / "real" / "msrc" / name, weights_only=True))
    return model.eval()


def test_training_makes_detectors(shared, msrc, tmp_path):
    found = {}
    for name in ("model_squeezenet1_1", "model_squeezenet1_1_random_init"):
        model = squeezenet(shared, f"{name}.pth")
        outcome = dissect_model(model, msrc, ["features.12"], tmp_path / name)
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
