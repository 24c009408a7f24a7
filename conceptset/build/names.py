"""The names that annotations use, as a taxonomy to edit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from conceptset.build.sources import Opened, open_sources
from conceptset.findings import Problems
from conceptset.formats.base import ReadContext
from conceptset.io.tables import format_table
from conceptset.records import Region
from conceptset.taxonomy import COLUMNS, Form, Taxonomy, as_cell


def name_table(
    sources: Sequence[Path], *, format_name: str | None = None, images: Path | None = None
) -> bytes:
    """A taxonomy file that changes nothing: every name found, as itself, most frequent first.

    A name that was drawn as a region, as a part and stated for whole images has a row for each.
    Columns after the four that count say how often it was drawn, as help for the person editing.
    A name that a spreadsheet would compute has `'` before it; reading takes it off again.

    Raises:
        SourceError: A source cannot be read.
    """
    drawn: Counter[tuple[str, str]] = Counter()
    plain = Taxonomy()
    with open_sources(sources, format_name=format_name, images=images) as opened:
        for region in _regions(opened):
            form: Form = "tag" if region.kind == "tag" else "region"
            if region.kind != "tag" and region.part_of is not None:
                form = "part"
            meaning = plain.meaning(region.name, form, region.category)
            if meaning is not None:
                drawn[region.name, meaning.category] += 1
    rows = [
        (as_cell(name), as_cell(" ".join(name.split())), category, "", count)
        for (name, category), count in sorted(drawn.items(), key=lambda item: (-item[1], item[0]))
    ]
    return format_table((*COLUMNS, "drawn"), rows)


def _regions(opened: Opened) -> Iterator[Region]:
    """Everything that has a name and could enter a set."""
    for source in opened.sources:
        context = ReadContext(
            source.catalogue, Problems("skip"), source.label, beside=source.beside
        )
        for record in source.format.read(source.path, context):
            yield from (one for one in record.regions if one.kind not in ("mark", "deleted"))
