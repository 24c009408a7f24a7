"""Whole runs on networks of other kinds: thresholds and areas against plain numpy on all values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F

from conceptset.errors import UsageError
from dissect.api import dissect_model
from dissect.counts import read_counts
from dissect.models import load_model
from dissect.state import RunLayout

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)


class Mixed(nn.Module):
    """Maps with either order of axes, tokens behind two others, a tuple, a module run twice."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(11)
        self.conv = nn.Conv2d(3, 6, 4, 4)
        self.relu = nn.ReLU(inplace=True)
        self.linear = nn.Linear(6, 9)
        self.num_prefix_tokens = 2
        self.start = nn.Parameter(torch.randn(1, 2, 9) + 50)  # would move the thresholds
        self.mix = nn.Linear(9, 7)
        self.pair = Pair()

    def forward(self, x):
        x = self.conv(x)
        self.pair(x)
        x = self.relu(self.relu(x) - 0.1)
        y = self.linear(x.permute(0, 2, 3, 1))
        tokens = torch.cat([self.start.expand(len(x), 2, 9), y.flatten(1, 2)], dim=1)
        return self.mix(tokens)


class Pair(nn.Module):
    def forward(self, x):
        return x * 2, {"half": x / 2}


def whole(model, root, size):
    """What the network computes for every photograph, (n, U, h, w), without any hook."""
    paths = sorted((root / "images" / "src").glob("p???.png"))
    found = {}
    with torch.inference_mode():
        for path in paths:
            pixels = np.asarray(Image.open(path).convert("RGB"), dtype=np.float32) / 255
            x = torch.from_numpy((pixels - np.float32(MEAN)) / np.float32(STD))
            x = x.permute(2, 0, 1)[None]
            assert x.shape[2:] == size
            conv = model.conv(x)
            first = conv.clamp(min=0)
            second = (first - 0.1).clamp(min=0)
            linear = model.linear(second.permute(0, 2, 3, 1))
            tokens = model.mix(linear.flatten(1, 2)).transpose(1, 2)
            values = {
                "conv": conv,
                "relu@1": first,
                "relu@2": second,
                "linear": linear.permute(0, 3, 1, 2),
                "mix": tokens.unflatten(2, conv.shape[2:]),
                "pair[1][half]": conv / 2,
            }
            for name, value in values.items():
                found.setdefault(name, []).append(value[0].numpy())
    return {name: np.stack(values) for name, values in found.items()}


def test_every_form_of_output(small_set, tmp_path):
    model = Mixed().eval()
    expected = whole(model, small_set, (32, 32))
    outcome = dissect_model(
        model, small_set, list(expected), tmp_path / "run", mean=MEAN, std=STD, quantile="0.02"
    )
    layout = RunLayout(outcome.root)
    for name, values in expected.items():
        record = outcome.run.layer(name)
        units, height, width = values.shape[1:]
        assert (record.units, record.map_size) == (units, (height, width))
        flat = np.moveaxis(values, 1, 0).reshape(units, -1)
        rank = int(0.02 * flat.shape[1]) + 1
        exact = np.sort(flat, axis=1)[:, -rank]
        found = np.load(layout.thresholds(record.directory))
        np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5, err_msg=name)
        counts = read_counts(layout.counts(record.directory))
        maps = torch.from_numpy(values)
        large = F.interpolate(maps, (16, 16), mode="bilinear", align_corners=False)
        area = (large > torch.from_numpy(found)[:, None, None]).sum((2, 3)).numpy()
        seen = np.zeros_like(area)
        seen[counts.area[:, 0], counts.area[:, 1]] = counts.area[:, 2]
        assert np.abs(seen - area).sum() <= 0.005 * area.sum() + 4, name
        assert area.sum() > 40


def test_a_program_with_a_fixed_batch(small_set, tmp_path):
    program = torch.export.export(Mixed().eval(), (torch.zeros(4, 3, 32, 32),))
    torch.export.save(program, tmp_path / "a.pt2")
    module = load_model(str(tmp_path / "a.pt2"), mean=MEAN, std=STD).module
    options = {"mean": MEAN, "std": STD, "quantile": "0.02"}
    with pytest.raises(UsageError, match="--batch-size 4"):
        dissect_model(module, small_set, ["linear"], tmp_path / "x", batch_size=3, **options)
    one = dissect_model(module, small_set, ["mix"], tmp_path / "one", batch_size=4, **options)
    two = dissect_model(
        Mixed().eval(), small_set, ["mix"], tmp_path / "two", batch_size=4, **options
    )
    places = [RunLayout(run.root).counts(run.run.layers[0].directory) for run in (one, two)]
    first, second = (read_counts(place) for place in places)
    assert np.array_equal(first.intersection, second.intersection)
    assert np.array_equal(first.area, second.area)
