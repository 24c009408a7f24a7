"""Models of timm, by name: `timm:NAME` or `timm:NAME.TAG`."""

from __future__ import annotations

import contextlib
import difflib
import re
from collections.abc import Mapping
from types import ModuleType
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from torch import nn

from conceptset.errors import UsageError
from dissect.errors import ModelError
from dissect.models import sources
from dissect.models.sources import Built, register, seeded

_PREFIX = "timm:"
_SHOWN = 6
_PATIENCE = 10.0  # seconds
_OLDEST = (1, 0, 26)
_OLDEST_TEXT = ".".join(map(str, _OLDEST))


class Timm:
    """Models of timm; their weights come from the Hugging Face hub."""

    name = "timm"

    def claims(self, spec: str) -> bool:
        """`timm:NAME`."""
        return spec.startswith(_PREFIX)

    def build(self, request: sources.Request) -> Built:
        """The model; see `ModelSource.build`."""
        timm = _import()
        name, _, tag = request.spec.removeprefix(_PREFIX).partition(".")
        _check_name(timm, name)
        published = _published(timm, name)
        weights = request.weights
        tag = _check_tag(tag, published, model=name) if tag else ""
        if weights.name is not None:
            tag = _check_tag(weights.name.removeprefix(f"{name}."), published, model=name)
        elif not tag:
            tag = next(iter(published), "")  # timm lists its default first
        settings = published.get(tag) or timm.get_pretrained_cfg(name)
        mean, std = _triple(settings, "mean"), _triple(settings, "std")
        if weights.random or weights.file is not None:
            module = _create(timm, name, request)
            return Built(module, name, "none (random, seed 0)", mean, std)
        if not published:
            raise UsageError(
                f"timm publishes no weights for {name}",
                hint="Give --weights none (random) or a checkpoint file.",
            )
        _check_classes(settings, request.num_classes, model=name, tag=tag)
        module = _fetch(timm, f"{name}.{tag}", settings, published)
        text = tag if weights.name is not None else f"DEFAULT ({tag})"
        return Built(module, name, text, mean, std)


def _import() -> ModuleType:
    try:
        import timm  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise UsageError(
            f"timm:NAME needs the package timm, which cannot be imported here ({error})",
            hint="pip install 'conceptset[timm]'",
        ) from error
    found: ModuleType = timm
    numbers = tuple(int(number) for number in re.findall(r"\d+", found.__version__)[:3])
    if numbers < _OLDEST:
        raise UsageError(
            f"timm {found.__version__} is too old: it unpickles weights, {_OLDEST_TEXT} does not",
            hint="pip install 'conceptset[timm]'",
        )
    return found


def _check_name(timm: ModuleType, name: str) -> None:
    if timm.is_model(name):
        return
    near = difflib.get_close_matches(name.lower(), timm.list_models(), n=4, cutoff=0.5)
    raise UsageError(
        f"timm {timm.__version__} has no model {name!r}",
        hint=f"Near: {', '.join(near)}." if near else "Names are listed by timm.list_models().",
    )


def _published(timm: ModuleType, name: str) -> dict[str, Any]:
    """The settings of each tag that has weights, timm's default first."""
    found = {
        known.partition(".")[2]: settings
        for known, settings in timm.models.get_arch_pretrained_cfgs(name).items()
        if settings.has_weights
    }
    default = getattr(timm.get_pretrained_cfg(name), "tag", None)
    return dict(sorted(found.items(), key=lambda item: item[0] != default))


def _check_tag(tag: str, published: Mapping[str, Any], *, model: str) -> str:
    if tag in published:
        return tag
    raise UsageError(
        f"timm's {model} has no weights {tag!r}, and there is no such file",
        hint=f"There are {_alternatives(published)}.",
    )


def _alternatives(published: Mapping[str, Any]) -> str:
    tags = list(published)
    more = [f"{len(tags) - _SHOWN} more"] if len(tags) > _SHOWN else []
    return ", ".join([*tags[:_SHOWN], *more, "none (random), or a checkpoint file"])


def _check_classes(settings: object, wanted: int | None, *, model: str, tag: str) -> None:
    classes = getattr(settings, "num_classes", None)
    if wanted is not None and classes != wanted:
        raise UsageError(
            f"{model} with weights {tag} has {classes} classes, --num-classes asks for {wanted}",
            hint="Leave --num-classes out, or give --weights none or a checkpoint of your own.",
        )


def _triple(settings: object, name: str) -> tuple[float, ...] | None:
    values = tuple(float(value) for value in getattr(settings, name, None) or ())
    return values if len(values) == 3 else None


def _create(timm: ModuleType, name: str, request: sources.Request) -> nn.Module:
    options = {} if request.num_classes is None else {"num_classes": request.num_classes}
    try:
        with seeded():
            module: nn.Module = timm.create_model(name, pretrained=False, **options)
    except Exception as error:
        raise ModelError(f"timm cannot build {name} ({type(error).__name__}: {error})") from error
    return module


def _fetch(
    timm: ModuleType, name: str, settings: object, published: Mapping[str, Any]
) -> nn.Module:
    """The model with published weights, which timm reads without running what they hold.

    Raises:
        ModelError: They cannot be had.
    """
    try:
        _knock(settings)
        with seeded():
            module: nn.Module = timm.create_model(name, pretrained=True)
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise ModelError(
            f"the weights {name} cannot be had ({type(error).__name__}: {reason})",
            hint=f"--weights takes {_alternatives(published)}.",
        ) from error
    return module


def _knock(settings: object) -> None:
    """Fail at once where the hub is out of reach and its file is not in the cache.

    timm's own way fails as well, after many attempts that take a minute.
    """
    place = getattr(settings, "hf_hub_id", None)
    if not place:
        return
    import huggingface_hub as hub  # noqa: PLC0415 - comes with timm

    file = getattr(settings, "hf_hub_filename", None) or "model.safetensors"
    if not isinstance(hub.try_to_load_from_cache(place.partition("@")[0], file), str):
        with contextlib.suppress(HTTPError):  # an answer, whatever it is
            urlopen(Request(hub.constants.ENDPOINT, method="HEAD"), timeout=_PATIENCE).close()


register(Timm())
