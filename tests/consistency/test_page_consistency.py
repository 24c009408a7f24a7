"""The page of a comparison: it holds together, shows what was planted, and survives any input."""

from __future__ import annotations

import itertools
import re
import subprocess
from html.parser import HTMLParser

import numpy as np
import pytest
from drawn_people import make_material, make_report, plain
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from conceptset.consistency.document import (
    Cluster,
    Confusion,
    ConsensusEntry,
    Figure,
    ImageEntry,
    Verdict,
)
from conceptset.consistency.options import ConsistencyOptions
from conceptset.consistency.page import write_page
from conceptset.consistency.page.charts import bar, dot, scale_for, stack
from conceptset.consistency.page.choosing import SHOWN, choose_images
from conceptset.consistency.page.drawing import KIND_COLOURS, name_places, trace
from conceptset.consistency.page.matrix import make_matrix
from conceptset.consistency.page.naming import list_clashes
from conceptset.consistency.page.pictures import MAX_PEOPLE
from conceptset.consistency.page.remarks import Seen, make_remarks
from conceptset.consistency.page.summary import group_verdicts
from conceptset.consistency.running import compare_annotators

HOSTILE = {
    "car": "<script>document.title='owned'</script>",
    "tree": "\u202egnp.exe\u202c",
    "pole": '"><img src=x onerror=alert(1)>',
    "truck": "n" * 10_000,
}


def no_poles(_rng, _image, thing):
    return None if thing[0] == "pole" else thing


def trucks(_rng, image, thing):
    return ("truck", *thing[1:]) if thing[0] == "car" and image % 2 else thing


