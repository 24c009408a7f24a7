"""LabelMe JSON (wkentaro/labelme): one file per image, of every version.

Coordinates follow the corner convention and refer to the image as the tool shows it, turned upright
by EXIF. Polygons, circles and masks are regions. Rectangles, upright or turned, are boxes: frames
without an outline. Points and lines have no area. Shapes of one label and one `group_id` are one
object, at the place of its first piece; frames and outlines of a group stay apart. Labels are taken
verbatim: an old habit of numbering them (`person-1`) is not undone. Flags of the image that are
true are tags of the whole image.

A shape called `_background_` takes away what was drawn before it, and so does `__ignore__`, as in
the tool's own label images; pixels of the latter end up unlabelled, which is said in a warning.

An image inside the file (`imageData`) is the photograph; else the file that `imagePath` names, else
one called like the JSON file. The tool itself does not say who drew. It keeps keys it does not
know, so `annotator` is looked for in each shape and beside the list of shapes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from conceptset.formats.base import Candidate, Detection, ReadContext
from conceptset.formats.labelme.detection import detect
from conceptset.formats.labelme.document import load
from conceptset.formats.labelme.photograph import names_of
from conceptset.formats.labelme.reader import read_document
from conceptset.records import ImageRecord

__all__ = ["FORMAT", "LabelMeFormat"]


class LabelMeFormat:
    """The format of wkentaro/labelme, see `conceptset.formats.base.Format`."""

    name = "labelme"
    title = "LabelMe JSON"

    def detect(self, candidate: Candidate) -> Detection:
        """Whether it is a LabelMe JSON file, what was looked for, and where it names people."""
        return detect(candidate)

    def image_names(self, path: Path) -> list[str]:
        """The name of the image; none if the image is in the file itself.

        Raises:
            SourceError: The file cannot be read as LabelMe JSON.
        """
        return names_of(load(path))

    def read(self, path: Path, context: ReadContext) -> Iterator[ImageRecord]:
        """The one record of a file, shapes in document order, tags of the image after them.

        Raises:
            SourceError: The file as a whole cannot be read.
            AnnotationError: A bad annotation, under the policy `raise`.
        """
        return read_document(load(path), context)


FORMAT = LabelMeFormat()
