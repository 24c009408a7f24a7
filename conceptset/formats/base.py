"""The protocol every annotation format follows.

A format has two verbs: `detect` looks at a file or directory and says whether it is of this
format, and why; `read` streams one `ImageRecord` per image. A reader never fills a shape and never
decodes a photograph; it asks the catalogue for path, size and orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from conceptset.findings import Problems
from conceptset.io.catalogue import ImageCatalogue
from conceptset.records import ImageRecord


@dataclass(frozen=True, slots=True)
class Detection:
    """What a format says about a file or directory.

    Attributes:
        format: Name of the format that looked.
        matches: Whether it can read this.
        reasons: What was looked for and found, or missed; one phrase each.
        people: Where the file names annotators; None if it does not (or does not match).
    """

    format: str
    matches: bool
    reasons: tuple[str, ...]
    people: str | None = None


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a reader is handed.

    Attributes:
        catalogue: The photographs.
        problems: What is done with a bad annotation.
        label: How messages and origins call the file: a path relative to what the user named.
        progress: Called with the number of images just yielded.
    """

    catalogue: ImageCatalogue
    problems: Problems
    label: str
    progress: Callable[[int], None] = field(default=lambda _: None)


@runtime_checkable
class Format(Protocol):
    """An annotation format.

    Attributes:
        name: What `--format` calls it.
        title: What people call it.
    """

    name: str
    title: str

    def detect(self, path: Path) -> Detection:
        """Whether `path`, a file or a directory, is of this format. Never raises for bad data."""
        ...

    def image_names(self, path: Path) -> list[str]:
        """The names by which the annotations at `path` call their images, to find the image root.

        Raises:
            SourceError: The file cannot be read.
        """
        ...

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """The records of one file or directory, one per image and listing.

        Raises:
            SourceError: The file as a whole cannot be read.
            AnnotationError: A bad annotation, under the policy `raise`.
        """
        ...
