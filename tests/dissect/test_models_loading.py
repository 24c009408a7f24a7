"""MODEL and its options."""

from __future__ import annotations

import sys
from urllib.error import URLError

import pytest
import torch
from torchvision.models import ResNet18_Weights, resnet18

from conceptset.errors import SourceError, UsageError
from dissect.errors import ModelError
from dissect.models import load_model, sources
from dissect.models.sources import read_weights

MINE = ((0.5, 0.5, 0.5), (0.2, 0.2, 0.2))

CODE = """
import torch
from torch import nn
from beside import WIDTH

class Net(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.conv = nn.Conv2d(3, WIDTH, 1)
        self.head = nn.Linear(WIDTH, num_classes)

def fixed():
    return nn.Conv2d(3, 2, 1)

def broken():
    raise RuntimeError("no such luck")

number = 3
def text():
    return "a"
"""


@pytest.fixture
def code(tmp_path):
    (tmp_path / "beside.py").write_text("WIDTH = 4\n")
    path = tmp_path / "net.py"
    path.write_text(CODE)
    yield path
    sys.modules.pop("beside", None)


@pytest.fixture
def published(tmp_path):
    """The published weights of resnet18, as if they had been downloaded before."""
    state = resnet18(weights=None).state_dict()
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(state, folder / "resnet18-f37072fd.pth")
    before = torch.hub.get_dir()
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield folder / "resnet18-f37072fd.pth"
    torch.hub.set_dir(before)


def test_random_weights_do_not_disturb_the_generator():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model = load_model("squeezenet1_1", weights="none", num_classes=4)
    assert torch.equal(torch.get_rng_state(), before)
    again = load_model("torchvision:squeezenet1_1", weights="none", num_classes=4)
    assert model.digest == again.digest
    assert (model.name, model.source) == ("squeezenet1_1", "torchvision")
    assert model.weights == "none (random, seed 0)"
    assert model.mean == (0.485, 0.456, 0.406)
    assert model.assumed
    assert "Preprocessing assumed" in model.notes[0]
    assert not model.module.training
    assert not any(value.requires_grad for value in model.module.parameters())


def test_given_preprocessing():
    model = load_model("squeezenet1_1", weights="none", mean=MINE[0], std=MINE[1])
    assert (model.mean, model.std, model.assumed, model.notes) == (*MINE, False, ())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mean": MINE[0]}, "--mean is given without --std"),
        ({"std": MINE[1]}, "--std is given without --mean"),
        ({"mean": (0.5,), "std": (0.5,)}, "3 .R,G,B. were expected"),
        ({"mean": MINE[0], "std": (0.0, 1.0, 1.0)}, "not above 0"),
        ({"num_classes": 0}, "at least 1"),
        ({"weights_match": "order"}, "needs a checkpoint"),
    ],
)
def test_options_that_contradict(options, text):
    with pytest.raises(UsageError, match=text):
        load_model("squeezenet1_1", weights="none", **options)


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("resnet19", "Near: resnet1"),
        ("torchvision:resnet19", "Near: resnet1"),
        ("zzzzzz", "In-house models"),
        ("r3d_18", "takes videos"),
        ("", "has no model"),
        ("a/b", "names no model"),
        ("model.pth", "with --weights"),
        ("model.onnx", r"ONNX.*FILE\.pt2"),
    ],
)
def test_models_that_are_none(spec, text):
    with pytest.raises(UsageError, match=text) as caught:
        load_model(spec, weights="none")
    assert caught.value.exit_code == 2


def test_default_weights(published):
    model = load_model("resnet18")
    assert model.weights == "DEFAULT (IMAGENET1K_V1)"
    named = load_model("resnet18", weights="ResNet18_Weights.IMAGENET1K_V1", num_classes=1000)
    bare = load_model("resnet18", weights="IMAGENET1K_V1")
    assert named.weights == bare.weights == "IMAGENET1K_V1"
    file = load_model("resnet18", weights=str(published))
    assert model.digest == named.digest == bare.digest == file.digest
    with pytest.raises(UsageError, match="1000 classes, --num-classes asks for 3"):
        load_model("resnet18", num_classes=3)


