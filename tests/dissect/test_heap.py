"""Freed memory is kept while a network runs, and no longer."""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys

import pytest

SCRIPT = """
import json, resource, sys
from pathlib import Path
import numpy as np
from dissect.heap import kept_memory

BLOCK = 96 << 20

def faults():
    "Pages that the system had to find for a block that was there before."
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(BLOCK, np.uint8)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) << 10

found = {"usual": (faults(), faults())[1]}
begin = resident()
with kept_memory():
    faults()
    found["inside"] = faults()
    with kept_memory():
        found["twice"] = faults()
    found["still"] = faults()
    found["kept"] = resident() - begin
try:
    with kept_memory():
        faults()
        raise KeyError
except KeyError:
    found["left"] = resident() - begin
found["after"] = faults()
json.dump(found, sys.stdout)
"""


@pytest.fixture(scope="module")
def found():
    if sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"):
        pytest.skip("the C library is not GNU's, and nothing is kept")
    # large pages would be found a few at a time
    environment = {**os.environ, "NUMPY_MADVISE_HUGEPAGE": "0"}
    output = subprocess.check_output([sys.executable, "-c", SCRIPT], env=environment, text=True)
    return dict(json.loads(output))


def test_freed_memory_is_used_again_without_the_system(found):
    pages = (96 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert found["usual"] >= pages
    assert max(found["inside"], found["twice"], found["still"]) < pages // 100
    assert found["kept"] > 90 << 20


def test_the_system_has_its_memory_back_afterwards(found):
    pages = (96 << 20) // os.sysconf("SC_PAGE_SIZE")
    assert found["left"] < 16 << 20
    assert found["after"] >= pages
