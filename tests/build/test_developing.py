"""Photographs made beside the reading: the same bytes, the same failures, nothing left running."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.build.developing import SMALL, Darkroom, Negative, develop
from conceptset.errors import OutputError
from conceptset.io.catalogue import ImageCatalogue
from conceptset.io.tables import digest

SIZE = (16, 24)
N_IMAGES = SMALL + 12


@pytest.fixture
def source(world):
    """More photographs than it takes to start processes; some are odd."""
    names = [f"{place:02}.png" for place in range(N_IMAGES)]
    for name in names:
        world.photograph(name)
    broken = world.root / "images" / names[50]
    broken.write_bytes(broken.read_bytes()[:-200])
    shutil.copy(world.root / "images" / names[3], world.root / "images" / names[30])
    drawn = [(name, "car", (0, 0, 8 + place % 9, 8)) for place, name in enumerate(names)]
    return world.coco("c.json", dict.fromkeys(names, SIZE), drawn)


def tree(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_any_number_of_jobs_gives_the_same_set(source, tmp_path):
    built = {}
    for jobs in (1, 3):
        out = tmp_path / f"set{jobs}"
        report = build_set(
            [source], out, BuildOptions(annotator="ada", on_error="collect", jobs=jobs)
        )
        built[jobs] = (tree(out), [str(finding) for finding in report.findings])
    assert built[1] == built[3]
    files, findings = built[1]
    assert sum(path.suffix == ".jpg" for path in files) == N_IMAGES - 2
    assert [finding.split()[1] for finding in findings] == ["SRC033", "SRC003"]


def test_what_is_shown_while_it_is_built(source, tmp_path):
    from contextlib import contextmanager

    shown = {}

    @contextmanager
    def step(label):
        shown[label] = []
        yield lambda done, total: shown[label].append((done, total))

    options = BuildOptions(annotator="ada", on_error="collect", jobs=2)
    build_set([source], tmp_path / "set", options, step=step)
    assert list(shown) == ["unpacking", "reading", "photographs", "painting", "writing maps"]
    assert shown["reading"][-1] == (N_IMAGES, 0)
    assert shown["painting"][-1] == (N_IMAGES - 1, N_IMAGES - 1)
    assert all(total == N_IMAGES for _, total in shown["photographs"])


def darkroom_of(folder, source, **options):
    """A darkroom that was asked for all photographs."""
    catalogue = ImageCatalogue(source.parent / "images")
    darkroom = Darkroom(folder, BuildOptions(**options))
    for place in range(N_IMAGES):
        darkroom.take(catalogue.find(f"{place:02}.png"), "stored", SIZE)
    return darkroom


def test_results_are_found_by_number(source, tmp_path):
    with darkroom_of(tmp_path, source, jobs=2) as darkroom:
        made = darkroom.finish(lambda _done, _total: None)
    assert [one.place.name for one in made] == [f"{p:09}.photograph" for p in range(N_IMAGES)]
    for place, one in enumerate(made):
        path = source.parent / "images" / f"{place:02}.png"
        assert one.original == digest(path.read_bytes())
        assert (one.failure is not None) == (place == 50)
        assert one.place.exists() == (place != 50)
        assert one.failure or one.digest == digest(one.place.read_bytes())


def test_one_job_or_few_photographs_are_left_to_whoever_paints(source, tmp_path):
    with darkroom_of(tmp_path, source, jobs=1) as darkroom:
        assert darkroom.finish(lambda _done, _total: None) == []
    assert list(tmp_path.glob("*.photograph")) == []


def test_a_place_that_cannot_be_written(source, tmp_path):
    folder = tmp_path / "gone"
    with pytest.raises(FileNotFoundError), darkroom_of(folder, source, jobs=2) as darkroom:
        darkroom.finish(lambda _done, _total: None)
    assert threading.active_count() < 10


def test_it_stops_when_the_reading_fails(source, tmp_path):
    """What is still to be made is not made."""
    with pytest.raises(KeyError), darkroom_of(tmp_path, source, jobs=2):
        raise KeyError
    before = sorted(tmp_path.glob("*.photograph"))
    assert sorted(tmp_path.glob("*.photograph")) == before
    assert not [thread for thread in threading.enumerate() if "ThreadPool" in thread.name]


def test_a_full_disk_is_an_output_that_cannot_be_written(source, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match="No space left"):
        build_set([source], tmp_path / "set", BuildOptions(annotator="ada"))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("set")] == []


def test_a_file_that_needs_no_change_is_copied(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGB", SIZE[::-1], (1, 2, 3)).save(path)
    photograph = ImageCatalogue(tmp_path).find("a.png")
    options = BuildOptions(image_size=SIZE, image_format="png")
    made = develop(options, Negative(photograph, "stored", SIZE, tmp_path / "b.png"))
    assert made.digest == made.original == digest(path.read_bytes())
    assert (tmp_path / "b.png").read_bytes() == path.read_bytes()
    changed = develop(options, Negative(photograph, "stored", (5, 5), tmp_path / "c.png"))
    assert changed.failure == "changed its size while the set was built"
    path.unlink()
    gone = develop(options, Negative(photograph, "stored", SIZE, tmp_path / "d.png"))
    assert (gone.failure, gone.original) == ("cannot be read (No such file or directory)", "")
