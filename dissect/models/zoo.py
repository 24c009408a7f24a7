"""Models of torchvision, by name: `resnet18` or `torchvision:resnet18`."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import torch
from torch import nn

from conceptset.errors import UsageError
from dissect.errors import ModelError
from dissect.models.checkpoint import read_checkpoint
from dissect.models.sources import Built, Request, register, seeded

# torchvision.models takes seconds to import, for compilers that nobody here uses; whoever names
# no model of its does without.
if TYPE_CHECKING:
    from torchvision.models import WeightsEnum

_PREFIX = "torchvision:"
_OPTIONAL_PARTS = {  # builder option -> beginnings of the keys that tell whether it was on
    "aux_logits": ("aux1.", "AuxLogits."),
    "aux_loss": ("aux_classifier.",),
}


class Torchvision:
    """Classification, segmentation and detection models of torchvision."""

    name = "torchvision"

    def claims(self, spec: str) -> bool:
        """`torchvision:NAME`, or a bare name without colon, dot and slash."""
        return spec.startswith(_PREFIX) or not set(spec) & set(":./\\")

    def build(self, request: Request) -> Built:
        """The model; see `ModelSource.build`."""
        from torchvision.models import get_model_builder, get_model_weights  # noqa: PLC0415

        name = _known_name(request.spec.removeprefix(_PREFIX))
        builder, entries = get_model_builder(name), get_model_weights(name)
        weights = request.weights
        default = entries["DEFAULT"] if "DEFAULT" in entries.__members__ else None
        entry = None
        if weights.name is not None:
            entry = _entry(entries, weights.name, model=name)
        elif weights.default:
            entry = default
            if entry is None:
                raise UsageError(
                    f"torchvision publishes no weights for {name}",
                    hint="Give --weights none (random) or a checkpoint file.",
                )
        mean, std = _normalisation(entry or default)
        if entry is None:
            module, notes = _unfilled(builder, request)
            return Built(module, name, "none (random, seed 0)", mean, std, notes=notes)
        _check_classes(entry, request.num_classes, model=name)
        _fetch(entry, entries)
        with seeded():
            module = builder(weights=entry, progress=False)
        text = f"DEFAULT ({entry.name})" if weights.default else entry.name
        return Built(module, name, text, mean, std)


def _known_name(name: str) -> str:
    """The name itself, if torchvision builds a model of it that takes an image.

    Raises:
        UsageError: It does not; the message has names that are near.
    """
    from torchvision import models  # noqa: PLC0415

    kinds = (models, models.segmentation, models.detection)
    known = [known for kind in kinds for known in models.list_models(kind)]
    if name.lower() in known:
        return name.lower()
    near = difflib.get_close_matches(name.lower(), known, n=4, cutoff=0.5)
    if name in models.list_models():
        raise UsageError(f"torchvision's {name} takes videos or is quantized, not one image")
    raise UsageError(
        f"torchvision has no model {name!r}",
        hint=f"Near: {', '.join(near)}."
        if near
        else "In-house models are given as package.module:callable or path/to/file.py:Class.",
    )


def _entry(entries: type[WeightsEnum], name: str, *, model: str) -> WeightsEnum:
    """The member of a weights enum; `Class.NAME` and bare `NAME` mean the same."""
    family, _, bare = name.rpartition(".")
    if family in ("", entries.__name__) and bare in entries.__members__:
        return entries[bare]
    raise UsageError(
        f"{model} has no weights {name!r}, and there is no such file",
        hint=f"There are {_alternatives(entries)}.",
    )


def _alternatives(entries: type[WeightsEnum]) -> str:
    return ", ".join(
        [
            *(name for name in entries.__members__ if name != "DEFAULT"),
            "none (random), or a checkpoint file",
        ]
    )


def _check_classes(entry: WeightsEnum, num_classes: int | None, *, model: str) -> None:
    published = entry.meta.get("categories")
    if num_classes is None or published is None or len(published) == num_classes:
        return
    raise UsageError(
        f"{model} with weights {entry.name} has {len(published)} classes, "
        f"--num-classes asks for {num_classes}",
        hint="Leave --num-classes out, or give --weights none or a checkpoint of your own.",
    )


def _normalisation(
    entry: WeightsEnum | None,
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    """Mean and std of published weights; (0, 1) where the model normalises by itself."""
    if entry is None:
        return None, None
    transforms = entry.transforms()
    mean, std = getattr(transforms, "mean", None), getattr(transforms, "std", None)
    if mean is None or std is None:
        return (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    return tuple(map(float, mean)), tuple(map(float, std))


def _unfilled(
    builder: Callable[..., nn.Module], request: Request
) -> tuple[nn.Module, tuple[str, ...]]:
    """The architecture with random weights, with the optional parts that the checkpoint has."""
    options: dict[str, Any] = {}
    known = {*inspect.signature(builder).parameters, *_base_options(builder)}
    if request.num_classes is not None:
        options["num_classes"] = request.num_classes
    if "weights_backbone" in known:
        options["weights_backbone"] = None
    if "init_weights" in known:
        options["init_weights"] = True
    for option, beginnings in _OPTIONAL_PARTS.items():
        if option in known and request.keys:
            options[option] = any(key.startswith(beginnings) for key in request.keys)
    with seeded():
        module = builder(weights=None, progress=False, **options)
    notes: tuple[str, ...] = ()
    if request.keys and hasattr(module, "transform_input"):
        notes = (
            "The published weights of this architecture expect torchvision's transform_input, "
            "which is off for a checkpoint; name them (--weights DEFAULT) to have it.",
        )
    return module, notes


def _base_options(builder: Callable[..., nn.Module]) -> set[str]:
    """Options that a builder of GoogLeNet or Inception hands on to its class."""
    kind = inspect.signature(builder, eval_str=True).return_annotation
    return set(inspect.signature(kind).parameters) if inspect.isclass(kind) else set()


def _fetch(entry: WeightsEnum, entries: type[WeightsEnum]) -> None:
    """See that the published file lies in torch's cache and holds no code.

    Torchvision's own download writes to standard output and unpickles whatever it finds there.

    Raises:
        ModelError: It cannot be had, or is broken.
    """
    file = Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(entry.url).path).name)
    if not file.exists():
        found = torch.hub.HASH_REGEX.search(file.name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(
                entry.url, str(file), found.group(1) if found else None, progress=False
            )
        except (OSError, RuntimeError, ValueError) as error:
            reason = getattr(error, "reason", None) or error
            raise ModelError(
                f"the weights {entry.name} cannot be downloaded from {entry.url} ({reason})",
                hint=f"--weights takes {_alternatives(entries)}; or put the file into "
                f"{file.parent}.",
            ) from error
    try:
        read_checkpoint(file)
    except ModelError as error:
        error.hint = "Delete the file, it will be downloaded anew."
        raise


register(Torchvision())
