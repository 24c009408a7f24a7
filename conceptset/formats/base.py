"""The protocol every annotation format follows.

A format has three verbs: `detect` looks at a file or directory and says whether it is of this
format, and why; `image_names` says how the annotations call their images, so that the folder of
the photographs can be found; `read` streams one `ImageRecord` per image. A reader never fills a
shape and never decodes a photograph; it asks the catalogue for path, size and orientation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

from conceptset.findings import Problems
from conceptset.io.catalogue import ImageCatalogue
from conceptset.io.parallel import IN_PROCESS, Engine, LocalEngine
from conceptset.parsing.candidate import Candidate
from conceptset.records import ImageRecord

__all__ = ["Candidate", "Detection", "Format", "ReadContext"]


@dataclass(frozen=True, slots=True)
class Detection:
    """What a format says about a file or directory.

    Attributes:
        format: Name of the format that looked.
        matches: Whether it can read this.
        reasons: What was looked for and found, or missed; one phrase each.
        people: Where the file names annotators; None if it does not (or does not match).
        on_request: It can be read, but might as well be something else: only `--format` chooses
            it. Then `matches` is False.
    """

    format: str
    matches: bool
    reasons: tuple[str, ...]
    people: str | None = None
    on_request: bool = False


@dataclass(frozen=True, slots=True)
class ReadContext:
    """What a reader is handed.

    Attributes:
        catalogue: The photographs.
        problems: What is done with a bad annotation.
        label: How messages and origins call the file: a path relative to what the user named.
        beside: The folder of the annotation file below the catalogue's root, forward slashes;
            empty if it is the root itself or lies elsewhere. Names relative to the annotation file
            are looked up there first.
        jobs: Processes a reader may start for independent work, such as decoding many masks.
        progress: Called with the number of images just yielded.
        engine: Where such work is done; None starts `jobs` processes.
    """

    catalogue: ImageCatalogue
    problems: Problems
    label: str
    beside: str = ""
    jobs: int = 1
    progress: Callable[[int], None] = field(default=lambda _: None)
    engine: Engine | None = None

    def engine_for(self, items: int, enough: int) -> Engine:
        """Where to do independent work on so many items; this process if they are not enough."""
        if items < enough:
            return IN_PROCESS
        return self.engine or LocalEngine(self.jobs)


@runtime_checkable
class Format(Protocol):
    """An annotation format.

    Attributes:
        name: What `--format` calls it: lower-case letters, digits and `-`.
        title: What people call it.
    """

    name: str
    title: str

    def detect(self, candidate: Candidate) -> Detection:
        """Whether a file or directory is of this format. Never raises for bad data.

        A format whose annotations are one file matches the file, never the directory around it;
        `build` looks at every file of a directory that no format takes as a whole.
        """
        ...

    def image_names(self, path: Path) -> Iterable[str]:
        """The names by which the annotations at `path` call their images.

        A few hundred are asked for, to find the folder they are relative to.

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
