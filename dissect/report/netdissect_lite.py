"""A run in the layout that NetDissect-Lite writes, for scripts that read its results.

    DIR/tally_<layer>.csv                 the table of `RunLayout.tally`, byte for byte
    DIR/quantile_<layer>.npy              (units,) thresholds
    DIR/tally.csv, DIR/quantile.npy       the same once more, if the run has one layer: there the
                                          program keeps one file for all layers, the last one wins
    DIR/html/<layer>.html                 units by concept, with its classes and data-order
    DIR/html/image/<layer>-<unit>.jpg     four digits, from 0; on pages and in tables from 1
    DIR/html/image/<layer>-bargraph.svg   units by concept
    DIR/html/index.html                   links to the layers; ours

DIR stands for its OUTPUT_FOLDER, result/pytorch_<MODEL>_<DATASET>. Strips have a square of 224
pixels per image, 3 white pixels between two, and 0.2 of the brightness outside the mask. Masks
are those of the run, at the size of the label maps; a unit has fewer images than the others where
its mask is empty, and the rest of its strip is white.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from conceptset.errors import ImageError, LayoutError
from conceptset.io.atomic import new_directory
from conceptset.io.images import decode_rgb
from conceptset.io.parallel import ordered_map
from conceptset.present.page import page_environment, read_asset, render_page
from conceptset.present.palette import PALETTE, category_slots
from dissect.report.reading import read_rows
from dissect.state import LayerRecord, Run, RunLayout, open_run
from dissect.top import TopImages, read_top

TILE = 224
GAP = 3
OUTSIDE = 0.2
_QUALITY = 85
_MISSING = (150, 150, 150)
_BAR, _SPACE, _HEIGHT, _LEFT = 12, 3, 100, 40
_PACKAGE = "dissect.report"


@dataclass(frozen=True, slots=True)
class LiteUnit:
    """A row of tally.csv and its places in three orders.

    Attributes:
        unit: From 1, as the table counts.
        category: Of its best concept.
        label: Its best concept; may be empty.
        score: Its IoU.
        is_detector: Whether that is above the threshold.
        order: By label, by score, by unit.
        image: File of its strip, relative to the page; None without images.
    """

    unit: int
    category: str
    label: str
    score: float
    is_detector: bool
    order: tuple[int, int, int]
    image: str | None


@dataclass(frozen=True, slots=True)
class BarOf:
    """A concept in the bar graph."""

    label: str
    category: str
    units: int
    x: int
    y: float
    height: float
    colour: str


def export_netdissect_lite(
    run_dir: Path,
    out: Path,
    *,
    overwrite: bool = False,
    jobs: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a run as NetDissect-Lite writes its results.

    Args:
        run_dir: A complete run.
        out: The directory to write.
        overwrite: Replace one that is there.
        jobs: Processes that draw images.
        progress: Called with (units done, units in all).

    Returns:
        Its index.html.

    Raises:
        SourceError: The run is incomplete or cannot be read.
        UsageError: `out` exists and `overwrite` is not set.
        OutputError: It cannot be written.
    """
    run, layout = open_run(run_dir), RunLayout(run_dir)
    total, done = sum(record.units for record in run.layers), 0

    def advance() -> None:
        nonlocal done
        done += 1
        if progress is not None:
            progress(done, total)

    with new_directory(out, overwrite=overwrite) as folder:
        (folder / "html" / "image").mkdir(parents=True)
        for record in run.layers:
            _copy_numbers(layout, record, folder, alone=len(run.layers) == 1)
            drawn = _write_strips(layout, record, folder / "html", jobs=jobs, advance=advance)
            units = _read_units(layout, record, run, drawn)
            _write_pages(run, record, units, folder / "html")
        (folder / "html" / "index.html").write_bytes(_page(run, "lite-index.html", run.name))
    return out / "html" / "index.html"


def _copy_numbers(layout: RunLayout, record: LayerRecord, folder: Path, *, alone: bool) -> None:
    """The tables, as they are."""
    name = record.directory
    for source, kind, end in (
        (layout.tally(name), "tally", "csv"),
        (layout.thresholds(name), "quantile", "npy"),
    ):
        data = source.read_bytes()
        (folder / f"{kind}_{name}.{end}").write_bytes(data)
        if alone:
            (folder / f"{kind}.{end}").write_bytes(data)


def _write_strips(
    layout: RunLayout,
    record: LayerRecord,
    folder: Path,
    *,
    jobs: int,
    advance: Callable[[], None],
) -> dict[int, str]:
    """The strips of a layer; by unit from 0, the file of each, relative to `folder`."""
    path = layout.top(record.directory)
    if not path.is_file():
        return {}
    top = read_top(path)
    drawn = {}
    items = ((top.images[unit], _masks(top, unit)) for unit in range(record.units))
    for unit, data in enumerate(ordered_map(partial(_draw_strip, layout), items, jobs=jobs)):
        if data is not None:
            drawn[unit] = f"image/{record.directory}-{unit:04d}.jpg"
            (folder / drawn[unit]).write_bytes(data)
        advance()
    return drawn


def _masks(top: TopImages, unit: int) -> list[NDArray[np.bool_]]:
    return [top.mask(unit, place) for place, row in enumerate(top.images[unit]) if row >= 0]


