"""Class lists in every form that people keep them, and the ones that could mean two things."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conceptset.errors import ConceptsetError, SourceError
from conceptset.formats.masks.class_lists import read_class_list, stands_for_nothing


@pytest.fixture
def listed(tmp_path):
    def read(text, name="classes.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_class_list(path)

    return read


def rgb(red, green, blue):
    return int.from_bytes(bytes([red, green, blue]), "little")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("background\ndoor\nwall\n", {0: None, 1: "door", 2: "wall"}),
        ("__ignore__\n_background_\ndoor", {255: None, 0: None, 1: "door"}),
        ("0 sky\n7 dining table\n", {0: "sky", 7: "dining table"}),
        ("0: sky\n7: road: wet\n", {0: "sky", 7: "road: wet"}),
        ("0,sky\r\n7,tree\r\n", {0: "sky", 7: "tree"}),
        ("0\tsky\n7\ttree", {0: "sky", 7: "tree"}),
        ("sky,0\ndining table, 7", {0: "sky", 7: "dining table"}),
        ("sky: 0\ntree: 7\n", {0: "sky", 7: "tree"}),
        ("sky\t0\ntree\t7\n", {0: "sky", 7: "tree"}),
        ("\ufeff# made by hand\n1 door\n\n2 wall\n", {1: "door", 2: "wall"}),
        ("-1 __ignore__\n0 void\n1 door", {255: None, 0: None, 1: "door"}),
        ("1 =cmd\n2 \u202edoor", {1: "=cmd", 2: "\u202edoor"}),
    ],
)
def test_codes(listed, text, expected):
    found = listed(text)
    assert found.names == expected
    assert (found.is_colours, found.is_uncertain, found.troubles) == (False, False, ())


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\nred car:250,50,5:wheel,door:\n",
            "labelmap.txt",
        ),
        ("0 0 0\tbackground\n250 50 5\tred car\n", "label_colors.txt"),
        ("background,0,0,0\nred car,250,50,5\n", "classes.txt"),
        ("name,r,g,b\nbackground,0,0,0\nred car, 250, 50, 5\n", "class_dict.csv"),
        ('{"background": [0, 0, 0], "red car": [250, 50, 5]}', "classes.json"),
        (
            '[{"name": "background", "color": [0, 0, 0]}, '
            '{"name": "red car", "color": [250, 50, 5]}]',
            "classes.json",
        ),
    ],
)
def test_colours(listed, text, name):
    found = listed(text, name)
    assert found.is_colours
    assert found.names == {0: None, rgb(250, 50, 5): "red car"}
    assert found.troubles == ()


@pytest.mark.parametrize(
    "value",
    [
        {"0": "void", "3": "door"},
        {"void": 0, "door": 3},
        {"classes": {"0": "void", "3": "door"}},
        [{"id": 0, "name": "void"}, {"id": "3", "name": "door", "color": [1, 2, 3]}],
        {"labels": [{"index": 0, "label": "void"}, {"index": 3, "label": "door"}]},
        ["void", "a", "b", "door"],
    ],
)
def test_json(listed, value):
    found = listed(json.dumps(value), "classes.json")
    assert {key: name for key, name in found.names.items() if key in (0, 3)} == {0: None, 3: "door"}
    assert (found.is_colours, found.is_uncertain, found.troubles) == (False, False, ())


def test_csv_with_a_header_reads_its_columns_wherever_they_stand(listed):
    found = listed('super,name,id\nx,"door, open",4\ny,wall,5\n', "classes.csv")
    assert found.names == {4: "door, open", 5: "wall"}


def test_names_alone_that_begin_with_a_thing_could_count_from_one(listed):
    found = listed("sky\ntree\n")
    assert found.names == {0: "sky", 1: "tree"}
    assert found.is_uncertain


@pytest.mark.parametrize(
    ("text", "line"), [("void\n\ndoor", "line 2"), ("void\n# x\ndoor", "line 2")]
)
def test_a_gap_would_shift_what_follows(listed, text, line):
    with pytest.raises(SourceError, match="number is the code") as caught:
        listed(text)
    assert caught.value.pointer == line


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("", "classes.txt"),
        ("\n\n", "classes.txt"),
        ("", "classes.csv"),
        (b"\xff\xfe", "classes.txt"),
        ("[]", "classes.json"),
        ("3", "classes.json"),
        ('["a", 3]', "classes.json"),
        ("{", "classes.json"),
        ("[" * 10_000, "classes.json"),
        ("x\n" * 70_000, "classes.txt"),
        (b"x" * (5 << 20), "classes.txt"),
    ],
)
def test_what_is_no_list(listed, text, name):
    with pytest.raises(SourceError):
        listed(text, name)


def test_broken_entries_are_told_and_the_rest_is_read(listed):
    found = listed("1 door\n1 gate\n2 wall\nroof\n99999999999 sky\n5 door\n6 \u200b\n")
    assert found.names == {1: "door", 2: "wall", 5: "door"}
    assert [(code, place) for code, place, _ in found.troubles] == [
        ("SRC012", "line 2"),
        ("SRC070", "line 4"),
        ("SRC070", "line 5"),
        ("SRC013", "line 6"),
        ("SRC070", "line 7"),
    ]


def test_colours_out_of_range(listed):
    found = listed("a:0,0,256::\nb:1,2,3::\n", "labelmap.txt")
    assert found.names == {rgb(1, 2, 3): "b"}
    assert [code for code, _, _ in found.troubles] == ["SRC070"]


@pytest.mark.parametrize("name", ["Background", "_background_", "__ignore__", "(void, unlabelled)"])
def test_names_of_nothing(name):
    assert stands_for_nothing(name)


@pytest.mark.parametrize("name", ["avoid", "background music", "sky", "", "3", "none"])
def test_names_of_something(name):
    assert not stands_for_nothing(name)


@pytest.mark.parametrize(
    "text", ["a" + " " * 1_000_000 + "b", "\t" * 1_000_000 + "x", ":," * 500_000, "1" * 1_000_000]
)
def test_long_lines_take_time_linear_in_their_length(listed, text):
    """A pattern that backtracks would take hours."""
    assert len(listed(f"void\n{text}").names) >= 1


@pytest.mark.parametrize("name", ["classes.txt", "classes.csv", "classes.json"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_fuzz(name, data, tmp_path):
    words = '0|1|-1|255| |,|:|;|\t|\n|#|door|void|r,g,b|name,id|[|]|{|}|"|null|12,13,14|1e9'
    piece = st.sampled_from([*words.split("|"), "\x00", "\u202e", "\ud800"])
    text = data.draw(
        st.one_of(st.lists(piece, max_size=40).map("".join), st.text(max_size=60))
    ).encode("utf-8", errors="surrogatepass")
    path = tmp_path / name
    path.write_bytes(data.draw(st.one_of(st.just(text), st.binary(max_size=60))))
    try:
        found = read_class_list(path)
    except ConceptsetError:
        return
    assert all(0 <= key < 1 << 24 for key in found.names)
    assert all(name is None or name == name.strip() != "" for name in found.names.values())
    for _, _, message in found.troubles:
        assert message.isprintable()


@given(
    st.dictionaries(
        st.integers(0, (1 << 24) - 1),
        st.from_regex(r"[a-z][a-z ]{0,8}[a-z]", fullmatch=True),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([" ", ": ", ",", "\t", " ; "]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_written_is_read(tmp_path, classes, separator):
    path = tmp_path / "classes.txt"
    path.write_text("".join(f"{code}{separator}{name}\n" for code, name in classes.items()))
    expected = {code: None if stands_for_nothing(name) else name for code, name in classes.items()}
    assert read_class_list(path).names == expected
    path.write_text(json.dumps({str(code): name for code, name in classes.items()}))
    assert read_class_list(path.rename(tmp_path / "classes.json")).names == expected
