"""Thresholds that are given, not computed: another run's, or a file's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from conceptset.errors import SourceError, UsageError
from conceptset.io.tables import digest
from dissect.outputs import LayerShape
from dissect.plan import Thresholds
from dissect.state import layer_directories


def read_thresholds(path: Path, layers: Sequence[str]) -> dict[str, Thresholds]:
    """The thresholds that `--thresholds` names.

    Args:
        path: A `.npy` file, for a run of one layer; or a directory with `<layer>/thresholds.npy`
            (another run), `<layer>.npy` or `thresholds_<layer>.npy`.
        layers: The layers of the run.

    Raises:
        UsageError: A file for several layers, or no file for one.
        SourceError: A file cannot be read.
    """
    if path.is_file():
        if len(layers) != 1:
            raise UsageError(
                f"one file of thresholds for {len(layers)} layers",
                path=path,
                hint="Give a directory with <layer>/thresholds.npy for each.",
            )
        return {layers[0]: _read_npy(path)}
    directories = layer_directories(layers)
    found = {}
    for name, directory in directories.items():
        places = (f"{directory}/thresholds.npy", f"{directory}.npy", f"thresholds_{directory}.npy")
        files = [path / place for place in places if (path / place).is_file()]
        if not files:
            raise UsageError(
                f"holds no thresholds for the layer {name}",
                path=path,
                hint=f"{places[0]} was expected.",
            )
        found[name] = _read_npy(files[0])
    return found


def _read_npy(path: Path) -> Thresholds:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise SourceError(f"cannot be read as .npy ({error})", path=path) from error
    if not isinstance(values, np.ndarray):
        raise SourceError("is an archive, a single array was expected", path=path)
    return values


def check_thresholds(thresholds: Mapping[str, Thresholds], shape: LayerShape) -> Thresholds:
    """The thresholds given for a layer, as they are.

    Raises:
        UsageError: There are none, or they are not one finite float32 or float64 for each unit.
    """
    values = thresholds.get(shape.name)
    if values is None:
        raise UsageError(
            f"no thresholds are given for the layer {shape.name}",
            hint="Give them for every layer of the run, or for none.",
        )
    if values.shape != (shape.units,) or values.dtype not in (np.float32, np.float64):
        raise UsageError(
            f"the thresholds given for the layer {shape.name} are {values.dtype} {values.shape}; "
            f"float32 or float64 ({shape.units},) was expected"
        )
    if not np.isfinite(values).all():
        raise UsageError(f"a threshold given for the layer {shape.name} is not finite")
    return values


def digest_thresholds(values: Thresholds) -> str:
    """SHA-256 of their kind and values."""
    little = values.astype(values.dtype.newbyteorder("<"))
    return digest(f"{values.dtype.name}\n".encode() + little.tobytes())
