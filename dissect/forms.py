"""What the axes of a layer's output mean.

Three kinds of output can be dissected:

* `maps` (B, U, h, w), or with the units last (B, h, w, U);
* `tokens` (B, L, U) or (L, B, U), h * w of them in rows after some that belong to no place;
* `vector` (B, U), seen as maps of 1x1.

What a tensor's shape leaves open is settled by `read_form`; its rules are stated there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

Kind = Literal["maps", "vector", "tokens"]

MOST_TOKENS_BEFORE = 16  # of a grid whose size is known; more would be something else
_UNITS_FIRST = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.GroupNorm, nn.InstanceNorm2d),
    *(nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d),
)
_NAMES_FIRST = frozenset(f"{kind.__module__}.{kind.__qualname__}" for kind in _UNITS_FIRST)
_NAMES_LAST = frozenset(  # as they are: what derives from them may permute
    f"{kind.__module__}.{kind.__qualname__}" for kind in (nn.Linear, nn.LayerNorm)
)
_CONVOLUTION = f"{nn.Conv2d.__module__}.{nn.Conv2d.__qualname__}"


@dataclass(frozen=True, slots=True)
class Form:
    """How a tensor is seen as maps.

    Attributes:
        kind: `maps`, `tokens` or `vector`.
        units: U.
        map_size: (h, w).
        units_last: The units are the last axis; so for all tokens.
        first_token: Tokens before the first of the grid.
        batch_axis: Axis of the photographs: 1 for tokens of shape (L, B, U), else 0.
    """

    kind: Kind
    units: int
    map_size: tuple[int, int]
    units_last: bool = False
    first_token: int = 0
    batch_axis: int = 0


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a forward pass when a layer has run in it.

    Attributes:
        batch: Photographs that went in.
        image_size: (H, W) of those.
        grids: (h, w) of the maps that convolutions put out before the layer ran, latest first.
        orders: Sides of four-axis outputs up to then, without the batch, whose modules tell
            whether the units are last, and whether they are; latest first.
        tokens_before: Tokens before the grid as the model states it; None if it does not.
        patch: (height, width) of a patch as the model states it; None if it does not.
    """

    batch: int
    image_size: tuple[int, int]
    grids: tuple[tuple[int, int], ...] = ()
    orders: tuple[tuple[tuple[int, ...], bool], ...] = ()
    tokens_before: int | None = None
    patch: tuple[int, int] | None = None


def read_form(tensor: Tensor, part: nn.Module | None, evidence: Evidence) -> Form | str:
    """How a layer's output is seen as maps, or the reason why it cannot be.

    * Four axes are (B, U, h, w) or (B, h, w, U). Convolutions, poolings and their normalisations
      have the units first, `nn.Linear` and `nn.LayerNorm` have them last; what is of the same
      shape as the latest of their outputs has them there too. Otherwise the two neighbouring axes
      that have the photograph's proportions are h and w; where both pairs do, the one that has
      them exactly; where that does not tell either, the units come first.
    * Three axes are tokens (B, L, U), or (L, B, U) where only the second axis has the length of
      the batch. The grid is that of the latest convolution before, if L is its h * w or a few
      more: as many as the model states, else 16 or a quarter of the grid at most. Or it is the
      photograph in patches of the size that the model states; or h * w = L, or L - 1, with
      exactly the photograph's proportions. Tokens beyond the grid lie before it.
    * Two axes are (B, U).

    Args:
        tensor: The output.
        part: The module; None if a part of its output is looked at.
        evidence: The forward pass.
    """
    reason = _reason(tensor, evidence)
    if reason is not None:
        return reason
    sides = tuple(tensor.shape)
    if len(sides) == 2:
        return Form("vector", sides[1], (1, 1))
    if len(sides) == 3:
        axis = int(_has_tokens_first(sides, evidence.batch))
        return _read_tokens(sides[1 - axis], sides[2], evidence, batch_axis=axis)
    last = _has_units_last(sides[1:], part, evidence)
    if last is None:
        return f"its output {sides} has no two sides with the photograph's proportions"
    if last:
        return Form("maps", sides[3], (sides[1], sides[2]), units_last=True)
    return Form("maps", sides[1], (sides[2], sides[3]))


