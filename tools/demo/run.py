"""`make demo`: the whole product on a world that it paints itself, in about two minutes.

Scenes are drawn. While a small network is trained on some of them, three people's annotations of
the others become a concept set, and what they disagree on is measured. Then the trained and the
untrained network are dissected, against what most of them say and against each of them, and
compared.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

MARK = ".conceptset-demo"
CATEGORIES = ("object", "part", "texture")  # no colours: any network tells red from green
COUNTED = ("object", "part")
AT_LEAST = 8  # concepts of the trained network; with fewer the demo shows nothing
CONSOLE = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def main() -> int:
    parser = argparse.ArgumentParser(description="Build, validate and dissect a painted world.")
    parser.add_argument("--out", type=Path, default=Path("demo-out"), help="where to write")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    begin = time.perf_counter()
    home = make_home(options.out)
    make_world(home, options.seed)
    with training(home, options.seed) as network:
        make_set(home)
        compare_people(home)
        wait_for(network)
    dissect(home)
    compare_runs(home)
    counts = show_outcome(home)
    CONSOLE.print(f"\nAll of it took {time.perf_counter() - begin:.0f} seconds.")
    for what, page in (
        ("what people disagree on", "people/index.html"),
        ("the report", "runs/trained/report/index.html"),
        ("what training did", "compared/index.html"),
    ):
        address = (home / page).absolute().as_uri()
        CONSOLE.print(f"Open {what}: {address}", soft_wrap=True)
    if counts["trained"] < max(AT_LEAST, 2 * counts["untrained"]):
        CONSOLE.print(
            f"The trained network should have at least {AT_LEAST} concepts and twice those of the "
            "untrained one; it has not."
        )
        return 1
    return 0


def make_home(home: Path) -> Path:
    """An empty directory; an earlier demo's is emptied, anything else is left alone."""
    if home.exists():
        if not (home / MARK).is_file():
            raise SystemExit(f"{home} exists and is no earlier demo; choose another --out.")
        shutil.rmtree(home)
    home.mkdir(parents=True)
    (home / MARK).write_text("made by tools/demo/run.py; may be deleted\n")
    return home


def make_world(home: Path, seed: int) -> None:
    from world import write_world

    heading("A world of its own")
    with waiting("painting scenes"):
        start = time.perf_counter()
        write_world(home / "world", seed)
        painted = time.perf_counter()
    scenes = len(list((home / "world/images").iterdir()))
    CONSOLE.print(
        f"{scenes} held-out scenes annotated by ada, ben and cleo, painted in "
        f"{painted - start:.0f} s. Others train a network from now on."
    )


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Says what takes a while."""
    columns = (TextColumn("{task.description}"), BarColumn())
    with Progress(*columns, console=CONSOLE, transient=True) as bar:
        bar.add_task(what, total=None)
        yield


@contextmanager
def training(home: Path, seed: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that trains the network meanwhile; it ends with the block."""
    program = Path(__file__).with_name("train.py")
    with subprocess.Popen(
        [sys.executable, str(program), str(home / "world"), str(seed)]
    ) as process:
        try:
            yield process
        finally:
            process.terminate()


def wait_for(network: subprocess.Popen[bytes]) -> None:
    with waiting("training"):
        code = network.wait()
    if code:
        raise SystemExit("The training failed; what went wrong stands above.")


def make_set(home: Path) -> None:
    heading("From a COCO file, a zipped CVAT export and LabelMe files to a concept set")
    world = home / "world"
    drawn = world / "annotations"
    command(
        *("conceptset", "build", drawn / "ada.json", drawn / "ben.zip", drawn / "cleo"),
        *(
            "--annotator",
            "cleo",
            "--images",
            world / "images",
            "--taxonomy",
            world / "taxonomy.csv",
        ),
        *("--image-size", "keep", "--out", home / "set"),
    )
    command("conceptset", "validate", home / "set")
    command("conceptset", "info", home / "set")


def compare_people(home: Path) -> None:
    heading("Who disagrees with whom, where, and in which way")
    command("conceptset", "consistency", home / "set", "--out", home / "people")


def dissect(home: Path) -> None:
    from train import LAYERS, MEAN, MODEL, NUM_CLASSES, STD

    heading("Which units detect which concepts, trained and untrained")
    weights = ",".join(str(home / f"world/{name}.pth") for name in ("trained", "untrained"))
    command(
        *("dissect", "run", home / "set", "--model", MODEL, "--num-classes", NUM_CLASSES),
        *("--weights", weights, "--layers", ",".join(LAYERS)),
        *("--mean", ",".join(map(str, MEAN)), "--std", ",".join(map(str, STD))),
        *("--categories", ",".join(CATEGORIES), "--out", home / "runs"),
    )


def compare_runs(home: Path) -> None:
    heading("Two runs side by side")
    runs = (home / "runs/untrained", home / "runs/trained")
    command("dissect", "compare", *runs, "--out", home / "compared")


def show_outcome(home: Path) -> dict[str, int]:
    """The closing table; the object and part concepts found over all layers, by network."""
    heading("What training did")
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, side in (
        *(("network", "left"), ("layer", "left"), ("units", "right"), ("detectors", "right")),
        *(("objects + parts", "right"), ("best unit", "left")),
    ):
        table.add_column(name, justify="right" if side == "right" else "left", no_wrap=True)
    totals: dict[str, int] = {}
    for network in ("trained", "untrained"):
        run = json.loads((home / f"runs/{network}/run.json").read_text())
        found: set[str] = set()
        for layer in run["layers"]:
            detectors, concepts, best = outcome(home / "runs" / network / layer["directory"])
            found |= concepts
            cells = (network, layer["name"], layer["units"], detectors, len(concepts), best)
            table.add_row(*map(str, cells))
        totals[network] = len(found)
        table.add_section()
    CONSOLE.print(table)
    CONSOLE.print(
        f"Distinct objects and parts over all layers: trained {totals['trained']}, "
        f"untrained {totals['untrained']}."
    )
    return totals


def outcome(layer: Path) -> tuple[int, set[str], str]:
    """Detectors, object and part concepts among them, and the best unit of a layer."""
    with (layer / "tally.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    detectors = [row for row in rows if float(row["score"]) > 0.04]
    concepts = {row["label"] for row in detectors if row["category"] in COUNTED}
    best = rows[0]
    return len(detectors), concepts, f"{best['label']} (IoU {float(best['score']):.2f})"


def heading(text: str) -> None:
    CONSOLE.print(f"\n[bold]{text}[/bold]")


def command(program: str, *arguments: object) -> None:
    """Show a command and run it as a person would."""
    words = [str(argument) for argument in arguments]
    CONSOLE.print(f"$ {shlex.join([program, *words])}", style="cyan", soft_wrap=True, markup=False)
    run_checked([sys.executable, "-m", program, *words])


def run_checked(words: Sequence[str]) -> None:
    done = subprocess.run(words, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    sys.exit(main())
