"""Backups of CVAT and saved answers of its REST interface."""

from __future__ import annotations

import json

import cvat_decoder as decoder
import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set
from conceptset.errors import AnnotationError, SourceError
from conceptset.formats import detect
from conceptset.formats.base import Candidate
from conceptset.formats.cvat import FORMAT
from conceptset.geometry import Ellipse
from conceptset.raster import rasterize
from conceptset.records import Origin

SIZE = (20, 30)


def shape(kind, points, frame=0, **more):
    return {"type": kind, "points": points, "frame": frame, "label": "door", **more}


def job(shapes=(), tags=(), tracks=()):
    return {"version": 0, "tags": list(tags), "shapes": list(shapes), "tracks": list(tracks)}


def write_task(home, jobs, *, names=("a", "b", "c", "d"), save=None, about=(), data=(), rows=None):
    """A task's backup as the server writes it; its images are made if `save` is given."""
    (home / "data").mkdir(parents=True)
    task = {
        "name": "t",
        "version": "1.0",
        "labels": [{"name": "door", "attributes": []}],
        "data": {"chunk_size": 4, **dict(data)},
        "jobs": list(about) or [{"start_frame": 0, "stop_frame": len(names) - 1}] * len(jobs),
    }
    (home / "task.json").write_text(json.dumps(task))
    (home / "annotations.json").write_text(json.dumps(jobs))
    lines = [{"version": "1.1"}, {"type": "images"}]
    lines += [
        {"name": name, "extension": ".png", "width": SIZE[1], "height": SIZE[0], "meta": {}}
        for name in names
    ]
    text = "".join(json.dumps(line) + "\n" for line in (lines if rows is None else rows))
    (home / "data/manifest.jsonl").write_text(text)
    for name in names:
        if save is not None:
            save(home / f"data/{name}.png", SIZE)


@pytest.fixture
def read(tmp_path, save, read_format):
    def run(jobs, **options):
        home = tmp_path / "backup"
        write_task(home, jobs, save=save, **options)
        return read_format(FORMAT, home, home)

    return run


def test_every_shape(read):
    runs = [2, 3, 5, 4, 1]
    entries = [
        shape("rectangle", [1.5, 2, 11.5, 9], rotation=30.0, z_order=2),
        shape("polygon", [1, 1, 20, 2.5, 11, 18], attributes=[{"name": "a", "value": "b"}]),
        shape("ellipse", [15.0, 10.0, 20.0, 7.0], rotation=20),
        shape("mask", [*map(float, runs), 4.0, 3.0, 8.0, 5.0]),
        shape("polyline", [1, 1, 2, 2]),
        shape("points", [1, 1]),
        shape("skeleton", [], elements=[shape("points", [1, 1])]),
        shape("cuboid", [1, 1, 1, 9, 9, 1, 9, 9, 12, 2, 12, 8, 3, 2, 3, 8]),
    ]
    records, findings = read([job(entries, [{"frame": 0, "label": "night"}])])
    assert not findings
    assert [record.image for record in records] == [f"data/{name}.png" for name in "abcd"]
    found = records[0].regions
    assert [(region.name, region.kind) for region in found] == [
        ("night", "tag"), ("door", "box"), ("door", "region"), ("door", "region"),
        ("door", "region"), ("door", "mark"), ("door", "mark"), ("door", "mark"), ("door", "box"),
    ]  # fmt: skip
    expected = [
        decoder.box(1.5, 2, 11.5, 9, 30, SIZE),
        decoder.filled([(1, 1), (20, 2.5), (11, 18)], SIZE),
        decoder.ellipse(15, 10, 5, 3, 20, SIZE),
        decoder.runs(runs, 4, 3, 5, 3, SIZE),  # the last column and row are inside
    ]
    for region, mask in zip(found[1:5], expected, strict=True):
        assert np.array_equal(rasterize(region.geometry, SIZE), mask)
    assert found[3].geometry == Ellipse((15.0, 10.0), (5.0, 3.0), 20.0)
    assert found[1].z_order == 2
    assert found[4].origin.pointer == "/0/shapes/3"
    assert found[4].origin.file == "backup/annotations.json"
    assert records[1].origin.file == "backup/data/manifest.jsonl"
    assert records[1].origin.pointer == "line 4"
    assert all(region.person is None for region in found)
    assert records[0].workers == ()


