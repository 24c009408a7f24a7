"""A reader written from what the peers' programs do (their regexes, int16, `;`), not from ours."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conceptset.build import BuildOptions, build_set


class PeerReader:
    """Loads a layout as NetDissect-Lite does: root tables, any index by its file name."""

    def __init__(self, root: Path, index: str = "index.csv") -> None:
        self.root = root
        with (root / index).open(newline="") as stream:
            self.rows = list(csv.DictReader(stream))
        with (root / "category.csv").open(newline="") as stream:
            self.categories = [row["name"] for row in csv.DictReader(stream)]
        with (root / "label.csv").open(newline="") as stream:
            self.labels = [None, *csv.DictReader(stream)]
        self.tables = {}
        for category in self.categories:
            with (root / f"c_{category}.csv").open(newline="") as stream:
                self.tables[category] = list(csv.DictReader(stream))
        for number, row in enumerate(self.labels[1:], start=1):
            assert int(row["number"]) == number
            assert re.fullmatch(
                r"([a-z][a-z0-9_]*\(\d+\))(;[a-z][a-z0-9_]*\(\d+\))*", row["category"]
            )
        for table in [self.labels[1:], *self.tables.values()]:
            for row in table:
                assert re.fullmatch(r"\d+\.\d+", row["coverage"]), "an exponent is read as text"
                assert 0 < int(row["number"]) < 32768

    def decode(self, cell):
        """Whole-image labels as ints, maps as (n, sh, sw) int16."""
        if re.fullmatch(r"(\d+)?(;\d+)*", cell):
            return [int(entry) for entry in cell.split(";") if entry]
        assert "" not in cell.split(";")
        planes = []
        for name in cell.split(";"):
            assert not re.fullmatch(r"\d+", name)
            with Image.open(self.root / "images" / name) as image:
                rgb = np.asarray(image)
            assert rgb.dtype == np.uint8
            assert rgb.ndim == 3
            assert rgb.shape[2] == 3
            planes.append(rgb[..., 0].astype(np.int16) + rgb[..., 1].astype(np.int16) * 256)
        return np.stack(planes)

    def counts(self):
        """(label, category) -> (images, sum of fractions), from the maps alone."""
        found = {}
        for row in self.rows:
            with Image.open(self.root / "images" / row["image"]) as photograph:
                assert photograph.mode == "RGB"
                assert (photograph.height, photograph.width) == (int(row["ih"]), int(row["iw"]))
            for category in self.categories:
                data = self.decode(row[category])
                if isinstance(data, list):
                    seen = dict.fromkeys(data, 1.0)
                else:
                    assert data.shape[1:] == (int(row["sh"]), int(row["sw"]))
                    numbers, pixels = np.unique(data, return_counts=True)
                    area = data.shape[1] * data.shape[2]
                    seen = dict(zip(numbers.tolist(), (pixels / area).tolist(), strict=True))
                for number, share in seen.items():
                    if number:
                        images, total = found.get((number, category), (0, 0.0))
                        found[number, category] = (images + 1, total + share)
        return found


def check_tables(reader: PeerReader):
    """Every figure of the root's tables, recounted."""
    counts = reader.counts()
    for category in reader.categories:
        rows = reader.tables[category]
        assert [int(row["code"]) for row in rows] == list(range(1, len(rows) + 1))
        listed = {int(row["number"]): row for row in rows}
        used = {number for number, where in counts if where == category}
        assert used <= set(listed)
        for number, row in listed.items():
            images, total = counts.get((number, category), (0, None))
            assert int(row["frequency"]) == images
            if total is not None:
                assert float(row["coverage"]) == pytest.approx(total, abs=1e-8)
            assert row["name"] == reader.labels[number]["name"]
    for number, row in enumerate(reader.labels[1:], start=1):
        total = sum(share for (label, _), (_, share) in counts.items() if label == number)
        assert float(row["coverage"]) == pytest.approx(total, abs=1e-8)
        for part in row["category"].split(";"):
            category, images = re.fullmatch(r"(\w+)\((\d+)\)", part).groups()
            assert counts.get((number, category), (0, 0))[0] == int(images)


@pytest.fixture
def two_people(world, tmp_path):
    images = {}
    for place in range(5):
        name = f"street/{place}.png"
        world.photograph(name, (20, 30))
        images[name] = (20, 30)
    first = [(name, "car", (2, 2, 10, 8)) for name in images] + [
        (name, "wheel", (3, 7, 3, 3)) for name in list(images)[:3]
    ]
    second = [(name, "car", (3, 2, 10, 9)) for name in images] + [
        (next(iter(images)), "lamp", (20, 0, 4, 15))
    ]
    tags = [(list(images)[1], "rainy", {}), (list(images)[2], "rainy", {})]
    ada = world.coco("ada.json", images, first + tags)
    ben = world.coco("ben.json", images, second + tags[:1])
    taxonomy = tmp_path / "taxonomy.csv"
    taxonomy.write_text("name,concept,category,synonyms\nwheel,wheel,part,tyre;rim\n")
    out = tmp_path / "set"
    options = BuildOptions(annotator_from="file", taxonomy=taxonomy, image_size=(32, 32))
    build_set([ada, ben], out, options)
    return out


def test_peer_reads_the_root_and_finds_its_figures(two_people):
    reader = PeerReader(two_people)
    assert reader.categories == ["object", "part", "scene"]
    check_tables(reader)


@pytest.mark.parametrize("person", ["ada", "ben"])
def test_peer_reads_every_annotator_by_index_file(two_people, person):
    reader = PeerReader(two_people, f"annotators/{person}/index.csv")
    assert len(reader.rows) == 5
    counts = reader.counts()
    names = {reader.labels[number]["name"] for number, _ in counts}
    assert names == ({"car", "wheel", "rainy"} if person == "ada" else {"car", "lamp", "rainy"})
    with (two_people / "annotators" / person / "label.csv").open(newline="") as stream:
        for row in csv.DictReader(stream):
            assert row["name"] == reader.labels[int(row["number"])]["name"]
            images = sum(count for (n, _), (count, _) in counts.items() if n == int(row["number"]))
            assert int(row["frequency"]) == images


def test_a_concept_of_one_person_keeps_its_place_with_frequency_0(two_people):
    reader = PeerReader(two_people)
    (lamp,) = [row for row in reader.tables["object"] if row["name"] == "lamp"]
    assert int(lamp["frequency"]) == 0
    assert float(lamp["coverage"]) > 0
    (label,) = [row for row in reader.labels[1:] if row["name"] == "lamp"]
    assert (label["category"], label["frequency"]) == ("object(0)", "0")


@pytest.mark.real
def test_peer_reads_real_photographs(shared, tmp_path):
    out = tmp_path / "set"
    build_set([shared / "real/msrc/coco.json"], out, BuildOptions())
    reader = PeerReader(out)
    check_tables(reader)
    assert len(reader.rows) == 120
