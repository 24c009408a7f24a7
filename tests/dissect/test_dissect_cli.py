"""The command `dissect`: exit codes, results on stdout, notes on stderr."""

from __future__ import annotations

import json
import textwrap

import pytest
import torch
from typer.testing import CliRunner

from conceptset.errors import UsageError
from conceptset.present.values import parse_size
from dissect.cli import app
from dissect.cli.values import parse_colour, parse_memory, split_list

MODEL = """
    import torch
    from torch import nn

    class Net(nn.Sequential):
        def __init__(self):
            super().__init__(
                nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3)
            )
"""


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(textwrap.dedent(MODEL))
    return f"{path}:Net"


@pytest.fixture
def call(small_set, spec, tmp_path):
    def start(*extra, layers="2,0", out="run", model=None):
        options = ["--model", model or spec, "--layers", layers, "--out", str(tmp_path / out)]
        preprocessing = ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2"]
        quick = ["--threads", "1", "--quantile", "0.05", "--top-images", "2", "--device", "cpu"]
        command = ["run", str(small_set), *options, *preprocessing, *quick, *extra]
        return CliRunner().invoke(app, command)

    return start


def test_run_report_and_again(call, tmp_path):
    first = call("--quiet")
    assert first.exit_code == 0, first.output
    assert "unique concepts" in first.stdout
    assert (tmp_path / "run" / "report" / "index.html").is_file()
    again = call("--json")
    assert again.exit_code == 0
    document = json.loads(again.stdout)
    assert document["unchanged"] is True
    assert [layer["name"] for layer in document["layers"]] == ["2", "0"]
    page = tmp_path / "run" / "report" / "index.html"
    page.unlink()
    anew = CliRunner().invoke(app, ["report", str(tmp_path / "run"), "--json", "--jobs", "1"])
    assert anew.exit_code == 0, anew.output
    assert json.loads(anew.stdout) == {"report": str(page)}
    assert page.is_file()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--quantile", "1.5"], "--quantile is '1.5', a decimal"),
        (["--union", "paper"], "--union is 'paper': it should be"),
        (["--image-size", "big"], "--image-size is 'big'"),
        (["--mean", "1,2"], "--mean is '1,2'"),
        (["--max-memory", "4 apples"], "--max-memory is '4 apples'"),
        (["--device", "quantum"], "cannot be used"),
        (["--categories", "colour"], "no category colour"),
        (["--thresholds", "nowhere"], "holds no thresholds for the layer 2"),
        (["--weights-match", "colour"], "--weights-match is 'colour'"),
        (["--index", "other.csv"], "there is no such index"),
        (["--limit", "0"], "--limit is 0: it should be"),
        (["--threads", "0"], "--threads is 0: it should be"),
        (["--workers", "0"], "--workers is 0, at least 1 was expected"),
    ],
)
def test_wrong_use_is_exit_2_and_one_line(call, extra, message, tmp_path):
    result = call(*extra)
    assert result.exit_code == 2, result.output
    assert message in result.stderr
    assert result.stdout == ""
    assert not (tmp_path / "run").exists()


def test_an_unknown_layer(call):
    result = call(layers="3")
    assert result.exit_code == 2
    assert "the model has no such layer" in result.stderr


def test_another_run_in_the_way(call):
    assert call().exit_code == 0
    result = call("--union", "lite")
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    assert call("--union", "lite", "--overwrite").exit_code == 0


def test_a_run_is_not_renamed_in_passing(call):
    assert call("--name", "first").exit_code == 0
    assert call().exit_code == 0
    result = call("--name", "second")
    assert result.exit_code == 2
    assert "this very run under the name 'first'" in result.stderr


def test_several_weights_are_several_runs(call, tmp_path):
    for name, value in (("one", 0.1), ("two", 0.2)):
        state = {"0.weight": torch.full((4, 3, 3, 3), value), "0.bias": torch.zeros(4)}
        state |= {"2.weight": torch.full((5, 4, 3, 3), value), "2.bias": torch.zeros(5)}
        torch.save(state, tmp_path / f"{name}.pth")
    result = call("--json", "--weights", f"{tmp_path / 'one.pth'},{tmp_path / 'two.pth'}")
    assert result.exit_code == 0, result.output
    runs = [document["run"] for document in json.loads(result.stdout)]
    assert runs == [str(tmp_path / "run" / name) for name in ("one", "two")]


