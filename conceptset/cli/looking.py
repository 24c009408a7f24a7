"""Verbs that read a set: validate, find, info; and the texts behind codes and schemas."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from conceptset.errors import printable
from conceptset.present.console import (
    EXIT_FINDINGS,
    AsJson,
    Config,
    Quiet,
    option,
    progress,
    say,
    show,
    show_json,
    show_table,
    verb,
)
from conceptset.present.engines import Address, EngineName, open_engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from conceptset.layout.reading import ConceptSet

SetPath = Annotated[Path, typer.Argument(metavar="SET", help="A concept set.")]
Index = Annotated[
    str, option("--index", metavar="FILE", help="The index to read, relative to SET.")
]


def register(app: typer.Typer) -> None:
    """Add the verbs of this module."""
    app.command()(validate)
    app.command()(find)
    app.command()(info)
    app.command()(rule)
    app.command()(schema)


@verb
def validate(
    root: SetPath,
    config: Config = None,
    select: Annotated[
        str, option("--select", metavar="CODES", help="Only these codes or prefixes.")
    ] = "",
    ignore: Annotated[
        str, option("--ignore", metavar="CODES", help="Not these codes or prefixes.")
    ] = "",
    fail_on: Annotated[
        str, option("--fail-on", metavar="error|warning", help="What makes the exit code 1.")
    ] = "error",
    format: Annotated[str, option("--format", metavar="text|json|jsonl|sarif|github")] = "text",
    limit: Annotated[
        int | None, option("--limit", metavar="N", help="Show at most N findings.")
    ] = None,
    jobs: Annotated[int | None, option("--jobs", metavar="N", help="Processes; all cores.")] = None,
    engine: EngineName = "local",
    address: Address = None,
    quiet: Quiet = False,
    as_json: AsJson = False,
) -> None:
    """Check a concept set against every rule; exit code 1 if there are findings that count."""
    from conceptset.errors import UsageError
    from conceptset.validate import validate as run_rules
    from conceptset.validate.output import OUTPUT_FORMATS, format_report

    wanted = "json" if as_json else format
    if wanted not in OUTPUT_FORMATS:
        raise UsageError(f"--format is {format!r}, one of {', '.join(OUTPUT_FORMATS)} was expected")
    if fail_on not in ("error", "warning"):
        raise UsageError(f"--fail-on is {fail_on!r}, error or warning was expected")
    with (
        open_engine(engine, address, jobs=jobs, quiet=quiet) as workers,
        progress("checking", quiet=quiet) as advance,
    ):
        report = run_rules(
            root,
            select=_codes(select),
            ignore=_codes(ignore),
            jobs=jobs,
            engine=workers if engine != "local" else None,
            progress=advance,
        )
    text = format_report(report, wanted, limit=limit)
    if text:
        show(text)
    if report.failed("warning" if fail_on == "warning" else "error"):
        raise typer.Exit(EXIT_FINDINGS)


def _codes(text: str) -> list[str]:
    return [code.strip().upper() for code in text.split(",") if code.strip()]


@verb
def find(
    root: SetPath,
    concept: Annotated[str, typer.Argument(metavar="CONCEPT", help="Its name or number.")],
    index: Index = "index.csv",
    limit: Annotated[
        int | None, option("--limit", metavar="N", help="Show at most N images.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the images that carry a concept, most pixels first."""
    from dataclasses import asdict

    from conceptset.layout.reading import open_concept_set
    from conceptset.layout.search import find_concept, number_of

    concepts = open_concept_set(root, index)
    number = number_of(concepts, concept)
    found = find_concept(concepts, number)
    shown = found if limit is None else found[:limit]
    if as_json:
        show_json(
            {"number": number, "name": concepts.names[number], "images": [asdict(o) for o in shown]}
        )
        return
    show_table(
        [
            ("image", "left"),
            ("split", "left"),
            ("pixels", "right"),
            ("share", "right"),
            ("in", "left"),
        ],
        [
            (o.image, o.split, f"{o.pixels:,}", f"{o.share:.1%}", ", ".join(o.categories))
            for o in shown
        ],
        title=f"{printable(concepts.names[number], 200)} (label {number}): {len(found)} images",
    )
    if len(shown) < len(found):
        show(f"... and {len(found) - len(shown)} more")


