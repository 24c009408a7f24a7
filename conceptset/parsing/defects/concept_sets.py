"""Defects of concept sets that are read as annotations; the validator has a rule for each."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

DEFECTS = (
    Defect(
        "SRC095",
        _ERROR,
        "label without a name",
        "A label map or a cell uses a number that label.csv does not list: nobody knows what it "
        "means.",
        "Add the label to label.csv; 'conceptset repair' leaves it out.",
    ),
    Defect(
        "SRC096",
        _ERROR,
        "row of a concept set unusable",
        "A row that lists no photograph, or one that an earlier row lists, says nothing sure.",
        "Let 'conceptset repair' write a right copy of the set, and read that.",
    ),
    Defect(
        "SRC097",
        _ERROR,
        "column that cannot be a category",
        "A category is a column and a part of file names: lower-case letters, digits and _, a "
        "letter first, and none of the fixed columns.",
        "Let 'conceptset repair' rename it, and read the repaired set.",
    ),
)
