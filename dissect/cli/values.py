"""What options are written like, turned into what they mean."""

from __future__ import annotations

import re

from conceptset.errors import UsageError

_MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", re.IGNORECASE)
_POWERS = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4}


def split_list(text: str, option: str) -> tuple[str, ...]:
    """The entries of a comma list.

    Raises:
        UsageError: It is empty.

    >>> split_list("layer3, layer4", "--layers")
    ('layer3', 'layer4')
    """
    entries = tuple(entry.strip() for entry in text.split(",") if entry.strip())
    if not entries:
        raise UsageError(f"{option} is empty, names separated by commas were expected")
    return entries


def parse_colour(text: str | None, option: str) -> tuple[float, float, float] | None:
    """Three numbers, for red, green and blue.

    Raises:
        UsageError: They are not three finite numbers.

    >>> parse_colour("0.5,0.5,0.5", "--mean")
    (0.5, 0.5, 0.5)
    """
    if text is None:
        return None
    try:
        numbers = [float(entry) for entry in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(abs(number) < 1e6 for number in numbers):
        raise UsageError(f"{option} is {text[:60]!r}, three numbers R,G,B were expected")
    return numbers[0], numbers[1], numbers[2]


def parse_memory(text: str | None, option: str) -> int | None:
    """Bytes of `4GiB`, `512M` or a plain number; units are powers of 1024.

    Raises:
        UsageError: It is none of these, or less than 1 MiB.

    >>> parse_memory("1.5G", "--max-memory")
    1610612736
    """
    if text is None:
        return None
    found = _MEMORY.fullmatch(text.strip())
    size = int(float(found[1]) * 1024 ** _POWERS[found[2].upper()]) if found else 0
    if size < 1 << 20:
        raise UsageError(f"{option} is {text[:40]!r}, a size of 1 MiB or more was expected (4GiB)")
    return size
