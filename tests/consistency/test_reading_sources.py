"""Annotation files of several people as one material: who, what, and which images are the same."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import three_exports as three
from hypothesis import given
from hypothesis import strategies as st

from conceptset.build.absent import Listing, find_heads
from conceptset.build.steps import silent
from conceptset.consistency.material import Annotator
from conceptset.consistency.options import ConsistencyOptions
from conceptset.consistency.reading.from_sources import open_annotations
from conceptset.consistency.reading.opening import open_material
from conceptset.errors import ConceptsetError, ImageError, SourceError, UsageError
from conceptset.geometry import decode_counts, rle_from_counts, rle_to_mask


def opening(sources, **options):
    options = ConsistencyOptions.model_validate(options)
    return open_annotations(sources, options, near=None, step=silent)


def painted(image, material, annotator):
    """The names a person's segments give to the pixels."""
    labels = np.zeros(image.size, dtype=int)
    for segment in image.drawn[annotator]:
        mask = rle_to_mask(rle_from_counts(image.size, decode_counts(segment.counts)))
        name = material.concepts[segment.concept - 1]
        labels[mask] = three.NAMES.index(name) + 1
    return labels


@pytest.fixture
def world(tmp_path):
    three.write_photographs(tmp_path / "images")
    return tmp_path, three.write_exports(tmp_path / "exports")


@pytest.fixture
def named(tmp_path):
    """Options that say whose the files are."""
    return {"annotator_from": three.people_file(tmp_path)}


def drawings(material):
    """What is the same however the photographs were found."""
    return [
        (image.name.rpartition("/")[2], image.size, dict(image.drawn)) for image in material.stream
    ]


def test_three_formats_are_one_material(world, named):
    root, exports = world
    with opening(exports, images=root / "images", **named) as opened:
        material = opened.material
        assert material.annotators == tuple(map(Annotator, three.PEOPLE))
        assert material.concepts == ("bush", "car", "tree")
        assert material.categories == ("object",)
        assert material.title == "ada.json, ben.xml, cleo"
        assert material.images == tuple(map(three.image_name, range(three.IMAGES)))
        assert opened.notes == ()
        images = list(material.stream)
        for place, image in enumerate(images):
            assert (image.image, image.name) == (place, three.image_name(place))
            assert image.photograph == root / "images" / image.name
            assert sorted(image.drawn) == [0, 1, 2]
            for annotator, person in enumerate(three.PEOPLE):
                expected = three.label_map(person, place)
                assert (painted(image, material, annotator) == expected).all()
        # cleo looked at the last image and found nothing: that is not the same as not looking
        assert images[-1].drawn[2] == ()
        # CVAT's painting order is kept
        assert [segment.z_order for segment in images[0].drawn[1]] == [0, -1]


def test_any_image_can_be_had_by_itself_and_again(world, named):
    root, exports = world
    with opening(exports, images=root / "images", **named) as opened:
        stream = opened.material.stream
        everything = list(stream)
        assert len(stream) == three.IMAGES
        assert [stream[place] for place in (5, 0, -1)] == [everything[p] for p in (5, 0, -1)]
        assert list(stream[2:4]) == everything[2:4]
        assert list(stream) == everything
        with pytest.raises(IndexError):
            stream[three.IMAGES]


def test_missing_photographs_change_nothing_but_the_pictures(world, named):
    """Ada and Ben name images alone, Cleo's tool wrote ../images/ before them."""
    root, exports = world
    with opening(exports, images=root / "images", **named) as opened:
        expected = drawings(opened.material)
    shutil.rmtree(root / "images")
    with opening(exports, **named) as opened:
        assert drawings(opened.material) == expected
        assert all(image.photograph is None for image in opened.material.stream)
        (note,) = opened.notes
        assert 'photographs of 12 of 12 images are missing, such as "0000.png"' in note
        assert "--images DIR" in note


def test_one_person_has_the_photographs_the_other_has_not(world, named):
    root, exports = world
    mine = root / "mine"
    shutil.move(root / "images", mine / "images")
    ada = three.write_coco(mine / "ada.json")
    with opening([ada, *exports[1:]], **named) as opened:
        assert len(opened.material.images) == three.IMAGES
        for image in opened.material.stream:
            assert len(image.drawn) == 3
            assert image.photograph == mine / "images" / image.name


