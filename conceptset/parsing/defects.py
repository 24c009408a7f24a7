"""Every defect of source annotations: one table of codes, and the way a reader reports them.

A code names one defect and is never reused. The table is what `conceptset rule CODE` prints;
readers attach a message and a place.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from conceptset.findings import Finding, Problems, Severity

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind of defect.

    Attributes:
        code: `SRC` and three digits.
        severity: Whether it can make numbers wrong.
        title: What it is, as a heading.
        why: Why it matters.
        fix: What to do about it; the hint of a finding that has no better one.
    """

    code: str
    severity: Severity
    title: str
    why: str
    fix: str


_TABLE = (
    # photographs
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
    # lists and references
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
    # shapes
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
    # people and the rest
    Defect(
        "SRC029",
        _ERROR,
        "annotator that is no name",
        "What cannot be attributed would be counted for somebody else.",
        "Name the annotator by a text or a whole number.",
    ),
    Defect(
        "SRC030",
        _WARNING,
        "crowd flag unclear",
        "A crowd is painted but not counted as an object; here it is read as a single object.",
        "Write iscrowd as 0 or 1.",
    ),
    Defect(
        "SRC031",
        _WARNING,
        "annotations of another kind",
        "Captions and keypoints say nothing about regions and are not read.",
        "Nothing, if the file is used for its images only.",
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

DEFECTS = MappingProxyType({defect.code: defect for defect in _TABLE})


@dataclass(frozen=True, slots=True)
class Spot:
    """A place in an annotation file, to which findings are attached.

    Attributes:
        problems: Where findings go.
        file: How messages call the file.
        pointer: JSON pointer inside it; empty for the file as a whole.
    """

    problems: Problems
    file: str
    pointer: str = ""

    def at(self, *steps: str | int) -> Spot:
        """The place some steps further in.

        >>> Spot(Problems(), "a.json").at("annotations", 14).pointer
        '/annotations/14'
        """
        inner = "".join(f"/{step}" for step in steps)
        return Spot(self.problems, self.file, self.pointer + inner)

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
                pointer=self.pointer or None,
                hint=hint or defect.fix,
            )
        )
