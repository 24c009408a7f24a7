"""Defects of drawings that stand in one file with their image: LabelMe JSON."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

DEFECTS = (
    Defect(
        "SRC050",
        _ERROR,
        "shape of an unknown type",
        "Nothing says which pixels its points enclose.",
        "Draw it as a polygon or a mask, or take it out.",
    ),
    Defect(
        "SRC051",
        _ERROR,
        "points that do not make the shape",
        "A rectangle is two corners, a circle its centre and a point of its rim, a mask lies "
        "between two corners; with other points the area is unknown.",
        "Draw the shape again, or take it out.",
    ),
    Defect(
        "SRC052",
        _ERROR,
        "embedded image unusable",
        "An image inside the annotation file is the one that was drawn on; without it nobody knows "
        "what lies under the outlines.",
        "Export the file again, or take the embedded image out (null) if its photograph is at "
        "hand.",
    ),
    Defect(
        "SRC053",
        _WARNING,
        "embedded image differs from the file of its name",
        "The embedded image is the one that was drawn on, so it is taken; an annotator who drew on "
        "the file worked on another image and is not compared with this one.",
        "Take the embedded image out (null) if the file is meant.",
    ),
    Defect(
        "SRC054",
        _ERROR,
        "embedded mask unusable",
        "The pixels of the region are only drawn in that mask.",
        "Write the mask as base64 of a grey PNG no larger than its image.",
    ),
    Defect(
        "SRC055",
        _WARNING,
        "embedded mask of another size than its corners say",
        "The mask is laid with its first pixel at the first corner and cut at the second one; it "
        "may have been meant elsewhere.",
        "Write corners that hold the mask: both pixels included, x2 = x1 + width - 1.",
    ),
    Defect(
        "SRC056",
        _WARNING,
        "pixels not to be judged",
        "A region that the tool leaves out of every count has no concept here either, but its "
        "pixels count as unlabelled, which says: nothing of interest.",
        "Nothing, if that is meant; otherwise give the region the name of a concept.",
    ),
    Defect(
        "SRC057",
        _ERROR,
        "shape without a name",
        "A region without a name belongs to no concept.",
        "Name the shape, or take it out.",
    ),
    Defect(
        "SRC058",
        _WARNING,
        "group unclear",
        "Pieces of one object are found by the number of their group; this one stays by itself.",
        "Write group_id as a whole number or null.",
    ),
    Defect(
        "SRC059",
        _ERROR,
        "too much in one file",
        "Nobody draws that much on one image; reading it could fill the memory.",
        "Check how the file was made, or split it.",
    ),
)
