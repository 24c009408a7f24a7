"""Defects of Darwin JSON, the files of V7."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR = Severity.ERROR

DEFECTS = (
    Defect(
        "SRC067",
        _ERROR,
        "shape of a kind that is not read",
        "How its numbers are meant is not documented; a guess would label the wrong pixels.",
        "Draw it as a polygon, or take the annotation out.",
    ),
    Defect(
        "SRC068",
        _ERROR,
        "annotation over several frames",
        "It belongs to a video; it is not known which frame the photograph is.",
        "Export the frames as images, each with an annotation file of its own.",
    ),
)
