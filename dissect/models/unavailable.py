"""What looks like a model and is none: files of weights, TorchScript, ONNX. Each has a way out."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from conceptset.errors import UsageError
from dissect.models.archives import form_of
from dissect.models.sources import Request, register

_WEIGHTS = (".pt", ".pth", ".safetensors", ".ckpt", ".bin", ".tar")
_CODE = "Give the code that it was made from as MODEL (resnet18, timm:NAME, path/to/file.py:Class)"


class Unavailable:
    """Files that name no architecture that could be hooked."""

    name = "file"

    def claims(self, spec: str) -> bool:
        """Whether MODEL ends as such files do."""
        return Path(spec).suffix.lower() in (*_WEIGHTS, ".onnx", ".torchscript", ".ptl")

    def build(self, request: Request) -> NoReturn:
        """Never a model.

        Raises:
            UsageError: Always; it says what to do.
        """
        path = Path(request.spec)
        suffix = path.suffix.lower()
        form = "script" if suffix in (".torchscript", ".ptl") else form_of(path)
        if suffix == ".onnx":
            raise UsageError(
                "is an ONNX program, in which no hook can read activations",
                path=path,
                hint=f"{_CODE}, or export it with torch.export as FILE.pt2.",
            )
        if form == "script":
            raise UsageError(
                "is a TorchScript program: activations are read by hooks, which do not work on it",
                path=path,
                hint=f"{_CODE}, and its weights, saved with torch.save(torch.jit.load(FILE)"
                ".state_dict(), WEIGHTS), with --weights; or torch.export that code as FILE.pt2.",
            )
        if form == "program":
            raise UsageError(
                "is a program of torch.export, which is known by the ending .pt2",
                path=path,
                hint=f"Rename it to {path.stem}.pt2.",
            )
        raise UsageError(
            "a file alone says which weights, not which architecture",
            path=path,
            hint="Give the architecture as MODEL (resnet18, timm:NAME, path/to/file.py:Class) and "
            "the file with --weights.",
        )


register(Unavailable())
