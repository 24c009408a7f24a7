"""Colours of categories, told apart with every common kind of colour vision, on light and dark.

Colour never stands alone: wherever it says something, the category's name does too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Colour:
    """One colour of the palette, as `#rrggbb`, on a light and on a dark page."""

    light: str
    dark: str


# Any two of the first eight differ by 19 or more (CIE76) as seen with normal vision, protanopia,
# deuteranopia and tritanopia, and each has a contrast of 3 or more with its page.
PALETTE = (
    Colour("#0339a1", "#3a73e8"),
    Colour("#ed6816", "#c45325"),
    Colour("#42a282", "#b7eac4"),
    Colour("#9d83d7", "#9685bf"),
    Colour("#664c00", "#debd13"),
    Colour("#742542", "#a36a79"),
    Colour("#136e81", "#3ae5f1"),
    Colour("#b24e4c", "#e6897e"),
    Colour("#6b7280", "#8b93a0"),  # every further category
)
_USUAL = ("object", "part", "scene", "material", "texture", "color")


def category_slots(categories: Iterable[str]) -> dict[str, int]:
    """The place in `PALETTE` of each category.

    The categories of Broden keep their colour in every set; others get what is left, in order.

    >>> category_slots(["material", "finish", "object"])
    {'material': 3, 'finish': 1, 'object': 0}
    """
    names = list(dict.fromkeys(categories))
    slots = {name: _USUAL.index(name) for name in names if name in _USUAL}
    last = len(PALETTE) - 1
    free = [slot for slot in range(last) if slot not in slots.values()]
    for name in names:
        if name not in slots:
            slots[name] = free.pop(0) if free else last
    return {name: slots[name] for name in names}


def palette_css() -> str:
    """Style rules: `.k0`, `.k1`, ... set `--k` to a colour of the palette."""
    light = "".join(f".k{i}{{--k:{colour.light}}}" for i, colour in enumerate(PALETTE))
    dark = "".join(f".k{i}{{--k:{colour.dark}}}" for i, colour in enumerate(PALETTE))
    return f"{light}\n@media screen and (prefers-color-scheme:dark){{{dark}}}\n"
