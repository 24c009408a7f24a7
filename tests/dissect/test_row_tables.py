"""Tables that lie in files, block by block: the same rows and the same bytes as in memory."""

from __future__ import annotations

import gc
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from conceptset.errors import LayoutError
from dissect import rows as rows_module
from dissect.counts import (
    Counts,
    open_counts,
    open_tables,
    open_without,
    read_counts,
    read_without,
    write_counts,
    write_tables,
    write_without,
)
from dissect.counts import Without as WithoutPerson
from dissect.row_spool import RowSpool
from dissect.rows import (
    StoredRows,
    Table,
    as_array,
    merge_rows,
    pieces,
    select_images,
    side_by_side,
)

WIDTHS = {"intersection": 4, "area": 3, "truth": 3, "pixels": 2}


def rows_of(rng, images, *, width=3, most=6):
    """Rows of some of the images, up to `most` of each; numbers that no two rows share."""
    every = np.repeat(np.arange(images), most)
    image = np.sort(rng.choice(every, rng.integers(0, len(every) + 1), replace=False))
    found = rng.integers(1, 2**40, (len(image), width))
    found[:, 0] = 3 * image
    return found.astype(np.int64)


def stored(path, table):
    path.write_bytes(b"head" + table.astype("<i8").tobytes())
    return StoredRows(path, width=table.shape[1], count=len(table), offset=4)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 9), st.integers(1, 30))
def test_blocks_are_whole_images_of_all_tables(tmp_path_factory, seed, images, size):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("rows")
    tables = [rows_of(rng, images), rows_of(rng, images, width=2, most=1), rows_of(rng, images)]
    given_as = [stored(folder / "a", tables[0]), tables[1], stored(folder / "c", tables[2])]
    blocks = list(side_by_side(given_as, size))
    for table, parts in zip(tables, zip(*blocks, strict=True) if blocks else [()] * 3, strict=True):
        assert np.array_equal(np.concatenate([table[:0], *parts]), table)
    seen = [set(np.concatenate([part[:, 0] for part in block]).tolist()) for block in blocks]
    assert all(seen)  # no block is empty
    assert sum(map(len, seen)) == len(set().union(*seen))  # no image is in two
    for block in blocks:
        for part in block:  # a piece, what was left of the one before, and one image more
            assert len(part) <= 2 * size + 6


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 9), st.integers(1, 20))
def test_tables_in_files_are_selected_and_merged_as_those_in_memory(
    tmp_path_factory, seed, n, size
):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("rows")
    tables = [rows_of(rng, n) for _ in range(3)]
    files = [stored(folder / str(place), table) for place, table in enumerate(tables)]
    some = 3 * rng.integers(0, n, n // 2)
    for keep in (True, False):
        found = select_images(files[0], some, keep=keep)
        plain = tables[0][np.isin(tables[0][:, 0], some) == keep]
        assert isinstance(found, Table)
        assert len(found) == len(plain)
        assert np.array_equal(as_array(found), plain)
        assert np.array_equal(select_images(tables[0], some, keep=keep), plain)
    plain = np.concatenate(tables)
    plain = plain[np.argsort(plain[:, 0], kind="stable")]
    assert np.array_equal(merge_rows(tables), plain)
    for parts in (files, [tables[0], *files[1:]]):
        merged = merge_rows(parts)
        assert len(merged) == len(plain)
        assert np.array_equal(np.concatenate([plain[:0], *pieces(merged, size)]), plain)


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), NAMES, st.integers(1, 40))
def test_streamed_files_are_the_bytes_of_safetensors(tmp_path_factory, seed, layer, size):
    rng = np.random.default_rng(seed)
    folder = tmp_path_factory.mktemp("rows")
    arrays = {
        name: rng.integers(0, 2**62, (int(rng.integers(0, 50)), width))
        for name, width in (*WIDTHS.items(), ("voted", 1))
    }
    metadata = {"fingerprint": json.dumps({"layer": layer}, ensure_ascii=bool(seed % 2))}
    tables = {
        name: stored(folder / name, array) if seed >> place & 1 else array
        for place, (name, array) in enumerate(arrays.items())
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "BLOCK", size)
        write_tables(folder / "whole", tables, metadata)
    assert (folder / "whole").read_bytes() == save(arrays, metadata=metadata)
    again = open_tables(folder / "whole", {**WIDTHS, "voted": 1})
    for name, array in arrays.items():
        assert np.array_equal(as_array(again[name]), array)


