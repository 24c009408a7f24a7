"""A training on photographs, dissected in one command: its detectors grow."""

from __future__ import annotations

import json

import pytest
import torch
from msrc_set import write_msrc
from typer.testing import CliRunner

from dissect.cli import app

pytestmark = [pytest.mark.real, pytest.mark.slow]
EPOCHS = ("001", "100")


@pytest.fixture(scope="module")
def sweep(shared, tmp_path_factory):
    """The first and the last snapshot of a training, by `dissect run --weights A,B,...`."""
    source = shared / "real" / "msrc"
    snapshots = [source / "snapshots" / f"squeezenet1_1_epoch{epoch}.pth" for epoch in EPOCHS]
    if not all(path.is_file() for path in snapshots):
        pytest.skip("there are no msrc snapshots in ../shared")
    root = tmp_path_factory.mktemp("sweep")
    threads = torch.get_num_threads()
    command = ["run", str(write_msrc(source, root / "msrc", most=30)), "--quiet"]
    command += ["--model", "squeezenet1_1", "--num-classes", "23", "--layers", "features.6"]
    command += ["--weights", ",".join(map(str, snapshots)), "--out", str(root / "SWEEP")]
    command += ["--threads", "2", "--device", "cpu", "--top-images", "1"]
    result = CliRunner().invoke(app, command)
    torch.set_num_threads(threads)
    assert result.exit_code == 0, result.output
    return root / "SWEEP"


def test_detectors_grow(sweep):
    result = CliRunner().invoke(app, ["compare", str(sweep), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [run["label"] for run in document["runs"]] == [
        f"squeezenet1_1_epoch{epoch}" for epoch in EPOCHS
    ]
    assert document["differences"] == []
    (layer,) = document["layers"]
    first, *_, last = layer["columns"]
    assert last["detectors"] > 3 * first["detectors"]
    assert last["detectors_low"] > first["expected_detectors"]
    assert last["unique_concepts"] > 2 * first["unique_concepts"]
    assert last["iou_mean"] > first["iou_mean"]
    step = layer["steps"][-1]  # snapshots of one training: numbers of units mean something
    assert step["kept"] > 2 * step["kept_by_chance"]
