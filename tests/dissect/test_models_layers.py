"""Layers as a forward pass shows them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from conceptset.errors import UsageError
from dissect.models import list_layers, near_layers


class Odd(nn.Module):
    """Layers of every kind that can and cannot be dissected."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)
        self.twice = nn.ReLU()
        self.norm = nn.BatchNorm2d(4)
        self.pair = Pair()
        self.last = Permute(0, 2, 3, 1)
        self.tokens = Tokens()
        self.uneven = Tokens(skip=2)
        self.whole = Longs()
        self.split = Split()
        self.linear = nn.Linear(4, 5)
        self.unused = nn.Linear(4, 5)

    def forward(self, x):
        x = self.relu(self.conv(x))
        x = self.twice(self.twice(x))
        x = self.norm(x)
        x += 1
        self.pair(x)
        self.last(x)
        self.tokens(x)
        self.uneven(x)
        self.whole(x)
        self.split(x)
        return self.linear(x.mean((2, 3)))


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Permute(nn.Module):
    def __init__(self, *order):
        super().__init__()
        self.order = order

    def forward(self, x):
        return x.permute(self.order)


class Tokens(nn.Module):
    def __init__(self, skip=0):
        super().__init__()
        self.skip = skip

    def forward(self, x):
        return x.flatten(2).transpose(1, 2)[:, self.skip :]


class Longs(nn.Module):
    def forward(self, x):
        return x.long()


class Split(nn.Module):
    def forward(self, x):
        return x.flatten(0, 1)


@pytest.fixture
def layers():
    return {info.name: info for info in list_layers(Odd(), image_size=(8, 8))}


def test_kinds_and_reasons(layers):
    assert list(layers)[:2] == ["conv", "relu"]
    found = {name: (info.kind, info.shape, info.reason) for name, info in layers.items()}
    assert found == {
        "conv": ("maps", (4, 8, 8), None),
        "relu": ("maps", (4, 8, 8), None),
        "twice": (None, None, "it runs 2 times in one pass: twice@1, twice@2"),
        "twice@1": ("maps", (4, 8, 8), None),
        "twice@2": ("maps", (4, 8, 8), None),
        "norm": ("maps", (4, 8, 8), None),
        "pair": (None, None, "its output is a tuple of tensors at [0], [1]"),
        "pair[0]": ("maps", (4, 8, 8), None),
        "pair[1]": ("maps", (4, 8, 8), None),
        "last": ("maps", (4, 8, 8), None),
        "tokens": ("tokens", (4, 8, 8), None),
        "uneven": (None, None, "its 62 tokens make no grid of the photograph's proportions"),
        "whole": (None, None, "its output is int64, real numbers were expected"),
        "split": (None, None, "its output (8, 8, 8) for 2 images does not begin with them"),
        "linear": ("vector", (5, 1, 1), None),
        "unused": (None, None, "it did not run"),
    }
    assert {name: info.calls for name, info in layers.items() if info.calls != 1} == {
        "twice": 2,
        "twice@1": 2,
        "twice@2": 2,
        "unused": 0,
    }
    assert layers["last"].units_last
    assert not layers["norm"].units_last
    assert layers["conv"].type == "Conv2d"


def test_in_place_followers(layers):
    changed = {name: info.changed_by for name, info in layers.items() if info.changed_by}
    assert changed["conv"] == "relu"
    assert changed["norm"] == "an operation"
    assert "relu" not in changed


def test_model_is_left_as_it_was():
    model = Odd()
    model.norm.eval()
    state = {key: value.clone() for key, value in model.state_dict().items()}
    torch.manual_seed(3)
    before = torch.get_rng_state()
    list_layers(model, image_size=(8, 8))
    assert model.training
    assert not model.norm.training
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), before)
    assert not any(part._forward_hooks or part._forward_pre_hooks for part in model.modules())


def test_a_failing_pass_leaves_no_hook():
    model = nn.Sequential(nn.Conv2d(3, 2, 5), nn.Linear(7, 1))
    with pytest.raises(UsageError, match=r"cannot run on images of 4x9 .*--image-size"):
        list_layers(model, image_size=(4, 9))
    assert model.training
    assert not any(part._forward_hooks for part in model.modules())


def test_half_precision_and_no_parameters():
    model = nn.Sequential(nn.Conv2d(3, 2, 1)).half()
    assert list_layers(model, image_size=(4, 4))[0].shape == (2, 4, 4)
    assert list_layers(nn.Sequential(nn.ReLU()), image_size=(4, 6))[0].shape == (3, 4, 6)


def test_torchscript_is_refused():
    class Script(torch.jit.ScriptModule):
        pass

    with pytest.raises(UsageError, match="TorchScript"):
        list_layers(Script(), image_size=(4, 4))


def test_near_layers():
    model = nn.ModuleDict({"backbone": nn.Sequential(nn.ReLU()), "layer1": nn.ReLU()})
    assert near_layers(model, "layer1") == ["layer1"]
    assert near_layers(model, "layer2") == ["layer1"]
    assert near_layers(model, "0") == ["backbone.0"]
    assert near_layers(model, "module.layer1") == ["layer1"]
    assert near_layers(model, "zzz") == []
