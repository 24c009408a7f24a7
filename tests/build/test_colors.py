"""Basic colour terms: what is published about them, and the category that --colors adds."""

from __future__ import annotations

import csv
import json
from itertools import groupby

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from conceptset.build import BuildOptions, build_set
from conceptset.build.colors import CONCEPTS, METHOD, TERMS, lab_from_rgb, memberships, name_colors
from conceptset.cli import app
from conceptset.errors import UsageError
from conceptset.io.images import read_codes
from conceptset.layout.reading import open_concept_set
from conceptset.validate import validate

# CSS Color 4: named colours that their names, or the terms themselves, put into a basic term.
KINDS = {
    "black": [(0, 0, 0)],
    "blue": [(70, 130, 180), (100, 149, 237), (30, 144, 255), (65, 105, 225)],  # steel, ..., royal
    "brown": [(139, 69, 19), (101, 67, 33)],  # saddle brown; dark brown
    "green": [(0, 128, 0), (0, 100, 0), (34, 139, 34), (50, 205, 50), (144, 238, 144)],
    "grey": [(128, 128, 128), (105, 105, 105), (169, 169, 169)],
    "orange": [(255, 165, 0), (255, 140, 0)],
    "pink": [(255, 192, 203), (255, 105, 180), (255, 20, 147), (255, 182, 193)],
    "purple": [(128, 0, 128), (75, 0, 130), (102, 51, 153), (148, 0, 211)],  # ..., dark violet
    "red": [(178, 34, 34), (220, 20, 60)],  # fire brick, crimson
    "white": [(255, 255, 255), (245, 245, 245), (255, 250, 250)],  # ..., smoke, snow
    "yellow": [(255, 255, 0), (255, 215, 0)],  # ..., gold
}
RED, BLUE, GREY, YELLOW = (178, 34, 34), (65, 105, 225), (128, 128, 128), (255, 255, 0)


def named(*colours):
    pixels = np.array([colours], dtype=np.uint8)
    return [TERMS[place] for place in name_colors(pixels)[0]]


def test_terms_are_named_and_ordered_as_broden_does():
    assert list(TERMS) == sorted(TERMS)
    assert len(TERMS) == 11
    assert CONCEPTS[TERMS.index("grey")] == "grey-c"


@pytest.mark.parametrize("term", TERMS)
def test_named_colours_of_the_standard(term):
    assert named(*KINDS[term]) == [term] * len(KINDS[term])


def test_two_primaries_of_the_screen_lie_beyond_their_terms():
    """A known limit, and what the authors' own program says: nothing people judged was so vivid."""
    assert named((255, 0, 0), (0, 0, 255), (0, 255, 0)) == ["orange", "purple", "green"]


def test_lab_of_the_primaries():
    """As published for sRGB under D65; sources differ by two in the second decimal."""
    primaries = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [128, 128, 128]], dtype=np.uint8)
    expected = [
        [53.24, 80.09, 67.20],
        [87.73, -86.18, 83.18],
        [32.30, 79.19, -107.86],
        [53.59, 0, 0],
    ]
    assert np.abs(lab_from_rgb(primaries) - expected).max() < 0.03


def test_grey_runs_from_black_over_grey_to_white():
    """The changes lie at the published lightnesses, L = 28.28 and 79.65."""
    ramp = [(value, value, value) for value in range(256)]
    runs = [(term, len(list(group))) for term, group in groupby(named(*ramp))]
    assert [term for term, _ in runs] == ["black", "grey", "white"]

    def first_grey_above(lightness):
        luminance = ((lightness + 16) / 116) ** 3
        return int(255 * (1.055 * luminance ** (1 / 2.4) - 0.055)) + 1

    assert runs[0][1] == first_grey_above(28.28)
    assert runs[0][1] + runs[1][1] == first_grey_above(79.65)