def test_frames_count_among_those_of_the_task(read):
    """Uploaded are seven images, of which the task takes every second from the second on."""
    data = {"start_frame": 1, "stop_frame": 5, "frame_filter": "step=2"}
    about = [{"start_frame": 0, "stop_frame": 2}]
    records, findings = read(
        [job([shape("polygon", [1, 1, 9, 1, 9, 9], frame=1)])],
        names="abcdefg", about=about, data=data,
    )  # fmt: skip
    assert not findings
    assert [(record.image[5], len(record.regions)) for record in records] == [
        ("b", 0), ("d", 1), ("f", 0),
    ]  # fmt: skip


def test_deleted_frames_and_frames_of_no_job(read):
    about = [{"start_frame": 0, "stop_frame": 1, "type": "annotation"}]
    entries = [shape("polygon", [1, 1, 9, 1, 9, 9], frame=frame) for frame in (0, 1, 2, 9)]
    records, findings = read([job(entries)], about=about, data={"deleted_frames": [0]})
    assert [record.image for record in records] == ["data/b.png"]
    assert [(f.code, f.pointer) for f in findings] == [
        ("SRC044", "/0/shapes/2"),
        ("SRC044", "/0/shapes/3"),
    ]


def test_ground_truth_and_replicas_are_somebody_elses(read):
    box = shape("rectangle", [1, 1, 9, 9])
    about = [
        {"start_frame": 0, "stop_frame": 3, "type": kind}
        for kind in ("annotation", "ground_truth", "consensus_replica")
    ]
    records, findings = read([job([box]), job([box]), job([box])], about=about)
    assert sum(len(record.regions) for record in records) == 1
    assert [(f.code, f.pointer) for f in findings] == [("SRC047", "/1"), ("SRC047", "/2")]


def test_overlapping_segments(read):
    about = [{"start_frame": 0, "stop_frame": 2}, {"start_frame": 2, "stop_frame": 3}]
    records, findings = read([job(), job()], about=about)
    assert len(records) == 4
    assert [(f.code, f.message) for f in findings] == [
        ("SRC049", "1 frames, such as 2, are in two jobs.")
    ]


def test_chosen_frames_of_a_job(read):
    about = [{"start_frame": 0, "stop_frame": 3, "frames": [3, 1]}]
    records, _ = read([job()], about=about)
    assert [record.image for record in records] == ["data/b.png", "data/d.png"]


def test_tracks_last_to_the_end_of_their_job(read):
    def key(frame, left, **more):
        return {
            "type": "rectangle", "frame": frame, "points": [left, 1, left + 4, 5],
            "outside": False, **more,
        }  # fmt: skip

    about = [{"start_frame": 0, "stop_frame": 4}, {"start_frame": 5, "stop_frame": 6}]
    tracks = [
        {"label": "door", "frame": 0, "shapes": [key(0, 1), key(2, 5, z_order=3)]},
        {"label": "roof", "frame": 1, "shapes": [key(1, 7), key(3, 7, outside=True)]},
    ]
    records, findings = read([job(tracks=tracks), job()], names="abcdefg", about=about)
    assert not findings
    found = [
        (record.image[5], region.name, float(region.geometry.rings[0][0, 0]), region.interpolated)
        for record in records
        for region in record.regions
    ]
    assert found == [
        ("a", "door", 1, False),
        ("b", "door", 3, True), ("b", "roof", 7, False),
        ("c", "door", 5, False), ("c", "roof", 7, True),
        ("d", "door", 5, True),
        ("e", "door", 5, True),
    ]  # fmt: skip


