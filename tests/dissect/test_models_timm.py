"""Models of timm by name, without a network: what would be fetched is put in its place."""

from __future__ import annotations

import sys
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file

from conceptset.errors import UsageError
from dissect.errors import ModelError
from dissect.models import load_model

timm = pytest.importorskip("timm", reason="timm is not installed")
hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")


@pytest.fixture
def published(tmp_path, monkeypatch):
    """The published weights of test_vit, as if they had been downloaded before."""
    torch.manual_seed(7)
    path = tmp_path / "model.safetensors"
    save_file(timm.create_model("test_vit", pretrained=False).state_dict(), path)

    def give(*_args, **_options):
        return str(path)

    monkeypatch.setattr(hub, "try_to_load_from_cache", give)
    monkeypatch.setattr("timm.models._hub.hf_hub_download", give)
    return path


def test_random_weights_do_not_disturb_the_generator():
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model = load_model("timm:test_vit", weights="none", num_classes=4)
    assert torch.equal(torch.get_rng_state(), before)
    assert model.digest == load_model("timm:test_vit", weights="none", num_classes=4).digest
    assert (model.name, model.source) == ("test_vit", "timm")
    assert model.weights == "none (random, seed 0)"
    assert (model.mean, model.std, model.assumed) == ((0.5,) * 3, (0.5,) * 3, True)
    assert model.module.num_prefix_tokens == 1
    assert not model.module.training


def test_published_weights(published):
    model = load_model("timm:test_vit")
    assert model.weights == "DEFAULT (r160_in1k)"
    tag = load_model("timm:test_vit.r160_in1k", num_classes=1000)
    named = load_model("timm:test_vit", weights="r160_in1k")
    whole = load_model("timm:test_vit", weights="test_vit.r160_in1k")
    assert named.weights == whole.weights == "r160_in1k"
    file = load_model("timm:test_vit", weights=str(published))
    assert file.weights == "model.safetensors"
    assert len({model.digest, tag.digest, named.digest, whole.digest, file.digest}) == 1
    with pytest.raises(UsageError, match="1000 classes, --num-classes asks for 3"):
        load_model("timm:test_vit", num_classes=3)


def test_weights_that_cannot_be_had(monkeypatch, capsys):
    def fail(_request, timeout):
        assert timeout <= 10
        raise URLError("no route to the hub")

    monkeypatch.setattr(hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr("dissect.models.timm_zoo.urlopen", fail)
    wanted = r"test_vit\.r160_in1k cannot be had.*no route.*r160_in1k, none \(random\), or a check"
    with pytest.raises(ModelError, match=wanted) as caught:
        load_model("timm:test_vit")
    assert caught.value.exit_code == 3
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("spec", "weights", "message"),
    [
        ("timm:test_vitt", "none", r"has no model 'test_vitt'\. Near: .*test_vit"),
        ("timm:", "none", "has no model ''"),
        ("timm:qqqqqqqq", "none", r"timm\.list_models"),
        ("timm:test_vit.nine", None, r"no weights 'nine'.*r160_in1k, none"),
        ("timm:test_vit", "nine", r"no weights 'nine'"),
    ],
)
def test_names_that_are_none(spec, weights, message):
    with pytest.raises(UsageError, match=message):
        load_model(spec, weights=weights)


def test_architectures_without_weights():
    names = [name for name in ("vit_base_patch16_18x2_224", "resnet10t") if timm.is_model(name)]
    bare = [name for name in names if not timm.is_model_pretrained(name)]
    if not bare:
        pytest.skip("this timm publishes weights for all of them")
    with pytest.raises(UsageError, match="publishes no weights"):
        load_model(f"timm:{bare[0]}")


def test_timm_is_not_there(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UsageError, match=r"pip install 'conceptset\[timm\]'"):
        load_model("timm:test_vit", weights="none")


def test_timm_is_old(monkeypatch):
    monkeypatch.setattr(timm, "__version__", "1.0.9")
    with pytest.raises(UsageError, match=r"timm 1\.0\.9 is too old.*1\.0\.26"):
        load_model("timm:test_vit", weights="none")
