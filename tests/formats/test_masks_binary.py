"""Binary masks: which file is what, thresholds, and what is said about them."""

from __future__ import annotations

import itertools
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from conceptset.errors import AnnotationError, SourceError
from conceptset.findings import Problems
from conceptset.formats.base import Candidate, ReadContext
from conceptset.formats.masks import BINARY_MASKS, MASKS
from conceptset.io.catalogue import ImageCatalogue
from conceptset.raster import rasterize

SIZE = (24, 32)
NOISE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def mask_of(seed, share=0.3):
    """A few boxes of white."""
    rng = np.random.default_rng(seed)
    mask = np.zeros(SIZE, dtype=bool)
    while mask.mean() < share:
        top, left = rng.integers(0, SIZE[0]), rng.integers(0, SIZE[1])
        mask[top : top + 6, left : left + 6] = True
    return mask


def write(path, pixels, **how):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.asarray(pixels)
    if pixels.dtype == bool:
        pixels = pixels.astype(np.uint8) * 255
    image = Image.fromarray(pixels)
    image.save(path, **how)


@pytest.fixture
def folder(tmp_path):
    """A folder of photographs (noise) and masks, by name."""

    def make(photographs, masks):
        root = tmp_path / "source"
        root.mkdir(exist_ok=True)
        for name in photographs:
            write(root / name, NOISE)
        for seed, name in enumerate(masks):
            write(root / name, mask_of(seed))
        return root

    return make


def concepts(records):
    return {record.image: [region.name for region in record.regions] for record in records}


def codes_of(findings):
    return [finding.code for finding in findings]


def test_masks_beside_their_photographs(folder, read_format):
    root = folder(["a.jpg", "b.png"], ["a_door.png", "a_front_wall.png", "b_door.png"])
    assert BINARY_MASKS.detect(Candidate(root)).matches
    assert not MASKS.detect(Candidate(root)).matches
    assert list(BINARY_MASKS.image_names(root)) == ["a.jpg", "b.png"]
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"a.jpg": ["door", "front_wall"], "b.png": ["door"]}
    assert findings == []
    masks = [rasterize(region.geometry, SIZE) for record in records for region in record.regions]
    assert [mask.tolist() for mask in masks] == [mask_of(seed).tolist() for seed in range(3)]
    assert [r.origin.file for r in records[0].regions] == [
        "source/a_door.png",
        "source/a_front_wall.png",
    ]


@pytest.mark.parametrize(
    ("photographs", "masks"),
    [
        (["images/a.jpg"], ["masks/a_door.png"]),
        (["a.jpg"], ["masks/a_door.png"]),
        (["x/a.jpg", "y/a.jpg"], ["x/a_door.png", "y/a_roof.png"]),
        (["x/a.jpg", "y/a.jpg"], ["masks/x/a_door.png", "y/masks/a_roof.png"]),
        (["images/x/a.jpg"], ["images/x/a_door.png"]),
    ],
)
def test_layouts(folder, read_format, photographs, masks):
    root = folder(photographs, masks)
    assert BINARY_MASKS.detect(Candidate(root)).matches
    records, findings = read_format(BINARY_MASKS, root, root)
    assert codes_of(findings) == []
    expected = {}
    for photograph, mask in itertools.zip_longest(photographs, masks):
        expected[photograph] = [mask.rpartition("_")[2].removesuffix(".png")]
    assert concepts(records) == expected


@pytest.mark.parametrize(
    ("middle", "expected"),
    [
        ("mask", {"a.png": ["b", "b_c"]}),
        ("photograph", {"a_b.png": ["c"]}),
    ],
)
def test_a_name_that_could_be_either_is_told_by_the_pixels(folder, read_format, middle, expected):
    root = folder(["a.png"], ["a_b.png", "a_b_c.png"])
    if middle == "photograph":
        write(root / "a_b.png", NOISE)
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == expected
    assert codes_of(findings) == (["SRC073"] if middle == "photograph" else [])


