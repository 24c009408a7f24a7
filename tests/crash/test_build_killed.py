"""`conceptset build`, killed or failed at every write: a set is whole or not there."""

from __future__ import annotations

import itertools
import json
import shutil

import pytest
from PIL import Image

pytestmark = [pytest.mark.crash, pytest.mark.slow]

SIZES = {"a.png": (16, 16), "b.png": (32, 24), "c.png": (64, 48)}
BUILD = ["build", "source", "--annotator-from", "file", "--out", "out", "--jobs", "1"]
OVER = [*BUILD, "--overwrite"]


def square(identity, image, category, left, top, side):
    right, bottom = left + side, top + side
    return {
        "id": identity,
        "image_id": image,
        "category_id": category,
        "iscrowd": 0,
        "area": side * side,
        "bbox": [left, top, side, side],
        "segmentation": [[left, top, right, top, right, bottom, left, bottom]],
    }


def write_source(folder, shift):
    """Three photographs, two categories, two people who disagree by `shift` pixels."""
    images = folder / "images"
    images.mkdir(parents=True)
    for place, (name, (width, height)) in enumerate(SIZES.items()):
        Image.new("RGB", (width, height), (40 * place, 90, 200 - 40 * place)).save(images / name)
    for person, offset in (("ada", 0), ("bob", shift)):
        annotations = []
        for number in range(1, len(SIZES) + 1):
            annotations.append(square(2 * number - 1, number, 1, 1 + offset, 2, 8))
            annotations.append(square(2 * number, number, 2, 9, 8 - offset, 6))
        document = {
            "images": [
                {"id": number, "file_name": name, "width": width, "height": height}
                for number, (name, (width, height)) in enumerate(SIZES.items(), 1)
            ],
            "categories": [{"id": 1, "name": "door"}, {"id": 2, "name": "window"}],
            "annotations": annotations,
        }
        (folder / f"{person}.json").write_text(json.dumps(document))


@pytest.fixture(scope="module")
def prepared(crashes, tree, tmp_path_factory):
    """The program, ready to be killed; what stands before, and what a whole build gives.

    Returns: the processes; a function that makes a directory to work in (`with_old`: an older set
    stands where the new one goes); the source, the old set and the new set as `tree` reads them.
    """
    base = tmp_path_factory.mktemp("killed")
    write_source(base / "new" / "source", 2)
    write_source(base / "old" / "source", 1)
    numbers = itertools.count()

    def make(*, with_old=False, source="new"):
        folder = base / f"run{next(numbers)}"
        folder.mkdir()
        shutil.copytree(base / source / "source", folder / "source")
        if with_old:
            shutil.copytree(base / "old" / "out", folder / "out")
        return folder

    crash = crashes("conceptset.cli", "conceptset")
    crash.warm(BUILD, make)
    wholes = {}
    for which in ("old", "new"):
        folder = make(source=which)
        outcome = crash.run(BUILD, folder)
        assert outcome.code == 0, outcome.output
        (folder / "out").rename(base / which / "out")
        wholes[which] = tree(base / which / "out")
    assert wholes["old"] != wholes["new"]
    assert "conceptset.json" in wholes["new"]
    return crash, make, tree(base / "new" / "source"), wholes["old"], wholes["new"]


def left_over(folder):
    """What stands beside the source and the target."""
    return sorted(path.name for path in folder.iterdir() if path.name not in ("source", "out"))


def test_killed(prepared, tree):
    crash, make, source, _, new = prepared

    def check(point):
        folder = make()
        crash.kill(BUILD, folder, point)
        assert tree(folder / "source") == source
        assert all(name.startswith("out.partial-") for name in left_over(folder))
        if not (folder / "out").exists():
            outcome = crash.run(BUILD, folder)
            assert outcome.code == 0, outcome.output
        assert tree(folder / "out") == new
        shutil.rmtree(folder)

    crash.everywhere(crash.points(BUILD, make()), check)


def test_killed_while_overwriting(prepared, tree):
    crash, make, source, old, new = prepared

    def check(point):
        folder = make(with_old=True)
        crash.kill(OVER, folder, point)
        assert tree(folder / "source") == source
        assert all(name.startswith("out.partial-") for name in left_over(folder))
        if (folder / "out").exists():
            assert tree(folder / "out") in (old, new)
        else:
            assert [tree(aside) for aside in folder.glob("out.partial-old-*/out")] == [old]
        if any("-old-" in name for name in left_over(folder)):  # else as in test_killed
            outcome = crash.run(OVER, folder)
            assert outcome.code == 0, outcome.output
            assert tree(folder / "out") == new
        shutil.rmtree(folder)

    crash.everywhere(crash.points(OVER, make(with_old=True)), check)


# What changes the names on disk.
MOVES = ("mkdir", "mkdirat", "rename", "renameat", "renameat2")

# What is deleted or given rights after the work is done may fail without harm.
MAY_FAIL = ("unlink", "unlinkat", "rmdir", "chmod", "fchmod", "fchmodat")


def test_full_disk(prepared, tree):
    """Exit code 3 that names the cause; the old set stands and nothing is left beside it."""
    crash, make, source, old, new = prepared

    def check(point):
        folder = make(with_old=True)
        outcome = crash.fail(OVER, folder, point, "ENOSPC")
        assert tree(folder / "source") == source
        if tree(folder / "out") != new:
            assert outcome.code == 3, outcome
            assert "No space left" in outcome.output
            assert "Traceback" not in outcome.output
            assert tree(folder / "out") == old
            assert left_over(folder) == []
        shutil.rmtree(folder)

    points = crash.points(OVER, make(with_old=True))
    crash.everywhere([point for point in points if point.call not in MAY_FAIL], check)


def test_interrupted(prepared, tree):
    """Ctrl-C: exit code 130, or a build that was as good as done; the old set or the new stands."""
    crash, make, source, old, new = prepared

    def check(point):
        folder = make(with_old=True)
        outcome = crash.interrupt(OVER, folder, point)
        assert outcome.code in (0, 130), outcome
        assert "Traceback" not in outcome.output
        assert tree(folder / "source") == source
        assert tree(folder / "out") in ([new] if outcome.code == 0 else [old, new])
        shutil.rmtree(folder)

    points = crash.points(OVER, make(with_old=True))
    crash.everywhere([point for point in points if point.call in ("write", *MOVES)], check)
