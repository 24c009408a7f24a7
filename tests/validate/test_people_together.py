"""Sets as they are built: the consensus follows from its annotators, until somebody edits maps."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.consensus import METHODS
from conceptset.repair import RepairOptions, repair_set
from conceptset.validate import validate


def coco(images, shift=0):
    """One rectangle in each image, of a concept that depends on the image."""
    corners = [(2 + shift, 2), (14 + shift, 2), (14 + shift, 12), (2 + shift, 12)]
    ring = [coordinate for corner in corners for coordinate in corner]
    return json.dumps(
        {
            "images": [
                {"id": i, "file_name": f"{i}.png", "height": 20, "width": 20} for i in images
            ],
            "categories": [{"id": 0, "name": "car"}, {"id": 1, "name": "bus"}],
            "annotations": [
                {"id": i, "image_id": i, "category_id": i % 2, "segmentation": [ring]}
                for i in images
            ],
        }
    )


@pytest.fixture
def build(tmp_path):
    """Builds a set of four photographs from each person's images (and how far they draw off)."""
    (tmp_path / "photos").mkdir()
    for i in range(4):
        pixels = np.random.default_rng(i).integers(0, 256, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i}.png")

    def make(people, **options):
        for name, (images, shift) in people.items():
            (tmp_path / f"{name}.json").write_text(coco(images, shift))
        settings = BuildOptions(
            images=tmp_path / "photos",
            annotator_from="file",
            image_size=(20, 20),
            segmentation_size=(20, 20),
            **options,
        )
        build_set([tmp_path / f"{name}.json" for name in people], tmp_path / "set", settings)
        return tmp_path / "set"

    return make


def codes(root):
    return [finding.code for finding in validate(root).findings]


PEOPLE = {"ada": (range(4), 0), "ben": (range(3), 0), "cyd": (range(2), 1)}


@pytest.mark.parametrize("method", [*METHODS, "ben"])
def test_nothing_to_find_after_a_build(build, method):
    people = {**PEOPLE, "ben": (range(4), 0)} if method == "ben" else PEOPLE
    root = build(people, consensus=method)
    assert codes(root) == []


def redrawn(path):
    """Everything one pixel further down."""
    pixels = np.roll(np.asarray(Image.open(path)), 1, axis=0)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("method", ["majority", "segment-vote"])
def test_maps_redrawn_after_the_build(build, tmp_path, method):
    """Sealed again by repair, nothing but the consensus tells."""
    root = build({"ada": (range(4), 0), "ben": (range(3), 0)}, consensus=method)
    for name in ("ada", "ben"):
        redrawn(root / f"images/annotators/{name}/photos/0_object.png")
    redrawn(root / "images/annotators/ada/photos/3_object.png")
    assert "LAY010" in codes(root)
    repair_set(root, tmp_path / "new", RepairOptions())
    found = validate(tmp_path / "new").findings
    assert {finding.code for finding in found} == {"ANN021"}
    named = [finding.message.split()[0] for finding in found]
    seen_alike = [] if method == "segment-vote" else ["photos/0.jpg"]  # segments may differ still
    assert sorted(named) == [*seen_alike, "photos/3.jpg"]


def test_nobody_shares_an_image(build):
    """Everybody did other images, on purpose as it seems: no defect of the set."""
    assert codes(build({f"p{i}": ([i], 0) for i in range(4)})) == []


def test_one_shares_no_image(build):
    report = validate(build({"ada": ([0, 1], 0), "ben": ([0, 1], 0), "cyd": ([2, 3], 0)}))
    (finding,) = report.findings
    assert finding.code == "ANN019"
    assert "2 images of 'cyd'" in finding.message
    assert finding.line == 4


def test_models_and_sessions_make_no_difference(build):
    """Images that only a model saw are not the root's; two sessions of one are no pair."""
    root = build({"ada": ([0, 1], 0), "net": ([1, 2, 3], 0)}, model_annotators=("net",))
    assert codes(root) == []


def test_two_sessions_of_one_person(build):
    root = build({"ada": ([0, 1], 0), "ben": ([0, 1], 0)}, aliases={"ben": "ada#2"})
    assert codes(root) == []
