"""Images written as text inside annotation files: base64, decoded under limits."""

from __future__ import annotations

import binascii
from pathlib import Path

import numpy as np

from conceptset.errors import ImageError, UnsafeError
from conceptset.geometry import BoolArray
from conceptset.io.images import decode_stored, read_header
from conceptset.io.png import check_rows
from conceptset.parsing.values import described

MAX_ENCODED = 128 << 20  # characters: 96 MiB of image
_SUFFIXES = {"JPEG": "jpg", "TIFF": "tif"}
_FLAG_MODES = ("1", "L", "P", "I", "I;16")


def bytes_from(value: object) -> bytes:
    """The bytes that a base64 text stands for.

    A `data:` address is taken without its head, line breaks and blanks are passed over.

    Raises:
        ValueError: It is no text, too long, or no base64; the message says so after "it ...".

    >>> bytes_from("YWI=\\n"), bytes_from("data:image/png;base64,YWI=")
    (b'ab', b'ab')
    """
    if not isinstance(value, str):
        raise ValueError(f"is {described(value)}, base64 text was expected")
    if len(value) > MAX_ENCODED:
        raise ValueError(f"has {len(value):,} characters, at most {MAX_ENCODED:,} are read")
    if value[:5].lower() == "data:":
        head, comma, value = value.partition(",")
        if not comma or not head[-7:].lower() == ";base64":
            raise ValueError("is an address of data that is not base64")
    if any(blank in value for blank in "\n\r\t "):
        value = "".join(value.split())
    try:
        data = binascii.a2b_base64(value, strict_mode=True)
    except ValueError as error:
        raise ValueError(f"is no base64 ({error})") from None
    if not data:
        raise ValueError("is empty")
    return data


def suffix_of(data: bytes) -> str:
    """The usual ending of a file with these bytes, with its dot.

    Raises:
        ImageError: No image of a known format.
        UnsafeError: Its header announces a bomb.
    """
    kind = read_header(Path("embedded image"), data=data).format
    return f".{_SUFFIXES.get(kind, kind.lower())}"


def flags_from(data: bytes, largest: tuple[int, int]) -> BoolArray:
    """The pixels of a PNG that are not zero: a grey value, a palette's index.

    Args:
        data: The bytes of the PNG.
        largest: (height, width) beyond which nothing is decoded.

    Returns:
        (height, width) bool.

    Raises:
        ValueError: No such PNG, broken, or too large; the message says so after "it ...".
    """
    name = Path("embedded mask")
    try:
        header = read_header(name, data=data)
        if header.format != "PNG" or header.mode not in _FLAG_MODES:
            raise ValueError(
                f"is {header.format} of mode {header.mode}, a PNG of grey values or with a palette "
                "was expected"
            )
        if header.size[0] > largest[0] or header.size[1] > largest[1]:
            raise ValueError(
                f"has {header.size[0]} x {header.size[1]} pixels (height x width), its image "
                f"{largest[0]} x {largest[1]}"
            )
        check_rows(data, name="embedded mask")
        pixels = decode_stored(name, data=data)[1]
    except (ImageError, UnsafeError) as error:
        raise ValueError(error.message) from error
    flags: BoolArray = np.asarray(pixels) != 0
    return flags