def _draw_strip(
    layout: RunLayout, item: tuple[NDArray[np.int64], list[NDArray[np.bool_]]]
) -> bytes | None:
    """The JPEG of a unit; None without images."""
    rows, masks = item
    if not masks:
        return None
    strip = np.full((TILE, (TILE + GAP) * len(rows) - GAP, 3), 255, dtype=np.uint8)
    for place, mask in enumerate(masks):  # images that there are come first
        left = place * (TILE + GAP)
        bright, dark = _photograph(layout.photograph(int(rows[place])))
        own = Image.fromarray(mask).resize((TILE, TILE), Image.Resampling.NEAREST)
        strip[:, left : left + TILE] = np.where(np.asarray(own)[..., None], bright, dark)
    stream = io.BytesIO()
    Image.fromarray(strip).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


@lru_cache(maxsize=512)
def _photograph(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(224, 224, 3) the reduced photograph, and as it is outside a mask; grey if there is none."""
    try:
        image = decode_rgb(path, frame="stored")
    except ImageError:
        image = Image.new("RGB", (TILE, TILE), _MISSING)
    bright = np.asarray(image.resize((TILE, TILE), Image.Resampling.BILINEAR))
    return bright, (bright * OUTSIDE).astype(np.uint8)


def _read_units(
    layout: RunLayout, record: LayerRecord, run: Run, drawn: dict[int, str]
) -> list[LiteUnit]:
    """The rows of tally.csv in the order of the page: by concept, those with most units first."""
    path = layout.tally(record.directory)
    rows: list[tuple[int, str, str, float]] = []
    for line, cells in read_rows(path, ("unit", "category", "label", "score")):
        try:
            score = float(cells["score"])
            rows.append((int(cells["unit"]), cells["category"], cells["label"], score))
        except ValueError as error:
            raise LayoutError(
                f"holds a value that was not expected ({error})", path=path, pointer=f"line {line}"
            ) from error
    threshold = run.config.iou_threshold
    rank = {key: place for place, key in enumerate(_concepts(rows, run))}
    by_score = sorted(rows, key=lambda row: (-row[3], row[0]))
    score_order = {row[0]: place for place, row in enumerate(by_score)}
    last = len(rank)
    ordered = sorted(
        by_score, key=lambda row: rank[row[1:3]] if row[3] > threshold else last
    )  # stable: by score within a concept
    return [
        LiteUnit(
            *(unit, category, label, score),
            is_detector=score > threshold,
            order=(place, score_order[unit], unit),
            image=drawn.get(unit - 1),
        )
        for place, (unit, category, label, score) in enumerate(ordered)
    ]


def _concepts(
    rows: Sequence[tuple[int, str, str, float]], run: Run
) -> dict[tuple[str, str], tuple[int, float]]:
    """(units, best score) by (category, concept) of the detectors, in the order they are shown."""
    found: dict[tuple[str, str], tuple[int, float]] = {}
    for _, category, label, score in rows:
        if score > run.config.iou_threshold:
            units, best = found.get((category, label), (0, 0.0))
            found[category, label] = (units + 1, max(best, score))
    places = {name: place for place, name in enumerate(run.counts.categories)}

    def key(concept: tuple[str, str]) -> tuple[object, ...]:
        units, best = found[concept]
        return places.get(concept[0], len(places)), -units, -best, concept

    return {concept: found[concept] for concept in sorted(found, key=key)}


def _write_pages(run: Run, record: LayerRecord, units: list[LiteUnit], folder: Path) -> None:
    bars = list(_bars(units, run))
    width = _LEFT + len(bars) * (_BAR + _SPACE) + 2 * _SPACE
    environment = page_environment(_PACKAGE)
    drawing = environment.get_template("lite-bargraph.svg").render(
        bars=bars,
        width=width,
        height=2 * _HEIGHT,
        base=_HEIGHT,
        left=_LEFT,
        bar=_BAR,
        most=max((bar.units for bar in bars), default=0),
    )
    name = record.directory
    (folder / "image" / f"{name}-bargraph.svg").write_text(drawing, encoding="utf-8")
    title = f"{run.name} {record.name}"
    page = _page(run, "lite.html", title, record=record, units=units, concepts=len(bars))
    (folder / f"{name}.html").write_bytes(page)


def _page(
    run: Run,
    template: str,
    title: str,
    *,
    record: LayerRecord | None = None,
    units: Sequence[LiteUnit] = (),
    concepts: int = 0,
) -> bytes:
    return render_page(
        page_environment(_PACKAGE),
        template,
        title=title,
        styles=[read_asset(_PACKAGE, "lite.css")],
        run=run,
        record=record,
        units=units,
        concepts=concepts,
    )


def _bars(units: Sequence[LiteUnit], run: Run) -> Iterator[BarOf]:
    """A bar for each concept that has detectors."""
    slots = category_slots(run.counts.categories)
    rows = [(unit.unit, unit.category, unit.label, unit.score) for unit in units]
    concepts = _concepts(rows, run)
    most = max((count for count, _ in concepts.values()), default=1)
    for place, ((category, label), (count, _)) in enumerate(concepts.items()):
        height = round(_HEIGHT * count / most, 1)
        colour = PALETTE[slots.get(category, len(PALETTE) - 1)].light
        x = _LEFT + place * (_BAR + _SPACE)
        yield BarOf(label, category, count, x, round(_HEIGHT - height, 1), height, colour)
