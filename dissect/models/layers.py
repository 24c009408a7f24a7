"""The layers of a model: what a forward pass shows of them, and whether they can be dissected."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from conceptset.errors import UsageError
from dissect.models.sources import seeded

_BATCH = 2  # of one image, an axis that is not the batch could not be told from it
Kind = Literal["maps", "vector", "tokens"]


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """One module of a model.

    Attributes:
        name: Dotted name, as `--layers` takes it.
        type: Class name.
        kind: `maps` (units, h, w), `vector` (units, seen as 1x1 maps), `tokens` (units along a
            sequence, seen as a square grid); None where the output is none of these.
        shape: (units, h, w) of the output for one image; a sequence that makes no square has
            w = 1.
        reason: Why it cannot be dissected; None if it can.
        calls: How often it ran in one forward pass.
        changed_by: The module that changes its output in place afterwards, an operation without
            a name being `an operation`; None if its output stays. What is dissected is the output
            as the layer gave it.
    """

    name: str
    type: str
    kind: Kind | None
    shape: tuple[int, int, int] | None
    reason: str | None
    calls: int
    changed_by: str | None


@dataclass(slots=True)
class _Seen:
    """What the hooks saw of one module."""

    calls: int = 0
    output: object = None
    version: int = 0
    changed_by: str | None = None


@dataclass(slots=True)
class _Watch:
    """Hooks on every module; owns them between `watching`'s begin and end."""

    seen: dict[str, _Seen]
    owners: dict[int, list[str]] = field(default_factory=dict)

    def before(self, name: str, inputs: tuple[object, ...]) -> None:
        """An in-place module is about to run: the layers whose output it takes will change."""
        for value in inputs:
            for owner in self.owners.get(id(value), ()):
                if owner != name and self.seen[owner].changed_by is None:
                    self.seen[owner].changed_by = name

    def after(self, name: str, output: object) -> None:
        """A module ran."""
        seen = self.seen[name]
        seen.calls += 1
        seen.output = output
        if isinstance(output, Tensor):
            seen.version = output._version
            self.owners.setdefault(id(output), []).append(name)


@contextmanager
def _watching(modules: dict[str, nn.Module]) -> Iterator[_Watch]:
    """Every module watched inside the block; afterwards the hooks are gone, whatever happened."""
    watch = _Watch({name: _Seen() for name in modules})
    handles: list[RemovableHandle] = []
    try:
        for name, module in modules.items():

            def after(_: nn.Module, __: object, output: object, name: str = name) -> None:
                watch.after(name, output)

            handles.append(module.register_forward_hook(after))
            if getattr(module, "inplace", False):

                def before(_: nn.Module, inputs: tuple[object, ...], name: str = name) -> None:
                    watch.before(name, inputs)

                handles.append(module.register_forward_pre_hook(before))
        yield watch
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """The model in evaluation without gradients inside the block; each part's mode comes back."""
    modes = [(part, part.training) for part in module.modules()]
    try:
        module.eval()
        with torch.no_grad(), seeded():
            yield
    finally:
        for part, training in modes:
            part.training = training


def list_layers(module: nn.Module, *, image_size: tuple[int, int]) -> list[LayerInfo]:
    """Every module inside a model, in order of definition, after one pass of two black images.

    The model is left as it was, also when it fails.

    Args:
        module: Any model that takes (n, 3, H, W).
        image_size: (H, W).

    Raises:
        UsageError: The model cannot run on such an image, or takes no hooks.

    >>> [(info.name, info.shape) for info in list_layers(
    ...     nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), image_size=(8, 8))]
    [('0', (4, 6, 6)), ('1', (144, 1, 1))]
    """
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            "the model is a TorchScript program, which takes no hooks",
            hint="Give the code that it was made from as path/to/file.py:Class.",
        )
    modules = {name: part for name, part in module.named_modules() if name}
    with _watching(modules) as watch, _evaluating(module):
        _run(module, image_size)
        return [
            _describe(name, part, watch.seen[name], image_size) for name, part in modules.items()
        ]


