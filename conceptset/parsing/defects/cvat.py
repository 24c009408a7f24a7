"""Defects of CVAT's exports and backups."""

from __future__ import annotations

from conceptset.findings import Severity
from conceptset.parsing.defects.defect import Defect

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

DEFECTS = (
    Defect(
        "SRC040",
        _WARNING,
        "flag or painting order unclear",
        "A wrong flag shows an object where it is not, a wrong order paints it below another.",
        "Write outside and keyframe as 0 or 1 and z_order as a whole number; 0 is taken.",
    ),
    Defect(
        "SRC041",
        _WARNING,
        "element that is not known",
        "It may be a shape of another version of CVAT; what it means is not documented.",
        "Nothing, if it is no shape; else export again as CVAT 1.1.",
    ),
    Defect(
        "SRC042",
        _ERROR,
        "ellipse unusable",
        "An ellipse needs a centre and two radii above zero.",
        "Correct rx and ry, or take the ellipse out.",
    ),
    Defect(
        "SRC043",
        _WARNING,
        "label that is not declared",
        "The file lists its labels and this is none of them; it is often a misspelling.",
        "Add it to the labels of the task, or correct the name; it is read as it stands.",
    ),
    Defect(
        "SRC044",
        _ERROR,
        "frame unusable",
        "A shape whose frame is unknown cannot be laid over an image.",
        "Correct the frame number, or take the shape out.",
    ),
    Defect(
        "SRC045",
        _ERROR,
        "one photograph for images of two subsets",
        "CVAT allows one name in several subsets for different images; here both lead to one file.",
        "Keep the photographs as CVAT exports them, in images/SUBSET/NAME.",
    ),
    Defect(
        "SRC046",
        _WARNING,
        "listed twice",
        "What was drawn may be in the file twice, and then it is painted and counted twice.",
        "Take one of the entries out.",
    ),
    Defect(
        "SRC047",
        _WARNING,
        "job that is not read",
        "Ground truth and replicas were drawn over the same images by people the backup does not "
        "name; together with the other jobs they would pass for one person's work.",
        "Export the job by itself as CVAT for images 1.1, which names its assignee.",
    ),
    Defect(
        "SRC048",
        _ERROR,
        "video in place of images",
        "Frames are not taken out of videos.",
        "Export the task as CVAT for video 1.1, with its images.",
    ),
    Defect(
        "SRC049",
        _WARNING,
        "frame in two jobs",
        "Where the segments of a task overlap, both jobs show an object and a backup holds it "
        "twice.",
        "Export the task as CVAT for images 1.1 or for video 1.1: the server joins both.",
    ),
)
