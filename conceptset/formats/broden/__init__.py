"""Concept sets as annotations: Broden's own layout, by hand or by `build`.

Each label in a map is a region of that category: the map's pixels, stretched over the photograph.
Whole-image labels are tags. In a set of ours the maps of every annotator are read, not the root's,
so that who drew what survives; what an annotator abstained from stays an abstention. Maps hold no
single objects: those stand in segments.jsonl, which is not read here (`merge` keeps it).

Further maps of the category `part` hold parts of parts. A part is taken for a part of the object,
and in a further map of the part, that it shares most pixels with.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from conceptset.formats.base import Candidate, Detection, ReadContext
from conceptset.formats.broden.reading import SetReader, image_path, read_columns
from conceptset.layout import names
from conceptset.records import ImageRecord

__all__ = ["FORMAT", "BrodenFormat"]

_SAMPLE = 512
_TABLES = (names.INDEX, names.LABELS, names.CATEGORIES)


class BrodenFormat:
    """The Broden layout, see `conceptset.formats.base.Format`."""

    name = "broden"
    title = "Broden layout"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether a directory has the tables of a concept set."""
        path = candidate.path
        if not candidate.is_directory:
            return self._no("is a file, a concept set is a directory")
        missing = [name for name in _TABLES if not (path / name).is_file()]
        if missing:
            return self._no(f"has no {', '.join(missing)}")
        for name, columns in ((names.INDEX, {"image"}), (names.LABELS, {"number", "name"})):
            try:
                with (path / name).open("rb") as stream:
                    head = stream.readline(1 << 16)
            except OSError as error:
                return self._no(f"{name} cannot be read ({error.strerror})")
            found = {cell.strip(' "') for cell in head.decode("utf-8-sig", "replace").split(",")}
            if not columns <= {cell.strip() for cell in found}:
                lacks = ", ".join(sorted(columns))
                return self._no(f"{name} lacks a column of {lacks}")
        people = names.ANNOTATORS if (path / names.ANNOTATORS).is_file() else None
        reasons = (
            "index.csv lists photographs, label.csv names labels",
            "it is a concept set: validate, repair and merge take it as it is",
        )
        return Detection(self.name, matches=True, reasons=reasons, people=people)

    def _no(self, reason: str) -> Detection:
        return Detection(self.name, matches=False, reasons=(reason,))

    def image_names(self, path: Path) -> list[str]:
        """The photographs that the index lists, as far as their names are paths.

        Raises:
            SourceError: The index cannot be read.
        """
        table = read_columns(path, names.INDEX, "image")
        place = table.header.index("image")
        rows = (row[place] for row in table.rows if len(row) > place)
        found = (image_path(path, cell) for cell in islice(rows, _SAMPLE))
        return [name for name in found if name is not None]

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """One record per photograph, sorted by name.

        Raises:
            SourceError: A table is missing or broken; `conceptset repair` makes it right.
            AnnotationError: A bad row or map, under the policy `raise`.
        """
        return SetReader(path, context).records()


FORMAT = BrodenFormat()
