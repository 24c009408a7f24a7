"""Checkpoints: what is read, what is refused, and how tensors find their place."""

from __future__ import annotations

import io
import zipfile

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from conceptset.errors import SourceError, UnsafeError, UsageError
from dissect.errors import ModelError
from dissect.models.checkpoint import read_checkpoint, strip_prefixes
from dissect.models.matching import fill, state_digest

MARK = []


def mark(word):
    MARK.append(word)


class Payload:
    """A pickle that calls a function of ours when it is loaded."""

    def __reduce__(self):
        return (mark, ("ran",))


def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 10))


def same(state, module):
    return all(torch.equal(state[key], value) for key, value in module.state_dict().items())


@pytest.mark.parametrize("key", [None, "state_dict", "model", "net"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "_orig_mod.module."])
def test_forms(tmp_path, key, prefix):
    model = make()
    state = {f"{prefix}{name}": value for name, value in model.state_dict().items()}
    path = tmp_path / "a.pth"
    torch.save(state if key is None else {"epoch": 3, key: state}, path)
    assert same(read_checkpoint(path), model)


def test_old_format_and_safetensors(tmp_path):
    model = make()
    torch.save(model.state_dict(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    save_file(model.state_dict(), tmp_path / "a.safetensors")
    assert same(read_checkpoint(tmp_path / "old.pt"), model)
    assert same(read_checkpoint(tmp_path / "a.safetensors"), model)


def test_prefix_at_the_front_only():
    weight = torch.zeros(1)
    assert list(strip_prefixes({"submodule.module.w": weight})) == ["submodule.module.w"]
    mixed = {"module.w": weight, "w": weight}
    assert list(strip_prefixes(mixed)) == ["module.w", "w"]
    assert strip_prefixes({}) == {}


@pytest.mark.parametrize("form", [True, False])
def test_code_is_refused(tmp_path, form):
    path = tmp_path / "evil.pth"
    torch.save({"state_dict": Payload()}, path, _use_new_zipfile_serialization=form)
    MARK.clear()
    with pytest.raises(UnsafeError, match=r"more than hold tensors.*--allow-pickle") as caught:
        read_checkpoint(path)
    assert caught.value.exit_code == 3
    assert MARK == []
    with pytest.raises(ModelError, match="a state dict was expected"):
        read_checkpoint(path, allow_pickle=True)
    assert MARK == ["ran"]


def test_whole_model_needs_allow_pickle(tmp_path):
    model = make()
    torch.save(model, tmp_path / "whole.pth")
    with pytest.raises(UnsafeError, match=r"calls torch\.nn\.modules"):
        read_checkpoint(tmp_path / "whole.pth")
    assert same(read_checkpoint(tmp_path / "whole.pth", allow_pickle=True), model)


def test_other_archives(tmp_path):
    path = tmp_path / "a.pt"
    for member, error, text in (
        ("a/constants.pkl", UnsafeError, "TorchScript"),
        ("a/archive_format", ModelError, r"torch\.export"),
        ("a/data.pkl", ModelError, "no checkpoint"),
    ):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(member, b"x")
        with pytest.raises(error, match=text):
            read_checkpoint(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"x" * 1000)
    with pytest.raises(UnsafeError, match="compressed"):
        read_checkpoint(path)


@pytest.mark.parametrize("form", [True, False])
def test_cut_short(tmp_path, form):
    stream = io.BytesIO()
    torch.save(make().state_dict(), stream, _use_new_zipfile_serialization=form)
    data = stream.getvalue()
    path = tmp_path / "cut.pth"
    for length in (0, 1, 9, 200, len(data) // 2, len(data) - 5):
        path.write_bytes(data[:length])
        with pytest.raises(SourceError) as caught:
            read_checkpoint(path)
        assert caught.value.exit_code == 3
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("data", [b"hello world", b"\x80\x02]q\x00.", b"\x89PNG\r\n\x1a\n"])
def test_something_else(tmp_path, data):
    path = tmp_path / "a.pth"
    path.write_bytes(data)
    with pytest.raises(ModelError):
        read_checkpoint(path)
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    with pytest.raises(ModelError, match="safetensors"):
        read_checkpoint(path)


def test_no_state_dict(tmp_path):
    path = tmp_path / "a.pth"
    torch.save({"epoch": 3, "weights": {"a": torch.zeros(1)}}, path)
    with pytest.raises(ModelError, match="holds epoch, weights; a state dict was expected"):
        read_checkpoint(path)
    torch.save([1, 2], path)
    with pytest.raises(ModelError, match="holds a list"):
        read_checkpoint(path)
    torch.save({}, path)
    with pytest.raises(ModelError, match="holds nothing"):
        read_checkpoint(path)


def test_absent_and_directory(tmp_path):
    with pytest.raises(ModelError, match="no such checkpoint"):
        read_checkpoint(tmp_path / "a.pth")
    with pytest.raises(ModelError, match="is a directory"):
        read_checkpoint(tmp_path)


def fitted(model, state, tmp_path, match="name"):
    return fill(model, state, match=match, file=tmp_path / "a.pth", model="toy")


def test_fill_by_name(tmp_path):
    source, target = make(), make()
    state = {k: v.half() if v.is_floating_point() else v for k, v in source.state_dict().items()}
    with torch.no_grad():
        for value in target.parameters():
            value.zero_()
    notes = fitted(target, state, tmp_path)
    assert notes == ("a.pth holds float16; converted to the model's own precision.",)
    assert target[0].weight.dtype == torch.float32
    assert torch.equal(target[0].weight, state["0.weight"].float())


def test_counters_may_be_missing(tmp_path):
    source = make()
    state = {k: v for k, v in source.state_dict().items() if "num_batches" not in k}
    assert fitted(make(), state, tmp_path) == ()
    assert len(fitted(make(), state, tmp_path, match="order")) == len(state)


def test_mismatch_names_few_keys(tmp_path):
    state = {f"k{number}": torch.zeros(1) for number in range(40)}
    before = make()
    digest = state_digest(before)
    with pytest.raises(UsageError, match=r"8 missing .* 5 more.*40 unexpected .* 37 more"):
        fitted(before, state, tmp_path)
    assert state_digest(before) == digest


def test_classifier_hint(tmp_path):
    state = make().state_dict()
    state["2.weight"], state["2.bias"] = torch.zeros(7, 4), torch.zeros(7)
    with pytest.raises(UsageError, match=r"2 of another shape .*--num-classes 7"):
        fitted(make(), state, tmp_path)


def test_order(tmp_path):
    source, target = make(), make()
    renamed = {f"features.{i}": value for i, value in enumerate(source.state_dict().values())}
    with pytest.raises(UsageError, match="--weights-match order"):
        fitted(target, renamed, tmp_path)
    notes = fitted(target, renamed, tmp_path, match="order")
    assert notes[0] == "0.weight <- features.0 (4, 3, 3, 3)"
    assert same(source.state_dict(), target)
    with pytest.raises(UsageError, match="needs equal numbers"):
        fitted(target, {"a": torch.zeros(1)}, tmp_path, match="order")
    swapped = dict(reversed(renamed.items()))
    with pytest.raises(UsageError, match="tensor 1 in order"):
        fitted(target, swapped, tmp_path, match="order")


def test_integers_are_no_weights(tmp_path):
    state = {k: v.long() for k, v in make().state_dict().items()}
    with pytest.raises(UsageError, match="another shape"):
        fitted(make(), state, tmp_path)


def test_digest():
    model = make()
    first = state_digest(model)
    assert first == state_digest(make())
    assert first != state_digest(make().half())
    with torch.no_grad():
        model[0].bias[0] += 1
    assert state_digest(model) != first
    assert state_digest(nn.ReLU()) == state_digest(nn.Sigmoid())