def _reason(tensor: Tensor, evidence: Evidence) -> str | None:
    """Why an output cannot be dissected, whatever its axes mean; None if that is open."""
    sides, batch = tuple(tensor.shape), evidence.batch
    if not tensor.is_floating_point():
        kind = str(tensor.dtype).removeprefix("torch.")
        return f"its output is {kind}, real numbers were expected"
    if sides[:1] != (batch,) and not _has_tokens_first(sides, batch):
        return f"its output {sides} for {batch} images does not begin with them"
    if 0 in sides or len(sides) not in (2, 3, 4):
        return f"its output {sides} is no map"
    return None


def _has_tokens_first(sides: tuple[int, ...], batch: int) -> bool:
    return len(sides) == 3 and sides[0] != batch == sides[1]


def class_of(part: nn.Module) -> str:
    """Dotted name of a module's class; of a part of a program, of the class it was exported from.

    >>> class_of(nn.ReLU())
    'torch.nn.modules.activation.ReLU'
    """
    exported = getattr(part, "type_name", None)
    name = exported() if callable(exported) else None
    kind = type(part)
    return name if isinstance(name, str) else f"{kind.__module__}.{kind.__qualname__}"


def order_of(part: nn.Module | None) -> bool | None:
    """Whether a module has the units last of four axes; None if its class does not tell."""
    if part is None:
        return None
    name = class_of(part)
    if isinstance(part, _UNITS_FIRST) or name in _NAMES_FIRST:
        return False
    return True if name in _NAMES_LAST else None


def is_convolution(part: nn.Module) -> bool:
    """Whether a module is a convolution over photographs."""
    return isinstance(part, nn.Conv2d) or class_of(part) == _CONVOLUTION


def _has_units_last(
    sides: tuple[int, ...], part: nn.Module | None, evidence: Evidence
) -> bool | None:
    """Whether (a, b, c) is (h, w, units) rather than (units, h, w); None if it is neither."""
    known = order_of(part)
    if known is not None:
        return known
    for others, last in evidence.orders:
        if others == sides:
            return last
    pairs, (height, width) = (sides[:2], sides[1:]), evidence.image_size
    near = [_proportional(pair, evidence.image_size) for pair in pairs]
    if near[0] != near[1]:
        return near[0]
    exact = [pair[0] * width == pair[1] * height for pair in pairs]
    return (exact[0] and not exact[1]) if near[0] else None


def _proportional(pair: tuple[int, ...], image_size: tuple[int, int]) -> bool:
    """Whether h to w is as H to W; each side may have been rounded up or down by one."""
    height, width = pair
    shape = image_size[0] / image_size[1]
    return (height - 1) / (width + 1) <= shape <= (height + 1) / max(width - 1, 1e-9)


def _read_tokens(length: int, units: int, evidence: Evidence, *, batch_axis: int) -> Form | str:
    found = _find_grid(length, evidence)
    if found is None:
        return f"its {length} tokens make no grid of the photograph's proportions"
    before, size = found
    return Form("tokens", units, size, units_last=True, first_token=before, batch_axis=batch_axis)


def _find_grid(length: int, evidence: Evidence) -> tuple[int, tuple[int, int]] | None:
    """(tokens before the grid, (h, w)) of a sequence."""
    height, width = evidence.image_size
    stated = evidence.tokens_before
    known = list(evidence.grids)
    if evidence.patch is not None:
        known.append((height // evidence.patch[0], width // evidence.patch[1]))
    beyond = [(length - h * w, (h, w)) for h, w in known if h * w > 0]
    # the sort keeps the latest grid first among equals
    fitting = [
        (n, (h, w))
        for n, (h, w) in beyond
        if n == stated or 0 <= n <= min(MOST_TOKENS_BEFORE, h * w // 4)
    ]
    fitting.sort(key=lambda found: (found[0] not in (0, stated), found[0] != stated, found[0]))
    if fitting:
        return fitting[0]
    for before in dict.fromkeys([*([] if stated is None else [stated]), 0, 1]):
        left = length - before
        if left == 1:
            return before, (1, 1)
        divisor = math.gcd(height, width)
        scale = math.isqrt(max(left, 0) * divisor * divisor // (height * width))
        size = (scale * height // divisor, scale * width // divisor)
        if left > 0 and size[0] * size[1] == left:
            return before, size
    return None