def merge(tmp_path, *extra):
    return CliRunner().invoke(app, ["merge", str(tmp_path / "run"), "--workers", "1", *extra])


def test_shards_and_merge(call, tmp_path, files_of):
    first = call("--shard", "2/2", "--batch-size", "4")
    assert first.exit_code == 0, first.output
    assert f"shard 2/2 is scanned; when all are: dissect merge {tmp_path / 'run'}" in first.stdout
    early = merge(tmp_path)
    assert early.exit_code == 4
    assert "1 of 2 shards are missing: 1/2" in early.stderr
    assert "--shard 1/2" in early.stderr
    assert call("--shard", "1/2", "--batch-size", "4", "--quiet").stdout == ""
    done = merge(tmp_path)
    assert done.exit_code == 0, done.output
    assert "time: " in done.stdout
    assert call("--batch-size", "4", "--quiet", out="whole").exit_code == 0
    assert files_of(tmp_path / "run") == files_of(tmp_path / "whole")
    again = merge(tmp_path)
    assert again.exit_code == 0
    assert "is complete and equal to what was asked for; nothing was done" in again.stdout
    late = call("--shard", "1/2", "--batch-size", "4")
    assert late.exit_code == 0
    assert "is complete already; nothing was done" in late.stdout
    assert json.loads(merge(tmp_path, "--json").stdout)["unchanged"] is True


def test_options_that_shards_refuse(call, tmp_path):
    for extra, message in (
        (["--shard", "1/2", "--overwrite"], "--overwrite with --shard would remove"),
        (["--shard", "3/2"], "--shard is '3/2'; K/N with K from 1 to N was expected"),
        (["--passes", "3"], "--passes is 3, 1 or 2 was expected"),
    ):
        result = call(*extra)
        assert result.exit_code == 2, result.output
        assert message in result.stderr
    assert not (tmp_path / "run").exists()
    result = merge(tmp_path)
    assert result.exit_code == 3
    assert "is no run with shards" in result.stderr


def test_bf16_is_told(call, tmp_path):
    result = call("--precision", "bf16")
    assert result.exit_code == 0
    assert "activations were computed in bf16" in result.stdout
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert config["precision"] == "bf16"
    assert "bf16" in (tmp_path / "run" / "report" / "index.html").read_text()


def test_options_from_a_file(call, tmp_path):
    (tmp_path / "run.toml").write_text('union = "lite"\n[run]\ntop-images = 1\n')
    result = call("--config", str(tmp_path / "run.toml"))
    assert result.exit_code == 0, result.output
    config = json.loads((tmp_path / "run" / "run.json").read_text())["config"]
    assert (config["union"], config["top_images"]) == ("lite", 2)  # the command line wins


def test_layers(spec):
    result = CliRunner().invoke(app, ["layers", spec, "--image-size", "32", "--json"])
    assert result.exit_code == 0, result.output
    assert [info["name"] for info in json.loads(result.stdout)] == ["0", "1", "2"]
    table = CliRunner().invoke(app, ["layers", spec, "--image-size", "32"])
    assert table.exit_code == 0
    assert "4x16x16" in table.stdout


def test_values():
    assert split_list("a,,b", "--x") == ("a", "b")
    assert parse_memory("512M", "--x") == 512 << 20
    assert parse_memory(None, "--x") is None
    assert parse_memory("2GiB", "--x") == 2 << 30
    assert parse_colour(None, "--x") is None
    assert parse_size("10x20", "--x") == (10, 20)
    for wrong in ("0", "3x0", "-1", "2x", ""):
        with pytest.raises(UsageError):
            parse_size(wrong, "--x")
    for wrong in ("1,2,nan", "a,b,c", "1,2,3,4"):
        with pytest.raises(UsageError):
            parse_colour(wrong, "--x")
    with pytest.raises(UsageError):
        split_list(" , ", "--x")
