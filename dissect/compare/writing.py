"""The files of a comparison: a page, four tables, and the document."""

from __future__ import annotations

from pathlib import Path

from conceptset.io.atomic import new_directory
from conceptset.io.tables import format_json, format_table
from dissect.compare.figures import Compared
from dissect.compare.page import render_comparison
from dissect.compare.strips import draw_stories
from dissect.compare.tables import (
    CONCEPT_COLUMNS,
    RUN_COLUMNS,
    STEP_COLUMNS,
    UNIT_COLUMNS,
    concept_rows,
    run_rows,
    step_rows,
    unit_rows,
)


def write_comparison(compared: Compared, out: Path, *, overwrite: bool = False) -> Path:
    """Write DIR with index.html, compare.csv, concepts.csv, steps.csv, units.csv, compare.json.

    The page links to the runs' reports where these exist, by paths relative to `out`: a comparison
    that lies beside its runs or among them moves with them.

    Args:
        compared: What to write.
        out: The directory.
        overwrite: Replace one that is there.

    Returns:
        The page.

    Raises:
        UsageError: `out` exists and `overwrite` is not set.
        OutputError: It cannot be written.
    """
    with new_directory(out, overwrite=overwrite) as folder:
        for name, columns, rows in (
            ("compare.csv", RUN_COLUMNS, run_rows(compared)),
            ("concepts.csv", CONCEPT_COLUMNS, concept_rows(compared)),
            ("steps.csv", STEP_COLUMNS, step_rows(compared)),
            ("units.csv", UNIT_COLUMNS, unit_rows(compared)),
        ):
            (folder / name).write_bytes(format_table(columns, rows))
        document = compared.document.model_dump(mode="json")
        (folder / "compare.json").write_bytes(format_json(document))
        stories = draw_stories(compared, folder)
        (folder / "index.html").write_bytes(render_comparison(compared, stories, out=out))
    return out / "index.html"
