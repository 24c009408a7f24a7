"""SEG: segmentation images, that is label maps and the masks beside them."""

from __future__ import annotations

from collections.abc import Iterator

from conceptset.findings import Severity
from conceptset.layout import names
from conceptset.validate.context import Context, is_mask
from conceptset.validate.facts import size_text
from conceptset.validate.registry import Mark, rule

_ERROR, _WARNING = Severity.ERROR, Severity.WARNING


def _place(name: str) -> str:
    return f"{names.IMAGE_FOLDER}/{name}"


@rule("SEG001", _ERROR, foreign=_ERROR)
def map_missing(context: Context) -> Iterator[Mark]:
    """A label map that an index names does not exist.

    Whoever reads the row stops, or takes the image for unlabelled.

    Put the file into images/, or take its name out of the cell.
    """
    for view, row, category, facts in context.named_maps:
        if facts.fault is not None and facts.fault.kind == "missing":
            message = f"the label map {facts.path} does not exist"
            yield Mark(message, view.index.path, row.line, category)


@rule("SEG002", _ERROR, foreign=_ERROR)
def map_broken(context: Context) -> Iterator[Mark]:
    """A label map cannot be decoded to its last pixel.

    A run stops at it, or works with half a map.

    Copy the map again from its origin, or build the set again.
    """
    for facts in context.maps.values():
        if facts.fault is not None and facts.fault.kind == "broken":
            yield Mark(f"the label map {facts.fault.text}", _place(facts.path))


@rule("SEG003", _ERROR, foreign=_ERROR)
def map_lossy(context: Context) -> Iterator[Mark]:
    """A label map is no PNG.

    Lossy formats change pixel values, and a changed value is another label; peers expect PNG.

    Write the map as PNG from the original labels; a JPEG cannot be turned back.
    """
    for facts in context.maps.values():
        if facts.fault is None and facts.format != "PNG":
            message = f"the label map is a {facts.format} file, PNG was expected"
            yield Mark(message, _place(facts.path))


@rule("SEG004", _ERROR, foreign=_ERROR)
def map_mode(context: Context) -> Iterator[Mark]:
    """A label map is grey, palette or another mode instead of RGB.

    Peers read R + 256 G: a palette gives them the colours instead of the labels, a grey map has
    no second channel and stops them.

    Write the map as RGB with R = label mod 256, G = label div 256, B = 0.
    """
    for facts in context.maps.values():
        good = facts.mode in ("RGB", "RGBA")
        if facts.fault is None and facts.format == "PNG" and not good and not facts.deep:
            yield Mark(f"the label map has mode {facts.mode}, RGB was expected", _place(facts.path))


@rule("SEG005", _ERROR, foreign=_ERROR)
def map_deep(context: Context) -> Iterator[Mark]:
    """A label map has more than eight bits per channel.

    Libraries keep the upper or the lower half, each its own: the label read is not the one meant.

    Write the map with eight bits per channel.
    """
    for facts in context.maps.values():
        if facts.fault is None and facts.format == "PNG" and facts.deep:
            yield Mark("the label map has 16 bits per channel, 8 were expected", _place(facts.path))


@rule("SEG006", _WARNING, foreign=None)
def map_alpha(context: Context) -> Iterator[Mark]:
    """A label map has an alpha channel.

    It says nothing, but image programs change the colours under transparent pixels when they
    save, and with them the labels.

    Write the map as RGB.
    """
    for facts in context.maps.values():
        if facts.coded and facts.mode == "RGBA":
            yield Mark("the label map has an alpha channel", _place(facts.path))


@rule("SEG007", _ERROR, foreign=_ERROR)
def map_size(context: Context) -> Iterator[Mark]:
    """A label map does not have the size that sh and sw state.

    Peers stack the maps of an image at that size and stop; others stretch the map and shift every
    label.

    Write the map at the size of its row, or correct sh and sw for all maps of the image.
    """
    for view, row, _, facts in context.named_maps:
        if facts.size and row.map_size and facts.size != row.map_size:
            stated = size_text(row.map_size)
            message = (
                f"the label map is {size_text(facts.size)} (height x width), line {row.line} of "
                f"{view.index.path} says {stated}"
            )
            yield Mark(message, _place(facts.path))


@rule("SEG008", _ERROR, foreign=_ERROR)
def map_blue(context: Context) -> Iterator[Mark]:
    """A label map uses the blue channel.

    A label is R + 256 G; whatever blue was meant to say is lost, and often the file is a coloured
    picture and no label map.

    Write B = 0 everywhere; give labels above 65535 other numbers.
    """
    for facts in context.maps.values():
        if facts.blue is not None:
            message = f"blue is not 0 at {facts.blue.pixels} pixels (up to {facts.blue.value})"
            yield Mark(message, _place(facts.path), pixel=facts.blue.pixel)


