"""A small network in a file, as other processes load it, and its runs: whole, in shards, merged."""

from __future__ import annotations

import os
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from conceptset.layout.reading import open_concept_set
from dissect.api import run_dissection, scan_one_shard
from dissect.job import ModelSpec
from dissect.merging import merge_run
from dissect.models import load_model
from dissect.shards import parse_shard
from dissect.state import RunConfig

WIDE, STEM, SECOND, TOKENS, HEAD = "wide", "stem", "second", "tokens", "head"

NETWORK = """
    import torch
    from torch import nn


    class Network(nn.Module):
        \"\"\"Maps of 32, 16 and 8 cells for photographs of 32 pixels; tokens; a vector.\"\"\"

        def __init__(self):
            super().__init__()
            self.wide = nn.Conv2d(3, 5, 3, padding=1)
            self.stem = nn.Sequential(
                nn.Conv2d(5, 6, 3, stride=2, padding=1), nn.ReLU(inplace=True)
            )
            self.second = nn.Conv2d(6, 9, 3, stride=2, padding=1)
            self.tokens = nn.Linear(9, 7)
            self.head = nn.Linear(7, 4)

        def forward(self, x):
            x = torch.relu_(self.wide(x))
            x = torch.relu_(self.second(self.stem(x)))
            cells = x.flatten(2).transpose(1, 2)
            cells = self.tokens(torch.cat([cells.mean(1, keepdim=True), cells], 1))
            return self.head(cells[:, 0])


    def build():
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return Network()
"""


def write_network(folder: Path, text: str = NETWORK, name: str = "network.py") -> str:
    """The network's file, and what `--model` is for it."""
    file = folder / name
    file.write_text(textwrap.dedent(text))
    return f"{file}:build"


def run_options(spec: str, layers, out: Path, *more: str) -> list[str]:
    """What follows `dissect run SET`, small and quick."""
    given = ["--model", spec, "--layers", ",".join(layers), "--out", str(out)]
    given += ["--mean", "0.5,0.5,0.5", "--std", "0.2,0.2,0.2", "--device", "cpu", "--threads", "1"]
    given += ["--batch-size", "2", "--quantile", "0.05", "--top-images", "2", "--quiet"]
    return [*given, *more]


@dataclass
class Sharded:
    """Runs of one network on one set with the same options, in any number of pieces."""

    concept_set: Path
    spec: str
    layers: tuple[str, ...]
    thresholds: Any = None
    options: dict[str, Any] = field(default_factory=dict)
    hooks: dict[str, Any] = field(default_factory=dict)  # forward hooks by layer

    def _arguments(self, changes: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        options = {"layers": self.layers, "quantile": "0.05", "batch_size": 2, "top_images": 2}
        options |= {"threads": 1} | self.options
        options |= {key: changes.pop(key) for key in list(changes) if key in RunConfig.model_fields}
        spec = changes.pop("spec", None) or ModelSpec(
            spec=self.spec,
            weights=changes.pop("weights", None),
            mean=(0.5, 0.5, 0.5),
            std=(0.2, 0.2, 0.2),
        )
        model = load_model(**spec.model_dump())
        for layer, hook in self.hooks.items():
            model.module.get_submodule(layer).register_forward_hook(hook)
        opened = open_concept_set(changes.pop("concept_set", self.concept_set))
        rest = {"device": torch.device("cpu"), "spec": spec, "thresholds": self.thresholds}
        return (model, opened, RunConfig(**options)), rest | changes

    def whole(self, out: Path, **changes: Any):
        """The run in one process."""
        given, rest = self._arguments(changes)
        return run_dissection(*given, out, **rest)

    def shard(self, out: Path, which: str, **changes: Any) -> None:
        """One shard, "K/N"."""
        given, rest = self._arguments(changes)
        scan_one_shard(*given, out, parse_shard(which), **rest)

    def merged(self, out: Path, of: int, *, order=None, **changes: Any):
        """All shards, in an order, put together."""
        for number in order or range(1, of + 1):
            self.shard(out, f"{number}/{of}", **changes)
        kept = {key: changes[key] for key in ("workers", "max_memory") if key in changes}
        return merge_run(out, **kept)


def environment() -> dict[str, str]:
    """For a process of its own: one thread, nothing of the coverage of this one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return kept | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
