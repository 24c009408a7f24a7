"""Models of one's own code: `package.module:callable` or `path/to/file.py:Class`.

The callable gives the `torch.nn.Module`, or a pair of that and its preprocessing:

    def build():
        return Net(), {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

for RGB in 0..1. Attributes of the module are not asked: one that normalises by itself may well
keep a `mean` of its own.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from conceptset.errors import UsageError
from dissect.errors import ModelError
from dissect.models.sources import Built, Request, register, seeded

_RESERVED = ("timm", "torchvision")


class InHouse:
    """A class, or a function that returns the model; called without arguments, or with
    `num_classes` where that is given."""

    name = "in-house"

    def claims(self, spec: str) -> bool:
        """Anything with a colon that no other source uses as its prefix."""
        place, colon, _ = spec.rpartition(":")
        return bool(colon and place) and place not in _RESERVED

    def build(self, request: Request) -> Built:
        """The model; see `ModelSource.build`."""
        if request.weights.name is not None:
            raise UsageError(
                f"--weights {request.weights.name}: an in-house model has no published weights, "
                "and there is no such file",
                hint="Give a checkpoint file, or leave --weights out if the code loads its own.",
            )
        place, _, attribute = request.spec.rpartition(":")
        factory = _find(place, attribute, spec=request.spec)
        module, mean, std = _call(factory, request)
        name = f"{Path(place).name}:{attribute}" if _is_file(place) else request.spec
        if request.weights.random:
            return Built(module, name, "none (random, seed 0)", mean, std, mean is not None)
        return Built(
            module,
            name,
            "as built by the code (seed 0)",
            mean,
            std,
            mean is not None,
            notes=()
            if request.weights.file
            else (f"{name} is used as its code built it; no weights were loaded into it.",),
        )


def _is_file(place: str) -> bool:
    return place.endswith(".py")


def _find(place: str, attribute: str, *, spec: str) -> Callable[..., Any]:
    """The callable that MODEL names."""
    module = _from_file(Path(place)) if _is_file(place) else _from_package(place, spec=spec)
    target: Any = module
    for part in attribute.split("."):
        target = getattr(target, part, None)
    if target is None:
        names = [name for name, value in vars(module).items() if callable(value)]
        raise UsageError(
            f"has no {attribute!r}",
            path=place,
            hint=f"It has {', '.join(names[:6])}." if names else "It defines nothing to call.",
        )
    if not callable(target):
        raise UsageError(f"{attribute!r} cannot be called", path=place)
    found: Callable[..., Any] = target
    return found


@contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Modules beside the model can be imported inside the block; installed ones come first."""
    sys.path.append(str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _from_package(place: str, *, spec: str) -> ModuleType:
    with _importable(Path.cwd()):
        try:
            return importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise UsageError(
                f"{spec}: there is no module {error.name!r}",
                hint="Install it, run where it can be imported, or give path/to/file.py:Class.",
            ) from error
        except Exception as error:
            raise ModelError(f"{spec}: importing it raised {_shown(error)}") from error


def _from_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise ModelError("there is no such file", path=path)
    name = f"_in_house_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]}"
    plan = importlib.util.spec_from_file_location(name, path)
    if plan is None or plan.loader is None:
        raise ModelError("cannot be imported", path=path)
    module = importlib.util.module_from_spec(plan)
    sys.modules[name] = module  # dataclasses and pickles of the module look it up
    with _importable(path.resolve().parent):
        try:
            plan.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise ModelError(f"importing it raised {_shown(error)}", path=path) from error
    return module


_Values = tuple[float, ...]


def _call(
    factory: Callable[..., Any], request: Request
) -> tuple[nn.Module, _Values | None, _Values | None]:
    """The module, and the preprocessing where the code states it."""
    options = {} if request.num_classes is None else {"num_classes": request.num_classes}
    try:
        inspect.signature(factory).bind(**options)
    except TypeError as error:
        raise UsageError(
            f"{request.spec} cannot be called with {', '.join(options) or 'no arguments'} "
            f"({error})",
            hint="Name a function that takes no arguments"
            + (" but num_classes" if options else "")
            + " and returns the model.",
        ) from error
    except ValueError:
        pass  # no signature to look at: calling it tells
    try:
        with seeded():
            made = factory(**options)
    except Exception as error:
        raise ModelError(f"{request.spec} raised {_shown(error)}") from error
    module, mean, std = made, None, None
    match made:
        case (nn.Module() as module, Mapping() as stated):
            mean, std = _preprocessing(stated, request.spec)
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            f"{request.spec} gave a TorchScript program: activations are read by hooks, which do "
            "not work on it",
            hint="Return the torch.nn.Module that it was made from, before torch.jit.script or "
            "torch.jit.trace.",
        )
    if not isinstance(module, nn.Module):
        raise UsageError(
            f"{request.spec} gave a {type(module).__name__}; a torch.nn.Module was expected, or a "
            'pair of one and {"mean": (R, G, B), "std": (R, G, B)}'
        )
    return _unwrapped(module), mean, std


def _preprocessing(stated: Mapping[Any, Any], spec: str) -> tuple[_Values, _Values]:
    """(mean, std) as the code states them.

    Raises:
        UsageError: They are no two times three numbers.
    """
    try:
        mean, std = (tuple(float(value) for value in stated[key]) for key in ("mean", "std"))
    except (KeyError, TypeError, ValueError):
        mean, std = (), ()
    if len(mean) != 3 or len(std) != 3 or not min(std) > 0 or set(stated) != {"mean", "std"}:
        raise UsageError(
            f"{spec} states its preprocessing as {dict(stated)!r:.200}",
            hint='{"mean": (R, G, B), "std": (R, G, B)} was expected, for images in 0..1.',
        )
    return mean, std


def _unwrapped(module: nn.Module) -> nn.Module:
    """The model inside torch.compile and the wrappers for several devices.

    Compiled code does not call hooks that come later, and the names should be the model's own.
    """
    while True:
        inner = getattr(module, "_orig_mod", None)
        if inner is None and isinstance(
            module, nn.DataParallel | nn.parallel.DistributedDataParallel
        ):
            inner = module.module
        if not isinstance(inner, nn.Module):
            return module
        module = inner


def _shown(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


register(InHouse())
