"""Drawings on their way through a spool: what comes out is what went in, to the last bit."""

from __future__ import annotations

import dataclasses
import typing
from pathlib import Path

import hypothesis.extra.numpy as arrays
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from conceptset import geometry
from conceptset.build.drawings import Drawn, pack_drawings, unpack_drawings
from conceptset.io.spool import Spool, read_extents
from conceptset.records import Origin

numbers = st.floats(-1e7, 1e7, allow_nan=False)
sides = st.tuples(st.integers(1, 65_535), st.integers(1, 65_535))
rings = st.builds(
    geometry.Rings,
    st.lists(
        arrays.arrays(np.float64, st.tuples(st.integers(3, 9), st.just(2)), elements=numbers),
        min_size=1,
        max_size=3,
    ).map(tuple),
    st.sampled_from(["union", "even-odd"]),
)
runs = st.builds(
    geometry.Rle,
    sides,
    arrays.arrays(np.int64, st.integers(0, 9), elements=st.integers(0, 2**40)),
)
paths = st.sampled_from([Path("m.png"), Path("/a b/é\udcff.png")])
coded = st.builds(geometry.CodedMask, paths, st.integers(0, 2**24), sides, st.booleans())
binary = st.builds(geometry.BinaryMask, paths, st.sampled_from(["light", "alpha"]), sides)
pairs = st.tuples(numbers, numbers)
ellipses = st.builds(geometry.Ellipse, pairs, pairs, numbers)
simple = st.one_of(rings, runs, coded, binary, ellipses)
pierced = st.builds(geometry.Pierced, simple, st.lists(simple, max_size=2).map(tuple))
united = st.builds(geometry.United, st.lists(simple | pierced, min_size=1, max_size=3).map(tuple))
shapes = st.one_of(simple, pierced, united)
texts = st.text(max_size=8)
drawings = st.builds(
    Drawn,
    texts,
    st.sampled_from(["object", "part"]),
    texts,
    st.sampled_from(["region", "ignore", "tag"]),
    st.none() | shapes,
    st.integers(0, 3),
    st.integers(-(2**40), 2**40),
    st.none(),
    st.builds(Origin, texts, texts),
    st.booleans(),
)


def plain(value):
    """Something that `==` compares: arrays by their type, form and bytes."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    if dataclasses.is_dataclass(value):
        return (type(value), *(plain(getattr(value, f.name)) for f in dataclasses.fields(value)))
    return (type(value), value)


@given(st.lists(drawings, max_size=4))
def test_there_and_back(given_drawings):
    back = unpack_drawings([pack_drawings(given_drawings)])
    assert [plain(drawn) for drawn in back] == [plain(drawn) for drawn in given_drawings]


def test_every_shape_there_is_was_tried():
    """A new kind of shape fails here until it travels too."""

    def kinds(union):
        if isinstance(union, type):
            return {union}
        return {kind for part in typing.get_args(union) for kind in kinds(part)}

    tried = {"Rings", "Rle", "CodedMask", "BinaryMask", "Ellipse", "Pierced", "United"}
    assert {kind.__name__ for kind in kinds(geometry.Geometry)} == tried


def test_numbers_of_numpy_are_numbers():
    """A reader may take a code from an array."""
    code = np.int64(7)
    shape = geometry.CodedMask(Path("m.png"), code, (np.int32(3), 4))
    drawn = Drawn("a", "object", "a", "region", shape, 0, 0, None, Origin("f", ""))
    (back,) = unpack_drawings([pack_drawings([drawn])])
    assert back.geometry.code == 7
    assert back.geometry.size == (3, 4)


def test_wholes_are_counted_from_their_own_block():
    def tag(part_of):
        return Drawn("a", "object", "a", "tag", None, 0, 0, part_of, Origin("f", ""))

    blocks = [pack_drawings([tag(None), tag(0)]), pack_drawings([]), pack_drawings([tag(0)])]
    assert [drawn.part_of for drawn in unpack_drawings(blocks)] == [None, 0, 2]


def test_short_runs_take_little_room():
    """Most runs of a mask are below 65,536: two bytes, not eight."""
    shape = geometry.Rle((1000, 1000), np.full(1000, 1000, dtype=np.int64))
    drawn = Drawn("a", "object", "a", "region", shape, 0, 0, None, Origin("f", ""))
    assert len(pack_drawings([drawn])) < 2_300


@given(st.lists(st.binary(max_size=50), max_size=8))
def test_a_spool_gives_back_what_it_got_in_any_order(tmp_path_factory, blocks):
    path = tmp_path_factory.mktemp("spool") / "s"
    with Spool(path) as spool:
        places = [spool.append(block) for block in blocks]
        spool.flush()
        assert read_extents(path, places) == blocks
    assert read_extents(path, places[::-1]) == blocks[::-1]