def _run(module: nn.Module, image_size: tuple[int, int]) -> None:
    height, width = image_size
    first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(1))
    image = torch.zeros(_BATCH, 3, height, width, dtype=first.dtype, device=first.device)
    try:
        module(image)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"the model cannot run on {height}x{width} images ({type(error).__name__}: {reason})",
            hint="Give an --image-size that suits it.",
        ) from error


def _describe(name: str, part: nn.Module, seen: _Seen, image_size: tuple[int, int]) -> LayerInfo:
    output = seen.output
    kind, shape, reason = _form(output, image_size)
    if seen.calls == 0:
        kind, shape, reason = None, None, "it did not run"
    elif seen.calls > 1:
        reason = f"it runs {seen.calls} times in one pass"
    changed = seen.changed_by
    if isinstance(output, Tensor) and changed is None and output._version > seen.version:
        changed = "an operation"
    return LayerInfo(name, type(part).__name__, kind, shape, reason, seen.calls, changed)


_Form = tuple[Kind | None, tuple[int, int, int] | None, str | None]


def _form(output: object, image_size: tuple[int, int]) -> _Form:
    """(kind, shape, reason against it) of one output."""
    if not isinstance(output, Tensor):
        return None, None, f"its output is a {type(output).__name__}, a tensor was expected"
    if not output.is_floating_point():
        kind = str(output.dtype).removeprefix("torch.")
        return None, None, f"its output is {kind}, real numbers were expected"
    sides = tuple(output.shape)
    if not sides or sides[0] != _BATCH:
        return (
            None,
            None,
            f"its output {_sides(sides)} for {_BATCH} images does not begin with them",
        )
    return _form_of_sides(sides, image_size)


def _form_of_sides(sides: tuple[int, ...], image_size: tuple[int, int]) -> _Form:
    match sides[1:]:
        case (first, second, third) if _channels_last((first, second, third), image_size):
            return "maps", (third, first, second), "its output has the units last"
        case (units, height, width):
            return "maps", (units, height, width), None
        case (length, units):
            return _form_of_tokens(length, units)
        case (units,):
            return "vector", (units, 1, 1), None
    return None, None, f"its output {_sides(sides)} is no map"


def _form_of_tokens(length: int, units: int) -> _Form:
    for extra in (0, 1):  # without and with a class token before the others
        side = math.isqrt(length - extra)
        if side > 0 and side * side == length - extra:
            return "tokens", (units, side, side), None
    return "tokens", (units, length, 1), f"its {length} tokens make no square grid"


def _channels_last(sides: tuple[int, int, int], image_size: tuple[int, int]) -> bool:
    """Whether (a, b, c) has the image's proportions in (a, b) and not in (b, c)."""
    first, second, third = sides
    shape = image_size[0] / image_size[1]

    def alike(height: int, width: int) -> bool:
        # Each side may have been rounded up or down by one.
        return (height - 1) / (width + 1) <= shape <= (height + 1) / max(width - 1, 1e-9)

    return alike(first, second) and not alike(second, third) and first * second > 1


def _sides(sides: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, sides))})"


def near_layers(module: nn.Module, name: str, *, limit: int = 5) -> list[str]:
    """Layers whose names resemble one that does not exist, the nearest first.

    >>> near_layers(nn.ModuleDict({"backbone": nn.ModuleDict({"layer4": nn.ReLU()})}), "layer4")
    ['backbone.layer4']
    """
    names = [known for known, _ in module.named_modules() if known]
    if name in names:
        return [name]
    ends = [known for known in names if known.endswith(f".{name}") or name.endswith(f".{known}")]
    close = difflib.get_close_matches(name, names, n=limit, cutoff=0.6)
    return list(dict.fromkeys([*ends, *close]))[:limit]
