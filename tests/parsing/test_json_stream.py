"""JSON element by element: the same values and the same refusals as reading it whole."""

from __future__ import annotations

import io
import json
import math
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conceptset.errors import SourceError, UnsafeError
from conceptset.io.tables import parse_json
from conceptset.parsing import json_stream
from conceptset.parsing.json_braces import CUT_OFF, object_end
from conceptset.parsing.json_stream import JsonFile

texts = st.text(
    st.sampled_from('ab"\\{}[],: \n\té€😀\u2028'), max_size=8
)  # what a scanner could take for structure
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
documents = st.one_of(
    st.dictionaries(texts, st.lists(values, max_size=6) | values, max_size=4),
    st.lists(values, max_size=6),
    values,
)
styles = st.fixed_dictionaries(
    {
        "indent": st.sampled_from([None, 0, 3]),
        "separators": st.sampled_from([(",", ":"), (" , ", " : "), (",\r\n\t", ":\n")]),
        "ensure_ascii": st.booleans(),
    }
)


# with almost nothing read at once, every cut falls everywhere
chunks = st.sampled_from([1, 7, 64, 1 << 20])


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("json") / "a.json"


def streamed(path, chunk=1 << 20, **options):
    """The whole document, put together from what is streamed, and read once more by place."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK", chunk)
        return put_together(JsonFile(path, **options))


def put_together(file):
    result = {}
    with file.reopened() as again:
        for member in file.members():
            value = member.value
            if member.elements is not None:
                value = []
                for element in member.elements:
                    value.append(file.decode(element))
                    twice = again.read(element.offset, element.length)
                    assert repr(twice) == repr(value[-1])
            result[member.key] = value
    return result.get(None, result)


@given(chunk=chunks, document=documents, style=styles)
def test_the_same_values(path, chunk, document, style):
    path.write_bytes(json.dumps(document, **style).encode("utf-8", "surrogatepass"))
    assert repr(streamed(path, chunk)) == repr(document)


@given(document=documents, style=styles, bom=st.booleans())
def test_places_are_those_of_the_bytes(path, document, style, bom):
    data = b"\xef\xbb\xbf" * bom + json.dumps(document, **style).encode()
    path.write_bytes(data)
    file = JsonFile(path)
    for member in file.members():
        for element in member.elements or ():
            own = data[element.offset : element.offset + element.length]
            assert own == own.strip()
            assert own.decode() == element.text
            assert repr(json.loads(own)) == repr(file.decode(element))


JUNK = ['"', "\\", "{", "}", "[", "]", ",", ":", "e", "-", "0", "1" * 41, "NaN", "\n", "\x00", "é"]


@given(
    chunk=chunks,
    document=documents,
    style=styles,
    place=st.floats(0, 1),
    cut=st.integers(0, 3),
    junk=st.sampled_from(["", *JUNK]),
)
def test_the_same_refusals(path, chunk, document, style, place, cut, junk):
    """What is refused as a whole is refused in pieces, and nothing else is."""
    text = json.dumps(document, **style)
    at = int(place * len(text))
    data = (text[:at] + junk + text[at + cut :]).encode()
    path.write_bytes(data)
    try:
        whole = parse_json(data, path=path)
    except SourceError:
        with pytest.raises(SourceError):
            streamed(path, chunk)
    else:
        assert repr(streamed(path, chunk)) == repr(whole)


@given(chunk=chunks, data=st.binary(max_size=40))
def test_any_bytes(path, chunk, data):
    path.write_bytes(data)
    try:
        whole = parse_json(data, path=path)
    except SourceError:
        with pytest.raises(SourceError):
            streamed(path, chunk)
    else:
        assert repr(streamed(path, chunk)) == repr(whole)


REFUSED = [
    ('{"a": [1,\n 2,\n {"b" 3}]}', "is no valid JSON", "line 3 column 7"),
    ('{"a": [{"b": 1},\n\n  "x": 2]}', "Expecting ',' delimiter", "line 3 column 6"),
    ('{"é€": [1]\n"b": 2}', "Expecting ',' delimiter", "line 2 column 1"),
    ('{"é€": [1]; 3}', "Expecting ',' delimiter", "line 1 column 11"),
    ('{"a": 1, "b": {"c": ', "Expecting value", "line 1 column 21"),
    ('{"a": "no end', "Unterminated string", "line 1 column 7"),
    ('[{"a": "no end]', "Unterminated string", "line 1 column 8"),
    ('[1, 2] 3', "Extra data", "line 1 column 8"),
    ('[1, 2,]', "Expecting value", "line 1 column 7"),
    ('{"a": 1,}', "Expecting property name", "line 1 column 9"),
    ("", "Expecting value", "line 1 column 1"),
    ('{"a": 1,\n"a": [2]}', "the key 'a' occurs twice in one object", "line 2 column 4"),
    ('[0,\n{"k": 1, "k": 2}]', "the key 'k' occurs twice in one object", "line 2 column 1"),
    ('[0, {"k": %s}]' % ("1" * 41), "an integer of 41 digits", "line 1 column 5"),
    ("[0, {\"k\": NaN}]", "NaN is no JSON number", "line 1 column 5"),
    ("[0, {\"k\": 1e999}]", "is too large", "line 1 column 5"),
    ("[" * 5000 + "]" * 5000, "nested too deeply", "line 1 column 2"),
    ('{"a":' * 5000 + "1" + "}" * 5000, "nested too deeply", "line 1 column 6"),
]  # fmt: skip


@pytest.mark.parametrize("chunk", [5, 1 << 20])
@pytest.mark.parametrize(("text", "message", "place"), REFUSED)
def test_where_and_why(tmp_path, chunk, text, message, place):
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8", newline="")
    with pytest.raises(SourceError, match=message) as caught:
        streamed(path, chunk)
    assert caught.value.pointer == place
    assert caught.value.path == path


@pytest.mark.parametrize("before", ["", "é", "\ufeff"])
def test_text_that_is_not_utf_8(tmp_path, before):
    path = tmp_path / "a.json"
    path.write_bytes(f'{before}["abc", "'.encode() + b'\xff"]')
    with pytest.raises(SourceError, match="is not UTF-8 text") as caught:
        streamed(path)
    assert caught.value.pointer == f"byte {len(before.encode()) + 9}"
    path.write_bytes(b'["' + "€".encode()[:2])
    with pytest.raises(SourceError, match="is not UTF-8 text"):
        streamed(path)


def test_a_missing_file(tmp_path):
    with pytest.raises(SourceError, match="cannot be read"):
        streamed(tmp_path / "none.json")
    with pytest.raises(SourceError, match="cannot be read"):
        JsonFile(tmp_path / "none.json").first_character()


def test_numbers_that_are_none_pass_where_asked_for(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [{"x": NaN}, -Infinity, 1e999], "b": NaN}')
    found = streamed(path, allow_nan=True)
    assert math.isnan(found["a"][0]["x"])
    assert found["a"][1:] == [-math.inf, math.inf]
    assert math.isnan(found["b"])
    path.write_text('[{"x": %s}]' % ("1" * 41))
    with pytest.raises(SourceError, match="41 digits"):
        streamed(path, allow_nan=True)


def test_many_digits_before_the_point(tmp_path):
    """Cut before the point they are an integer too long to be one."""
    path = tmp_path / "a.json"
    path.write_text("[%s.5]" % ("1" * 60))
    assert streamed(path, chunk=1) == [float("1" * 60)]


def test_what_is_not_taken_is_passed_over(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [{"x": "}"}, [1, [2]], {"y": {}}], "b": 1}')
    keys = [(member.key, member.value) for member in JsonFile(path).members()]
    assert keys == [("a", None), ("b", 1)]


def test_a_file_that_changed_between_the_two_looks(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"a": 1}, {"b": 2}]')
    file = JsonFile(path)
    places = [(e.offset, e.length) for m in file.members() for e in m.elements]
    path.write_bytes(b'[{"a": "\xff"} , 3]')
    with file.reopened() as again, pytest.raises(SourceError, match="changed while it was read"):
        again.read(*places[0])
    path.write_text("[")
    with file.reopened() as again, pytest.raises(SourceError, match="no valid JSON"):
        again.read(*places[1])


@given(value=st.dictionaries(texts, values, max_size=4), rest=texts)
def test_the_end_of_an_object_is_exact_or_unknown(value, rest):
    text = json.dumps(value, ensure_ascii=False)
    end = object_end(text + rest, 0)
    assert end is None or end == len(text) or (end == CUT_OFF and any(c in text for c in '\\"'))
    if not any(c in json.dumps([*walk(value)]) for c in ("{", "}", "\\")):
        assert end == len(text)
    for cut in range(1, len(text)):
        assert object_end(text[:cut], 0) in (None, CUT_OFF)


def walk(value):
    """All texts in a value, keys too."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


