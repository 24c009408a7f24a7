"""JSON files of any size, element by element, in bounded memory.

What can be large is an array directly in the document: it is never held as a whole. Its elements
come one by one with their place in the file, so that they can be read again later. What is refused
is what `conceptset.io.tables.parse_json` refuses.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from conceptset.errors import SourceError, UnsafeError
from conceptset.io.tables import MAX_DIGITS, invalid_json, json_decoder
from conceptset.parsing.json_braces import CUT_OFF, object_end

MAX_ELEMENT = 32 << 20  # bytes of one element of an array, or of one other value of the document
MAX_KEYS = 100_000  # of the document itself
MAX_OTHERS = 100_000  # elements of an array that are no objects; short, they cost more than bytes

_CHUNK = 1 << 20
_SPACE = re.compile(r"[ \t\n\r]*")
_NEXT_OBJECT = re.compile(r"[ \t\n\r]*,[ \t\n\r]*(?=\{)")
_RUN = b"0" * (MAX_DIGITS + 1)
_DIGITS = bytes(ord("0") if code in b"0123456789" else ord(" ") for code in range(256))
_UNKNOWN = object()
_CUT = 16  # a complaint this near to the end of what was read may be about the cut


class Element(NamedTuple):
    """One element of an array, see `JsonFile.decode`.

    Attributes:
        text: As it stands in the file; not known to be JSON.
        offset: Its first byte in the file.
        length: Its bytes.
        value: What it is, if that had to be found out.
    """

    text: str
    offset: int
    length: int
    value: Any = _UNKNOWN

    @property
    def is_decoded(self) -> bool:
        """Whether its value is known; else no string in an object holds a brace or a backslash."""
        return self.value is not _UNKNOWN


@dataclass(frozen=True, slots=True)
class Member:
    """One value of the document.

    Attributes:
        key: Its key; None if the document is no object, then this is all of it.
        elements: The elements, if it is an array. They are to be taken before the next member;
            what is not taken is passed over.
        value: What it is, if it is no array.
    """

    key: str | None
    elements: Iterator[Element] | None
    value: Any


class JsonFile:
    """A JSON document in a file.

    Args:
        path: The file; named in errors.
        allow_nan: See `conceptset.io.tables.parse_json`.
    """

    def __init__(self, path: Path, *, allow_nan: bool = False) -> None:
        self.path = path
        self._careful = json_decoder(allow_nan=allow_nan)
        self._quick = json_decoder(allow_nan=allow_nan, trust_digits=True)

    def members(self) -> Iterator[Member]:
        """The values of the document, in order.

        Raises:
            SourceError: It cannot be read, or is no JSON; the pointer has line and column.
            UnsafeError: A value, or an element of an array, is too large to hold.
        """
        with self._open() as stream:
            window = _Window(self, stream)
            first = window.next_character()
            if first == "{":
                yield from self._object(window)
            else:
                yield from self._member(window, None)
            if window.next_character():
                raise window.refusal("Extra data")

    def first_character(self) -> str:
        """The first that is no white space; empty if there is none.

        Raises:
            SourceError: It cannot be read.
        """
        with self._open() as stream:
            return _Window(self, stream).next_character()

    def elements_from(self, offset: int) -> Iterator[Element]:
        """The elements of the array whose `[` is this byte, as `members` gives them."""
        with self._open() as stream:
            yield from _elements(_Window(self, stream, offset))

    def decode(self, element: Element) -> Any:  # noqa: ANN401
        """The value of an element.

        Raises:
            SourceError: It is no JSON.
        """
        if element.is_decoded:
            return element.value
        text = element.text
        large = _RUN in text.encode().translate(_DIGITS)
        try:
            value, end = (self._careful if large else self._quick).raw_decode(text)
            if end < len(text):
                raise json.JSONDecodeError("Extra data", text, end)
            return value
        except (ValueError, RecursionError) as error:
            within = error.pos if isinstance(error, json.JSONDecodeError) else 0
            raise self.refused(error, element.offset + len(text[:within].encode())) from error

    @contextmanager
    def reopened(self) -> Iterator[ElementReader]:
        """Elements by their place, as long as the block lasts."""
        with self._open() as stream:
            yield ElementReader(self, stream)

    def refused(self, error: ValueError | RecursionError, byte: int) -> SourceError:
        """The error for what a decoder refuses at a byte of the file."""
        return invalid_json(error, path=self.path, pointer=self._place(byte))

    def _place(self, byte: int) -> str:
        """Line and column of a byte, both from 1."""
        line, column = 1, 0
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with self._open() as stream:
            while byte > 0 and (data := stream.read(min(_CHUNK, byte))):
                byte -= len(data)
                text = decoder.decode(data)
                lines = text.count("\n")
                line += lines
                column = len(text) - 1 - text.rfind("\n") if lines else column + len(text)
        return f"line {line} column {column + 1}"

    def _open(self) -> BinaryIO:
        try:
            return self.path.open("rb", buffering=0)
        except OSError as error:
            raise SourceError(f"cannot be read ({error.strerror})", path=self.path) from error

    def _object(self, window: _Window) -> Iterator[Member]:
        seen: set[str] = set()
        window.take()
        while True:
            if window.next_character() == "}" and not seen:
                break
            if window.next_character() != '"':
                raise window.refusal("Expecting property name enclosed in double quotes")
            key = window.value()
            if key in seen:
                error = ValueError(f"the key {key[:80]!r} occurs twice in one object")
                raise self.refused(error, window.byte)
            seen.add(key)
            if len(seen) > MAX_KEYS:
                raise UnsafeError(f"has more than {MAX_KEYS:,} keys", path=self.path)
            if window.next_character() != ":":
                raise window.refusal("Expecting ':' delimiter")
            window.take()
            yield from self._member(window, key)
            if window.next_character() != ",":
                break
            window.take()
        if window.next_character() != "}":
            raise window.refusal("Expecting ',' delimiter")
        window.take()

    def _member(self, window: _Window, key: str | None) -> Iterator[Member]:
        if window.next_character() != "[":
            yield Member(key, None, window.value())
            return
        elements = _elements(window)
        yield Member(key, elements, None)
        for _ in elements:
            pass


class ElementReader:
    """Reads elements again, by their place."""

    def __init__(self, file: JsonFile, stream: BinaryIO) -> None:
        self._file = file
        self._stream = stream

    def read(self, offset: int, length: int) -> Any:  # noqa: ANN401
        """The value that stands there.

        Raises:
            SourceError: It is no JSON, or the file was changed.
        """
        try:
            self._stream.seek(offset)
            text = self._stream.read(length).decode()
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError("was changed while it was read", path=self._file.path) from error
        return self._file.decode(Element(text, offset, length))


def _elements(window: _Window) -> Iterator[Element]:
    """The elements of the array that begins here; afterwards the window is behind it."""
    window.next_character()
    window.take()
    if window.next_character() == "]":
        window.take()
        return
    others = 0
    while True:
        if window.next_character() == "{":
            yield from window.objects()
        begin = window.next_character()
        if not begin:
            raise window.refusal("Expecting value")
        others += begin != "{"
        if others > MAX_OTHERS:
            raise window.too_much(f"a list of more than {MAX_OTHERS:,} things that are no objects")
        yield window.element()
        mark = window.next_character()
        if mark not in ("]", ","):
            raise window.refusal("Expecting ',' delimiter")
        window.take()
        if mark == "]":
            return


class _Window:
    """The part of a file that is being looked at, as text.

    Attributes:
        byte: The place in the file of the character that comes next.
    """

    def __init__(self, file: JsonFile, stream: BinaryIO, offset: int = 0) -> None:
        self._file = file
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8")("strict")
        self._read = offset
        self._text = ""
        self._at = 0
        self._ended = False
        if offset == 0 and self._fetch(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8:
            self._read = len(codecs.BOM_UTF8)
        stream.seek(self._read)
        self.byte = self._read

    def next_character(self) -> str:
        """The next character that is no white space, which is passed; empty at the end."""
        while True:
            match = _SPACE.match(self._text, self._at)
            assert match is not None  # it matches the empty text
            self.byte += match.end() - self._at
            self._at = match.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self._ended:
                return ""
            self._more()

    def take(self) -> None:
        """Pass one character."""
        self._pass(self._at + 1)

    def value(self) -> Any:  # noqa: ANN401
        """Decode what comes next and pass it."""
        value, end = self._decoded()
        self._pass(end)
        return value

    def element(self) -> Element:
        """What comes next, passed. An object is only decoded where its end is hard to tell."""
        value: Any = _UNKNOWN
        end = self._end_of_object() if self._text[self._at] == "{" else None
        if end is None:
            value, end = self._decoded()
        text, begin = self._text[self._at : end], self.byte
        self._pass(end)
        return Element(text, begin, self.byte - begin, value)

    def objects(self) -> Iterator[Element]:
        """Objects that follow one another, passed with their commas, but for the last one.

        It stops early where something else or the end of what was read comes.
        """
        text, at, is_ascii = self._text, self._at, self._text.isascii()
        while (end := object_end(text, at)) is not None and end != CUT_OFF:
            comma = _NEXT_OBJECT.match(text, end)
            if comma is None:
                return
            own, begin = text[at:end], self.byte
            length = end - at if is_ascii else len(own.encode())
            at = self._at = comma.end()
            self.byte = begin + length + at - end
            yield Element(own, begin, length)

    def refusal(self, message: str) -> SourceError:
        """The error for what comes next."""
        return self._file.refused(json.JSONDecodeError(message, "", 0), self.byte)

    def too_much(self, what: str) -> UnsafeError:
        """The error for what would take too much memory or time."""
        return UnsafeError(
            f"holds {what}",
            path=self._file.path,
            pointer=f"byte {self.byte}",
            hint="Check how it was made; no annotation tool writes that.",
        )

    def _pass(self, end: int) -> None:
        passed = self._text[self._at : end]
        self.byte += len(passed) if passed.isascii() else len(passed.encode())
        self._at = end

    def _end_of_object(self) -> int | None:
        """The index behind the object that comes next; None where only a decoder can tell."""
        while True:
            end = object_end(self._text, self._at)
            if end != CUT_OFF:
                return end
            if self._ended:
                return None
            self._more()

    def _decoded(self) -> tuple[Any, int]:
        """The value that comes next, and the index behind it."""
        while True:
            try:
                value, end = self._file._careful.raw_decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if self._ended or not _is_about_the_cut(error, self._text):
                    within = error.pos if isinstance(error, json.JSONDecodeError) else self._at
                    before = self._text[self._at : within].encode()
                    raise self._file.refused(error, self.byte + len(before)) from error
            else:
                if self._ended or end <= len(self._text) - _CUT:
                    return value, end
            self._more()

    def _more(self) -> None:
        """Read on: as much again as there is, so that a large value is not scanned too often."""
        waiting = len(self._text) - self._at
        if waiting > MAX_ELEMENT:
            raise self.too_much(f"a value of more than {MAX_ELEMENT >> 20} MiB")
        data = self._fetch(max(_CHUNK, waiting))
        pending = len(self._decode.getstate()[0])
        try:
            text = self._decode.decode(data, final=not data)
        except UnicodeDecodeError as error:
            place = f"byte {self._read - pending + error.start}"
            raise SourceError("is not UTF-8 text", path=self._file.path, pointer=place) from error
        self._read += len(data)
        self._ended = not data
        self._text = self._text[self._at :] + text
        self._at = 0

    def _fetch(self, count: int) -> bytes:
        try:
            return self._stream.read(count)
        except OSError as error:
            message = f"cannot be read ({error.strerror})"
            raise SourceError(message, path=self._file.path) from error


def _is_about_the_cut(error: ValueError | RecursionError, text: str) -> bool:
    """Whether a decoder's complaint may go away when more is read."""
    if isinstance(error, json.JSONDecodeError):
        return error.pos > len(text) - _CUT or error.msg.startswith("Unterminated string")
    return isinstance(error, ValueError) and text[-1] in "0123456789.eE+-"  # a float, cut
