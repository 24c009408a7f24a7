"""XML we do not trust: streamed element by element, without DTDs, in bounded memory."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast
from xml.etree.ElementTree import Element, ParseError, XMLPullParser

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from conceptset.errors import SourceError, UnsafeError

MAX_DEPTH = 64
MAX_TAG = 16 << 20  # bytes of one tag or text; the parser scans it again and again
MAX_ELEMENT = 128 << 20  # bytes that one element is worth, which is handed out whole
MAX_NAMES = 4096  # of tags and attributes; the parser keeps each one to the end
_ELEMENT, _ATTRIBUTE = 200, 100  # bytes of memory each takes beside its text, about
_CHUNK = 1 << 18
_MORE = "Split the file, or export it again."


@dataclass(frozen=True, slots=True)
class XmlHead:
    """How an XML file begins.

    Attributes:
        root: Tag of the root element.
        attributes: Attributes of the root element.
        tags: Tags below it, each once, in order of appearance.
        paths: The same as paths below the root (`meta/task/owner`).
    """

    root: str
    attributes: dict[str, str]
    tags: tuple[str, ...]
    paths: tuple[str, ...]


def stream_elements(
    stream: IO[bytes], *, path: Path, inside: Collection[str] = ()
) -> Iterator[tuple[Element, Element]]:
    """The elements directly below the root, one after the other, each with all it holds.

    An element is given up as soon as the next one is asked for: a file of any size takes the memory
    of its largest element.

    Args:
        stream: The file, opened in binary mode.
        path: Its name, for errors.
        inside: Tags of elements below the root that are too large to be held: their children come
            out one by one, then they themselves, empty.

    Yields:
        (parent, element): the root, or an element of `inside`, with its attributes and no children,
        and the child.

    Raises:
        SourceError: It is no XML; the message has line and column.
        UnsafeError: It has a DTD or entities, is nested too deeply, or one element is too large.
    """
    prolog = _Prolog()
    guard = DefusedXMLParser(target=prolog, forbid_dtd=True)
    parser: XMLPullParser[Any] = XMLPullParser(("start", "end"))
    limits = _Limits(path)
    parents: list[Element] = []
    while True:
        chunk = _read(stream, path)
        if not prolog.is_over:  # a document type can stand nowhere else
            _feed(guard, chunk, path)
        _feed(parser, chunk, path)
        limits.held += len(chunk)
        limits.waiting += len(chunk)
        for event, element in cast("Iterator[tuple[str, Element]]", parser.read_events()):
            limits.waiting = 0
            if event == "start":
                parents.append(element)
                limits.opened(element, len(parents))
                continue
            parents.pop()
            if len(parents) == 1 or (len(parents) == 2 and parents[1].tag in inside):
                limits.held = 0
                yield parents[-1], element
                del parents[-1][:]
        limits.check()
        if not chunk:
            return


@dataclass(slots=True)
class _Limits:
    """How much of a file is in memory.

    Attributes:
        path: The file.
        held: Bytes that came since the last element was handed out, and what its parts take.
        waiting: Bytes that came since the last tag.
        names: Tags and attributes met so far.
    """

    path: Path
    held: int = 0
    waiting: int = 0
    names: set[str] = field(default_factory=set)

    def opened(self, element: Element, depth: int) -> None:
        """Count an element whose tag was read."""
        if depth > MAX_DEPTH:
            raise UnsafeError(
                f"elements are nested more than {MAX_DEPTH} deep", path=self.path, hint=_MORE
            )
        attributes = element.attrib
        self.held += _ELEMENT + _ATTRIBUTE * len(attributes)
        self.names.add(element.tag)
        self.names.update(attributes)
        if self.held > MAX_ELEMENT or len(self.names) > MAX_NAMES:
            self.check()

    def check(self) -> None:
        """Stop where it is too much."""
        reasons = (
            (self.waiting > MAX_TAG, f"one tag or text holds more than {MAX_TAG >> 20} MiB"),
            (self.held > MAX_ELEMENT, f"one element holds more than {MAX_ELEMENT >> 20} MiB"),
            (len(self.names) > MAX_NAMES, f"has more than {MAX_NAMES} names of tags"),
        )
        for is_exceeded, reason in reasons:
            if is_exceeded:
                raise UnsafeError(reason, path=self.path, hint=_MORE)


def _read(stream: IO[bytes], path: Path) -> bytes:
    try:
        return stream.read(_CHUNK)
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})", path=path) from error


def _feed(parser: Any, chunk: bytes, path: Path) -> None:  # noqa: ANN401 - defusedxml has no types
    """Hand over a piece of the file, or its end."""
    try:
        if chunk:
            parser.feed(chunk)
        else:
            parser.close()
    except DefusedXmlException as error:
        raise UnsafeError(
            "declares a document type or entities, which annotation tools never write",
            path=path,
            hint="Refused: they can open other files or fill the memory. Take the DOCTYPE out.",
        ) from error
    except ParseError as error:
        line, column = error.position
        raise SourceError(
            f"is no valid XML ({str(error).partition(':')[0]})",
            path=path,
            pointer=f"line {line} column {column + 1}",
        ) from error
    except UnsafeError as error:
        raise UnsafeError(error.message, path=path, hint=_MORE) from error
    except (ValueError, LookupError) as error:  # an encoding that expat or Python does not know
        raise SourceError(f"is no valid XML ({error})", path=path) from error


class _Prolog:
    """Sees the first element begin, behind which no document type can be declared."""

    def __init__(self) -> None:
        self.is_over = False

    def start(self, _tag: str, _attributes: dict[str, str]) -> None:
        self.is_over = True


def read_head(data: bytes, *, path: Path) -> XmlHead:
    """How an XML file begins, from its first bytes; that they break off is no error.

    Raises:
        SourceError: It is no XML.
        UnsafeError: It has a DTD or entities, or is nested too deeply.
    """
    names = _Names()
    _feed(DefusedXMLParser(target=names, forbid_dtd=True), data or b" ", path)
    if not names.root:
        raise SourceError("is no XML: it has no element", path=path)
    tags = dict.fromkeys(name.rpartition("/")[2] for name in names.paths)
    return XmlHead(names.root, names.attributes, tuple(tags), tuple(names.paths))


class _Names:
    """Keeps the names of the tags, as paths below the root."""

    def __init__(self) -> None:
        self.root = ""
        self.attributes: dict[str, str] = {}
        self.paths: dict[str, None] = {}
        self._open: list[str] = []

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise UnsafeError(f"elements are nested more than {MAX_DEPTH} deep")
        self._open.append(tag)
        if len(self._open) == 1:
            self.root, self.attributes = tag, attributes
        else:
            self.paths["/".join(self._open[1:])] = None

    def end(self, _tag: str) -> None:
        self._open.pop()
