"""The page of a comparison: one file, opened from disk."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import quote

from conceptset.io.paths import unique_slugs
from conceptset.present.page import page_environment, read_asset, render_page
from conceptset.present.palette import category_slots
from dissect.compare.charts import LineChart, Series, Value, line_chart
from dissect.compare.columns import Column
from dissect.compare.document import ComparedLayer
from dissect.compare.figures import Compared
from dissect.compare.gathering import Member, show_end
from dissect.compare.strips import Story
from dissect.compare.views import CONCEPTS, RUNS, UNITS, LayerView, RunView
from dissect.report.facts import Fact, list_facts

_PACKAGE = "dissect.compare"


@dataclass(frozen=True)
class PageView:
    """The whole page.

    Attributes:
        compared: What is shown.
        runs: With what only some have in common.
        facts: What all have in common.
        own: Terms of the facts in which they differ.
        layers: In order.
        slots: Colours of categories.
    """

    compared: Compared
    runs: tuple[RunView, ...]
    facts: tuple[Fact, ...]
    own: tuple[str, ...]
    layers: tuple[LayerView, ...]
    slots: dict[str, int]

    @cached_property
    def overview(self) -> list[tuple[str, str, LineChart]]:
        """The counts of all layers that several runs have, as shares of their units."""
        shared = [view for view in self.layers if view.joined]
        names = [view.member.short for view in self.runs]
        fields = (
            ("Detectors", "Share of the layer’s units.", "detectors_share"),
            ("Unique concepts", "Share of the layer’s units.", "unique_concepts_share"),
            ("Unique by category", "Share of the layer’s units.", "unique_by_category_share"),
        )
        return [
            (
                title,
                note,
                line_chart(
                    [
                        Series(view.title, min(place, 8), self._shares(view.layer, field))
                        for place, view in enumerate(shared)
                    ],
                    names,
                    named=True,
                    percent=True,
                ),
            )
            for title, note, field in fields
        ]

    def _shares(self, layer: ComparedLayer, field: str) -> tuple[Value, ...]:
        by_run = {column.run: getattr(column, field) for column in layer.columns}
        return tuple(Value(by_run.get(place)) for place in range(len(self.runs)))


def view_page(compared: Compared, stories: Sequence[Sequence[Story]], *, out: Path) -> PageView:
    """The page's content.

    Args:
        compared: What is shown.
        stories: Of each layer, units with images.
        out: Where the page will lie; links to reports are relative to it.
    """
    members, document = compared.members, compared.document
    all_facts = [{fact.term: fact for fact in list_facts(member.run)} for member in members]
    terms = list(dict.fromkeys(term for facts in all_facts for term in facts))
    common = [term for term in terms if len({facts.get(term) for facts in all_facts}) == 1]
    own = tuple(term for term in terms if term not in common)
    cells = zip(
        *(_fact_cells([facts.get(term) for facts in all_facts]) for term in own), strict=True
    )
    runs = tuple(
        RunView(member, tuple(found), _href(member, out))
        for member, found in zip(members, list(cells) or [()] * len(members), strict=True)
    )
    slots = category_slots(name for member in members for name in member.run.counts.categories)
    anchors = unique_slugs((layer.name or "single" for layer in document.layers), fallback="layer")
    layers = tuple(
        LayerView(
            layer,
            f"layer-{anchor}",
            group,
            tuple(_column_name(column, single=layer.name is None) for column in group),
            runs,
            document.iou_threshold,
            slots,
            tuple(own_stories),
        )
        for layer, group, anchor, own_stories in zip(
            document.layers, compared.columns, anchors, stories, strict=True
        )
    )
    return PageView(
        compared, runs, tuple(all_facts[0][term] for term in common), own, layers, slots
    )


def _fact_cells(facts: Sequence[Fact | None]) -> list[str]:
    """A fact in which runs differ: its text, with the remark where the texts alone are alike."""
    texts = [fact.text if fact is not None else "–" for fact in facts]
    if len(set(texts)) == 1:
        return [f"{fact.text} ({fact.note})" if fact is not None else "–" for fact in facts]
    return texts


def _column_name(column: Column, *, single: bool) -> str:
    short = column.member.short
    return f"{short} {column.record.name}" if single else short


def _href(member: Member, out: Path) -> str | None:
    """The run's report as seen from the page."""
    report = member.layout.report
    if not report.is_file():
        return None
    path = os.path.relpath(os.path.realpath(report), os.path.realpath(out))
    return quote(Path(path).as_posix())


def render_comparison(
    compared: Compared, stories: Sequence[Sequence[Story]], *, out: Path
) -> bytes:
    """The bytes of index.html.

    Args:
        compared: What is shown.
        stories: Of each layer, units with images.
        out: Where the page will lie.
    """
    view = view_page(compared, stories, out=out)
    environment = page_environment(_PACKAGE)
    environment.filters["end"] = show_end
    return render_page(
        environment,
        "compare.html",
        title=f"{compared.document.title}: runs compared",
        styles=[
            read_asset("dissect.report", "report.css"),
            read_asset(_PACKAGE, "compare.css"),
            _strip_css(stories),
        ],
        scripts=[read_asset(_PACKAGE, "compare.js")],
        page=view,
        document=compared.document,
        slots=view.slots,
        most_concepts=CONCEPTS,
        most_units=UNITS,
        most_runs=RUNS,
    )


def _strip_css(stories: Sequence[Sequence[Story]]) -> str:
    """Strips with fewer images are shorter, whatever the width of the window."""
    widths = {
        frame.strip.width
        for layer in stories
        for story in layer
        for frame in story.frames
        if frame.strip is not None
    }
    return "".join(
        f".w{width}{{width:min({width}px,{100 * width / max(widths):.3f}%)}}"
        for width in sorted(widths)
    )
