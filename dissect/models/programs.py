"""Models that torch.export wrote: `FILE.pt2`.

Hooks never fire on what `ExportedProgram.module()` gives, and nothing says so; they do on
`torch.export.unflatten`, which keeps the names of the modules. Batch and size may be fixed in the
program: `InputLimits` says so before anything runs.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from conceptset.errors import UsageError, printable
from dissect.errors import ModelError
from dissect.models.archives import check_program
from dissect.models.sources import Built, Request, register

_LIMITS = "input_limits"
_DYNAMIC = "export it with dynamic_shapes={0: torch.export.Dim('batch')} on its input"
_TRAINING = {"aten.batch_norm.default": 5, "aten.dropout.default": 2}  # argument: in training


@dataclass(frozen=True, slots=True)
class InputLimits:
    """What a program takes; each a smallest and a largest number, which is None without limit.

    Attributes:
        batch: Photographs at a time.
        height: Of a photograph.
        width: Of a photograph.
    """

    batch: tuple[int, int | None] = (1, None)
    height: tuple[int, int | None] = (1, None)
    width: tuple[int, int | None] = (1, None)

    def nearest_batch(self, wanted: int) -> int:
        """The number of photographs nearest to one that is wanted."""
        low, high = self.batch
        return max(low, wanted if high is None else min(wanted, high))


class Programs:
    """Programs of torch.export. Weights, if any are given, take the place of those inside."""

    name = "torch.export"

    def claims(self, spec: str) -> bool:
        """A path that ends in `.pt2`."""
        return Path(spec).suffix.lower() == ".pt2"

    def build(self, request: Request) -> Built:
        """The model; see `ModelSource.build`."""
        path = Path(request.spec)
        weights = request.weights
        if weights.random or weights.name is not None:
            raise UsageError(
                f"--weights {weights.name or 'none'}: the program holds its own weights",
                path=path,
                hint="Leave --weights out, or give a checkpoint file to take their place.",
            )
        if request.num_classes is not None:
            raise UsageError(
                "--num-classes cannot change a program that was exported",
                path=path,
                hint="Leave it out.",
            )
        program = _load(path, allow_pickle=request.allow_pickle)
        _check_mode(program, path)
        limits = _limits(program, path)
        module = torch.export.unflatten(program)
        vars(module)[_LIMITS] = limits
        return Built(module, path.name, "as exported", notes=_notes(limits))


def _load(path: Path, *, allow_pickle: bool) -> torch.export.ExportedProgram:
    """The program of a file that was found to hold nothing else, unless that is allowed.

    Raises:
        ModelError: It cannot be read.
        UnsafeError: It holds code.
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelError("there is no such file", path=path) from error
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror or error})", path=path) from error
    check_program(data, path, allow_pickle=allow_pickle)
    try:
        return torch.export.load(io.BytesIO(data))
    except Exception as error:
        reason = printable(" ".join(str(error).split()), 200)
        raise ModelError(
            f"torch {torch.__version__} cannot read the program ({type(error).__name__}: {reason})",
            path=path,
            hint="A program is best read by the version of torch that wrote it; or it is broken.",
        ) from error


def _check_mode(program: torch.export.ExportedProgram, path: Path) -> None:
    """Refuse a program in which normalisation or dropout behaves as in training."""
    for node in _nodes(program):
        place = _TRAINING.get(str(node.target))
        if place is not None and len(node.args) > place and node.args[place] is True:
            raise UsageError(
                f"was exported in training mode ({node.target} says so), which computes something "
                "else than the finished network",
                path=path,
                hint="Call model.eval() before torch.export.export.",
            )


def _nodes(program: torch.export.ExportedProgram) -> Iterator[torch.fx.Node]:
    for part in program.graph_module.modules():
        if isinstance(part, torch.fx.GraphModule):
            yield from part.graph.nodes


def _limits(program: torch.export.ExportedProgram, path: Path) -> InputLimits:
    """What the program's one input may be.

    Raises:
        UsageError: It takes something else than photographs.
    """
    names = program.graph_signature.user_inputs
    inputs = [node for node in program.graph.nodes if node.name in names]
    values = [node.meta.get("val") for node in inputs if node.op == "placeholder"]
    if len(values) != 1 or not isinstance(values[0], torch.Tensor):
        raise UsageError(f"takes {len(names)} inputs; one, photographs, was expected", path=path)
    value = values[0]
    if value.ndim != 4 or value.shape[1] != 3 or value.dtype != torch.float32:
        kind = str(value.dtype).removeprefix("torch.")
        raise UsageError(
            f"takes {kind} ({', '.join(map(str, value.shape))}); float32 (images, 3, height, "
            "width) was expected",
            path=path,
        )
    batch, _, height, width = (_range(side, program) for side in value.shape)
    return InputLimits(batch, height, width)


def _range(
    side: int | torch.SymInt, program: torch.export.ExportedProgram
) -> tuple[int, int | None]:
    if isinstance(side, int):
        return side, side
    for symbol, limits in program.range_constraints.items():
        if str(symbol) == str(side):
            high = math.inf if limits.upper > 2**31 else int(limits.upper)
            return max(1, int(limits.lower)), None if high == math.inf else int(high)
    return 1, None


def _notes(limits: InputLimits) -> tuple[str, ...]:
    if limits.batch[0] == limits.batch[1]:
        return (f"The program takes exactly {limits.batch[0]} images at a time.",)
    return ()


def limits_of(module: nn.Module) -> InputLimits:
    """What a model takes; no limits unless it is a program that was exported with some."""
    found = vars(module).get(_LIMITS)
    return found if isinstance(found, InputLimits) else InputLimits()


def check_input(module: nn.Module, *, batch_size: int, size: tuple[int, int]) -> None:
    """Refuse batches that an exported program cannot take.

    Args:
        module: The model.
        batch_size: Photographs at a time.
        size: (height, width) of those.

    Raises:
        UsageError: The message has the options that fit.
    """
    limits = limits_of(module)
    wrong, options = [], []
    if not _within(batch_size, limits.batch):
        wrong.append(f"{_words(limits.batch)} images at a time, not {batch_size}")
        options.append(f"--batch-size {limits.nearest_batch(batch_size)}")
    sides = (limits.height, limits.width)
    if not all(_within(own, side) for own, side in zip(size, sides, strict=True)):
        wanted = " x ".join(_words(side) for side in sides)
        wrong.append(f"images of {wanted}, not {size[0]}x{size[1]}")
        height, width = (
            side[0] if side[1] is not None else max(own, side[0])
            for own, side in zip(size, sides, strict=True)
        )
        options.append(f"--image-size {height if height == width else f'{height}x{width}'}")
    if wrong:
        raise UsageError(
            f"the program was exported for {' and '.join(wrong)}",
            hint=f"Give {' '.join(options)}, or {_DYNAMIC}.",
        )


def rewind(module: nn.Module) -> None:
    """Let the parts of a program that differ from run to run begin with their first.

    They count their runs, and would go on from where a forward pass was ended early.
    """
    if _LIMITS in vars(module):
        for part in module.modules():
            if "_num_calls" in vars(part):
                vars(part)["_num_calls"] = 0


def _within(value: int, limits: tuple[int, int | None]) -> bool:
    return limits[0] <= value and (limits[1] is None or value <= limits[1])


def _words(limits: tuple[int, int | None]) -> str:
    low, high = limits
    if high is None:
        return f"at least {low}"
    return str(low) if low == high else f"{low} to {high}"


register(Programs())
