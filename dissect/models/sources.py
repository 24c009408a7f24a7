"""Where models come from: one small file for each source, looked up by how MODEL is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import nn

from conceptset.errors import UsageError

SEED = 0
_FILE_SUFFIXES = (".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".tar", ".pkl", ".pickle")


@dataclass(frozen=True, slots=True)
class Weights:
    """What `--weights` asks for; exactly one of the attributes says something.

    Attributes:
        default: The option was absent.
        random: It was `none`.
        file: A checkpoint.
        name: The name of published weights.
    """

    default: bool = False
    random: bool = False
    file: Path | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What a source is asked to build.

    Attributes:
        spec: MODEL as given.
        weights: Which weights. A checkpoint is loaded by the caller, into the module built here.
        num_classes: Outputs of the classifier; None leaves the architecture's own.
        keys: Names of the checkpoint's tensors; empty without one.
        allow_pickle: Run the code that a file holds.
    """

    spec: str
    weights: Weights
    num_classes: int | None
    keys: frozenset[str] = frozenset()
    allow_pickle: bool = False


@dataclass(frozen=True, slots=True)
class Built:
    """A module as its source made it.

    Attributes:
        module: The model.
        name: What reports call it.
        weights: What it was filled with; without effect where a checkpoint follows.
        mean: Mean of the architecture's own preprocessing; None if nobody knows it.
        std: Standard deviation of the same.
        stated: The code that built it says that they are these; nothing is assumed.
        notes: Lines for the user.
    """

    module: nn.Module
    name: str
    weights: str
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    stated: bool = False
    notes: tuple[str, ...] = ()


class ModelSource(Protocol):
    """One way to name a model."""

    @property
    def name(self) -> str:
        """What run.json calls the source."""

    def claims(self, spec: str) -> bool:
        """Whether MODEL, as written, belongs to this source. Opens no file."""

    def build(self, request: Request) -> Built:
        """The model, with published or random weights as asked.

        Raises:
            UsageError: There is no such model, or it has no such weights.
            ModelError: Its weights cannot be had.
        """


_SOURCES: dict[str, ModelSource] = {}


def register(source: ModelSource) -> None:
    """Add a source.

    Raises:
        ValueError: There is one of that name.
    """
    if source.name in _SOURCES:
        raise ValueError(f"a model source named {source.name!r} is registered already")
    _SOURCES[source.name] = source


def find_source(spec: str) -> ModelSource:
    """The source that MODEL belongs to.

    Raises:
        UsageError: It belongs to none.
    """
    for source in _SOURCES.values():
        if source.claims(spec):
            return source
    raise UsageError(
        f"{spec!r} names no model",
        hint="Give a torchvision name (resnet18), timm:NAME, FILE.pt2, package.module:callable or "
        "path/to/file.py:Class.",
    )


def read_weights(text: str | None) -> Weights:
    """`--weights` as the user wrote it.

    >>> read_weights(None).default, read_weights("none").random, read_weights("IMAGENET1K_V1").name
    (True, True, 'IMAGENET1K_V1')
    >>> read_weights("best.pth").file
    PosixPath('best.pth')
    """
    if text is None:
        return Weights(default=True)
    if text.lower() == "none":
        return Weights(random=True)
    path = Path(text)
    if path.suffix.lower() in _FILE_SUFFIXES or len(path.parts) > 1 or path.exists():
        return Weights(file=path)
    return Weights(name=text)


@contextmanager
def seeded(seed: int = SEED) -> Iterator[None]:
    """Random numbers of torch begin at `seed` inside the block; the state outside is untouched.

    Only the generator of the CPU is concerned: models are built there.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
