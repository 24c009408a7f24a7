"""What the axes of outputs mean, and the same values seen in any of their forms."""

from __future__ import annotations

from collections import OrderedDict, namedtuple
from dataclasses import dataclass

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from dissect.errors import LayerError
from dissect.forms import Evidence, Form, read_form
from dissect.outputs import (
    LayerShape,
    maps_view,
    name_part,
    parse_target,
    parts,
    pick,
    units_last_view,
)
from dissect.state import layer_directories


def form(shape, size=(32, 32), part=None, **evidence):
    return read_form(torch.zeros(shape), part, Evidence(2, size, **evidence))


@pytest.mark.parametrize(
    ("name", "module", "call", "keys"),
    [
        ("layer4", "layer4", None, ()),
        ("encoder.relu@2", "encoder.relu", 2, ()),
        ("a.b[0]", "a.b", None, (0,)),
        ("a.b@12[out][0][two words]", "a.b", 12, ("out", 0, "two words")),
        ("a[-1]", "a", None, ("-1",)),
    ],
)
def test_names(name, module, call, keys):
    target = parse_target(name)
    assert (target.name, target.module, target.call, target.keys) == (name, module, call, keys)


def test_a_module_that_is_called_so_is_meant():
    assert parse_target("relu@1", {"relu", "relu@1"}).call is None
    assert parse_target("relu@1", {"relu"}).call == 1


def test_names_make_safe_folders():
    names = ["relu@1", "relu@2", "relu-2", "head[out]", "head[out][0]", "head(out)", "../x[0]"]
    folders = list(layer_directories(names).values())
    assert len({folder.lower() for folder in folders}) == len(names)
    assert all(set(folder) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-") for folder in folders)


Pair = namedtuple("Pair", ["logits", "aux"])


@dataclass
class Held:
    out: torch.Tensor
    note: str = ""


def test_parts_of_every_container():
    one, two = torch.zeros(1), torch.ones(1)
    assert pick((one, two), parse_target("x[1]")) is two
    assert pick(Pair(one, two), parse_target("x[aux]")) is two
    assert pick({"out": one}, parse_target("x[out]")) is one
    assert pick(OrderedDict({"0": one, "pool": two}), parse_target("x[0]")) is one
    assert pick({0: one}, parse_target("x[0]")) is one
    assert pick(Held(two), parse_target("x[out]")) is two
    assert pick([{"a": (None, two)}], parse_target("x[0][a][1]")) is two
    found = [name_part("x", keys) for keys, _ in parts({"a": (None, one), "b": Held(two), "c": 1})]
    assert found == ["x[a][1]", "x[b][out]"]


@pytest.mark.parametrize(
    ("output", "name", "message"),
    [
        ((torch.zeros(1), torch.zeros(1)), "x", r"is a tuple, .*at \[0\], \[1\]: write NAME\[0\]"),
        ({"out": torch.zeros(1)}, "x[aux]", r"has no \[aux\]\. Tensors are at \[out\]"),
        ({"a": {"b": torch.zeros(1)}}, "x[a][c]", r"at \[a\] has no \[c\].*at \[a\]\[b\]"),
        ({"a": {"b": torch.zeros(1)}}, "x[a]", r"is a dict, .*\[a\]\[b\]"),
        (torch.zeros(1), "x[0]", r"has no \[0\]"),
        ("text", "x", "is a str, .*holds no tensor"),
    ],
)
def test_parts_that_are_not_there(output, name, message):
    with pytest.raises(LayerError, match=message):
        pick(output, parse_target(name))


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((2, 7), (32, 32), Form("vector", 7, (1, 1))),
        ((2, 16, 8, 8), (32, 32), Form("maps", 16, (8, 8))),
        ((2, 8, 8, 16), (32, 32), Form("maps", 16, (8, 8), units_last=True)),
        ((2, 8, 8, 8), (32, 32), Form("maps", 8, (8, 8))),
        ((2, 2, 2, 3), (32, 32), Form("maps", 3, (2, 2), units_last=True)),
        ((2, 3, 2, 2), (32, 32), Form("maps", 3, (2, 2))),
        ((2, 1, 1, 20), (32, 32), Form("maps", 20, (1, 1), units_last=True)),
        ((2, 20, 1, 1), (32, 32), Form("maps", 20, (1, 1))),
        ((2, 4, 8, 20), (32, 64), Form("maps", 20, (4, 8), units_last=True)),
        ((2, 20, 4, 8), (32, 64), Form("maps", 20, (4, 8))),
        ((2, 7, 7, 768), (224, 224), Form("maps", 768, (7, 7), units_last=True)),
        ((2, 192, 35, 35), (299, 299), Form("maps", 192, (35, 35))),
        ((2, 16, 5), (32, 32), Form("tokens", 5, (4, 4), True, 0)),
        ((2, 17, 5), (32, 32), Form("tokens", 5, (4, 4), True, 1)),
        ((17, 2, 5), (32, 32), Form("tokens", 5, (4, 4), True, 1, 1)),
        ((2, 2, 5), (32, 32), Form("tokens", 5, (1, 1), True, 1)),
        ((2, 1, 5), (32, 32), Form("tokens", 5, (1, 1), True, 0)),
        ((2, 9, 5), (16, 32), Form("tokens", 5, (2, 4), True, 1)),
        ((2, 8, 5), (16, 32), Form("tokens", 5, (2, 4), True, 0)),
    ],
)
def test_forms_by_shape_alone(shape, size, expected):
    assert form(shape, size) == expected


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((2,), "is no map"),
        ((3, 4, 4, 4), "does not begin with them"),
        ((2, 4, 4, 4, 4), "is no map"),
        ((2, 0, 7, 7), "is no map"),
        ((2, 7, 5), "its 7 tokens make no grid"),
        ((2, 21, 5), "its 21 tokens make no grid"),
        ((2, 3, 17, 64), "no two sides with the photograph's proportions"),
        ((), "does not begin"),
    ],
)
def test_forms_that_are_none(shape, reason):
    assert reason in form(shape)