def test_photographs_with_names_that_begin_each_other(folder, read_format):
    root = folder(["img.jpg", "img_1.jpg", "img_1_2.jpg"], ["img_1_2_door.png", "img_1_door.png"])
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"img_1.jpg": ["door"], "img_1_2.jpg": ["door"]}
    assert codes_of(findings) == ["SRC073"]


def test_masks_of_one_person_elsewhere(folder, read_format):
    root = folder(["images/a.jpg", "images/b.jpg"], ["ada/a_door.png", "bob/a_door.png"])
    for person in ("ada", "bob"):
        records, findings = read_format(BINARY_MASKS, root / person, root / "images")
        assert concepts(records) == {"a.jpg": ["door"]}
        assert codes_of(findings) == ["SRC073"]
        assert list(BINARY_MASKS.image_names(root / person)) == ["a.jpg", "b.jpg"]


def test_an_all_black_mask_says_looked_and_found_nothing(folder, read_format):
    root = folder(["a.jpg"], [])
    write(root / "a_door.png", np.zeros(SIZE, dtype=bool))
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"a.jpg": []}
    assert findings == []


def jpeg(mask, quality, mode="L"):
    return Image.fromarray(mask.astype(np.uint8) * 255).convert(mode), {"quality": quality}


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_masks_are_cut_at_128_and_their_share_is_told(folder, read_format, mode):
    root = folder(["a.jpg"], [])
    image, how = jpeg(mask_of(1), 20, mode)
    image.save(root / "a_door.jpg", **how)
    with Image.open(root / "a_door.jpg") as stored:
        grey = np.asarray(stored.convert("L")).astype(int)
    unclear = int(((grey > 63) & (grey < 192)).sum())
    assert 0 < unclear < 0.05 * grey.size  # else the test says nothing
    records, findings = read_format(BINARY_MASKS, root, root)
    assert np.array_equal(rasterize(records[0].regions[0].geometry, SIZE), grey >= 128)
    whole = [finding for finding in findings if finding.path == "source"]
    assert [finding.code for finding in whole] == ["SRC077"]
    share = f"{unclear} of {grey.size} pixels ({100 * unclear / grey.size:.2g}%)"
    assert whole[0].message.startswith(f"{share} are neither dark nor light")
    assert whole[0].message.endswith("in 1 masks, 1 of them JPEG.")
    per_file = [finding.path for finding in findings if finding.path != "source"]
    assert per_file == (["source/a_door.jpg"] if unclear > 0.01 * grey.size else [])


def test_a_smooth_grey_image_called_like_a_mask_is_told_and_no_mask(folder, read_format):
    root = folder(["a.jpg", "b.jpg"], ["b_door.png"])
    write(root / "a_door.png", np.tile(np.arange(32, dtype=np.uint8) * 8, (24, 1)))
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"b.jpg": ["door"]}
    assert [(f.code, f.path) for f in findings] == [
        ("SRC073", "source"),
        ("SRC077", "source/a_door.png"),
    ]


def test_colour_photographs_called_like_masks_are_photographs(folder, read_format):
    root = folder(["a.jpg", "a_edited.jpg", "b.jpg"], ["b_door.png"])
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"b.jpg": ["door"]}
    assert codes_of(findings) == ["SRC073"]
    assert findings[0].message.startswith("2 of 3 photographs")


@pytest.mark.parametrize(
    ("mode", "value"),
    [("1", 1), ("L", 255), ("P", 1), ("RGB", 255), ("RGBA", 255), ("LA", 255), ("I;16", 65_535)],
)
def test_however_black_and_white_is_stored(folder, read_format, mode, value):
    root = folder(["a.jpg"], [])
    mask = mask_of(5)
    if mode == "P":
        image = Image.fromarray(mask.astype(np.uint8))
        image.putpalette([0, 0, 0, 255, 255, 255])
    elif mode == "I;16":
        image = Image.fromarray(mask.astype(np.uint16) * value)
    else:
        image = Image.fromarray(mask.astype(np.uint8) * 255).convert(mode)
    image.save(root / "a_door.png")
    records, findings = read_format(BINARY_MASKS, root, root)
    assert np.array_equal(rasterize(records[0].regions[0].geometry, SIZE), mask)
    assert findings == []


