"""What chosen layers put out during a forward pass, as maps of shape (units, h, w)."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from conceptset.errors import UsageError
from dissect.errors import ActivationError, LayerError
from dissect.models.layers import near_layers

Kind = Literal["maps", "vector", "tokens"]


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What a layer puts out.

    Attributes:
        name: Dotted name of the module.
        kind: `maps` (B, U, h, w); `vector` (B, U), seen as 1x1 maps; `tokens` (B, L, U), seen as
            a square grid, without a leading class token if that makes it one.
        units: U.
        map_size: (h, w).
    """

    name: str
    kind: Kind
    units: int
    map_size: tuple[int, int]


class _Enough(Exception):
    """Every layer has put out its activations; the rest of the forward pass is not needed."""


class Recorder:
    """A context in which chosen layers of a model leave copies of their outputs.

    Leaving the context takes the hooks off again, whatever happened inside.

    Args:
        module: The model.
        layers: Dotted names.
        stop_early: End the forward pass as soon as every layer has put out once.

    Raises:
        LayerError: A name that the model does not have.
    """

    def __init__(self, module: nn.Module, layers: Sequence[str], *, stop_early: bool) -> None:
        self._targets = find_layers(module, layers)
        self._module = module
        self._stop_early = stop_early
        self._handles: list[RemovableHandle] = []
        self._outputs: dict[str, object] = {}
        self.times: dict[str, int] = {}

    def __enter__(self) -> Self:
        for name, target in self._targets.items():
            self._handles.append(target.register_forward_hook(self._hook(name)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self._outputs.clear()

    def _hook(self, name: str) -> Any:  # noqa: ANN401 - the type that torch wants is private
        def keep(_module: nn.Module, _args: object, output: object) -> None:
            self._outputs[name] = _copy(output) if isinstance(output, torch.Tensor) else output
            self.times[name] = self.times.get(name, 0) + 1
            if self._stop_early and len(self._outputs) == len(self._targets):
                raise _Enough

        return keep

    def run(self, batch: torch.Tensor) -> dict[str, object]:
        """The outputs of the layers on a batch, by name, in the order asked for.

        Raises:
            LayerError: A layer did not run.
        """
        self._outputs = {}
        self.times = {}
        with contextlib.suppress(_Enough):
            self._module(batch)
        outputs, self._outputs = self._outputs, {}
        for name in self._targets:
            if name not in outputs:
                raise LayerError(
                    "the layer does not run in the forward pass",
                    pointer=f"layer {name}",
                    hint="It may belong to an output that is only used in training, or the model "
                    "calls its function without calling the module.",
                )
        return {name: outputs[name] for name in self._targets}


def _copy(output: torch.Tensor) -> torch.Tensor:
    """A float32 copy, contiguous: the next module may work in place on what this one put out."""
    return output.detach().to(torch.float32, memory_format=torch.contiguous_format, copy=True)


def find_layers(module: nn.Module, layers: Sequence[str]) -> dict[str, nn.Module]:
    """The modules of these dotted names, in this order.

    Raises:
        LayerError: The model has no such module; the message offers near names.
    """
    known = dict(module.named_modules())
    found = {}
    for name in layers:
        if name not in known or not name:
            near = near_layers(module, name)
            hint = f"Did you mean {', '.join(near)}?" if near else "'dissect layers' lists them."
            raise LayerError("the model has no such layer", pointer=f"layer {name!r}", hint=hint)
        found[name] = known[name]
    return found


def probe_layers(
    module: nn.Module,
    layers: Sequence[str],
    *,
    size: tuple[int, int],
    device: torch.device,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> list[LayerShape]:
    """The shapes of what layers put out for photographs of a size, in the order asked for.

    One forward pass of two black photographs, to its end.

    Raises:
        LayerError: A layer is unknown, does not run, runs more than once, or puts out something
            that is no map.
        UsageError: The model cannot take such photographs.
    """
    batch = torch.zeros((2, 3, *size), device=device)
    with Recorder(module, layers, stop_early=False) as recorder, inference(device, precision):
        try:
            outputs = recorder.run(batch)
        except (RuntimeError, ValueError, TypeError, AssertionError, IndexError) as error:
            raise UsageError(
                f"the model cannot run on images of {size[0]}x{size[1]} "
                f"({type(error).__name__}: {' '.join(str(error).split())[:300]})",
                hint="Give --image-size, if it expects another size.",
            ) from error
        times = recorder.times
    shapes = []
    for name, output in outputs.items():
        if times[name] > 1:
            raise LayerError(
                f"the layer runs {times[name]} times in one forward pass, so that its activations "
                "are ambiguous",
                pointer=f"layer {name}",
                hint="Name the module around it, or one that runs once.",
            )
        maps, kind = as_maps(output, name, batch=2, input_size=size)
        shapes.append(LayerShape(name, kind, maps.shape[1], (maps.shape[2], maps.shape[3])))
    return shapes


def as_maps(
    output: object, name: str, *, batch: int, input_size: tuple[int, int]
) -> tuple[torch.Tensor, Kind]:
    """A layer's output as (batch, units, h, w) float32, contiguous.

    Args:
        output: What the layer put out.
        name: The layer, for messages.
        batch: Photographs that went in.
        input_size: (height, width) of those.

    Raises:
        LayerError: It is no tensor, or its shape is none of those of `LayerShape`.
    """
    if not isinstance(output, torch.Tensor):
        raise LayerError(
            f"the layer puts out a {type(output).__name__}, a tensor was expected",
            pointer=f"layer {name}",
            hint="Name a module inside it or around it.",
        )
    shape = tuple(output.shape)
    if len(shape) not in (2, 3, 4) or shape[0] != batch or 0 in shape:
        raise LayerError(
            f"the layer puts out a tensor of shape {shape} for {batch} images; (images, units), "
            "(images, units, height, width) or (images, tokens, units) was expected",
            pointer=f"layer {name}",
        )
    kind: Kind = "maps"
    if len(shape) == 2:
        kind, output = "vector", output[:, :, None, None]
    elif len(shape) == 3:
        kind, output = "tokens", _tokens_as_maps(output, name)
    elif input_size[0] == input_size[1] and shape[1] == shape[2] != shape[3]:
        raise LayerError(
            f"the layer puts out a tensor of shape {shape}, units last as it seems, which cannot "
            "be dissected yet",
            pointer=f"layer {name}",
            hint="Name a layer with shape (images, units, height, width).",
        )
    return output.to(torch.float32).contiguous(), kind


def _tokens_as_maps(output: torch.Tensor, name: str) -> torch.Tensor:
    tokens = output.shape[1]
    for extra in (0, 1):
        side = math.isqrt(tokens - extra)
        if side > 0 and side * side == tokens - extra:
            grid = output[:, extra:].transpose(1, 2)
            return grid.reshape(*grid.shape[:2], side, side)
    raise LayerError(
        f"the layer puts out {tokens} tokens, which make no square grid, with or without a class "
        "token",
        pointer=f"layer {name}",
    )


def check_finite(maps: torch.Tensor, *, layer: str, images: Sequence[str]) -> None:
    """Refuse activations that are not finite: one would fall through every comparison unseen.

    Args:
        maps: (b, units, h, w) float32.
        layer: Its name.
        images: (b,) photographs, as the index names them.

    Raises:
        ActivationError: It names the first such unit.
    """
    if bool(torch.isfinite(maps.sum())):
        return
    bad = ~torch.isfinite(maps)
    if not bool(bad.any()):
        return  # only their sum is too large
    image, unit, row, column = bad.nonzero()[0].tolist()
    value = float(maps[image, unit, row, column])
    raise ActivationError(
        f"the activation at row {row}, column {column} is {value}, a finite number was expected",
        layer=layer,
        unit=unit,
        image=images[image],
        hint="Check the weights and the preprocessing (--mean, --std); with --precision bf16, try "
        "fp32.",
    )


@contextlib.contextmanager
def inference(device: torch.device, precision: Literal["fp32", "bf16"]) -> Iterator[None]:
    """A context without gradients; under autocast for bf16."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        if precision == "bf16":
            stack.enter_context(torch.autocast(device.type, dtype=torch.bfloat16))
        yield


def choose_device(name: str) -> torch.device:
    """The device of a name; `auto` is a CUDA device if there is one, else the CPU.

    Raises:
        UsageError: There is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UsageError(
            f"the device {name!r} cannot be used ({str(error).splitlines()[0]})",
            hint="Give --device cpu, or auto.",
        ) from error
    return device
