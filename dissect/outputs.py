"""What a layer puts out, and how it is seen as maps of (units, h, w).

A layer is named `NAME`, `NAME@2` (its second run in a forward pass), `NAME[0]` or `NAME[out]` (a
part of a tuple or a dictionary), or `NAME@2[0]`. What its tensor's axes mean is found in
`dissect.forms`; here it is looked at that way.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dissect.errors import LayerError
from dissect.forms import Form, Kind

Key = int | str

_NAME = re.compile(r"(?P<module>[^@\[\]]+)(?:@(?P<call>[1-9]\d{0,5}))?(?P<keys>(?:\[[^\[\]]+\])*)")


@dataclass(frozen=True, slots=True)
class Target:
    """A layer's name, taken apart.

    Attributes:
        name: As it was written.
        module: Dotted name of the module.
        call: Which of the module's runs in a forward pass, from 1; None: it runs once.
        keys: The way to the tensor inside a tuple or a dictionary; empty: the output itself.
    """

    name: str
    module: str
    call: int | None = None
    keys: tuple[Key, ...] = ()


def parse_target(name: str, known: Container[str] = ()) -> Target:
    """The parts of a layer's name.

    Args:
        name: As it was written.
        known: Names of the model's modules; one of those is taken as it is, whatever it looks
            like (torch.export names a module that runs twice `relu` and `relu@1`).

    Raises:
        LayerError: It is not written as names are.

    >>> parse_target("encoder.relu@2[0][feat]")
    Target(name='encoder.relu@2[0][feat]', module='encoder.relu', call=2, keys=(0, 'feat'))
    """
    if name in known:
        return Target(name, name)
    found = _NAME.fullmatch(name)
    if found is None:
        raise LayerError(
            "a layer is written as NAME, NAME@2 (its second run), NAME[0] or NAME[key] (a part of "
            "its output) or NAME@2[0]",
            pointer=f"layer {name!r}",
            hint="'dissect layers' lists the names.",
        )
    keys = tuple(
        int(key) if key.isascii() and key.isdigit() else key
        for key in re.findall(r"\[([^\[\]]+)\]", found["keys"])
    )
    return Target(name, found["module"], int(found["call"]) if found["call"] else None, keys)


@dataclass(frozen=True, slots=True)
class LayerShape:
    """What a layer puts out; see `Form` for all but the name.

    Attributes:
        name: The layer as it was named.
        kind: `maps` (B, U, h, w) or (B, h, w, U); `vector` (B, U), seen as 1x1 maps; `tokens`
            (B, L, U) or (L, B, U), seen as a grid.
        units: U.
        map_size: (h, w).
        units_last: The units are the last axis.
        first_token: Tokens before the first of the grid.
        batch_axis: Axis of the photographs.
    """

    name: str
    kind: Kind
    units: int
    map_size: tuple[int, int]
    units_last: bool = False
    first_token: int = 0
    batch_axis: int = 0


def shape_of(name: str, form: Form) -> LayerShape:
    """The form of a named layer's output."""
    return LayerShape(name, **dataclasses.asdict(form))


def pick(output: object, target: Target) -> Tensor:
    """The tensor that a layer's name means.

    Raises:
        LayerError: There is none at the keys; the message lists those that hold tensors.
    """
    for depth, key in enumerate(target.keys):
        entries = dict(_entries(output))
        found = [own for own in entries if own == key or str(own) == str(key)]
        if not found:
            place = _spelled(target.keys[:depth])
            raise LayerError(
                f"its output{place and f' at {place}'} has no [{key}]",
                pointer=f"layer {target.name}",
                hint=_parts_hint(output, target.keys[:depth]),
            )
        output = entries[found[0]]
    if isinstance(output, Tensor):
        return output
    raise LayerError(
        f"its output is a {type(output).__name__}, a tensor was expected",
        pointer=f"layer {target.name}",
        hint=_parts_hint(output, target.keys),
    )


def parts(output: object, *, depth: int = 4) -> list[tuple[tuple[Key, ...], Tensor]]:
    """Every tensor in a tuple, list, dictionary or dataclass, with the keys that lead to it.

    >>> [keys for keys, _ in parts({"out": torch.ones(1), "aux": (None, torch.ones(1))})]
    [('out',), ('aux', 1)]
    """
    if isinstance(output, Tensor):
        return [((), output)]
    if depth == 0:
        return []
    return [
        ((key, *rest), tensor)
        for key, value in _entries(output)
        for rest, tensor in parts(value, depth=depth - 1)
    ]


