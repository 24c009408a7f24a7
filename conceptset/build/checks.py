"""What is refused before a build begins."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from conceptset.build.colors import CATEGORY, CONCEPTS
from conceptset.build.splitting import identity_of
from conceptset.consensus import METHODS
from conceptset.errors import SourceError, TaxonomyError, UsageError
from conceptset.io.tables import read_table
from conceptset.layout import names
from conceptset.records import Person
from conceptset.taxonomy import Taxonomy, parse_taxonomy


def check_replaceable(out: Path) -> None:
    """Refuse to replace what is no concept set: --overwrite removes the old directory."""
    empty = out.is_dir() and not any(out.iterdir())
    if out.exists() and not empty and not (out / names.MANIFEST).is_file():
        raise UsageError(
            "exists and is no concept set; --overwrite replaces concept sets only",
            path=out,
            hint="Choose another --out, or remove it yourself.",
        )


def check_inputs_outlast(out: Path, inputs: Iterable[Path]) -> None:
    """Refuse to replace a directory that holds what the set is built from."""
    old = out.resolve()
    for path in inputs:
        if path.resolve().is_relative_to(old):
            raise UsageError(
                "lies in the directory that --overwrite would remove",
                path=path,
                hint="Choose another --out, or move it.",
            )


def check_sequences(split_by: str | None, images: Iterable[tuple[str, str]]) -> None:
    """Refuse a --split-by that keeps nothing together.

    Args:
        split_by: The folder.
        images: (path below the image root, digest) of every image.
    """
    if split_by is not None and all(
        identity_of(key, sha256, split_by) == sha256 for key, sha256 in images
    ):
        raise UsageError(
            f"--split-by is {split_by!r}, but no image lies in a folder below it",
            hint="It is a path below the folder of the photographs; . is that folder itself.",
        )


def check_models(models: Iterable[str], people: Iterable[Person]) -> None:
    """Refuse a --model-annotator who is nobody: its labels would count as a person's."""
    known = {person.name for person in people}
    for name in models:
        if name not in known:
            raise UsageError(
                f"--model-annotator is {name!r}, an annotator was expected", hint=_listed(known)
            )


def check_colors(concepts: Iterable[str], categories: Iterable[str]) -> None:
    """Refuse --colors where the annotations have what it would add.

    One name is one number, and a map of everybody's cannot be somebody's drawing as well.

    Args:
        concepts: Those of the annotations.
        categories: The same.
    """
    hint = "Build without --colors, or move the name elsewhere with --taxonomy."
    if CATEGORY in categories:
        raise UsageError(
            f"--colors adds the category {CATEGORY}, which the annotations have already", hint=hint
        )
    taken = sorted(set(concepts) & set(CONCEPTS))
    if taken:
        raise UsageError(
            f"--colors adds the concept {taken[0]}, which the annotations have already", hint=hint
        )


def _listed(people: Iterable[str]) -> str:
    names = sorted(people)
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return f"Annotators: {', '.join(map(repr, names[:8]))}{more}."


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


def check_voter(consensus: str, people: Iterable[Person]) -> None:
    """Refuse as the root's voice what is no method, and nobody who drew in these sources."""
    known = {person.name for person in people}
    if consensus not in METHODS and consensus not in known:
        raise UsageError(
            f"--consensus is {consensus!r}, one of {', '.join(METHODS)} or an annotator was "
            "expected",
            hint=_listed(known),
        )
