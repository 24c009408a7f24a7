"""To a Ray cluster and away from it again; a private one on this machine where none is named."""

from __future__ import annotations

import importlib.util
import logging
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from conceptset.errors import ClusterError, UsageError, printable
from conceptset.io.cluster import RayEngine

PRIVATE = "local"  # the address of a Ray of our own

_STORE = 256 << 20  # bytes of shared memory for results; ours are small, and more goes to disk
_LISTEN_SECONDS = 5.0  # for a machine to answer that is there
# What begins a conversation in HTTP/2, which all of Ray's servers speak.
_GREETING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))
_LONG_PATH = 30  # characters; sockets lie below it and have 107 for their whole path


def check_installed() -> None:
    """Refuse to go on without Ray.

    Raises:
        UsageError: It is not installed.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError(
            "--engine ray needs Ray, which is not installed",
            hint="pip install 'conceptset[cluster]'",
        )


@contextmanager
def connected(address: str, *, jobs: int | None, cores: int) -> Iterator[tuple[RayEngine, str]]:
    """(engine, what to tell of it) while connected; a private Ray ends with the block.

    Args:
        address: As `ray.init` takes it: `HOST:PORT`, `auto`, `ray://HOST:PORT`; `local` starts one.
        jobs: How much is done at once at most; None is as much as the cluster has cores for.
        cores: For a private Ray, where `jobs` says nothing.

    Raises:
        UsageError: Ray is not installed, or the address cannot be one.
        ClusterError: There is no cluster, or it does not let us in.
    """
    check_installed()
    import ray  # noqa: PLC0415

    if ray.is_initialized():
        raise UsageError("this process is connected to Ray already", hint="ray.shutdown() ends it.")
    before = signal.getsignal(signal.SIGTERM)
    _silence(ray)
    scratch = _short_folder() if address == PRIVATE else None
    try:
        if scratch is not None:
            _start(ray, scratch, jobs or cores)
        else:
            _greet(ray, address)
            _join(ray, address)
        engine = RayEngine(ray, most=jobs if scratch is None else None)
        yield engine, _told(engine, None if scratch is not None else address)
    finally:
        ray.shutdown()
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, before)  # Ray has put its own
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)


def _silence(ray: Any) -> None:  # noqa: ANN401
    """Keep Ray from printing the logs of a dead node, hundreds of lines, among our results.

    `log_to_driver` does not turn that off, and nothing public does.
    """
    printing: Any = getattr(ray._private, "worker", None)
    if hasattr(printing, "_worker_logs_enabled"):
        printing._worker_logs_enabled = False


def _start(ray: Any, scratch: Path, cores: int) -> None:  # noqa: ANN401
    try:
        ray.init(
            address=PRIVATE,
            num_cpus=cores,
            object_store_memory=_STORE,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.ERROR,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(scratch),
        )
    except (OSError, RuntimeError, ValueError, SystemExit) as error:
        raise ClusterError(
            f"Ray cannot be started on this machine ({_first_line(error)})",
            hint="--address joins a cluster that runs, --engine local needs none.",
        ) from error


def _join(ray: Any, address: str) -> None:  # noqa: ANN401
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (OSError, RuntimeError, ValueError, SystemExit) as error:
        raise _unreachable(address, _first_line(error)) from error


def _greet(ray: Any, address: str) -> None:  # noqa: ANN401
    """See that something like Ray listens; Ray itself would try for minutes, and say so.

    Raises:
        UsageError: It is no address.
        ClusterError: Nothing listens there.
    """
    if address == "auto":
        return
    host, _, port = address.removeprefix("ray://").partition("?")[0].rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise UsageError(
            f"--address is '{printable(address, 100)}', HOST:PORT, ray://HOST:PORT, auto or local "
            "was expected"
        )
    host = host.strip("[]")
    if host in ("localhost", "127.0.0.1", "::1") and not address.startswith("ray://"):
        host = ray.util.get_node_ip_address()  # as Ray does
    try:
        reply = _reply_of(host, int(port))
    except OSError as error:
        reason = "no answer" if isinstance(error, TimeoutError) else error.strerror or str(error)
        raise _unreachable(address, f"{host}: {reason}") from error
    if reply.startswith(b"HTTP"):
        raise _unreachable(address, "a web page answers there: the dashboard has its own port")


def _reply_of(host: str, port: int) -> bytes:
    """The first bytes of an answer.

    Raises:
        OSError: Nobody is there, or nobody answers.
    """
    deadline = time.monotonic() + _LISTEN_SECONDS
    with socket.create_connection((host, port), timeout=_LISTEN_SECONDS) as peer:
        peer.settimeout(max(0.5, deadline - time.monotonic()))
        peer.sendall(_GREETING)
        return peer.recv(9)


def _unreachable(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"there is no Ray cluster to join at {printable(address, 100)} ({printable(reason)})",
        hint="ray status says whether one runs; without --address and RAY_ADDRESS a private one is "
        "started on this machine.",
    )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def _short_folder() -> Path:
    """A folder for a private Ray's files and sockets."""
    usual = tempfile.gettempdir()
    base = "/tmp" if len(usual) > _LONG_PATH and Path("/tmp").is_dir() else usual
    return Path(tempfile.mkdtemp(prefix="conceptset-", dir=base))


def _told(engine: RayEngine, address: str | None) -> str:
    machines, cores, gpus = engine.size()
    has = f"{cores} core{'s' if cores != 1 else ''}"
    if gpus:
        has += f", {gpus} GPU{'s' if gpus != 1 else ''}"
    if address is None:
        return f"a private Ray on this machine ({has})"
    nodes = f"{machines} node{'s' if machines != 1 else ''}"
    return f"the Ray cluster at {printable(address, 100)} ({nodes}, {has})"
