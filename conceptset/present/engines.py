"""The options --engine and --address of both commands, and what they open."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

from conceptset.errors import UsageError
from conceptset.io.parallel import Engine, LocalEngine, usable_cores
from conceptset.present.console import note, option

if TYPE_CHECKING:
    from conceptset.io.cluster import RayEngine

EngineName = Annotated[
    str,
    option("--engine", metavar="local|ray", help="Processes of this machine, or a Ray cluster."),
]
Address = Annotated[
    str | None,
    option(
        "--address",
        metavar="HOST:PORT",
        help="The Ray cluster: also ray://HOST:PORT, auto, local (a private one).",
    ),
]

_VARIABLE = "RAY_ADDRESS"
# Nothing is sent to anybody; and a choice is made about which Ray would warn.
_ALWAYS = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


@contextmanager
def open_engine(
    name: str, address: str | None, *, jobs: int | None = None, quiet: bool = False
) -> Iterator[Engine]:
    """What `--engine`, `--address` and `--jobs` name, until the block ends.

    Args:
        name: `local` or `ray`.
        address: Of a Ray cluster; None is the environment's, else a private Ray is started.
        jobs: How much is done at once; None is as much as there are cores for.
        quiet: Do not say which cluster it is.

    Raises:
        UsageError: The options cannot be used, or Ray is not installed.
        ClusterError: There is no such cluster.
    """
    if name not in ("local", "ray"):
        raise UsageError(f"--engine is {name!r}, local or ray was expected")
    if jobs is not None and jobs < 1:
        raise UsageError(f"--jobs is {jobs}, at least 1 was expected")
    if name == "local":
        if address is not None:
            raise UsageError("--address names a Ray cluster", hint="Give --engine ray as well.")
        yield LocalEngine(jobs or usable_cores())
        return
    with _open_ray(address, jobs, quiet=quiet) as engine:
        yield engine


@contextmanager
def _open_ray(address: str | None, jobs: int | None, *, quiet: bool) -> Iterator[RayEngine]:
    from conceptset.io.connecting import PRIVATE, connected  # noqa: PLC0415

    found = address or os.environ.get(_VARIABLE) or PRIVATE
    with (
        _environment(_ALWAYS | (_private() if found == PRIVATE else {})),
        connected(found, jobs=jobs, cores=usable_cores()) as (engine, told),
    ):
        if not quiet:
            named = address is None and found != PRIVATE
            note(f"runs on {told}" + (f", which {_VARIABLE} names" if named else ""))
        yield engine
        if engine.retried and not quiet:
            note(
                f"note: {engine.retried} tasks were lost with their worker or node, and done again"
            )


def _private() -> dict[str, str]:
    """For a Ray that only this process talks to: on loopback, behind a token that is not stored."""
    return {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # else the loopback address is replaced
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": secrets.token_hex(32),
    }


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """These variables, for what is started in the block."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