@pytest.mark.parametrize(
    ("lightness", "terms"),
    [
        (20, "red brown green blue purple"),
        (36, "red brown green blue purple pink"),
        (46, "red orange brown green blue purple pink"),
        (60, "red orange yellow green blue purple pink"),
        (70, "orange yellow green blue purple pink"),
        (90, "orange yellow green blue purple pink"),
    ],
)
def test_round_the_hue_circle_every_term_is_one_arc(lightness, terms):
    """Which terms there are at a lightness, and in which order, is the paper's own account."""
    angle = np.deg2rad(np.arange(0, 360, 0.5) + 0.25)
    lab = np.stack([np.full(720, lightness), 60 * np.cos(angle), 60 * np.sin(angle)], axis=1)
    places = memberships(lab).argmax(axis=1)
    arcs = [TERMS[place] for place, _ in groupby(places)]
    if len(arcs) > 1 and arcs[0] == arcs[-1]:
        arcs.pop()
    start = arcs.index(terms.split()[0])
    assert arcs[start:] + arcs[:start] == terms.split()


def test_memberships_share_one_whole():
    chance = np.random.default_rng(3)
    lab = np.stack([chance.uniform(0, 100, 5000), *chance.uniform(-110, 110, (2, 5000))], axis=1)
    found = memberships(lab)
    assert found.min() >= 0
    assert found.max() <= 1
    whole = found.sum(axis=1)
    assert whole.min() > 0.999  # nobody is left without a name
    lab[:, 1:] = 0  # without any colour, chromatic terms have next to nothing
    achromatic = [TERMS.index(term) for term in ("black", "grey", "white")]
    assert memberships(lab)[:, achromatic].sum(axis=1).min() > 0.99


def test_a_pixel_is_named_by_itself(monkeypatch):
    pixels = np.random.default_rng(1).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    whole = name_colors(pixels)
    assert (whole.shape, whole.dtype) == ((37, 53), np.uint8)
    monkeypatch.setattr("conceptset.build.colors._AT_ONCE", 100)
    assert np.array_equal(name_colors(pixels), whole)
    for row, column in [(0, 0), (36, 52), (20, 7)]:
        alone = name_colors(pixels[row : row + 1, column : column + 1])
        assert alone[0, 0] == whole[row, column]


# -- in a set -----------------------------------------------------------------------------------

QUARTERS = ((("red", RED), ("blue", BLUE)), (("grey", GREY), ("yellow", YELLOW)))


