"""Defects of photographs: missing, broken, of another size."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

DEFECTS = (
    Defect(
        "SRC001",
        _ERROR,
        "photograph missing",
        "Without the photograph there is nothing to lay the label map over.",
        "Give the folder of the photographs with --images DIR, or take the entry out.",
    ),
    Defect(
        "SRC002",
        _ERROR,
        "photograph ambiguous",
        "Several files have the name; taking the wrong one pairs a label map with a foreign image.",
        "Name the image with its folder, or give a narrower --images DIR.",
    ),
    Defect(
        "SRC003",
        _ERROR,
        "photograph unreadable",
        "The header of the file cannot be read, so its size and orientation are unknown.",
        "Copy the file again from its origin.",
    ),
    Defect(
        "SRC004",
        _ERROR,
        "photograph of another size",
        "Outlines drawn on an image of another size fall on the wrong pixels.",
        "Use the photograph that was annotated, or correct height and width.",
    ),
    Defect(
        "SRC005",
        _WARNING,
        "size not stated",
        "The outlines cannot be checked against the size of the image they were drawn on.",
        "State height and width of the annotated image in pixels.",
    ),
    Defect(
        "SRC006",
        _ERROR,
        "unsafe path",
        "A name that leads out of its folder could make the reader open any file of this machine.",
        "Use a path relative to the folder, without '..', drive letter or link that leads out.",
    ),
    Defect(
        "SRC032",
        _ERROR,
        "listings disagree on an image",
        "Two files give one photograph different sizes, or one turns it upright and the other "
        "does not; their outlines cannot be compared.",
        "Export both at the size of the photograph, and as the same program shows it.",
    ),
    Defect(
        "SRC033",
        _WARNING,
        "photograph under two names",
        "What was drawn under both names is painted on one image, perhaps twice.",
        "Remove one of the copies and its annotations.",
    ),
)
