"""The rows of one image, against counts of single pixels, and what must hold of any image."""

from __future__ import annotations

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pixel_reference import (
    alpha_parts,
    compare_pixels,
    iou,
    painted,
    partition,
    segment,
)
from pixel_reference import image as annotated

from conceptset.consistency.counting import overlay
from conceptset.consistency.counting.flattening import decode_runs, flatten
from conceptset.consistency.counting.image import CountSettings, count_image
from conceptset.consistency.counting.splitting import Kind, classify_pixels
from conceptset.consistency.counts import DTYPES, THRESHOLDS
from conceptset.consistency.material import Annotator
from conceptset.errors import SourceError
from conceptset.geometry import decode_counts

PEOPLE = tuple(Annotator(name) for name in "abcdefgh")
SETTING = CountSettings(PEOPLE, ("object", "part"), boundary=False)
KINDS = ("naming", "quantity", "quality")


def random_mask(rng, size):
    """A rectangle, now and then with a bite, or noise."""
    height, width = size
    mask = np.zeros(size, dtype=bool)
    top, left = rng.integers(0, height), rng.integers(0, width)
    mask[top : top + rng.integers(1, height + 1), left : left + rng.integers(1, width + 1)] = True
    if rng.random() < 0.3:
        mask &= rng.random(size) < 0.7
    return mask


def disturbed(rng, mask):
    return np.roll(mask, rng.integers(-1, 2, 2), (0, 1)) ^ (rng.random(mask.shape) < 0.05)


