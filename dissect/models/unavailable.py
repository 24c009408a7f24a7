"""Sources that a later version reads; until then each says what to do instead."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import NoReturn

from conceptset.errors import UsageError
from dissect.models.sources import Request, register

_WRAP = (
    "Until then, write a function that returns the torch.nn.Module and give it as "
    "path/to/file.py:function with --mean and --std."
)


@dataclass(frozen=True, slots=True)
class Unavailable:
    """A source by its prefix or by the suffix of a file.

    Attributes:
        name: What it would be called.
        prefix: How MODEL begins; empty if it is told by its suffix.
        suffixes: How the file ends.
        what: What the message calls it.
        hint: The way out.
    """

    name: str
    what: str
    hint: str
    prefix: str = ""
    suffixes: tuple[str, ...] = ()

    def claims(self, spec: str) -> bool:
        """Whether MODEL has the prefix or the suffix."""
        if self.prefix:
            return spec.startswith(self.prefix)
        return PurePath(spec).suffix.lower() in self.suffixes

    def build(self, request: Request) -> NoReturn:
        """Never a model.

        Raises:
            UsageError: Always.
        """
        raise UsageError(f"{request.spec}: {self.what} not read in this version", hint=self.hint)


register(Unavailable("timm", "models of timm are", _WRAP, prefix="timm:"))
register(Unavailable("export", "torch.export programs are", _WRAP, suffixes=(".pt2",)))
register(
    Unavailable(
        "file",
        "a file alone says which weights, not which architecture; TorchScript programs are",
        "Give the architecture as MODEL (resnet18, path/to/file.py:Class) and the file with "
        "--weights.",
        suffixes=(".pt", ".pth", ".safetensors", ".ckpt", ".bin", ".tar", ".onnx"),
    )
)