def test_inverted_masks_are_noticed(folder, read_format):
    root = folder(["a.jpg", "b.jpg"], ["a_door.png"])
    for name in ("a_wall.png", "b_wall.png"):
        write(root / name, ~mask_of(3))
    _, findings = read_format(BINARY_MASKS, root, root)
    assert [(f.code, f.message) for f in findings] == [("SRC079", "2 of 3 masks are mostly white.")]
    (root / "b_wall.png").unlink()  # half of them may well show a large thing
    assert codes_of(read_format(BINARY_MASKS, root, root)[1]) == ["SRC073"]


def test_another_size(folder, read_format):
    root = folder(["a.jpg"], ["a_door.png"])
    write(root / "a_wall.png", mask_of(1)[:-1])
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"a.jpg": ["door"]}
    assert [(f.code, f.path) for f in findings] == [("SRC024", "source/a_wall.png")]
    with pytest.raises(AnnotationError, match="23 x 32"):
        read_format(BINARY_MASKS, root, root, on_error="raise")


def test_the_upright_photograph(folder, read_format, save):
    root = folder([], ["a_door.png"])
    save(root / "a.jpg", SIZE[::-1], orientation=6)
    write(root / "a_wall.png", mask_of(1).T)
    records, findings = read_format(BINARY_MASKS, root, root)
    assert [(record.frame, record.size) for record in records] == [("upright", SIZE)]
    assert concepts(records) == {"a.jpg": ["door"]}
    assert codes_of(findings) == ["SRC024"]


def test_masks_without_their_photograph(folder, read_format):
    root = folder(["a.jpg"], ["a_door.png", "b_door.png", "masks/c_roof.png"])
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"a.jpg": ["door"]}
    assert [(f.code, f.path) for f in findings] == [
        ("SRC073", "source"),
        ("SRC001", "source/b_door.png"),
        ("SRC001", "source/masks/c_roof.png"),
    ]


def test_one_concept_twice(folder, read_format):
    root = folder(["a.jpg"], ["a_door.png", "masks/a_door.png"])
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"a.jpg": ["door"]}
    assert codes_of(findings) == ["SRC074"]


def test_two_photographs_of_one_stem(folder, read_format):
    root = folder(["a.jpg", "a.png", "b.jpg"], ["a_door.png", "b_door.png"])
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"b.jpg": ["door"]}
    assert codes_of(findings) == ["SRC073", "SRC002"]


def test_a_folder_of_masks_with_a_colour_picture_in_it(folder, read_format):
    root = folder(["a.jpg"], ["masks/a_door.png"])
    write(root / "masks/a_view.png", NOISE)
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"a.jpg": ["door"]}
    assert [(f.code, f.path) for f in findings] == [("SRC026", "source/masks/a_view.png")]


@pytest.mark.parametrize("place", ["a_wall.png", "masks/a_wall.png"])
@pytest.mark.parametrize(
    "data", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\x00" * 40, b"\xff\xd8\xff\xe0" * 9]
)
def test_broken_masks(folder, read_format, place, data):
    root = folder(["a.jpg"], ["a_door.png", "masks/a_roof.png"])
    (root / place).write_bytes(data)
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"a.jpg": ["door", "roof"]}
    assert [(f.code, f.path) for f in findings] == [("SRC026", f"source/{place}")]


def test_links_and_odd_names(folder, read_format, tmp_path):
    root = folder(
        ["a.jpg"], ["a_door.png", "a_=cmd.png", "a_\u202eroof.png", "a_x\ny.png", "a_.png"]
    )
    write(tmp_path / "secret.png", mask_of(1))
    (root / "a_secret.png").symlink_to(tmp_path / "secret.png")
    os.mkfifo(root / "a_pipe.png")
    records, findings = read_format(BINARY_MASKS, root, root)
    assert concepts(records) == {"a.jpg": ["=cmd", "door", "\u202eroof"]}
    assert sorted(f.code for f in findings) == ["SRC006", "SRC006", "SRC073"]


