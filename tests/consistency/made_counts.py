"""Counts of images that nobody drew: random tables that add up as those of real images do."""

from __future__ import annotations

import numpy as np

from conceptset.consistency.counts import DTYPES, THRESHOLDS, Counts
from conceptset.consistency.material import Annotator, Material

N = len(THRESHOLDS)


def material(annotators, *, images=12, concepts=4, categories=("object",)):
    people = [one if isinstance(one, Annotator) else Annotator(one) for one in annotators]
    return Material(
        annotators=tuple(sorted(people, key=lambda one: (one.name, one.session))),
        concepts=tuple(f"concept {code:03d}" for code in range(1, concepts + 1)),
        categories=tuple(categories),
        images=tuple(f"photos/{image:05d}.jpg" for image in range(images)),
        overlap="area",
        title="made up",
        stream=(),
    )


def made(material, *, seed=0, cells=6, matches=3, skip=0.2, empty=0.1):
    """Counts of all tables.

    Args:
        material: Its lists.
        seed: Of the numbers.
        cells: Kinds of pixels in a row of a pair, at most.
        matches: In a row of a pair, at most.
        skip: Share of the images that an annotator did not work on.
        empty: Share of the rows of pairs in which neither labelled anything.
    """
    rng = np.random.default_rng(seed)
    images, people, layers = (
        len(material.images),
        len(material.annotators),
        len(material.categories),
    )
    worked = rng.random((images, people)) >= skip
    drawn = _drawn(rng, worked, layers)
    compared = _pairs(rng, worked, layers)
    nothing = rng.random(len(compared)) < empty
    tables = {
        "drawn": drawn,
        "compared": compared,
        "cells": _cells(rng, compared, nothing, cells, len(material.concepts)),
        "matches": _matches(rng, compared, nothing, matches, len(material.concepts)),
        "renamed": compared[:0][["image", "category", "a", "b"]].astype(
            DTYPES["renamed"][["image", "category", "a", "b"]]
        ),
        "coincidences": _coincidences(rng, worked, layers, len(material.concepts)),
        "others": _others(rng, drawn),
    }
    tables["named"] = _named(rng, tables)
    tables["renamed"] = _renamed(rng, tables["matches"])
    return Counts(**tables)


def _table(name, rows, **columns):
    table = np.zeros(rows, DTYPES[name])
    for field, values in columns.items():
        table[field] = values
    return table


