"""The seam in the middle of a build: records go in, members go across, a set comes out."""

from __future__ import annotations

import hashlib
import io
import json
from collections import Counter
from contextlib import nullcontext

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, assembly, build_set
from conceptset.build.members import Layers, Member
from conceptset.build.publishing import Plan, make_folders, publish
from conceptset.build.sources import Opened, Source
from conceptset.errors import SourceError
from conceptset.geometry import Rings, box_ring
from conceptset.io.catalogue import ImageCatalogue
from conceptset.io.images import read_codes
from conceptset.io.parallel import LocalEngine
from conceptset.io.spool import SCRATCH
from conceptset.io.tables import read_table
from conceptset.records import ImageRecord, Origin, Person, Region
from conceptset.validate import validate

SIZE = (16, 24)
ADA, BEN = Person("ada"), Person("ben")


def region(name, kind="region", box=(0, 0, 8, 8), person=ADA, **more):
    geometry = None if kind in ("tag", "mark", "deleted") else Rings((box_ring(*box),))
    return Region(name, kind, geometry, person, Origin("a.x", "/0"), **more)


def record(*regions, image="a.png", workers=()):
    return ImageRecord(image, SIZE, "stored", workers, regions, Origin("a.x", "/images/0"))


class Said:
    """A reader that yields what it is given."""

    name, title = "said", "Said"

    def __init__(self, records):
        self.records = records

    def read(self, path, context):
        del path, context
        yield from self.records


@pytest.fixture
def build(world, tmp_path, monkeypatch):
    """Builds a set from records; returns its folder and the report."""

    def build_from(*records, catalogue=None, **options):
        catalogue = catalogue or ImageCatalogue(world.root / "images")
        path = world.root / "a.x"
        path.touch()
        opened = Opened((Source(path, "a.x", Said(records), catalogue),), {})
        monkeypatch.setattr(assembly, "open_sources", lambda *_, **__: nullcontext(opened))
        chosen = BuildOptions(image_size=SIZE, segmentation_size=SIZE, **options)
        return tmp_path / "set", build_set([path], tmp_path / "set", chosen)

    return build_from


def rows_of(path):
    return [cells for _, cells in read_table(path).records()]


def segments_of(out, person="ada"):
    text = (out / f"annotators/{person}/segments.jsonl").read_text()
    return [json.loads(line) for line in text.splitlines()]


def test_what_has_no_area_is_left_out_and_says_who_was_there(world, build):
    world.photograph("a.png")
    world.photograph("b.png")
    out, report = build(
        record(region("car"), region("nose", "mark", person=BEN)),
        record(region("tree", "deleted", person=BEN), image="b.png"),
    )
    assert report.manifest.counts.left_out == {
        "points and lines, which have no area": 1,
        "objects deleted in the tool": 1,
    }
    people = {
        row["annotator"]: (row["images"], row["segments"])
        for row in rows_of(out / "annotators.csv")
    }
    assert people == {"ada": ("1", "1"), "ben": ("2", "0")}
    assert {row["name"] for row in rows_of(out / "label.csv")} == {"car"}
    # who looked and drew nothing has a vote: no majority is left on either image
    assert {finding.code for finding in validate(out).findings} == {"IDX014"}


def test_what_is_interpolated_is_painted_and_marked_and_not_counted(world, build):
    world.photograph("a.png")
    out, report = build(
        record(
            region("car"), region("bus", box=(8, 0, 8, 8), interpolated=True), region("sky", "tag")
        )
    )
    assert [line.get("interpolated") for line in segments_of(out)] == [None, True, None]
    assert [line["order"] for line in segments_of(out)] == [0, 1, 2]
    assert report.manifest.counts.segments == 2
    assert [row["segments"] for row in rows_of(out / "annotators.csv")] == ["2"]
    assert np.unique(read_codes(out / "images/images/a_object.png"), return_counts=True)[
        1
    ].tolist() == [*(16 * 24 - 2 * 64, 64, 64)]
    assert validate(out).findings == ()


def test_the_validator_counts_what_was_drawn(world, build):
    world.photograph("a.png")
    out, _ = build(record(region("car"), region("bus", interpolated=True)))
    path = out / "annotators/ada/segments.jsonl"
    path.write_text(path.read_text().replace(', "interpolated": true', ""))
    assert "ANN009" in {finding.code for finding in validate(out).findings}


def test_wholes_stay_whole_over_several_records_and_photographs(world, build):
    """Records of one photograph, and of two with the same bytes, become one list of drawings."""
    first = world.photograph("a.png")
    (world.root / "images/b.png").write_bytes(first.read_bytes())
    pair = (region("car"), region("door", part_of=0))
    out, _ = build(
        record(*pair), record(region("sky", "tag"), *pair[:1]), record(*pair, image="b.png")
    )
    lines = segments_of(out)
    assert [line["concept"] for line in lines] == ["car", "door", "sky", "car", "car", "door"]
    assert [line["part_of"] for line in lines] == [None, 0, None, None, None, 4]


