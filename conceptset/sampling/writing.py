"""A sample on disk: the document, a table and lists of paths for each person."""

from __future__ import annotations

from pathlib import Path

from conceptset.io.paths import unique_slugs
from conceptset.io.tables import format_json, format_table
from conceptset.layout.samples import Sample, SampledImage, TaskList
from conceptset.records import Person
from conceptset.taxonomy import as_cell

DOCUMENT = "sample.json"
TASKS = "tasks"
LISTS = "lists"
COLUMNS = ("image", "original", "source", "sha256", "session")


def write_sample(folder: Path, document: Sample) -> None:
    """Fill a directory.

    `tasks/<directory>.csv` says all about the images of one person and session.
    `lists/<directory>/<source>.txt` holds the original paths below one image root, a line each, as
    annotation tools import them. Images stand in the order of the draw: who stops early has done
    the most useful ones, and the same as everybody else.
    """
    sources = sorted({image.source for image in document.images})
    files = dict(zip(sources, unique_slugs(sources, fallback="source"), strict=True))
    (folder / TASKS).mkdir()
    (folder / LISTS).mkdir()
    for task in document.tasks:
        person = str(Person(task.annotator, task.session))
        images = [image for image in document.images if person in image.tasks]
        (folder / TASKS / f"{task.directory}.csv").write_bytes(_table(images, task))
        place = folder / LISTS / task.directory
        place.mkdir()
        for source in sorted({image.source for image in images}):
            lines = [image.original for image in images if image.source == source]
            text = "".join(f"{line}\n" for line in lines)
            (place / f"{files[source]}.txt").write_bytes(text.encode())
    (folder / DOCUMENT).write_bytes(format_json(document.model_dump(mode="json")))


def _table(images: list[SampledImage], task: TaskList) -> bytes:
    """People open it in a spreadsheet: a path that would be computed has `'` before it."""
    return format_table(
        COLUMNS,
        [
            (
                as_cell(one.image),
                as_cell(one.original),
                as_cell(one.source),
                one.sha256,
                task.session,
            )
            for one in images
        ],
    )
