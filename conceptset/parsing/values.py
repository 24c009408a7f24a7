"""Loose values of JSON files, brought to one form: ids, sides, names, people.

Files in the wild write an id as `1`, `1.0` or `"1"`, a name with blanks around it, a person as a
number.
"""

from __future__ import annotations

from conceptset.errors import printable
from conceptset.records import Person

MAX_NAME = 1 << 14  # characters; peers' readers of CSV take cells of 131,072
_WORDS = {dict: "an object", list: "a list", str: "a text", bool: "true or false"}


def canonical_id(value: object) -> str | None:
    """The id as text, by which ids are compared; None if it can be no id.

    A whole number is its decimal digits, whether written `1`, `1.0` or `"1"`; any other text stands
    for itself without surrounding blanks. Null, booleans, broken numbers, lists, objects and
    empty texts are no ids.

    >>> [canonical_id(value) for value in (1, 1.0, " 1", "a-1", 0, 1.5, None, True)]
    ['1', '1', '1', 'a-1', '0', None, None, None]
    """
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return None


def whole_number(value: object) -> int | None:
    """The value as a whole number, 0 or more, if it is one however written.

    >>> whole_number("640"), whole_number(640.0), whole_number(-1), whole_number("a")
    (640, 640, None, None)
    """
    digits = canonical_id(value)
    if digits is None or len(digits) > 18 or not (digits.isascii() and digits.isdigit()):
        return None
    return int(digits)


def clean_name(value: object) -> str | None:
    """The name without surrounding white space; None if it can be no name.

    That is: no text, invisible, not encodable, or longer than `MAX_NAME`.

    >>> clean_name(" door\\n"), clean_name("\\u200b"), clean_name(3)
    ('door', None, None)
    """
    if not isinstance(value, str):
        return None
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    name = value.strip()
    return name if len(name) <= MAX_NAME and any(c.isprintable() for c in name) else None


def person_from(value: object) -> Person | None:
    """Whom a value names; None where it says nothing (null or an empty text).

    Raises:
        ValueError: It is neither a text nor a whole number; the message says what it is.

    >>> person_from(" Ann1 "), person_from(7), person_from("")
    (Person(name='Ann1', session=1), Person(name='7', session=1), None)
    """
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    name = clean_name(value) if isinstance(value, str) else canonical_id(value)
    if name is None:
        raise ValueError(f"the annotator is {described(value)}, a text or number was expected")
    return Person(name)


def described(value: object) -> str:
    """What a value of the wrong type is, for a message; short whatever it holds.

    >>> described(None), described([1, 2]), described("x\\n"), described(float("nan"))
    ('null', 'a list', "the text 'x\\\\n'", 'nan')
    """
    if value is None:
        return "null"
    if isinstance(value, str):
        text = f"the text '{printable(value, 40)}'"
        return text if len(value) <= MAX_NAME else f"{text} of {len(value):,} characters"
    return _WORDS.get(type(value)) or printable(str(value), 40)


def quoted(name: str) -> str:
    """A name from a file between quotation marks, safe to print.

    >>> quoted("door")
    '"door"'
    """
    return f'"{printable(name, 80)}"'
