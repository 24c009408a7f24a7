"""One forward pass in which every module of a model is watched: what ran, and what it put out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from conceptset.errors import UsageError
from dissect.forms import Evidence, Form, is_convolution, order_of, read_form
from dissect.models.programs import check_input, limits_of, rewind
from dissect.models.sources import seeded
from dissect.outputs import Key, parts

BATCH = 2  # of one image, an axis that is not the batch could not be told from it
_TOKENS = ("class_token", "cls_token", "dist_token", "register_tokens", "reg_token")


@dataclass(slots=True)
class Part:
    """A tensor that a module put out.

    Attributes:
        keys: The way to it inside a tuple or a dictionary; empty for the output itself.
        tensor: The tensor.
        version: How often it had been changed in place by then.
        changed_by: The module that changed it in place afterwards.
    """

    keys: tuple[Key, ...]
    tensor: Tensor
    version: int
    changed_by: str | None = None


@dataclass(slots=True)
class Call:
    """One run of a module.

    Attributes:
        output: What it put out.
        parts: The tensors in that.
        grids: How many convolutions had put out maps by then.
        orders: How many outputs had told where their units are by then.
    """

    output: object
    parts: list[Part]
    grids: int
    orders: int


@dataclass
class Watched:
    """A forward pass that was watched.

    Attributes:
        module: The model.
        batch: Photographs that went in.
        image_size: (H, W) of those.
        modules: Every module by each of its names; `` is the model itself.
        grids: (h, w) of the maps that convolutions put out, in order.
        orders: Sides of outputs that tell where their units are, and whether they are last.
    """

    module: nn.Module
    batch: int
    image_size: tuple[int, int]
    modules: dict[str, nn.Module] = field(init=False)
    grids: list[tuple[int, int]] = field(default_factory=list)
    orders: list[tuple[tuple[int, ...], bool]] = field(default_factory=list)
    _calls: dict[int, list[Call]] = field(default_factory=dict)
    _owners: dict[int, list[tuple[nn.Module, Part]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """The names are those of the model."""
        self.modules = dict(self.module.named_modules(remove_duplicate=False))

    def calls(self, name: str) -> Sequence[Call]:
        """The runs of a module, in order; none if it did not run."""
        return self._calls.get(id(self.modules[name]), ())

    def form(self, name: str, call: Call, keys: tuple[Key, ...], tensor: Tensor) -> Form | str:
        """How a tensor that a module put out is seen as maps, or why it cannot be."""
        evidence = Evidence(
            self.batch,
            self.image_size,
            tuple(dict.fromkeys(reversed(self.grids[: call.grids]))),
            tuple(dict.fromkeys(reversed(self.orders[: call.orders]))),
            *_stated(self.modules, name),
        )
        return read_form(tensor, None if keys else self.modules[name], evidence)

    def before(self, module: nn.Module, name: str, inputs: tuple[object, ...]) -> None:
        """An in-place module is about to run: the layers whose output it takes will change."""
        for value in inputs:
            for owner, part in self._owners.get(id(value), ()):
                if owner is not module and part.changed_by is None:
                    part.changed_by = name

    def after(self, module: nn.Module, output: object) -> None:
        """A module ran."""
        found = [Part(keys, tensor, tensor._version) for keys, tensor in parts(output)]
        call = Call(output, found, len(self.grids), len(self.orders))
        self._calls.setdefault(id(module), []).append(call)
        for part in found:
            self._owners.setdefault(id(part.tensor), []).append((module, part))
        if isinstance(output, Tensor) and output.ndim == 4:
            sides = tuple(int(side) for side in output.shape[1:])
            last = order_of(module)
            if last is not None:
                self.orders.append((sides, last))
            if is_convolution(module):
                self.grids.append((sides[1], sides[2]))


def watch(
    module: nn.Module,
    *,
    image_size: tuple[int, int],
    device: torch.device,
    dtype: torch.dtype = torch.float32,
    autocast: torch.dtype | None = None,
) -> Watched:
    """One forward pass of black photographs, to its end, in evaluation.

    The model is left as it was, also when it fails.

    Args:
        module: Any model that takes (n, 3, H, W).
        image_size: (H, W).
        device: Where the model is.
        dtype: Of the photographs.
        autocast: What the operations choose where they can; None leaves them alone.

    Raises:
        UsageError: The model cannot run on such images, or takes no hooks.
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            "the model is a TorchScript program: activations are read by hooks, which do not work "
            "on it",
            hint="Give the code that it was made from as path/to/file.py:Class.",
        )
    height, width = image_size
    batch = limits_of(module).nearest_batch(BATCH)
    check_input(module, batch_size=batch, size=image_size)
    rewind(module)
    watched = Watched(module, batch, image_size)
    images = torch.zeros(batch, 3, height, width, dtype=dtype, device=device)
    with _hooks(watched), _evaluating(module), ExitStack() as stack:
        if autocast is not None:
            stack.enter_context(torch.autocast(device.type, dtype=autocast))
        try:
            module(images)
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise UsageError(
                f"the model cannot run on images of {height}x{width} "
                f"({type(error).__name__}: {reason})",
                hint=f"Give --image-size{_own_size(module)}, if it expects another size.",
            ) from error
    return watched


