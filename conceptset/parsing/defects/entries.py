"""Defects of lists, names and references, and of what says who drew."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

DEFECTS = (
    Defect(
        "SRC007",
        _ERROR,
        "image entry unusable",
        "An image without name or id can neither be found nor referred to.",
        "Give the entry an id and the name of its file.",
    ),
    Defect(
        "SRC008",
        _ERROR,
        "image id given twice",
        "Annotations that refer to the id could belong to either image.",
        "Give every image an id of its own; only the first entry is read.",
    ),
    Defect(
        "SRC009",
        _ERROR,
        "image unknown",
        "The annotation says of which image it is, but there is no such image.",
        "Add the image to the list, or take the annotation out.",
    ),
    Defect(
        "SRC010",
        _ERROR,
        "category unknown",
        "The annotation has no name: its category is missing or not in the list.",
        "Add the category to the list, or correct the id.",
    ),
    Defect(
        "SRC011",
        _ERROR,
        "category unusable",
        "A category without id or name cannot name a region.",
        "Give it an id and a name; its annotations are left out until then.",
    ),
    Defect(
        "SRC012",
        _ERROR,
        "category id given twice",
        "Annotations that refer to the id could mean either name.",
        "Give every category an id of its own; only the first entry is read.",
    ),
    Defect(
        "SRC013",
        _WARNING,
        "category name given twice",
        "Regions of both ids end up as one concept.",
        "Rename one of them if they mean different things.",
    ),
    Defect(
        "SRC014",
        _WARNING,
        "annotation id given twice",
        "The file was probably joined from several; an annotation may be in it twice.",
        "Check that nothing is listed twice; every entry is read.",
    ),
    Defect(
        "SRC015",
        _ERROR,
        "annotation entry unusable",
        "The entry has another structure than the format says.",
        "Correct the entry, or take it out.",
    ),
    Defect(
        "SRC029",
        _ERROR,
        "annotator that is no name",
        "What cannot be attributed would be counted for somebody else.",
        "Name the annotator by a text or a whole number.",
    ),
    Defect(
        "SRC031",
        _WARNING,
        "annotations of another kind",
        "Captions and keypoints say nothing about regions and are not read.",
        "Nothing, if the file is used for its images only.",
    ),
)
