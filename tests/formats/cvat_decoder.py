"""A second decoder of CVAT's files, as plain as can be: what the tests compare the reader with.

It shares nothing with the project. Pixels are counted by scan lines: a row's centre line is cut by
the outline in some places; between the first and the second, the third and the fourth, ... it is
inside.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

import numpy as np


def filled(points, size):
    """(height, width) bool: pixels whose centre is inside a closed outline of (x, y)."""
    mask = np.zeros(size, dtype=bool)
    for row in range(size[0]):
        y = row + 0.5
        cuts = []
        for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
            if min(y0, y1) <= y < max(y0, y1):
                cuts.append(x0 + (x1 - x0) * (y - y0) / (y1 - y0))
        cuts.sort()
        for begin, end in zip(cuts[::2], cuts[1::2], strict=True):
            first, stop = (min(size[1], max(0, math.ceil(cut - 0.5))) for cut in (begin, end))
            mask[row, first:stop] = True
    return mask


def turned(x, y, middle, degrees):
    """A point turned clockwise as seen about another."""
    angle = math.radians(degrees)
    dx, dy = x - middle[0], y - middle[1]
    return (
        middle[0] + math.cos(angle) * dx - math.sin(angle) * dy,
        middle[1] + math.sin(angle) * dx + math.cos(angle) * dy,
    )


def box(left, top, right, bottom, degrees, size):
    middle = ((left + right) / 2, (top + bottom) / 2)
    corners = [(left, top), (right, top), (right, bottom), (left, bottom)]
    return filled([turned(x, y, middle, degrees) for x, y in corners], size)


def ellipse(x, y, rx, ry, degrees, size):
    """Pixel by pixel: turned back, is the centre inside?"""
    mask = np.zeros(size, dtype=bool)
    for row in range(size[0]):
        for column in range(size[1]):
            px, py = turned(column + 0.5, row + 0.5, (x, y), -degrees)
            mask[row, column] = ((px - x) / rx) ** 2 + ((py - y) / ry) ** 2 < 1
    return mask


def runs(counts, left, top, width, height, size):
    """Row by row inside the window, one pixel at a time."""
    mask = np.zeros(size, dtype=bool)
    place, value = 0, False
    for count in counts:
        for pixel in range(place, place + count):
            row, column = top + pixel // width, left + pixel % width
            if value and 0 <= row < size[0] and 0 <= column < size[1]:
                mask[row, column] = True
        place, value = place + count, not value
    assert place == width * height
    return mask


def pairs(text):
    return [tuple(map(float, pair.split(","))) for pair in text.split(";")]


def mask_of(element, size):
    """The pixels of a shape's element; None if it has no area."""
    get = element.attrib.get
    if element.tag == "polygon":
        return filled(pairs(get("points")), size)
    degrees = float(get("rotation", 0))
    if element.tag == "box":
        corners = [float(get(key)) for key in ("xtl", "ytl", "xbr", "ybr")]
        return box(*corners, degrees, size)
    if element.tag == "ellipse":
        return ellipse(*[float(get(key)) for key in ("cx", "cy", "rx", "ry")], degrees, size)
    if element.tag == "mask":
        counts = [int(run) for run in get("rle").split(",")]
        return runs(counts, *[int(get(key)) for key in ("left", "top", "width", "height")], size)
    return None


def images(path):
    """(subset, name, size, shapes) of the images of a file."""
    for element in ET.parse(path).getroot().iter("image"):
        size = int(element.get("height")), int(element.get("width"))
        yield element.get("subset"), element.get("name"), size, list(element)


def at(path, pointer):
    """The element that an origin's pointer leads to, found by ElementTree's own XPath."""
    return ET.parse(path).getroot().find("." + pointer)
