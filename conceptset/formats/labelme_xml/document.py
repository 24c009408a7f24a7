"""One LabelMe XML file as plain texts and numbers, nothing judged yet."""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from conceptset.errors import UnsafeError
from conceptset.io.tables import read_bytes
from conceptset.parsing.values import whole_number
from conceptset.parsing.xml import stream_elements

MAX_BYTES = 16 << 20  # the tool's files hold one image each; real ones stay below 1 MiB
MAX_OBJECTS = 100_000  # each can cost a finding
_DECLARES_ENCODING = re.compile(rb"\s*<\?xml[^>]*\sencoding\s*=")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_AMPERSAND = re.compile(
    rb"<!\[CDATA\[.*?(?:\]\]>|\Z)|<!--.*?(?:-->|\Z)"  # there it stands for itself
    rb"|&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)",
    re.DOTALL,
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Drawing:
    """One `<object>`; texts are stripped, an absent one is empty.

    Attributes:
        number: Its place among the objects, from 1, as an XPath counts.
        name: What it was called.
        deleted: The flag, as written.
        key: Its id; where it has none, its place from 0, by which the tool refers to it then.
        has_parts: Ids of its parts.
        part_of: Ids of its wholes.
        is_box: Whether its type is `bounding_box`.
        username: Who drew it.
        polygons: How many outlines it has.
        points: x1, y1, x2, y2, ... of the first outline: a number, a text that is none, or None
            where a point lacks one.
        frames: Whether the outline is one of the video variant.
        masks: Files of its masks; an empty text where one is not named.
    """

    number: int
    name: str
    deleted: str
    key: str
    has_parts: tuple[str, ...]
    part_of: tuple[str, ...]
    is_box: bool
    username: str
    polygons: int
    points: tuple[float | str | None, ...]
    frames: bool
    masks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Document:
    """One file.

    Attributes:
        filename: The photograph.
        folder: Its folder below `Images`.
        size: (height, width) as stated; None if missing, empty or 0.
        drawings: Its objects, in order.
        repairs: What had to be mended before it could be parsed, one sentence each.
    """

    filename: str
    folder: str
    size: tuple[int, int] | None
    drawings: tuple[Drawing, ...]
    repairs: tuple[str, ...]


def repaired(data: bytes) -> tuple[bytes, tuple[str, ...]]:
    r"""The bytes as XML that parses, and what was mended: letters of Latin-1, bare ampersands.

    Args:
        data: A file, or its beginning.

    >>> repaired(b"<name>caf\xe9 & bar</name>")[0].decode()
    '<name>café &amp; bar</name>'
    """
    notes = []
    if data.startswith(_UTF16):
        return data, ()
    if not _DECLARES_ENCODING.match(data) and not _is_utf8(data):
        data = data.decode("latin-1").encode()
        notes.append("the file is neither UTF-8 nor says what it is; it is read as Latin-1.")
    mended = _AMPERSAND.sub(_escaped, data)
    count = (len(mended) - len(data)) // len(b"amp;")
    if count:
        noun = "ampersand is" if count == 1 else "ampersands are"
        notes.append(f"{count} {noun} not written as &amp;; read as the character.")
    return mended, tuple(notes)


def _is_utf8(data: bytes) -> bool:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)  # the last letter may be cut
    except UnicodeDecodeError:
        return False
    return True


def _escaped(match: re.Match[bytes]) -> bytes:
    return b"&amp;" if match[0] == b"&" else match[0]


def load(path: Path) -> Document:
    """The file, all of it.

    Raises:
        SourceError: It cannot be read, or is no XML.
        UnsafeError: It is too large, has too many objects or a DTD, or is nested too deeply.
    """
    data, repairs = repaired(read_bytes(path, MAX_BYTES))
    texts: dict[str, str] = {}
    size = None
    drawings: list[Drawing] = []
    for element in _children(data, path):
        if len(drawings) > MAX_OBJECTS:
            raise UnsafeError(f"has more than {MAX_OBJECTS:,} objects", path=path)
        if element.tag == "object":
            drawings.append(_drawing(element, len(drawings)))
        elif element.tag == "imagesize":
            size = size or _size(element)
        elif element.tag in ("filename", "folder"):
            texts.setdefault(element.tag, _text(element))
    return Document(
        texts.get("filename", ""), texts.get("folder", ""), size, tuple(drawings), repairs
    )


def load_names(path: Path) -> tuple[str, str]:
    """(filename, folder), empty where absent; what follows them is not read.

    Raises:
        SourceError: It cannot be read, or is no XML up to there.
        UnsafeError: It is too large, has a DTD, or is nested too deeply.
    """
    texts: dict[str, str] = {}
    for element in _children(repaired(read_bytes(path, MAX_BYTES))[0], path):
        if element.tag in ("filename", "folder"):
            texts.setdefault(element.tag, _text(element))
        if len(texts) == 2:
            break
    return texts.get("filename", ""), texts.get("folder", "")


def _children(data: bytes, path: Path) -> Iterator[Element]:
    for _, element in stream_elements(io.BytesIO(data), path=path):
        yield element


def _text(element: Element | None, path: str | None = None) -> str:
    found = element.find(path) if element is not None and path else element
    return "" if found is None else (found.text or "").strip()


def _size(element: Element) -> tuple[int, int] | None:
    height, width = (whole_number(_text(element, tag)) for tag in ("nrows", "ncols"))
    return (height, width) if height and width else None


def _drawing(element: Element, place: int) -> Drawing:
    polygons, masks = element.findall("polygon"), element.findall("segm")
    polygon = polygons[0] if polygons else None
    shape = masks[0] if masks else polygon
    return Drawing(
        number=place + 1,
        name=_text(element, "name"),
        deleted=_text(element, "deleted"),
        key=_text(element, "id") or str(place),
        has_parts=_keys(_text(element, "parts/hasparts")),
        part_of=_keys(_text(element, "parts/ispartof")),
        is_box=_text(element, "type") == "bounding_box",
        username=_text(shape, "username") or _text(polygon, "username"),
        polygons=len(polygons),
        points=() if polygon is None else tuple(_coordinates(polygon)),
        frames=polygon is not None and any(polygon.find(tag) is not None for tag in ("t", "x")),
        masks=tuple(_text(mask, "mask") for mask in masks),
    )


def _keys(text: str) -> tuple[str, ...]:
    return tuple(key for part in text.split(",") if (key := part.strip()))


def _coordinates(polygon: Element) -> Iterator[float | str | None]:
    for point in polygon.findall("pt"):
        for tag in ("x", "y"):
            text = _text(point, tag)
            yield (float(text) if _NUMBER.fullmatch(text) else text) if text else None
