"""The page: index.html and its pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

from conceptset.consistency.document import LAYER_FIGURES, ConsistencyReport
from conceptset.consistency.figures.roster import Roster
from conceptset.consistency.material import AnnotatedImage, Material
from conceptset.consistency.page.choosing import Choice, choose_images
from conceptset.consistency.page.pictures import MAX_PEOPLE, TAGGED, Drawn, Task, draw_task
from conceptset.consistency.page.summary import (
    SHOWN_VERDICTS,
    TOPICS,
    group_verdicts,
    introduce,
    silence,
    view_verdicts,
)
from conceptset.consistency.page.views import LayerView, colour_slots, order_layers, view_layer
from conceptset.io.parallel import ordered_map
from conceptset.present.page import (
    page_environment,
    read_asset,
    render_page,
    shown_number,
    shown_percent,
)
from conceptset.present.palette import PALETTE

_PACKAGE = "conceptset.consistency.page"

FetchImage = Callable[[int], AnnotatedImage]


def write_page(
    folder: Path,
    report: ConsistencyReport,
    material: Material,
    fetch_image: FetchImage | None = None,
    *,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write index.html and images/ into a folder that exists, and return index.html.

    Args:
        folder: Where; other files in it are left alone.
        report: What is shown.
        material: Whose images are drawn.
        fetch_image: One image by its place; by default from the material's stream.
        jobs: Processes that draw.
        progress: Called with (images drawn, images in all).
    """
    fetch = fetch_image or material.stream.__getitem__
    categories = order_layers(report)
    people = [str(annotator) for annotator in material.annotators]
    slots = colour_slots(_coloured(report, people))
    tasks = _list_tasks(report, material, categories, fetch, slots)
    total = sum(len(part) for part in tasks.values())
    (folder / "images").mkdir(exist_ok=True)
    drawn: dict[str, list[Drawn]] = {category: [] for category in categories}
    every = [(category, task) for category, part in tasks.items() for task in part]
    with closing(ordered_map(draw_task, (task() for _, task in every), jobs=jobs)) as results:
        for done, ((category, _), result) in enumerate(zip(every, results, strict=True), start=1):
            drawn[category].append(_store(result, folder / "images"))
            if progress is not None:
                progress(done, total)
    layers = [view_layer(report, category, drawn[category], slots) for category in categories]
    page = folder / "index.html"
    page.write_bytes(render_report(report, layers))
    return page


def _coloured(report: ConsistencyReport, people: Sequence[str]) -> list[str]:
    """Who gets a colour: those who are compared, then sessions."""
    compared = list(dict.fromkeys(entry.annotator for entry in report.annotators))
    return [*compared, *(name for name in people if name not in compared)]


def _list_tasks(
    report: ConsistencyReport,
    material: Material,
    categories: Sequence[str],
    fetch: FetchImage,
    slots: Mapping[str, int],
) -> dict[str, list[Callable[[], Task]]]:
    """By layer, what makes the task of each image to be drawn; images are read one by one."""
    places = {name: place for place, name in reversed(list(enumerate(material.images)))}
    verdicts = [group[0] for group in group_verdicts(report.verdicts)[:SHOWN_VERDICTS]]
    tasks: dict[str, list[Callable[[], Task]]] = {}
    number = 0
    for category in categories:
        entries = [
            entry for entry in report.images if entry.category == category and entry.image in places
        ]
        tasks[category] = []
        for choice in choose_images(entries, verdicts, layers=len(categories)):
            number += 1
            image = partial(fetch, places[choice.entry.image])
            tasks[category].append(
                partial(_make_task, choice, number, image, category, material, slots)
            )
    return tasks


def _make_task(
    choice: Choice,
    number: int,
    image: Callable[[], AnnotatedImage],
    category: str,
    material: Material,
    slots: Mapping[str, int],
) -> Task:
    annotated = image()
    place = material.categories.index(category)
    codes = {
        segment.concept
        for segments in annotated.drawn.values()
        for segment in segments
        if segment.category == place
    }
    return Task(
        choice,
        number,
        annotated,
        place,
        tuple(_list_people(choice, annotated, place, material, slots)),
        {code: material.concepts[code - 1] for code in codes if code},
        material.overlap,
    )


def _list_people(
    choice: Choice,
    image: AnnotatedImage,
    category: int,
    material: Material,
    slots: Mapping[str, int],
) -> list[tuple[int, str, int]]:
    """Everybody who worked on the image; of several sessions the first, unless they are the topic.

    More people than the palette has colours get theirs image by image.
    """
    first = Roster.of(material.annotators).first
    shown = [
        place
        for place in sorted(image.drawn)
        if place in first or material.annotators[place].name in choice.sessions_of
    ]
    if len(shown) > MAX_PEOPLE:  # those who are meant, then those who drew most, are drawn
        shown.sort(
            key=lambda place: (
                str(material.annotators[place]) not in choice.about,
                -sum(segment.category == category for segment in image.drawn[place]),
            )
        )
    last = len(PALETTE) - 1
    names = [str(material.annotators[place]) for place in shown]
    are_distinct = all(slots.get(name, last) < last for name in names)
    return [
        (place, name, slots[name] if are_distinct else min(turn, last))
        for turn, (place, name) in enumerate(zip(shown, names, strict=True))
    ]


def _store(drawn: Drawn, folder: Path) -> Drawn:
    """The same without the bytes, which are files now."""
    for panel in drawn.panels:
        (folder / panel.file).write_bytes(panel.data)
    return replace(drawn, panels=tuple(replace(panel, data=b"") for panel in drawn.panels))


def render_report(report: ConsistencyReport, layers: Sequence[LayerView]) -> bytes:
    """The bytes of index.html."""
    environment = page_environment(_PACKAGE)
    environment.filters |= {"ratio": _ratio, "share": _share, "points": _points}
    drawn = {layer.category: (layer.anchor, layer.images) for layer in layers}
    verdicts = view_verdicts(report, drawn)
    return render_page(
        environment,
        "consistency.html",
        title=f"{report.title}: annotator consistency",
        styles=[read_asset(_PACKAGE, "consistency.css"), _picture_css()],
        scripts=[read_asset(_PACKAGE, "consistency.js")],
        report=report,
        layers=layers,
        verdicts=verdicts,
        weaker=len(report.verdicts) - sum(1 + len(view.also) for view in verdicts),
        intro=introduce(report),
        silence=silence(report),
        TOPICS=TOPICS,
        TAGGED=TAGGED,
        FIGURES=LAYER_FIGURES,
    )


def _picture_css() -> str:
    """Beside pictures, people have the colour that their lines have there, on dark pages too."""
    return "".join(f".panels .k{i}{{--k:{colour.light}}}" for i, colour in enumerate(PALETTE))


def _ratio(value: float) -> str:
    r"""A logarithm of a ratio as a signed percentage.

    >>> _ratio(0.1133), _ratio(-0.0513), _ratio(0.0)
    ('+12\u202f%', '−5.0\u202f%', '0\u202f%')
    """
    return _share(math.expm1(value))


def _share(value: float) -> str:
    """A share with its sign."""
    return _signed(value, shown_percent)


def _points(value: float) -> str:
    """A difference in hundredths, with its sign.

    >>> _points(0.0214), _points(-0.003)
    ('+2.1', '−0.3')
    """
    return _signed(value, lambda size: shown_number(100 * size, 1))


def _signed(value: float, show: Callable[[float], str]) -> str:
    text = show(abs(value))
    if not any(digit in text for digit in "123456789"):
        return text
    return f"{'+' if value > 0 else '−'}{text}"