def test_a_project(tmp_path, save, read_format):
    home = tmp_path / "p"
    home.mkdir()
    (home / "project.json").write_text(json.dumps({"name": "p", "labels": [{"name": "door"}]}))
    for number in (0, 2, 10):
        triangle = shape("polygon", [1, 1, 9, 1, 9, 1 + number])
        write_task(home / f"task_{number}", [job([triangle])], names="a", save=save)
    found = FORMAT.detect(Candidate(home))
    assert found.matches
    assert found.reasons == (
        "is the backup of a project (3 tasks), 3 jobs",
        "who annotated is not stored",
    )
    assert found.people is None
    assert list(FORMAT.image_names(home))[:3] == [
        "task_0/data/a.png", "task_2/data/a.png", "task_10/data/a.png",
    ]  # fmt: skip
    records, findings = read_format(FORMAT, home, home)
    assert [record.image for record in records] == [
        "task_0/data/a.png", "task_2/data/a.png", "task_10/data/a.png",
    ]  # fmt: skip
    assert [region.origin.file for record in records for region in record.regions] == [
        f"p/task_{number}/annotations.json" for number in (2, 10)
    ]
    assert [(f.code, f.path) for f in findings] == [("SRC017", "p/task_0/annotations.json")]
    (home / "task_2/data/a.png").unlink()
    (home / "task_10/data/a.png").unlink()
    records, findings = read_format(FORMAT, home, home)
    assert [record.image for record in records] == ["task_0/data/a.png"]
    assert [f.code for f in findings if f.path.startswith("p/task_2")] == ["SRC001"]


def test_a_set_is_built_from_a_backup(tmp_path, save):
    home = tmp_path / "backup"
    random = np.random.default_rng(0)
    write_task(home, [job([shape("polygon", [1, 1, 25, 1, 25, 19])])], names="ab")
    for name in "ab":
        Image.fromarray(random.integers(0, 256, SIZE, dtype=np.uint8)).save(
            home / f"data/{name}.png"
        )
    report = build_set([home], tmp_path / "set", BuildOptions(annotator="ann"))
    assert report.manifest.counts.images == 2  # the second one was worked on, too
    assert report.manifest.counts.segments == 1
    assert [one.format for one in detect(home) if one.matches] == ["cvat"]


def test_the_photographs_elsewhere(tmp_path, save, read_format):
    home = tmp_path / "backup"
    write_task(home, [job()], names=["x/a", "x/b"])
    for name in "ab":
        save(tmp_path / f"photographs/x/{name}.png", SIZE)
    records, findings = read_format(FORMAT, home, tmp_path / "photographs")
    assert [record.image for record in records] == ["x/a.png", "x/b.png"]
    assert not findings


VIDEO = [
    {"version": "1.1"},
    {"type": "video"},
    {"properties": {"name": "t.mp4", "resolution": [30, 20], "length": 9}},
    {"number": 0, "pts": 0, "checksum": "x"},
]


def test_a_video_is_refused(read, tmp_path):
    records, findings = read([job()], rows=VIDEO)
    assert records == []
    assert [(f.code, f.message) for f in findings] == [
        ("SRC048", 'the task is about "t.mp4", not about images.')
    ]
    assert "CVAT for video 1.1" in findings[0].hint
    assert "1 of the tasks are videos, which are not read" in (
        FORMAT.detect(Candidate(tmp_path / "backup")).reasons
    )


