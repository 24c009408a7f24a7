"""Very many people in one image, and people who may be one, straight from annotation files."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from conceptset.cli import app
from conceptset.consistency import running
from conceptset.consistency.counting import image as counting


def compare(root, people, *options):
    """Two images; everybody draws a square in the first one, the first two also in the second."""
    ids = dict(enumerate(("crowded.png", "quiet.png"), start=1))
    images = [{"id": n, "file_name": name, "width": 24, "height": 20} for n, name in ids.items()]
    squares = [
        (image, person) for image in ids for person in (people if image == 1 else people[:2])
    ]
    annotations = [
        {
            "id": number,
            "image_id": image,
            "category_id": 1,
            "iscrowd": 0,
            "rater_id": person,
            "segmentation": [[2, 2, 15, 2, 15, 12 + number % 3, 2, 12 + number % 3]],
        }
        for number, (image, person) in enumerate(squares, start=1)
    ]
    categories = [{"id": 1, "name": "door"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (root / "all.json").write_text(json.dumps(document))
    arguments = ["consistency", str(root / "all.json"), "--jobs", "1", "--resamples", "0", *options]
    done = CliRunner().invoke(app, [*arguments, "--json", str(root / "out.json")])
    assert done.exit_code == 0, done.output
    return json.loads((root / "out.json").read_text())


def test_boundaries_of_a_crowd_are_left_alone_and_it_is_said(tmp_path, monkeypatch):
    for module in (running, counting):
        monkeypatch.setattr(module, "MAX_WITH_BOUNDARIES", 4)
    people = [f"rater {number:02d}" for number in range(5)]
    report = compare(tmp_path, people)
    (note,) = [note for note in report["notes"] if "Boundaries" in note]
    assert "in 1 of 2 images" in note
    pairs = {(pair["a"], pair["b"]): pair["figures"] for pair in report["pairs"]}
    first, other = pairs[people[0], people[1]], pairs[people[2], people[3]]
    assert first["boundary_iou"]["value"] is not None
    assert first["boundary_iou"]["n_images"] == 1
    assert other["boundary_iou"]["value"] is None
    assert "not measured" in other["boundary_iou"]["reason"]
    assert other["sq"]["value"] is not None


def test_no_crowd_no_note(tmp_path):
    report = compare(tmp_path, ["ada", "ben", "cyd"])
    assert not [note for note in report["notes"] if "Boundaries" in note]
    assert all(pair["figures"]["boundary_iou"]["value"] is not None for pair in report["pairs"][:1])


def test_two_spellings_in_files_are_told(tmp_path):
    report = compare(tmp_path, ["Ada Lovelace", "ben", "ada.lovelace"])
    assert any("--alias" in note and "ada.lovelace" in note for note in report["notes"])
