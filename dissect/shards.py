"""A part of a run: a range of whole batches, with a folder that outlives the process.

Batches are cut at absolute multiples of the batch size, so that every image is computed in the
company of the same places of a batch however many shards there are. What a shard has found is
integers and activations, which can be put together with those of others in any order.

A folder is `RUN/shards/<number>-of-<shards>/`. Its `state.safetensors` names the files that count;
it is replaced in one step, so whatever else lies there was left by a process that was stopped.
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from conceptset.errors import LayoutError, UsageError
from conceptset.io.atomic import write_file
from dissect.counts import encode_arrays
from dissect.errors import RunExistsError
from dissect.tiles import IntArray, MapArray

try:
    import fcntl
except ImportError:  # Windows: two processes at one run are not kept apart there
    fcntl = None  # type: ignore[assignment]

_NAME = re.compile(r"(?P<number>[1-9]\d*)-of-(?P<of>[1-9]\d*)")
MAX_SHARDS = 100_000
_BETWEEN_SECONDS = 0.2  # tries to get a lock
_SCHEMA = 1  # of a folder; what another version has kept cannot be gone on from


@dataclass(frozen=True, slots=True, order=True)
class Shard:
    """The `number`-th of so many parts, from 1."""

    of: int
    number: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    @property
    def folder(self) -> str:
        """Name of its folder."""
        return f"{self.number}-of-{self.of}"

    def batches(self, total: int) -> range:
        """Its batches among `total`; shards differ by one batch at most, and may be empty.

        >>> [Shard(3, number).batches(7) for number in (1, 2, 3)]
        [range(0, 2), range(2, 4), range(4, 7)]
        """
        return range((self.number - 1) * total // self.of, self.number * total // self.of)

    @classmethod
    def all(cls, of: int) -> list[Shard]:
        """Every shard, in order."""
        return [cls(of, number) for number in range(1, of + 1)]


WHOLE = Shard(1, 1)


def parse_shard(text: str) -> Shard:
    """`--shard K/N`.

    Raises:
        UsageError: It is not written that way, or there is no such shard.

    >>> parse_shard("2/8")
    Shard(of=8, number=2)
    """
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    number, of = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= number <= of <= MAX_SHARDS:
        raise UsageError(
            f"--shard is {text[:40]!r}; K/N with K from 1 to N was expected, 1/4 for the first of "
            "four"
        )
    return Shard(of, number)


def find_shards(folder: Path) -> list[Shard]:
    """The shards that have a folder, sorted."""
    if not folder.is_dir():
        return []
    names = (_NAME.fullmatch(path.name) for path in folder.iterdir() if path.is_dir())
    return sorted(Shard(int(name["of"]), int(name["number"])) for name in names if name)


@dataclass(frozen=True, slots=True)
class Progressed:
    """How far a shard has come; its stores are those of as many passes as its folder says.

    Attributes:
        batch: The next batch of the run.
        complete: Every batch of the shard was scanned.
        layers: For each layer, the files of its store and how many it has written.
        bounds: For each layer, (units,) float32.
        ties: For each layer, (units,) int64.
    """

    batch: int
    complete: bool
    layers: tuple[dict[str, Any], ...]
    bounds: tuple[MapArray, ...]
    ties: tuple[IntArray, ...]


@dataclass(frozen=True, slots=True)
class ShardFolder:
    """What a shard keeps on disk.

    Attributes:
        root: Its folder.
        fingerprint: Of the run.
        passes: Of the run; stores of another number are of another kind, and begun anew.
    """

    root: Path
    fingerprint: str
    passes: int = 1

    @property
    def state(self) -> Path:
        """How far it has come."""
        return self.root / "state.safetensors"

    def layer(self, place: int) -> Path:
        """The folder of a layer's store; made if it is missing."""
        folder = self.root / f"layer-{place:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def write(self, progressed: Progressed) -> None:
        """Replace the state; the files that it names are brought to the disk first."""
        arrays: dict[str, NDArray[Any]] = {}
        sizes = {str(file.relative_to(self.root)): _flush(file) for file in self._named(progressed)}
        for place, (bound, ties) in enumerate(zip(progressed.bounds, progressed.ties, strict=True)):
            arrays[f"{place}.bound"], arrays[f"{place}.ties"] = bound, ties
        content = {
            **self._whose(),
            "batch": progressed.batch,
            "complete": progressed.complete,
            "layers": list(progressed.layers),
            "sizes": sizes,
        }
        metadata = {"state": json.dumps(content, sort_keys=True)}
        write_file(self.state, encode_arrays(arrays, metadata))

    def read(self) -> Progressed | None:
        """The state; None if there is none of this run.

        Raises:
            LayoutError: It is broken, or a file that it names is not as it was.
        """
        if not self.state.is_file():
            return None
        hint = f"Remove the directory {self.root}, and give the same command again."
        try:
            with safe_open(self.state, framework="numpy") as stream:
                content = json.loads((stream.metadata() or {}).get("state", "{}"))
                if {name: content.get(name) for name in self._whose()} != self._whose():
                    return None
                sizes = dict(content["sizes"])
                places = range(len(content["layers"]))
                bounds = tuple(stream.get_tensor(f"{place}.bound") for place in places)
                ties = tuple(stream.get_tensor(f"{place}.ties") for place in places)
        except (SafetensorError, OSError, ValueError, KeyError) as error:
            raise LayoutError(f"cannot be read ({error})", path=self.state, hint=hint) from error
        for name, size in sizes.items():
            file = self.root / name
            found = f"{file.stat().st_size} bytes" if file.is_file() else "no such file"
            if found != f"{size} bytes":
                message = f"should have {size} bytes as {self.state.name} says, found {found}"
                raise LayoutError(message, path=file, hint=hint)
        return Progressed(
            content["batch"], content["complete"], tuple(content["layers"]), bounds, ties
        )

    def _whose(self) -> dict[str, object]:
        """What must be equal for a state to be gone on from."""
        return {"run": self.fingerprint, "passes": self.passes, "schema_version": _SCHEMA}

    def _named(self, progressed: Progressed) -> Iterator[Path]:
        for place, layer in enumerate(progressed.layers):
            yield from (self.layer(place) / name for name in layer["files"])

    def tidy(self, kept: Sequence[Path]) -> None:
        """Remove what a process that was stopped left behind: all files of layers but `kept`."""
        for path in self.root.glob("layer-*/*"):
            if path.is_file() and path not in kept:
                path.unlink(missing_ok=True)


def _flush(file: Path) -> int:
    """Bring a file to the disk, whoever wrote it; its size in bytes."""
    with file.open("r+b") as stream:
        os.fsync(stream.fileno())
        return os.fstat(stream.fileno()).st_size


@contextmanager
def locked(
    file: Path, *, what: str = "run", shared: bool = False, wait: float = 0.0
) -> Iterator[None]:
    """Hold a lock; the system gives it back however the process ends.

    On a file system without locks nothing keeps two processes apart.

    Args:
        file: Made if it is missing; its folder must exist.
        what: It stands for, in messages.
        shared: Others may hold it, too, if they share it.
        wait: Seconds to wait for another process to let go of it.

    Raises:
        RunExistsError: Another process holds it.
    """
    with file.open("ab") as stream:
        until = time.monotonic() + wait
        while fcntl is not None:
            try:
                fcntl.flock(stream, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() < until:
                    time.sleep(_BETWEEN_SECONDS)
                    continue
                raise RunExistsError(
                    f"another process is at work on this {what}",
                    path=file.parent,
                    hint="Wait until it has ended; nothing was changed.",
                ) from error
            except OSError as error:
                if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS):
                    break
                raise
        yield