@rule("SEG009", _ERROR, foreign=_ERROR)
def map_unknown_label(context: Context) -> Iterator[Mark]:
    """A label map holds a number that label.csv does not list.

    The pixels have no name; readers look the number up and stop, or count a label of nobody.

    Correct the pixels, or add the label to label.csv and to the table of its category.
    """
    for facts in context.maps.values():
        for spot in facts.unknown:
            message = f"the label {spot.value} ({spot.pixels} pixels) is not in {names.LABELS}"
            yield Mark(message, _place(facts.path), pixel=spot.pixel)


@rule("SEG010", _WARNING, foreign=_WARNING)
def map_empty(context: Context) -> Iterator[Mark]:
    """A label map is named in an index and has no labelled pixel.

    Peers take the image for labelled in this category; most likely the labels were lost.

    Take the map out of the cell, or write its labels.
    """
    for facts in context.maps.values():
        if facts.coded and not facts.labels:
            yield Mark("the label map is unlabelled everywhere", _place(facts.path))


@rule("SEG011", _WARNING, foreign=_WARNING)
def label_doubled(context: Context) -> Iterator[Mark]:
    """An image carries one label twice at the same pixel.

    Peers count such pixels twice, in the size of the concept and in the intersection.

    Paint the label into one map only, that of its primary category.
    """
    for row, double in context.doubles:
        label = f"the label {double.spot.value}"
        if not double.first:
            message = f"{label} is a whole-image label of two categories"
            yield Mark(message, names.INDEX, row.line, "image")
            continue
        second = f"in {double.second}" if double.second else f"for all of {row.image}"
        message = f"{label} stands here and {second}, at {double.spot.pixels} pixels"
        yield Mark(message, _place(double.first), pixel=double.spot.pixel)


@rule("SEG012", _ERROR, foreign=None)
def mask_broken(context: Context) -> Iterator[Mark]:
    """A mask of ignored or undecided pixels cannot be decoded.

    Pixels to be left out would be counted.

    Copy the mask again from its origin, or build the set again.
    """
    for _, facts in context.masks:
        if facts.fault is not None and facts.fault.kind == "broken":
            yield Mark(f"the mask {facts.fault.text}", _place(facts.path))


@rule("SEG013", _ERROR, foreign=None)
def mask_mode(context: Context) -> Iterator[Mark]:
    """A mask of ignored or undecided pixels is no grey PNG.

    255 means yes in a grey image; in any other mode the values mean something else.

    Write the mask as PNG in mode L with the values 0 and 255.
    """
    for _, facts in context.masks:
        if facts.fault is None and (facts.format, facts.mode) != ("PNG", "L"):
            message = (
                f"the mask is a {facts.format} of mode {facts.mode}, a PNG of mode L was expected"
            )
            yield Mark(message, _place(facts.path))


@rule("SEG014", _ERROR, foreign=None)
def mask_size(context: Context) -> Iterator[Mark]:
    """A mask of ignored or undecided pixels does not have the size of the label maps.

    It lies over the wrong pixels.

    Write the mask at (sh, sw).
    """
    for row, facts in context.masks:
        if facts.size and row.map_size and facts.size != row.map_size:
            stated = size_text(row.map_size)
            message = (
                f"the mask is {size_text(facts.size)} (height x width), sh and sw say {stated}"
            )
            yield Mark(message, _place(facts.path))


@rule("SEG015", _ERROR, foreign=None)
def mask_values(context: Context) -> Iterator[Mark]:
    """A mask of ignored or undecided pixels holds values other than 0 and 255.

    Grey values come from resizing with interpolation; whether such a pixel counts is a guess.

    Write 255 for yes and 0 for no.
    """
    for _, facts in context.masks:
        if facts.stray is not None:
            message = f"the mask has the value {facts.stray.value} at {facts.stray.pixels} pixels"
            yield Mark(message, _place(facts.path), pixel=facts.stray.pixel)


@rule("SEG016", _ERROR, foreign=None)
def mask_named(context: Context) -> Iterator[Mark]:
    """An index names a mask of ignored or undecided pixels as a label map.

    Its 255 would be read as a label.

    Take the mask out of the cell; it is found by its name.
    """
    for view in context.views:
        for row in view.rows:
            for column, name in dict.fromkeys(row.maps()):
                if is_mask(name):
                    message = f"the mask {name} is named as a label map"
                    yield Mark(message, view.index.path, row.line, column)
