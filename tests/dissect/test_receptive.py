"""Receptive fields read off the layers, against what a change of one pixel reaches."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from dissect.errors import LayerError
from dissect.receptive import find_placements

CPU = torch.device("cpu")


def measured(module, size, cell):
    """Centre of the photograph pixels that a cell depends on, by its gradient."""
    for parameter in module.parameters():
        nn.init.constant_(parameter, 0.1)
    image = torch.ones((1, 3, *size), requires_grad=True)
    module(image)[0, :, cell[0], cell[1]].sum().backward()
    touched = image.grad.abs().sum(dim=(0, 1)) > 0
    centres = []
    for axis in (1, 0):
        places = np.flatnonzero(touched.any(dim=axis).numpy())
        centres.append((places.min() + places.max() + 1) / 2)
    return tuple(centres)


class Branches(nn.Module):
    """A residual sum, a concatenation, functional pooling and a gate."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 7, stride=2, padding=3)
        self.left = nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.right = nn.Conv2d(4, 4, 1, stride=2)
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.end = nn.Conv2d(8, 4, 2, dilation=2)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = self.left(x) + self.right(x)
        x = torch.cat([x, F.avg_pool2d(x, 3, stride=1, padding=1)], 1)
        return self.end(x)


CASES = [
    nn.Sequential(nn.Conv2d(3, 4, 3)),
    nn.Sequential(nn.Conv2d(3, 4, 4, stride=4)),
    nn.Sequential(nn.Conv2d(3, 4, (5, 2), stride=(3, 2), padding=(0, 1), dilation=(2, 1))),
    nn.Sequential(nn.Conv2d(3, 4, 3, padding="same"), nn.ReLU(), nn.AvgPool2d(2)),
    nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.AvgPool2d(3, 2, 1)
    ),
    Branches(),
]


@pytest.mark.parametrize("module", CASES)
def test_centres_are_where_the_gradient_is(module):
    module.eval()
    last = [name for name, _ in module.named_children()][-1]
    place = find_placements(module, [last], size=(96, 80), device=CPU)[last]
    with torch.no_grad():
        height, width = module(torch.zeros(1, 3, 96, 80)).shape[2:]
    cell = (height // 2, width // 2)
    centre = tuple(place.offset[a] + place.stride[a] * (cell[a] + 0.5) for a in (0, 1))
    assert centre == pytest.approx(measured(module, (96, 80), cell))


def test_resnet():
    from torchvision.models import resnet18

    found = find_placements(
        resnet18(weights=None).eval(), ["layer4", "conv1", "layer2.0"], size=(64, 64), device=CPU
    )
    assert list(found) == ["layer4", "conv1", "layer2.0"]
    assert found["conv1"].stride == (2, 2)
    assert found["layer4"].stride == (32, 32)
    assert found["conv1"].offset == (-0.5, -0.5)


def test_adaptive_pooling_divides_the_map():
    module = nn.Sequential(nn.AdaptiveAvgPool2d(4))
    place = find_placements(module, ["0"], size=(64, 32), device=CPU)["0"]
    assert (place.offset, place.stride) == ((0, 0), (16, 8))


def test_what_is_not_known_names_the_way_out():
    module = nn.Sequential(nn.PixelShuffle(1), nn.Conv2d(3, 4, 3))
    with pytest.raises(LayerError, match=r"layer 1: .*not known.*half-pixel"):
        find_placements(module, ["1"], size=(16, 16), device=CPU)


def test_a_model_that_cannot_be_followed():
    class Fickle(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x):
            return self.conv(x) if x.sum() > 0 else x

    with pytest.raises(LayerError, match=r"torch\.fx cannot follow.*half-pixel"):
        find_placements(Fickle(), ["conv"], size=(8, 8), device=CPU)


def test_runs_of_a_module_are_told_apart():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 3, padding=1)
            self.pool = nn.MaxPool2d(2, 2)
            self.relu = nn.ReLU()

        def forward(self, x):
            return self.relu(self.pool(self.relu(self.conv(x))))

    found = find_placements(
        Twice(), ["relu@2", "relu@1"], size=(16, 16), device=torch.device("cpu")
    )
    assert [found[name].stride for name in ("relu@1", "relu@2")] == [(1.0, 1.0), (2.0, 2.0)]
