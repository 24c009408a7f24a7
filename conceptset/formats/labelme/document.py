"""A LabelMe JSON file as a whole, checked for its outer form only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conceptset.errors import SourceError
from conceptset.io.tables import read_json
from conceptset.parsing.values import described, whole_number

MAX_BYTES = 128 << 20  # of one file, whose embedded image is most of it


@dataclass(frozen=True, slots=True)
class Document:
    """One file.

    Attributes:
        path: Where it lies.
        data: Its object, as it stands there.
        shapes: Entries of `shapes`.
    """

    path: Path
    data: dict[str, Any]
    shapes: list[Any]

    @property
    def size(self) -> tuple[int, int] | None:
        """(height, width) of the image as stated; None if one is missing, 0 or no whole number."""
        height = whole_number(self.data.get("imageHeight"))
        width = whole_number(self.data.get("imageWidth"))
        return (height, width) if height and width else None

    @property
    def has_image(self) -> bool:
        """Whether the image is in the file itself."""
        return self.data.get("imageData") not in (None, "")


def load(path: Path) -> Document:
    """The object in a file.

    Raises:
        SourceError: It cannot be read, or is no object with a list of shapes.
        UnsafeError: It is larger than 128 MiB.
    """
    data = read_json(path, MAX_BYTES, allow_nan=True)
    if not isinstance(data, dict):
        raise SourceError(f"is no LabelMe JSON file: it holds {described(data)}", path=path)
    shapes = data.get("shapes")
    if not isinstance(shapes, list):
        raise SourceError(
            f"is no LabelMe JSON file: shapes is {described(shapes)}, a list was expected",
            path=path,
            pointer="/shapes",
        )
    return Document(path, data, shapes)
