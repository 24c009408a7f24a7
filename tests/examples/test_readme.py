"""`make demo` works, and every command of the README does what stands below it."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("readme", ROOT / "tools/readme.py")
readme = importlib.util.module_from_spec(SPEC)
sys.modules["readme"] = readme
SPEC.loader.exec_module(readme)

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = readme.examples(TEXT)

pytestmark = [pytest.mark.slow]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The demo as `make demo` runs it; it fails by itself if training makes no difference."""
    folder = tmp_path_factory.mktemp("readme")
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools/demo/run.py"), "--out", "demo-out"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_the_demo_says_where_its_report_is(demo):
    folder, output = demo
    addresses = re.findall(r"^Open .*: file://(\S+)", output, re.MULTILINE)
    assert len(addresses) == 3
    for address in addresses:
        assert Path(address).is_file()
        assert Path(address).is_relative_to(folder)
    counts = re.search(r"trained (\d+), untrained (\d+)\.", output)
    assert int(counts[1]) >= 2 * int(counts[2])
    assert int(counts[1]) >= 8


def test_every_command_of_the_readme(demo):
    folder, _ = demo
    assert len(EXAMPLES) >= 8
    wrong = []
    for example in EXAMPLES:
        assert example.words[0] in ("conceptset", "dissect")
        actual = readme.run(example, folder)
        if not readme.agrees(example.expected, actual):
            wrong.append(readme.difference(example, actual))
    assert not wrong, "\n\n".join(wrong)


def test_files_that_the_readme_names_exist():
    for name in re.findall(r"\]\(([^)#]+)\)", TEXT):
        if "://" not in name:
            assert (ROOT / name).is_file(), name


def test_the_comparison_notices_a_change():
    assert readme.agrees("a 1\n...\nb 2\n", "a 7\nx\ny\nb 3\n")
    assert not readme.agrees("a 1\nb 2\n", "a 7\nx\nb 3\n")
    assert not readme.agrees("checked 3 images\n", "checked 3 maps\n")
