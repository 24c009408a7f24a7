"""What is imported when: --help stays light, and the public names are what they say."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

HEAVY = ("torch", "torchvision", "pandas", "numba", "scipy")

PROBE = """
import importlib, json, sys
sys.argv = [{program!r}, "--help"]
try:
    importlib.import_module({module!r}).main()
except SystemExit as stop:
    assert not stop.code, stop.code
heavy = sorted({{name.partition(".")[0] for name in sys.modules}} & set({heavy!r}))
sys.stderr.write(json.dumps(heavy))
"""


@pytest.mark.parametrize("program", ["conceptset", "dissect"])
def test_help_is_light(repository, program):
    code = PROBE.format(program=program, module=f"{program}.cli", heavy=HEAVY)
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Usage" in result.stdout
    assert json.loads(result.stderr) == []


@pytest.mark.parametrize("package", ["conceptset", "dissect"])
def test_import_is_lazy(repository, package):
    code = f"import sys, {package}; sys.exit(len(set(sys.modules) & {{'numpy', 'torch'}}))"
    subprocess.run([sys.executable, "-c", code], cwd=repository, check=True)


@pytest.mark.parametrize("package", ["conceptset", "dissect"])
def test_public_names(package):
    module = importlib.import_module(package)
    assert list(module.__all__) == sorted(set(module.__all__))
    assert dir(module) == sorted(module.__all__)
    for name in module.__all__:
        assert getattr(module, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        module.no_such_name  # noqa: B018


def test_no_folder_is_left_out_by_its_name(pytestconfig):
    """pytest skips folders called `build` unless told otherwise; one of ours is called so."""
    patterns = pytestconfig.getini("norecursedirs")
    root = Path(__file__).resolve().parents[2]
    for start in ("tests", "conceptset", "dissect"):
        for folder in (root / start).rglob("*"):
            if folder.is_dir() and folder.name != "__pycache__":
                assert not any(fnmatch(folder.name, pattern) for pattern in patterns), folder