@st.composite
def images(draw, *, people=4, categories=2):
    """Annotators who saw the same things, each in their own way."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    size = (draw(st.integers(1, 9)), draw(st.integers(1, 9)))
    things = [
        (random_mask(rng, size), int(rng.integers(1, 5)), int(rng.integers(0, categories)))
        for _ in range(draw(st.integers(0, 5)))
    ]
    drawn = {}
    for annotator in range(draw(st.integers(1, people))):
        segments = []
        for mask, concept, category in things:
            if rng.random() < 0.25:
                continue
            segments.append(
                segment(
                    2 * len(segments) + 1,
                    disturbed(rng, mask) if rng.random() < 0.7 else mask,
                    int(rng.integers(1, 5)) if rng.random() < 0.3 else concept,
                    kind="ignore" if rng.random() < 0.1 else "region",
                    category=category,
                    z_order=int(rng.integers(0, 2)),
                )
            )
        drawn[annotator] = tuple(segments)
    return annotated(size, drawn)


def dense(image, annotator, category, overlap="area"):
    """Segment map, and the concept of each of its segments."""
    segments = [s for s in image.drawn[annotator] if s.category == category]
    names = {n: s.concept for n, s in enumerate(segments, 1) if s.kind == "region"}
    return painted(segments, image.size, overlap), names, segments


@pytest.mark.parametrize("overlap", ["area", "order"])
@given(image=images())
@settings(max_examples=40)
def test_layers_are_flattened_as_they_are_painted(image, overlap):
    for annotator, category in itertools.product(image.drawn, (0, 1)):
        canvas, names, segments = dense(image, annotator, category, overlap)
        flat = flatten(segments, image.size, overlap)
        orders = np.append(flat.orders, -2)[flat.segment_map()]
        expected = [-1, *(s.order if s.kind == "region" else -2 for s in segments), -2]
        np.testing.assert_array_equal(orders, np.array(expected)[canvas])
        labels = np.array([0, *(names.get(n, -1) for n in range(1, len(segments) + 1)), -1])
        np.testing.assert_array_equal(flat.label_map(), labels[canvas])
        assert flat.hidden == sum(not (canvas == n).any() for n in names)
        assert flat.areas().sum() == canvas.size


def check_pair(row, image, a, b):
    """One row of `compared` against the definitions."""
    map_a, names_a, _ = dense(image, a, int(row["category"]))
    map_b, names_b, _ = dense(image, b, int(row["category"]))
    valid = (map_a >= 0) & (map_b >= 0)
    present_a = Counter(names_a[n] for n in names_a if (valid & (map_a == n)).any())
    present_b = Counter(names_b[n] for n in names_b if (valid & (map_b == n)).any())
    assert row["valid"] == valid.sum()
    assert row["both"] == (valid & (map_a > 0) & (map_b > 0)).sum()
    assert row["segments_a"] == present_a.total()
    assert row["segments_b"] == present_b.total()
    assert row["concepts_a"] == len(present_a)
    assert row["concepts_b"] == len(present_b)
    assert row["concepts_shared"] == len(set(present_a) & set(present_b))
    for place, threshold in enumerate(THRESHOLDS):
        expected = compare_pixels(map_a, map_b, names_a, names_b, threshold)
        kinds = Counter(expected.kinds.ravel().tolist())
        assert (row["unlabelled"], row["same"]) == (kinds[0], kinds[1])
        matched = [(valid & (map_a == s), valid & (map_b == u)) for s, u in expected.matched]
        assert row["iou"][place] == pytest.approx(sum(iou(s, u) for s, u in matched))
        if threshold >= 0.5:  # of smaller ones several assignments can have the largest total
            assert row["matches"][place] == len(matched)
            assert row["equal"][place] == sum(names_a[s] == names_b[u] for s, u in expected.matched)
            assert [row[kind][place] for kind in KINDS] == [kinds[2], kinds[3], kinds[4]]
            assert row["not_found_a"][place] == list(expected.found_a.values()).count(False)
            assert row["not_found_b"][place] == list(expected.found_b.values()).count(False)
    if valid.sum() > 1:
        figures = [row[f] for f in ("covering_a", "covering_b", "rand", "vi", "gce", "lce")]
        np.testing.assert_allclose(figures, partition(map_a, map_b), atol=1e-12)


@given(image=images())
@settings(max_examples=40)
def test_pairs_against_single_pixels(image):
    counts = count_image(image, SETTING)
    rows = counts.compared
    pairs = itertools.product((0, 1), itertools.combinations(sorted(image.drawn), 2))
    assert [(row["category"], (row["a"], row["b"])) for row in rows] == list(pairs)
    for row in rows:
        check_pair(row, image, int(row["a"]), int(row["b"]))


@given(image=images(people=3))
@settings(max_examples=40)
def test_tables_of_names_and_matches_against_single_pixels(image):
    counts = count_image(image, SETTING)
    for category, (a, b) in itertools.product((0, 1), itertools.combinations(image.drawn, 2)):
        map_a, names_a, segments_a = dense(image, a, category)
        map_b, names_b, segments_b = dense(image, b, category)
        expected = compare_pixels(map_a, map_b, names_a, names_b, 0.5)
        valid = expected.kinds != 5
        label_a = np.vectorize(lambda n, names=names_a: names.get(n, 0))(map_a)[valid]
        label_b = np.vectorize(lambda n, names=names_b: names.get(n, 0))(map_b)[valid]
        kinds = expected.kinds[valid]
        cells = [
            (c, d, len(k), *(np.count_nonzero(k == kind) for kind in (2, 3, 4)))
            for c, d in sorted(set(zip(label_a.tolist(), label_b.tolist(), strict=True)))
            if len(k := kinds[(label_a == c) & (label_b == d)])
        ]
        assert rows_of(counts.cells, category, a, b) == cells
        matches = [
            (
                segments_a[s - 1].order,
                segments_b[u - 1].order,
                names_a[s],
                names_b[u],
                (valid & (map_a == s)).sum(),
                (valid & (map_b == u)).sum(),
                (valid & (map_a == s) & (map_b == u)).sum(),
            )
            for s, u in sorted(expected.matched)
        ]
        assert [row[:-3] for row in rows_of(counts.matches, category, a, b)] == matches
        assert rows_of(counts.renamed, category, a, b) == sorted(expected.renamed)
        seen = [
            Counter(names[n] for n in names if (valid & (painting == n)).any())
            for names, painting in ((names_a, map_a), (names_b, map_b))
        ]
        named = [(c, seen[0][c], seen[1][c]) for c in sorted({*seen[0], *seen[1]})]
        assert rows_of(counts.named, category, a, b) == named


def rows_of(table, category, a, b):
    chosen = table[(table["category"] == category) & (table["a"] == a) & (table["b"] == b)]
    return [row[4:] for row in chosen.tolist()]


@given(image=images())
@settings(max_examples=25)
def test_what_each_annotator_drew(image):
    counts = count_image(image, SETTING)
    expected = []
    for category, annotator in itertools.product((0, 1), sorted(image.drawn)):
        canvas, names, _ = dense(image, annotator, category)
        visible = [names[n] for n in names if (canvas == n).any()]
        labelled, ignored = (canvas > 0).sum(), (canvas == -1).sum()
        drawn = (len(visible), len(set(visible)), len(names) - len(visible))
        expected.append((0, category, annotator, *drawn, labelled, ignored, canvas.size))
    assert counts.drawn.tolist() == expected


@given(image=images())
@settings(max_examples=25)
def test_the_kinds_add_up_to_what_is_not_agreed(image):
    rows = count_image(image, SETTING).compared
    for place in range(len(THRESHOLDS)):
        disagreed = sum(rows[kind][:, place] for kind in KINDS)
        np.testing.assert_array_equal(rows["unlabelled"] + rows["same"] + disagreed, rows["valid"])


@given(image=images(people=2))
@settings(max_examples=25)
def test_pixels_of_the_picture_are_those_of_the_counts(image):
    layers = [flatten(s, image.size, "area") for s in one_layer(image)]
    if len(layers) < 2:
        return
    for place, threshold in enumerate(THRESHOLDS):
        kinds = classify_pixels(*layers, threshold=threshold)
        row = count_image(image, SETTING).compared[0]
        total = np.bincount(kinds.ravel(), minlength=len(Kind)).tolist()
        expected = [row["unlabelled"], row["same"], *(row[kind][place] for kind in KINDS)]
        assert total == [*expected, kinds.size - row["valid"]]


def one_layer(image):
    return [[s for s in segments if s.category == 0] for _, segments in sorted(image.drawn.items())]


SYMMETRIC = ("valid", "unlabelled", "same", "both", *KINDS, "matches", "equal", "iou")
PARTITION = ("rand", "vi", "gce", "lce")


@given(image=images(people=2))
@settings(max_examples=40)
def test_exchanging_two_annotators_exchanges_the_figures(image):
    if len(image.drawn) < 2:
        return
    turned = annotated(image.size, {0: image.drawn[1], 1: image.drawn[0]})
    one, other = count_image(image, SETTING), count_image(turned, SETTING)
    for name in (*SYMMETRIC, *PARTITION, "concepts_shared"):
        np.testing.assert_array_equal(one.compared[name], other.compared[name])
    for name in ("segments", "concepts", "not_found", "covering"):
        for side, opposite in ("ab", "ba"):
            np.testing.assert_array_equal(
                one.compared[f"{name}_{side}"], other.compared[f"{name}_{opposite}"]
            )
    swapped = sorted((c, d, a, *rest) for c, a, d, *rest in cells_of(one))
    assert swapped == sorted((c, a, d, *rest) for c, a, d, *rest in cells_of(other))


def cells_of(counts):
    return [(row[1], *row[4:]) for row in counts.cells.tolist()]


@given(image=images(people=1))
@settings(max_examples=25)
def test_an_annotator_agrees_with_itself(image):
    rows = count_image(
        annotated(image.size, {0: image.drawn[0], 1: image.drawn[0]}), SETTING
    ).compared
    np.testing.assert_array_equal(rows["unlabelled"] + rows["same"], rows["valid"])
    for kind in KINDS:
        assert not rows[kind].any()
    valid = rows[rows["valid"] > 1]
    np.testing.assert_array_equal(valid["vi"], 0)
    np.testing.assert_array_equal(valid["covering_a"], 1)
    np.testing.assert_array_equal(rows["matches"][:, 0], rows["segments_a"])


@given(image=images(people=3))
@settings(max_examples=25)
def test_what_concepts_are_called_does_not_matter(image):
    names = {1: 40, 2: 7, 3: 1, 4: 12}
    renamed = annotated(
        image.size,
        {
            annotator: tuple(segment_with(s, concept=names[s.concept]) for s in segments)
            for annotator, segments in image.drawn.items()
        },
    )
    one, other = count_image(image, SETTING), count_image(renamed, SETTING)
    assert one.compared.tobytes() == other.compared.tobytes()
    assert one.others.tobytes() == other.others.tobytes()
    called = {0: 0, **names}
    cells = sorted((c, called[a], called[b], *rest) for c, a, b, *rest in cells_of(one))
    assert cells == sorted(cells_of(other))


def segment_with(old, **changes):
    fields = {name: getattr(old, name) for name in old.__dataclass_fields__}
    return type(old)(**{**fields, **changes})


@given(image=images(), shift=st.integers(1, 3))
@settings(max_examples=25)
def test_who_comes_first_does_not_matter(image, shift):
    people = len(image.drawn)
    place = {annotator: (annotator + shift) % people for annotator in image.drawn}
    moved = annotated(image.size, {place[a]: image.drawn[a] for a in image.drawn})
    one, other = count_image(image, SETTING), count_image(moved, SETTING)
    found = {(r["category"], *sorted((r["a"], r["b"]))): r for r in other.compared}
    for row in one.compared:
        twin = found[row["category"], *sorted((place[row["a"]], place[row["b"]]))]
        for name in (*SYMMETRIC, *PARTITION):
            np.testing.assert_array_equal(row[name], twin[name])
    for name in ("same", "values", "labelled_same", "labelled_values"):
        expected = {(r[1], place.get(r[2], -1), r[3]): r[name] for r in rows_as(one.coincidences)}
        assert expected == {(r[1], r[2], r[3]): r[name] for r in rows_as(other.coincidences)}


def rows_as(table):
    class Row(tuple):
        __slots__ = ()

        def __getitem__(self, key):
            if isinstance(key, str):
                return tuple.__getitem__(self, table.dtype.names.index(key))
            return tuple.__getitem__(self, key)

    return [Row(row) for row in table.tolist()]


@given(image=images())
@settings(max_examples=40)
def test_coincidences_against_pairs_of_values_in_single_pixels(image):
    counts = count_image(image, SETTING)
    people = sorted(image.drawn)
    for category in (0, 1):
        labels = [label_line(image, a, category) for a in people]
        rows = counts.coincidences[counts.coincidences["category"] == category]
        assert bool(len(rows)) == (len(people) > 1)
        for without in sorted(set(rows["without"].tolist())):
            chosen = [line for a, line in zip(people, labels, strict=True) if a != without]
            units = [[v for v in unit if v >= 0] for unit in zip(*chosen, strict=True)]
            check_alpha(rows[rows["without"] == without], units)


def check_alpha(rows, units):
    same, values = alpha_parts(units)
    bare_same, bare_values = alpha_parts([[v for v in unit if v > 0] for unit in units])
    for row in rows:
        c = int(row["concept"])
        assert row["same"] == pytest.approx(same.pop(c, 0), abs=1e-9)
        assert row["values"] == pytest.approx(values.pop(c, 0), abs=1e-9)
        assert row["labelled_same"] == pytest.approx(bare_same.pop(c, 0), abs=1e-9)
        assert row["labelled_values"] == pytest.approx(bare_values.pop(c, 0), abs=1e-9)
    assert [same, values, bare_same, bare_values] == [{}] * 4


def label_line(image, annotator, category):
    canvas, names, _ = dense(image, annotator, category)
    return [names.get(n, -1 if n < 0 else 0) for n in canvas.ravel().tolist()]


@given(image=images(people=5))
@settings(max_examples=40)
def test_each_person_against_the_majority_of_the_others(image):
    counts = count_image(image, SETTING)
    people, expected = sorted(image.drawn), []
    for category, a in itertools.product((0, 1), people):
        if len(people) < 2:
            continue
        tally = Counter()
        lines = {b: label_line(image, b, category) for b in people}
        for pixel, own in enumerate(lines[a]):
            votes = Counter(line[pixel] for b, line in lines.items() if b != a and line[pixel] >= 0)
            if own < 0 or not votes:
                continue
            label, most = votes.most_common(1)[0]
            if most <= votes.total() / 2:
                tally["undecided"] += 1
                continue
            tally["valid"] += 1
            tally["unlabelled"] += own == label == 0
            tally["same"] += own == label > 0
            tally["any"] += own > 0 or label > 0
        names = counts.others.dtype.names[3:]
        expected.append((0, category, a, *(tally[name] for name in names)))
    assert counts.others.tolist() == expected


def test_only_first_sessions_of_persons_vote_but_all_are_pairs():
    people = (Annotator("a"), Annotator("a", 2), Annotator("b"), Annotator("net", 1, "model"))
    mask = np.ones((3, 3), dtype=bool)
    image = annotated((3, 3), {n: (segment(0, mask, 1 + n % 2),) for n in range(4)})
    counts = count_image(image, CountSettings(people, ("object",), boundary=False))
    assert len(counts.compared) == 6
    assert sorted(set(counts.coincidences["without"].tolist())) == [-1, 0, 2]
    assert counts.others["annotator"].tolist() == [0, 2]


def test_the_lowest_session_of_a_person_votes():
    people = (Annotator("a", 2), Annotator("a", 3), Annotator("b", 2), Annotator("c"))
    mask = np.ones((3, 3), dtype=bool)
    setting = CountSettings(people, ("object",), boundary=False)
    everybody = dict.fromkeys(range(4), (segment(0, mask),))
    counts = count_image(annotated((3, 3), everybody), setting)
    for table in (counts.others, counts.objects):
        assert table["annotator"].tolist() == [0, 2, 3]
    del everybody[0]  # a's third session is no first one, also where the second did not work
    counts = count_image(annotated((3, 3), everybody), setting)
    assert counts.others["annotator"].tolist() == [2, 3]


def test_annotators_who_drew_nothing_take_part():
    mask = np.ones((4, 5), dtype=bool)
    image = annotated((4, 5), {0: (segment(0, mask),), 1: (), 2: ()})
    counts = count_image(image, CountSettings(PEOPLE, ("object",), boundary=False))
    assert counts.drawn["segments"].tolist() == [1, 0, 0]
    first = counts.compared[0]
    assert first["quantity"].tolist() == [20, 20, 20]
    assert first["not_found_a"].tolist() == [1, 1, 1]
    assert counts.compared[2]["unlabelled"] == 20
    assert (counts.compared[2]["vi"], counts.compared[2]["rand"]) == (0, 1)


def test_nothing_is_undefined_as_a_number_where_nothing_can_be_compared():
    mask = np.ones((2, 2), dtype=bool)
    image = annotated((2, 2), {0: (segment(0, mask, kind="ignore"),), 1: (segment(0, mask),)})
    counts = count_image(image, CountSettings(PEOPLE, ("object",)))
    row = counts.compared[0]
    assert (row["valid"], row["segments_a"], row["segments_b"]) == (0, 0, 0)
    assert np.isnan([row[name] for name in (*PARTITION, "covering_a", "covering_b")]).all()
    assert counts.others.tolist() == [(0, 0, 0, 0, 0, 0, 0, 0), (0, 0, 1, 0, 0, 0, 0, 0)]


def test_rows_have_the_types_of_the_record():
    image = annotated((2, 2), {0: (), 1: ()})
    counts = count_image(image, SETTING)
    for name, dtype in DTYPES.items():
        assert getattr(counts, name).dtype == dtype
    alone = count_image(annotated((2, 2), {0: ()}), SETTING)
    assert (len(alone.drawn), len(alone.compared), len(alone.coincidences)) == (2, 0, 0)
    nobody = count_image(annotated((2, 2), {}), SETTING)
    assert len(nobody.drawn) == 0


@given(image=images())
@settings(max_examples=25)
def test_the_same_in_small_portions(image):
    whole = count_image(image, SETTING)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(overlay, "_AT_ONCE", 7)
        patch.setattr("conceptset.consistency.counting.coincidences._AT_ONCE", 3)
        patch.setattr("conceptset.consistency.counting.flattening._AT_ONCE", 2)
        patch.setattr("conceptset.consistency.counting.matching._DENSE", 0)
        patch.setattr("conceptset.consistency.counting.image._TOGETHER", 1)
        patch.setattr("conceptset.consistency.counting.image._BLOCK", 2)
        portions = count_image(image, SETTING)
    for name in DTYPES:
        if name == "coincidences":  # fractions, added in another order
            for field in DTYPES[name].names:
                np.testing.assert_allclose(
                    getattr(whole, name)[field], getattr(portions, name)[field]
                )
        else:
            assert getattr(whole, name).tobytes() == getattr(portions, name).tobytes()


@given(
    masks=st.lists(st.integers(0, 2**32 - 1), max_size=6),
    shape=st.tuples(*2 * (st.integers(1, 20),)),
)
def test_many_codes_are_decoded_as_one(masks, shape):
    rng = np.random.default_rng(0)
    codes = [segment(0, rng.random(shape) < n / 2**32).counts for n in masks]
    runs = decode_runs(codes, shape)
    for place, code in enumerate(codes):
        ends = np.cumsum(decode_counts(code))
        chosen = runs.owners == place
        begins = runs.begins[chosen], ends[: len(ends) // 2 * 2 : 2]
        expected = [(x, y) for x, y in zip(ends[::2], ends[1::2], strict=False) if x < y]
        assert list(zip(runs.begins[chosen], runs.ends[chosen], strict=True)) == expected
        assert len(begins[0]) == len(expected)


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ("", "add up to 0, not to 2 x 2"),
        ("14", "add up to 5"),
        ("1", "add up to 1"),
        ("1é", "outside"),
        ("P", "breaks off"),
        ("PPPPPPPP1", "too long"),
        ("0NN", "outside the image"),
    ],
)
def test_a_mask_that_does_not_fit_is_told(counts, told):
    good = segment(0, np.ones((2, 2), dtype=bool))
    bad = segment_with(good, order=3, name="car", counts=counts)
    image = annotated((2, 2), {0: (good,), 1: (good, bad)})
    with pytest.raises(SourceError, match=told) as raised:
        count_image(image, SETTING)
    assert 'image0.jpg annotator "b": the mask of drawing 3 ("car")' in str(raised.value)
