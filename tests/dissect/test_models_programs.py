"""Programs of torch.export: hooks fire in them, limits are said, and code in them is refused."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile

import pytest
import torch
from torch import nn

from conceptset.errors import UnsafeError, UsageError
from dissect.activations import Recorder, probe_layers
from dissect.errors import ModelError
from dissect.models import check_input, list_layers, load_architecture, load_model
from dissect.models.archives import check_program, form_of

CPU = torch.device("cpu")
GIVEN = {"mean": (0.5, 0.5, 0.5), "std": (0.2, 0.2, 0.2)}


class Net(nn.Module):
    """With a module that runs twice, an in-place one, a dictionary, and one unlike in each run."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU(True))
        self.act = nn.ReLU()
        self.block = nn.Conv2d(8, 8, 3, padding=1)
        self.last = nn.LayerNorm(8)
        self.fold = Halve()
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.act(self.stem(x))
        x = self.act(self.block(x) + x)
        y = self.last(x.permute(0, 2, 3, 1))
        z = self.fold(self.fold(x))
        return {"out": self.head(y.mean((1, 2))), "feat": z}


class Halve(nn.Module):
    def forward(self, x):
        return x.reshape(*x.shape[:2], x.shape[2] // 2, 2, x.shape[3] // 2, 2).amax((3, 5))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """(network, files) of one network exported in three ways."""
    torch.manual_seed(3)
    net = Net().eval()
    folder = tmp_path_factory.mktemp("programs")
    batch = torch.export.Dim("b", min=1, max=64)
    ways = {"fixed": None, "batches": ({0: batch},)}
    for name, shapes in ways.items():
        program = torch.export.export(net, (torch.zeros(4, 3, 16, 16),), dynamic_shapes=shapes)
        torch.export.save(program, folder / f"{name}.pt2")
    return net, folder


def test_the_same_activations_as_before_the_export(made):
    net, folder = made
    names = ["stem.0", "act@1", "act@2", "last", "head", "fold", "fold@1"]
    batch = torch.randn(4, 3, 16, 16)
    own = [*names[:-2], "fold@1", "fold@2"]
    with Recorder(net, own) as recorder, torch.inference_mode():
        expected = recorder.run(batch)
    for name in ("fixed", "batches"):
        model = load_model(str(folder / f"{name}.pt2"), **GIVEN)
        assert (model.source, model.weights) == ("torch.export", "as exported")
        with Recorder(model.module, names) as recorder, torch.inference_mode():
            for _ in range(2):
                found = recorder.run(batch)
                for here, there in zip(names, own, strict=True):
                    assert torch.equal(found[here], expected[there]), here


def test_a_pass_that_was_ended_early_leaves_no_trace(made):
    """Runs of a module that differ are counted by torch; stopping between them must not matter."""
    net, folder = made
    module = load_model(str(folder / "fixed.pt2"), **GIVEN).module
    batch = torch.randn(4, 3, 16, 16)
    with Recorder(net, ["fold@1"]) as recorder, torch.inference_mode():
        expected = recorder.run(batch)["fold@1"]
    for _ in range(3):
        with Recorder(module, ["fold"]) as recorder, torch.inference_mode():
            assert torch.equal(recorder.run(batch)["fold"], expected)


def test_layers_of_a_program(made):
    _, folder = made
    model = load_architecture(str(folder / "fixed.pt2"))
    infos = {info.name: info for info in list_layers(model.module, image_size=(16, 16))}
    assert infos["stem.0"].type == "Conv2d"
    assert infos["stem.0"].shape == (8, 8, 8)
    assert infos["last"].units_last
    assert infos["stem.1"].changed_by == "an operation"
    assert infos["act"].reason == "it runs 2 times in one pass: act@1, act@2"
    assert infos["fold@1"].shape == (8, 2, 2)


def test_limits(made):
    _, folder = made
    fixed = load_model(str(folder / "fixed.pt2"), **GIVEN)
    assert fixed.notes == ("The program takes exactly 4 images at a time.",)
    probe_layers(fixed.module, ["stem"], size=(16, 16), device=CPU, batch_size=4)
    with pytest.raises(UsageError, match=r"4 images at a time, not 16\. Give --batch-size 4,"):
        probe_layers(fixed.module, ["stem"], size=(16, 16), device=CPU, batch_size=16)
    with pytest.raises(UsageError, match=r"16 x 16, not 32x24\. Give --image-size 16, or export"):
        probe_layers(fixed.module, ["stem"], size=(32, 24), device=CPU)
    wrong = r"4 images at a time, not 8 and images of .*--batch-size 4 --image-size 16"
    with pytest.raises(UsageError, match=wrong):
        check_input(fixed.module, batch_size=8, size=(8, 8))
    batches = load_model(str(folder / "batches.pt2"), **GIVEN)
    assert batches.notes == ()
    check_input(batches.module, batch_size=64, size=(16, 16))
    with pytest.raises(UsageError, match="1 to 64 images at a time, not 65"):
        check_input(batches.module, batch_size=65, size=(16, 16))
    check_input(nn.ReLU(), batch_size=1000, size=(1, 1))


def test_sizes_that_are_free(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3))
    free = torch.export.Dim.AUTO
    shapes = ({0: free, 2: free, 3: free},)
    program = torch.export.export(net, (torch.zeros(2, 3, 16, 16),), dynamic_shapes=shapes)
    torch.export.save(program, tmp_path / "free.pt2")
    module = load_model(str(tmp_path / "free.pt2"), **GIVEN).module
    (shape,) = probe_layers(module, ["0"], size=(20, 36), device=CPU, batch_size=9)
    assert shape.map_size == (18, 34)


