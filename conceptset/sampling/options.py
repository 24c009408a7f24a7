"""What a sample can be told."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from pydantic import BaseModel, ConfigDict

from conceptset.errors import UsageError, printable
from conceptset.records import Person

_REPEAT = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)\s*(%?)", re.ASCII)


class SampleOptions(BaseModel):
    """Every setting of a sample.

    Attributes:
        repeat: A share of the set's images (`10%`), or their number.
        annotators: Names of the people who are to annotate; nobody need be in the set.
        again: Who has annotated an image once does so a second time. Otherwise an image goes only
            to those who have not seen it.
        seed: Another one draws other images.
        overwrite: Replace the output.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    repeat: str
    annotators: tuple[str, ...]
    again: bool = False
    seed: int = 0
    overwrite: bool = False


def images_wanted(repeat: str, images: int) -> int:
    """How many images `--repeat` stands for; a share is rounded up.

    Raises:
        UsageError: It is no share or number, or beyond the set.

    >>> images_wanted("10%", 42), images_wanted("7", 42)
    (5, 7)
    """
    match = _REPEAT.fullmatch(repeat.strip())
    value = Fraction(match[1]) if match else Fraction(0)
    if match is None or value <= 0 or not (match[2] or value.denominator == 1):
        raise UsageError(
            f"--repeat is {repeat!r}, a share such as 10% or a number of images was expected"
        )
    if match[2]:
        if value > 100:
            raise UsageError(f"--repeat is {repeat!r}, at most 100% was expected")
        return math.ceil(images * value / 100)
    if value > images:
        raise UsageError(f"--repeat is {repeat!r}, the set has {images:,} images")
    return int(value)


def check_people(given: tuple[str, ...], models: frozenset[str], *, again: bool) -> list[str]:
    """The names, if one can make a sample for them; in the order given.

    Raises:
        UsageError: Too few, one twice, one with a session, or one that is a model.
    """
    people = [Person.parse(name) for name in given if name.strip()]
    for place, person in enumerate(people):
        shown = printable(str(person), 120)
        if person.session > 1:
            raise UsageError(
                f"--annotators names {shown}, a session",
                hint="Name the person; --again asks for second sessions.",
            )
        if person.name in models:
            raise UsageError(
                f"--annotators names {shown}, which is a model in this set",
                hint="Task lists are for people; let the model run on the lists of the others.",
            )
        if person in people[:place]:
            raise UsageError(f"--annotators names {shown} twice")
    if len(people) < (1 if again else 2):
        raise UsageError(
            f"--annotators names {'one person' if people else 'nobody'}, two or more were expected",
            hint="Separate names by commas. One person alone can only repeat, with --again.",
        )
    return [person.name for person in people]
