"""What the scan says of single files."""

from __future__ import annotations

import io
import os
import random

import numpy as np
import pytest
from PIL import Image
from small_sets import SmallSet, label_pixels, png, sealed

from conceptset.errors import ImageError
from conceptset.io.images import check_decodes, decode_rgb, decode_stored
from conceptset.layout.digests import digest_of_files
from conceptset.validate import validate
from conceptset.validate.scan import ScanItem, scan_image
from conceptset.validate.sheets import figure, has_exponent, whole


def is_whole(function, data, tmp_path):
    try:
        function(tmp_path / "x", data)
    except ImageError:
        return False
    return True


@pytest.mark.parametrize("progressive", [False, True])
def test_quick_decoding_finds_what_full_decoding_finds(tmp_path, progressive):
    chance = np.random.default_rng(3)
    stream = io.BytesIO()
    pixels = chance.integers(0, 256, (61, 83, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(stream, "JPEG", quality=90, progressive=progressive)
    data = stream.getvalue()
    damaged = [data[:cut] for cut in range(1, len(data), 37)]
    damaged += [data[: len(data) - cut] for cut in range(12)]
    for place in random.Random(5).sample(range(len(data)), 60):
        damaged.append(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
    for case in damaged:
        quick = is_whole(lambda path, case: check_decodes(path, data=case), case, tmp_path)
        full = is_whole(
            lambda path, case: decode_rgb(path, frame="stored", data=case), case, tmp_path
        )
        assert quick == full


def test_check_decodes_says_the_full_size(tmp_path):
    stream = io.BytesIO()
    Image.new("RGB", (83, 61)).save(stream, "JPEG")
    assert check_decodes(tmp_path / "x", data=stream.getvalue()).size == (61, 83)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_decode_stored_changes_nothing(tmp_path, mode):
    image = Image.new(mode, (5, 3), 7 if mode == "L" else (7,) * len(mode))
    path = tmp_path / "x.png"
    image.save(path)
    header, pixels = decode_stored(path)
    assert (header.mode, header.size, header.format) == (mode, (3, 5), "PNG")
    assert (pixels == 7).all()
    assert pixels.shape == ((3, 5) if mode == "L" else (3, 5, len(mode)))


def test_facts_against_plain_loops(tmp_path):
    chance = np.random.default_rng(11)
    labels = {name: chance.choice([0, 1, 255, 256, 700], (7, 9)) for name in ("a.png", "b.png")}
    for name, values in labels.items():
        (tmp_path / name).write_bytes(png(label_pixels(values)))
    item = ScanItem(None, ((("a.png", "b.png"), (700,)),))
    facts = scan_image(item, folder=tmp_path, known=frozenset({1, 255, 256}), links=False)
    assert facts.photo is None
    for one in facts.maps:
        values = labels[one.path]
        expected = {n: int((values == n).sum()) for n in (1, 255, 256, 700) if (values == n).any()}
        assert dict(zip(one.labels, one.counts, strict=True)) == expected
        (unknown,) = one.unknown
        assert unknown == (700, tuple(np.argwhere(values == 700)[0]), (values == 700).sum())
    same = (labels["a.png"] == labels["b.png"]) & (labels["a.png"] != 0)
    first = tuple(np.argwhere(same)[0])
    pair, *wholes = facts.doubles
    assert (pair.first, pair.second) == ("a.png", "b.png")
    assert pair.spot == (labels["a.png"][first], first, same.sum())
    assert [(one.first, one.spot.value) for one in wholes] == [("a.png", 700), ("b.png", 700)]


def test_maps_of_unequal_size_are_not_compared(tmp_path):
    (tmp_path / "a.png").write_bytes(png(label_pixels(np.ones((2, 3), dtype=int))))
    (tmp_path / "b.png").write_bytes(png(label_pixels(np.ones((3, 2), dtype=int))))
    item = ScanItem(None, ((("a.png", "b.png"), ()),))
    assert scan_image(item, folder=tmp_path, known=None, links=False).doubles == ()


def test_pipe_in_the_place_of_a_photograph_is_not_waited_for(tmp_path):
    root = SmallSet().write(tmp_path / "set")
    (root / "images/cam/c.jpg").unlink()
    os.mkfifo(root / "images/cam/c.jpg")
    (finding,) = validate(root).findings
    assert (finding.code, finding.line) == ("IDX003", 4)


def test_loop_of_links(tmp_path):
    root = SmallSet().write(tmp_path / "set")
    path = root / "images/cam/c.jpg"
    path.unlink()
    path.symlink_to(path)
    assert {finding.code for finding in validate(root).findings} == {"LAY013"}


def test_link_inside_the_set_is_fine(tmp_path):
    small = SmallSet()
    root = small.write(tmp_path / "set")
    path = root / "images/cam/a_part.png"
    (root / "images/annotators/ada/cam/a_part.png").unlink()
    (root / "images/annotators/ada/cam/a_part.png").symlink_to(path)
    assert validate(root).findings == ()


def test_label_drawn_and_given_in_one_cell_counts_one(tmp_path):
    """The cell says that the whole image carries it; its pixels are among these."""
    small = SmallSet(ours=False)
    cell = small.cell("index.csv", 2, "object")
    small.put("index.csv", 2, "object", f"{cell};1")
    total = 1 + 4 / 24
    for table in ("label.csv", "c_object.csv"):
        small.put(table, 2, "coverage", f"{total:.6f}")
    codes = {finding.code for finding in validate(small.write(tmp_path / "set")).findings}
    assert codes == {"SEG011", "CAT018"}


def test_folder_in_the_place_of_segments(tmp_path):
    root = SmallSet().write(tmp_path / "set")
    (root / "annotators/ada/segments.jsonl").unlink()
    (root / "annotators/ada/segments.jsonl").mkdir()
    (finding,) = validate(root).findings
    assert (finding.code, finding.path) == ("ANN013", "annotators/ada/segments.jsonl")


def test_digest_of_files():
    files = {"b.png": "1" * 64, "a.png": "2" * 64}
    assert digest_of_files(files) == sealed(files)
    assert digest_of_files(files) != digest_of_files({"b.png": "1" * 64})


@pytest.mark.parametrize("text", ["", "-1", "1.0", "1e3", "²", "٣", " 1", "1_000", "9" * 19])
def test_no_whole_number(text):
    assert whole(text) is None


@pytest.mark.parametrize("text", ["", "-1", "nan", "inf", "1e999", "1_0", "0x1", "٣", "1,5", " 1"])
def test_no_figure(text):
    assert figure(text) is None
    assert not has_exponent(text)