class Page(HTMLParser):
    """Elements as (tag, attributes) and the text; every element that opens is closed."""

    VOID = frozenset(["meta", "img", "input", "link", "br"])

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.words = [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "script" not in self.open and "style" not in self.open:
            self.words.append(data)

    def all(self, tag):
        return [values for name, values in self.elements if name == tag]

    @property
    def text(self):
        return re.sub(r"\s+", " ", "".join(self.words))


def written(material, folder, report=None, **options):
    folder.mkdir(exist_ok=True)
    path = write_page(folder, report or make_report(material), material, **options)
    assert path == folder / "index.html"
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """Three people with habits, a repeat and a model, in two layers; page and folder."""
    root = tmp_path_factory.mktemp("usual")
    habits = {"Ada": plain, "Ada#2": plain, "Ben": no_poles, "Cleo": trucks, "net*": plain}
    material = make_material(habits, 14, folder=root, categories=("object", "part"))
    report = make_report(material)
    extra = {
        "consensus": [
            ConsensusEntry(
                method="majority",
                category="object",
                undecided=Figure(value=0.03, low=0.02, high=0.04, n_images=14),
                changed={"Ada": Figure(value=None, n_images=0, reason="no vote")},
            )
        ],
        "clusters": [Cluster(category="object", annotators=["Ada"], within=None, between=0.5)],
        "notes": ["a note"],
    }
    report = report.model_copy(update=extra)
    return written(material, root / "page", report), root / "page", report


def test_page_holds_together(usual):
    text, folder, _ = usual
    page = Page(text)
    assert not re.search(r"https?:|//[a-z]", text)
    assert str(folder.parent) not in text
    ids = [values["id"] for _, values in page.elements if "id" in values]
    assert len(ids) == len(set(ids))
    for link in page.all("a"):
        if link["href"].startswith("#"):
            assert link["href"][1:] in ids
        else:
            assert (folder / link["href"]).is_file()
    assert not [values for _, values in page.elements if "style" in values]
    assert not [key for _, values in page.elements for key in values if key.startswith("on")]
    policy = page.all("meta")[1]["content"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    for table in ("table", "svg", "img", "figure"):
        assert page.all(table)


def test_every_picture_is_shown_and_described(usual):
    text, folder, _ = usual
    images = Page(text).all("img")
    files = {str(path.relative_to(folder)) for path in (folder / "images").iterdir()}
    assert {image["src"] for image in images} == files
    assert all(image["alt"] for image in images)
    assert all(image["loading"] == "lazy" for image in images)
    for image in images:
        with Image.open(folder / image["src"]) as picture:
            assert picture.size == (int(image["width"]), int(image["height"]))


def test_what_was_planted_can_be_read(usual):
    text, _, report = usual
    words = Page(text).text
    assert "3 annotators and 1 model worked on 14 images" in words
    assert "Cleo calls truck what" in words
    assert "Ben leaves out 25 % of what the others draw, all of it pole" in words
    assert "Also in part (25 %)" in words
    assert "a note" in words
    assert "The same person again" in words
    assert "Method majority" in words
    assert "no vote" in words
    for entry in report.annotators:
        assert entry.annotator in words


def test_every_null_has_its_reason(tmp_path):
    material = make_material({"A": plain, "B": plain}, 4)
    text = written(material, tmp_path / "few")
    words = Page(text).text
    assert "fewer than 10 images (4)" in words
    assert "Only 4 images can be compared" in words
    assert "–<" not in text


def pixels_of(folder, name):
    with Image.open(folder / "images" / name) as picture:
        return np.asarray(picture).astype(int)


def nearest_kind(pixel):
    distance = {k: np.abs(np.array(c) - pixel).sum() for k, c in KIND_COLOURS.items()}
    return min(distance, key=distance.get)


def test_kinds_are_drawn_where_they_are(tmp_path):
    """One image: the cars are called otherwise, the pole is left out, the tree is the same."""

    def both(rng, _image, thing):
        return no_poles(rng, 1, trucks(rng, 1, thing))

    material = make_material(
        {"A": plain, "B": lambda _r, _i, t: no_poles(0, 0, trucks(0, 1, t))}, 1
    )
    report = make_report(material)
    assert [entry.image for entry in report.images] == ["000.jpg"]
    text = written(material, tmp_path / "page", report)
    pixels = pixels_of(tmp_path / "page", "001-dispute.jpg")
    scale = pixels.shape[0] / 96
    centre = [int(scale * 20), int(scale * 68)]
    top, bottom = centre
    assert nearest_kind(pixels[top, top]) == "naming"
    assert nearest_kind(pixels[top, bottom]) == "naming"
    assert nearest_kind(pixels[bottom, bottom]) == "quantity"
    assert np.ptp(pixels[bottom, top]) < 12  # grey: they agree
    words = Page(text).text
    assert re.search(r"car \(A\) or truck \(B\)", words)
    assert re.search(r"pole not by B", words)
    assert "The photograph could not be had" in words


def test_a_broken_photograph_is_grey(tmp_path):
    material = make_material({"A": plain, "B": trucks}, 2, folder=tmp_path)
    for image in material.stream:
        image.photograph.write_bytes(b"broken")
    assert "could not be had" in written(material, tmp_path / "page")


def test_photographs_are_seen(tmp_path):
    material = make_material({"A": plain, "B": trucks}, 1, folder=tmp_path)
    written(material, tmp_path / "page")
    pixels = pixels_of(tmp_path / "page", "001-1.jpg")
    inside = pixels[pixels.shape[0] // 5, pixels.shape[1] // 5]
    assert np.abs(inside - [60, 140, 70]).max() < 12


def test_same_bytes_on_any_number_of_processes(usual, tmp_path):
    habits = {"A": plain, "B": trucks}
    for name, jobs in (("one", 1), ("two", 2)):
        written(make_material(habits, 3, folder=tmp_path), tmp_path / name, jobs=jobs)
    one, two = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "one", tmp_path / "two")
    )
    assert one == two


def test_hostile_names(tmp_path):
    material = make_material(
        {"<b>A</b>": plain, "\u202eB": trucks, "C" * 10_000: no_poles, "": plain},
        12,
        rename=lambda name: HOSTILE.get(name, name.replace("made up", "</title><script>x")),
    )
    text = written(material, tmp_path / "page")
    page = Page(text)
    assert len(page.all("script")) == 1
    assert "\u202e" not in text
    assert "\u202c" not in text
    assert "<script>document" not in text
    assert "<b>A</b>" not in text
    assert not [image for image in page.all("img") if image["src"] == "x"]
    assert not re.search(r"[nC]{500}", text)
    assert "unnamed" in page.text
    assert "\\u202egnp.exe" in page.text


def test_progress(tmp_path):
    calls = []
    material = make_material({"A": plain, "B": trucks}, 3)
    written(material, tmp_path / "page", progress=lambda *call: calls.append(call))
    assert calls == [(number, 3) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("habits", "words"),
    [
        ({}, "No image was annotated by two people"),
        ({"A": plain}, "No image was annotated by two people"),
        ({"A": plain, "B": lambda *_: None}, "Only 5 images can be compared"),
        ({"A": lambda *_: None, "B": lambda *_: None}, "Only 5 images can be compared"),
        ({"A": plain, "net*": plain}, "1 annotator and 1 model"),
        ({"A": plain, "A#2": plain}, "No image was annotated by two people"),
    ],
)
def test_little_to_say(habits, words, tmp_path):
    assert words in Page(written(make_material(habits, 5), tmp_path / "page")).text


def test_people_who_never_meet(tmp_path):
    material = make_material(
        {"A": plain, "B": plain}, 6, worked=lambda name, image: (name == "A") == (image < 3)
    )
    text = written(material, tmp_path / "page")
    assert "No image was annotated by two people" in Page(text).text
    assert "6 images by one annotator only" in Page(text).text


def test_many_people(tmp_path, monkeypatch):
    monkeypatch.setattr("conceptset.consistency.page.matrix.MAX_SIDE", 7)
    material = make_material({f"P{number:02d}": plain for number in range(9)}, 2)
    page = Page(written(material, tmp_path / "page", make_report(material, resamples=0)))
    assert "9 people are too many for a table of all pairs" in page.text
    assert f"{9 - MAX_PEOPLE} more annotators are not shown" in page.text
    assert not [table for table in page.all("table") if "matrix" in table.get("class", "")]


@pytest.mark.browser
def test_in_a_browser(usual, chromium, tmp_path):
    """The script runs under the policy: one layer is shown, the other hidden."""
    _, folder, _ = usual
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path}", (folder / "index.html").as_uri() + "#layer-part"]
    shown = subprocess.run(command, capture_output=True, timeout=60, check=True).stdout.decode()
    assert 'data-ready="true"' in shown
    assert re.search(r'<section class="layer" id="layer-object"[^>]*hidden', shown)
    assert not re.search(r'<section class="layer" id="layer-part"[^>]*hidden', shown)


