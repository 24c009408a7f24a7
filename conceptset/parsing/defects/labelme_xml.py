"""Defects of LabelMe XML, the files of the web tool."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

DEFECTS = (
    Defect(
        "SRC060",
        _ERROR,
        "annotation file broken",
        "The file holds all that was drawn on one image; none of it can be read.",
        "Copy the file again from its origin, or repair the place that is named.",
    ),
    Defect(
        "SRC061",
        _WARNING,
        "XML that had to be repaired",
        "Other readers of the file stop there, or read other letters in its names.",
        "Save it as UTF-8, and write & in a text as &amp;.",
    ),
    Defect(
        "SRC062",
        _ERROR,
        "shape over several frames",
        "The video variant of the tool keeps one outline per frame; it is not known which of them "
        "belongs to the photograph.",
        "Export the frames as images, each with an annotation file of its own.",
    ),
    Defect(
        "SRC063",
        _WARNING,
        "deletion flag unclear",
        "What was deleted in the tool does not enter the set; here the object is kept.",
        "Write deleted as 0 or 1.",
    ),
    Defect(
        "SRC064",
        _WARNING,
        "parts that contradict each other",
        "A part has one whole, and no object is a part of itself, on however many steps.",
        "Correct hasparts and ispartof; the object is read without the contradicting statement.",
    ),
    Defect(
        "SRC065",
        _WARNING,
        "mask without transparency",
        "The tool writes masks whose background is transparent; here every pixel that is not black "
        "is taken for the object.",
        "Look at the region; if black is not the background, save the mask with transparency.",
    ),
)
