"""In which options runs differ, and which of these make their figures incomparable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from conceptset.errors import UsageError, printable
from dissect.compare.document import Difference
from dissect.compare.gathering import Member
from dissect.state import Run

SAME_LABELS = "not all of its files are the same, but every label has equal pixels in every image"
Weight = Literal["meaning", "data", "treatment", "none"]

# What a detector is. Runs that differ here count different things under one name.
_MEANING = ("quantile", "iou_threshold", "union")
# Which images and labels. The same question, asked of other data.
_DATA = ("categories", "split", "limit", "index")
# How images and maps were treated: figures move a little, their meaning stays.
_TREATMENT = ("upsample", "image_size", "precision")
# Differences that can move the last bits of an activation, or nothing at all.
_NONE = ("device", "memory_format", "batch_size", "threads", "top_images", "annotators")

_SAYS = {
    "quantile": "masks hold another share of a unit's activations",
    "iou_threshold": "a detector needs another IoU",
    "union": "masks count on other images",
    "set": "not all of its files are the same, so IoUs may be of other pixels",
    "categories": "a unit could choose among other concepts",
    "split": "the runs saw different images",
    "limit": "the runs saw different images",
    "index": "the runs saw other labels",
    "upsample": "cells of a map lie elsewhere on the image",
    "image_size": "photographs entered at another size",
    "precision": "activations were rounded differently",
    "preprocessing": "photographs were normalised differently",
    "thresholds": "in some runs they were given, so that masks need not hold the same share",
}


def find_differences(members: Sequence[Member]) -> tuple[Difference, ...]:
    """The options in which the runs are not all alike, the gravest first.

    The model is none of them: it is what a comparison is about.
    """
    readers: list[tuple[str, Weight, Callable[[Run], str]]] = [
        *((name, "meaning", _option(name)) for name in _MEANING),
        ("set", "data", lambda run: f"{printable(run.set.name, 60)} ({run.set.digest[:12]})"),
        *((name, "data", _option(name)) for name in _DATA),
        *((name, "treatment", _option(name)) for name in _TREATMENT),
        ("preprocessing", "treatment", _preprocessing),
        ("thresholds", "treatment", _thresholds),
        *((name, "none", _option(name)) for name in _NONE),
    ]
    found = []
    for name, weight, read in readers:
        values = tuple(read(member.run) for member in members)
        if len(_distinct(name, members, values)) > 1:
            found.append(
                Difference(option=name, weight=weight, says=_SAYS.get(name, ""), values=values)
            )
    return tuple(found)


def _distinct(name: str, members: Sequence[Member], values: Sequence[str]) -> set[str]:
    """What is compared: of a set its content, not what its directory is called."""
    return {member.run.set.digest for member in members} if name == "set" else set(values)


def _option(name: str) -> Callable[[Run], str]:
    def read(run: Run) -> str:
        value = getattr(run.config, name)
        if value is None:
            return "none" if name in ("split", "limit", "image_size") else "all"
        if isinstance(value, tuple):
            joint = " x " if name == "image_size" else ", "
            return printable(joint.join(map(str, value)) or "none", 200)
        return printable(str(value), 200)

    return read


def _preprocessing(run: Run) -> str:
    mean, std = (", ".join(f"{value:g}" for value in t) for t in (run.model.mean, run.model.std))
    return f"mean {mean}; std {std}"


def _thresholds(run: Run) -> str:
    given = run.config.thresholds
    return "computed" if given is None else f"given for {', '.join(sorted(given))}"


def check_comparable(differences: Sequence[Difference], *, mixed: bool) -> None:
    """Refuse runs in which a detector is not the same thing.

    Runs on different data are not refused: whether units still detect their concepts on another
    split, or on corrected labels, is a fair question, and a concept has its name in every set.
    The page says at its top that they differ.

    Args:
        differences: As `find_differences` gives them.
        mixed: Compare them all the same.

    Raises:
        UsageError: They differ in what a detector is.
    """
    grave = [entry for entry in differences if entry.weight == "meaning"]
    if not grave or mixed:
        return
    first = "; ".join(
        f"--{entry.option.replace('_', '-')} is {' and '.join(dict.fromkeys(entry.values))}"
        for entry in grave
    )
    raise UsageError(
        f"the runs do not mean the same by a detector: {first}",
        hint="Dissect again with equal options, or give --mixed to compare them all the same.",
    )


def note_same_labels(differences: Sequence[Difference], *, same: bool) -> tuple[Difference, ...]:
    """The differences; of sets that are known to label every image alike, that is said.

    A set's digest covers every file a run took from it, also those of annotators and photographs.
    """
    return tuple(
        entry.model_copy(update={"says": SAME_LABELS}) if same and entry.option == "set" else entry
        for entry in differences
    )


def remarks(differences: Sequence[Difference]) -> list[str]:
    """What has to be said beside the figures, one sentence for each difference that moves them."""
    return [
        f"The runs differ in {_NAMES.get(entry.option, entry.option)}: {entry.says}."
        for entry in differences
        if entry.weight != "none"
    ]


_NAMES = {
    "set": "their concept set",
    "quantile": "the quantile",
    "iou_threshold": "the IoU threshold",
    "union": "the union",
    "categories": "their categories",
    "split": "the split",
    "limit": "the number of images",
    "index": "the index",
    "image_size": "the size of the images",
    "thresholds": "their thresholds",
    "preprocessing": "their preprocessing",
    "upsample": "the upsampling",
    "precision": "the precision",
}
