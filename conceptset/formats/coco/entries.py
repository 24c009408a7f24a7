"""Single entries of a COCO file: what can be told of one before its image is known."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from typing import Any

from conceptset.parsing.values import canonical_id, whole_number

NO_HASH = -(1 << 63)

_SHAPE_KEYS = ("segmentation", "bbox", "segments_info")
_OTHER_KEYS = ("caption", "keypoints")
_DECIDE = re.compile(r'"(?:caption|keypoints|segments_info)"')
_ID = re.compile(r'[ \t\n\r]*:[ \t\n\r]*(?:(0|[1-9][0-9]{0,17})|"([^"]*)")[ \t\n\r]*[,}]')
_TOLERANCE = 1e-6


def stated_size(image: dict[str, Any]) -> tuple[int, int] | None:
    """(height, width) an image entry states; None if one is missing, 0 or no whole number."""
    height, width = whole_number(image.get("height")), whole_number(image.get("width"))
    return (height, width) if height and width else None


def is_other(annotation: dict[str, Any]) -> bool:
    """Whether an annotation says nothing about a region: a caption, keypoints alone."""
    return any(key in annotation for key in _OTHER_KEYS) and all(
        annotation.get(key) is None for key in _SHAPE_KEYS
    )


def tells_by_its_ids(text: str) -> bool:
    """Whether an annotation's ids say all that is needed before its image is known."""
    return _DECIDE.search(text) is None


def id_in(text: str, key: str) -> tuple[bool, str | None]:
    """Whether the id under a key can be told from the text of an object alone, and the id.

    Args:
        text: An object; no string in it holds a brace or a backslash.
        key: The key, in its quotation marks.

    >>> id_in('{"image_id": 12, "area": 3}', '"image_id"'), id_in('{"a": {"id": 1}}', '"id"')
    ((True, '12'), (False, None))
    """
    place = text.find(key)
    if place < 0:
        return True, None
    while place >= 0:
        value = _ID.match(text, place + len(key))
        if value is not None and text.count("{", 1, place) == text.count("}", 1, place):
            found = value[1] or canonical_id(value[2])
            return found is not None, found
        place = text.find(key, place + 1)
    return False, None


def hash_of(key: str | None) -> int:
    """A number of 64 bits for an id, `NO_HASH` for none; a whole number is itself."""
    if key is None:
        return NO_HASH
    if key.isascii() and key.isdigit() and len(key) <= 18 and (key == "0" or key[0] != "0"):
        return int(key)
    digest = hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "little") >> 2)


class FractionCheck:
    """Whether all coordinates seen so far lie between 0 and 1.

    Attributes:
        is_open: Nothing that says otherwise was seen yet.
    """

    def __init__(self) -> None:
        self.is_open = True
        self._largest = 0.0

    @property
    def are_all(self) -> bool:
        """Whether there are coordinates, and all are fractions."""
        return self.is_open and self._largest > 0

    def add(self, annotation: dict[str, Any]) -> None:
        """Look at an annotation's outline or box."""
        for values in _coordinate_lists(annotation):
            numbers = [abs(v) for v in values if type(v) in (int, float) and math.isfinite(v)]
            self._largest = max(self._largest, max(numbers, default=0.0))
            if self._largest > 1 + _TOLERANCE:
                self.is_open = False
                return


def _coordinate_lists(annotation: dict[str, Any]) -> Iterator[list[Any]]:
    outline, box = annotation.get("segmentation"), annotation.get("bbox")
    if isinstance(outline, dict) or "segments_info" in annotation:
        yield [math.pi]  # runs and masks count in pixels
    if isinstance(outline, list):
        yield outline
        yield from (ring for ring in outline if isinstance(ring, list))
    if isinstance(box, list) and len(box) == 4:
        yield box
