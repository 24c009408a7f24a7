"""XML that was made to harm, and XML that is only large."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from conceptset.errors import ConceptsetError, SourceError, UnsafeError
from conceptset.parsing.xml import MAX_DEPTH, MAX_NAMES, read_head, stream_elements

PATH = Path("a.xml")


def stream(data, **options):
    """What comes out, as text, while each element is whole."""
    found = []
    for parent, element in stream_elements(io.BytesIO(data), path=PATH, **options):
        found.append((parent.tag, ET.tostring(element, encoding="unicode").strip()))
    return found


def measured(make):
    """(error or number of elements, peak MiB, seconds) of reading `make`, in a process of its own.

    Args:
        make: Source of a generator expression of bytes, so that nothing large stands here.
    """
    program = f"""
        import io, sys, time
        from pathlib import Path
        from conceptset.errors import ConceptsetError
        from conceptset.parsing.xml import stream_elements

        class Stream(io.RawIOBase):
            def __init__(self, parts):
                self.parts, self.rest = parts, b""
            def read(self, size):
                while len(self.rest) < size:
                    part = next(self.parts, None)
                    if part is None:
                        break
                    self.rest += part
                data, self.rest = self.rest[:size], self.rest[size:]
                return data

        begin = time.perf_counter()
        try:
            said = sum(1 for _ in stream_elements(Stream(iter({make})), path=Path("a.xml")))
        except ConceptsetError as error:
            said = type(error).__name__
        # ru_maxrss would be that of the process that started this one, where it is larger
        status = Path("/proc/self/status").read_text()
        peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        print(said, peak, time.perf_counter() - begin)
    """
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=True
    )
    said, peak, seconds = result.stdout.split()
    return said, float(peak), float(seconds)


BOMB = b"""<?xml version="1.0"?><!DOCTYPE a [<!ENTITY x "haha">%s]><a><b>&x9;</b></a>""" % b"".join(
    b'<!ENTITY x%d "%s">' % (n, b"&x%s;" % (b"" if n == 0 else b"%d" % (n - 1)) * 10)
    for n in range(10)
)


@pytest.mark.parametrize(
    "data",
    [
        BOMB,
        b'<!DOCTYPE a SYSTEM "http://127.0.0.1:9/a.dtd"><a><b/></a>',
        b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a><b>&x;</b></a>',
        b'<!DOCTYPE a [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]><a><b/></a>',
        b"<!DOCTYPE a><a><b/></a>",
        '<!DOCTYPE a [<!ENTITY x "haha">]><a><b>&x;</b></a>'.encode("utf-16"),
        b"<!--" + b"x" * 300_000 + b"--><!DOCTYPE a><a><b/></a>",
    ],
    ids=["bomb", "external-dtd", "external", "parameter", "bare", "utf-16", "behind-a-comment"],
)
def test_document_types_and_entities(data):
    with pytest.raises(UnsafeError) as caught:
        stream(data)
    assert "document type or entities" in str(caught.value)
    assert "passwd" not in str(caught.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<a><b>&x;</b></a>", "undefined entity"),
        (b"<a><b/><!DOCTYPE a><b/></a>", "not well-formed"),
        (b"<a><b/>\x00</a>", "not well-formed"),
        (b"<a><b/>", "no element found"),
        (b"", "no element found"),
        (b"<a><b/></a><a/>", "junk after document element"),
        (b"<a><b></a></b>", "mismatched tag"),
        (b"<a><x:b/></a>", "unbound prefix"),
        (b"<a><b/>\xff\xfe</a>", "not well-formed"),
        (b'<?xml version="1.0" encoding="utf-8"?><a><b c="\xe4"/></a>', "not well-formed"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "unknown encoding"),
        (b'<?xml version="1.0" encoding="utf-7"?><a/>', "multi-byte encodings"),
        (b'<?xml version="1.0" encoding="cp932"?><a/>', "multi-byte encodings"),
        (b'<?xml version="1.0" encoding="rot13"?><a/>', "is no valid XML"),
        (b'<?xml version="1.0" encoding="utf-16"?><a/>', "encoding specified"),
        (b'<a><b c="1" c="2"/></a>', "duplicate attribute"),
    ],
)
def test_broken(data, said):
    with pytest.raises(SourceError) as caught:
        stream(data)
    assert said in str(caught.value)


def test_the_message_has_line_and_column():
    with pytest.raises(SourceError) as caught:
        stream(b"<a>\n<b>\n  <c></b>\n</a>")
    assert caught.value.pointer == "line 3 column 8"


@pytest.mark.parametrize("depth", [MAX_DEPTH, MAX_DEPTH + 1])
def test_depth(depth):
    data = b"<a>" * depth + b"</a>" * depth
    if depth == MAX_DEPTH:
        assert len(stream(data)) == 1
    else:
        with pytest.raises(UnsafeError, match="nested more than 64 deep"):
            stream(data)


def test_names():
    names = "".join(f"<n{number}/>" for number in range(MAX_NAMES - 1))
    assert len(stream(f"<a>{names}</a>".encode())) == MAX_NAMES - 1
    with pytest.raises(UnsafeError, match="names of tags"):
        stream(f"<a>{names}<more/></a>".encode())


@pytest.mark.parametrize(
    ("make", "said"),
    [
        ("(b'<a>' * 10_000 for _ in range(3_500))", "UnsafeError"),
        ("(b'<a b=\"' if n < 0 else b'x' * 1_000_000 for n in range(-1, 100))", "UnsafeError"),
        ("(b'<a><b>' if n < 0 else b'x' * 1_000_000 for n in range(-1, 100))", "UnsafeError"),
        ("(b'<a><!--' if n < 0 else b'x' * 1_000_000 for n in range(-1, 100))", "UnsafeError"),
        ("(b'<a><b>' if n < 0 else b'<c/>' * 50_000 for n in range(-1, 500))", "UnsafeError"),
        ("(b'<a><b>' if n < 0 else b'<c d=\"\"/>' * 50_000 for n in range(-1, 99))", "UnsafeError"),
        ("(b'<a>' if n < 0 else b'<c%d/>' % n for n in range(-1, 10_000_000))", "UnsafeError"),
        (
            "(b'<a><b>' if n < 0 else b'<c>' + b'\\xf0\\x9f\\x98\\x80' * 60_000 + b'</c>' "
            "for n in range(-1, 600))",
            "UnsafeError",
        ),
        (
            "(b'<a>' if n < 0 else b'</a>' if n == 400 else b'<c>' + b'x' * 500_000 + b'</c>' "
            "for n in range(-1, 401))",
            "400",
        ),
    ],
    ids=[
        "nesting", "attribute", "text", "comment", "elements", "attributes", "names", "smileys",
        "only-large",
    ],
)  # fmt: skip
def test_memory_and_time_are_bounded(make, said):
    """About 100 MB each."""
    found, peak, seconds = measured(make)
    assert found == said
    assert peak < 256  # MiB
    assert seconds < 30


def test_one_element_after_the_other():
    data = b"<r a='1'>\n<b><c/>x</b>tail<b/><d e='2'/></r>"
    assert stream(data) == [
        ("r", "<b><c />x</b>tail"),
        ("r", "<b />"),
        ("r", '<d e="2" />'),
    ]
    parents = [parent for parent, _ in stream_elements(io.BytesIO(data), path=PATH)]
    assert all(parent.attrib == {"a": "1"} and len(parent) == 0 for parent in parents)


def test_elements_inside():
    data = b"<r><b><c><d/></c><c/></b><e><c/></e><b n='2'><c/></b></r>"
    assert stream(data, inside=("b",)) == [
        ("b", "<c><d /></c>"),
        ("b", "<c />"),
        ("r", "<b />"),
        ("r", "<e><c /></e>"),
        ("b", "<c />"),
        ("r", '<b n="2" />'),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1", "cp1252"])
def test_encodings(encoding):
    text = f'<?xml version="1.0" encoding="{encoding.removesuffix("-sig")}"?><a><b c="Tür"/></a>'
    assert stream(text.encode(encoding)) == [("a", '<b c="Tür" />')]


texts = st.text(alphabet="ab<>&\"'x\n\t\u00e4\u202e", max_size=8)
trees = st.recursive(
    st.builds(lambda name, value: (name, value, []), st.sampled_from("abc"), texts),
    lambda inner: st.builds(
        lambda name, value, children: (name, value, children),
        st.sampled_from("abc"),
        texts,
        st.lists(inner, max_size=4),
    ),
    max_leaves=20,
)


def element_of(tree):
    name, value, children = tree
    element = ET.Element(name, {"v": value})
    element.text = value
    element.extend(element_of(child) for child in children)
    return element


@given(st.lists(trees, max_size=5))
def test_the_same_as_reading_all_at_once(children):
    root = ET.Element("root")
    root.extend(element_of(child) for child in children)
    data = ET.tostring(root)
    expected = [ET.tostring(child, encoding="unicode").strip() for child in ET.fromstring(data)]
    assert [text for _, text in stream(data)] == expected
    inner = stream(data, inside=("a",))
    assert [text for tag, text in inner if tag == "a"] == [
        ET.tostring(grandchild, encoding="unicode").strip()
        for child in ET.fromstring(data)
        for grandchild in child
        if child.tag == "a"
    ]


@given(st.binary(max_size=60), st.integers(0, 60))
def test_any_bytes(noise, place):
    valid = b'<?xml version="1.0"?><a b="c"><d>text</d><e/></a>'
    for data in (noise, valid[:place] + noise + valid[place:], valid[:place] + noise):
        for read in (stream, lambda data: read_head(data, path=PATH)):
            with contextlib.suppress(ConceptsetError):
                read(data)


def test_an_unreadable_stream():
    class Broken(io.BytesIO):
        def read(self, _size=-1):
            raise OSError(5, "Input/output error")

    with pytest.raises(SourceError, match="Input/output error"):
        list(stream_elements(Broken(), path=PATH))