def test_a_class_that_is_known_decides():
    assert form((2, 8, 8, 20), part=nn.Linear(1, 20)).units_last
    assert not form((2, 8, 8, 20), part=nn.Conv2d(1, 8, 1)).units_last
    assert form((2, 5, 7, 7), (32, 64), part=nn.AdaptiveAvgPool2d(7)).map_size == (7, 7)

    class Permuting(nn.LayerNorm):
        pass

    assert form((2, 20, 8, 8), part=Permuting(20)) == Form("maps", 20, (8, 8))
    seen = (((8, 16, 32), True),)
    assert form((2, 8, 16, 32), (32, 64), orders=seen) == Form("maps", 32, (8, 16), True)
    assert form((2, 8, 16, 32), (32, 64)) == Form("maps", 8, (16, 32))


def test_grids_that_are_known_decide():
    # 100 x 60 in patches of 16 is 6 x 3: not the proportions of the photograph
    assert "no grid" in form((2, 18, 5), (100, 60))
    expected = Form("tokens", 5, (6, 3), True, 0)
    assert form((2, 18, 5), (100, 60), grids=((6, 3),)) == expected
    assert form((2, 18, 5), (100, 60), patch=(16, 16)) == expected
    assert form((2, 20, 5), (100, 60), grids=((6, 3),)).first_token == 2
    assert "no grid" in form((2, 23, 5), (100, 60), grids=((6, 3),))
    assert form((2, 23, 5), (100, 60), grids=((6, 3),), tokens_before=5).first_token == 5
    # the latest convolution, and exactly its places, before anything else that fits
    assert form((2, 20, 5), (100, 60), grids=((5, 4), (6, 3))).map_size == (5, 4)
    assert form((2, 261, 5), (224, 224), grids=((16, 16),)).first_token == 5
    assert form((2, 259, 5), (224, 224), tokens_before=3).map_size == (16, 16)


KINDS = ["first", "last", "tokens", "sequence", "vector"]


def laid_out(values, kind, first):
    """(output, shape) that hold (B, U, h, w) values in one of the forms."""
    batch, units, height, width = values.shape
    last = values.permute(0, 2, 3, 1)
    tokens = last.reshape(batch, -1, units)
    tokens = torch.cat([torch.full((batch, first, units), 77.0), tokens], dim=1)
    size = (height, width)
    if kind == "first":
        return values, LayerShape("l", "maps", units, size)
    if kind == "last":
        return last.contiguous(), LayerShape("l", "maps", units, size, True)
    if kind == "tokens":
        return tokens, LayerShape("l", "tokens", units, size, True, first)
    if kind == "sequence":
        shape = LayerShape("l", "tokens", units, size, True, first, 1)
        return tokens.transpose(0, 1).contiguous(), shape
    return values[:, :, 0, 0], LayerShape("l", "vector", units, (1, 1))


@given(
    st.sampled_from(KINDS),
    st.tuples(*[st.integers(1, 4)] * 4),
    st.integers(0, 3),
    st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    st.sampled_from(["as it is", "channels_last", "every second"]),
)
def test_both_views_hold_the_same_values(kind, sides, first, dtype, strides):
    if kind == "vector":
        sides = (*sides[:2], 1, 1)
    values = torch.arange(torch.Size(sides).numel(), dtype=torch.float32).reshape(sides)
    output, shape = laid_out(values, kind, first)
    output = output.to(dtype)
    if strides == "channels_last" and output.ndim == 4:
        output = output.to(memory_format=torch.channels_last)
    elif strides == "every second":
        output = torch.stack([output, output + 1000], dim=-1)[..., 0]
    before = output.clone()
    view, start = units_last_view(output, shape)
    maps = maps_view(output, shape)
    assert view.is_contiguous()
    assert view.dtype == maps.dtype == torch.float32
    assert maps.shape == values.shape
    assert torch.equal(maps, values)
    height, width = shape.map_size
    for y in range(height):
        for x in range(width):
            assert torch.equal(view[:, start + y * width + x], values[:, :, y, x])
    assert torch.equal(output, before)


def test_memory_that_lies_right_is_not_copied():
    values = torch.randn(2, 6, 4, 5)
    for kind in ("last", "tokens", "vector"):
        output, shape = laid_out(values, kind, 2)
        view, _ = units_last_view(output.contiguous(), shape)
        if kind != "vector":
            assert view.data_ptr() == output.data_ptr()
    by_channel = values.contiguous(memory_format=torch.channels_last)
    shape = LayerShape("l", "maps", 6, (4, 5))
    assert units_last_view(by_channel, shape)[0].data_ptr() == by_channel.data_ptr()
    for output, shape in (laid_out(values, kind, 2) for kind in KINDS):
        maps = maps_view(output, shape)
        assert maps.untyped_storage().data_ptr() == output.untyped_storage().data_ptr()
    copied, _ = units_last_view(values, LayerShape("l", "maps", 6, (4, 5)))
    assert copied.data_ptr() != values.data_ptr()


@pytest.mark.parametrize("kind", KINDS)
def test_another_shape_than_when_it_was_probed(kind):
    output, shape = laid_out(torch.zeros(2, 3, 4, 5), kind, 1)
    for wrong in (torch.cat([output, output], dim=-1), output[0], output.long()):
        for look in (units_last_view, maps_view):
            with pytest.raises(LayerError, match=r"layer l: its output .* is not shaped as"):
                look(wrong, shape)