def make_counts(seed, images):
    rng = np.random.default_rng(seed)
    tables = [rows_of(rng, images, width=width) for width in (4, 3, 3)]
    pixels = np.column_stack([3 * np.arange(images), rng.integers(1, 99, images)])
    return Counts(*tables, pixels)


def same(a, b):
    return all(np.array_equal(as_array(getattr(a, n)), as_array(getattr(b, n))) for n in WIDTHS)


def test_counts_stay_in_their_file_until_they_are_read(tmp_path):
    counts = make_counts(0, 20)
    write_counts(tmp_path / "a", counts, {"fingerprint": "{}"})
    opened = open_counts(tmp_path / "a")
    assert all(isinstance(getattr(opened, name), Table) for name in WIDTHS)
    assert same(opened, counts)
    assert same(read_counts(tmp_path / "a"), counts)
    write_counts(tmp_path / "b", opened, {"fingerprint": "{}"})  # from one file to another
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert opened.images.tolist() == counts.pixels[:, 0].tolist()
    blocks = list(opened.blocks(size=10))
    assert len(blocks) > 3
    assert np.array_equal(np.concatenate([block.area for block in blocks]), counts.area)


def test_the_consensus_without_a_person_in_a_file(tmp_path):
    base, other = make_counts(1, 12), make_counts(2, 12)
    voted = np.array([[0], [6], [9], [12]])
    rows = [6, 9]  # on the others nobody else worked
    own = Counts(*(as_array(select_images(getattr(other, n), np.array(rows))) for n in WIDTHS))
    write_counts(tmp_path / "base", base, {})
    write_without(tmp_path / "w", WithoutPerson(own, voted), {})
    found = open_without(tmp_path / "w", open_counts(tmp_path / "base"))
    assert same(found, read_without(tmp_path / "w", base))
    for name in WIDTHS:
        table, expected = as_array(getattr(found, name)), []
        for image in range(0, 36, 3):
            source = own if image in rows else base
            if image in rows or [image] not in voted.tolist():
                part = getattr(source, name)
                expected += part[part[:, 0] == image].tolist()
        assert table.tolist() == expected


@pytest.mark.parametrize("cut", [0, 5, 200, -9])
def test_a_file_that_was_cut_is_refused(tmp_path, cut):
    write_counts(tmp_path / "a", make_counts(0, 20), {})
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(whole[:cut])
    with pytest.raises(LayoutError, match="cannot be read"):
        open_counts(tmp_path / "a")


def test_other_tables_are_refused(tmp_path):
    rows = np.zeros((2, 3), np.int64)
    (tmp_path / "a").write_bytes(save({"area": rows.astype(np.float32), "truth": rows[:, 0]}))
    for name, what in (("area", r"F32 \(2, 3\)"), ("truth", r"I64 \(2,\)"), ("pixels", "pixels")):
        with pytest.raises(LayoutError, match=what):
            open_tables(tmp_path / "a", {name: 3})


def test_a_file_that_is_cut_while_it_is_read(tmp_path):
    table = stored(tmp_path / "a", rows_of(np.random.default_rng(3), 30))
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "a").write_bytes(whole[:-8])
    with pytest.raises(LayoutError, match="ends before its"):
        as_array(table)
    (tmp_path / "a").unlink()
    with pytest.raises(LayoutError, match="cannot be read"):
        as_array(table)


@pytest.mark.parametrize("budget", [0, 300])
def test_a_spool_is_read_while_it_grows_and_its_files_go_with_their_rows(tmp_path, budget):
    folder = tmp_path / "spool"
    folder.mkdir()
    (folder / "rows-000000.i64").write_bytes(b"of a process that was killed")
    spool = RowSpool(width=2, folder=folder, budget=budget)
    first, second = np.arange(40).reshape(20, 2), np.arange(40, 60).reshape(10, 2)
    spool.add(5, first)
    held = spool.read(5)
    spool.add(5, second)
    assert np.array_equal(as_array(held), first)
    taken = spool.take(5)
    assert isinstance(taken, Table)
    assert len(spool.take(5)) == 0
    spool.add(5, second)  # another table of the same number
    assert np.array_equal(as_array(taken), np.concatenate([first, second]))
    assert np.array_equal(as_array(spool.take(5)), second)
    del held, taken
    gc.collect()
    assert list(folder.iterdir()) == []
