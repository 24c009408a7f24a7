"""A small run whose workers can be watched, held up and killed."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.layout.reading import open_concept_set
from dissect.api import Distributed, run_dissection
from dissect.job import ModelSpec
from dissect.models import load_model
from dissect.state import RunConfig

IMAGES = 20
LAYERS = ("wide", "narrow")  # maps larger than label maps, so that the network runs twice; smaller

# A model is a program, which every worker runs: so it can tell of them, and set up their modules.
NETWORK = """
    import multiprocessing
    import os
    import sys
    import time
    from pathlib import Path

    import torch
    from torch import nn

    import dissect.pilot
    import dissect.scan

    CALLS, HOLD = Path({home!r}, "calls"), Path({home!r}, "hold")
    ON_WORKER = multiprocessing.parent_process() or Path(sys.argv[0]).stem == "default_worker"
    if ON_WORKER:
        dissect.scan.CHECKPOINT_SECONDS = 0
        dissect.pilot.PILOT_IMAGES, dissect.pilot._WORTHWHILE = {pilot}


    def watch():
        mark = CALLS / str(os.getpid())
        with mark.open("a") as stream:
            stream.write(".")
        while mark.stat().st_size == 3 and HOLD.exists():
            time.sleep(0.02)


    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Conv2d(3, 4, 3, padding=1)
            self.narrow = nn.Conv2d(4, 6, 3, stride=4, padding=1)

        def forward(self, x):
            if ON_WORKER:
                watch()
            x = x.masked_fill(x.amin((1, 2, 3), keepdim=True) > 2, float("nan"))
            return self.narrow(torch.relu_(self.wide(x)))


    def build():
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return Network()
"""


@dataclass(frozen=True)
class Watched:
    """Runs of the network on the set; its workers' forward passes are counted."""

    home: Path
    pilot: str = "(512, 4)"

    @property
    def model(self) -> str:
        """What `--model` is."""
        file = self.home / "network.py"
        if not file.exists():
            text = textwrap.dedent(NETWORK.format(home=str(self.home), pilot=self.pilot))
            file.write_text(text)
        (self.home / "calls").mkdir(exist_ok=True)
        return f"{file}:build"

    @property
    def hold(self) -> Path:
        """While this file is there, every worker stops in its third forward pass."""
        return self.home / "hold"

    def calls(self) -> dict[int, int]:
        """Forward passes by process."""
        folder = self.home / "calls"
        return {int(mark.name): mark.stat().st_size for mark in folder.glob("*")}

    def are_held(self, workers: int) -> Callable[[], bool]:
        """Whether so many workers are in their third pass."""
        return lambda: sum(count == 3 for count in self.calls().values()) >= workers

    def run(self, concept_set: Path, out: Path, *, spec: bool = True, **changes: Any):
        """A run; `engine` and `shards` say where, and other changes are options."""
        engine, shards = changes.pop("engine", None), changes.pop("shards", None)
        names = [
            name for name in ("progress", "workers", "passes", "thresholds") if name in changes
        ]
        rest = {name: changes.pop(name) for name in names}
        options = {"layers": LAYERS, "quantile": "0.05", "batch_size": 1, "top_images": 2}
        config = RunConfig(**options | {"threads": 1} | changes)
        named = ModelSpec(spec=self.model, mean=(0.5,) * 3, std=(0.2,) * 3)
        return run_dissection(
            load_model(**named.model_dump()),
            open_concept_set(concept_set),
            config,
            out,
            device=torch.device("cpu"),
            spec=named if spec else None,
            distributed=Distributed(engine, shards) if engine else None,
            **rest,
        )


def build_scenes(root: Path, *, white: int | None = None) -> Path:
    """A set of two people; one photograph may be white all over, on which the network fails."""
    (root / "images").mkdir(parents=True)
    random = np.random.default_rng(4)
    for number in range(IMAGES):
        cells = random.integers(0, 250, (8, 8, 3), dtype=np.uint8)
        cells[:] = 255 if number == white else cells
        pixels = cells.repeat(4, axis=0).repeat(4, axis=1)
        Image.fromarray(pixels).save(root / "images" / f"{number:02}.png")
    for who in ("ada", "ben"):
        (root / f"{who}.json").write_text(json.dumps(_draw(random)))
    build_set(
        [root / "ada.json", root / "ben.json"],
        root / "set",
        BuildOptions(
            images=root / "images",
            image_size=(32, 32),
            image_format="png",
            annotator_from="file",
        ),
    )
    return root / "set"


def _draw(random: np.random.Generator) -> dict[str, Any]:
    images, annotations = [], []
    for number in range(IMAGES):
        images.append({"id": number, "file_name": f"{number:02}.png", "height": 32, "width": 32})
        for category in (1, 2, 3):
            left, top = random.integers(0, 16, 2).tolist()
            right, bottom = (int(side) for side in random.integers(18, 32, 2))
            one = {"id": len(annotations) + 1, "image_id": number, "category_id": category}
            ring = [left, top, right, top, right, bottom, left, bottom]
            annotations.append({**one, "segmentation": [ring]})
    categories = [{"id": number, "name": f"thing {number}"} for number in (1, 2, 3)]
    return {"images": images, "categories": categories, "annotations": annotations}


def files_of(root: Path) -> dict[str, bytes]:
    """Every file of a run; run.json without what depends on the machine and the moment."""
    found = {}
    for path in sorted(root.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.name == "run.json":
                document = json.loads(data)
                del document["environment"], document["timings"]
                data = json.dumps(document).encode()
            found[path.relative_to(root).as_posix()] = data
    return found
