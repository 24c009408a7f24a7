"""ANN: what several annotators make together: images in common, and the consensus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from conceptset.consensus import METHODS
from conceptset.findings import Severity
from conceptset.layout import names
from conceptset.validate.context import Context
from conceptset.validate.facts import size_text
from conceptset.validate.people import voters_of
from conceptset.validate.registry import Mark, rule
from conceptset.validate.views import IndexRow

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING

# Methods that look at each pixel alone: where everybody says the same, so does the consensus.
_BY_PIXEL = ("majority", "plurality", "ignore-unlabelled")
_SHOWN = 5


@rule("ANN018", _WARNING, foreign=None)
def index_empty(context: Context) -> Iterator[Mark]:
    """An annotator's index lists no image.

    The person counts as one of the set's annotators and is in no comparison and no consensus.

    Take the row out of annotators.csv with the directory, or list the images that were looked at;
    those left empty count.
    """
    for line in context.annotators if context.all_images else ():
        view = context.people.get(line.directory)
        if view is not None and view.index.usable and not view.rows:
            message = f"{view.index.path} lists no image"
            yield Mark(message, names.ANNOTATORS, line.line, "images")


@rule("ANN019", _WARNING, foreign=None)
def person_in_no_pair(context: Context) -> Iterator[Mark]:
    """Others share images, but nobody else worked on any of this annotator's.

    How consistent this person is with the others cannot be told, and where images differ so may
    concepts: the consensus of the set is several people's labels side by side.

    Let several people annotate some of the images again: `conceptset sample` draws them.
    """
    if not context.complete:
        return
    seen: dict[str, set[str]] = {}
    lines: dict[str, int] = {}
    for line in context.annotators:
        images = {row.image for row in context.people[line.directory].rows}
        seen.setdefault(line.name, set()).update(images)
        lines.setdefault(line.name, line.line)
    seen = {name: images for name, images in seen.items() if images}
    workers = Counter(image for images in seen.values() for image in images)
    alone = [name for name, images in seen.items() if all(workers[one] == 1 for one in images)]
    if len(alone) == len(seen):  # nothing was annotated twice, on purpose as it seems
        return
    for name in alone:
        message = f"nobody else worked on any of the {len(seen[name])} images of {name[:120]!r}"
        yield Mark(message, names.ANNOTATORS, lines[name], "annotator")


@rule("ANN020", _ERROR, foreign=None)
def segment_size(context: Context) -> Iterator[Mark]:
    """Segments of one image refer to images of different sizes.

    Two drawings can only be compared on the same pixels; nothing is resized, so every comparison
    of these annotators stops.

    Build the set again from annotations of the same photograph, or take the image out of one index.
    """
    known: dict[str, tuple[int, int]] = {}
    for facts in context.segments.values():
        for image, sizes in facts.sizes.items():
            first = known.setdefault(image, next(iter(sizes)))
            for size, line in sizes.items():
                if size != first:
                    message = f"{size_text(size)} in {image}, {size_text(first)} in others of it"
                    yield Mark(message, facts.path, line, "/size")


@rule("ANN021", _WARNING, foreign=None)
def consensus_stale(context: Context) -> Iterator[Mark]:
    """The root's labels of an image are none that its annotators' maps can give.

    Either the consensus is older than the maps it was formed from, or somebody changed it by hand.
    What is measured against it says nothing of the people who drew.

    Build the set again from its sources, or merge the sets that it was made from.
    """
    model = context.manifest.model
    sessions = {(line.name, line.session) for line in context.annotators}
    if model is None or not context.complete or not 1 < len(context.annotators) == len(sessions):
        return
    strangers = _maps_of_several(context)
    method = model.settings.get("consensus", "majority")
    method = method if isinstance(method, str) else "majority"
    for image, directories in voters_of(context.annotators, context.people, method).items():
        row = context.root.by_image.get(image)
        if row is None:
            continue
        own = [context.people[directory].by_image[image] for directory in directories]
        if all(_is_decoded(context, one, strangers) for one in (row, *own)):
            strange = _labels(context, row).difference(*(_labels(context, one) for one in own))
            if strange:
                given = ", ".join(
                    repr(context.root.label_names.get(number, str(number))[:120])
                    for number in sorted(strange)[:_SHOWN]
                )
                message = f"{image} is labelled {given} here and by none of its annotators"
                yield Mark(message, names.INDEX, row.line, "image")
            elif _decided_otherwise(context, row, own, method):
                who = "its one annotator" if len(own) == 1 else "all its annotators, who agree"
                message = f"{image} has other labels here than with {who}"
                yield Mark(message, names.INDEX, row.line, "image")


def _maps_of_several(context: Context) -> set[str]:
    """Maps that more than one photograph names; whose they are is open."""
    owners: dict[str, str] = {}
    rows = (row for view in context.views for row in view.rows)
    named = ((name, row.image) for row in rows for _, name in row.maps())
    return {name for name, image in named if owners.setdefault(name, image) != image}


def _is_decoded(context: Context, row: IndexRow, strangers: set[str]) -> bool:
    """Whether all maps of a row can be read, and are surely its own."""
    maps = {name: context.maps.get(name) for _, name in row.maps()}
    readable = (one is not None and one.fault is None and one.coded for one in maps.values())
    return all(readable) and strangers.isdisjoint(maps)


def _labels(context: Context, row: IndexRow) -> set[int]:
    """Every known label that an image carries in one index, in whatever category."""
    found = {number for _, number in row.numbers()}
    for _, name in row.maps():
        found.update(context.maps[name].labels)
    return found & context.root.label_names.keys()


def _decided_otherwise(context: Context, row: IndexRow, own: list[IndexRow], method: str) -> bool:
    """Whether all voters say the same of an image, nobody abstains, and the root says otherwise."""
    if len(own) > 1 and method in METHODS and method not in _BY_PIXEL:
        return False
    masks = [facts.path for facts in context.images[row.image].masks]
    if len(own) == 1:  # who is alone decides also where they abstain
        masks = [path for path in masks if path.startswith(f"{names.CONSENSUS_FOLDER}/")]
    if masks:
        return False
    said = [_content(context, one) for one in own]
    return all(one == said[0] for one in said) and _content(context, row) != said[0]


def _content(context: Context, row: IndexRow) -> set[tuple[str, str | None]]:
    """Category and digest of each map, category and number of each whole-image label."""
    found = {(category, context.maps[name].digest) for category, name in row.maps()}
    numbers = ((category, number) for category, number in row.numbers())
    return found | {(c, str(n)) for c, n in numbers if n in context.root.label_names}
