"""A program that is loaded once and then run, and killed, many times in forked children.

Started as `python victim.py MODULE`; `MODULE:main` is the program. Every line on stdin is a
request in JSON, every line on stdout its answer. Importing takes most of the time of a short
program, so a child starts with everything imported. It stops itself, strace takes hold of it, and
it goes on: the counts of strace begin where the program does.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer.main

_PR_SET_PTRACER = 0x59616D61
_ATTACH_SECONDS = 20.0


def run_child(entry: Callable[[], Any], request: dict[str, Any], output: int, report: Path) -> None:
    """Be the program; never returns."""
    code = 70
    try:
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(request["cwd"])
        sys.argv = [request["program"], *request["argv"]]
        if request["strace"]:
            # Where only ancestors may trace: let anybody of the same user.
            anyone = ctypes.c_ulong(-1)
            ctypes.CDLL(None).prctl(_PR_SET_PTRACER, anyone, 0, 0, 0)
            os.kill(os.getpid(), signal.SIGSTOP)
        try:
            entry()
            code = 0
        except SystemExit as stop:
            code = stop.code if isinstance(stop.code, int) else int(stop.code is not None)
        sys.stdout.flush()
        sys.stderr.flush()
        if request["modules"]:
            report.write_text("\n".join(sys.modules))
    except BaseException:  # noqa: BLE001 - a forked child must not go back into the loop
        traceback.print_exc()
        sys.stderr.flush()
    finally:
        os._exit(code)


def attach(child: int, options: list[str]) -> subprocess.Popen[bytes]:
    """Put strace on a stopped child and let the child go on."""
    os.waitpid(child, os.WUNTRACED)
    tracer = subprocess.Popen(
        ["strace", *options, "-p", str(child)], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    end = time.monotonic() + _ATTACH_SECONDS
    while "\nTracerPid:\t0\n" in Path(f"/proc/{child}/status").read_text():
        if tracer.poll() is not None or time.monotonic() > end:
            os.kill(child, signal.SIGKILL)
            tracer.kill()
            break
        time.sleep(0.001)
    with contextlib.suppress(ProcessLookupError):
        os.kill(child, signal.SIGCONT)
    return tracer


def serve(entry: Callable[[], Any], request: dict[str, Any]) -> dict[str, Any]:
    """Run the program once, as the request says."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
        report = Path(folder, "modules")
        child = os.fork()
        if child == 0:
            run_child(entry, request, output.fileno(), report)
        tracer = attach(child, request["strace"]) if request["strace"] else None
        _, status = os.waitpid(child, 0)
        complaint = tracer.communicate()[1].decode() if tracer else ""
        # Load what the program loaded, for the children to come.
        for name in report.read_text().split("\n") if report.exists() else ():
            with contextlib.suppress(Exception):
                importlib.import_module(name)
        output.seek(0)
        return {
            "code": os.waitstatus_to_exitcode(status),
            "output": output.read().decode(errors="replace"),
            "strace": complaint,
        }


def main() -> None:
    """Serve requests until stdin ends."""
    module = importlib.import_module(sys.argv[1])
    if hasattr(module, "app"):
        # What typer builds anew for each call, and what takes longer than a small build.
        typer.main.get_command = functools.cache(typer.main.get_command)
        typer.main.get_command(module.app)
    entry = module.main
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever the program prints while it is loaded is no answer
    for line in sys.stdin:
        print(json.dumps(serve(entry, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
