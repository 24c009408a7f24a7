"""Where the receptive fields of a layer lie, read off the layers before it.

Along an axis, the cells of a map lie at `offset + stride * x` photograph pixels, `x` running
over `[0, cells]`. A window of `k` cells that moves by `s` after padding by `p` turns that into
`offset + stride * (k / 2 - p - s / 2)` and `stride * s`: nothing is rounded. Where branches meet,
the field is the smallest interval that holds all of theirs.

The graph comes from torch.fx. What it cannot follow, or does not know, has no known placement.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from dissect.errors import LayerError
from dissect.models.layers import parse_targets
from dissect.upsample import Placement

_WAY_OUT = "Use --upsample half-pixel, which needs no knowledge of the layers."
_KEEPING_PACKAGES = (
    "torch.nn.modules.activation",
    "torch.nn.modules.batchnorm",
    "torch.nn.modules.dropout",
    "torch.nn.modules.normalization",
    "torch.nn.modules.instancenorm",
)
_KEEPING_NAMES = frozenset(
    [
        *("add", "iadd", "sub", "mul", "imul", "truediv", "cat", "clone", "contiguous", "float"),
        *("relu", "relu_", "relu6", "gelu", "silu", "hardswish", "hardsigmoid", "sigmoid", "tanh"),
        *("leaky_relu", "elu", "dropout", "batch_norm", "stochastic_depth"),
    ]
)
_WINDOWS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_ADAPTIVE = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)
_FUNCTIONAL_WINDOWS = (F.max_pool2d, F.avg_pool2d, torch.max_pool2d)


@dataclass(frozen=True, slots=True)
class _Fields:
    """Receptive fields of a map's cells along one axis.

    Attributes:
        offset: See above.
        stride: See above.
        reach: Width of one field.
    """

    offset: float
    stride: float
    reach: float

    def through(self, window: int, step: float, padding: float) -> _Fields:
        """The fields after a window of `window` cells has moved over these."""
        return _Fields(
            self.offset + self.stride * (window / 2 - padding - step / 2),
            self.stride * step,
            self.reach + self.stride * (window - 1),
        )


_Place = tuple[_Fields, _Fields]


def _join(places: Sequence[_Place]) -> _Place | None:
    """The smallest fields that hold those of all branches; None if their strides differ."""
    joined = []
    for axis in (0, 1):
        fields = [place[axis] for place in places]
        stride = fields[0].stride
        if any(abs(field.stride - stride) > 1e-9 * stride for field in fields):
            return None
        low = min(field.offset - field.reach / 2 for field in fields)
        high = max(field.offset + field.reach / 2 for field in fields)
        joined.append(_Fields((low + high) / 2, stride, high - low))
    return joined[0], joined[1]


def _pair(value: Any) -> tuple[int, int]:  # noqa: ANN401 - an int or two, as torch takes them
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


class _Tracer(fx.Tracer):
    """Remembers which nodes are the outputs of which module, also of those it looks into."""

    def __init__(self) -> None:
        super().__init__()
        self.outputs: dict[str, list[fx.Node]] = {}

    def call_module(
        self,
        m: nn.Module,
        forward: Any,  # noqa: ANN401 - as torch declares it
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:  # noqa: ANN401
        result = super().call_module(m, forward, args, kwargs)
        if isinstance(result, fx.Proxy):
            self.outputs.setdefault(self.path_of_module(m), []).append(result.node)
        return result


class _Walk(fx.Interpreter):
    """A forward pass that carries the receptive fields along."""

    def __init__(self, program: fx.GraphModule) -> None:
        super().__init__(program)
        self.places: dict[fx.Node, _Place | None] = {}
        self._sizes: dict[fx.Node, tuple[int, int] | None] = {}

    def run_node(self, n: fx.Node) -> Any:  # noqa: ANN401 - as torch declares it
        result = super().run_node(n)
        is_map = isinstance(result, torch.Tensor) and result.ndim == 4
        size = (int(result.shape[2]), int(result.shape[3])) if is_map else None
        self._sizes[n] = size
        self.places[n] = None if size is None else self._place(n, size)
        return result

    def _place(self, node: fx.Node, size: tuple[int, int]) -> _Place | None:
        if node.op == "placeholder":
            start = _Fields(0.0, 1.0, 1.0)
            return start, start
        inputs = [other for other in node.all_input_nodes if self._sizes.get(other) is not None]
        if not inputs:
            return None
        if node.op == "call_module":
            return self._through_module(self.fetch_attr(str(node.target)), inputs[0], size)
        if node.target in _FUNCTIONAL_WINDOWS:
            return self._through_pooling(node, inputs[0])
        if node.target in (F.adaptive_avg_pool2d, F.adaptive_max_pool2d):
            return self._through_adaptive(inputs[0], size)
        return self._through_elementwise(node, inputs, size)

    def _through_elementwise(
        self, node: fx.Node, inputs: Sequence[fx.Node], size: tuple[int, int]
    ) -> _Place | None:
        name = node.target if isinstance(node.target, str) else node.target.__name__
        if name not in _KEEPING_NAMES:
            return None
        # one that is spread over the others (a gate of 1x1) has no say in where they lie
        known = [self.places[other] for other in inputs if self._sizes[other] == size]
        certain = [place for place in known if place is not None]
        return _join(certain) if certain and len(certain) == len(known) else None

    def _through_module(
        self, module: nn.Module, source: fx.Node, size: tuple[int, int]
    ) -> _Place | None:
        if isinstance(module, _WINDOWS):
            window, step = _pair(module.kernel_size), _pair(module.stride)
            dilation = _pair(getattr(module, "dilation", 1))
            padding = module.padding
            if padding == "same":
                padding = tuple(d * (k - 1) // 2 for d, k in zip(dilation, window, strict=True))
            elif padding == "valid":
                padding = 0
            return self._through(source, window, step, _pair(padding), dilation)
        if isinstance(module, _ADAPTIVE):
            return self._through_adaptive(source, size)
        keeps = type(module).__module__ in _KEEPING_PACKAGES or isinstance(module, nn.Identity)
        return self.places[source] if keeps and self._sizes[source] == size else None

    def _through_pooling(self, node: fx.Node, source: fx.Node) -> _Place | None:
        names = ("input", "kernel_size", "stride", "padding")
        given = {**dict(zip(names, node.args, strict=False)), **node.kwargs}
        window = _pair(given["kernel_size"])
        step = _pair(given.get("stride") or window)
        dilation = _pair(given.get("dilation", 1))
        return self._through(source, window, step, _pair(given.get("padding", 0)), dilation)

    def _through_adaptive(self, source: fx.Node, size: tuple[int, int]) -> _Place | None:
        before = self._sizes[source]
        place = self.places[source]
        if before is None or place is None:
            return None
        ratios = [before[axis] / size[axis] for axis in (0, 1)]
        vertical, horizontal = (
            _Fields(
                fields.offset,
                fields.stride * ratio,
                fields.reach + fields.stride * (ratio - 1),
            )
            for fields, ratio in zip(place, ratios, strict=True)
        )
        return vertical, horizontal

    def _through(
        self,
        source: fx.Node,
        window: tuple[int, int],
        step: tuple[int, int],
        padding: tuple[int, int],
        dilation: tuple[int, int],
    ) -> _Place | None:
        place = self.places[source]
        if place is None:
            return None
        vertical, horizontal = (
            place[axis].through(dilation[axis] * (window[axis] - 1) + 1, step[axis], padding[axis])
            for axis in (0, 1)
        )
        return vertical, horizontal


def find_placements(
    module: nn.Module, layers: Sequence[str], *, size: tuple[int, int], device: torch.device
) -> dict[str, Placement]:
    """Where the cells of each layer lie in a photograph.

    Args:
        module: The model.
        layers: Names of layers that put out maps (images, units, h, w).
        size: (height, width) of the photographs.
        device: Where the model is.

    Raises:
        LayerError: The model cannot be followed, or the way to a layer leads through something
            whose receptive field is not known.
    """
    targets = parse_targets(module, layers)
    tracer = _Tracer()
    try:
        graph = tracer.trace(module)
        walk = _Walk(fx.GraphModule(module, graph))
        with torch.inference_mode():
            walk.run(torch.zeros((1, 3, *size), device=device))
    except Exception as error:
        raise LayerError(
            f"torch.fx cannot follow the model ({str(error).splitlines()[0][:200]}), so that the "
            "receptive fields are not known",
            pointer=f"layer {layers[0]}",
            hint=_WAY_OUT,
        ) from error
    found = {}
    for name, target in zip(layers, targets, strict=True):
        nodes = [] if target.keys else tracer.outputs.get(target.module, [])
        number = (target.call or 1) - 1
        place = walk.places.get(nodes[number]) if number < len(nodes) else None
        if place is None:
            raise LayerError(
                "the receptive fields are not known: something on the way is no convolution, "
                "pooling, normalisation or activation",
                pointer=f"layer {name}",
                hint=_WAY_OUT,
            )
        found[name] = Placement(
            (place[0].offset, place[1].offset), (place[0].stride, place[1].stride)
        )
    return found
