"""Where a JSON object ends, found faster than it can be decoded."""

from __future__ import annotations

_BRACES = 10_000  # an object with more is left to the decoder
CUT_OFF = -1


def object_end(text: str, begin: int) -> int | None:
    r"""The index behind the `}` that closes the `{` at `begin`, found without decoding.

    Braces and quotation marks alone are looked at. That is exact as long as no string holds a
    brace or a backslash.

    Returns:
        `CUT_OFF` if the text ends before; None if a decoder must tell.

    >>> object_end('{"a": {"b": 1}}, {}', 0), object_end('{"a": {', 0), object_end('{"}": 1}', 0)
    (15, -1, None)
    """
    depth, at, quotes = 0, begin, 0
    for _ in range(_BRACES):
        close = text.find("}", at)
        if close < 0:
            return CUT_OFF
        opening = text.find("{", at, close)
        place = close if opening < 0 else opening
        quotes += text.count('"', at, place)
        if quotes % 2:
            return None
        depth += -1 if opening < 0 else 1
        at = place + 1
        if depth == 0:
            return at if text.find("\\", begin, at) < 0 else None
    return None
