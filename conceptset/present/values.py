"""What options are written like, for both commands."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from conceptset.errors import UsageError, printable

MAX_SIDE = 16_384

Model = TypeVar("Model", bound=BaseModel)

_SIZE = re.compile(r"([0-9]{1,5})(?:[xX]([0-9]{1,5}))?")


def parse_size(text: str, option: str, *, also: str = "") -> tuple[int, int]:
    """(height, width) in pixels of `N` or `HxW`.

    Args:
        text: As given.
        option: The option it was given to.
        also: A further word that the option takes; only for the message.

    Raises:
        UsageError: Something else, or a side outside 1..16384.

    >>> parse_size("224", "--image-size"), parse_size("120x160", "--image-size")
    ((224, 224), (120, 160))
    """
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        or_else = f" or {also}" if also else ""
        raise UsageError(
            f"{option} is '{printable(text, 40)}', a number of pixels (224) or HxW "
            f"(240x320){or_else} was expected"
        )
    height = int(match[1])
    width = int(match[2] or match[1])
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE):
        raise UsageError(
            f"{option} is '{text.strip()}', sides between 1 and {MAX_SIDE} were expected"
        )
    return height, width


def checked_options(model: type[Model], values: Mapping[str, object]) -> Model:
    """The options as a model of pydantic; its first complaint in our words.

    Raises:
        UsageError: A value cannot be used; the message names the option.
    """
    try:
        return model.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        reason = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
        if not first["loc"]:
            raise UsageError(reason) from error
        option = "--" + str(first["loc"][0]).replace("_", "-")
        if not reason.startswith("is "):  # our own validators say what the value is
            reason = f"is {printable(repr(first['input']), 60)}: {reason}"
        raise UsageError(f"{option} {reason}") from error
