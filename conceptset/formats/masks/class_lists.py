"""Class lists of index masks: which code or colour has which name.

Every usual form of a list is read:

* names, one per line: the line number is the code, from 0; from -1 where the first name is
  `__ignore__`, as labelme writes it;
* `code name`, `code: name`, `code,name`; `name,code`, `name: code`;
* `name:r,g,b:parts:actions` (CVAT's labelmap.txt), `r g b name`, `name,r,g,b`: colours;
* CSV with a header that names its columns (`code`, `name`, or `name`, `r`, `g`, `b`);
* JSON: `{code: name}`, `{name: code}`, `{name: [r, g, b]}`, a list of names, a list of objects
  with `name` and `id` or `color`.

A form counts if more than half of the lines have it; the others are then broken entries. Names
like `background`, `void`, `unlabelled` or `__ignore__` stand for no concept, whatever their code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from conceptset.errors import SourceError
from conceptset.io.paths import resolve_inside
from conceptset.io.tables import parse_json, read_bytes, read_table
from conceptset.parsing.values import clean_name, described, quoted, whole_number

MAX_BYTES = 4 << 20
MAX_ENTRIES = 65_536
MAX_CODE = (1 << 24) - 1
IGNORE = 255

_NO_CONCEPT = {"background", "bg", "void", "unlabelled", "unlabeled", "ignore", "ignored"}
_SEPARATOR = re.compile(r"\s*[,;]\s*|\s+")
_CODE_FIRST = re.compile(r"(-?[0-9]{1,20})(?:\s*[:,;]\s*|\s+)(\S.*)")
_CODES = ("code", "id", "index", "value", "class_id", "label_id")
_NAMES = ("name", "class_name", "label_name", "class", "label")
_COLOURS = (("r", "g", "b"), ("red", "green", "blue"))


@dataclass(frozen=True, slots=True)
class ClassList:
    """What the codes of index masks mean.

    Attributes:
        path: The file.
        names: Code, or colour as R + 256 G + 65536 B, to name; None stands for no concept.
        is_colours: Whether the keys are colours.
        is_uncertain: Codes are line numbers, and nothing says that they begin at 0: the first name
            is none of a background.
        troubles: What is wrong with single entries: (defect code, entry, message).
    """

    path: Path
    names: dict[int, str | None]
    is_colours: bool = False
    is_uncertain: bool = False
    troubles: tuple[tuple[str, str, str], ...] = ()


class _Entry(NamedTuple):
    """One entry: where it stands, its code (None: broken) and its name as written."""

    place: str
    code: int | None
    name: object


def stands_for_nothing(name: str) -> bool:
    """Whether a name says that its pixels belong to no concept.

    >>> [stands_for_nothing(x) for x in ("_background_", "(void, unlabelled)", "avoid", "sky")]
    [True, True, False, False]
    """
    words = re.findall(r"[^\W_]+", name.casefold())
    return bool(words) and set(words) <= _NO_CONCEPT


def read_class_list(path: Path) -> ClassList:
    """The class list in a file; single broken entries are its `troubles`.

    Raises:
        SourceError: It cannot be read, has no entry, too many, or can mean two things.
        UnsafeError: It is a link to another folder, whose text would end up as names.
    """
    resolve_inside(path.parent, path.name)
    if path.suffix.lower() == ".json":
        return _from_json(path)
    listed = _from_header(path) if path.suffix.lower() == ".csv" else None
    return listed or _from_lines(path)


def colour_key(red: int, green: int, blue: int) -> int:
    """A colour as one number.

    >>> colour_key(1, 2, 3)
    197121
    """
    return red + 256 * green + 65_536 * blue


def _joined(path: Path, entries: Sequence[_Entry], *, colours: bool, bare: bool) -> ClassList:
    """The list of entries; what cannot be used becomes a trouble."""
    if not entries:
        raise SourceError("lists no class", path=path)
    if len(entries) > MAX_ENTRIES:
        raise SourceError(f"lists more than {MAX_ENTRIES} classes", path=path)
    names: dict[int, str | None] = {}
    troubles: list[tuple[str, str, str]] = []
    codes_of: dict[str, int] = {}
    for place, code, raw in entries:
        name = clean_name(raw)
        if code is None or name is None:
            what = "no name that can be read" if name is None else "no code or colour in its range"
            troubles.append(("SRC070", place, f"the class {_shown(raw)} has {what}."))
        elif code in names:
            key = _colour_text(code) if colours else str(code)
            troubles.append(("SRC012", place, f"{key} is listed twice, here for {quoted(name)}."))
        else:
            names[code] = None if stands_for_nothing(name) else name
            if names[code] and codes_of.setdefault(name, code) != code:
                troubles.append(("SRC013", place, f"{quoted(name)} is listed twice."))
    uncertain = bare and names.get(0) is not None
    return ClassList(path, names, colours, uncertain, tuple(troubles))


def _shown(raw: object) -> str:
    return quoted(raw) if isinstance(raw, str) else described(raw)


def _colour_text(key: int) -> str:
    return f"{key & 255},{key >> 8 & 255},{key >> 16}"


def key_text(classes: ClassList, key: int) -> str:
    """How messages call a code or colour.

    >>> key_text(ClassList(Path(), {}), 7), key_text(ClassList(Path(), {}, is_colours=True), 7)
    ('the code 7', 'the colour 7,0,0')
    """
    return f"the colour {_colour_text(key)}" if classes.is_colours else f"the code {key}"


def _code(value: object) -> int | None:
    """A code as a list writes it; -1 is what labelme stores as 255."""
    if value in (-1, "-1"):
        return IGNORE
    number = whole_number(value)
    return number if number is not None and number <= MAX_CODE else None


def _colour(values: Sequence[object]) -> int | None:
    """A colour from three numbers 0..255."""
    numbers = [whole_number(value) for value in values]
    if len(numbers) != 3 or any(number is None or number > 255 for number in numbers):
        return None
    red, green, blue = (number for number in numbers if number is not None)
    return colour_key(red, green, blue)


# lines of text


class _Form(NamedTuple):
    """A way to write one class on a line: whether it has a colour, and what a line says.

    `parse` gives the code or colour (None: out of range) and the name; None where the line has
    another form. Each takes time linear in the length of the line.
    """

    is_colour: bool
    parse: Callable[[str], tuple[int | None, str] | None]


def _name_colon_colour(line: str) -> tuple[int | None, str] | None:
    name, _, rest = line.partition(":")
    values = rest.partition(":")[0].split(",")
    return (_colour(values), name) if _are_digits(values, 3) else None


def _colour_name(line: str) -> tuple[int | None, str] | None:
    values = _SEPARATOR.split(line, maxsplit=3)
    return (_colour(values[:3]), values[3]) if _are_digits(values[:3], 3) and values[3:] else None


def _name_colour(line: str) -> tuple[int | None, str] | None:
    name, *values = _SEPARATOR.sub(" ", line).rsplit(" ", 3)
    return (_colour(values), name) if _are_digits(values, 3) else None


def _code_name(line: str) -> tuple[int | None, str] | None:
    match = _CODE_FIRST.match(line)
    return None if match is None else (_code(match[1]), match[2])


def _name_code(line: str) -> tuple[int | None, str] | None:
    head = line.rstrip("0123456789")
    digits = line[len(head) :]
    head = head.removesuffix("-").rstrip(" ")
    if not digits or not head.endswith((":", ",", ";", "\t")):
        return None
    return _code(digits), head[:-1].strip()


def _are_digits(values: Sequence[str], count: int) -> bool:
    return len(values) == count and all(value.strip().isdecimal() for value in values)


_FORMS = (
    _Form(is_colour=True, parse=_name_colon_colour),
    _Form(is_colour=True, parse=_colour_name),
    _Form(is_colour=True, parse=_name_colour),
    _Form(is_colour=False, parse=_code_name),
    _Form(is_colour=False, parse=_name_code),
)


def _from_lines(path: Path) -> ClassList:
    data = read_bytes(path, MAX_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceError("is not UTF-8 text", path=path, pointer=f"line {line}") from error
    lines = [(place, line.strip()) for place, line in enumerate(text.split("\n"), 1)]
    while lines and not lines[-1][1]:
        lines.pop()
    if len(lines) > MAX_ENTRIES:
        raise SourceError(f"lists more than {MAX_ENTRIES} classes", path=path)
    told = [(place, line) for place, line in lines if line and not line.startswith("#")]
    for form in _FORMS:
        parsed = [(place, form.parse(line), line) for place, line in told]
        if sum(found is not None for _, found, _ in parsed) * 2 > len(told):
            entries = [
                _Entry(f"line {place}", *(found or (None, line))) for place, found, line in parsed
            ]
            return _joined(path, entries, colours=form.is_colour, bare=False)
    return _from_names(path, [line for _, line in lines])


def _from_names(path: Path, names: Sequence[object], where: str = "line") -> ClassList:
    """A list whose order is the codes: a gap in it would rename all that follows."""
    for place, name in enumerate(names, 1):
        if not isinstance(name, str) or not name or name.startswith("#"):
            shown = "empty" if name == "" else _shown(name)
            raise SourceError(
                f"is {shown}, a name was expected: the {where} number is the code of the class",
                path=path,
                pointer=f"{where} {place}",
                hint='Write the code before each name, as in "1 door".',
            )
    first = -1 if names and names[0] == "__ignore__" else 0
    entries = [
        _Entry(f"{where} {place}", IGNORE if code < 0 else code, name)
        for place, (code, name) in enumerate(zip(range(first, len(names)), names, strict=False), 1)
    ]
    return _joined(path, entries, colours=False, bare=first == 0)


def _from_header(path: Path) -> ClassList | None:
    """A CSV whose first line names its columns; None if it does not."""
    if len(read_bytes(path, MAX_BYTES)) == 0:
        return None
    table = read_table(path)
    header = [cell.strip().casefold() for cell in table.header]
    name = next((header.index(word) for word in _NAMES if word in header), None)
    code = next((header.index(word) for word in _CODES if word in header), None)
    colour = next(
        ([header.index(word) for word in words] for words in _COLOURS if set(words) <= set(header)),
        None,
    )
    if name is None or (code is None and colour is None):
        return None

    def entries() -> Iterator[_Entry]:
        for line, row in zip(table.lines, table.rows, strict=True):
            cells = [*row, *[""] * (len(header) - len(row))]
            key = (
                _code(cells[code].strip())
                if code is not None
                else _colour([cells[place].strip() for place in colour or ()])
            )
            yield _Entry(f"line {line}", key, cells[name])

    return _joined(path, list(entries()), colours=code is None, bare=False)


# JSON


def _from_json(path: Path) -> ClassList:
    data = parse_json(read_bytes(path, MAX_BYTES), path=path, allow_nan=True)
    if isinstance(data, dict):
        data = next((data[key] for key in ("classes", "labels") if key in data), data)
    if isinstance(data, dict):
        return _from_object(path, data)
    if isinstance(data, list) and data and all(isinstance(entry, dict) for entry in data):
        return _from_objects(path, data)
    if isinstance(data, list):
        return _from_names(path, data, "entry")
    raise SourceError(f"holds {described(data)}, an object or a list was expected", path=path)


def _from_object(path: Path, data: dict[str, Any]) -> ClassList:
    """`{code: name}`, `{name: code}` or `{name: [r, g, b]}`, whichever most entries are."""
    colours = sum(isinstance(value, list) for value in data.values())
    codes = sum(isinstance(value, str) for value in data.values())
    if colours * 2 > len(data):
        entries = [
            _Entry(quoted(key), _colour(value) if isinstance(value, list) else None, key)
            for key, value in data.items()
        ]
    elif codes * 2 > len(data):
        entries = [_Entry(quoted(key), _code(key.strip()), value) for key, value in data.items()]
    else:
        entries = [_Entry(quoted(key), _code(value), key) for key, value in data.items()]
    return _joined(path, entries, colours=colours * 2 > len(data), bare=False)


def _from_objects(path: Path, data: Sequence[dict[str, Any]]) -> ClassList:
    """A list of objects with a name and a code or colour."""

    def first(entry: dict[str, Any], keys: Sequence[str]) -> object:
        return next((entry[key] for key in keys if key in entry), None)

    coded = sum(first(entry, _CODES) is not None for entry in data) * 2 > len(data)
    entries = []
    for place, entry in enumerate(data):
        colour = first(entry, ("color", "colour"))
        key = (
            _code(first(entry, _CODES))
            if coded
            else _colour(colour)
            if isinstance(colour, list)
            else None
        )
        entries.append(_Entry(f"/{place}", key, first(entry, _NAMES)))
    return _joined(path, entries, colours=not coded, bare=False)
