"""Real people: four who outlined cars, eight dermatologists of whom most came twice."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from pixel_reference import compare_pixels, painted, partition

from conceptset.build.steps import silent
from conceptset.consistency.counting.flattening import flatten
from conceptset.consistency.counting.image import CountSettings, count_image
from conceptset.consistency.counting.splitting import classify_pixels
from conceptset.consistency.counts import concatenate
from conceptset.consistency.options import ConsistencyOptions
from conceptset.consistency.reading.from_sources import open_annotations

pytestmark = pytest.mark.real


def test_four_people_and_cars(shared, tmp_path):
    home = shared / "samples/labelme_xml/multi_annotator_cars"
    options = ConsistencyOptions(images=home / "Images")
    checked = 0
    with open_annotations([home / "Annotations"], options, near=tmp_path, step=silent) as opened:
        setting = CountSettings.of(opened.material)
        assert [str(a) for a in setting.annotators] == ["ecyou", "mhsieh2", "sngandhi", "ylp"]
        for image in itertools.islice(opened.images, 5):
            counts = count_image(image, setting)
            for row in counts.compared:
                check_row(row, image)
                checked += row["segments_a"] > 0 and row["segments_b"] > 0
            shares = counts.matches["band_shared"] / counts.matches["band_union"]
            assert ((shares > 0) & (shares <= 1)).all()
            assert (counts.matches["distance"] < 10).all()
    assert checked > 10


def check_row(row, image):
    layers = [
        [s for s in image.drawn[int(row[side])] if s.category == row["category"]] for side in "ab"
    ]
    maps = [painted(segments, image.size) for segments in layers]
    names = [{n: s.concept for n, s in enumerate(layer, 1)} for layer in layers]
    expected = compare_pixels(*maps, *names, 0.5)
    kinds = Counter(expected.kinds.ravel().tolist())
    found = [
        row["unlabelled"],
        row["same"],
        *(row[k][0] for k in ("naming", "quantity", "quality")),
    ]
    assert found == [kinds[n] for n in range(5)]
    assert row["matches"][0] == len(expected.matched)
    flats = [flatten(segments, image.size, "area") for segments in layers]
    np.testing.assert_array_equal(classify_pixels(*flats), expected.kinds)
    if max(map(len, layers)) < 5 and row["segments_a"] and image.image == 0:
        figures = [row[f] for f in ("covering_a", "covering_b", "rand", "vi", "gce", "lce")]
        np.testing.assert_allclose(figures, partition(*maps), atol=1e-12)


def test_eight_dermatologists(shared, tmp_path):
    home = shared / "samples/dermx/annotations"
    options = ConsistencyOptions(on_error="collect")
    with open_annotations([home], options, near=tmp_path, step=silent) as opened:
        setting = CountSettings.of(opened.material, boundary=False)
        counts = concatenate(
            count_image(image, setting) for image in itertools.islice(opened.images, 2)
        )
    rows = counts.compared
    assert len(rows) > 0
    kinds = sum(rows[kind][:, 0] for kind in ("naming", "quantity", "quality"))
    np.testing.assert_array_equal(rows["unlabelled"] + rows["same"] + kinds, rows["valid"])
    assert (rows["quantity"][:, 0] > 0).any()
    together = counts.coincidences
    everybody = together[together["without"] == -1]
    assert everybody["values"].sum() == values_of(counts, setting)


def values_of(counts, setting):
    """Every pixel of every first session counts once, where two or more worked on the image."""
    drawn = counts.drawn
    first = [setting.annotators[a].session == 1 for a in drawn["annotator"]]
    return (drawn["pixels"] - drawn["ignored"])[first].sum()