figures = st.builds(
    lambda value, reach: Figure(value=value, low=value - reach, high=value + reach, n_images=20),
    st.floats(0, 1),
    st.floats(0, 0.3),
)


@given(st.lists(figures, max_size=6))
def test_scales_hold_everything(found):
    scale = scale_for(found, 200, bounds=(0, 1))
    assert 0 <= scale.low < scale.high <= 1
    assert 2 <= len(scale.ticks) <= 6
    for figure in found:
        assert scale.low <= figure.value <= scale.high
        place = dot(figure, scale)
        assert 0 <= place.low <= place.x <= place.high <= 200
    for one, other in itertools.pairwise(scale.ticks):
        assert one.x < other.x


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5))
def test_stacks_fill_their_width(shares):
    parts = stack([(str(place), share) for place, share in enumerate(shares)], 120)
    if sum(shares) > 0:
        assert sum(part.width for part in parts) == pytest.approx(120, abs=0.1 * len(shares))
    assert stack([("a", 0.5), ("b", None)], 120) == ()
    assert bar(None, 1, 50) == 0
    assert bar(2, 1, 50) == 50


def entry(name, agreement, kind="quality", disputed=10):
    shares = dict.fromkeys(("quality", "naming", "quantity"), 0.0) | {kind: 1 - agreement}
    return ImageEntry(
        image=name,
        category="object",
        annotators=[],
        agreement=agreement,
        disputed=disputed,
        **shares,
    )


def verdict(images, text="said", **options):
    options = {"about": "A", "topic": "naming", "category": "object"} | options
    return Verdict(text=text, value=0.5, low=None, high=None, images=images, **options)


def test_images_of_verdicts_come_first_then_every_kind():
    entries = [entry(f"q{n:02d}", 0.1) for n in range(40)]
    entries += [entry(f"n{n:02d}", 0.2, "naming") for n in range(5)]
    entries += [entry("said", 0.99)]
    chosen = choose_images(entries, [verdict(["said", "gone"])])
    assert len(chosen) == SHOWN
    assert chosen[0].entry.image == "said"
    assert chosen[0].verdicts == (0,)
    assert sum(choice.entry.image.startswith("n") for choice in chosen) == 5
    assert len({choice.entry.image for choice in chosen}) == SHOWN
    nothing = [entry("same", 1.0, disputed=0)]
    assert choose_images(nothing, []) == []


