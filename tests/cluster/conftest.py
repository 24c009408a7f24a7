"""A Ray cluster of two machines on loopback, and work for it."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

NODES = Path(__file__).with_name("ray_nodes.py")
# Read by Ray when it is imported; without the first it replaces 127.0.0.1 by another address.
RAY = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_USAGE_STATS_ENABLED": "0"}


def pytest_collection_modifyitems(items):
    missing = None
    if not Path("/proc/self/task").is_dir():
        missing = "nodes are killed by what /proc says of them"
    elif importlib.util.find_spec("ray") is None:
        missing = "Ray is not installed: pip install 'conceptset[cluster]'"
    for item in items:
        if missing and "ray" in item.keywords and item.path.parent == NODES.parent:
            item.add_marker(pytest.mark.skip(reason=missing))


class Nodes:
    """Two nodes, the second of which can be killed."""

    def __init__(self, process):
        self.process = process
        self.address = self.reply()["address"]
        self.are_two = True

    def reply(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self.reply() == {"done": word}
        self.are_two = word == "add"


@pytest.fixture(scope="session")
def ray_home(tmp_path_factory):
    """The variables of a Ray that keeps to itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        for name, value in RAY.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def ctrl_c():
    """SIGINT ends what a test starts, also where a shell runs pytest in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def cluster(ray_home, ctrl_c):
    """The nodes, which end with the session: to start them takes longer than most tests."""
    folder = tempfile.mkdtemp(prefix="two-", dir="/tmp")  # short: sockets lie below it
    process = subprocess.Popen(
        [sys.executable, str(NODES), folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, **RAY, "PYTHONPATH": str(NODES.parent)},
        text=True,
    )
    try:
        yield Nodes(process)
    finally:
        process.communicate(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def two_nodes(cluster):
    """The same, the second one alive."""
    if not cluster.are_two:
        cluster.ask("add")
    return cluster


@pytest.fixture(scope="module")
def connection(cluster):
    """Ray, connected to the cluster: what a worker has imported is kept for the next test."""
    from conceptset.io.connecting import connected

    with connected(cluster.address, jobs=None, cores=1):
        import ray

        yield ray


@pytest.fixture
def joined(connection):
    """Opens an engine on the cluster."""
    from conceptset.io.cluster import RayEngine

    @contextmanager
    def join():
        yield RayEngine(connection)

    return join


@pytest.fixture(scope="session")
def drawn_world(tmp_path_factory):
    """A COCO file and its photographs, enough for several batches on each of two machines."""
    root = tmp_path_factory.mktemp("drawn")
    (root / "images").mkdir()
    random = np.random.default_rng(5)
    noise = random.integers(0, 256, (300, 400, 3), dtype=np.uint8)
    images, annotations = [], []
    for number in range(1, 97):
        name = f"{number:03}.jpg"
        Image.fromarray(np.roll(noise, number, axis=1)).save(root / "images" / name)
        images.append({"id": number, "file_name": name, "height": 300, "width": 400})
        for _ in range(3):
            x, y, width, height = (int(v) for v in random.integers(20, 150, 4))
            ring = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": int(random.integers(1, 5)),
                    "segmentation": [ring],
                }
            )
    categories = [{"id": number, "name": f"thing {number}"} for number in range(1, 5)]
    document = {"images": images, "categories": categories, "annotations": annotations}
    (root / "drawn.json").write_text(json.dumps(document))
    return root
