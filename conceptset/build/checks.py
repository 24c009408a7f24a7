"""What is refused before a build begins."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from conceptset.errors import SourceError, TaxonomyError, UsageError
from conceptset.io.tables import read_table
from conceptset.layout import names
from conceptset.records import Person
from conceptset.taxonomy import Taxonomy, parse_taxonomy

_LATER_METHODS = ("plurality", "ignore-unlabelled", "segment-vote", "staple", "dawid-skene")


def check_replaceable(out: Path) -> None:
    """Refuse to replace what is no concept set: --overwrite removes the old directory."""
    empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not empty and not (out / names.MANIFEST).is_file():
        raise UsageError(
            "exists and is no concept set; --overwrite replaces concept sets only",
            path=out,
            hint="Choose another --out, or remove it yourself.",
        )


def load_taxonomy(path: Path | None) -> Taxonomy:
    """The taxonomy in a file; every name means itself where there is none.

    Raises:
        TaxonomyError: The file cannot be used; the message names file and line.
    """
    if path is None:
        return Taxonomy()
    try:
        table = read_table(path)
        return parse_taxonomy(table.header, table.records())
    except (SourceError, TaxonomyError) as error:
        raise TaxonomyError(
            error.message, path=path, pointer=error.pointer, hint=error.hint
        ) from error


def check_method(consensus: str) -> None:
    """Refuse a way to form a consensus that this version does not have."""
    if consensus in _LATER_METHODS:
        raise UsageError(
            f"--consensus {consensus} is not available in this version",
            hint="Take majority, or the name of one annotator.",
        )


def check_voter(consensus: str, people: Iterable[Person]) -> None:
    """Refuse an annotator as the root's voice who drew nothing in these sources."""
    known = {person.name for person in people}
    if consensus != "majority" and consensus not in known:
        listed = ", ".join(sorted(repr(name) for name in known)[:8])
        raise UsageError(
            f"--consensus is {consensus!r}, majority or an annotator was expected",
            hint=f"Annotators: {listed}.",
        )
