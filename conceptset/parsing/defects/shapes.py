"""Defects of outlines, run-length codes and masks."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

DEFECTS = (
    Defect(
        "SRC016",
        _ERROR,
        "annotation without a shape",
        "A region needs an outline, a mask or a box.",
        "Draw it again, or take the annotation out.",
    ),
    Defect(
        "SRC017",
        _ERROR,
        "outline of fewer than three points",
        "It has no area; it is usually the trace of a slip of the mouse.",
        "Take the outline out, or draw it again.",
    ),
    Defect(
        "SRC018",
        _ERROR,
        "coordinate that is no number",
        "The outline cannot be filled.",
        "Write finite numbers; NaN, null and text come from a broken export.",
    ),
    Defect(
        "SRC019",
        _ERROR,
        "coordinate far outside the image",
        "No image is that large; the number is damaged.",
        "Correct the coordinate, or take the outline out.",
    ),
    Defect(
        "SRC020",
        _ERROR,
        "odd number of coordinates",
        "Coordinates come in pairs x, y; one is missing and all that follow would be swapped.",
        "Write the outline as x1, y1, x2, y2, ...",
    ),
    Defect(
        "SRC021",
        _WARNING,
        "outline not in a list of outlines",
        "Other readers of the format stop or misread it.",
        "Write [[x1, y1, ...]] in place of [x1, y1, ...].",
    ),
    Defect(
        "SRC022",
        _ERROR,
        "box unusable",
        "A box needs a corner, a width and a height above zero.",
        "Correct the box to [x, y, width, height], or take the annotation out.",
    ),
    Defect(
        "SRC023",
        _ERROR,
        "run-length code broken",
        "The runs do not describe a bitmap of the stated size.",
        "Encode the mask again.",
    ),
    Defect(
        "SRC024",
        _ERROR,
        "mask of another size",
        "A mask covers its image pixel by pixel; with another size it lies askew.",
        "Export the mask again at the size of its image, as height x width.",
    ),
    Defect(
        "SRC025",
        _ERROR,
        "mask file missing",
        "The regions of the image are only drawn in that file.",
        "Put the folder of masks beside the annotation file, under its name without the ending.",
    ),
    Defect(
        "SRC026",
        _ERROR,
        "mask file unreadable",
        "The regions of the image are only drawn in that file.",
        "Export the mask again as an RGB, grey or palette PNG.",
    ),
    Defect(
        "SRC027",
        _ERROR,
        "segment code impossible",
        "A mask of three channels holds the codes 1 to 16777215; 0 is unlabelled.",
        "Correct the id of the segment.",
    ),
    Defect(
        "SRC028",
        _WARNING,
        "segment code given twice",
        "Both segments claim the same pixels; the second one is left out.",
        "Give every segment of an image a code of its own.",
    ),
    Defect(
        "SRC030",
        _WARNING,
        "crowd flag unclear",
        "A crowd is painted but not counted as an object; here it is read as a single object.",
        "Write iscrowd as 0 or 1.",
    ),
)