@pytest.mark.parametrize("begin", ['[{"a": "', "[" + '{"a":[', "[[1,", '{"a": "', '{"a": {"b": "'])
def test_a_value_too_large_to_hold_is_refused(tmp_path, monkeypatch, begin):
    monkeypatch.setattr(json_stream, "MAX_ELEMENT", 1 << 12)
    monkeypatch.setattr(json_stream, "_CHUNK", 1 << 9)
    path = tmp_path / "a.json"
    path.write_text(begin + "1," * (1 << 13))
    with pytest.raises(UnsafeError, match="more than 0 MiB") as caught:
        streamed(path)
    assert caught.value.pointer.startswith("byte ")
    path.write_text("[" + "1," * (1 << 13) + "1]")
    assert len(streamed(path)) == (1 << 13) + 1


def test_too_many_keys_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(json_stream, "MAX_KEYS", 10)
    path = tmp_path / "a.json"
    path.write_text(json.dumps({str(place): 0 for place in range(11)}))
    with pytest.raises(UnsafeError, match="more than 10 keys"):
        streamed(path)


def test_memory_does_not_grow_with_the_file(tmp_path):
    peaks = []
    for count in (10_000, 40_000):
        path = tmp_path / f"{count}.json"
        with path.open("w") as stream:
            entry = json.dumps({"id": 1, "segmentation": [[0.5] * 40]})
            stream.write('{"annotations": [')
            stream.write(",".join([entry] * count))
            stream.write("]}")
        tracemalloc.start()
        file = JsonFile(path)
        for member in file.members():
            for element in member.elements:
                file.decode(element)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert path.stat().st_size > 8e6
    assert peaks[1] < 1.2 * peaks[0] < 10e6


def test_a_list_somewhere_in_the_file(tmp_path):
    path = tmp_path / "a.json"
    data = '{"ä": {"images": [{"n": "é"}, 2]}}'.encode()
    path.write_bytes(data)
    file = JsonFile(path)
    found = list(file.elements_from(data.index(b"[")))
    assert [file.decode(element) for element in found] == [{"n": "é"}, 2]
    assert data[found[1].offset :][: found[1].length] == b"2"
    assert io.BytesIO(data).getvalue()[found[0].offset :].startswith(b'{"n"')