def test_clashes_of_all_pairs_are_put_together(usual):
    _, _, report = usual
    pair = report.pairs[0]

    def found(a, b, name_a, name_b, matches, kind="people"):
        confusion = Confusion(name_a=name_a, name_b=name_b, matches=matches, regions=0, pixels=9)
        return pair.model_copy(update={"a": a, "b": b, "kind": kind, "confusions": [confusion]})

    clashes = list_clashes(
        [
            found("A", "B", "truck", "car", 3),
            found("A", "C", "truck", "car", 4),
            found("B", "C", "car", "truck", 1),
            found("B", "C", "sky", "sky", 9),
            found("A", "A#2", "truck", "car", 9, kind="sessions"),
        ]
    )
    assert len(clashes) == 1
    assert clashes[0].names == ("car", "truck")
    assert clashes[0].matches == 8
    assert clashes[0].said == ((("C", 4), ("B", 4))[::-1], (("A", 7), ("C", 1)))


def test_matrix_in_the_order_of_clusters(usual):
    _, _, report = usual
    pairs = [pair for pair in report.pairs if pair.category == "object"]
    cluster = Cluster(category="object", annotators=["Cleo", "Ada"], within=1, between=0)
    matrix = make_matrix(["Ada", "Ben", "Cleo"], pairs, [cluster])
    assert matrix.names == ("Cleo", "Ada", "Ben")
    assert matrix.breaks == {"Ben"}
    for i, j in itertools.product(range(3), repeat=2):
        assert matrix.rows[i][j] == matrix.rows[j][i]
    assert all(matrix.rows[i][i] is None for i in range(3))


def test_verdicts_of_several_layers_stand_together():
    said = [
        verdict([], "A draws 27 % larger than the others", topic="quality", category="part"),
        verdict([], "A calls x what B calls y (9 %)"),
        verdict([], "A draws 15 % larger than the others", topic="quality", category="object"),
        verdict([], "A calls u what B calls v (9 %)"),
        verdict([], "B draws 15 % larger than the others", topic="quality", about="B"),
    ]
    assert [len(group) for group in group_verdicts(said)] == [2, 1, 1, 1]


def test_remarks_put_people_on_the_side_of_their_larger_area():
    seen = [
        Seen("naming", ("A", "B"), ("truck", "car"), 0.1),
        Seen("naming", ("A", "C"), ("truck", "car"), 0.1),
        Seen("naming", ("A", "B"), ("car", "truck"), 0.01),
        Seen("quantity", ("A", "B"), ("", "pole"), 0.05),
        Seen("quantity", ("A", "B"), ("tree", "pole"), 0.9),
        Seen("quantity", ("A", "B"), ("", "dot"), 0.0001),
    ]
    remarks = make_remarks(seen)
    assert [remark.kind for remark in remarks] == ["naming", "quantity"]
    assert remarks[0].sides == (("car", ("B", "C")), ("truck", ("A",)))
    assert remarks[1].sides == (("pole", ("B",)), ("", ("A",)))


@pytest.mark.parametrize("size", [(96, 96), (48, 48), (192, 192)])
def test_outlines_follow_the_segments(size):
    segments = np.zeros(size, dtype=np.int64)
    part = slice(size[0] // 4, size[0] // 2)
    segments[part, part] = 3
    drawn = trace(segments, (96, 96))
    expected = np.zeros((192, 192), dtype=bool)
    expected[48:96, 48:96] = True
    assert (drawn.inside != expected).mean() < 0.01
    assert drawn.lines.sum() == pytest.approx(4 * 48 * 3, rel=0.1)
    assert not (drawn.lines & ~drawn.inside).any()
    assert not (drawn.casing & drawn.lines).any()
    place = name_places(segments, (96, 96))[0]
    assert (place.x, place.y, place.segment) == (
        pytest.approx(36, abs=3),
        pytest.approx(36, abs=3),
        3,
    )


def test_what_fills_the_picture_has_no_frame():
    assert not trace(np.ones((10, 10), dtype=np.int64), (96, 96)).lines.any()


@pytest.mark.real
def test_real_annotators(shared, tmp_path):
    """Four people's LabelMe files: one of them gives every car a name of its own."""
    source = shared / "samples" / "labelme_xml" / "multi_annotator_cars"
    options = ConsistencyOptions(jobs=1, boundary=False, resamples=300)
    compare_annotators([source], options, out=tmp_path / "out")
    words = Page((tmp_path / "out" / "index.html").read_text(encoding="utf-8")).text
    assert "sngandhi names 100 % of the matched segments otherwise than the others" in words
