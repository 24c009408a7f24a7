"""What gets installed, and that it leaves room for others."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from pathlib import Path

import pytest


def run(code: str, *path: Path, cwd: Path) -> str:
    """What a program prints that finds modules on `path` first."""
    entries = [*map(str, path), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, entries))}
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_top_level(unpacked):
    names = {path.name for path in unpacked.iterdir()}
    metadata = {name for name in names if name.endswith(".dist-info")}
    assert len(metadata) == 1
    assert names - metadata == {"conceptset", "dissect"}


def test_every_source_file_is_in(unpacked, repository):
    for package in ("conceptset", "dissect"):
        here = {p.relative_to(repository) for p in (repository / package).rglob("*.py")}
        there = {p.relative_to(unpacked) for p in (unpacked / package).rglob("*.py")}
        assert here == there
        assert (unpacked / package / "py.typed").is_file()


def test_nothing_but_source_and_what_it_reads(unpacked):
    allowed = {".py", ".typed", ".json", ".html", ".css", ".js", ".j2", ".svg", ".csv", ".txt"}
    for package in ("conceptset", "dissect"):
        files = [path for path in (unpacked / package).rglob("*") if path.is_file()]
        assert {path.suffix or path.name for path in files} <= allowed


def test_schemas(unpacked, repository):
    folder = repository / "schemas" / "v1"
    published = {path.name: path.read_bytes() for path in folder.iterdir()}
    shipped = (unpacked / "conceptset" / "_schemas" / "v1").iterdir()
    assert {path.name: path.read_bytes() for path in shipped} == published


def test_commands(unpacked):
    (entries,) = unpacked.glob("*.dist-info/entry_points.txt")
    parser = configparser.ConfigParser()
    parser.read_string(entries.read_text())
    commands = {"conceptset": "conceptset.cli:main", "dissect": "dissect.cli:main"}
    assert dict(parser["console_scripts"]) == commands


def test_licence_is_in(unpacked):
    assert list(unpacked.glob("*.dist-info/licenses/LICENSE"))


@pytest.fixture
def forensic(tmp_path: Path) -> Path:
    """A path entry with a package of the other family called dissect, which has no __init__."""
    package = tmp_path / "other" / "dissect" / "cstruct"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("NAME = 'cstruct'\n")
    return tmp_path / "other"


@pytest.mark.parametrize("ours_first", [True, False])
def test_dissect_shares_its_name(unpacked, forensic, tmp_path, ours_first):
    """Both import on whichever path entry each stands; ours stays ours."""
    path = (unpacked, forensic) if ours_first else (forensic, unpacked)
    code = "import dissect, dissect.cstruct; print(dissect.__file__, dissect.cstruct.NAME)"
    expected = f"{unpacked / 'dissect' / '__init__.py'} cstruct"
    assert run(code, *path, cwd=tmp_path) == expected


def test_installed_copy_is_complete(unpacked, tmp_path):
    """The wheel imports by itself, away from the repository."""
    code = "import conceptset.layout.schemas as m; print(m.__file__, len(m.schema_names()) > 0)"
    place = unpacked / "conceptset" / "layout" / "schemas.py"
    assert run(code, unpacked, cwd=tmp_path) == f"{place} True"
