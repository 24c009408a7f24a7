"""What a line of segments.jsonl must hold beyond the types of its fields."""

from __future__ import annotations

from conceptset.geometry import decode_counts, rle_from_counts
from conceptset.layout.models import SegmentRow


def shape_problem(row: SegmentRow) -> str | None:
    """Why the runs of a segment are no bitmap of its size; None if they are.

    A tag holds for the whole image and has none; everything else needs them.
    """
    if (row.counts is None) != (row.kind == "tag"):
        return f"a {row.kind} {'has no' if row.counts is None else 'has'} counts"
    try:
        if row.counts is not None:
            rle_from_counts(row.size, decode_counts(row.counts))
    except ValueError as error:
        return str(error)
    return None
