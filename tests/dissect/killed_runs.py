"""`dissect` in a process that kills itself, for tests of what is gone on with.

Started as `python killed_runs.py FOLDER`, which keeps its logs; every line on stdin is a request in
JSON, every line on stdout its answer. The program is run in a forked child, so that what it imports
is imported once. It checkpoints after every batch, and dies by SIGKILL as it opens its `kill_at`-th
file, in whichever thread that is.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sys
from pathlib import Path

import torch

import dissect.cli
import dissect.scan
from dissect.activations import Recorder


def count_passes(log: Path) -> None:
    """Let every forward pass that is begun leave a byte in a file."""
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    run = Recorder.run

    def counted(self, batch):
        os.write(handle, b".")
        return run(self, batch)

    Recorder.run = counted


def die_at(log: Path, number: int) -> None:
    """Leave a byte for every file that is opened; be killed at one of them."""
    handle = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    calls = itertools.count(1)

    def watch(event, _args):
        if event == "open":
            os.write(handle, b".")
            if next(calls) == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)


def call(argv: list[str]) -> int:
    """The program; its exit code."""
    before, sys.argv = sys.argv, ["dissect", *argv]
    try:
        dissect.cli.main()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    finally:
        sys.argv = before
    return 0


def serve(request: dict, folder: Path) -> dict:
    """Run the program once: its exit code, and how many passes it began and files it opened."""
    passes, opened = folder / "passes", folder / "opened"
    for log in (passes, opened):
        log.write_bytes(b"")
    child = os.fork()
    if child == 0:
        code = 70
        try:
            output = os.open(folder / "output", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(output, 1)
            os.dup2(output, 2)
            dissect.scan.CHECKPOINT_SECONDS = 0
            count_passes(passes)
            die_at(opened, request["kill_at"])
            code = call(request["argv"])
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status),
        "passes": passes.stat().st_size,
        "opened": opened.stat().st_size,
        "output": (folder / "output").read_text(errors="replace"),
    }


def main() -> None:
    """Serve requests until stdin ends."""
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        if request.get("warm"):  # in this process: what is loaded stays loaded
            answer = {"code": call(request["argv"])}
        else:
            answer = serve(request, Path(sys.argv[1]))
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
