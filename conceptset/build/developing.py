"""Photographs of a set to be, made on other cores while annotations are still being read.

Reading is one process's work; decoding, resizing and encoding a photograph needs nothing of it but
the photograph. What is made lies in the scratch until its image has a name.
"""

from __future__ import annotations

import contextlib
import functools
import queue
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from conceptset.build.fitting import fit_to
from conceptset.build.options import BuildOptions
from conceptset.errors import SourceError
from conceptset.io.catalogue import Photograph
from conceptset.io.images import decode_rgb, encode_photograph
from conceptset.io.parallel import Engine, LocalEngine
from conceptset.io.tables import digest
from conceptset.records import Frame

SMALL = 48  # images below which starting worker processes costs more than it saves

_PILLOW_FORMAT = {"jpg": "JPEG", "png": "PNG"}


@dataclass(frozen=True, slots=True)
class Negative:
    """A photograph to make.

    Attributes:
        photograph: The file.
        frame: Whether it is turned upright.
        size: (height, width) in that frame, source pixels.
        place: Where the photograph of the set is written.
    """

    photograph: Photograph
    frame: Frame
    size: tuple[int, int]
    place: Path


@dataclass(frozen=True, slots=True)
class Developed:
    """A photograph that was made.

    Attributes:
        place: Where it lies.
        original: SHA-256 of the original file; empty if that cannot be read.
        digest: SHA-256 of what was made.
        failure: Why nothing was made.
    """

    place: Path
    original: str = ""
    digest: str = ""
    failure: str | None = None


def _called(negative: Negative) -> str:
    return negative.photograph.key


def develop(options: BuildOptions, negative: Negative) -> Developed:
    """Make one photograph; the file's own bytes where nothing about it changes."""
    place, path = negative.place, negative.photograph.path
    try:
        data = path.read_bytes()
    except OSError as error:
        return Developed(place, failure=f"cannot be read ({error.strerror})")
    original = digest(data)
    try:
        made = _made(options, negative, data)
    except SourceError as error:
        return Developed(place, original, failure=error.message)
    place.write_bytes(made)
    return Developed(place, original, original if made is data else digest(made))


def _made(options: BuildOptions, negative: Negative, data: bytes) -> bytes:
    path, header = negative.photograph.path, negative.photograph.header
    picture = decode_rgb(path, frame=negative.frame, data=data)
    if (picture.height, picture.width) != negative.size:
        raise SourceError("changed its size while the set was built", path=path)
    fitting = fit_to(negative.size, options.image_size or negative.size, options.fit)
    unchanged = (
        fitting.is_identity
        and header.format == _PILLOW_FORMAT[options.image_format]
        and header.mode == "RGB"
        and header.orientation == 1
    )
    if unchanged:
        return data
    return encode_photograph(fitting.photograph(picture), options.image_format)


class Darkroom:
    """Makes photographs while the main process does something else.

    With one process, and until there are enough for it to pay, nothing is done here: whoever paints
    an image then makes its photograph too.

    Args:
        folder: An existing folder for what is made.
        options: See `BuildOptions`.
        engine: Where they are made; None starts `options.jobs` processes.
    """

    def __init__(self, folder: Path, options: BuildOptions, engine: Engine | None = None) -> None:
        self._folder = folder
        self._options = options
        self._engine = engine or LocalEngine(options.jobs)
        self._waiting: queue.SimpleQueue[Negative | None] = queue.SimpleQueue()
        self._asked = 0
        self._made: list[Developed] = []
        self._is_closed = False
        self._thread = ThreadPoolExecutor(1)
        self._work: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, whatever is still to be made."""
        self._is_closed = True
        self._waiting.put(None)
        self._thread.shutdown()

    def take(self, photograph: Photograph, frame: Frame, size: tuple[int, int]) -> int:
        """Have a photograph made; its number, from 0.

        Raises:
            OSError: Earlier ones could not be written.
        """
        if self._work is not None and self._work.done():
            self._work.result()
        place = self._folder / f"{self._asked:09}.photograph"
        self._waiting.put(Negative(photograph, frame, size, place))
        self._asked += 1
        if self._engine.is_parallel and self._asked == SMALL:
            self._work = self._thread.submit(self._make)
        return self._asked - 1

    def finish(self, progress: Callable[[int, int], None]) -> list[Developed]:
        """Everything that was made, by number; empty if nothing is made here.

        Raises:
            OSError: One could not be written.
        """
        if self._work is None:
            return []
        self._waiting.put(None)
        while not wait([self._work], timeout=0.1).done:
            progress(len(self._made), self._asked)
        self._work.result()
        return self._made

    def _make(self) -> None:
        develop_one = functools.partial(develop, self._options)
        made = self._engine.ordered_map(develop_one, self._taken(), name=_called)
        with contextlib.closing(made):
            for one in made:
                self._made.append(one)
                if self._is_closed:
                    break

    def _taken(self) -> Iterator[Negative]:
        while (negative := self._waiting.get()) is not None and not self._is_closed:
            yield negative
