"""`dissect layers` on networks of other kinds, as it is typed."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from dissect.cli import app

CODE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, num_classes=3):
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 4, 4)
        self.relu = nn.ReLU(inplace=True)
        self.linear = nn.Linear(6, 5)
        self.start = nn.Parameter(torch.zeros(1, 2, 5))
        self.mix = nn.Linear(5, num_classes)
        self.both = Both()
        self.unused = nn.ReLU()

    def forward(self, x):
        x = self.linear(self.relu(self.relu(self.conv(x))).permute(0, 2, 3, 1)).flatten(1, 2)
        x = self.mix(torch.cat([self.start.expand(len(x), 2, 5), x], dim=1))
        return self.both(x)

class Both(nn.Module):
    def forward(self, x):
        return {"first": x[:, 0], "all": x}
"""

ROWS = [  # layer, type, units x h x w, output, remark
    ("conv", "Conv2d", "6x4x8", "maps", "changed in place by relu"),
    ("relu", "ReLU", "", "", "it runs 2 times in one pass: relu@1, relu@2"),
    ("relu@1", "ReLU", "6x4x8", "maps", ""),
    ("relu@2", "ReLU", "6x4x8", "maps", ""),
    ("linear", "Linear", "5x4x8", "maps, units last", ""),
    ("mix", "Linear", "3x4x8", "tokens 4x8 without 2 before", ""),
    ("both", "Both", "", "", "its output is a dict of tensors at [first], [all]"),
    ("both[first]", "Both", "3x1x1", "vector", ""),
    ("both[all]", "Both", "3x4x8", "tokens 4x8 without 2 before", ""),
    ("unused", "ReLU", "", "", "it did not run"),
]


@pytest.fixture
def spec(tmp_path):
    (tmp_path / "net.py").write_text(CODE)
    return f"{tmp_path / 'net.py'}:Net"


def look(*arguments, code=0):
    result = CliRunner().invoke(app, ["layers", *map(str, arguments)], env={"COLUMNS": "200"})
    assert result.exit_code == code, result.output
    return result


def test_every_kind_has_its_line(spec):
    said = " ".join(look(spec, "--image-size", "16x32").stdout.split())  # long remarks are broken
    for row in ROWS:
        assert " ".join(" ".join(row).split()) in said
    assert "7 of 10 can be dissected" in said
    found = json.loads(look(spec, "--image-size", "16x32", "--json").stdout)
    assert [info["name"] for info in found] == [row[0] for row in ROWS]
    mix = next(info for info in found if info["name"] == "mix")
    assert (mix["kind"], mix["shape"], mix["first_token"]) == ("tokens", [3, 4, 8], 2)


def test_programs_need_no_weights(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    path = tmp_path / "a.pt2"
    torch.export.save(torch.export.export(net, (torch.zeros(2, 3, 16, 16),)), path)
    assert "4x14x14" in look(path, "--image-size", 16).stdout
    assert "Give --image-size 16" in look(path, code=2).stderr
    said = look(path, "--image-size", 16, "--allow-pickle").stderr
    assert "may hold code, which runs with your rights" in said