def test_places_that_are_kept_free_count(read):
    rows = [
        {"version": "1.1"}, {"type": "images"}, {},
        {"name": "b", "extension": ".png", "width": 30, "height": 20},
    ]  # fmt: skip
    records, _ = read([job([shape("polygon", [1, 1, 9, 1, 9, 9], frame=1)])], rows=rows)
    assert [(record.image, len(record.regions)) for record in records] == [("data/b.png", 1)]


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        (shape("rectangle", [1, 1, 9]), "SRC020"),
        (shape("rectangle", [9, 1, 1, 9]), "SRC022"),
        (shape("polygon", [1, 1, 9, 9]), "SRC017"),
        (shape("polygon", [1, 1, 9, 9, 5]), "SRC020"),
        (shape("polygon", [1, 1, 9, float("nan"), 5, 5]), "SRC018"),
        (shape("polygon", [1, 1, 9, 1e300, 5, 5]), "SRC019"),
        (shape("polygon", [1, 1, 9, "9", 5, 5]), "SRC018"),
        (shape("polygon", None), "SRC016"),
        (shape("ellipse", [5, 5, 5, 2]), "SRC042"),
        (shape("ellipse", [5, 5, 9, 2], rotation="x"), "SRC018"),
        (shape("mask", [1, 2]), "SRC023"),
        (shape("mask", [4, 0, 0, 1]), "SRC023"),
        (shape("mask", [4, 0, 0, 1, 1.5]), "SRC023"),
        (shape("mask", [5, 0, 0, 1, 1]), "SRC023"),
        (shape("mask", [-1, 5, 0, 0, 1, 1]), "SRC023"),
        (shape("mask", [1.5, 2.5, 0, 0, 1, 1]), "SRC023"),
        (shape("mask", [4, 9, 9, 1, 1]), "SRC023"),
        (shape("mask", [float("inf"), 0, 0, 1, 1]), "SRC023"),
        (shape("mask", [4, 0, 0, 10**8, 10**8]), "SRC024"),
        (shape("mask", [21 * 31, 0, 0, 30, 20]), "SRC024"),
        (shape("cuboid", [1] * 16), "SRC017"),
        (shape("cuboid", [1] * 8), "SRC020"),
        (shape("star", [1, 1]), "SRC041"),
        (shape(["x"], [1, 1]), "SRC041"),
        (shape("rectangle", [1, 1, 9, 9], frame="x"), "SRC044"),
        (shape("rectangle", [1, 1, 9, 9], frame=99), "SRC044"),
        (shape("rectangle", [1, 1, 9, 9], label=""), "SRC010"),
        (shape("rectangle", [1, 1, 9, 9], label=7), "SRC010"),
        (shape("rectangle", [1, 1, 9, 9], z_order=1.5), "SRC040"),
        ("no object", "SRC015"),
    ],
)
def test_one_bad_shape_among_good_ones(tmp_path, save, read_format, entry, code):
    home = tmp_path / "backup"
    good = shape("polygon", [1, 1, 9, 1, 9, 9])
    write_task(home, [job([good, entry, good])], names="a", save=save)
    records, findings = read_format(FORMAT, home, home)
    assert [(f.code, f.pointer) for f in findings] == [(code, "/0/shapes/1")]
    kept = 3 if code == "SRC040" else 2
    assert len(records[0].regions) == kept
    if code not in ("SRC040", "SRC041"):
        with pytest.raises(AnnotationError):
            read_format(FORMAT, home, home, on_error="raise")


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("task.json", "[]", "an object was expected"),
        ("task.json", "{", "is no valid JSON"),
        ("annotations.json", "[1]", "is 1 where an object"),
        ("annotations.json", '{"shapes": 1, "tags": []}', "where an object"),
        ("data/manifest.jsonl", '{"version": "1.1"}\n{"name"', "is no valid JSON"),
        ("data/manifest.jsonl", "[]", "is a list"),
        ("data/manifest.jsonl", None, "says what image a frame is"),
    ],
)
def test_broken_backups(tmp_path, save, read_format, file, text, said):
    home = tmp_path / "backup"
    write_task(home, [job()], save=save)
    if text is None:
        (home / file).unlink()
    else:
        (home / file).write_text(text)
    with pytest.raises(SourceError, match=said):
        read_format(FORMAT, home, home)
    found = FORMAT.detect(Candidate(home))
    assert not found.matches
    assert said in found.reasons[0]


def test_what_is_no_backup(tmp_path, read_format):
    (tmp_path / "task.json").write_text("{}")
    assert not FORMAT.detect(Candidate(tmp_path)).matches
    with pytest.raises(SourceError, match="is no backup"):
        read_format(FORMAT, tmp_path, tmp_path)


LABELS = [{"id": 3, "name": "door", "sublabels": [{"id": 5, "name": "hinge"}]}]
FRAMES = [{"name": f"{name}.png", "width": 30, "height": 20} for name in "ab"]


def write_rest(home, entry, labels=None, meta=None):
    home.mkdir(exist_ok=True)
    (home / "annotations.json").write_text(json.dumps(entry))
    if labels is not None:
        (home / "labels.json").write_text(json.dumps(labels))
    if meta is not None:
        (home / "meta.json").write_text(json.dumps(meta))


