"""The verb that hands out work: sample."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conceptset.errors import printable
from conceptset.present.console import (
    AsJson,
    Config,
    Quiet,
    note,
    option,
    say,
    show,
    show_json,
    show_table,
    verb,
)

if TYPE_CHECKING:
    from conceptset.layout.samples import Sample

_ROWS = 20


def register(app: typer.Typer) -> None:
    """Add the verb of this module."""
    app.command()(sample)


@verb
def sample(
    root: Annotated[Path, typer.Argument(metavar="SET", help="A concept set.")],
    repeat: Annotated[
        str, option("--repeat", metavar="10%|N", help="A share of the images, or their number.")
    ],
    annotators: Annotated[
        str, option("--annotators", metavar="A,B,C", help="Who annotates; also people new to SET.")
    ],
    out: Annotated[Path, option("--out", metavar="DIR", help="The directory to write.")],
    config: Config = None,
    again: Annotated[
        bool,
        option("--again", help="A second session for who has annotated an image already."),
    ] = False,
    seed: Annotated[int, option("--seed", metavar="N", help="Another one draws others.")] = 0,
    overwrite: Annotated[bool, option("--overwrite", help="Replace DIR.")] = False,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Draw images that several people annotate again, and write a task list for each.

    An image goes to everybody named who has not annotated it yet, so work that exists counts.
    Concepts are covered as evenly as possible, rare ones first.
    """
    from conceptset.sampling import SampleOptions, sample_set

    options = SampleOptions(
        repeat=repeat,
        annotators=tuple(annotators.split(",")),
        again=again,
        seed=seed,
        overwrite=overwrite,
    )
    document = sample_set(root, out, options)
    if as_json:
        show_json(document.model_dump(mode="json"))
        return
    if not quiet:
        for text in document.notes:
            note(f"note: {text}")
    _tell(document, root, out)


def _tell(document: Sample, root: Path, out: Path) -> None:
    """The closing summary of a sample."""
    from conceptset.records import Person

    total = sum(task.images for task in document.tasks)
    say(f"{out.name}: {len(document.images):,} images, {total:,} to annotate in all")
    rows: list[tuple[object, ...]] = [
        (
            str(Person(task.annotator, task.session)),
            f"{task.images:,}",
            f"{out / 'lists' / task.directory}",
        )
        for task in document.tasks
    ]
    _show_some([("annotator", "left"), ("images", "right"), ("list", "left")], rows)
    pairs: list[tuple[object, ...]] = [
        (f"{pair.a} - {pair.b}", f"{pair.before:,}", f"{pair.before + pair.added:,}")
        for pair in document.pairs
        if pair.added or pair.before
    ]
    _show_some([("shared images", "left"), ("now", "right"), ("then", "right")], pairs)
    _tell_concepts(document)
    _tell_next(root, document)


def _show_some(columns: list[tuple[str, str]], rows: list[tuple[object, ...]]) -> None:
    if rows:
        show_table(columns, rows[:_ROWS])
    if len(rows) > _ROWS:
        show(f"... and {len(rows) - _ROWS} more in sample.json")


def _tell_concepts(document: Sample) -> None:
    """How evenly concepts are covered."""
    concepts = [one for one in document.concepts if one.concept]
    if not concepts:
        return
    least = concepts[0]
    missed = [one for one in concepts if one.finished + one.sampled == 0]
    if missed:
        shown = ", ".join(one.concept for one in missed[:5])
        say(f"{len(missed)} of {len(concepts)} concepts are in none of these images: {shown}")
    else:
        images = least.finished + least.sampled
        count = "1 image" if images == 1 else f"{images} images"
        say(f"every concept is in {count} or more; fewest: {least.concept}")


def _tell_next(root: Path, document: Sample) -> None:
    """What to do with the lists, and with what comes back."""
    show("next: give everybody the list; with the exports that come back:")
    later = [task for task in document.tasks if task.session > 1]
    say("  conceptset build EXPORT... --images PHOTOGRAPHS --out repeated")
    if later:
        name, session = printable(later[0].annotator, 60), later[0].session
        say(f"  (exports of second sessions apart: --annotator '{name}#{session}' where they do")
        say(f"  not say who drew, else --alias '{name}={name}#{session}')")
    say(f"  conceptset merge {root} repeated --out merged")
    say("  conceptset consistency merged")