def test_download(published, monkeypatch):
    data = published.read_bytes()
    published.unlink()

    def copy(url, target, prefix, progress):
        assert url == ResNet18_Weights.IMAGENET1K_V1.url
        assert prefix == "f37072fd"
        assert not progress
        published.write_bytes(data)

    monkeypatch.setattr(torch.hub, "download_url_to_file", copy)
    assert load_model("resnet18").weights.startswith("DEFAULT")


def test_no_network(published, monkeypatch, capsys):
    published.unlink()

    def fail(*_args, **_options):
        raise URLError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(ModelError, match=r"no route.*IMAGENET1K_V1, none .*checkpoint") as caught:
        load_model("resnet18")
    assert caught.value.exit_code == 3
    assert capsys.readouterr().out == ""


def test_broken_download(published):
    published.write_bytes(published.read_bytes()[:1000])
    with pytest.raises(ModelError, match="Delete the file"):
        load_model("resnet18")


def test_unknown_weights():
    with pytest.raises(UsageError, match=r"has no weights 'IMAGENET21K'.*IMAGENET1K_V1, none"):
        load_model("resnet18", weights="IMAGENET21K")
    with pytest.raises(UsageError, match=r"has no weights 'ResNet50_Weights\.IMAGENET1K_V1'"):
        load_model("resnet18", weights="ResNet50_Weights.IMAGENET1K_V1")


@pytest.mark.parametrize("name", ["googlenet", "fcn_resnet50"])
def test_optional_parts_follow_the_checkpoint(tmp_path, name):
    whole = load_model(name, weights="none", num_classes=2)
    state = whole.module.state_dict()
    less = {key: value for key, value in state.items() if not key.startswith("aux")}
    path = tmp_path / "less.pth"
    torch.save(less, path)
    loaded = load_model(name, weights=str(path), num_classes=2)
    assert set(loaded.module.state_dict()) == set(less)
    assert loaded.weights == "less.pth"


def test_in_house_file(code):
    spec = f"{code}:Net"
    with pytest.raises(UsageError, match="--mean R,G,B"):
        load_model(spec)
    paths = list(sys.path)
    model = load_model(spec, mean=MINE[0], std=MINE[1], num_classes=7)
    assert sys.path == paths
    assert model.module.head.out_features == 7
    assert (model.name, model.source, model.assumed) == ("net.py:Net", "in-house", False)
    assert model.weights == "as built by the code (seed 0)"
    assert "no weights were loaded" in model.notes[0]
    again = load_model(spec, mean=MINE[0], std=MINE[1], num_classes=7, weights="none")
    assert again.digest == model.digest
    assert again.weights == "none (random, seed 0)"


def test_in_house_checkpoint(code, tmp_path):
    spec = f"{code}:fixed"
    state = {"weight": torch.ones(2, 3, 1, 1), "bias": torch.zeros(2)}
    torch.save({"net": state}, tmp_path / "w.pth")
    model = load_model(spec, weights=str(tmp_path / "w.pth"), mean=MINE[0], std=MINE[1])
    assert model.weights == "w.pth"
    assert model.notes == ()
    assert torch.equal(model.module.weight, state["weight"])


def test_in_house_module(code, monkeypatch):
    monkeypatch.chdir(code.parent)
    model = load_model("net:fixed", mean=MINE[0], std=MINE[1])
    assert model.name == "net:fixed"
    sys.modules.pop("net")


@pytest.mark.parametrize(
    ("name", "options", "error", "text"),
    [
        ("Nett", {}, UsageError, "has no 'Nett'. It has .*Net"),
        ("number", {}, UsageError, "cannot be called"),
        ("broken", {}, SourceError, "raised RuntimeError: no such luck"),
        ("text", {}, UsageError, r"gave a str; a torch\.nn\.Module was expected"),
        ("fixed", {"num_classes": 3}, UsageError, "cannot be called with num_classes"),
        ("fixed", {"weights": "DEFAULT"}, UsageError, "no published weights"),
    ],
)
def test_in_house_faults(code, name, options, error, text):
    with pytest.raises(error, match=text):
        load_model(f"{code}:{name}", mean=MINE[0], std=MINE[1], **options)