def test_an_embedded_photograph_is_read_where_it_was_put(world, build, tmp_path):
    """Its key leads to no file below the image root."""
    world.photograph("other.png")
    buffer = io.BytesIO()
    Image.new("RGB", SIZE[::-1], (10, 200, 30)).save(buffer, "PNG")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    catalogue = ImageCatalogue(world.root / "images", workspace)
    key = catalogue.adopt("inside.png", buffer.getvalue()).key
    out, _ = build(record(region("car"), image=key), catalogue=catalogue, image_format="png")
    assert (out / "images/images/inside.png").read_bytes() == buffer.getvalue()
    assert rows_of(out / "images.csv")[0]["sha256"] == hashlib.sha256(buffer.getvalue()).hexdigest()


def test_scratch_is_gone(world, build):
    world.photograph("a.png")
    out, _ = build(record(region("car")))
    assert not (out / SCRATCH).exists()
    assert not [path for path in out.rglob("*") if path.name.startswith(".")]


def test_a_mask_that_vanishes_is_an_input_that_cannot_be_read(world, build, monkeypatch):
    """The set is being written meanwhile, but nothing is wrong with that."""
    world.photograph("a.png")

    def gone(*_):
        raise FileNotFoundError(2, "No such file or directory", "/elsewhere/mask.png")

    monkeypatch.setattr(assembly, "render_image", gone)
    with pytest.raises(SourceError, match=r"/elsewhere/mask\.png: cannot be read \(No such file"):
        build(record(region("car")))


# ------------------------------------------------------------------ the second half by itself


def plan(**changes):
    values = {
        "people": (ADA, BEN),
        "models": frozenset(),
        "sources": ("street",),
        "identifiers": {"car": 1, "tree": 2, "never": 3},
        "synonyms": lambda concept: ["auto"] if concept == "car" else [],
        "consensus": "majority",
        "min_frequency": 1,
        "min_coverage": 0.0,
        "entries": [],
        "settings": {},
        "left_out": Counter(),
    } | changes
    return Plan(**values)


def members(folder):
    """Three images; each photograph is written when its member is asked for."""
    for place, stem in enumerate("abc"):
        name = f"street/{stem}.png"
        Image.new("RGB", (8, 8), (place, 0, 0)).save(folder / "images" / name)
        data = (folder / "images" / name).read_bytes()
        labels = np.zeros((4, 4), dtype=np.int32)
        labels[: place + 1] = 1
        other = np.where(labels > 0, labels, 2).astype(np.int32)
        ignored = np.zeros((4, 4), dtype=bool)
        ignored[0, 0] = place == 1
        digest = hashlib.sha256(data).hexdigest()
        yield Member(
            name=name,
            source="street",
            stem=stem,
            split="train",
            original=f"{stem}.png",
            sha256=digest,
            photograph=digest,
            size=(8, 8),
            layers=Layers.of(
                (4, 4),
                {(0, "object", 0): labels, (1, "object", 0): other},
                ignores={(1, "object"): ignored},
                tags=[(0, "scene", 2)] if place == 0 else [],
                people=(0, 1),
            ),
            segments={},
            n_segments={},
        )


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_set_from_members_that_no_annotation_made(tmp_path, jobs):
    folder = tmp_path / "set"
    folder.mkdir()
    chosen = plan()
    make_folders(folder, chosen)
    published = publish(folder, chosen, members(folder), engine=LocalEngine(jobs))
    assert published.notes == []
    assert validate(folder).findings == ()
    labels = {row["name"]: row for row in rows_of(folder / "label.csv")}
    assert {name: (row["number"], row["frequency"]) for name, row in labels.items()} == {
        "tree": ("1", "0"),  # ben's alone: where he votes against ada nobody has a majority
        "car": ("2", "3"),  # in as many images, but on fewer pixels
    }
    assert labels["car"]["syns"] == "auto"
    assert [row["kind"] for row in rows_of(folder / "annotators.csv")] == ["person", "person"]
    cars = read_codes(folder / "images/street/b_object.png")
    assert (cars == 2).sum() == 8  # the pixel that ben ignored is decided by ada alone
    assert published.manifest.counts.images == 3


def test_limits_of_members(tmp_path):
    folder = tmp_path / "set"
    folder.mkdir()
    chosen = plan(min_frequency=4)
    make_folders(folder, chosen)
    with pytest.raises(SourceError, match=r"no label is left.*concepts below the limits: 2"):
        publish(folder, chosen, members(folder))


def test_no_member_at_all(tmp_path):
    with pytest.raises(SourceError, match="none of the images"):
        publish(tmp_path, plan(), [])
    assert not (tmp_path / "conceptset.json").exists()
