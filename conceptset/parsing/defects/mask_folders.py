"""Defects of mask folders: class lists, codes, and masks that fit no photograph."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

DEFECTS = (
    Defect(
        "SRC070",
        _ERROR,
        "class list entry unusable",
        "A class without a code or a name cannot name the pixels of a mask.",
        "Write one class per line, its code before its name, as in '1 door'.",
    ),
    Defect(
        "SRC071",
        _ERROR,
        "code without a class",
        "Pixels were drawn that the class list has no name for.",
        "Add the code to the class list; as 'void' if it stands for no concept.",
    ),
    Defect(
        "SRC072",
        _WARNING,
        "code 255 taken as ignored",
        "By custom 255 says that a pixel belongs to no class; the list does not say what it is.",
        "Nothing, if that is so; else list the class with its code, as '255 fog'.",
    ),
    Defect(
        "SRC073",
        _WARNING,
        "photographs without a mask",
        "Nobody is known to have looked at them, so they do not enter the set.",
        "Nothing, if they were not annotated; an empty mask says: looked, found nothing.",
    ),
    Defect(
        "SRC074",
        _ERROR,
        "several masks of one photograph",
        "Nothing says which of them holds, or who drew which; the first one is read.",
        "Give the folder of each annotator as a SOURCE of its own, or remove one of the masks.",
    ),
    Defect(
        "SRC075",
        _ERROR,
        "codes stored as JPEG",
        "JPEG changes grey values, so the codes of the classes are lost.",
        "Export the masks as PNG. One black and white image per concept may be a JPEG: that is the "
        "format binary-masks.",
    ),
    Defect(
        "SRC076",
        _WARNING,
        "codes taken from line numbers",
        "The list has names only and begins with one that is no background: it could count from 1.",
        "Write the code before each name, as in '1 door'.",
    ),
    Defect(
        "SRC077",
        _WARNING,
        "mask that is not black and white",
        "Pixels between dark and light are cut at grey 128; many of them make the outline a guess.",
        "Export masks as PNG, without smoothing.",
    ),
    Defect(
        "SRC078",
        _WARNING,
        "image outside of the folders of labels",
        "The folder of an image is its label; this one lies in none.",
        "Move it into the folder called like its label.",
    ),
    Defect(
        "SRC079",
        _WARNING,
        "masks mostly white",
        "White pixels are the concept; masks that are mostly white are usually inverted.",
        "Invert them if black was meant to be the concept.",
    ),
)
