"""Simulated annotators of made-up images: everybody shifts a little, some have habits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from pycocotools import mask as rle

from conceptset.consistency.counting.image import CountSettings, count_image
from conceptset.consistency.counts import concatenate
from conceptset.consistency.document import ConsistencyReport, Settings
from conceptset.consistency.figures.ranking import place_people
from conceptset.consistency.figures.report import Entries, compute
from conceptset.consistency.material import AnnotatedImage, Annotator, Material, Segment
from conceptset.consistency.verdicts.judging import judge

SIZE = (96, 96)
CELLS = ((4, 4), (4, 52), (52, 4), (52, 52))  # corners of fields that no two things share
Thing = tuple[str, int, int, int, int]  # name, top, left, height, width
Habit = Callable[[np.random.Generator, int, Thing], Thing | None]


def truth(image: int) -> list[Thing]:
    """Four things of 20 to 28 pixels in fields of their own: two cars, a tree and a pole."""
    rng = np.random.default_rng([7, image])
    things = []
    for name, (top, left) in zip(("car", "car", "tree", "pole"), CELLS, strict=True):
        height, width = rng.integers(20, 29, 2)
        things.append((name, top + 4, left + 4, int(height), int(width)))
    return things


def plain(_rng: np.random.Generator, _image: int, thing: Thing) -> Thing:
    """No habit."""
    return thing


def draw(rng: np.random.Generator, image: int, habit: Habit) -> list[Thing]:
    """What somebody draws: everything shifted by up to a pixel, then the habit."""
    drawn = []
    for name, top, left, height, width in truth(image):
        down, right = rng.integers(-1, 2, 2)
        thing = habit(rng, image, (name, top + int(down), left + int(right), height, width))
        if thing is not None:
            drawn.append(thing)
    return drawn


def encode(thing: Thing, size: tuple[int, int] = SIZE) -> str:
    """The compressed run lengths of a rectangle."""
    mask = np.zeros(size, dtype=np.uint8)
    mask[thing[1] : thing[1] + thing[3], thing[2] : thing[2] + thing[4]] = 1
    return rle.encode(np.asfortranarray(mask))["counts"].decode()


def make_material(
    habits: dict[str, Habit],
    images: int = 24,
    *,
    folder: Path | None = None,
    seed: int = 0,
    worked: Callable[[str, int], bool] = lambda _name, _image: True,
    categories: Sequence[str] = ("object",),
    rename: Callable[[str], str] = str,
) -> Material:
    """Material of simulated people.

    Args:
        habits: By name; `NAME#2` is a second session, `NAME*` a model.
        images: How many.
        folder: Where photographs are written; none without.
        seed: Of the shifts.
        worked: Who worked on which image.
        categories: Everything is drawn in each.
        rename: From our names of concepts and images to those of the material.
    """
    people = []
    for name, habit in habits.items():
        person, _, session = name.rstrip("*").partition("#")
        kind = "model" if name.endswith("*") else "person"
        people.append((Annotator(person, int(session or 1), kind), habit, name))
    people.sort(key=lambda entry: entry[0][:2])
    drawn = [
        {
            place: draw(np.random.default_rng([seed, image, place]), image, habit)
            for place, (_, habit, name) in enumerate(people)
            if worked(name, image)
        }
        for image in range(images)
    ]
    concepts = sorted({thing[0] for row in drawn for things in row.values() for thing in things})
    code = {name: place for place, name in enumerate(concepts, start=1)}
    stream = [
        AnnotatedImage(
            image,
            rename(f"{image:03d}.jpg"),
            SIZE,
            {
                place: tuple(
                    Segment(order, "region", code[thing[0]], layer, rename(thing[0]), encode(thing))
                    for layer in range(len(categories))
                    for order, thing in enumerate(things, start=layer * 100)
                )
                for place, things in row.items()
            },
            None if folder is None else photograph(folder, image),
        )
        for image, row in enumerate(drawn)
    ]
    return Material(
        tuple(annotator for annotator, _, _ in people),
        tuple(rename(name) for name in concepts),
        tuple(categories),
        tuple(image.name for image in stream),
        "area",
        rename("made up"),
        stream,
    )


def photograph(folder: Path, image: int) -> Path:
    """A photograph of plain green."""
    path = folder / f"{image:03d}.png"
    Image.new("RGB", SIZE[::-1], (60, 140, 70)).save(path)
    return path


def count_and_judge(material: Material, *, resamples: int = 500) -> Entries:
    """Figures, places and verdicts."""
    setting = CountSettings.of(material, boundary=False)
    counts = concatenate(count_image(image, setting) for image in material.stream)
    entries = compute(counts, material, resamples=resamples)
    entries.annotators = place_people(entries.annotators, entries.estimates)
    entries.verdicts += judge(entries, counts, material)
    return entries


def make_report(material: Material, *, resamples: int = 200) -> ConsistencyReport:
    """The document."""
    entries = count_and_judge(material, resamples=resamples)
    return ConsistencyReport(
        generator="conceptset 0",
        title=material.title,
        settings=Settings(
            threshold=0.5,
            sensitivity=[0.25, 0.75],
            overlap="area",
            resamples=resamples,
            seed=1,
            level=0.95,
            boundary=False,
            taxonomy=None,
        ),
        annotators_listed=[str(annotator) for annotator in material.annotators],
        n_images=len(material.images),
        shared_images=entries.shared_images,
        layers=entries.layers,
        pairs=entries.pairs,
        annotators=entries.annotators,
        concepts=entries.concepts,
        images=entries.images,
        alone=entries.alone,
        intra=entries.intra,
        consensus=[],
        clusters=entries.clusters,
        verdicts=entries.verdicts,
        notes=entries.notes,
    )
