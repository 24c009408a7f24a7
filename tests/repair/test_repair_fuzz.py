"""Whatever the bytes: a set that validates, or one of our errors; the original untouched."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_sets import SmallSet

from conceptset.errors import ConceptsetError
from conceptset.repair import RepairOptions, repair_set
from conceptset.validate import validate

TABLES = ("index.csv", "label.csv", "category.csv", "c_object.csv", "c_part.csv")
OURS = ("images.csv", "annotators.csv", "conceptset.json", "annotators/bob/segments.jsonl")
CELLS = st.sampled_from(
    [
        *("", "0", "-1", "1.0", "99999999999999", "40000", "65536", "nan", "1e5", ";;", '"', "5"),
        *("../../x", "C:\\x\\cam\\a_part.png", "cam/a.jpg", "images/cam/b.jpg", "cam/a_part.png"),
        *("\u00b2\u0663", "\x00", "\r", "=cmd", "\u202eab", "a" * 300, "cam", "object", "image"),
        *("cat", "scene", "part_2", "x_ignore", "annotators/ada/cam/a_object.png", "3;4;4;0"),
    ]
)


def attempt(root: Path, out: Path) -> None:
    """Repair; what comes out must validate."""
    try:
        repair_set(root, out, RepairOptions())
    except ConceptsetError:
        assert not out.exists()
        return
    report = validate(out)
    assert report.errors == 0, report.findings


@settings(max_examples=150)
@given(
    table=st.sampled_from([*TABLES, *OURS]),
    changes=st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9), CELLS), max_size=4),
    ours=st.booleans(),
)
def test_cells(table, changes, ours):
    with tempfile.TemporaryDirectory() as folder:
        root = SmallSet(ours=ours).write(Path(folder, "set"))
        path = root / table
        if not path.is_file():
            return
        lines = path.read_bytes().split(b"\n")
        for line, column, text in changes:
            cells = lines[line % len(lines)].split(b",")
            cells[column % len(cells)] = text.encode()
            lines[line % len(lines)] = b",".join(cells)
        path.write_bytes(b"\n".join(lines))
        attempt(root, Path(folder, "new"))


@settings(max_examples=100)
@given(table=st.sampled_from([*TABLES, *OURS]), data=st.binary(max_size=200), ours=st.booleans())
def test_bytes(table, data, ours):
    with tempfile.TemporaryDirectory() as folder:
        root = SmallSet(ours=ours).write(Path(folder, "set"))
        (root / table).write_bytes(data) if (root / table).exists() else None
        attempt(root, Path(folder, "new"))


@pytest.mark.parametrize("seed", range(60))
def test_accidents(tmp_path, seed):
    """Several files at once, pictures too: cut short, swapped, doubled, with bytes changed."""
    chance = random.Random(seed)
    root = SmallSet(ours=seed % 3 != 0).write(tmp_path / "set")
    files = sorted(path for path in root.rglob("*") if path.is_file())
    for path in chance.sample(files, 4):
        data = path.read_bytes()
        place = chance.randrange(len(data))
        kind = chance.randrange(5)
        if kind == 0:
            path.write_bytes(data[:place])
        elif kind == 1:
            path.write_bytes(data[:place] + chance.randbytes(1) + data[place + 1 :])
        elif kind == 2:
            path.unlink()
        elif kind == 3:
            path.write_bytes(chance.choice(files).read_bytes() if path != files[0] else b"")
            files = [file for file in files if file.is_file()]
        else:
            lines = data.split(b"\n")
            chance.shuffle(lines)
            path.write_bytes(b"\n".join(lines))
        files = [file for file in files if file.is_file()]
    attempt(root, tmp_path / "new")
