"""Hooks: what is handed over, what is refused, and that the model is left as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from conceptset.errors import UsageError
from dissect.activations import Recorder, check_finite, choose_device, probe_layers
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


def test_the_sink_sees_values_that_a_later_in_place_relu_changes(small_model):
    batch = torch.randn(2, 3, 16, 16)
    seen = {}

    def sink(name, output):
        seen[name] = (output, output.clone())

    recorder = Recorder(small_model, ["stem.0"], sink=sink, stop_early=False)
    with recorder, torch.inference_mode():
        assert recorder.run(batch) == {}
        plain = small_model.stem[0](batch)
    lent, copied = seen["stem.0"]
    assert torch.equal(copied, plain)
    assert copied.min() < 0
    assert lent.min() == 0, "it was no copy: the module after it wrote into it"


def test_copies_keep_the_values_too(small_model):
    batch = torch.randn(2, 3, 16, 16)
    with Recorder(small_model, ["stem.0"], stop_early=False) as recorder, torch.inference_mode():
        assert torch.equal(recorder.run(batch)["stem.0"], small_model.stem[0](batch))


@pytest.mark.parametrize("stop_early", [True, False])
def test_channels_last_input_gives_contiguous_copies(small_model, stop_early):
    batch = torch.randn(2, 3, 16, 16).contiguous(memory_format=torch.channels_last)
    recorder = Recorder(small_model, ["stem", "stem.0"], stop_early=stop_early)
    with recorder, torch.inference_mode():
        outputs = recorder.run(batch)
    assert list(outputs) == ["stem", "stem.0"]
    for output in outputs.values():
        assert output.is_contiguous()
        assert output.dtype == torch.float32


def test_the_forward_pass_ends_with_the_last_layer(small_model):
    ran = []
    small_model.head.register_forward_hook(lambda *_: ran.append("head"))
    with Recorder(small_model, ["stem"]) as recorder, torch.inference_mode():
        recorder.run(torch.zeros(1, 3, 8, 8))
        assert ran == []
    with Recorder(small_model, ["act@2"]) as recorder, torch.inference_mode():
        recorder.run(torch.zeros(1, 3, 8, 8))
        assert ran == []


def test_a_model_that_catches_everything_is_ended_all_the_same():
    class Catches(nn.Sequential):
        def forward(self, x):
            try:
                return super().forward(x)
            except Exception:  # noqa: BLE001 - that is what such models do
                return self.late(x)

    model = Catches(nn.Conv2d(3, 2, 1))
    model.late = nn.Conv2d(3, 2, 1)
    late = []
    model.late.register_forward_hook(lambda *_: late.append(1))
    with Recorder(model, ["0"]) as recorder:
        recorder.run(torch.zeros(1, 3, 4, 4))
    assert late == []


def test_what_the_sink_raises_comes_out_and_hooks_are_off(small_model):
    fault = ActivationError("is nan", layer="stem", unit=1, image="a.jpg")

    def sink(_name, _output):
        raise fault

    recorder = Recorder(small_model, ["stem"], sink=sink)
    with pytest.raises(ActivationError) as caught, recorder:
        recorder.run(torch.zeros(1, 3, 8, 8))
    assert caught.value is fault
    assert hooks_of(small_model) == 0


def test_an_exception_takes_the_hooks_off(small_model):
    with pytest.raises(RuntimeError), Recorder(small_model, ["stem"]) as recorder:
        recorder.run(torch.zeros(1, 5, 8, 8))
    assert hooks_of(small_model) == 0


def test_an_unknown_layer_offers_near_names(small_model):
    with pytest.raises(LayerError, match=r"layer 'stages\.secnd'.*no such layer.*stages\.second"):
        Recorder(small_model, ["stem", "stages.secnd"])
    with pytest.raises(LayerError, match=r"no such layer.*stages\.second"):
        probe_layers(small_model, ["stages.secnd@2[0]"], size=(16, 16), device=CPU)
    with pytest.raises(LayerError, match="no such layer"):
        Recorder(small_model, [""])
    for wrong in ("stem@0", "stem[0]@2", "stem[", "@1", "[0]", "stem[]"):
        with pytest.raises(LayerError, match="a layer is written as NAME, NAME@2"):
            Recorder(small_model, [wrong])


def test_a_layer_that_does_not_run(small_model):
    with pytest.raises(LayerError, match="layer unused: the layer does not run") as caught:
        probe_layers(small_model, ["stem", "unused"], size=(16, 16), device=CPU)
    assert caught.value.exit_code == 2
    with Recorder(small_model, ["unused"]) as recorder, pytest.raises(LayerError, match="not run"):
        recorder.run(torch.zeros(1, 3, 8, 8))


def test_a_layer_that_runs_twice(small_model):
    with pytest.raises(LayerError, match=r"runs 2 times.*Name one of its runs: act@1, act@2\."):
        probe_layers(small_model, ["act"], size=(16, 16), device=CPU)
    with pytest.raises(LayerError, match=r"runs 2 times.*no run 3.*act@1, act@2"):
        probe_layers(small_model, ["act@3"], size=(16, 16), device=CPU)
    with pytest.raises(LayerError, match=r"layer head@2: .*runs once.*Name head\."):
        probe_layers(small_model, ["head@2"], size=(16, 16), device=CPU)
    first, second = probe_layers(small_model, ["act@1", "act@2"], size=(16, 16), device=CPU)
    assert (first.name, second.name) == ("act@1", "act@2")
    with Recorder(small_model, ["act@3"]) as recorder, pytest.raises(LayerError, match="no run 3"):
        recorder.run(torch.zeros(1, 3, 8, 8))
    recorder = Recorder(small_model, ["act", "head"], stop_early=False)
    with recorder, pytest.raises(LayerError, match="act@1, act@2"):
        recorder.run(torch.zeros(1, 3, 8, 8))


def test_runs_of_one_module_are_told_apart(small_model):
    batch = torch.randn(2, 3, 16, 16)
    with Recorder(small_model, ["act@2", "act@1"]) as recorder, torch.inference_mode():
        outputs = recorder.run(batch)
    kept = []
    small_model.act.register_forward_hook(lambda _module, _args, output: kept.append(output))
    with torch.inference_mode():
        small_model(batch)
    assert torch.equal(outputs["act@1"], kept[0])
    assert torch.equal(outputs["act@2"], kept[1])
    assert list(outputs) == ["act@2", "act@1"]


def test_a_model_that_cannot_take_the_image(small_model):
    broken = nn.Sequential(nn.Flatten(), nn.Linear(7, 2))
    with pytest.raises(UsageError, match="cannot run on images of 16x16"):
        probe_layers(broken, ["1"], size=(16, 16), device=CPU)


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
