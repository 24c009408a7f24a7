"""The core record: what is counted in every image. All figures are sums of these rows.

Each table is a structured array. `image`, `category`, `annotator`, `a` and `b` are places in
`Material`; concepts are codes, 0 is unlabelled. Pairs have a < b. A pair of two sessions of one
person is counted like any other; what is made of it is decided later. Ignored pixels of either
are in no count of a pair, and a segment without a valid pixel is none of its segments.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

THRESHOLDS = (0.5, 0.25, 0.75)  # of a match; the first is the main one
_N = len(THRESHOLDS)

Table: TypeAlias = NDArray[np.void]

_PAIR = [("image", "<i4"), ("category", "<i2"), ("a", "<i2"), ("b", "<i2")]

# One row for each annotator, image worked on and category of the material.
DRAWN = np.dtype(
    [
        ("image", "<i4"),
        ("category", "<i2"),
        ("annotator", "<i2"),
        ("segments", "<i4"),  # visible ones
        ("concepts", "<i4"),  # different names among them
        ("hidden", "<i4"),  # wholly covered by others of the same annotator
        ("labelled", "<i8"),  # pixels
        ("ignored", "<i8"),  # pixels
        ("pixels", "<i8"),  # of the image
    ]
)

# One row for each pair, image that both worked on and category. Kinds of disagreement and matches
# stand once for each of THRESHOLDS.
COMPARED = np.dtype(
    [
        *_PAIR,
        ("valid", "<i8"),  # pixels that neither ignores
        ("unlabelled", "<i8"),  # both left them so
        ("same", "<i8"),  # both labelled, same concept
        ("both", "<i8"),  # both labelled
        ("naming", "<i8", (_N,)),
        ("quantity", "<i8", (_N,)),
        ("quality", "<i8", (_N,)),
        ("segments_a", "<i4"),
        ("segments_b", "<i4"),
        ("concepts_a", "<i4"),
        ("concepts_b", "<i4"),
        ("concepts_shared", "<i4"),
        ("matches", "<i4", (_N,)),
        ("equal", "<i4", (_N,)),  # matches with the same name
        ("iou", "<f8", (_N,)),  # sum over matches
        ("not_found_a", "<i4", (_N,)),  # segments of a that b has not
        ("not_found_b", "<i4", (_N,)),
        ("covering_a", "<f8"),  # of a by b
        ("covering_b", "<f8"),  # of b by a
        ("rand", "<f8"),
        ("vi", "<f8"),  # bits
        ("gce", "<f8"),
        ("lce", "<f8"),
    ]
)

# One row for each pair of labels that meet in a pixel, (0, 0) included; kinds at THRESHOLDS[0].
CELLS = np.dtype(
    [
        *_PAIR,
        ("name_a", "<i4"),
        ("name_b", "<i4"),
        ("pixels", "<i8"),
        ("naming", "<i8"),
        ("quantity", "<i8"),
        ("quality", "<i8"),
    ]
)

# One row for each concept that a or b has segments of, in a pair's image.
NAMED = np.dtype([*_PAIR, ("concept", "<i4"), ("segments_a", "<i4"), ("segments_b", "<i4")])

# One row for each match at THRESHOLDS[0].
MATCHES = np.dtype(
    [
        *_PAIR,
        ("order_a", "<i4"),
        ("order_b", "<i4"),
        ("name_a", "<i4"),
        ("name_b", "<i4"),
        ("area_a", "<i8"),  # valid visible pixels
        ("area_b", "<i8"),
        ("shared", "<i8"),
        ("band_shared", "<i8"),  # pixels of both inner bands; -1 where boundaries are not measured
        ("band_union", "<i8"),
        ("distance", "<f8"),  # mean symmetric distance of the outlines, pixels; NaN likewise
    ]
)

# One row for each pair of different names that mean the same region (region match).
RENAMED = np.dtype([*_PAIR, ("name_a", "<i4"), ("name_b", "<i4")])

# Krippendorff's coincidences over the pixels of an image, first sessions of persons only:
# `without` -1 is everybody, else all but that annotator. Per label: o_cc and n_c, once with
# unlabelled (concept 0) as a label and once over labelled values alone.
COINCIDENCES = np.dtype(
    [
        ("image", "<i4"),
        ("category", "<i2"),
        ("without", "<i2"),
        ("concept", "<i4"),
        ("same", "<f8"),
        ("values", "<f8"),
        ("labelled_same", "<f8"),
        ("labelled_values", "<f8"),
    ]
)

# One row for each person, image and category: against the majority of the other persons.
OTHERS = np.dtype(
    [
        ("image", "<i4"),
        ("category", "<i2"),
        ("annotator", "<i2"),
        ("valid", "<i8"),  # not ignored by the annotator, and the others have a majority
        ("undecided", "<i8"),  # the others have none
        ("unlabelled", "<i8"),  # both so
        ("same", "<i8"),  # both labelled, same concept
        ("any", "<i8"),  # labelled by one of the two at least
    ]
)

# One row for each person who worked on the image and each object in it: a group of segments of
# different people that were matched. Concept 0: left it out. Where nobody drew anything there is
# one object that all left out; who ignores most of an object has no row.
OBJECTS = np.dtype(
    [
        ("image", "<i4"),
        ("category", "<i2"),
        ("item", "<i4"),  # number of the object in this image and category
        ("annotator", "<i2"),
        ("concept", "<i4"),
    ]
)


@dataclass(frozen=True, slots=True)
class Counts:
    """The tables of one image, or of many, one after the other in the order of the images."""

    drawn: Table
    compared: Table
    cells: Table
    named: Table
    matches: Table
    renamed: Table
    coincidences: Table
    others: Table
    objects: Table = field(default_factory=lambda: np.zeros(0, OBJECTS))


DTYPES = {
    "drawn": DRAWN,
    "compared": COMPARED,
    "cells": CELLS,
    "named": NAMED,
    "matches": MATCHES,
    "renamed": RENAMED,
    "coincidences": COINCIDENCES,
    "others": OTHERS,
    "objects": OBJECTS,
}


def concatenate(parts: Iterable[Counts]) -> Counts:
    """The rows of all parts, one after the other.

    >>> concatenate([]).compared.shape
    (0,)
    """
    parts = list(parts)
    return Counts(
        **{
            table.name: np.concatenate(
                [np.zeros(0, DTYPES[table.name]), *(getattr(part, table.name) for part in parts)]
            )
            for table in fields(Counts)
        }
    )
