"""What the consensus of a set leaves open and changes, against its maps read with Pillow."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import three_exports as three
from PIL import Image

from conceptset import measure_consistency
from conceptset.build import BuildOptions, build_set
from conceptset.consistency.options import ConsistencyOptions
from conceptset.errors import LayoutError
from conceptset.layout.reading import open_manifest

QUICK = ConsistencyOptions(resamples=100, boundary=False)


@pytest.fixture
def build(tmp_path):
    def run(**options):
        three.write_photographs(tmp_path / "images")
        exports = three.write_exports(tmp_path / "exports")
        options |= {"images": tmp_path / "images", "annotator_from": three.people_file(tmp_path)}
        options = {"image_size": None, "segmentation_size": three.SIZE, **options}
        build_set(exports, tmp_path / "set", BuildOptions.model_validate(options))
        return tmp_path / "set"

    return run


def rows_of(path):
    with path.open(newline="") as stream:
        return {row["image"]: row for row in csv.DictReader(stream)}


def labels(root, cell):
    if not cell:
        return np.zeros(three.SIZE, dtype=int)
    pixels = np.asarray(Image.open(root / "images" / cell)).astype(int)
    return pixels if pixels.ndim == 2 else pixels[..., 0] + 256 * pixels[..., 1]


def expected(root):
    """(share without consensus, share that it changes by person), means over images."""
    index = rows_of(root / "index.csv")
    open_shares, changes = [], {person: [] for person in three.PEOPLE}
    for image, row in index.items():
        chosen = labels(root, row["object"])
        stem = image.rpartition("/")[2].removesuffix(".jpg")
        mask = root / f"images/consensus/images/{stem}_object_undecided.png"
        undecided = labels(root, mask.relative_to(root / "images")) > 0 if mask.exists() else None
        undecided = np.zeros(three.SIZE, dtype=bool) if undecided is None else undecided
        open_shares.append(undecided.mean())
        for person in three.PEOPLE:
            own = labels(root, rows_of(root / f"annotators/{person}/index.csv")[image]["object"])
            changes[person].append((own != chosen)[~undecided].mean())
    return np.mean(open_shares), {person: np.mean(own) for person, own in changes.items()}


@pytest.mark.parametrize("method", ["majority", "ben"])
def test_shares_are_those_of_the_maps(build, method):
    root = build(consensus=method)
    (entry,) = measure_consistency(root, QUICK).report.consensus
    undecided, changed = expected(root)
    assert (entry.method, entry.category) == (method, "object")
    assert entry.undecided.value == pytest.approx(undecided, abs=1e-12)
    for person in three.PEOPLE:
        figure = entry.changed[person]
        assert figure.value == pytest.approx(changed[person], abs=1e-12)
        assert figure.n_images == three.IMAGES
        assert figure.low <= figure.value <= figure.high
    if method == "ben":
        assert entry.changed["ben"].value == 0
    else:
        by_category = open_manifest(root).counts.undecided_by_category
        assert entry.undecided.value == pytest.approx(by_category["object"], abs=1e-9)
        assert entry.undecided.value > 0


def test_sources_have_no_consensus(build):
    root = build()
    report = measure_consistency(root.parent / "exports/ada.json", QUICK).report
    assert report.consensus == []


def test_maps_that_cannot_be_compared(build):
    root = build()
    path = root / "images/annotators/ada/images/0000_object.png"
    Image.new("RGB", (5, 5)).save(path)
    with pytest.raises(LayoutError, match=r"label maps of images/0000\.jpg differ in size"):
        measure_consistency(root, QUICK)
