#!/usr/bin/env python3
"""Runs the commands of README.md and compares their output with what stands there.

    python tools/readme.py FOLDER           in FOLDER, where `make demo` left demo-out/
    python tools/readme.py FOLDER --write   and puts the output into README.md

A line `...` in the README stands for any number of lines. Figures are compared by their shape
only: they move a little with the version of torch and with the processor.
"""

from __future__ import annotations

import argparse
import difflib
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

README = Path(__file__).resolve().parent.parent / "README.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.DOTALL | re.MULTILINE)
ELLIPSIS = "..."


@dataclass(frozen=True)
class Example:
    """A command of the README and the lines below it."""

    command: str
    expected: str

    @property
    def words(self) -> list[str]:
        return shlex.split(self.command)


def examples(text: str) -> list[Example]:
    """Every `$ command` in a console block, in order."""
    found = []
    for block in BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, expected = part.partition("\n")
            found.append(Example(command, expected))
    return found


def begin(text: str, folder: Path) -> list[Example]:
    """The commands, after what they left in the folder another time is removed."""
    found = examples(text)
    for example in found:
        if "--out" in example.words:
            out = folder / example.words[example.words.index("--out") + 1]
            shutil.rmtree(out, ignore_errors=True)
    return found


def run(example: Example, folder: Path) -> str:
    """What the command prints to stdout; it must succeed."""
    program, *arguments = example.words
    done = subprocess.run(
        [sys.executable, "-m", program, *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "100", "PYTHONPATH": str(README.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"$ {example.command}\n{done.stdout}{done.stderr}")
    lines = [line.rstrip() for line in done.stdout.strip("\n").splitlines()]
    return "\n".join(lines).strip("\n") + "\n"


def masked(line: str) -> str:
    """A line without the digits of its figures and without the width of its columns."""
    return re.sub(r"[\s─]+", " ", re.sub(r"\d[\d,.]*", "#", line)).strip()


def agrees(expected: str, actual: str) -> bool:
    """Whether the output has the lines of the README, in order."""
    wanted = [masked(line) for line in expected.splitlines() if line.strip()]
    lines = [masked(line) for line in actual.splitlines() if line.strip()]
    pattern = "".join(
        r"(?:.*\n)*?" if line == ELLIPSIS else re.escape(line) + r"\n" for line in wanted
    )
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in lines)) is not None


def difference(example: Example, actual: str) -> str:
    """The two texts side by side, for a person."""
    lines = difflib.unified_diff(
        example.expected.splitlines(), actual.splitlines(), "README.md", "now", lineterm=""
    )
    return "\n".join([f"$ {example.command}", *lines])


def shortened(text: str, example: Example) -> str:
    """The output, cut where the README had cut it."""
    if ELLIPSIS not in example.expected.splitlines():
        return text
    before, _, after = example.expected.partition(f"{ELLIPSIS}\n")
    lines = text.splitlines()
    head = lines[: len(before.splitlines())]
    tail = lines[len(lines) - len(after.splitlines()) :]
    return "\n".join([*head, ELLIPSIS, *tail]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    text = README.read_text(encoding="utf-8")
    wrong = 0
    for example in begin(text, options.folder):
        actual = run(example, options.folder)
        if options.write:
            old = f"$ {example.command}\n{example.expected}```"
            text = text.replace(old, f"$ {example.command}\n{shortened(actual, example)}```")
        elif not agrees(example.expected, actual):
            wrong += 1
            print(difference(example, actual))
    if options.write:
        README.write_text(text, encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