def _drawn(rng, worked, layers):
    image, annotator = np.nonzero(worked)
    image, annotator = np.repeat(image, layers), np.repeat(annotator, layers)
    size = len(image)
    return _table(
        "drawn",
        size,
        image=image,
        category=np.tile(np.arange(layers), size // max(1, layers)),
        annotator=annotator,
        segments=rng.integers(0, 9, size),
        concepts=rng.integers(0, 4, size),
        hidden=rng.integers(0, 2, size),
        labelled=rng.integers(0, 9000, size),
        pixels=10000,
    )


def _pairs(rng, worked, layers):
    a, b = np.triu_indices(worked.shape[1], 1)
    image, pair = np.nonzero(worked[:, a] & worked[:, b])
    image, pair = np.repeat(image, layers), np.repeat(pair, layers)
    size = len(image)
    return _table(
        "compared",
        size,
        image=image,
        category=np.tile(np.arange(layers), size // max(1, layers)),
        a=a[pair],
        b=b[pair],
        **{name: rng.random(size) for name in ("covering_a", "covering_b", "rand", "gce", "lce")},
        vi=3 * rng.random(size),
    )


def _keys(table, rows):
    for field in ("image", "category", "a", "b"):
        table[field] = rows[field]
    return table


def _cells(rng, compared, nothing, most, concepts):
    """And the pixels of `compared`."""
    row = np.repeat(np.arange(len(compared)), most)
    first = rng.integers(0, concepts + 1, len(row))
    second = np.where(rng.random(len(row)) < 0.5, first, rng.integers(0, concepts + 1, len(row)))
    first[nothing[row]] = second[nothing[row]] = 0
    known = np.unique(np.stack([row, first, second], axis=1), axis=0)
    row, first, second = known.T
    cells = _keys(_table("cells", len(row), name_a=first, name_b=second), compared[row])
    pixels = rng.integers(1, 2000, len(row))
    cells["pixels"] = pixels
    differ, labelled = first != second, (first > 0) & (second > 0)
    for threshold in range(N):
        kinds = _cut(rng, np.where(differ, pixels, 0), labelled)
        for kind, count in kinds.items():
            compared[kind][:, threshold] = np.bincount(row, count, len(compared))
            if threshold == 0:
                cells[kind] = count
    for field, chosen in (
        ("valid", slice(None)),
        ("unlabelled", (first == 0) & (second == 0)),
        ("same", labelled & ~differ),
        ("both", labelled),
    ):
        compared[field] = np.bincount(row[chosen], pixels[chosen], len(compared))
    return cells


def _cut(rng, pixels, labelled):
    naming = np.where(labelled, rng.integers(0, pixels + 1), 0)
    quantity = rng.integers(0, pixels - naming + 1)
    return {"naming": naming, "quantity": quantity, "quality": pixels - naming - quantity}


def _matches(rng, compared, nothing, most, concepts):
    """And what `compared` says of matches."""
    number = np.where(nothing, 0, rng.integers(0, most + 1, len(compared)))
    row = np.repeat(np.arange(len(compared)), number)
    size = len(row)
    name = rng.integers(1, concepts + 1, size)
    area_a, area_b = rng.integers(50, 3000, size), rng.integers(50, 3000, size)
    shared = (np.minimum(area_a, area_b) * rng.uniform(0.7, 1, size)).astype(int)
    bands = rng.integers(0, 40, size)
    matches = _keys(
        _table(
            "matches",
            size,
            order_a=np.arange(size),
            order_b=np.arange(size),
            name_a=name,
            name_b=np.where(rng.random(size) < 0.8, name, rng.integers(1, concepts + 1, size)),
            area_a=area_a,
            area_b=area_b,
            shared=shared,
            band_shared=bands,
            band_union=bands + rng.integers(1, 40, size),
            distance=4 * rng.random(size),
        ),
        compared[row],
    )
    iou = shared / (area_a + area_b - shared)
    equal = matches["name_a"] == matches["name_b"]
    for threshold in range(N):
        compared["matches"][:, threshold] = number
        compared["equal"][:, threshold] = np.bincount(row, equal, len(compared))
        compared["iou"][:, threshold] = np.bincount(row, iou, len(compared))
    return matches


def _named(rng, tables):
    """And what `compared` says of segments and concepts."""
    compared, cells, matches = tables["compared"], tables["cells"], tables["matches"]
    fields = ["image", "category", "a", "b"]
    order = {key: place for place, key in enumerate(compared[fields].tolist())}
    found = {}
    for table, added in ((cells, 1), (matches, 1)):
        for key, first, second in zip(
            table[fields].tolist(), table["name_a"].tolist(), table["name_b"].tolist(), strict=True
        ):
            for side, concept in enumerate((first, second)):
                if concept:
                    counted = found.setdefault((order[key], concept), [0, 0])
                    counted[side] += added
    rows = np.array([key[0] for key in found], dtype=int)
    segments = np.array(list(found.values()), dtype=int).reshape(-1, 2)
    named = _keys(_table("named", len(rows)), compared[rows])
    named["concept"] = [key[1] for key in found]
    for side, name in enumerate("ab"):
        named[f"segments_{name}"] = segments[:, side]
        compared[f"segments_{name}"] = np.bincount(rows, segments[:, side], len(compared))
        compared[f"concepts_{name}"] = np.bincount(rows, segments[:, side] > 0, len(compared))
        free = compared[f"segments_{name}"] - compared["matches"][:, 0]
        compared[f"not_found_{name}"] = rng.integers(0, free[:, None] + 1, (len(compared), N))
    compared["concepts_shared"] = np.bincount(rows, (segments > 0).all(axis=1), len(compared))
    return named


def _renamed(rng, matches):
    differ = matches[matches["name_a"] != matches["name_b"]]
    chosen = differ[rng.random(len(differ)) < 0.5]
    renamed = _keys(_table("renamed", len(chosen)), chosen)
    renamed["name_a"], renamed["name_b"] = chosen["name_a"], chosen["name_b"]
    return renamed


def _coincidences(rng, worked, layers, concepts):
    rows = []
    for image, at_work in enumerate(worked):
        members = np.flatnonzero(at_work)
        withouts = [-1, *members.tolist()] if len(members) > 2 else [-1]
        if len(members) > 1:
            rows += [
                (image, category, without, concept)
                for category in range(layers)
                for without in withouts
                for concept in range(concepts + 1)
            ]
    keys = np.array(rows, dtype=int).reshape(-1, 4)
    values = rng.integers(1, 3000, len(keys)) * 2.0
    labelled = np.where(keys[:, 3] > 0, values, 0)
    return _table(
        "coincidences",
        len(keys),
        image=keys[:, 0],
        category=keys[:, 1],
        without=keys[:, 2],
        concept=keys[:, 3],
        same=values * rng.random(len(keys)),
        values=values,
        labelled_same=labelled * rng.random(len(keys)),
        labelled_values=labelled,
    )


def _others(rng, drawn):
    size = len(drawn)
    same, more = rng.integers(0, 3000, size), rng.integers(0, 3000, size)
    others = _table("others", size, same=same, any=same + more, valid=10000)
    for field in ("image", "category", "annotator"):
        others[field] = drawn[field]
    return others
