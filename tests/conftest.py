"""What every test gets: threads kept few, no network, no user directories, skips with reasons."""

from __future__ import annotations

import ipaddress
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# Read by numpy, torch, numba and typer when they are first imported, so set before any test is.
# A program started by a test inherits them too; its proxy is a closed port of this machine.
_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "2",
    "OMP_WAIT_POLICY": "PASSIVE",  # threads of torch that wait sleep: other tests need the cores
    "CUDA_VISIBLE_DEVICES": "",
    "NO_COLOR": "1",
    "COLUMNS": "120",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "no_proxy": "localhost,127.0.0.1,::1",
}
_UNWANTED = ("FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
for _name in [*_UNWANTED, *(name for name in os.environ if name.startswith("CONCEPTSET_"))]:
    os.environ.pop(_name, None)
os.environ.update(_ENVIRONMENT)

# The same inputs in every run, so that a red result is about the change. A longer hunt:
# HYPOTHESIS_PROFILE=search tools/check
_TIMING = [HealthCheck.too_slow]
settings.register_profile(
    "ci", deadline=None, derandomize=True, print_blob=True, suppress_health_check=_TIMING
)
settings.register_profile(
    "search", deadline=None, max_examples=5_000, print_blob=True, suppress_health_check=_TIMING
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# --doctest-modules would import each as a module of the one name they share.
collect_ignore_glob = ["*conftest.py"]

ROOT = Path(__file__).resolve().parent.parent
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class NetworkBlockedError(OSError):
    """A test reached for the network. An OSError, as on a machine that is offline."""


def _is_local(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    text = host.decode() if isinstance(host, bytes) else str(host)
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _block_network() -> None:
    def guarded(original):
        def connect(self, address):
            if self.family in (socket.AF_INET, socket.AF_INET6) and not _is_local(address[0]):
                raise NetworkBlockedError(f"no network in tests: {address}")
            return original(self, address)

        return connect

    resolve = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if not _is_local(host):
            raise NetworkBlockedError(f"no network in tests: {host}")
        return resolve(host, *args, **kwargs)

    socket.socket.connect = guarded(socket.socket.connect)
    socket.socket.connect_ex = guarded(socket.socket.connect_ex)
    socket.getaddrinfo = getaddrinfo


_block_network()


@cache
def _strace_fault() -> str | None:
    """Why no process can be killed under strace here; None if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    command = ["strace", "-f", "-qq", "-o", os.devnull, "true"]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        return "strace may not trace processes here"
    return None


@cache
def _browser() -> str | None:
    return next((path for name in _BROWSERS if (path := shutil.which(name))), None)


# Files without a slow test that take long all the same.
_LONG = (
    *("test_hostile_formats", "test_page_consistency", "test_verdicts", "test_masks_real"),
    *("test_ade20k_real", "test_cvat_hostile", "test_parsing_xml", "test_third_party_reader"),
    *("test_repair_mutations", "test_repair_fuzz", "test_rules", "test_merge_real"),
)


def _length_class(item: pytest.Item) -> int:
    if item.path.parent.name == "examples":  # the demo, and every command of the README
        return 0
    return 1 if item.get_closest_marker("slow") or item.path.stem in _LONG else 2


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this machine cannot run, with the reason; what takes longest comes first.

    Several processes share the tests: one must not be left with minutes of work at the end.
    """
    items.sort(key=_length_class)
    for item in items:
        if item.get_closest_marker("crash") and (fault := _strace_fault()):
            item.add_marker(pytest.mark.skip(reason=fault))
        if item.get_closest_marker("browser") and _browser() is None:
            item.add_marker(pytest.mark.skip(reason="Chromium is not installed"))


@pytest.fixture(scope="session", autouse=True)
def _own_directories(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Caches and settings of whoever runs the tests are neither read nor written."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("CONCEPTSET_CACHE_DIR", str(home / "cache" / "conceptset"))
        patch.setenv("TORCH_HOME", str(home / "cache" / "torch"))
        for name in ("CACHE", "CONFIG", "DATA", "STATE"):
            patch.setenv(f"XDG_{name}_HOME", str(home / name.lower()))
        yield


@pytest.fixture(scope="session", autouse=True)
def _commands_are_built_once() -> Iterator[None]:
    """CliRunner has typer build all commands anew for each call: longer than most of them run."""
    import typer.testing

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("typer.testing._get_command", cache(typer.testing._get_command))
        yield


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real files beside the repository."""
    path = ROOT.parent / "shared"
    if not path.is_dir():
        pytest.skip("there is no ../shared with real files")
    return path


@pytest.fixture(scope="session")
def chromium() -> str:
    """The headless browser's program; for tests marked `browser`."""
    path = _browser()
    if path is None:
        pytest.skip("Chromium is not installed")
    return path