def test_some_photographs_missing(world, named):
    root, exports = world
    (root / "images" / three.image_name(3)).unlink()
    with opening(exports, images=root / "images", **named) as opened:
        images = list(opened.material.stream)
        assert [image.image for image in images if image.photograph is None] == [3]
        assert len(images[3].drawn) == 3
        assert "1 of 12 images" in opened.notes[0]


def test_paths_that_end_one_another_are_one_image_unless_told_otherwise(tmp_path):
    ada = three.write_coco(tmp_path / "ada.json")
    ben = three.write_coco(tmp_path / "ben.json", "ben", prefix="task/data/")
    with opening([ada, ben]) as opened:
        assert len(opened.material.images) == three.IMAGES
        assert all(len(image.drawn) == 2 for image in opened.material.stream)
    with opening([ada, ben], match="path") as opened:
        assert len(opened.material.images) == 2 * three.IMAGES


def test_same_name_in_folders_of_their_own_stays_two_images(tmp_path):
    ada = three.write_coco(tmp_path / "ada.json", prefix="monday/")
    ben = three.write_coco(tmp_path / "ben.json", "ben", prefix="tuesday/")
    with opening([ada, ben]) as opened:
        assert len(opened.material.images) == 2 * three.IMAGES


def test_sizes_that_differ_are_an_error(tmp_path):
    ada = three.write_coco(tmp_path / "ada.json")
    ben = three.write_coco(tmp_path / "ben.json", "ben", size=(41, 60))
    with (
        pytest.raises(SourceError, match=r"0000\.png has 41 x 60 pixels .* 40 x 60") as caught,
        opening([ada, ben]),
    ):
        pass
    assert caught.value.code == "SRC032"
    (tmp_path / "elsewhere").mkdir()
    ben.rename(tmp_path / "elsewhere/ben.json")
    with (
        pytest.raises(ImageError, match=r"has 40 x 60 pixels .* has 41 x 60") as caught,
        opening([ada, tmp_path / "elsewhere/ben.json"]),
    ):
        pass
    assert "in one size" in str(caught.value)


@pytest.mark.parametrize("size", [(0, 60), (70_000, 3), (60_000, 60_000)])
def test_a_declared_size_that_no_image_has(tmp_path, size):
    """Without a photograph nothing else would stop an image of 3,600 megapixels."""
    ada = three.write_coco(tmp_path / "ada.json", size=size)
    with pytest.raises(SourceError, match="0000") as caught, opening([ada]):
        pass
    assert caught.value.code in ("SRC001", "SRC004", "SRC005")


def test_who_is_who(world):
    root, exports = world
    images = root / "images"
    with opening(exports, images=images, model_annotators=("ben",)) as opened:
        assert opened.material.annotators == (
            Annotator("(unnamed)"),
            Annotator("ada"),
            Annotator("ben", kind="model"),
        )
    with opening(exports, images=images, aliases={"": "ada#2"}) as opened:
        assert [str(one) for one in opened.material.annotators] == ["ada", "ada#2", "ben"]
    expected = pytest.raises(UsageError, match="--model-annotator is 'zoe'")
    with expected, opening(exports, images=images, model_annotators=("zoe",)):
        pass


def test_somebody_may_really_be_called_unnamed(world):
    root, exports = world
    with opening(exports, images=root / "images", aliases={"ada": "(unnamed)"}) as opened:
        names = [one.name for one in opened.material.annotators]
        assert names == ["(unnamed)", "(unnamed) 2", "ben"]


def test_layers_by_taxonomy_and_choice(world, named):
    root, exports = world
    taxonomy = root / "taxonomy.csv"
    taxonomy.write_text("name,concept,category,synonyms\ntree,plant,part,bush\ncar,car,object,\n")
    common = {"images": root / "images", "taxonomy": taxonomy, **named}
    with opening(exports, **common) as opened:
        material = opened.material
        assert (material.categories, material.concepts) == (("object", "part"), ("car", "plant"))
        assert opened.taxonomy == "taxonomy.csv"
        plants = [s for s in material.stream[0].drawn[1] if s.category == 1]
        assert [(s.name, material.concepts[s.concept - 1]) for s in plants] == [("bush", "plant")]
    with opening(exports, **common, categories=("part",)) as opened:
        assert opened.material.categories == ("part",)
        assert {s.category for image in opened.material.stream for s in image.drawn[0]} == {0}
    expected = pytest.raises(UsageError, match=r"'scene'.*object, part")
    with expected, opening(exports, **common, categories=("scene",)):
        pass