def test_weights_of_a_program(made, tmp_path):
    net, folder = made
    path = str(folder / "batches.pt2")
    model = load_model(path, **GIVEN)
    assert model.digest == load_model(str(folder / "fixed.pt2"), **GIVEN).digest
    other = {key: value * 2 for key, value in net.state_dict().items()}
    torch.save(other, tmp_path / "other.pth")
    changed = load_model(path, weights=str(tmp_path / "other.pth"), **GIVEN)
    assert changed.digest != model.digest
    assert torch.equal(changed.module.state_dict()["head.bias"], other["head.bias"])
    with pytest.raises(UsageError, match="--mean R,G,B"):
        load_model(path)
    with pytest.raises(UsageError, match="--weights none: the program holds its own"):
        load_model(path, weights="none", **GIVEN)
    with pytest.raises(UsageError, match="--num-classes cannot"):
        load_model(path, num_classes=3, **GIVEN)


def test_programs_that_are_none(made, tmp_path):
    _, folder = made
    data = (folder / "fixed.pt2").read_bytes()
    path = tmp_path / "a.pt2"
    with pytest.raises(ModelError, match="no such file"):
        load_model(str(path), **GIVEN)
    for broken in (b"", b"hello", data[:3000], data[: len(data) // 2]):
        path.write_bytes(broken)
        with pytest.raises(ModelError, match="no program"):
            load_model(str(path), **GIVEN)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", b"x")
    with pytest.raises(ModelError, match=r"no program of torch\.export"):
        load_model(str(path), **GIVEN)
    (tmp_path / "b.pt").write_bytes(data)
    assert form_of(tmp_path / "b.pt") == "program"
    with pytest.raises(UsageError, match=r"Rename it to b\.pt2"):
        load_model(str(tmp_path / "b.pt"), **GIVEN)


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


@pytest.mark.parametrize(
    ("net", "inputs", "message"),
    [
        (nn.Sequential(nn.Dropout(0.5)).train(), (torch.zeros(2, 3, 4, 4),), "training mode"),
        (nn.Sequential(nn.BatchNorm2d(3)).train(), (torch.zeros(2, 3, 4, 4),), "training mode"),
        (Two(), (torch.zeros(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)), "takes 2 inputs"),
        (nn.Sequential(nn.ReLU()), (torch.zeros(2, 1, 4, 4),), r"takes float32 \(2, 1, 4, 4\)"),
        (nn.Sequential(nn.ReLU()), (torch.zeros(2, 3, 4, 4).half(),), "takes float16"),
    ],
)
def test_programs_that_cannot_be_dissected(tmp_path, net, inputs, message):
    torch.export.save(torch.export.export(net, inputs), tmp_path / "a.pt2")
    with pytest.raises(UsageError, match=message):
        load_model(str(tmp_path / "a.pt2"), **GIVEN)


MARK = []


def mark(word):
    MARK.append(word)
    return {}


class Payload:
    """A pickle that calls a function of ours when it is loaded."""

    def __reduce__(self):
        return (mark, ("ran",))


def altered(source, *, add=(), change=None):
    """The bytes of a program with members added, and one member's JSON changed."""
    stream = io.BytesIO()
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(stream, "w") as new:
        replaced = dict(add)
        for name in old.namelist():
            data = replaced.pop(name, old.read(name))
            if change is not None and name.endswith(change[0]):
                document = json.loads(data)
                change[1](document)
                data = json.dumps(document).encode()
            new.writestr(name, data)
        for name, data in replaced.items():
            new.writestr(name, data)
    return stream.getvalue()


def saved(value):
    stream = io.BytesIO()
    torch.save(value, stream)
    return stream.getvalue()


def set_pickle(document):
    next(iter(document["config"].values()))["use_pickle"] = True


def set_target(document):
    document["graph_module"]["graph"]["nodes"][0]["target"] = "torch.os.system"


def set_symbol(document):
    document["range_constraints"] = {"__import__('os')": {"min_val": 1, "max_val": 2}}


def set_expression(document):
    document["graph_module"]["extra"] = [{"as_expr": {"expr_str": "exec(chr(112))"}}]


@pytest.mark.parametrize(
    ("add", "change", "message"),
    [
        ({"fixed/data/sample_inputs/model.pt": saved(Payload())}, None, "more than hold tensors"),
        ({"fixed/data/weights/model.pt": saved(Payload())}, None, "more than hold tensors"),
        ({"fixed/data/constants/custom_obj_0": b"x"}, None, "nothing that a program of tensors"),
        ({"fixed/data/constants/opaque_obj_0": b"x"}, None, "nothing that a program of tensors"),
        ({"fixed/data/aotinductor/m/a.so": b"x"}, None, "is machine code"),
        ({"fixed/DATA/sample_inputs/MODEL.pt": b"x"}, None, "two of its members have one name"),
        ({}, ("weights_config.json", set_pickle), "a tensor is pickled"),
        ({}, ("model.json", set_target), r"calls torch\.os\.system"),
        ({}, ("model.json", set_symbol), "has the expression"),
        ({}, ("model.json", set_expression), "has the expression 'exec"),
    ],
)
def test_code_in_a_program_is_refused(made, tmp_path, add, change, message):
    _, folder = made
    data = altered(folder / "fixed.pt2", add=add, change=change)
    path = tmp_path / "evil.pt2"
    path.write_bytes(data)
    MARK.clear()
    with pytest.raises(UnsafeError, match=rf"{message}.*--allow-pickle") as caught:
        load_model(str(path), **GIVEN)
    assert caught.value.exit_code == 3
    assert MARK == []
    check_program(data, path, allow_pickle=True)


@pytest.mark.filterwarnings("ignore")
def test_code_in_a_program_runs_where_it_is_allowed(made, tmp_path):
    """The attack is real: torch itself unpickles the sample inputs."""
    _, folder = made
    add = {"fixed/data/sample_inputs/model.pt": saved(Payload())}
    (tmp_path / "evil.pt2").write_bytes(altered(folder / "fixed.pt2", add=add))
    MARK.clear()
    with contextlib.suppress(ModelError):
        load_model(str(tmp_path / "evil.pt2"), allow_pickle=True, **GIVEN)
    assert MARK == ["ran"]