@verb
def info(root: SetPath, index: Index = "index.csv", as_json: AsJson = False) -> None:
    """Say what a set holds: images, splits, categories, concepts, annotators, consensus."""
    from conceptset.layout.reading import open_concept_set

    facts = _facts(open_concept_set(root, index))
    if as_json:
        show_json(facts)
        return
    say(f"{root.name}: {facts['images']} images, {facts['labels']} labels ({facts['layout']})")
    splits = facts["splits"]
    if isinstance(splits, dict):
        say("splits: " + ", ".join(f"{name or '(none)'} {count}" for name, count in splits.items()))
    for line in _consensus_lines(facts):
        show(line)
    _show_rows(
        facts["categories"],
        [("category", "left"), ("labels", "right"), ("images", "right"), ("most frequent", "left")],
    )
    _show_rows(
        facts["annotators"],
        [
            ("annotator", "left"),
            ("session", "right"),
            ("kind", "left"),
            ("images", "right"),
            ("segments", "right"),
        ],
    )


def _consensus_lines(facts: Mapping[str, object]) -> list[str]:
    """How the root's labels were formed, and how much of the maps they leave open."""
    by_category = facts["undecided_by_category"]
    if facts["undecided"] is None or not isinstance(by_category, dict):
        return []
    parts = [f"{category} {share:.2%}" for category, share in by_category.items()]
    listed = f" ({', '.join(parts)})" if parts else ""
    return [
        f"consensus: {printable(str(facts['consensus']), 80)}",
        f"pixels without consensus: {facts['undecided']:.2%}{listed}",
    ]


def _show_rows(rows: object, columns: list[tuple[str, str]]) -> None:
    if isinstance(rows, list) and rows:
        show_table(columns, [tuple(row.values()) for row in rows])


def _facts(concepts: ConceptSet) -> dict[str, object]:
    """What `info` says, for machines and for people alike."""
    from collections import Counter

    manifest = concepts.manifest
    several = None if manifest is None or manifest.counts.annotators < 2 else manifest
    splits = Counter(entry.split for entry in concepts.entries)
    return {
        "images": len(concepts.entries),
        "labels": len(concepts.names),
        "layout": "foreign layout, no manifest" if manifest is None else manifest.generator,
        "splits": dict(sorted(splits.items())),
        "consensus": several and several.settings.get("consensus", "majority"),
        "undecided": several and several.counts.undecided,
        "undecided_by_category": several.counts.undecided_by_category if several else {},
        "categories": [
            {
                "category": category,
                "labels": len(concepts.tables[category]),
                "images": sum(category in entry.cells for entry in concepts.entries),
                "most_frequent": ", ".join(
                    f"{label.name} ({label.frequency})"
                    for label in sorted(concepts.tables[category], key=lambda x: -x.frequency)[:4]
                ),
            }
            for category in concepts.categories
        ],
        "annotators": [
            {
                "annotator": row.annotator or "(unnamed)",
                "session": row.session,
                "kind": row.kind,
                "images": row.images,
                "segments": row.segments,
            }
            for row in concepts.annotators
        ],
    }


@verb
def rule(
    code: Annotated[
        str | None, typer.Argument(metavar="CODE", help="As in SEG003; without it all are listed.")
    ] = None,
) -> None:
    """Explain a finding's code: what it is, why it matters, how to fix it."""
    from conceptset.validate import explain, titles

    if code is not None:
        show(explain(code.upper()))
        return
    for known, severity, title in titles():
        show(f"{known}  {severity:7}  {title}")


@verb
def schema(name: Annotated[str, typer.Argument(metavar="NAME", help="As in manifest.")]) -> None:
    """Print the JSON Schema of a file this program writes."""
    from conceptset.published import schema as schema_of

    show_json(schema_of(name))