def _own_size(module: nn.Module) -> str:
    """The size that a model says it was made for, as an option's value; empty if it does not."""
    settings = getattr(module, "pretrained_cfg", None)  # as timm has it
    stated = settings.get("input_size") if isinstance(settings, dict) else None
    if stated is not None and len(stated) == 3:
        height, width = stated[1:]
        return f" {height}" if height == width else f" {height}x{width}"
    size = getattr(module, "image_size", None)  # as torchvision's VisionTransformer has it
    return f" {size}" if isinstance(size, int) else ""


@contextmanager
def _hooks(watched: Watched) -> Iterator[None]:
    """Every module watched inside the block; afterwards the hooks are gone, whatever happened."""
    handles: list[RemovableHandle] = []
    try:
        for name, part in watched.module.named_modules():
            if isinstance(part, torch.jit.ScriptModule):
                continue

            def after(module: nn.Module, _: object, output: object) -> None:
                watched.after(module, output)

            handles.append(part.register_forward_hook(after))
            if getattr(part, "inplace", False):

                def before(module: nn.Module, inputs: tuple[object, ...], name: str = name) -> None:
                    watched.before(module, name, inputs)

                handles.append(part.register_forward_pre_hook(before))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """The model in evaluation without gradients inside the block; each part's mode comes back."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        for part, _ in modes:
            part.training = False
        with torch.no_grad(), seeded():
            yield
    finally:
        for part, training in modes:
            part.training = training


def _stated(modules: dict[str, nn.Module], name: str) -> tuple[int | None, tuple[int, int] | None]:
    """What the modules around a layer state: tokens before the grid, and a patch's size."""
    before: int | None = None
    patch: tuple[int, int] | None = None
    around = [modules[name[:end]] for end in _ends(name)]
    for part in around:
        before = _tokens_before(part) if before is None else before
        for holder in (part, getattr(part, "patch_embed", None)):
            patch = _sides(getattr(holder, "patch_size", None)) if patch is None else patch
    return before, patch


def _ends(name: str) -> list[int]:
    """Where the names of the modules around a layer end, the nearest first; 0 is the model."""
    return [end for end in range(len(name) - 1, 0, -1) if name[end] == "."] + [0]


def _tokens_before(part: nn.Module) -> int | None:
    stated = getattr(part, "num_prefix_tokens", None)  # as timm has it
    if isinstance(stated, int):
        return stated
    tokens = [getattr(part, name, None) for name in _TOKENS]
    held = [token for token in tokens if isinstance(token, Tensor) and token.ndim == 3]
    return sum(int(token.shape[1]) for token in held) if held else None


def _sides(value: object) -> tuple[int, int] | None:
    if isinstance(value, int) and value > 0:
        return value, value
    match value:
        case (int(height), int(width)) if height > 0 < width:
            return height, width
    return None
