"""LabelMe XML, the files of the MIT web tool: one XML file per photograph.

Outlines follow the corner convention; a mask is the part of its file that is not transparent;
scribbles are strokes, not area. The person of an object is its `username`, kept verbatim;
`anonymous`, which the tool writes for whoever gave no name, is a person of that name. Names are
free text, verbatim but stripped. An object that is a part keeps its whole. What was deleted in the
tool says only that its person was there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from conceptset.errors import ConceptsetError, SourceError, UnsafeError
from conceptset.formats.base import Candidate, Detection, ReadContext
from conceptset.formats.labelme_xml.document import load_names, repaired
from conceptset.formats.labelme_xml.reader import described_people, names_of, read_document
from conceptset.parsing.values import quoted
from conceptset.parsing.xml import XmlHead, read_head
from conceptset.records import ImageRecord

__all__ = ["FORMAT", "LabelMeXmlFormat"]

_SHAPES = ("object/polygon", "object/segm")
_SIGNS = (*_SHAPES, "imagesize", "source/sourceAnnotation")
_USERNAME = re.compile(rb"<username>([^<]*)</username>")


class LabelMeXmlFormat:
    """The LabelMe XML format, see `conceptset.formats.base.Format`."""

    name = "labelme-xml"
    title = "LabelMe XML"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether it is an XML file of the tool, what was looked for, and whom it names."""
        if candidate.is_directory or candidate.suffix != ".xml":
            kind = "a directory" if candidate.is_directory else "not called .xml"
            return self._no(f"is {kind}, an XML file was expected")
        try:
            head = _head(candidate)
            text = repaired(candidate.head)[0]
        except ConceptsetError as error:
            return self._no(error.message)
        if head.root != "annotation":
            return self._no(f"the root is {quoted(head.root)}, annotation was expected")
        found = [path for path in _SIGNS if path in head.paths]
        if not found or ("object/bndbox" in head.paths and not set(found) & set(_SHAPES)):
            return self._no(
                "the root is annotation, but it has none of "
                f"{', '.join(_SIGNS)}; PASCAL VOC has the same root"
            )
        found_names = (name.decode("utf-8", "replace") for name in _USERNAME.findall(text))
        names = sorted({name.strip() for name in found_names} - {""})
        silent = () if names else ("no object has a username",)
        return Detection(
            self.name,
            matches=True,
            reasons=(f"the root is annotation, with {', '.join(found)}", *silent),
            people=described_people(names) if names else None,
        )

    def _no(self, reason: str) -> Detection:
        return Detection(self.name, matches=False, reasons=(reason,))

    def image_names(self, path: Path) -> list[str]:
        """FOLDER/FILENAME and FILENAME.

        Raises:
            SourceError: The file cannot be read up to there.
        """
        return names_of(*load_names(path))

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """The record of the file's photograph, objects in document order.

        Raises:
            UnsafeError: The file is refused.
            AnnotationError: A bad annotation, or a broken file, under the policy `raise`.
        """
        return read_document(path, context)


def _head(candidate: Candidate) -> XmlHead:
    """How the file begins, mended where the tool writes no valid XML.

    Raises:
        SourceError: It is no XML.
        UnsafeError: It has a DTD or entities.
    """
    try:
        return candidate.xml
    except UnsafeError:
        raise
    except SourceError:
        return read_head(repaired(candidate.head)[0], path=candidate.path)


FORMAT = LabelMeXmlFormat()
