"""The eleven basic colour terms, pixel by pixel, by the parametric model of Benavente et al.

R. Benavente, M. Vanrell, R. Baldrich: Parametric fuzzy sets for automatic color naming. Journal of
the Optical Society of America A 25(10), 2582-2593, 2008. Fitted to judgements of people; the name
of a pixel is the term of largest membership, which is what the authors do for crisp names.

The model works in CIELAB (white point D65, that of sRGB). Lightness selects one of six planes. In
the plane a and b, a soft ellipse around grey keeps the achromatic terms apart from the chromatic
ones, and soft straight boundaries from its centre outwards keep the chromatic ones apart from each
other. What membership the chromatic terms leave is shared among black, grey and white by lightness.

The constants are those of the program that the authors' laboratory published (nefesi,
util/ColorNaming.py; two other copies agree digit by digit), rounded to the decimals given here: of
140,608 colours spread over the cube 19 change their name by that. Neighbours share a boundary there
too (its angle and its sharpness), so each is written once.

Known limit: what people were shown was less vivid than a screen can be. Its own red (255, 0, 0) and
bright red flowers fall to orange, its blue (0, 0, 255) to purple, where CIELAB bends.

Broden named colours by another method, a table learned from web images (van de Weijer et al.,
2009); figures of colours are not comparable with Broden's pixel by pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from conceptset.geometry import FloatArray

METHOD = "Benavente, Vanrell and Baldrich 2008"
CATEGORY = "color"
TERMS = (
    "black", "blue", "brown", "green", "grey", "orange", "pink", "purple", "red", "white", "yellow",
)  # fmt: skip
CONCEPTS = tuple(f"{term}-c" for term in TERMS)  # as Broden calls them
_AT_ONCE = 1 << 16  # pixels; bounds the memory of a large photograph


class _Plane(NamedTuple):
    """The model for one range of lightness.

    Attributes:
        top: The largest lightness of the range.
        centre: a, b of the ellipse and of the origin of all boundaries.
        ellipse: Its two half axes, its angle in degrees, and how sharp it is.
        boundaries: Term, the angle in degrees at which it begins (counter-clockwise from a to b; it
            ends where the next one begins), and how sharp that boundary is.
    """

    top: float
    centre: tuple[float, float]
    ellipse: tuple[float, float, float, float]
    boundaries: tuple[tuple[str, float, float], ...]


_PLANES = (
    _Plane(
        31,
        (0.424, 0.249),
        (5.889, 7.474, 2.321, 9.844),
        (
            ("red", -2.239, 0.901),
            ("brown", 33.451, 1.725),
            ("green", 104.555, 0.844),
            ("blue", 224.587, 1.952),
            ("purple", 302.847, 1.014),
        ),
    ),
    _Plane(
        42,
        (0.230, 0.663),
        (6.457, 7.873, 17.591, 6.033),
        (
            ("red", 2.208, 0.524),
            ("brown", 41.186, 5.000),
            ("green", 96.871, 0.692),
            ("blue", 210.465, 0.958),
            ("purple", 301.516, 0.917),
            ("pink", 344.280, 1.100),
        ),
    ),
    _Plane(
        51,
        (-0.117, 0.518),
        (5.381, 6.982, 19.582, 6.812),
        (
            ("red", 13.572, 0.999),
            ("orange", 44.454, 0.565),
            ("brown", 61.237, 0.517),
            ("green", 96.655, 0.845),
            ("blue", 199.376, 0.600),
            ("purple", 301.762, 0.801),
            ("pink", 337.366, 0.624),
        ),
    ),
    _Plane(
        66,
        (-0.443, 1.076),
        (6.064, 7.502, 24.548, 7.319),
        (
            ("red", 26.521, 0.939),
            ("orange", 32.988, 0.755),
            ("yellow", 80.117, 0.478),
            ("green", 95.673, 0.729),
            ("blue", 198.317, 0.644),
            ("purple", 301.226, 0.755),
            ("pink", 326.078, 5.000),
        ),
    ),
    _Plane(
        76,
        (-0.565, 1.163),
        (5.368, 6.900, 24.753, 100.0),
        (
            ("orange", 25.751, 1.995),
            ("yellow", 74.154, 0.840),
            ("green", 102.271, 0.856),
            ("blue", 188.566, 0.737),
            ("purple", 299.170, 0.475),
            ("pink", 327.452, 1.736),
        ),
    ),
    _Plane(
        float("inf"),
        (-1.256, 1.814),
        (6.040, 7.393, -1.193, 100.0),
        (
            ("orange", 25.744, 1.028),
            ("yellow", 72.443, 0.791),
            ("green", 106.241, 0.957),
            ("blue", 190.046, 0.900),
            ("purple", 300.568, 0.599),
            ("pink", 327.634, 1.931),
        ),
    ),
)
_BLACK_GREY = (28.283, 0.714)  # lightness of the boundary, and how sharp it is
_GREY_WHITE = (79.649, 0.307)

_TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)  # linear sRGB, IEC 61966-2-1
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27


def lab_from_rgb(rgb: NDArray[np.uint8]) -> FloatArray:
    """CIELAB of sRGB colours, relative to white.

    Args:
        rgb: (..., 3) uint8.

    Returns:
        (..., 3) float64: lightness 0..100, a, b.

    >>> lab_from_rgb(np.array([255, 255, 255], dtype=np.uint8)).round(3).tolist()
    [100.0, 0.0, 0.0]
    """
    scale = np.arange(256) / 255
    linear = np.where(scale <= 0.04045, scale / 12.92, ((scale + 0.055) / 1.055) ** 2.4)[rgb]
    xyz = linear @ _TO_XYZ.T / _TO_XYZ.sum(axis=1)
    x, y, z = np.moveaxis(np.where(xyz > _EPSILON, np.cbrt(xyz), (_KAPPA * xyz + 16) / 116), -1, 0)
    lab: FloatArray = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)
    return lab


def memberships(lab: FloatArray) -> FloatArray:
    """How much each term fits each colour.

    Args:
        lab: (n, 3) float64 CIELAB.

    Returns:
        (n, 11) float64, 0..1, in the order of `TERMS`.
    """
    lightness = lab[:, 0]
    found = np.zeros((len(lab), len(TERMS)))
    low = -np.inf
    for plane in _PLANES:
        inside = np.flatnonzero((lightness > low) & (lightness <= plane.top))
        low = plane.top
        if inside.size:
            columns, values = _chromatic(plane, lab[inside, 1:])
            found[inside[:, None], columns] = values
    rest = np.maximum(0, 1 - found.sum(axis=1))
    bright = _sigmoid(_BLACK_GREY[1] * (lightness - _BLACK_GREY[0]))
    light = _sigmoid(_GREY_WHITE[1] * (lightness - _GREY_WHITE[0]))
    found[:, TERMS.index("black")] = rest * (1 - bright)
    found[:, TERMS.index("grey")] = rest * bright * (1 - light)
    found[:, TERMS.index("white")] = rest * light
    return found


def _chromatic(plane: _Plane, ab: FloatArray) -> tuple[list[int], FloatArray]:
    """Columns of `TERMS` and the memberships, (n, terms), of the chromatic terms of a plane."""
    a, b = (ab - plane.centre).T
    first, second, angle, sharp = plane.ellipse
    turn = np.deg2rad(angle)
    along = (a * np.cos(turn) + b * np.sin(turn)) / first
    across = (b * np.cos(turn) - a * np.sin(turn)) / second
    coloured = _sigmoid(sharp * (along**2 + across**2 - 1))
    begins = np.deg2rad([angle for _, angle, _ in plane.boundaries])
    sharpness = np.array([sharp for _, _, sharp in plane.boundaries])
    beyond = _sigmoid(sharpness * (b[:, None] * np.cos(begins) - a[:, None] * np.sin(begins)))
    before = 1 - np.roll(beyond, -1, axis=1)  # of the boundary at which the next term begins
    columns = [TERMS.index(term) for term, _, _ in plane.boundaries]
    return columns, coloured[:, None] * beyond * before


def _sigmoid(values: FloatArray) -> FloatArray:
    risen: FloatArray = 1 / (1 + np.exp(-np.clip(values, -500, 500)))
    return risen


def name_colors(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The basic colour term of each pixel.

    Args:
        rgb: (height, width, 3) uint8, sRGB.

    Returns:
        (height, width) uint8, places in `TERMS` and `CONCEPTS`.

    >>> pixels = np.array([[[200, 20, 30], [128, 128, 128]]], dtype=np.uint8)
    >>> [TERMS[place] for place in name_colors(pixels)[0]]
    ['red', 'grey']
    """
    flat = rgb.reshape(-1, 3)
    named = np.empty(len(flat), dtype=np.uint8)
    for start in range(0, len(flat), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        named[part] = memberships(lab_from_rgb(flat[part])).argmax(axis=1)
    return named.reshape(rgb.shape[:2])