def test_images_of_two_roots_with_one_path(world, tmp_path):
    root, exports = world
    other = tmp_path / "other"
    three.write_photographs(other / "images")
    for path in (other / "images").iterdir():
        path.write_bytes(path.read_bytes() + b"\0")  # other bytes, the same picture
    zoe = three.write_coco(other / "zoe.json", "zoe")
    ada = three.write_coco(root / "ada.json")
    with pytest.raises(UsageError, match="--match path"), opening([ada, zoe]):
        pass
    with opening([ada, zoe], match="path") as opened:
        assert len(opened.material.images) == three.IMAGES
    with opening([ada, zoe], match="bytes") as opened:
        assert len(set(opened.material.images)) == 2 * three.IMAGES
    assert exports


def test_nobody_worked_on_anything(tmp_path):
    empty = tmp_path / "a.json"
    empty.write_text(json.dumps({"images": [], "annotations": [], "categories": []}))
    expected = pytest.raises(ConceptsetError, match="no image that anybody worked on")
    with expected, opening([empty], images=tmp_path):
        pass


def test_bad_annotations_follow_the_policy(tmp_path):
    path = three.write_coco(tmp_path / "ada.json")
    document = json.loads(path.read_text())
    document["annotations"][0]["segmentation"] = [[1, 1, 2, 2]]
    path.write_text(json.dumps(document))
    with pytest.raises(SourceError, match="SRC017"), opening([path]):
        pass
    with opening([path], on_error="collect") as opened:
        assert [finding.code for finding in opened.problems.findings] == ["SRC017"]
        assert len(opened.material.stream[0].drawn[0]) == 1


def test_options_that_a_set_does_not_take():
    assert ConsistencyOptions(overlap="order", aliases={"a": "b"}).check_for_set() is None
    for name, value in (("annotator", "ada"), ("boxes", True), ("match", "path")):
        with pytest.raises(UsageError, match=f"--{name} says how annotation files are read"):
            ConsistencyOptions.model_validate({name: value}).check_for_set()


def test_a_set_without_format_is_a_set_with_format_a_source(world):
    from conceptset.build import BuildOptions, build_set

    root, exports = world
    options = BuildOptions(images=root / "images", image_size=None, segmentation_size=three.SIZE)
    build_set(exports[:2], root / "set", options)
    for format_name, kind in ((None, "SetTask"), ("broden", "SourceTask")):
        options = ConsistencyOptions(format=format_name)
        with open_material([root / "set"], options, near=None, step=silent) as opened:
            assert type(opened.images.tasks[0]).__name__ == kind
            assert [one.name for one in opened.material.annotators] == ["ada", "ben"]
            assert len(opened.material.images) == three.IMAGES


NAMES = st.sampled_from(["a", "x/a", "y/a", "z/x/a", "b", "x/b"])
LISTINGS = st.lists(
    st.builds(
        Listing,
        NAMES,
        st.sampled_from([(4, 4), (4, 5)]),
        st.booleans(),
        st.lists(st.sampled_from("pqrs"), min_size=1, max_size=2, unique=True).map(tuple),
    ),
    max_size=8,
)


@given(LISTINGS, st.booleans())
def test_heads_stand_for_themselves_and_photographs_stay_apart(listings, by_ending):
    heads = find_heads(listings, by_ending=by_ending)
    for place, head in enumerate(heads):
        one, other = listings[place], listings[head]
        assert heads[head] == head
        if not one.is_absent:
            assert head == place  # what is at hand is told apart by its bytes
        short, long = sorted([one.key, other.key], key=len)
        assert one.key == other.key or by_ending
        assert long.rpartition("/")[2] == short.rpartition("/")[2]
        if one.key != other.key:
            assert one.size == other.size
            assert not set(one.files) & set(other.files)
    absent = [listing.key for listing in listings if listing.is_absent]
    images = {heads[p] for p, listing in enumerate(listings) if listing.is_absent}
    assert len(images) <= len(set(absent))


@given(LISTINGS, st.permutations(range(8)))
def test_heads_do_not_depend_on_the_order(listings, order):
    order = [place for place in order if place < len(listings)]
    shuffled = [listings[place] for place in order]

    def groups(heads, names):
        found = {}
        for place, head in enumerate(heads):
            if names[place] is not None:
                found.setdefault(head, set()).add(names[place])
        return sorted(map(sorted, found.values()))

    def absent_groups(own):
        heads = find_heads(own, by_ending=True)
        return groups(heads, [one.key if one.is_absent else None for one in own])

    assert absent_groups(listings) == absent_groups(shuffled)
