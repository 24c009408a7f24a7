"""Checkpoints read without running what they hold: the only place that calls `torch.load`."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TypeGuard

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from conceptset.errors import UnsafeError, printable
from dissect.errors import ModelError

NESTED = ("state_dict", "model", "net")
_PREFIXES = ("module.", "_orig_mod.")
_FORBIDDEN = re.compile(
    r"GLOBAL (?P<name>[\w.]*\w) (?:was|whose)"
    r"|unrecognized function (?P<function>[^\n]+?)(?: which|$)"
    r"|Can only (?:build|create new object)|whose module .+ is blocked",
    re.MULTILINE,
)
_SAVE = "Save the weights alone with torch.save(model.state_dict(), FILE)."
_BROKEN = "The file is broken or cut short; copy it again from its origin."


def read_checkpoint(path: Path, *, allow_pickle: bool = False) -> dict[str, Tensor]:
    """The tensors of a checkpoint by name, on the CPU, in the order of the file.

    A bare state dict, or one under `state_dict`, `model` or `net`. The prefixes `module.` and
    `_orig_mod.`, which wrappers put before every name, are taken off.

    Args:
        path: `.safetensors`, or anything that `torch.save` wrote.
        allow_pickle: Run the code that a pickle holds.

    Raises:
        ModelError: It cannot be read, or holds no state dict.
        UnsafeError: It holds code and `allow_pickle` is not set.
    """
    if path.is_dir():
        raise ModelError("is a directory, a checkpoint file was expected", path=path)
    if not path.is_file():
        raise ModelError("there is no such checkpoint", path=path)
    if path.suffix.lower() == ".safetensors":
        content: object = _read_safetensors(path)
    else:
        _check_archive(path)
        content = _read_pickle(path, allow_pickle=allow_pickle)
    return strip_prefixes(_state_dict(content, path))


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelError(
            f"is no valid safetensors file ({error})", path=path, hint=_BROKEN
        ) from error
    except OSError as error:
        raise ModelError(f"cannot be read ({error.strerror or error})", path=path) from error


def _check_archive(path: Path) -> None:
    """Refuse archives that are no checkpoint, before torch opens them."""
    try:
        if not zipfile.is_zipfile(path):
            return
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (OSError, zipfile.BadZipFile, ValueError) as error:
        raise ModelError(f"cannot be read ({error})", path=path, hint=_BROKEN) from error
    names = {member.filename.partition("/")[2] for member in members}
    if "constants.pkl" in names:
        raise UnsafeError(
            "is a TorchScript program, which holds code; a state dict was expected",
            path=path,
            hint="Save its weights with torch.save(program.state_dict(), FILE).",
        )
    if "archive_format" in names or "models/model.json" in names:
        raise ModelError(
            "is a torch.export program, a state dict was expected",
            path=path,
            hint="Save its weights with torch.save(program.state_dict, FILE).",
        )
    if any(member.compress_type != zipfile.ZIP_STORED for member in members):
        raise UnsafeError(
            "is a compressed archive, which torch.save never writes",
            path=path,
            hint="If checkpoints lie inside it, unpack it and give one of them.",
        )


def _read_pickle(path: Path, *, allow_pickle: bool) -> object:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on protocols and old storages: the result tells
            return torch.load(path, map_location="cpu", weights_only=not allow_pickle)
    except PermissionError as error:
        raise ModelError(f"cannot be read ({error.strerror})", path=path) from error
    except (ImportError, AttributeError) as error:
        raise ModelError(
            f"needs code that cannot be imported here ({error})", path=path, hint=_SAVE
        ) from error
    except Exception as error:  # what a parser raises on broken bytes is anybody's guess
        found = _FORBIDDEN.search(str(error))
        if found is not None and not allow_pickle:
            raise _refusal(path, named=found.group("name") or found.group("function")) from error
        raise ModelError(
            f"is no checkpoint that torch can read ({_reason(error)})", path=path, hint=_BROKEN
        ) from error


def check_only_tensors(data: bytes) -> None:
    """Refuse what cannot be read without running what it holds.

    Args:
        data: What `torch.save` wrote.

    Raises:
        ValueError: It holds more than tensors, or is broken.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except Exception as error:  # of whatever kind: torch would go on and unpickle it
        raise ValueError("holds more than tensors") from error


def _refusal(path: Path, *, named: str | None) -> UnsafeError:
    return UnsafeError(
        "is a pickle that does more than hold tensors"
        + (f": it calls {printable(named, 80)}." if named else "."),
        path=path,
        hint=f"{_SAVE} --allow-pickle loads it all the same and runs the code inside with your "
        "rights: only for files whose origin you trust.",
    )


def _reason(error: Exception) -> str:
    """The first words of torch's own message, which goes on with advice for developers."""
    first = str(error).partition(". This is an internal")[0].partition("\n")[0]
    kind = type(error).__name__
    if not first or first.startswith("Weights only load failed"):
        return kind
    return f"{kind}: {printable(first, 160)}"


def _state_dict(content: object, path: Path) -> dict[str, Tensor]:
    """The state dict in what a file holds."""
    for candidate in (content, *_inside(content)):
        if isinstance(candidate, nn.Module):
            return dict(candidate.state_dict())
        if _is_state_dict(candidate):
            return dict(candidate)
    if isinstance(content, Mapping):
        found = ", ".join(printable(str(key), 40) for key in list(content)[:6]) or "nothing"
        what = f"holds {found}"
    else:
        what = f"holds a {type(content).__name__}"
    raise ModelError(
        f"{what}; a state dict was expected, bare or under {', '.join(NESTED)}",
        path=path,
        hint=_SAVE,
    )


def _inside(content: object) -> list[object]:
    if not isinstance(content, Mapping):
        return []
    return [content[key] for key in NESTED if key in content]


def _is_state_dict(value: object) -> TypeGuard[Mapping[str, Tensor]]:
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(key, str) for key in value)
        and all(isinstance(tensor, Tensor) for tensor in value.values())
    )


def strip_prefixes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict without the wrappers' prefixes, where every name begins with one.

    Only the front is touched: `module.submodule.weight` becomes `submodule.weight`.

    >>> list(strip_prefixes({"_orig_mod.module.submodule.weight": torch.zeros(1)}))
    ['submodule.weight']
    """
    result = dict(state)
    while result:
        prefix = next((p for p in _PREFIXES if all(key.startswith(p) for key in result)), None)
        if prefix is None:
            break
        result = {key.removeprefix(prefix): tensor for key, tensor in result.items()}
    return result
