"""A checkpoint's tensors brought into a model, by name or by position."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from conceptset.errors import UsageError

Match = Literal["name", "order"]

_COUNTER = "num_batches_tracked"  # absent from checkpoints of old releases, unused in evaluation
_SHOWN = 6


def fill(
    module: nn.Module, state: Mapping[str, Tensor], *, match: Match, file: Path, model: str
) -> tuple[str, ...]:
    """Copy the tensors into the model; dtypes become the model's.

    Args:
        module: Changed in place, only if everything fits.
        state: Tensors by name.
        match: Pair them by `name`, or by position (`order`).
        file: Named in errors.
        model: Named in errors.

    Returns:
        Lines for the user: the pairs where they were matched by order, and a conversion.

    Raises:
        UsageError: A tensor is missing, left over or of another shape.
    """
    own = {key: value for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    if match == "order":
        pairs = _pair_by_order(own, state, file=file, model=model)
        notes = [f"{key} <- {other} {_shape(state[other])}" for key, other in pairs]
    else:
        _check_names(own, state, file=file, model=model)
        pairs = [(key, key) for key in own if key in state]
        notes = []
    with torch.no_grad():
        for key, other in pairs:
            own[key].copy_(state[other])
    halves = {str(state[other].dtype) for key, other in pairs if _narrower(state[other], own[key])}
    if halves:
        kinds = ", ".join(sorted(halves)).replace("torch.", "")
        notes.append(f"{file.name} holds {kinds}; converted to the model's own precision.")
    return tuple(notes)


def _narrower(given: Tensor, own: Tensor) -> bool:
    return given.is_floating_point() and given.dtype != own.dtype


def _fits(given: Tensor, own: Tensor) -> bool:
    return given.shape == own.shape and given.is_floating_point() == own.is_floating_point()


def _check_names(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], *, file: Path, model: str
) -> None:
    missing = [key for key in own if key not in state and not key.endswith(_COUNTER)]
    unexpected = [key for key in state if key not in own]
    unequal = [key for key in own if key in state and not _fits(state[key], own[key])]
    if not (missing or unexpected or unequal):
        return
    shapes = [f"{key} is {_shape(state[key])}, not {_shape(own[key])}" for key in unequal]
    parts = [
        _listed(shapes, "of another shape"),
        _listed(missing, "missing"),
        _listed(unexpected, "unexpected"),
    ]
    raise UsageError(
        f"does not fit {model}: {'; '.join(part for part in parts if part)}.",
        path=file,
        hint=_advice(own, state, unequal=unequal, names=bool(missing or unexpected)),
    )


def _listed(names: Sequence[str], what: str) -> str:
    if not names:
        return ""
    limit = _SHOWN // 2
    more = f", ... {len(names) - limit} more" if len(names) > limit else ""
    return f"{len(names)} {what} ({', '.join(names[:limit])}{more})"


def _advice(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], *, unequal: Sequence[str], names: bool
) -> str:
    """What would make them fit, where that can be told."""
    sides = {(tuple(state[key].shape[:1]), tuple(own[key].shape[:1])) for key in unequal}
    tails = all(state[key].shape[1:] == own[key].shape[1:] for key in unequal)
    if len(sides) == 1 and tails and not names:
        ((given,), _) = sides.pop()
        return f"The file's classifier has {given} classes: give --num-classes {given}."
    ours, theirs = _ordered(own, state)
    if len(ours) == len(theirs) and all(
        _fits(state[other], own[key]) for key, other in zip(ours, theirs, strict=True)
    ):
        return "Every shape fits in order: give --weights-match order if only the names differ."
    return "Is it the same architecture?"


def _ordered(own: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> tuple[list[str], list[str]]:
    """Both sides' names in order; where the numbers differ, without the counters."""
    ours, theirs = list(own), list(state)
    if len(ours) != len(theirs):
        ours = [key for key in ours if not key.endswith(_COUNTER)]
        theirs = [key for key in theirs if not key.endswith(_COUNTER)]
    return ours, theirs


def _pair_by_order(
    own: Mapping[str, Tensor], state: Mapping[str, Tensor], *, file: Path, model: str
) -> list[tuple[str, str]]:
    ours, theirs = _ordered(own, state)
    if len(ours) != len(theirs):
        raise UsageError(
            f"holds {len(theirs)} tensors, {model} has {len(ours)}; "
            "matching by order needs equal numbers.",
            path=file,
            hint="Is it the same architecture?",
        )
    pairs = list(zip(ours, theirs, strict=True))
    for place, (key, other) in enumerate(pairs, start=1):
        if not _fits(state[other], own[key]):
            raise UsageError(
                f"tensor {place} in order, {other} {_shape(state[other])}, does not fit "
                f"{model}'s {key} {_shape(own[key])}.",
                path=file,
                hint="Only files that list their tensors in the model's own order can be matched "
                "this way.",
            )
    return pairs


def _shape(tensor: Tensor) -> str:
    return f"({', '.join(map(str, tensor.shape))})"


def state_digest(module: nn.Module) -> str:
    """SHA-256 over the sorted names, dtypes, shapes and bytes of a model's state.

    Equal for equal weights wherever they came from.
    """
    total = hashlib.sha256()
    for key, value in sorted(module.state_dict().items()):
        if not isinstance(value, Tensor):
            continue
        kind = str(value.dtype).removeprefix("torch.")
        total.update(f"{key}\n{kind}\n{_shape(value)}\n".encode())
        flat = value.detach().to("cpu").contiguous().reshape(-1)
        total.update(flat.view(torch.uint8).numpy().data)
    return total.hexdigest()
