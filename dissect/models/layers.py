"""The layers of a model: what a forward pass shows of them, and whether they can be dissected."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import nn

from dissect.errors import LayerError
from dissect.forms import Form, Kind, class_of
from dissect.models.watching import Call, Part, Watched, watch
from dissect.outputs import LayerShape, Target, name_part, parse_target, pick, shape_of


@dataclass(frozen=True, slots=True)
class LayerInfo:
    """A module of a model, one of its runs, or a part of its output.

    Attributes:
        name: As `--layers` takes it: NAME, NAME@2, NAME[key].
        type: Class name of the module.
        kind: `maps`, `vector` (seen as 1x1 maps) or `tokens` (seen as a grid); None where the
            output is none of these.
        shape: (units, h, w) for one image.
        reason: Why it cannot be dissected; None if it can.
        calls: How often the module ran in one forward pass.
        changed_by: The module that changes its output in place afterwards, an operation without
            a name being `an operation`; None if its output stays. What is dissected is the output
            as the layer gave it.
        units_last: Maps whose units are the last axis; so for all tokens.
        first_token: Tokens before the grid, which are left out.
    """

    name: str
    type: str
    kind: Kind | None
    shape: tuple[int, int, int] | None
    reason: str | None
    calls: int
    changed_by: str | None
    units_last: bool = False
    first_token: int = 0


def list_layers(module: nn.Module, *, image_size: tuple[int, int]) -> list[LayerInfo]:
    """Every module inside a model, in order of definition, after one pass of two black images.

    A module that runs several times is followed by its runs, an output of several tensors by
    those. The model is left as it was, also when it fails.

    Args:
        module: Any model that takes (n, 3, H, W).
        image_size: (H, W).

    Raises:
        UsageError: The model cannot run on such an image, or takes no hooks.

    >>> [(info.name, info.shape) for info in list_layers(
    ...     nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), image_size=(8, 8))]
    [('0', (4, 6, 6)), ('1', (144, 1, 1))]
    """
    first = next((p for p in module.parameters() if p.is_floating_point()), torch.zeros(1))
    watched = watch(module, image_size=image_size, device=first.device, dtype=first.dtype)
    names = [name for name, _ in module.named_modules() if name]
    return [info for name in names for info in _describe(watched, name)]


def _describe(watched: Watched, name: str) -> Iterator[LayerInfo]:
    calls = watched.calls(name)
    kind = _type(watched, name)
    if len(calls) == 1:
        yield from _describe_call(watched, name, name, calls[0])
        return
    if not calls:
        script = isinstance(watched.modules[name], torch.jit.ScriptModule)
        reason = "it is TorchScript, which takes no hooks" if script else "it did not run"
    else:
        reason = f"it runs {len(calls)} times in one pass: {_runs(name, len(calls))}"
    yield LayerInfo(name, kind, None, None, reason, len(calls), None)
    for number, call in enumerate(calls, start=1):
        yield from _describe_call(watched, name, f"{name}@{number}", call)


def _type(watched: Watched, name: str) -> str:
    return class_of(watched.modules[name]).rpartition(".")[2]


def _runs(name: str, calls: int) -> str:
    """The names of a module's runs."""
    if calls <= 4:
        return ", ".join(f"{name}@{number}" for number in range(1, calls + 1))
    return f"{name}@1, {name}@2, ... {name}@{calls}"


def _describe_call(watched: Watched, name: str, spelled: str, call: Call) -> Iterator[LayerInfo]:
    """A run of a module, and the parts of its output if it is no tensor."""
    kind, calls = _type(watched, name), len(watched.calls(name))
    if not isinstance(call.output, torch.Tensor):
        what = f"its output is a {type(call.output).__name__}"
        named = ", ".join(name_part("", part.keys) for part in call.parts[:8])
        reason = f"{what} of tensors at {named}" if named else f"{what} without a tensor"
        yield LayerInfo(spelled, kind, None, None, reason, calls, None)
    for part in call.parts:
        form = watched.form(name, call, part.keys, part.tensor)
        own = name_part(spelled, part.keys)
        if isinstance(form, Form):
            yield LayerInfo(
                own,
                kind,
                form.kind,
                (form.units, *form.map_size),
                None,
                calls,
                _changed_by(part),
                form.units_last,
                form.first_token,
            )
        else:
            yield LayerInfo(own, kind, None, None, form, calls, _changed_by(part))


def _changed_by(part: Part) -> str | None:
    if part.changed_by is None and part.tensor._version > part.version:
        return "an operation"
    return part.changed_by


def parse_targets(module: nn.Module, layers: Sequence[str]) -> list[Target]:
    """The names of layers taken apart, each of a module that the model has.

    Raises:
        LayerError: One is written as no name is, or the model has no such module.
    """
    known = dict(module.named_modules(remove_duplicate=False))
    targets = [parse_target(name, known) for name in layers]
    for target in targets:
        find_module(module, target)
    return targets


def find_module(module: nn.Module, target: Target) -> nn.Module:
    """The module that a layer's name means.

    Raises:
        LayerError: The model has no such module; the message offers near names.
    """
    known: dict[str, nn.Module] = dict(module.named_modules(remove_duplicate=False))
    if target.module not in known or not target.module:
        near = near_layers(module, target.module)
        hint = f"Did you mean {', '.join(near)}?" if near else "'dissect layers' lists them."
        raise LayerError("the model has no such layer", pointer=f"layer {target.name!r}", hint=hint)
    found = known[target.module]
    if isinstance(found, torch.jit.ScriptModule):
        raise LayerError(
            "the layer is TorchScript, on which hooks do not work",
            pointer=f"layer {target.name}",
            hint="Name a module around it, or give the model as it was before torch.jit.script.",
        )
    return found


def find_shape(watched: Watched, target: Target) -> LayerShape:
    """What a layer put out.

    Raises:
        LayerError: It did not run, ran more often than its name says or less often, or put out
            something that cannot be dissected.
    """
    calls = watched.calls(target.module)
    check_calls(target, len(calls))
    call = calls[(target.call or 1) - 1]
    tensor = pick(call.output, target)
    form = watched.form(target.module, call, target.keys, tensor)
    if isinstance(form, Form):
        return shape_of(target.name, form)
    hint = "Name another layer; 'dissect layers' shows which can be dissected."
    if tensor.ndim == 3:
        hint = (
            "If some of them come before the grid, say how many: give the model an attribute "
            "num_prefix_tokens."
        )
    raise LayerError(form, pointer=f"layer {target.name}", hint=hint)


def check_calls(target: Target, calls: int) -> None:
    """Refuse a layer that did not run as often as its name says.

    Args:
        target: The layer.
        calls: How often its module ran in one forward pass.

    Raises:
        LayerError: See above; the message has the names that are right.
    """
    place = f"layer {target.name}"
    if calls == 0:
        raise LayerError(
            "the layer does not run in the forward pass",
            pointer=place,
            hint="It may belong to an output that is only used in training, or the model calls "
            "its function without calling the module.",
        )
    runs = _runs(target.module, calls)
    if target.call is None and calls > 1:
        raise LayerError(
            f"the layer runs {calls} times in one forward pass, so that its activations are "
            "ambiguous",
            pointer=place,
            hint=f"Name one of its runs: {runs}.",
        )
    if target.call is not None and target.call > calls:
        times = "once" if calls == 1 else f"{calls} times"
        raise LayerError(
            f"the layer runs {times} in one forward pass, there is no run {target.call}",
            pointer=place,
            hint=f"Name {target.module if calls == 1 else runs}.",
        )


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
