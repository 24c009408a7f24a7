"""SPL: splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from conceptset.findings import Severity
from conceptset.layout import names
from conceptset.validate.context import Context
from conceptset.validate.registry import Mark, rule

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


@rule("SPL001", _ERROR, foreign=_WARNING)
def split_empty(context: Context) -> Iterator[Mark]:
    """A photograph belongs to no split.

    Whoever asks for one split leaves it out of all of them, and the parts do not add up.

    Name the split of every photograph.
    """
    for view in context.views:
        if "split" not in view.index.header:
            continue
        for row in view.rows:
            if not row.split.strip():
                yield Mark(f"{row.image} has no split", view.index.path, row.line, "split")


@rule("SPL002", _WARNING, foreign=_WARNING)
def split_spelling(context: Context) -> Iterator[Mark]:
    """Two splits differ only in case or in blanks.

    `train` and `Train ` are two splits to a program, and one to whoever wrote them.

    Write the name the same way in every row.
    """
    counts = Counter(row.split for row in context.root.rows if row.split.strip())
    usual: dict[str, str] = {}
    for split, _ in counts.most_common():
        usual.setdefault(split.strip().casefold(), split)
    told = set(usual.values())
    for row in context.root.rows:
        if row.split.strip() and row.split not in told:
            told.add(row.split)
            other = usual[row.split.strip().casefold()]
            message = f"the split {row.split!r} is spelt {other!r} elsewhere"
            yield Mark(message, names.INDEX, row.line, "split")


@rule("SPL003", _WARNING, foreign=_WARNING)
def split_leak(context: Context) -> Iterator[Mark]:
    """The same photograph lies in two splits.

    What was learnt on it in one split is tested on it in the other: figures come out too good.

    Keep one of the two, or give both the same split.
    """
    originals: dict[str, str] = {}
    if names.IMAGES in context.singles:
        lines = context.singles[names.IMAGES].lines
        originals = {line.cells["image"]: line.cells["sha256"] for line in lines}
    first: dict[str, tuple[str, str]] = {}
    for row in context.root.rows:
        facts = context.images.get(row.image)
        if facts is None or facts.photo is None or not row.split.strip():
            continue
        for digest in (facts.photo.digest, originals.get(row.image)):
            if not digest:
                continue
            image, split = first.setdefault(digest, (row.image, row.split))
            if image != row.image and split != row.split:
                message = f"{row.image} ({row.split}) is the same picture as {image} ({split})"
                yield Mark(message, names.INDEX, row.line, "split")
                break


@rule("SPL004", _ERROR, foreign=None)
def split_differs(context: Context) -> Iterator[Mark]:
    """An annotator's index puts a photograph into another split than the root's.

    Figures per annotator and figures of the consensus then come from different images.

    Write the split of index.csv.
    """
    for view in context.people.values():
        for row in view.rows:
            root = context.root.by_image.get(row.image)
            if root is None or not root.split.strip() or not row.split.strip():
                continue
            if root.split != row.split:
                message = f"{row.image} is in {row.split!r} here and in {root.split!r} in the root"
                yield Mark(message, view.index.path, row.line, "split")