def rows_of(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def tree(root):
    return {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def options(**more):
    return BuildOptions(
        **{"image_size": None, "image_format": "png", "segmentation_size": (8, 8)} | more
    )


@pytest.fixture
def painted(world):
    """a.png: four quarters of 8 x 8 in plain colours; b.png: all white. Ada drew in both."""
    pixels = np.zeros((16, 16, 3), dtype=np.uint8)
    for row, quarters in enumerate(QUARTERS):
        for column, (_, value) in enumerate(quarters):
            pixels[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] = value
    Image.fromarray(pixels).save(world.root / "images/a.png")
    Image.new("RGB", (16, 16), (255, 255, 255)).save(world.root / "images/b.png")
    sizes = {"a.png": (16, 16), "b.png": (16, 16)}
    ada = [("a.png", "door", (0, 0, 8, 8)), ("b.png", "door", (0, 0, 8, 8))]
    bob = [("a.png", "door", (0, 0, 4, 8)), ("a.png", "wall", (8, 8, 8, 8))]
    return [
        world.coco("ada.json", sizes, ada, info={"contributor": "ada"}),
        world.coco("bob.json", {"a.png": (16, 16)}, bob, info={"contributor": "bob"}),
    ]


def test_every_index_names_the_same_map_of_the_photograph(painted, tmp_path):
    out = tmp_path / "set"
    report = build_set(painted, out, options(colors=True))
    assert report.manifest.settings["colors"] == METHOD
    numbers = {row["name"]: int(row["number"]) for row in rows_of(out / "label.csv")}
    assert {"red-c", "blue-c", "grey-c", "yellow-c", "white-c"} <= set(numbers)
    indexes = {
        who: {row["image"]: row for row in rows_of(out / where / "index.csv")}
        for who, where in (("", "."), ("ada", "annotators/ada"), ("bob", "annotators/bob"))
    }
    a, b = "images/a.png", "images/b.png"
    assert {who: set(rows) for who, rows in indexes.items()} == {
        "": {a, b},
        "ada": {a, b},
        "bob": {a},
    }
    for rows in indexes.values():
        for image, row in rows.items():
            assert row["color"] == image.replace(".png", "_color.png")
    written = sorted(path.relative_to(out).as_posix() for path in out.rglob("*_color*.png"))
    assert written == ["images/images/a_color.png", "images/images/b_color.png"]
    codes = read_codes(out / "images/images/a_color.png")
    for row, quarters in enumerate(QUARTERS):
        for column, (term, _) in enumerate(quarters):
            inner = codes[4 * row : 4 * row + 3, 4 * column : 4 * column + 3]
            assert (inner[1:, 1:] == numbers[f"{term}-c"]).all()
    assert (codes > 0).all()  # also where two colours meet
    assert (read_codes(out / "images/images/b_color.png") == numbers["white-c"]).all()


def test_tables_count_colours_like_any_label_and_the_set_validates(painted, tmp_path):
    out = tmp_path / "set"
    build_set(painted, out, options(colors=True))
    assert validate(out).findings == ()
    for folder, images in ((".", 2), ("annotators/ada", 2), ("annotators/bob", 1)):
        table = {row["name"]: row for row in rows_of(out / folder / "c_color.csv")}
        assert ("white-c" in table) == (images == 2)
        assert {name.endswith("-c") for name in table} == {True}
        assert sum(float(row["coverage"]) for row in table.values()) == pytest.approx(images)
        assert {row["frequency"] for row in table.values()} == {"1"}
        categories = [row["name"] for row in rows_of(out / folder / "category.csv")]
        assert categories == ["color", "object"]  # Broden's order
    opened = open_concept_set(out, "index.csv")
    assert "color" in opened.categories


def test_nobody_drew_them(painted, tmp_path):
    """Segments, votes and everything else are those of the set without colours."""
    plain, coloured = tmp_path / "plain", tmp_path / "coloured"
    before = build_set(painted, plain, options()).manifest
    after = build_set(painted, coloured, options(colors=True)).manifest
    assert before.settings["colors"] is None
    assert after.counts.undecided == before.counts.undecided > 0
    assert after.counts.segments == before.counts.segments
    for who in ("ada", "bob"):
        segments = f"annotators/{who}/segments.jsonl"
        assert (coloured / segments).read_bytes() == (plain / segments).read_bytes()
    names = [
        {row["number"]: row["name"] for row in rows_of(out / "label.csv")}
        for out in (plain, coloured)
    ]
    for path in plain.rglob("*_object*.png"):
        one, other = (read_codes(root / path.relative_to(plain)) for root in (plain, coloured))
        if path.name.endswith("_undecided.png"):
            assert np.array_equal(one, other)
            continue
        for number in np.unique(one).tolist():
            assert {names[0].get(str(number))} == {
                names[1].get(str(value)) for value in np.unique(other[one == number]).tolist()
            }


def test_who_is_not_asked_keeps_the_colours_of_her_own_images(painted, tmp_path):
    """With --consensus bob, b.png is in ada's index only; its map is still written once."""
    out = tmp_path / "set"
    build_set(painted, out, options(colors=True, consensus="bob"))
    assert [row["image"] for row in rows_of(out / "index.csv")] == ["images/a.png"]
    cells = [row["color"] for row in rows_of(out / "annotators/ada/index.csv")]
    assert cells == ["images/a_color.png", "images/b_color.png"]
    assert (out / "images/images/b_color.png").is_file()
    assert validate(out).findings == ()


def test_the_same_bytes_whatever_the_number_of_processes(world, tmp_path):
    images = {f"{place:02}.png": (12, 14) for place in range(50)}
    for name in images:
        world.photograph(name, (12, 14))
    file = world.coco("a.json", images, [(name, "door", (1, 1, 5, 5)) for name in images])
    for jobs, out in ((1, "one"), (2, "two")):
        build_set([file], tmp_path / out, BuildOptions(annotator="ada", colors=True, jobs=jobs))
    assert tree(tmp_path / "one") == tree(tmp_path / "two")
    assert validate(tmp_path / "one").findings == ()


def test_the_margin_of_a_padded_photograph_has_no_colour(world, tmp_path):
    Image.new("RGB", (16, 8), RED).save(world.root / "images/a.png")
    file = world.coco("a.json", {"a.png": (8, 16)}, [("a.png", "door", (0, 0, 16, 8))])
    padded = options(annotator="ada", colors=True, fit="pad", image_size=(16, 16))
    build_set([file], tmp_path / "set", padded)
    colour = read_codes(tmp_path / "set/images/images/a_color.png") > 0
    door = read_codes(tmp_path / "set/images/images/a_object.png") > 0
    assert np.array_equal(colour, door)
    assert colour.sum() == 8 * 4


def test_limits_hold_for_colours_too(painted, tmp_path):
    report = build_set(painted, tmp_path / "set", options(colors=True, min_coverage=0.3))
    names = {row["name"] for row in rows_of(tmp_path / "set/label.csv")}
    assert {name for name in names if name.endswith("-c")} == {"white-c"}
    assert "red-c" in report.dropped
    codes = read_codes(tmp_path / "set/images/images/b_color.png")
    assert (codes > 0).all()
    assert not (tmp_path / "set/images/images/a_color.png").exists()
    assert validate(tmp_path / "set").findings == ()


def test_what_the_annotations_have_already_is_not_added(world, painted, tmp_path):
    (world.root / "t.csv").write_text("name,concept,category\ndoor,door,color\n")
    with pytest.raises(UsageError, match=r"adds the category color, which the annotations have"):
        build_set(painted, tmp_path / "set", options(colors=True, taxonomy=world.root / "t.csv"))
    (world.root / "t.csv").write_text("name,concept,category\ndoor,red-c,material\n")
    with pytest.raises(UsageError, match=r"adds the concept red-c, which the annotations have"):
        build_set(painted, tmp_path / "set", options(colors=True, taxonomy=world.root / "t.csv"))
    assert not (tmp_path / "set").exists()


def test_the_flag(painted, tmp_path):
    files = [str(path) for path in painted]
    result = CliRunner().invoke(app, ["build", *files, "--out", str(tmp_path / "set"), "--colors"])
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "set/conceptset.json").read_text())
    assert manifest["settings"]["colors"] == METHOD


@pytest.mark.real
def test_photographs_of_msrc(shared, tmp_path):
    """What their labels say of their colour: grass is green, and a clear sky is never red."""
    out = tmp_path / "set"
    build_set([shared / "real/msrc/coco.json"], out, BuildOptions(annotator="msrc", colors=True))
    assert validate(out).findings == ()
    numbers = {row["name"]: int(row["number"]) for row in rows_of(out / "label.csv")}
    found = np.zeros((len(numbers) + 1, len(numbers) + 1), dtype=np.int64)
    for row in rows_of(out / "index.csv"):
        labels = read_codes(out / "images" / row["object"])
        colour = read_codes(out / "images" / row["color"])
        assert (colour > 0).all()
        np.add.at(found, (labels, colour), 1)

    def share(label, *terms):
        whole = found[numbers[label]]
        return sum(whole[numbers[f"{term}-c"]] for term in terms) / whole.sum()

    assert share("grass", "green") > 0.7
    assert share("sky", "blue", "white", "grey") > 0.95
    assert share("road", "grey", "black", "white") > 0.8