def name_part(name: str, keys: Sequence[Key]) -> str:
    """The name of a part of a layer's output.

    >>> name_part("head", (0, "feat"))
    'head[0][feat]'
    """
    return name + _spelled(keys)


def _spelled(keys: Sequence[Key]) -> str:
    return "".join(f"[{key}]" for key in keys)


def _entries(output: object) -> Iterator[tuple[Key, object]]:
    """The keys and values of what holds others; nothing for what does not."""
    if isinstance(output, Mapping):
        yield from ((key if isinstance(key, int) else str(key), output[key]) for key in output)
    elif isinstance(output, tuple | list):
        yield from enumerate(output)
        yield from ((name, getattr(output, name)) for name in getattr(output, "_fields", ()))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        for entry in dataclasses.fields(output):
            yield entry.name, getattr(output, entry.name)


def _parts_hint(output: object, before: Sequence[Key]) -> str:
    names = [_spelled((*before, *keys)) for keys, _ in parts(output)]
    if not names:
        return "It holds no tensor; name a module inside it or around it."
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"Tensors are at {', '.join(names[:8])}{more}: write NAME{names[0]}."


def units_last_view(output: Tensor, shape: LayerShape) -> tuple[Tensor, int]:
    """A layer's output with the units of one place side by side in memory.

    Without a copy for float32 that lies so already: maps with strides of channels_last, maps with
    the units last, tokens, vectors. Everything else is copied once. A view shares its memory with
    the output, which a later module may change in place: read it inside the hook.

    Args:
        output: What the layer put out, for any number of photographs.
        shape: What it put out when it was probed.

    Returns:
        (B, P, U) float32, C-contiguous; and the index of the first place of the grid: place p of
        the (h * w) in rows is at that index plus p.

    Raises:
        LayerError: The output has another shape than it had then.
    """
    places = _places(output, shape)
    if places.dtype != torch.float32 or not places.is_contiguous():
        places = torch.empty(places.shape, dtype=torch.float32, device=places.device).copy_(places)
    return places.reshape(places.shape[0], -1, shape.units), shape.first_token


def maps_view(output: Tensor, shape: LayerShape) -> Tensor:
    """A layer's output as (B, U, h, w) float32, with any strides; a view where it is float32.

    Raises:
        LayerError: The output has another shape than it had when it was probed.
    """
    places = _places(output, shape)
    if shape.kind == "tokens":
        grid = places[:, shape.first_token :]
        places = grid.reshape(grid.shape[0], *shape.map_size, shape.units)
    elif shape.kind == "vector":
        places = places[:, None, None]
    return places.permute(0, 3, 1, 2).to(torch.float32)


def _places(output: Tensor, shape: LayerShape) -> Tensor:
    """The output itself, with the photographs as first and the units as last axis."""
    places = output.detach()
    if shape.batch_axis == 1 and places.ndim == 3:
        places = places.transpose(0, 1)
    if shape.kind == "maps" and not shape.units_last and places.ndim == 4:
        places = places.permute(0, 2, 3, 1)
    height, width = shape.map_size
    inner: dict[Kind, tuple[int, ...]] = {
        "maps": (height, width, shape.units),
        "tokens": (shape.first_token + height * width, shape.units),
        "vector": (shape.units,),
    }
    if tuple(places.shape[1:]) != inner[shape.kind] or not places.is_floating_point():
        raise LayerError(
            f"its output {tuple(output.shape)} is not shaped as it was for the photographs that "
            f"the model was tried on: {_in_words(shape)}",
            pointer=f"layer {shape.name}",
            hint="Its shape depends on what the photograph shows; name a layer before that.",
        )
    return places


def _in_words(shape: LayerShape) -> str:
    sides = f"{shape.map_size[0]}x{shape.map_size[1]}"
    if shape.kind == "tokens":
        return f"{shape.units} units, {shape.first_token} tokens before a grid of {sides}"
    return f"{shape.units} units of {sides}"
