"""What tests have a cluster do; imported by its workers."""

import os
import signal
import time
from pathlib import Path

from conceptset.errors import ConceptsetError


class PickyError(ConceptsetError):
    """An error whose arguments are not those of an exception."""

    def __init__(self, message, *, unit):
        super().__init__(message, pointer=f"unit {unit}")
        self.unit = unit


def double(item):
    return 2 * item


def die_once(folder, item):
    """Ends its worker when it is first asked for one of two items."""
    mark = Path(folder, str(item))
    if item in (11, 30) and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * item


def die_at(bad, item):
    if item == bad:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def complain(item):
    if item == 20:
        raise PickyError("no number", unit=3)
    return item


def read(item):
    return Path(f"/nowhere/{item}").read_bytes()


def meet(folder, item):
    """Two at once: each waits until the other was begun, and until a third file is there."""
    Path(folder, f"begun-{item}-{time.monotonic_ns()}").touch()
    if item < 2:
        wait_for(lambda: len(list(Path(folder).glob("begun-*"))) > 1)
        wait_for(Path(folder, "go on").exists)
    return item * item


def wait_for(condition):
    """Until it holds: workers of a busy machine take minutes to start."""
    end = time.monotonic() + 300
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what was waited for did not happen")
        time.sleep(0.02)


def note_every_beat(folder, item):
    """Runs for a minute, except for the first item."""
    for beat in range(600 * item):
        Path(folder, "beat").write_text(str(beat))
        time.sleep(0.1)


def where(_item):
    return str(Path.cwd())
