"""CSV and JSON under limits; names and catalogues; the parallel map."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import ConceptsetError, ImageError, SourceError, UnsafeError, UsageError
from conceptset.io import tables
from conceptset.io.catalogue import ImageCatalogue, NotFound, guess_root, hash_file
from conceptset.io.parallel import ordered_map, usable_cores
from conceptset.io.paths import relative_name, resolve_inside, slug, unique_slugs


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"a,b\n\xff\xfe,1\n", "line 2: is not UTF-8"),
        (b'a,b\n"x,1\n', "no valid CSV"),
        (b"a\n" + b"x" * (tables.MAX_CELL + 1), "no valid CSV"),
    ],
)
def test_tables_that_cannot_be_read(tmp_path, data, message):
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=message):
        tables.read_table(path)


def test_tables_keep_the_lines_rows_begin_on(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b'\xef\xbb\xbfa,b\n"x\ny",1\n\nz,2\n')
    table = tables.read_table(path)
    assert table.header == ("a", "b")
    assert list(table.records()) == [(2, {"a": "x\ny", "b": "1"}), (5, {"a": "z", "b": "2"})]


cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)


@given(st.lists(st.tuples(cells, cells, cells.map(lambda text: text or "-")), max_size=6))
def test_what_is_written_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("t") / "t.csv"
    path.write_bytes(tables.format_table(["a", "b", "c"], rows))
    assert [tuple(record.values()) for _, record in tables.read_table(path).records()] == rows


def test_files_beyond_the_limit_are_not_read(tmp_path):
    path = tmp_path / "big.json"
    path.write_bytes(b"[" + b" " * 100 + b"]")
    with pytest.raises(UnsafeError, match="102 bytes, at most 50"):
        tables.read_json(path, limit=50)
    with pytest.raises(SourceError, match="cannot be read"):
        tables.read_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "line 1 column 2"),
        (b"\xff", "not UTF-8"),
        (b'{"a": 1, "a": 2}', "'a' occurs twice"),
        (b"[NaN]", "NaN is no JSON number"),
        (b"[1e999]", "too large"),
        (b"[" + b"9" * 5000 + b"]", "5000 digits"),
        (b"[" * 200_000, "nested too deeply"),
    ],
)
def test_hostile_json_is_refused(data, message):
    with pytest.raises(SourceError, match=message):
        tables.parse_json(data, path=Path("x.json"))


@pytest.mark.parametrize(
    "name",
    ["", "..", "../a", "a/../../b", "/etc/passwd", "C:\\a", "C:a", "\\\\host\\a", "http://h/a.jpg",
     "a\x00b", "a\nb", "./..", "x" * 5000],
)  # fmt: skip
def test_names_that_lead_out_are_refused(name):
    with pytest.raises(UnsafeError):
        relative_name(name)


@given(st.text(max_size=40))
def test_slugs_are_safe_file_names(text):
    name = slug(text)
    assert name
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
    assert not name.startswith(".")
    assert len(name) <= 130


@given(st.lists(st.text(max_size=6), max_size=12))
def test_slugs_stay_apart_also_where_case_is_lost(texts):
    names = unique_slugs(texts, taken=["con", "a"])
    assert len({name.lower() for name in [*names, "con", "a"]}) == len(texts) + 2


def test_links_are_followed_but_not_out(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "in").symlink_to(root, target_is_directory=True)
    (root / "out").symlink_to(outside, target_is_directory=True)
    (root / "loop").symlink_to(root / "loop")
    assert resolve_inside(root, "in/a.jpg") == root / "in/a.jpg"
    with pytest.raises(UnsafeError, match="leads out"):
        resolve_inside(root, "out/a.jpg")
    with pytest.raises(UnsafeError, match="loop"):
        resolve_inside(root, "loop")


@pytest.fixture
def photographs(tmp_path):
    for name in ("a/x.png", "b/x.png", "b/only.png", "caf\u00e9.png", "missing"):
        path = tmp_path / "images" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.zeros((2, 3, 3), dtype=np.uint8)).save(path, "PNG")
    (tmp_path / "images/notes.txt").write_text("no image")
    return ImageCatalogue(tmp_path / "images")


def test_photographs_are_found_by_path_then_by_name(photographs):
    assert photographs.locate("b\\x.png") == "b/x.png"
    assert photographs.locate("elsewhere/only.png") == "b/only.png"
    assert photographs.locate("cafe\u0301.png") == "caf\u00e9.png"
    assert photographs.locate("deep/b/x.png") is NotFound.AMBIGUOUS
    assert photographs.locate("x.png") is NotFound.AMBIGUOUS
    assert photographs.locate("no.png") is NotFound.MISSING
    assert photographs.locate("missing") == "missing"  # a file may be called so
    assert photographs.find("b/x.png").header.size == (2, 3)
    assert photographs.find("b/x.png") is photographs.find("b/x.png")
    with pytest.raises(ImageError, match=r"no\.png: the image does not exist.*--images"):
        photographs.find("no.png")
    with pytest.raises(ImageError, match="several images"):
        photographs.find("x.png")
    with pytest.raises(UsageError, match="no directory of images"):
        ImageCatalogue(photographs.root / "nowhere")


def test_the_root_is_where_most_names_are(photographs, tmp_path):
    candidates = [tmp_path / "no", tmp_path, tmp_path / "images", tmp_path / "images/b"]
    assert guess_root(["x.png", "only.png", "../evil"], candidates) == tmp_path / "images/b"
    assert guess_root(["a/x.png", "b/x.png"], candidates) == tmp_path / "images"
    assert guess_root(["q"], candidates) is None
    with pytest.raises(ImageError, match="cannot be read"):
        hash_file(tmp_path / "none")


def square(number):
    return number * number


def die(number):
    os._exit(9) if number == 5 else None
    return number


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order(jobs):
    assert list(ordered_map(square, range(100), jobs=jobs)) == [n * n for n in range(100)]
    assert usable_cores() >= 1


def test_a_worker_that_dies_is_reported():
    with pytest.raises(ConceptsetError, match=r"was killed.*fewer --jobs"):
        list(ordered_map(die, range(40), jobs=2))
