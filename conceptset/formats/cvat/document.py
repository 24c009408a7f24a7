"""A CVAT XML file from one end to the other, images and tracks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO
from xml.etree.ElementTree import Element

from conceptset.errors import SourceError
from conceptset.formats.base import ReadContext
from conceptset.formats.cvat.images import Images
from conceptset.formats.cvat.meta import Meta, meta_from
from conceptset.formats.cvat.regions import Labels
from conceptset.formats.cvat.video import Video
from conceptset.parsing.defects import Spot
from conceptset.parsing.values import described
from conceptset.parsing.xml import read_head, stream_elements
from conceptset.records import ImageRecord

ROOT = "annotations"
_HEAD = 1 << 16
_KNOWN = ("version", "meta", "image", "track")


def read_xml(path: Path, context: ReadContext) -> Iterator[ImageRecord]:
    """The records of the images in document order, then those of the frames of videos.

    Raises:
        SourceError: The file as a whole cannot be read.
        UnsafeError: It is refused.
        AnnotationError: A bad annotation, under the policy `raise`.
    """
    with opened(path) as stream, ExitStack() as stack:
        reader = _Reader(path, context, stack)
        for parent, element in stream_elements(stream, path=path, inside=("track",)):
            record = reader.take(parent, element)
            if record is not None:
                yield record
                context.progress(1)
        for record in reader.frames():
            yield record
            context.progress(1)


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file, which begins like one of CVAT's.

    Raises:
        SourceError: It does not.
    """
    try:
        with path.open("rb") as stream:
            head = read_head(stream.read(_HEAD), path=path)
            if head.root != ROOT:
                raise SourceError(
                    f"is no CVAT file: its root is {described(head.root)}, {ROOT} was expected",
                    path=path,
                )
            stream.seek(0)
            yield stream
    except OSError as error:
        raise SourceError(f"cannot be read ({error.strerror})", path=path) from error


class _Reader:
    """Hands each element to who reads it."""

    def __init__(self, path: Path, context: ReadContext, stack: ExitStack) -> None:
        self._path = path
        self._context = context
        self._stack = stack
        self._file = Spot(context.problems, context.label)
        self._labels = Labels(self._file)
        self._meta = Meta()
        self._images: Images | None = None
        self._video: Video | None = None
        self._track: Element | None = None
        self._counts = dict.fromkeys((*_KNOWN, ""), 0)

    def take(self, parent: Element, element: Element) -> ImageRecord | None:
        """Look at an element; the record of an image."""
        if parent.tag == "track":
            self._begin(parent)
            self._tracks().add(element)
            return None
        known = element.tag if element.tag in self._counts else ""
        self._counts[known] += 1
        spot = self._file.at(f"{element.tag}[{self._counts[known]}]")
        if known == "meta":
            self._take_meta(element, spot)
        elif known == "version":
            check_version(element.text, self._path)
        elif known == "track":
            self._begin(element)
            self._tracks().end()
            self._track = None
        elif known == "image":
            self._images = self._images or Images(self._meta, self._context, self._labels)
            return self._images.record(element, spot)
        else:
            self._labels.report_element(element.tag, spot)
        return None

    def _begin(self, track: Element) -> None:
        """A track begins with the first of its shapes, or ends without any."""
        if self._track is not track:
            self._track = track
            self._tracks().begin(track, self._counts["track"] + 1)

    def _take_meta(self, element: Element, spot: Spot) -> None:
        if self._images is not None or self._video is not None:
            raise SourceError(
                "has its meta element behind images or tracks, it must be the first",
                path=self._path,
                pointer=spot.pointer,
            )
        self._meta = meta_from(element)
        self._labels.declared = self._meta.labels

    def _tracks(self) -> Video:
        if self._video is None:
            video = Video(self._meta, self._context, self._labels, self._path)
            self._video = self._stack.enter_context(video)
        return self._video

    def frames(self) -> Iterator[ImageRecord]:
        """The records of a video; of one in which nothing was drawn, too."""
        if self._video is not None or (self._images is None and self._meta.kind):
            yield from self._tracks().records()


def check_version(text: str | None, path: Path) -> None:
    """Refuse another version of the format.

    Raises:
        SourceError: It is not 1.1.
    """
    version = (text or "").strip()
    if version not in ("", "1.1"):
        raise SourceError(
            f"has the version {described(version)}, only 1.1 of CVAT's XML is read",
            path=path,
            pointer="/version",
            hint="Export the task again with a newer CVAT.",
        )