def numbered(label_id=3, frame=0):
    return {"type": "rectangle", "points": [1, 1, 9, 9], "frame": frame, "label_id": label_id}


@pytest.mark.parametrize("labels", [LABELS, {"labels": LABELS}, {"count": 1, "results": LABELS}])
def test_answers_beside_each_other(tmp_path, save, read_format, labels):
    entry = job([numbered(), numbered("5", 1)], [{"frame": 1, "label_id": 3.0}])
    write_rest(tmp_path, entry, labels, {"size": 2, "start_frame": 0, "frames": FRAMES})
    for name in "ab":
        save(tmp_path / f"{name}.png", SIZE)
    path = tmp_path / "annotations.json"
    found = FORMAT.detect(Candidate(path))
    assert found.matches
    assert found.reasons[-1] == "who annotated is not stored"
    records, findings = read_format(FORMAT, path, tmp_path, label="x/annotations.json")
    assert not findings
    assert [[r.name for r in record.regions] for record in records] == [["door"], ["door", "hinge"]]
    assert records[0].regions[0].origin.pointer == "/shapes/0"
    assert records[1].origin == Origin("x/meta.json", "/frames/1")
    assert list(FORMAT.image_names(path)) == ["a.png", "b.png"]


def test_a_manifest_beside_it(tmp_path, save, read_format):
    write_rest(tmp_path, [job([numbered()])], LABELS)
    rows = [{"version": "1.1"}, {"type": "images"}, {"name": "a", "extension": ".png"}]
    (tmp_path / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    save(tmp_path / "a.png", SIZE)
    records, findings = read_format(FORMAT, tmp_path / "annotations.json", tmp_path)
    assert [len(record.regions) for record in records] == [1]
    assert [f.code for f in findings] == ["SRC005"]  # no size is stated


@pytest.mark.parametrize(
    ("entry", "labels", "meta", "missing"),
    [
        (job([numbered()]), None, {"frames": FRAMES}, "no JSON file beside it names the label 3"),
        (job([numbered(4)]), LABELS, {"frames": FRAMES}, "names the label 4"),
        (job([numbered(None)]), LABELS, {"frames": FRAMES}, "label_id is null everywhere"),
        (job([numbered()]), LABELS, None, "no file beside it says which image a frame is"),
        (
            job([numbered()]),
            LABELS,
            {"frames": FRAMES, "start_frame": 50, "size": 2},
            "frame numbers could count from its first",
        ),
        (
            job([numbered()]),
            [*LABELS, {"id": 3, "name": "roof"}],
            {"frames": FRAMES},
            "the label 3 has two names",
        ),
    ],
)
def test_what_is_not_known_is_not_guessed(tmp_path, read_format, entry, labels, meta, missing):
    write_rest(tmp_path, entry, labels, meta)
    found = FORMAT.detect(Candidate(tmp_path / "annotations.json"))
    assert not found.matches
    assert missing in " ".join(found.reasons)
    assert "/api/labels?task_id=N" in found.reasons[-1]
    with pytest.raises(SourceError, match="cannot be read"):
        read_format(FORMAT, tmp_path / "annotations.json", tmp_path)


def test_the_data_description_of_a_video(tmp_path, read_format):
    meta = {"size": 9, "frames": [{"name": "t.mp4", "width": 30, "height": 20}]}
    write_rest(tmp_path, job([numbered()]), LABELS, meta)
    records, findings = read_format(FORMAT, tmp_path / "annotations.json", tmp_path)
    assert records == []
    assert [f.code for f in findings] == ["SRC048"]


@pytest.mark.real
def test_a_collection_of_answers_is_no_answer(shared):
    found = FORMAT.detect(Candidate(shared / "samples/cvat/cvat_rest/annotations.json"))
    assert not found.matches
    assert "holds 34 of them by name, not one" in found.reasons


def test_json_of_others(tmp_path):
    for text in ("{}", "[]", '{"shapes": []}', '{"images": [], "annotations": []}', "x"):
        (tmp_path / "a.json").write_text(text)
        assert not FORMAT.detect(Candidate(tmp_path / "a.json")).matches
