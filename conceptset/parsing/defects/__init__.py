"""Every defect of source annotations: one table of codes, and the way a reader reports them.

A code names one defect and is never reused. The table is what `conceptset rule CODE` prints;
readers attach a message and a place.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from conceptset.findings import Finding, Problems
from conceptset.parsing.defects import (
    ade20k,
    concept_sets,
    cvat,
    darwin,
    embedded,
    entries,
    labelme_xml,
    mask_folders,
    photographs,
    shapes,
)
from conceptset.parsing.defects.defect import Defect

__all__ = ["DEFECTS", "Defect", "Spot"]

_TABLE = (
    *photographs.DEFECTS,
    *entries.DEFECTS,
    *shapes.DEFECTS,
    *ade20k.DEFECTS,
    *cvat.DEFECTS,
    *labelme_xml.DEFECTS,
    *mask_folders.DEFECTS,
    *darwin.DEFECTS,
    *embedded.DEFECTS,
    *concept_sets.DEFECTS,
)
DEFECTS = MappingProxyType(
    {defect.code: defect for defect in sorted(_TABLE, key=lambda defect: defect.code)}
)


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in an annotation file, to which findings are attached.

    Attributes:
        problems: Where findings go.
        file: How messages call the file.
        pointer: JSON pointer or XPath inside it; empty for the file as a whole.
        line: Line of a text file, from 1, where that says more than a pointer.
    """

    problems: Problems
    file: str
    pointer: str = ""
    line: int | None = None

    def on_line(self, line: int) -> Spot:
        """The place on a line of a text file, counted from 1."""
        return Spot(self.problems, self.file, self.pointer, line)

    def at(self, *steps: str | int) -> Spot:
        """The place some steps further in.

        >>> Spot(Problems(), "a.json").at("annotations", 14).pointer
        '/annotations/14'
        """
        pointer = self.pointer
        for step in steps:
            pointer = f"{pointer}/{step}"
        return Spot(self.problems, self.file, pointer, self.line)

    def report(self, code: str, message: str, *, hint: str | None = None) -> None:
        """Record one defect here.

        Args:
            code: A code of `DEFECTS`.
            message: A sentence: what is wrong and what was expected. What it quotes from the file
                has gone through `conceptset.errors.printable`.
            hint: What to do about it, where more is known than the table says.

        Raises:
            AnnotationError: It is an error and the policy is `raise`.
        """
        defect = DEFECTS[code]
        self.problems.add(
            Finding(
                code=code,
                severity=defect.severity,
                message=message,
                path=self.file,
                line=self.line,
                pointer=self.pointer or None,
                hint=hint or defect.fix,
            )
        )