STATING = """
import torch
from torch import nn

def net():
    return nn.Conv2d(3, 2, 1)

def stated():
    return net(), {"mean": (0.1, 0.2, 0.3), "std": [1, 2, 3]}

def half_stated():
    return net(), {"mean": (0.1, 0.2, 0.3)}

def gray():
    return net(), {"mean": (0.1,), "std": (1,)}

def more():
    return net(), {"mean": (0.1, 0.2, 0.3), "std": (1, 2, 3), "size": 32}

def pair():
    return net(), net()

def traced():
    return torch.jit.trace(net(), torch.zeros(1, 3, 4, 4))

def compiled():
    return torch.compile(net())

def parallel():
    return nn.DataParallel(net())
"""


@pytest.fixture
def stating(tmp_path):
    path = tmp_path / "stating.py"
    path.write_text(STATING)
    return path


def test_code_that_states_its_preprocessing(stating):
    model = load_model(f"{stating}:stated")
    assert (model.mean, model.std, model.assumed) == ((0.1, 0.2, 0.3), (1.0, 2.0, 3.0), False)
    assert "assumed" not in " ".join(model.notes)
    given = load_model(f"{stating}:stated", mean=MINE[0], std=MINE[1], weights="none")
    assert (given.mean, given.std) == MINE
    assert load_model(f"{stating}:stated", weights="none").mean == (0.1, 0.2, 0.3)
    with pytest.raises(UsageError, match=r"--mean R,G,B.* return \(module, \{\"mean\""):
        load_model(f"{stating}:net")
    for name in ("half_stated", "gray", "more"):
        with pytest.raises(UsageError, match="states its preprocessing as"):
            load_model(f"{stating}:{name}")
    with pytest.raises(UsageError, match="gave a tuple"):
        load_model(f"{stating}:pair")


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_code_that_gives_torchscript(stating):
    with pytest.raises(UsageError, match=r"gave a TorchScript program.*hooks.*before torch\.jit"):
        load_model(f"{stating}:traced", mean=MINE[0], std=MINE[1])


@pytest.mark.parametrize("name", ["compiled", "parallel"])
def test_wrappers_are_taken_off(stating, name):
    model = load_model(f"{stating}:{name}", mean=MINE[0], std=MINE[1])
    assert type(model.module) is torch.nn.Conv2d


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning")
def test_a_file_of_torchscript(tmp_path):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 2, 1))
    torch.jit.save(torch.jit.trace(net, torch.zeros(1, 3, 4, 4)), str(tmp_path / "a.pt"))
    with pytest.raises(UsageError, match=r"a\.pt: is a TorchScript .*hooks.*state_dict.*\.pt2"):
        load_model(str(tmp_path / "a.pt"))


def test_in_house_absent(tmp_path):
    with pytest.raises(SourceError, match="there is no such file"):
        load_model(f"{tmp_path}/none.py:Net")
    with pytest.raises(UsageError, match="there is no module 'no_such_package'"):
        load_model("no_such_package.models:Net")
    bad = tmp_path / "bad.py"
    bad.write_text("1 / 0\n")
    with pytest.raises(SourceError, match="ZeroDivisionError"):
        load_model(f"{bad}:Net")


def test_read_weights(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "best").write_bytes(b"")
    assert read_weights("best").file is not None
    assert read_weights("NONE").random
    assert read_weights("a/best").file is not None
    assert read_weights("x.pth.tar").file is not None
    assert read_weights("ResNet18_Weights.IMAGENET1K_V1").name is not None


def test_a_second_source_of_a_name_is_refused():
    with pytest.raises(ValueError, match="registered already"):
        sources.register(next(iter(sources._SOURCES.values())))


@pytest.mark.real
def test_real_weights(shared):
    folder = shared / "real" / "msrc"
    final = folder / "model_squeezenet1_1.pth"
    model = load_model("squeezenet1_1", weights=str(final), num_classes=23)
    half = load_model(
        "squeezenet1_1",
        weights=str(folder / "snapshots" / "squeezenet1_1_epoch100.pth"),
        num_classes=23,
    )
    assert next(half.module.parameters()).dtype == torch.float32
    assert "float16" in half.notes[0]
    assert half.digest != model.digest
    ordered = load_model("squeezenet1_1", weights=str(final), num_classes=23, weights_match="order")
    assert ordered.digest == model.digest
    with pytest.raises(UsageError, match="--num-classes 23"):
        load_model("squeezenet1_1", weights=str(final))