def test_nothing_to_read(folder, read_format, tmp_path):
    root = folder(["a.jpg", "b_c.jpg"], [])
    with pytest.raises(SourceError, match="holds no binary masks"):
        read_format(BINARY_MASKS, root, root)
    said = BINARY_MASKS.detect(Candidate(root))
    assert (said.matches, said.on_request) == (False, False)
    assert not BINARY_MASKS.detect(Candidate(root / "a.jpg")).matches


def test_detection_keeps_away_from_other_formats(folder):
    root = folder(["a.jpg", "a_1.jpg", "a_2.jpg"], [])
    said = BINARY_MASKS.detect(Candidate(root))
    assert not said.matches
    assert "0 of 2" in said.reasons[1]
    root = folder(["x.jpg"], ["x_mask.png"])
    assert not BINARY_MASKS.detect(Candidate(root)).matches  # most are photographs
    for name in ("a.jpg", "a_1.jpg", "a_2.jpg"):
        (root / name).unlink()
    assert BINARY_MASKS.detect(Candidate(root)).matches
    (root / "x.xml").write_text("<annotation><filename>x.jpg</filename></annotation>")
    said = BINARY_MASKS.detect(Candidate(root))
    assert (said.matches, said.on_request) == (False, True)
    (root / "x.xml").unlink()
    (root / "classes.txt").write_text("0 background\n255 door")
    assert not BINARY_MASKS.detect(Candidate(root)).matches
    assert MASKS.detect(Candidate(root)).matches


def test_the_maps_of_a_set_further_below_are_no_masks(folder):
    """With one label a map is black and one colour, and is called like photograph and concept."""
    root = folder(["broden/images/a.jpg"], ["broden/images/a_object.png"])
    assert BINARY_MASKS.detect(Candidate(root)).matches
    (root / "broden/index.csv").write_text("image,ih,iw,sh,sw,object")
    (root / "broden/label.csv").write_text("number,name")
    said = BINARY_MASKS.detect(Candidate(root))
    assert (said.matches, said.on_request) == (False, True)
    assert '"broden/label.csv"' in said.reasons[-1]
    (root / "broden/index.csv").unlink()
    assert BINARY_MASKS.detect(Candidate(root)).matches


def test_many_masks_on_two_processes_are_the_same(folder):
    names = [f"{place:03}" for place in range(70)]
    root = folder([f"{name}.jpg" for name in names], [f"{name}_door.png" for name in names])
    results = []
    for jobs in (1, 2):
        context = ReadContext(ImageCatalogue(root), Problems("raise"), "source", "", jobs)
        results.append(concepts(BINARY_MASKS.read(root, context)))
    assert results[0] == results[1] == {f"{name}.jpg": ["door"] for name in names}


LETTERS = st.text(alphabet="ab_", min_size=1, max_size=5)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(photographs=st.sets(LETTERS, min_size=1, max_size=5), concepts_of=st.data())
def test_every_file_is_one_thing(tmp_path_factory, read_format, photographs, concepts_of):
    """Noise is never a mask; what is black and white goes to the longest photograph before `_`."""
    root = tmp_path_factory.mktemp("fuzz") / "source"
    stems = concepts_of.draw(st.sets(LETTERS, max_size=6)) - photographs
    for name in photographs:
        write(root / f"{name}.png", NOISE)
    for seed, name in enumerate(sorted(stems)):
        write(root / f"{name}.png", mask_of(seed))
    expected = {}
    for stem in stems:
        owners = [p for p in photographs if stem.startswith(f"{p}_") and len(stem) > len(p) + 1]
        if owners:
            owner = max(owners, key=len)
            expected.setdefault(f"{owner}.png", set()).add(stem[len(owner) + 1 :])
    # black and white files that nothing owns are photographs too, for all that is known
    alone = {s for s in stems if not any(s.startswith(f"{p}_") for p in photographs)}
    if any(stem.startswith(f"{other}_") for stem in stems for other in alone):
        return
    try:
        records, _ = read_format(BINARY_MASKS, root, root)
    except SourceError:
        assert expected == {}
        return
    found = {record.image: {region.name for region in record.regions} for record in records}
    assert found == expected
