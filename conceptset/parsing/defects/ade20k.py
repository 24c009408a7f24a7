"""Defects of ADE20K: masks and descriptions that do not belong together."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

DEFECTS = (
    Defect(
        "SRC080",
        _ERROR,
        "description of an image unusable",
        "A mask holds numbers of classes; without its description they have no names.",
        "Put the NAME.json or NAME_atr.txt of the release beside the photograph again.",
    ),
    Defect(
        "SRC081",
        _WARNING,
        "object without visible pixels",
        "It is hidden behind others, or shares its colour in the mask with another object.",
        "Nothing, if it is hidden; else check that mask and description are of one release.",
    ),
    Defect(
        "SRC082",
        _WARNING,
        "pixels of no object",
        "The mask shows a class that the description does not name; those pixels stay unlabelled.",
        "Check that mask and description are of one release.",
    ),
    Defect(
        "SRC083",
        _ERROR,
        "name with two classes",
        "Instance numbers and colours of the mask do not go together, so names could be swapped.",
        "Take mask and description from one release; the object is left out.",
    ),
)
