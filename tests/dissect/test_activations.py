"""Hooks: what is kept, what is refused, and that the model is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from conceptset.errors import UsageError
from dissect.activations import (
    Recorder,
    as_maps,
    check_finite,
    choose_device,
    find_layers,
    probe_layers,
)
from dissect.errors import ActivationError, LayerError

CPU = torch.device("cpu")


def hooks_of(module):
    return sum(len(part._forward_hooks) for part in module.modules())


def test_in_the_order_asked_for_at_any_depth(small_model):
    names = ["head", "stages.second.0", "stem", "stages.first"]
    shapes = probe_layers(small_model, names, size=(32, 24), device=CPU)
    assert [shape.name for shape in shapes] == names
    assert [(shape.kind, shape.units, shape.map_size) for shape in shapes] == [
        ("vector", 5, (1, 1)),
        ("maps", 12, (8, 6)),
        ("maps", 6, (16, 12)),
        ("maps", 8, (16, 12)),
    ]
    assert hooks_of(small_model) == 0


def test_a_later_in_place_relu_does_not_reach_what_was_kept(small_model):
    batch = torch.randn(2, 3, 16, 16)
    with Recorder(small_model, ["stem.0"], stop_early=False) as recorder, torch.inference_mode():
        kept = recorder.run(batch)["stem.0"]
        assert torch.equal(kept, small_model.stem[0](batch))
    assert kept.min() < 0


@pytest.mark.parametrize("stop_early", [True, False])
def test_channels_last_input_gives_contiguous_copies(small_model, stop_early):
    batch = torch.randn(2, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    recorder = Recorder(small_model, ["stem.0", "stem"], stop_early=stop_early)
    with recorder, torch.inference_mode():
        outputs = recorder.run(batch)
    assert list(outputs) == ["stem.0", "stem"]
    for output in outputs.values():
        assert output.is_contiguous()
        assert output.dtype == torch.float32


def test_the_forward_pass_ends_with_the_last_layer(small_model):
    ran = []
    small_model.head.register_forward_hook(lambda *_: ran.append("head"))
    with Recorder(small_model, ["stem"], stop_early=True) as recorder, torch.inference_mode():
        recorder.run(torch.zeros(1, 3, 8, 8))
    assert ran == []


def test_an_exception_takes_the_hooks_off(small_model):
    with pytest.raises(RuntimeError), Recorder(small_model, ["stem"], stop_early=True) as recorder:
        recorder.run(torch.zeros(1, 5, 8, 8))
    assert hooks_of(small_model) == 0


def test_an_unknown_layer_offers_near_names(small_model):
    with pytest.raises(LayerError, match=r"layer 'stages\.secnd'.*no such layer.*stages\.second"):
        find_layers(small_model, ["stem", "stages.secnd"])
    with pytest.raises(LayerError, match="no such layer"):
        find_layers(small_model, [""])


def test_a_layer_that_does_not_run(small_model):
    with pytest.raises(LayerError, match="layer unused: the layer does not run") as caught:
        probe_layers(small_model, ["stem", "unused"], size=(16, 16), device=CPU)
    assert caught.value.exit_code == 2


def test_a_layer_that_runs_twice(small_model):
    with pytest.raises(LayerError, match="runs 2 times"):
        probe_layers(small_model, ["act"], size=(16, 16), device=CPU)


def test_a_model_that_cannot_take_the_image(small_model):
    broken = nn.Sequential(nn.Flatten(), nn.Linear(7, 2))
    with pytest.raises(UsageError, match="cannot run on images of 16x16"):
        probe_layers(broken, ["1"], size=(16, 16), device=CPU)


def maps_of(output, size=(32, 32)):
    return as_maps(output, "x", batch=2, input_size=size)


def test_tokens_become_a_grid():
    tokens = torch.arange(2 * 9 * 4, dtype=torch.float32).reshape(2, 9, 4)
    maps, kind = maps_of(tokens)
    assert (kind, maps.shape) == ("tokens", (2, 4, 3, 3))
    assert maps[1, 2, 2, 0] == tokens[1, 6, 2]
    with_class = torch.cat([torch.full((2, 1, 4), -1.0), tokens], dim=1)
    assert torch.equal(maps_of(with_class)[0], maps)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ((torch.zeros(2, 3),), "puts out a tuple"),
        (torch.zeros(2, 7, 4), "7 tokens"),
        (torch.zeros(2), "a tensor of shape"),
        (torch.zeros(3, 4, 4, 4), "for 2 images"),
        (torch.zeros(2, 4, 4, 4, 4), "a tensor of shape"),
        (torch.zeros(2, 7, 7, 768), "units last"),
        (torch.zeros(2, 0, 7, 7), "a tensor of shape"),
    ],
)
def test_outputs_that_are_no_maps(output, message):
    with pytest.raises(LayerError, match=message):
        maps_of(output)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_are_named(value):
    maps = torch.zeros(2, 3, 4, 4)
    maps[1, 2, 0, 3] = value
    with pytest.raises(ActivationError, match=r"layer l unit 2 on b\.jpg: .*row 0, column 3") as e:
        check_finite(maps, layer="l", images=["a.jpg", "b.jpg"])
    assert (e.value.unit, e.value.image, e.value.exit_code) == (2, "b.jpg", 3)


def test_large_values_are_finite():
    check_finite(torch.full((1, 1, 2, 2), 3e38), layer="l", images=["a.jpg"])


def test_devices():
    assert choose_device("cpu") == CPU
    with pytest.raises(UsageError, match="cannot be used"):
        choose_device("quantum")
