"""What chosen layers put out during a forward pass, handed over inside their hooks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Literal, Self

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from conceptset.errors import UsageError
from dissect.errors import ActivationError
from dissect.models.layers import check_calls, find_module, find_shape, parse_targets
from dissect.models.programs import check_input, rewind
from dissect.models.watching import watch
from dissect.outputs import LayerShape, Target, pick

Sink = Callable[[str, Tensor], None]
"""Takes a layer's name and the tensor it put out, which is only good until the call returns."""


class _Enough(BaseException):
    """The rest of the forward pass is not needed; no `except Exception` of a model holds it up."""


class Recorder:
    """A context in which chosen layers of a model hand over what they put out.

    `sink` is called inside the hook, before a later module can change the tensor in place; so
    it must read or copy what it wants before it returns. Whatever it raises ends the forward
    pass and comes out of `run` as it is. Leaving the context takes the hooks off again, whatever
    happened inside.

    Args:
        module: The model.
        layers: Names as `parse_target` takes them.
        sink: Called once for each layer in each forward pass, in the order in which they run;
            None: `run` returns copies.
        stop_early: End the forward pass as soon as every layer has put out.

    Raises:
        LayerError: A name that is none, or that the model does not have.
    """

    def __init__(
        self,
        module: nn.Module,
        layers: Sequence[str],
        *,
        sink: Sink | None = None,
        stop_early: bool = True,
    ) -> None:
        self._module = module
        self._targets = parse_targets(module, layers)
        self._watched: dict[nn.Module, list[Target]] = {}
        for target in self._targets:
            self._watched.setdefault(find_module(module, target), []).append(target)
        self._sink = self._keep if sink is None else sink
        self._stop_early = stop_early
        self._handles: list[RemovableHandle] = []
        self._copies: dict[str, Tensor] = {}
        self._left: set[str] = set()
        self._calls: dict[nn.Module, int] = {}
        self._failure: Exception | None = None

    def __enter__(self) -> Self:
        for module in self._watched:
            self._handles.append(module.register_forward_hook(self._hook))
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
        self._copies.clear()

    def _hook(self, module: nn.Module, _args: object, output: object) -> None:
        call = self._calls[module] = self._calls.get(module, 0) + 1
        try:
            for target in self._watched[module]:
                if call == (target.call or 1):
                    self._sink(target.name, pick(output, target).detach())
                    self._left.discard(target.name)
        except Exception as error:
            # some programs rewrite the message of what passes through them
            self._failure = error
            raise _Enough from error
        if self._stop_early and not self._left:
            raise _Enough

    def _keep(self, name: str, output: Tensor) -> None:
        """A float32 copy, contiguous."""
        self._copies[name] = output.to(
            torch.float32, memory_format=torch.contiguous_format, copy=True
        )

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Put a batch through the model.

        Returns:
            Without a sink, float32 copies of what the layers put out, by name, in the order
            asked for; else nothing.

        Raises:
            LayerError: A layer did not run, or another number of times than its name says.
        """
        self._left = {target.name for target in self._targets}
        self._copies, self._calls, self._failure = {}, {}, None
        rewind(self._module)
        with contextlib.suppress(_Enough):
            self._module(batch)
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        for module, targets in self._watched.items():
            for target in targets:
                check_calls(target, self._calls.get(module, 0))
        copies, self._copies = self._copies, {}
        return {target.name: copies[target.name] for target in self._targets} if copies else {}


def probe_layers(
    module: nn.Module,
    layers: Sequence[str],
    *,
    size: tuple[int, int],
    device: torch.device,
    precision: Literal["fp32", "bf16"] = "fp32",
    batch_size: int | None = None,
) -> list[LayerShape]:
    """The shapes of what layers put out for photographs of a size, in the order asked for.

    One forward pass of black photographs, to its end.

    Args:
        module: The model.
        layers: Names as `parse_target` takes them.
        size: (height, width) of the photographs.
        device: Where the model is.
        precision: bf16 runs it under autocast.
        batch_size: Photographs at a time in the run to come, if an exported program is to be
            asked whether it takes so many.

    Raises:
        LayerError: A layer is unknown, does not run, runs another number of times than its name
            says, or puts out something that is no map.
        UsageError: The model cannot take such photographs.
    """
    targets = parse_targets(module, layers)
    if batch_size is not None:
        check_input(module, batch_size=batch_size, size=size)
    autocast = torch.bfloat16 if precision == "bf16" else None
    watched = watch(module, image_size=size, device=device, autocast=autocast)
    return [find_shape(watched, target) for target in targets]


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
