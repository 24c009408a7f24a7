"""Two machines of a Ray cluster on loopback, held by a process that a test talks to.

    python ray_nodes.py FOLDER     says {"address": ...}, then obeys one word a line: kill, add

`kill` ends the second node and everything on it with SIGKILL, `add` brings another. The end of
stdin ends it all.
"""

import contextlib
import json
import os
import signal
import sys
from pathlib import Path


def below(pid):
    """The processes that descend from one."""
    found = []
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, path.read_text().split()):
            found += [child, *below(child)]
    return found


def processes_of(node):
    own = [info.process.pid for infos in node.all_processes.values() for info in infos]
    return own + [child for pid in own for child in below(pid)]


def main(folder):
    import ray.cluster_utils  # here: pytest imports every module that it finds

    os.environ["RAY_TMPDIR"] = folder  # where Ray notes which cluster it started last
    Path(folder, "ray").mkdir()
    common = {"node_ip_address": "127.0.0.1", "num_cpus": 1, "object_store_memory": 80 << 20}
    cluster = ray.cluster_utils.Cluster(
        initialize_head=True,
        head_node_args={**common, "temp_dir": f"{folder}/ray", "include_dashboard": False},
    )
    second = cluster.add_node(**common)
    print(json.dumps({"address": cluster.address}), flush=True)
    for line in sys.stdin:
        if line.strip() == "kill":
            for pid in processes_of(second):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            cluster.remove_node(second, allow_graceful=False)
        else:
            second = cluster.add_node(**common)
        print(json.dumps({"done": line.strip()}), flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
